//! What registries say of the versions that are locked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use codex_packages::client::{Client, Connection, Options};
use codex_packages::lock::{Lock, Locked};
use codex_packages::trust::Trust;
use codex_plugin_api::{Error, Result};

use super::{Finding, Kind};
use crate::app::App;

/// Asks each registry once, and keeps what it took back.
pub(super) fn ask(
    locks: &[(PathBuf, Lock)],
    offline: bool,
    trust: &mut Trust,
    app: &App,
) -> Result<Vec<Finding>> {
    let mut wanted: BTreeMap<(String, String, PathBuf), Vec<&Locked>> = BTreeMap::new();
    for (path, lock) in locks {
        let base = path.parent().unwrap_or(path).to_owned();
        for locked in lock.plugins.values() {
            let registry = (locked.registry.clone(), locked.url.clone(), base.clone());
            wanted.entry(registry).or_default().push(locked);
        }
    }
    let mut findings = Vec::new();
    for ((name, url, base), plugins) in wanted {
        let connection = Connection::new(&name, &url, None, &base)?;
        let options = Options {
            cache: app.folders.cache()?.to_owned(),
            data: app.folders.data()?.to_owned(),
            offline,
            now: SystemTime::now(),
        };
        let client = Client::new(connection, options);
        if let Err(error) = judge(&client, &plugins, trust, &mut findings) {
            findings.push(outdated(&name, &error));
        }
    }
    Ok(findings)
}

fn judge(
    client: &Client,
    plugins: &[&Locked],
    trust: &mut Trust,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let believed = client.snapshot()?;
    if believed.expired {
        let message = format!("its snapshot expired at {}", believed.snapshot.expires);
        findings.push(outdated(
            &client.connection().name,
            &Error::denied(message).hint("run codex-ml plugin audit without --offline"),
        ));
    }
    trust.note_revoked(&client.url(), &client.revocations()?)?;
    for locked in plugins {
        let versions = client.versions(&locked.name)?;
        let found = versions.iter().find(|entry| {
            entry.entry.version == locked.version && entry.entry.archive == locked.archive
        });
        let name = &locked.name;
        let mut add = |kind, reason: String| {
            let hint = format!(
                "codex-ml plugin update {name} looks for another version, codex-ml plugin remove {name} does without"
            );
            findings.push(Finding {
                kind,
                subject: locked.title(),
                reason,
                hint,
            });
        };
        let Some(entry) = found else {
            add(
                Kind::Revoked,
                format!(
                    "registry {} does not have it with this content any more",
                    client.connection().name
                ),
            );
            continue;
        };
        if let Some(why) = &entry.revoked {
            add(Kind::Revoked, why.clone());
        }
        if let Some(why) = &entry.yanked {
            add(Kind::Yanked, format!("its version was yanked: {why}"));
        }
    }
    Ok(())
}

fn outdated(registry: &str, error: &Error) -> Finding {
    Finding {
        kind: Kind::OutdatedSnapshot,
        subject: format!("registry {registry}"),
        reason: error.message().to_owned(),
        hint: error
            .hint_text()
            .unwrap_or(
                "whether its plugins were yanked or revoked is not known until it can be asked",
            )
            .to_owned(),
    }
}
