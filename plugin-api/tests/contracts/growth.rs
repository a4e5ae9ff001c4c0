//! The rules by which version 1 grows, tried on a small table: the same layout check that the loader runs.
#![allow(
    unsafe_code,
    dead_code,
    clippy::expl_impl_clone_on_copy,
    clippy::cast_ptr_alignment,
    reason = "tables of functions that nobody calls, in code that StableAbi derives"
)]

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use codex_plugin_api::abi_stable;

macro_rules! version {
    ($module:ident { $($field:tt)* }) => {
        mod $module {
            use abi_stable::StableAbi;
            use codex_plugin_api::abi_stable;

            #[repr(C)]
            #[derive(StableAbi)]
            #[sabi(kind(Prefix(prefix_ref = Table, prefix_fields = TablePrefix)))]
            pub(crate) struct Functions { $($field)* }
        }
    };
}

version! { first {
    release: unsafe extern "C" fn(*mut ()),
    #[sabi(last_prefix_field)]
    read: unsafe extern "C" fn(*mut (), u64) -> u64,
} }
version! { appended {
    release: unsafe extern "C" fn(*mut ()),
    #[sabi(last_prefix_field)]
    read: unsafe extern "C" fn(*mut (), u64) -> u64,
    write: unsafe extern "C" fn(*mut (), u64),
} }
version! { changed {
    release: unsafe extern "C" fn(*mut ()),
    #[sabi(last_prefix_field)]
    read: unsafe extern "C" fn(*mut (), u32) -> u64,
} }
version! { inserted {
    release: unsafe extern "C" fn(*mut ()),
    write: unsafe extern "C" fn(*mut (), u64),
    #[sabi(last_prefix_field)]
    read: unsafe extern "C" fn(*mut (), u64) -> u64,
} }

#[test]
fn tables_grow_at_their_end_and_nowhere_else() {
    let first = <first::Table as StableAbi>::LAYOUT;
    let appended = <appended::Table as StableAbi>::LAYOUT;
    // As the loader calls it: what the plugin was built with, then what this host has.
    check_layout_compatibility(first, first).unwrap();
    check_layout_compatibility(first, appended).unwrap();
    // A plugin that is newer than its host would miss functions of the host; the gates refuse it by its stamp.
    assert!(check_layout_compatibility(appended, first).is_err());
    for other in [
        <changed::Table as StableAbi>::LAYOUT,
        <inserted::Table as StableAbi>::LAYOUT,
    ] {
        assert!(check_layout_compatibility(first, other).is_err());
        assert!(check_layout_compatibility(other, first).is_err());
    }
}
