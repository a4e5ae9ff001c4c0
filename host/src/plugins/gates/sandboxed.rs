//! The gates for components in WebAssembly: their manifest, the version of the interfaces that they export and import,
//! and that they export every kind that the manifest declares. Nothing is compiled.

use std::path::Path;

use codex_plugin_api::{API_VERSION, Kind, Manifest};
use semver::Version;

use super::{Build, Passed, Stopped, api_refusal, check_requirement};
use crate::plugins::refusal::{Refusal, Step};
use crate::plugins::search::MANIFEST;
use crate::plugins::wasm::file::{self, ComponentFile};

const BUILD: &str = "build it again (codex-ml plugin build DIR)";

/// What stands before an interface's name.
const PACKAGE: &str = "codex:plugin/";

/// What passed the gates: what the host knows of it, the text of its manifest, and the bytes that all this was read from.
pub(in crate::plugins) struct Examined {
    pub(in crate::plugins) passed: Passed,
    pub(in crate::plugins) manifest: String,
    pub(in crate::plugins) bytes: Vec<u8>,
}

pub(in crate::plugins) fn examine(path: &Path) -> Result<Examined, Stopped> {
    let stop = |refusal: Refusal, manifest: Option<&Manifest>| Stopped {
        refusal,
        manifest: manifest.map(|manifest| Box::new(manifest.clone())),
    };
    let unread = |reason| stop(Refusal::new(path, Step::Read, reason, BUILD), None);
    let bytes = file::read(path).map_err(unread)?;
    let file = file::parse(&bytes).map_err(unread)?;
    let Some(text) = file.manifest.clone() else {
        let reason = "it is a component, but not a codex-ml plugin: it holds no manifest";
        return Err(stop(Refusal::new(path, Step::Stamp, reason, BUILD), None));
    };
    let parsed = Manifest::parse(&text, MANIFEST);
    // Another generation of the interface may write its manifest in ways that this host cannot judge.
    let version = match check_versions(&file) {
        Ok(version) => version,
        Err(reason) => return Err(stop(api_refusal(path, reason), parsed.ok().as_ref())),
    };
    let manifest = parsed.map_err(|error| {
        let refusal = Refusal::from_error(path, Step::Manifest, &error, BUILD);
        stop(refusal, None)
    })?;
    if let Err(refusal) = check_requirement(path, &manifest) {
        return Err(stop(refusal, Some(&manifest)));
    }
    if let Some(kind) = missing(&file, &manifest) {
        let reason = format!(
            "its manifest declares a {kind}, and it does not export {PACKAGE}{kind}@{API_VERSION}"
        );
        let hint = "export that interface, or take its [[component]] out of plugin.toml, and build it again";
        return Err(stop(
            Refusal::new(path, Step::Components, reason, hint),
            Some(&manifest),
        ));
    }
    let build = Build {
        api_version: version,
        rustc: String::new(),
        target: "wasm".into(),
    };
    let passed = Passed {
        library: path.to_owned(),
        manifest,
        build,
    };
    Ok(Examined {
        passed,
        manifest: text,
        bytes,
    })
}

/// The highest version of our interfaces that it uses, when this host has all of them.
fn check_versions(file: &ComponentFile) -> Result<String, String> {
    let host = Version::parse(API_VERSION).map_err(|error| error.to_string())?;
    let mut highest = Version::new(host.major, 0, 0);
    for name in file.exports.iter().chain(&file.imports) {
        let Some((interface, version)) = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.split_once('@'))
        else {
            continue;
        };
        let built = Version::parse(version)
            .map_err(|_| format!("it uses {PACKAGE}{interface} of version {version:?}"))?;
        if built.major != host.major || built.minor > host.minor {
            return Err(format!(
                "it was built for plugin API {built} ({PACKAGE}{interface}), this host has {API_VERSION}"
            ));
        }
        highest = highest.max(built);
    }
    Ok(highest.to_string())
}

fn missing(file: &ComponentFile, manifest: &Manifest) -> Option<Kind> {
    let exported = |kind: Kind| {
        let prefix = format!("{PACKAGE}{kind}@");
        file.exports.iter().any(|name| name.starts_with(&prefix))
    };
    let mut kinds = manifest.components.iter().map(|entry| entry.kind);
    kinds.find(|&kind| !exported(kind))
}
