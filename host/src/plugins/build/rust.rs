//! Guests in Rust: cargo for `wasm32-unknown-unknown`, with the target's standard library as it is installed, or built
//! from its source where there is only that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use codex_plugin_api::{Context, Error, Result};
use serde_json::Value;

use super::{Job, tools};

const TARGET: &str = "wasm32-unknown-unknown";
const LINKER: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER";
const INSTALL: &str = "install the target with rustup target add wasm32-unknown-unknown, or on Debian and Ubuntu \
                       apt-get install rustc-web cargo-web rust-web-src lld";

/// Builds the crate's library; gives the core module.
pub(super) fn build(job: &Job<'_>) -> Result<Vec<u8>> {
    let toolchain = Toolchain::find(job.folder)?;
    job.app.output.note(format!(
        "building {} with {}",
        job.manifest.plugin.id, toolchain.says
    ));
    let hint = "mend what the compiler names; cargo build --release --target wasm32-unknown-unknown in that folder shows it again";
    let messages = tools::run(
        toolchain
            .command()
            .args(["build", "--release", "--lib", "--target", TARGET])
            .args(toolchain.options())
            .arg("--message-format=json-render-diagnostics")
            .current_dir(job.folder),
        hint,
        job.app,
    )?;
    let messages = String::from_utf8_lossy(&messages);
    let file = artifact(&messages, job.folder, "wasm").ok_or_else(|| {
        Error::config(format!(
            "{} makes no module",
            job.folder.join("Cargo.toml").display()
        ))
        .hint("give it a library of the type cdylib: [lib] crate-type = [\"cdylib\"]")
    })?;
    fs::read(&file).or_error(|| Error::failed(format!("cannot read {}", file.display())))
}

/// The file with this extension that cargo made of the crate in a folder, from its messages: there may be others, of
/// dependencies or of the same workspace.
pub(super) fn artifact(messages: &str, folder: &Path, extension: &str) -> Option<PathBuf> {
    let own = folder.join("Cargo.toml");
    let own = own.canonicalize().unwrap_or(own);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| {
            let path = message["manifest_path"].as_str().map(PathBuf::from);
            path.is_some_and(|path| path.canonicalize().unwrap_or(path) == own)
        })
        .filter_map(|message| {
            message["filenames"]
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .find(|file| {
                    Path::new(file)
                        .extension()
                        .is_some_and(|end| end == extension)
                })
                .map(PathBuf::from)
        })
        .next_back()
}

/// A cargo and rustc that can build for the target.
#[derive(Debug, PartialEq, Eq)]
struct Toolchain {
    cargo: PathBuf,
    /// The folder that must come first on the search path, so that cargo finds its own rustc.
    first: Option<PathBuf>,
    /// Whether the standard library must be built too.
    from_source: bool,
    says: String,
}

impl Toolchain {
    /// The toolchain on the search path or the system's: the first that has the target, else the first that has the
    /// standard library's source.
    fn find(folder: &Path) -> Result<Self> {
        let system = Path::new("/usr/bin");
        let on_path = tools::find("cargo").zip(tools::find("rustc"));
        let in_system = (
            tools::program(system, "cargo"),
            tools::program(system, "rustc"),
        );
        let candidates: Vec<(PathBuf, Option<PathBuf>, PathBuf)> = on_path
            .map(|(cargo, rustc)| (cargo, None, rustc))
            .into_iter()
            .chain(Some((in_system.0, Some(system.to_owned()), in_system.1)))
            .filter_map(|(cargo, first, rustc)| {
                let mut ask = Command::new(&rustc);
                // A folder may name the toolchain that builds it.
                let sysroot = tools::ask(ask.args(["--print", "sysroot"]).current_dir(folder))?;
                cargo
                    .is_file()
                    .then(|| (cargo, first, PathBuf::from(sysroot)))
            })
            .collect();
        if candidates.is_empty() {
            return Err(Error::failed("there is no Rust compiler").hint(INSTALL));
        }
        for from_source in [false, true] {
            for (cargo, first, sysroot) in &candidates {
                let there = if from_source {
                    has_source(sysroot) && has_linker(sysroot)
                } else {
                    sysroot
                        .join("lib/rustlib")
                        .join(TARGET)
                        .join("lib")
                        .is_dir()
                };
                if there {
                    let how = if from_source {
                        " and the standard library from its source"
                    } else {
                        ""
                    };
                    return Ok(Self {
                        says: format!("{}{how}", cargo.display()),
                        cargo: cargo.clone(),
                        first: first.clone(),
                        from_source,
                    });
                }
            }
        }
        Err(Error::failed(format!("the Rust compiler cannot build for {TARGET}")).hint(INSTALL))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        if let Some(first) = &self.first {
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let folders = std::iter::once(first.clone()).chain(std::env::split_paths(&rest));
            // What came from such a list can be joined again.
            if let Ok(path) = std::env::join_paths(folders) {
                command.env("PATH", path);
            }
            command.env("RUSTC", tools::program(first, "rustc"));
        }
        if self.from_source {
            // Building the standard library is reserved to compilers that take unstable options.
            command.env("RUSTC_BOOTSTRAP", "1");
            if std::env::var_os(LINKER).is_none()
                && let Some(linker) = tools::find("wasm-ld")
            {
                command.env(LINKER, linker);
            }
        }
        command
    }

    fn options(&self) -> &'static [&'static str] {
        if self.from_source {
            &["-Zbuild-std=std,panic_abort"]
        } else {
            &[]
        }
    }
}

fn has_source(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib/src/rust/library/std/Cargo.toml")
        .is_file()
}

/// Whether modules can be linked: by a linker of the user's, the system's, or the compiler's own.
fn has_linker(sysroot: &Path) -> bool {
    let own = || {
        let targets = fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
        targets
            .filter_map(|entry| Some(tools::program(&entry.ok()?.path().join("bin"), "rust-lld")))
            .find(|file| file.is_file())
    };
    std::env::var_os(LINKER).is_some() || tools::find("wasm-ld").is_some() || own().is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_this_crate_is_the_artifact() {
        let message = |folder: &str, files: &[&str]| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": format!("{folder}/Cargo.toml"), "filenames": files,
            })
            .to_string()
        };
        let folder = Path::new("/guests/shout");
        let messages = [
            message("/guests/other", &["/t/other.wasm"]),
            message("/guests/shout", &["/t/libshout.rlib", "/t/shout.wasm"]),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
            "no JSON".to_owned(),
        ];
        assert_eq!(
            artifact(&messages.join("\n"), folder, "wasm"),
            Some("/t/shout.wasm".into())
        );
        assert_eq!(artifact(&messages[0], folder, "wasm"), None);
        let library_only = message("/guests/shout", &["/t/libshout.rlib"]);
        assert_eq!(artifact(&library_only, folder, "wasm"), None);
    }

    #[test]
    fn the_source_and_the_linker_are_looked_for_where_compilers_keep_them() {
        let sysroot = tempfile::tempdir().unwrap();
        let at = |name: &str| sysroot.path().join(name);
        assert!(!has_source(sysroot.path()));
        fs::create_dir_all(at("lib/rustlib/src/rust/library/std")).unwrap();
        fs::write(at("lib/rustlib/src/rust/library/std/Cargo.toml"), "").unwrap();
        assert!(has_source(sysroot.path()));
    }
}
