//! What a package holds: its list, and which file is what.

use std::collections::BTreeMap;

use codex_plugin_api::{Error, Manifest, Result};
use serde::{Deserialize, Serialize};

use super::{FORMAT, LIST, Limits, MANIFEST};
use crate::entry::{ANY_TARGET, Artifact, Entry, FileDigest};
use crate::names::{PathSet, check_path};

/// `package.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    pub(super) format: u32,
    pub(super) files: Vec<Listed>,
}

/// A file of the list.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

/// A package whose every byte was checked against its list.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// Size and digest of the archive.
    pub archive: FileDigest,
    /// The files without the list, by path.
    pub files: BTreeMap<String, FileDigest>,
    /// The manifest.
    pub manifest: Manifest,
    /// Its text.
    pub manifest_text: String,
}

impl List {
    /// Reads the list and checks everything that it declares, before any file is read. `archive` is the size of the
    /// whole archive.
    pub(super) fn parse(bytes: &[u8], archive: u64, limits: &Limits) -> Result<Self> {
        let bad = |why: String| Error::data(format!("{LIST}: {why}"));
        let format: Format =
            serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if format.format != FORMAT {
            return Err(bad(format!("format {} is not known", format.format))
                .hint("a newer codex-ml may read it"));
        }
        let list: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if list.files.len() > limits.files {
            return Err(bad(format!(
                "{} files, and {} are allowed",
                list.files.len(),
                limits.files
            )));
        }
        let mut paths = PathSet::default();
        let mut total = 0_u64;
        for file in &list.files {
            check_path(&file.path, limits.path)?;
            paths.insert(&file.path)?;
            check_place(&file.path)?;
            if !file.digest().is_well_formed() {
                return Err(bad(format!("{:?} has no SHA-256", file.path)));
            }
            total = total.saturating_add(file.size);
        }
        if !list.files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(bad("the files are not sorted".into()));
        }
        if total > limits.unpacked {
            return Err(bad(format!(
                "the files have {total} bytes, and {} are allowed",
                limits.unpacked
            )));
        }
        if total > Limits::RATIO_FROM && total > archive.saturating_mul(limits.ratio) {
            return Err(bad(format!(
                "{archive} bytes would become {total}, more than {} times as many",
                limits.ratio
            )));
        }
        Ok(list)
    }
}

/// The format alone, so that a list of another format is named as such whatever else it holds.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Listed {
    pub(super) fn digest(&self) -> FileDigest {
        FileDigest {
            size: self.size,
            sha256: self.sha256.clone(),
        }
    }
}

/// Checks that a file has a place in a package: nothing is carried that nobody looks at.
fn check_place(path: &str) -> Result<()> {
    let known = match path.split('/').collect::<Vec<_>>().as_slice() {
        [name] => {
            let upper = name.to_ascii_uppercase();
            let texts = [
                "LICENSE",
                "LICENCE",
                "COPYING",
                "NOTICE",
                "README",
                "CHANGELOG",
            ];
            *name == MANIFEST || texts.iter().any(|text| upper.starts_with(text))
        }
        ["artifacts", target, _] => is_target(target),
        ["schemas", name] => name.strip_suffix(".json").is_some(),
        _ => false,
    };
    if known {
        return Ok(());
    }
    Err(Error::data(format!("path {path:?} has no place in a package")).hint(
        "a package holds plugin.toml, artifacts/<target>/<file>, schemas/<name>.json, README*, LICENSE*, NOTICE*, COPYING*, CHANGELOG*",
    ))
}

/// Whether a text could be a target triple, or the target of components.
fn is_target(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    text == ANY_TARGET || text.contains('-') && text.chars().all(good)
}

/// The target of a native library, by its path in a package.
pub(super) fn native_target(path: &str) -> Option<&str> {
    let (target, _) = path.strip_prefix("artifacts/")?.split_once('/')?;
    (target != ANY_TARGET).then_some(target)
}

impl Contents {
    /// Puts together what was read, and checks that it is a plugin.
    pub(super) fn new(
        archive: FileDigest,
        files: BTreeMap<String, FileDigest>,
        manifest: Option<Vec<u8>>,
    ) -> Result<Self> {
        let bytes = manifest.ok_or_else(|| Error::data(format!("there is no {MANIFEST}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::data(format!("{MANIFEST} is not UTF-8")))?;
        let contents = Self {
            archive,
            files,
            manifest: Manifest::parse(&text, MANIFEST)?,
            manifest_text: text,
        };
        contents.check_artifacts()?;
        Ok(contents)
    }

    fn check_artifacts(&self) -> Result<()> {
        let paths = self
            .files
            .keys()
            .filter(|path| path.starts_with("artifacts/"));
        let (artifacts, count) = (self.artifacts(), paths.count());
        if artifacts.is_empty() {
            return Err(Error::data(
                "there is no artifact: nothing under artifacts/",
            ));
        }
        if artifacts.len() != count {
            return Err(Error::data("a target has more than one artifact"));
        }
        if artifacts.contains_key(ANY_TARGET) && artifacts.len() > 1 {
            return Err(Error::data(
                "a component for every target stands beside artifacts of single targets",
            ));
        }
        let wasm = format!("artifacts/{ANY_TARGET}/{}.wasm", self.manifest.plugin.id);
        match artifacts.get(ANY_TARGET) {
            Some(artifact) if artifact.path != wasm => Err(Error::data(format!(
                "the component is {:?} instead of {wasm:?}",
                artifact.path
            ))),
            _ => Ok(()),
        }
    }

    /// The artifacts by target.
    pub fn artifacts(&self) -> BTreeMap<String, Artifact> {
        let artifact = |(path, digest): (&String, &FileDigest)| {
            let target = path
                .strip_prefix("artifacts/")?
                .split('/')
                .next()?
                .to_owned();
            Some((
                target,
                Artifact {
                    path: path.clone(),
                    digest: digest.clone(),
                },
            ))
        };
        self.files.iter().filter_map(artifact).collect()
    }

    /// What a registry says of this package: the text to sign is its JSON.
    pub fn entry(&self) -> Entry {
        let plugin = &self.manifest.plugin;
        Entry {
            name: plugin.id.clone(),
            version: plugin.version.clone(),
            api: plugin.api.clone(),
            description: plugin.description.clone(),
            license: plugin.license.clone(),
            components: self
                .manifest
                .components
                .iter()
                .map(|component| (component.kind, component.name.clone()))
                .collect(),
            dependencies: self.manifest.dependencies.clone(),
            permissions: self.manifest.permissions.clone(),
            archive: self.archive.clone(),
            artifacts: self.artifacts(),
        }
    }

    /// The usual file name of this package.
    pub fn file_name(&self) -> String {
        let plugin = &self.manifest.plugin;
        file_name(&plugin.id, &plugin.version)
    }
}

/// The file name of a version's package.
pub fn file_name(name: &str, version: &semver::Version) -> String {
    format!("{name}-{version}{}", super::EXTENSION)
}
