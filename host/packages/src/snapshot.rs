//! The signed list of everything a registry says at one time: which files, with which content, until when.
//!
//! It is what makes an old or mixed state of a registry recognisable: its number only grows, and it expires.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use codex_plugin_api::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use crate::entry::FileDigest;
use crate::keys::{PublicKey, SecretKey};

/// The file's name in a registry.
pub const FILE: &str = "snapshot.json";

/// The name of its signature.
pub const SIGNATURE: &str = "snapshot.json.minisig";

/// Bytes of the file; enough for half a million plugins.
pub const MAX_SNAPSHOT: u64 = 64 << 20;

/// The version of a registry's format.
pub const FORMAT: u32 = 1;

/// `snapshot.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`FORMAT`].
    pub format: u32,
    /// The registry's name, so that one key may sign for several registries.
    pub registry: String,
    /// Grows with every change.
    pub version: u64,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// When it is believed no longer, in RFC 3339.
    pub expires: String,
    /// Every file of the registry but the archives, whose digests stand in the entries.
    pub files: BTreeMap<String, FileDigest>,
}

impl Snapshot {
    /// Its text and its signature.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn sign(&self, key: &SecretKey) -> Result<(String, String)> {
        let mut text = serde_json::to_string_pretty(self)
            .or_error(|| Error::failed("cannot write a snapshot"))?;
        text.push('\n');
        let comment = format!("codex-ml snapshot {} of {}", self.version, self.registry);
        let signature = key.sign(text.as_bytes(), &comment)?;
        Ok((text, signature))
    }

    /// Reads a snapshot that `root` has signed. Whether it is too old is another question.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Denied`] when it was not signed by `root`, [`codex_plugin_api::ErrorKind::Data`]
    /// when it is of another format.
    pub fn verified(text: &[u8], signature: &[u8], root: &PublicKey) -> Result<Self> {
        let signature = std::str::from_utf8(signature)
            .or_error(|| Error::denied(format!("{SIGNATURE} is not text")))?;
        root.verify(text, signature).map_err(|error| {
            let message = format!("{FILE}: {}", error.message());
            error.with_message(message).hint("what it says now cannot be believed: ask its owner; if its root key has changed, codex-ml registry connect NAME ADDRESS --key NEW")
        })?;
        // The format is asked for first: a later one may be otherwise in everything else.
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = || Error::data(format!("{FILE} is damaged"));
        let Format { format } = serde_json::from_slice(text).or_error(damaged)?;
        if format != FORMAT {
            return Err(Error::data(format!(
                "{FILE} has format {format}, and this codex-ml reads {FORMAT}"
            ))
            .hint("a newer codex-ml may read it"));
        }
        serde_json::from_slice(text).or_error(damaged)
    }

    /// Whether it is believed no longer at `now`; a time that cannot be read is in the past.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        humantime::parse_rfc3339(&self.expires).map_or(true, |expires| expires <= now)
    }

    /// What it says of a file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the file is not listed.
    pub fn file(&self, path: &str) -> Result<&FileDigest> {
        self.files.get(path).ok_or_else(|| {
            Error::data(format!(
                "{FILE} of registry {} does not list {path}",
                self.registry
            ))
        })
    }
}

/// A time as a registry's files write it.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Some time after another, without leaving the range of times that can be written.
pub fn later(time: SystemTime, span: Duration) -> SystemTime {
    // The year 9999 is the last that the format can write.
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    time.checked_add(span).map_or(last, |time| time.min(last))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            format: FORMAT,
            registry: "acme".into(),
            version: 7,
            created: "2026-01-01T00:00:00Z".into(),
            expires: "2026-02-01T00:00:00Z".into(),
            files: [("registry.json".to_owned(), FileDigest::of(b"x"))].into(),
        }
    }

    #[test]
    fn only_what_the_root_key_signed_is_read() {
        let (root, other) = (
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        );
        let (text, signature) = snapshot().sign(&root).unwrap();
        let read =
            Snapshot::verified(text.as_bytes(), signature.as_bytes(), root.public()).unwrap();
        assert_eq!(read, snapshot());
        let changed = text.replace(": 7", ": 8");
        for (text, signature, key) in [
            (&changed, signature.as_bytes(), root.public()),
            (&text, signature.as_bytes(), other.public()),
            (&text, b"\xff\xfe".as_slice(), root.public()),
        ] {
            let error = Snapshot::verified(text.as_bytes(), signature, key).unwrap_err();
            assert!(error.message().starts_with("snapshot.json"), "{error}");
        }
    }

    #[test]
    fn another_format_is_named_even_when_nothing_else_fits() {
        let root = SecretKey::generate().unwrap();
        let text = br#"{"format": 2}"#;
        let signature = root.sign(text, "").unwrap();
        let error = Snapshot::verified(text, signature.as_bytes(), root.public()).unwrap_err();
        assert_eq!(
            error.message(),
            "snapshot.json has format 2, and this codex-ml reads 1"
        );
    }

    #[test]
    fn it_expires_and_a_time_that_is_none_is_in_the_past() {
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        let mut snapshot = snapshot();
        assert!(!snapshot.is_expired(at("2026-01-31T23:59:59Z")));
        assert!(snapshot.is_expired(at("2026-02-01T00:00:00Z")));
        snapshot.expires = "never".into();
        assert!(snapshot.is_expired(at("2026-01-01T00:00:00Z")));
        assert_eq!(
            timestamp(later(SystemTime::now(), Duration::MAX)),
            "9999-12-31T23:59:59Z"
        );
    }
}
