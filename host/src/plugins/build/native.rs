//! Native plugins in Rust: cargo for this system, and a look at what came out.

use std::env::consts::{DLL_EXTENSION, DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::Path;
use std::process::Command;

use codex_plugin_api::{Context, Error, Manifest, Result};

use super::{Job, rust, tools};
use crate::plugins::gates;
use crate::plugins::search::MANIFEST;

/// The crate that makes a library a plugin.
const API: &str = "codex-plugin-api";

/// Whether the crate in a folder depends on the plugin API. What runs in the sandbox depends on bindings instead.
pub(super) fn is_native(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let manifest: toml::Table = text.parse().unwrap_or_default();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    dependencies.is_some_and(|dependencies| {
        let is_api = |(name, dependency): (&String, &toml::Value)| {
            let package = dependency.get("package").and_then(toml::Value::as_str);
            package.unwrap_or(name) == API
        };
        dependencies.iter().any(is_api)
    })
}

/// The name under which an install folder's library is found.
pub(super) fn file_name(manifest: &Manifest) -> String {
    let word = manifest.plugin.id.replace('-', "_");
    format!("{DLL_PREFIX}{word}{DLL_SUFFIX}")
}

/// Builds the crate's library; gives the file's bytes.
pub(super) fn build(job: &Job<'_>) -> Result<Vec<u8>> {
    let cargo = tools::find("cargo").ok_or_else(|| {
        Error::failed("there is no Rust compiler").hint("install Rust: https://rustup.rs")
    })?;
    job.app.output.note(format!(
        "building {} with {}",
        job.manifest.plugin.id,
        cargo.display()
    ));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--lib"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(job.folder);
    let hint = "mend what the compiler names; cargo build --release in that folder shows it again";
    let messages = tools::run(&mut command, hint, job.app)?;
    let messages = String::from_utf8_lossy(&messages);
    let file = rust::artifact(&messages, job.folder, DLL_EXTENSION).ok_or_else(|| {
        Error::config(format!(
            "{} makes no library that can be opened",
            job.folder.join("Cargo.toml").display()
        ))
        .hint("give it a library of the type cdylib: [lib] crate-type = [\"cdylib\"]")
    })?;
    // Nothing of it runs: the stamp tells whether it is a plugin.
    let (passed, _) = gates::examine_file(&file).map_err(|stopped| {
        let error = stopped.refusal.to_error();
        Error::config(error.message().to_owned()).hint(
            "name its components in one codex_plugin_api::plugin! line, and mend plugin.toml where the error names it",
        )
    })?;
    if passed.manifest != *job.manifest {
        return Err(Error::failed(format!(
            "{MANIFEST} changed while {} was built",
            job.manifest.plugin.id
        ))
        .hint("build it again"));
    }
    fs::read(&file).or_error(|| Error::failed(format!("cannot read {}", file.display())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_native_when_it_depends_on_the_plugin_api() {
        let folder = tempfile::tempdir().unwrap();
        for (dependencies, native) in [
            ("codex-plugin-api = { path = \"../api\" }", true),
            ("codex-plugin-api.workspace = true", true),
            (
                "api = { package = \"codex-plugin-api\", git = \"x\" }",
                true,
            ),
            ("wit-bindgen = \"0.60\"", false),
            ("", false),
            ("no toml", false),
        ] {
            let text = format!("[package]\nname = \"x\"\n[dependencies]\n{dependencies}\n");
            fs::write(folder.path().join("Cargo.toml"), text).unwrap();
            assert_eq!(is_native(folder.path()), native, "{dependencies}");
        }
    }
}
