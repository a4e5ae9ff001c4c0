//! The gates that a candidate passes before any of its code runs: read, stamp, manifest, api, target. The sixth, name,
//! compares candidates with each other and is [`super::discover`]'s; loading is [`super::registry`]'s.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};

use codex_packages::entry::ANY_TARGET;
use codex_packages::native_library::check_file;
use codex_plugin_api::abi::stamp::{SECTION_NAMES, Stamp};
use codex_plugin_api::abi::v1;
use codex_plugin_api::{API_VERSION, Manifest};
use semver::Version;
use serde::{Deserialize, Serialize};

use super::object_file::{self, ObjectFile};
use super::refusal::{Refusal, Step};
use super::search::{Candidate, MANIFEST};

const REBUILD: &str =
    "build it again (cargo build --release) and install it again (codex-ml plugin install PATH)";
const NO_PLUGIN: &str = "if it is meant to be a plugin, its crate must call codex_plugin_api::plugin!; otherwise take it out of the plugin folder";

/// With what a plugin was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of `codex-plugin-api`.
    pub api_version: String,
    /// Compiler.
    pub rustc: String,
    /// Target triple.
    pub target: String,
}

/// A candidate that passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The library's file.
    pub library: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// With what it was built.
    pub build: Build,
}

/// A candidate that was stopped, with its manifest where that could be read: it tells which names are missing because
/// of the refusal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stopped {
    /// Where and why.
    pub refusal: Refusal,
    /// What it would have offered.
    pub manifest: Option<Box<Manifest>>,
}

/// What the gates said, and which files they looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// The files and folders on which the outcome depends.
    pub(super) files: Vec<PathBuf>,
    /// Passed or stopped.
    pub(super) outcome: Result<Passed, Stopped>,
}

/// Takes a candidate through all gates.
pub(super) fn examine(candidate: &Candidate) -> Verdict {
    let mut files = vec![candidate.path.clone()];
    let outcome = if candidate.is_folder {
        examine_folder(&candidate.path, &mut files)
    } else {
        examine_file(&candidate.path).map(|(passed, _)| passed)
    };
    Verdict { files, outcome }
}

fn examine_folder(folder: &Path, files: &mut Vec<PathBuf>) -> Result<Passed, Stopped> {
    let manifest_path = folder.join(MANIFEST);
    files.push(manifest_path.clone());
    let stop = |step, reason: String, hint: &str, manifest: Option<&Manifest>| Stopped {
        refusal: Refusal::new(folder, step, reason, hint),
        manifest: manifest.map(|manifest| Box::new(manifest.clone())),
    };
    let text = fs::read_to_string(&manifest_path).map_err(|error| {
        stop(
            Step::Manifest,
            format!("{MANIFEST} cannot be read: {error}"),
            REBUILD,
            None,
        )
    })?;
    let manifest = Manifest::parse(&text, MANIFEST).map_err(|error| Stopped {
        refusal: Refusal::from_error(folder, Step::Manifest, &error, REBUILD),
        manifest: None,
    })?;
    let library = find_library(folder, &manifest).map_err(|reason| {
        stop(
            Step::Read,
            reason,
            "build the library and install the folder again",
            Some(&manifest),
        )
    })?;
    files.push(library.clone());
    let (passed, _) = examine_file(&library).map_err(|mut stopped| {
        if matches!(stopped.refusal.step, Step::Read | Step::Stamp) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            stopped.refusal.hint =
                format!("install it again (codex-ml plugin install PATH) or remove it (codex-ml plugin remove {name})");
        }
        Stopped { manifest: stopped.manifest.or_else(|| Some(Box::new(manifest.clone()))), ..stopped }
    })?;
    if passed.manifest != manifest {
        let reason = format!(
            "{MANIFEST} ({} {}) is not the one inside {} ({} {})",
            manifest.plugin.id,
            manifest.plugin.version,
            library.display(),
            passed.manifest.plugin.id,
            passed.manifest.plugin.version
        );
        return Err(stop(Step::Manifest, reason, REBUILD, Some(&manifest)));
    }
    Ok(passed)
}

/// The library of a plugin's folder: the one that the manifest names, or the only one, or the one named after the plugin.
pub(super) fn find_library(folder: &Path, manifest: &Manifest) -> Result<PathBuf, String> {
    if let Some(name) = &manifest.plugin.library {
        let unpacked = artifacts_of(folder);
        let path = unpacked.as_deref().unwrap_or(folder).join(name);
        // The manifest's check keeps `..` out; a link could still lead away.
        return match (path.canonicalize(), folder.canonicalize()) {
            (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(format!(
                "plugin.library {name:?} leaves the plugin's folder"
            )),
            (Ok(_), Ok(_)) => Ok(path),
            (Err(error), _) | (_, Err(error)) => {
                Err(format!("the library {name} cannot be read: {error}"))
            }
        };
    }
    let unpacked = artifacts_of(folder);
    let folder = unpacked.as_deref().unwrap_or(folder);
    let entries =
        fs::read_dir(folder).map_err(|error| format!("the folder cannot be read: {error}"))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(DLL_SUFFIX) || is_component(Path::new(name)))
        .collect();
    names.sort();
    let word = manifest.plugin.id.replace('-', "_");
    let usual = [
        format!("{}.wasm", manifest.plugin.id),
        format!("{DLL_PREFIX}codex_plugin_{word}{DLL_SUFFIX}"),
        format!("{DLL_PREFIX}{word}{DLL_SUFFIX}"),
    ];
    match names.as_slice() {
        [] => Err(format!(
            "there is no library ({DLL_SUFFIX} or .wasm) beside {MANIFEST}"
        )),
        [only] => Ok(folder.join(only)),
        several => usual
            .iter()
            .find(|name| several.contains(name))
            .map(|name| folder.join(name))
            .ok_or_else(|| {
                format!(
                    "several libraries lie beside {MANIFEST} ({}) and plugin.library names none",
                    several.join(", ")
                )
            }),
    }
}

