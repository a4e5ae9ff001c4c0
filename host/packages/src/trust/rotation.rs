//! A plugin's name handed from one key to another: by the old key, so that only who held the name can give it away.

use codex_plugin_api::Result;
use serde::{Deserialize, Serialize};

use crate::keys;

/// A name that was handed to another key: a line of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedRotation {
    /// The JSON of a [`Rotation`], as it was signed.
    pub rotation: String,
    /// The signature of that text by the old key.
    pub signature: String,
}

/// Which key follows which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The plugin.
    pub name: String,
    /// The id of the key that signed this.
    pub old_key_id: String,
    /// The public key from now on.
    pub new_key: String,
}

/// Whether `new` is the successor of `old` for a name: each step signed by the key before it. Lines that are about
/// another plugin, or that nobody of the chain signed, are passed over: an index may hold anything.
pub(super) fn leads(
    name: &str,
    old: &str,
    new: &str,
    rotations: &[SignedRotation],
) -> Result<bool> {
    let mut current = old.to_owned();
    for line in rotations {
        let Ok(rotation) = serde_json::from_str::<Rotation>(&line.rotation) else {
            continue;
        };
        if rotation.name != name || rotation.old_key_id != keys::key_id(&current)? {
            continue;
        }
        if keys::verify(&current, line.rotation.as_bytes(), &line.signature).is_ok() {
            current = rotation.new_key;
            if keys::key_id(&current).is_err() {
                return Ok(false);
            }
        }
    }
    Ok(current == new)
}
