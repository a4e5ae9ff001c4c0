//! Baselines: findings that are known already. The file carries what its key is made of, so that a team can commit it.

use std::fs;
use std::io::Write;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result};
use codex_redaction::{Baseline, Key, ReportedFinding};

use super::settings::Settings;

/// The baseline that was given, and the salt and key under which this call names values.
pub(super) struct Known {
    pub(super) baseline: Option<Baseline>,
    salt: Option<String>,
    pub(super) key: Option<Key>,
}

/// Reads the baseline. One that is written anew keeps the salt of the file in its place, so that little changes in it.
///
/// # Errors
/// Config: a file that is no baseline, or one that was made without a salt.
pub(super) fn read(settings: &Settings) -> Result<Known> {
    let mut known = Known {
        baseline: None,
        salt: None,
        key: None,
    };
    if let Some(path) = &settings.baseline {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).or_error(|| {
            Error::config(format!("cannot read the baseline {name}"))
                .hint("--write-baseline FILE makes one")
        })?;
        let salt = Baseline::salt_in(&text, &name)?.ok_or_else(|| {
            Error::config(format!("the baseline {name} carries no salt"))
                .hint("make it anew with --write-baseline")
        })?;
        let key = Baseline::key_of(&salt)?;
        known.baseline = Some(Baseline::from_json(&text, &name, &key)?);
        known.key = Some(key);
        known.salt = Some(salt);
    } else if let Some(path) = &settings.write_baseline {
        let salt = match fs::read_to_string(path) {
            Ok(text) => Baseline::salt_in(&text, &path.display().to_string())?,
            Err(_) => None,
        };
        let salt = salt.map_or_else(Baseline::new_salt, Ok)?;
        known.key = Some(Baseline::key_of(&salt)?);
        known.salt = Some(salt);
    }
    Ok(known)
}

impl Known {
    pub(super) fn contains(&self, finding: &ReportedFinding) -> bool {
        let baseline = self.baseline.as_ref();
        baseline.is_some_and(|baseline| baseline.contains(finding))
    }

    /// Writes a baseline of everything that was found.
    ///
    /// # Errors
    /// Failed, naming the file.
    pub(super) fn write(&self, path: &Path, key: &Key, findings: &[ReportedFinding]) -> Result<()> {
        let mut baseline = Baseline::of(key, findings);
        if let Some(salt) = &self.salt {
            baseline = baseline.with_salt(salt)?;
        }
        whole(path, baseline.to_json()?.as_bytes())
    }
}

/// Writes a small file at once or not at all.
///
/// # Errors
/// Failed, naming the file.
pub(super) fn whole(path: &Path, content: &[u8]) -> Result<()> {
    let failed = || Error::failed(format!("cannot write {}", path.display()));
    // A device or a pipe is written to, not replaced.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(content))
            .or_error(failed);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sanitize-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // A report and a baseline are made to be shared; the user's mask still holds.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).or_error(failed)?;
    file.write_all(content)
        .and_then(|()| file.as_file().sync_all())
        .or_error(failed)?;
    file.persist(path).map(drop).or_error(failed)
}