/// Where the file for this host lies in an unpacked package, which has one for each target.
fn artifacts_of(folder: &Path) -> Option<PathBuf> {
    let artifacts = folder.join("artifacts");
    [ANY_TARGET, codex_plugin_api::abi::TARGET]
        .into_iter()
        .map(|target| artifacts.join(target))
        .find(|folder| folder.is_dir())
}

/// Whether a file is a plugin in WebAssembly, by its name.
pub(crate) fn is_component(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "wasm")
}

/// Takes a library or a component through the gates; also gives the text of its manifest.
pub(super) fn examine_file(path: &Path) -> Result<(Passed, String), Stopped> {
    if is_component(path) {
        return sandboxed::examine(path).map(|found| (found.passed, found.manifest));
    }
    examine_library(path).map(|(stamp, passed)| (passed, stamp.manifest))
}

/// Takes a library through the gates; also gives its stamp, which the loader needs.
pub(super) fn examine_library(path: &Path) -> Result<(Stamp, Passed), Stopped> {
    let stop = |step, reason: String, hint: &str| Stopped {
        refusal: Refusal::new(path, step, reason, hint),
        manifest: None,
    };
    let file = object_file::read(path, &SECTION_NAMES).map_err(|reason| {
        stop(
            Step::Read,
            reason,
            "build or copy it again; what is no plugin does not belong into a plugin folder",
        )
    })?;
    let bytes = file.section.as_deref().ok_or_else(|| {
        stop(
            Step::Stamp,
            "it is a library, but not a codex-ml plugin".into(),
            NO_PLUGIN,
        )
    })?;
    let stamp = Stamp::parse(bytes).map_err(|error| Stopped {
        refusal: Refusal::from_error(path, Step::Stamp, &error, REBUILD),
        manifest: None,
    })?;
    // A plugin of another generation may write its manifest in ways that this host cannot judge.
    if let Err(reason) = check_api(&stamp) {
        return Err(Stopped {
            refusal: api_refusal(path, reason),
            manifest: stamp.manifest(MANIFEST).ok().map(Box::new),
        });
    }
    let manifest = stamp.manifest(MANIFEST).map_err(|error| Stopped {
        refusal: Refusal::from_error(path, Step::Manifest, &error, REBUILD),
        manifest: None,
    })?;
    if let Err(refusal) =
        check_requirement(path, &manifest).and_then(|()| check_target(path, &file, &stamp))
    {
        return Err(Stopped {
            refusal,
            manifest: Some(Box::new(manifest)),
        });
    }
    let build = Build {
        api_version: stamp.api_version.clone(),
        rustc: stamp.rustc.clone(),
        target: stamp.target.clone(),
    };
    Ok((
        stamp,
        Passed {
            library: path.to_owned(),
            manifest,
            build,
        },
    ))
}

fn api_refusal(path: &Path, reason: String) -> Refusal {
    let hint = format!(
        "rebuild it with codex-plugin-api {API_VERSION}, or use a codex-ml that fits the plugin"
    );
    Refusal::new(path, Step::Api, reason, hint)
}

/// A plugin built against 1.N works in every host 1.M with M ≥ N.
fn check_api(stamp: &Stamp) -> Result<(), String> {
    let built = &stamp.api_version;
    let fits = match (Version::parse(built), Version::parse(API_VERSION)) {
        (Ok(built), Ok(host)) => built.major == host.major && built.minor <= host.minor,
        _ => false,
    };
    let (major, minor) = stamp.abi;
    if !fits || major != v1::MAJOR || minor > v1::MINOR {
        return Err(format!(
            "it was built for plugin API {built} (ABI {major}.{minor}), this host has {API_VERSION} (ABI {}.{})",
            v1::MAJOR,
            v1::MINOR
        ));
    }
    Ok(())
}

fn check_requirement(path: &Path, manifest: &Manifest) -> Result<(), Refusal> {
    let wanted = &manifest.plugin.api;
    if Version::parse(API_VERSION).is_ok_and(|host| wanted.matches(&host)) {
        return Ok(());
    }
    Err(api_refusal(
        path,
        format!("it asks for plugin API {wanted}, this host has {API_VERSION}"),
    ))
}

fn check_target(path: &Path, file: &ObjectFile, stamp: &Stamp) -> Result<(), Refusal> {
    let system = object_file::native_format();
    let processor = object_file::native_architecture();
    let host = codex_plugin_api::abi::TARGET;
    let reason = if file.format != system
        || processor.is_some_and(|processor| file.architecture != processor)
    {
        let built = object_file::target_words(file.format, file.architecture);
        format!(
            "it was built for {built} ({}), this host runs on {host}",
            stamp.target
        )
    } else if let Err(error) = check_file(path, &stamp.target) {
        // The loader would take it; who says the wrong thing of its own file is believed in nothing else.
        format!(
            "its stamp names the target {}, but {}",
            stamp.target,
            error.message()
        )
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        path,
        Step::Target,
        reason,
        format!("build it for this machine: cargo build --release --target {host}"),
    ))
}

pub(super) mod sandboxed;
#[cfg(test)]
mod tests;
