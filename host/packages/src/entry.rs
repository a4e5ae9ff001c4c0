//! What a registry says of one version of a plugin: the text that its author signs.

use std::collections::BTreeMap;

use codex_plugin_api::{Kind, Permissions};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

/// The target of an artifact that runs everywhere: a WebAssembly component.
pub const ANY_TARGET: &str = "wasm";

/// One version of a plugin. Its JSON text is signed as it stands, so nothing has to be put into a canonical form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The plugin's id.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Which versions of the plugin API it works with.
    pub api: VersionReq,
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// What it offers: kind and name of each component.
    pub components: Vec<(Kind, String)>,
    /// The plugins that it needs, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependencies: BTreeMap<String, VersionReq>,
    /// What it asks for, as its manifest says.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    pub permissions: Permissions,
    /// The archive.
    pub archive: FileDigest,
    /// The file of each target in the archive, by target triple, or [`ANY_TARGET`] alone.
    pub artifacts: BTreeMap<String, Artifact>,
}

/// The file of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its path in the archive, with `/`.
    pub path: String,
    /// Size and digest.
    #[serde(flatten)]
    pub digest: FileDigest,
}

/// Size and digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// An entry's text with what its author signed it with: a line of the plugin's index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedEntry {
    /// The JSON of an [`Entry`], as it was signed.
    pub entry: String,
    /// The minisign signature of that text.
    pub signature: String,
}

impl Entry {
    /// Whether one of its artifacts runs on `target`.
    pub fn runs_on(&self, target: &str) -> bool {
        self.artifact(target).is_some()
    }

    /// The file for `target`.
    pub fn artifact(&self, target: &str) -> Option<&Artifact> {
        self.artifacts
            .get(ANY_TARGET)
            .or_else(|| self.artifacts.get(target))
    }

    /// Whether its code has the user's whole authority.
    pub fn is_native(&self) -> bool {
        !self.artifacts.contains_key(ANY_TARGET)
    }
}
