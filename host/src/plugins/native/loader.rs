//! The system's dynamic loader: from a file to the address of one symbol, with errors that a user can act on.

use std::path::Path;

use codex_plugin_api::abi::v1::Bootstrap;
use libloading::Library;

use crate::plugins::refusal::{Refusal, Step};

/// Opens the library for good and finds its bootstrap symbol.
pub(super) fn open(path: &Path, symbol: &str) -> Result<*const Bootstrap, Refusal> {
    // The loader looks a bare name up in its own search path.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let library = load(&absolute).map_err(|error| refusal(path, &absolute, &text(&error)))?;
    // SAFETY: only the address is taken; what is there is checked by the caller, field by field.
    let address = unsafe {
        library
            .get::<*const Bootstrap>(symbol.as_bytes())
            .map(|symbol| *symbol)
    };
    let address = address.map_err(|_| {
        Refusal::new(
            path,
            Step::Load,
            format!("its stamp names the symbol {symbol:?}, which it does not export"),
            "build it again: it may have been stripped or linked by hand",
        )
    });
    // Thread-locals and threads of a library outlive every handle, so it is never closed.
    std::mem::forget(library);
    address
}

#[cfg(unix)]
fn load(path: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::unix;
    // SAFETY: constructors of the library run now. It carries a plugin's stamp and passed the gates, which is all that
    // can be asked of native code. Everything is resolved at once, so that nothing is missing in the middle of a run.
    unsafe { unix::Library::open(Some(path), unix::RTLD_NOW | unix::RTLD_LOCAL) }.map(Library::from)
}

#[cfg(windows)]
fn load(path: &Path) -> Result<Library, libloading::Error> {
    use libloading::os::windows;
    // SAFETY: as for Unix. The flag lets a plugin bring libraries beside its own.
    unsafe { windows::Library::load_with_flags(path, windows::LOAD_WITH_ALTERED_SEARCH_PATH) }
        .map(Library::from)
}

/// The loader's own words.
fn text(error: &libloading::Error) -> String {
    use std::error::Error as _;
    let inner = error.source().map(ToString::to_string);
    inner
        .unwrap_or_else(|| error.to_string())
        .replace('\n', " ")
}

fn refusal(path: &Path, absolute: &Path, error: &str) -> Refusal {
    let file = absolute.display().to_string();
    if let Some(library) = missing_library(error, absolute) {
        return Refusal::new(
            path,
            Step::Load,
            format!("it needs the library {library}, which is not on this system"),
            format!(
                "install the package that brings {library}, or name its folder in {SEARCH_VARIABLE}"
            ),
        );
    }
    // The file is named already.
    let reason = error.strip_prefix(&format!("{file}: ")).unwrap_or(error);
    Refusal::new(
        path,
        Step::Load,
        format!("the system cannot open it: {reason}"),
        "build it again for this system, or install a version that was",
    )
}

/// Where users tell the loader about more folders.
const SEARCH_VARIABLE: &str = if cfg!(windows) {
    "PATH"
} else if cfg!(target_vendor = "apple") {
    "DYLD_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The library that another one lacks, from what glibc, musl and macOS say about it.
fn missing_library(error: &str, plugin: &Path) -> Option<String> {
    let name = if let Some((name, _)) = error.split_once(": cannot open shared object file") {
        name
    } else if let Some((_, rest)) = error.split_once("Error loading shared library ") {
        rest.split_once(':')?.0
    } else if let Some((_, rest)) = error.split_once("Library not loaded: ") {
        rest.split_whitespace().next()?
    } else {
        return None;
    };
    let name = name.trim();
    (!name.is_empty() && Path::new(name) != plugin).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_found_in_what_loaders_say() {
        let plugin = Path::new("/plugins/libx.so");
        for (error, expected) in [
            (
                "libcuda.so.1: cannot open shared object file: No such file or directory",
                Some("libcuda.so.1"),
            ),
            (
                "Error loading shared library libfoo.so.2: No such file or directory (needed by /plugins/libx.so)",
                Some("libfoo.so.2"),
            ),
            (
                "dlopen(/plugins/libx.dylib, 0x0002): Library not loaded: @rpath/libz.dylib   Referenced from: …",
                Some("@rpath/libz.dylib"),
            ),
            (
                "/plugins/libx.so: cannot open shared object file: No such file or directory",
                None,
            ),
            ("/plugins/libx.so: undefined symbol: frob", None),
        ] {
            assert_eq!(
                missing_library(error, plugin).as_deref(),
                expected,
                "{error}"
            );
        }
    }

    #[test]
    fn the_file_is_not_named_twice() {
        let path = Path::new("/plugins/libx.so");
        let refused = refusal(path, path, "/plugins/libx.so: undefined symbol: frob");
        assert_eq!(
            refused.reason,
            "the system cannot open it: undefined symbol: frob"
        );
    }
}
