//! Checks a whole registry as its most careful user would: every signature, every archive, every byte of them.

use std::collections::BTreeSet;

use codex_plugin_api::Result;

use crate::archive::{self, Limits};
use crate::client::Client;
use crate::index::IndexEntry;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The number of the snapshot.
    pub snapshot: u64,
    /// When it expires, in RFC 3339.
    pub expires: String,
    /// Plugins.
    pub plugins: usize,
    /// Versions.
    pub versions: usize,
    /// Bytes of all archives.
    pub bytes: u64,
    /// Ids of the authors' keys.
    pub keys: BTreeSet<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The plugin, with the version where it is about one.
    pub what: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Checks the registry behind `client`. A finding is no error; what hides the whole registry is.
///
/// # Errors
/// When there is no snapshot that can be believed.
pub fn verify(client: &Client) -> Result<Report> {
    let believed = client.snapshot()?;
    let mut report = Report {
        snapshot: believed.snapshot.version,
        expires: believed.snapshot.expires.clone(),
        ..Report::default()
    };
    for name in client.names()? {
        report.plugins += 1;
        let package = match client.package(&name) {
            Ok(Some(package)) => package,
            Ok(None) => continue,
            Err(error) => {
                report.findings.push(Finding {
                    what: name,
                    reason: error.message().to_owned(),
                });
                continue;
            }
        };
        for line in package.unreadable {
            report.findings.push(Finding {
                what: name.clone(),
                reason: format!("not understood: {line}"),
            });
        }
        for entry in &package.entries {
            report.versions += 1;
            report.bytes += entry.entry.archive.size;
            report.keys.insert(entry.key_id.clone());
            if let Err(error) = verify_version(client, entry) {
                let what = format!("{name} {}", entry.entry.version);
                report.findings.push(Finding {
                    what,
                    reason: error.message().to_owned(),
                });
            }
        }
    }
    Ok(report)
}

fn verify_version(client: &Client, entry: &IndexEntry) -> Result<()> {
    entry.verify()?;
    let digest = &entry.entry.archive;
    let path = client.fetch(&entry.entry.name, &entry.entry.version, digest)?;
    let contents = archive::inspect(&path, Some(digest), &Limits::default())?;
    if contents.entry() != entry.entry {
        return Err(codex_plugin_api::Error::data(
            "the archive's plugin.toml and files are not what was signed",
        ));
    }
    Ok(())
}
