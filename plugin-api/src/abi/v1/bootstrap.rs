//! The one symbol that a plugin library exports: enough plain C to find out whether the rest can be trusted.

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility};
use abi_stable::library::AbiHeader;
use abi_stable::std_types::RVec;
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};

use super::arrow::ArrowArrayStream;
use super::buffers::AbiTokenBatch;
use super::error::{AbiError, AbiResult};
use super::metric::{AbiMetric, AbiSamples};
use super::root::{Plugin, RootTable, root};
use crate::abi::stamp::MAGIC;
use crate::{Error, Result};

/// The structs whose sizes are compared before anything of them is touched.
const KEY_STRUCTS: [(&str, usize); 6] = [
    ("AbiError", size_of::<AbiError>()),
    ("AbiResult<RVec<u8>>", size_of::<AbiResult<RVec<u8>>>()),
    ("AbiSamples", size_of::<AbiSamples<'static>>()),
    ("AbiTokenBatch", size_of::<AbiTokenBatch<'static>>()),
    ("ArrowArrayStream", size_of::<ArrowArrayStream>()),
    ("AbiMetric", size_of::<AbiMetric>()),
];

/// What the bootstrap symbol points to: constant data, so that reading it runs no code. Later 1.N may add fields at its
/// end; `size` says how far it goes.
#[repr(C)]
#[derive(Debug)]
pub struct Bootstrap {
    magic: [u8; 8],
    abi_major: u16,
    abi_minor: u16,
    /// Size of this struct in bytes.
    size: u32,
    /// [`KEY_STRUCTS`].
    struct_sizes: [u32; KEY_STRUCTS.len()],
    rustc: *const u8,
    rustc_length: usize,
    stamp: *const u8,
    stamp_length: usize,
    /// Which layout of layouts `abi_stable` itself has.
    header: AbiHeader,
    /// The layout of the root module and of everything that it mentions.
    layout: extern "C" fn() -> &'static TypeLayout,
    root: extern "C" fn() -> RootTable,
}

// SAFETY: everything in it is constant.
unsafe impl Sync for Bootstrap {}

extern "C" fn layout() -> &'static TypeLayout {
    <RootTable as StableAbi>::LAYOUT
}

impl Bootstrap {
    /// The bootstrap of the library that is being compiled.
    #[doc(hidden)]
    pub const fn new(stamp: &'static [u8]) -> Self {
        let rustc = crate::abi::RUSTC;
        let mut struct_sizes = [0; KEY_STRUCTS.len()];
        let mut index = 0;
        while index < KEY_STRUCTS.len() {
            struct_sizes[index] = KEY_STRUCTS[index].1 as u32;
            index += 1;
        }
        Self {
            magic: MAGIC,
            abi_major: super::MAJOR,
            abi_minor: super::MINOR,
            size: size_of::<Self>() as u32,
            struct_sizes,
            rustc: rustc.as_ptr(),
            rustc_length: rustc.len(),
            stamp: stamp.as_ptr(),
            stamp_length: stamp.len(),
            header: AbiHeader::VALUE,
            layout,
            root,
        }
    }

    /// Checks a library's bootstrap, from the outside in, and gives its root module.
    ///
    /// # Errors
    /// What differs from this side, in one line; a difference of layouts has the whole comparison as its cause.
    ///
    /// # Safety
    /// `symbol` is the address of a symbol that a stamp names as its bootstrap, in a library that stays loaded.
    pub unsafe fn open(symbol: *const Self) -> Result<Plugin> {
        let differs = |what: String| Err(Error::failed(what));
        if symbol.is_null() || !symbol.is_aligned() {
            return differs("its bootstrap symbol is not where one can be".to_owned());
        }
        // SAFETY: the symbol holds at least the fields up to `size`, or the stamp lied about it; fields are read one by
        // one, each before what it vouches for.
        unsafe {
            if (*symbol).magic != MAGIC {
                return differs("its bootstrap symbol does not begin with CODEXPLG".to_owned());
            }
            let (major, minor) = ((*symbol).abi_major, (*symbol).abi_minor);
            if major != super::MAJOR || minor > super::MINOR {
                return differs(format!(
                    "its ABI is {major}.{minor}, this host has {}.{}",
                    super::MAJOR,
                    super::MINOR
                ));
            }
            if ((*symbol).size as usize) < size_of::<Self>() {
                return differs(format!(
                    "its bootstrap has {} bytes, not {}",
                    (*symbol).size,
                    size_of::<Self>()
                ));
            }
        }
        // SAFETY: the struct is whole, constant, and the library stays loaded.
        let bootstrap: &'static Self = unsafe { &*symbol };
        for ((name, expected), found) in KEY_STRUCTS.iter().zip(bootstrap.struct_sizes) {
            if found as usize != *expected {
                return differs(format!("its {name} has {found} bytes, not {expected}"));
            }
        }
        if !bootstrap.header.is_valid() {
            return differs(format!(
                "its abi_stable has layout {}.{}, not {}.{}",
                bootstrap.header.abi_major,
                bootstrap.header.abi_minor,
                AbiHeader::VALUE.abi_major,
                AbiHeader::VALUE.abi_minor
            ));
        }
        // The plugin's side comes first: this host may have functions that an older plugin does not know, and their
        // tables say how many they hold. The other way round is refused above.
        check_layout_compatibility((bootstrap.layout)(), layout()).map_err(|difference| {
            Error::failed(first_difference(&difference)).because(&difference)
        })?;
        Ok(Plugin::new((bootstrap.root)()))
    }
}

/// Where two layouts first differ: the path of fields from the root module, and how.
fn first_difference(difference: &AbiInstabilityErrors) -> String {
    let found = difference.errors.iter().find_map(|error| {
        let how = format!("{:?}", error.errs.first()?);
        let how = how
            .split(['(', '{', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        let path = error.stack_trace.iter().map(|step| match &step.expected {
            TLFieldOrFunction::Field(field) => field.name(),
            TLFieldOrFunction::Function(function) => function.name.as_str(),
        });
        let path: Vec<&str> = path.filter(|name| !name.is_empty()).collect();
        let place = if path.is_empty() {
            "its root".to_owned()
        } else {
            path.join(".")
        };
        Some((place, how))
    });
    let (place, how) = found.unwrap_or_default();
    format!("the layout of its interface differs at {place} ({how})")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn open(bootstrap: Bootstrap) -> Result<Plugin> {
        let bootstrap: &'static Bootstrap = Box::leak(Box::new(bootstrap));
        // SAFETY: it is whole and never freed.
        unsafe { Bootstrap::open(bootstrap) }
    }

    /// A plugin whose root module is laid out differently: here, a table of another kind.
    extern "C" fn foreign() -> &'static TypeLayout {
        <crate::abi::v1::MetricTable as StableAbi>::LAYOUT
    }

    #[test]
    fn ones_own_bootstrap_opens() {
        let plugin = open(Bootstrap::new(b"")).unwrap();
        assert_eq!(plugin.components().unwrap(), []);
    }

    #[test]
    fn what_differs_is_named() {
        let own = || Bootstrap::new(b"");
        let mut sizes = own().struct_sizes;
        sizes[2] += 8;
        for (bootstrap, word) in [
            (
                Bootstrap {
                    magic: *b"CODEXPLX",
                    ..own()
                },
                "does not begin with CODEXPLG",
            ),
            (
                Bootstrap {
                    abi_major: 2,
                    ..own()
                },
                "its ABI is 2.0, this host has 1.0",
            ),
            (
                Bootstrap {
                    abi_minor: 9,
                    ..own()
                },
                "its ABI is 1.9",
            ),
            (
                Bootstrap { size: 24, ..own() },
                "its bootstrap has 24 bytes",
            ),
            (
                Bootstrap {
                    struct_sizes: sizes,
                    ..own()
                },
                "its AbiSamples has",
            ),
            (
                Bootstrap {
                    layout: foreign,
                    ..own()
                },
                "differs at",
            ),
        ] {
            let error = open(bootstrap).err().unwrap();
            assert!(error.message().contains(word), "{error} lacks {word}");
            assert!(!error.message().contains('\n'), "{error}");
        }
        // SAFETY: a null pointer is what is tested.
        assert!(unsafe { Bootstrap::open(std::ptr::null()) }.is_err());
        let error = open(Bootstrap {
            layout: foreign,
            ..own()
        })
        .err()
        .unwrap();
        assert!(
            error.causes()[0].lines().count() > 20,
            "the whole comparison is the cause"
        );
    }
}
