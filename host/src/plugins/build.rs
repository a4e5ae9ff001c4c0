//! Builds a plugin into one file with its manifest inside. For the sandbox, [`rust`], [`c`] and [`python`] make a component
//! with the tools of their language, [`component`] holds it against its manifest, [`wit`] has the interface that all of them
//! are built against; [`native`] makes a library. No code of the plugin runs here, except that Python's tool imports the
//! module.

pub(crate) mod c;
mod component;
mod native;
mod python;
mod rust;
mod tools;
pub(crate) mod wit;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use codex_plugin_api::{Context, Error, Kind, Manifest, Result};
use semver::Version;

use super::search::MANIFEST;
use crate::app::App;
use component::Wasi;
use wit::World;

/// What to build, and where the component goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The folder with `plugin.toml` and the sources.
    pub(crate) folder: &'a Path,
    /// The file to write; in the folder, called `<id>.wasm` or as the system calls libraries, where none is given.
    pub(crate) output: Option<&'a Path>,
}

/// What was built.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) id: String,
    pub(crate) version: Version,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) language: Language,
    /// Whether it is a library that the host opens, not a component for the sandbox.
    pub(crate) native: bool,
    pub(crate) file: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
}

/// The languages that guests are built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Rust,
    C,
    Python,
}

impl Language {
    /// The language of the sources that lie directly in a folder.
    fn of(folder: &Path) -> Result<Self> {
        let names = file_names(folder)?;
        let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
        if names.iter().any(|name| name == "Cargo.toml") {
            Ok(Self::Rust)
        } else if ends(".c") {
            Ok(Self::C)
        } else if ends(".py") {
            Ok(Self::Python)
        } else {
            Err(
                Error::config(format!("there is nothing to build in {}", folder.display()))
                    .hint("a guest is a folder with Cargo.toml (Rust), *.c (C) or *.py (Python) beside plugin.toml"),
            )
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Python => "Python",
        })
    }
}

/// What the languages' builders get.
struct Job<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    kinds: &'a [Kind],
    /// An empty folder that is gone afterwards.
    scratch: &'a Path,
    app: &'a App,
}

/// Builds the guest in a folder.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when the folder, its manifest or what the code imports is wrong,
/// [`codex_plugin_api::ErrorKind::Failed`] when a tool is missing or fails. No file is written then.
pub(crate) fn build(request: Request<'_>, app: &App) -> Result<Built> {
    let start = Instant::now();
    let folder = std::path::absolute(request.folder)
        .or_error(|| Error::config(format!("cannot build {}", request.folder.display())))?;
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).or_error(|| {
        Error::config(format!("cannot read {}", path.display())).hint(
            "give the folder of a guest: it holds plugin.toml, which docs/writing-plugins.md describes",
        )
    })?;
    let manifest = Manifest::parse(&text, &path.display().to_string())?;
    let kinds = kinds(&manifest);
    let language = Language::of(&folder)?;
    let scratch = tempfile::Builder::new()
        .prefix("codex-ml-build-")
        .tempdir()
        .or_error(|| Error::failed("cannot create a temporary folder"))?;
    let job = Job {
        folder: &folder,
        manifest: &manifest,
        kinds: &kinds,
        scratch: scratch.path(),
        app,
    };
    let native = language == Language::Rust && native::is_native(&folder);
    let plugin = if native {
        native::build(&job)?
    } else {
        sandboxed(language, &job, &text)?
    };
    let id = manifest.plugin.id.clone();
    let file = match request.output {
        Some(output) => output.to_owned(),
        None if native => request.folder.join(native::file_name(&manifest)),
        None => request.folder.join(format!("{id}.wasm")),
    };
    write(&file, &plugin)?;
    Ok(Built {
        id,
        version: manifest.plugin.version.clone(),
        kinds,
        language,
        native,
        file,
        bytes: plugin.len() as u64,
        time: start.elapsed(),
    })
}

/// Builds a component for the sandbox.
fn sandboxed(language: Language, job: &Job<'_>, manifest: &str) -> Result<Vec<u8>> {
    let (component, wasi) = match language {
        Language::Rust => (component::encode(&rust::build(job)?)?, Wasi::Refused),
        Language::C => (component::encode(&c::build(job)?)?, Wasi::Refused),
        Language::Python => (python::build(job)?, Wasi::Allowed),
    };
    let plugin = component::embed(component, manifest);
    component::check(&plugin, job.manifest, wasi)?;
    Ok(plugin)
}

/// The kinds that a manifest names, each once.
fn kinds(manifest: &Manifest) -> Vec<Kind> {
    let named = |kind: &Kind| manifest.components.iter().any(|entry| entry.kind == *kind);
    Kind::ALL.into_iter().filter(named).collect()
}

/// Writes a file whole or not at all: a host may have the old one open.
fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || {
        Error::failed(format!("cannot write {}", file.display()))
            .hint("give another file with --output")
    };
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut staged = tempfile::Builder::new()
        .prefix(".codex-ml-build-")
        .tempfile_in(folder)
        .or_error(failed)?;
    std::io::Write::write_all(&mut staged, bytes).or_error(failed)?;
    #[cfg(unix)]
    {
        // A temporary file is its owner's alone; a plugin is to be handed on.
        let shared = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        staged.as_file().set_permissions(shared).or_error(failed)?;
    }
    staged.persist(file).or_error(failed)?;
    Ok(())
}

/// The names of the files directly in a folder, in alphabetical order.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let failed = || Error::config(format!("cannot read the folder {}", folder.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).or_error(failed)? {
        let entry = entry.or_error(failed)?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().is_file()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
