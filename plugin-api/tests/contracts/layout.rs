//! Version 1 is frozen: a textual dump of every type that it mentions must equal `src/abi/v1/layout.snap`.
//!
//! `CODEX_UPDATE_LAYOUT=1 cargo test -p codex-plugin-api` writes the file anew. That is right only when functions were
//! appended after a table's last prefix field, or the tables of this target's snapshot were never released.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::type_layout::{TLData, TypeLayout};
use codex_plugin_api::abi::v1;
use codex_plugin_api::abi_stable;

/// A type's name with its parameters, which abi_stable leaves out of the names of its own containers.
fn name(layout: &'static TypeLayout) -> String {
    let fields = || layout.get_fields().into_iter().flatten();
    let parameters: Vec<String> = match layout.name() {
        "RVec" | "RSlice" => fields()
            .flat_map(|field| field.layout().generics().type_params())
            .map(|of| name(of()))
            .take(1)
            .collect(),
        "ROption" | "RResult" => fields().map(|field| name(field.layout())).collect(),
        _ => return layout.full_type().to_string().trim().to_owned(),
    };
    format!("{}<{}>", layout.name(), parameters.join(", "))
}

/// Adds a type and everything that it mentions, by its name.
fn collect(layout: &'static TypeLayout, types: &mut BTreeMap<String, String>) {
    let key = name(layout);
    if types.contains_key(&key) {
        return;
    }
    types.insert(key.clone(), String::new());
    let mut text = format!("size {} align {}", layout.size(), layout.alignment());
    let mut next = Vec::new();
    let ours = layout.package().as_str() == "codex-plugin-api";
    match layout.data() {
        TLData::PrefixType(prefix) if ours => {
            write!(
                text,
                ", the first {} always there",
                prefix.first_suffix_field
            )
            .unwrap();
            for field in prefix.fields {
                for function in field.function_range() {
                    let taken: Vec<_> = function.param_type_layouts.iter().map(|of| of()).collect();
                    let given = function.return_type_layout().map(|of| of());
                    let taken_names: Vec<String> =
                        taken.iter().map(|layout| name(layout)).collect();
                    let given_name = given.map_or_else(|| "()".to_owned(), name);
                    write!(
                        text,
                        "\n    {}({}) -> {given_name}",
                        field.name(),
                        taken_names.join(", ")
                    )
                    .unwrap();
                    next.extend(taken.into_iter().chain(given));
                }
            }
        }
        TLData::Opaque => text.push_str(", opaque"),
        _ => {
            for field in layout.get_fields().into_iter().flatten() {
                if ours {
                    write!(text, "\n    {}: {}", field.name(), name(field.layout())).unwrap();
                }
                next.push(field.layout());
            }
        }
    }
    // Of abi_stable's own types the size is enough: its version of them is checked before any layout.
    types.insert(key, text);
    next.extend(layout.generics().type_params().iter().map(|of| of()));
    for layout in next {
        collect(layout, types);
    }
}

fn dump() -> String {
    let mut types = BTreeMap::new();
    collect(<v1::RootTable as StableAbi>::LAYOUT, &mut types);
    let mut text = format!(
        "ABI {}.{}, pointers of {} bits\nbootstrap: size {} align {}\n",
        v1::MAJOR,
        v1::MINOR,
        usize::BITS,
        size_of::<v1::Bootstrap>(),
        align_of::<v1::Bootstrap>(),
    );
    for (name, layout) in types {
        // A pointer says nothing that its mention does not.
        if name.starts_with(['*', '&']) {
            continue;
        }
        writeln!(text, "{name}: {layout}").unwrap();
    }
    text
}

#[test]
#[cfg_attr(
    not(target_pointer_width = "64"),
    ignore = "the snapshot is of 64-bit targets"
)]
fn version_1_is_frozen() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/abi/v1/layout.snap");
    let now = dump();
    if std::env::var_os("CODEX_UPDATE_LAYOUT").is_some() {
        std::fs::write(&path, &now).unwrap();
        return;
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    let mut difference = String::new();
    for line in then
        .lines()
        .filter(|line| !now.lines().any(|other| other == *line))
    {
        writeln!(difference, "- {line}").unwrap();
    }
    for line in now
        .lines()
        .filter(|line| !then.lines().any(|other| other == *line))
    {
        writeln!(difference, "+ {line}").unwrap();
    }
    assert!(
        then == now,
        "ABI version 1 changed, but it is frozen: released plugins would crash. Only functions after a table's last \
         prefix field may be added (then raise abi::v1::MINOR, and set CODEX_UPDATE_LAYOUT=1 to accept).\n{difference}"
    );
}
