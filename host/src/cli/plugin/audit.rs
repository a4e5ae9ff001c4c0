//! `codex-ml plugin audit`: what is known against the plugins in use. Nothing of them is run.

mod permissions;
mod registries;

use codex_packages::trust::Level;
use codex_plugin_api::Result;
use semver::Version;
use serde::Serialize;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::trust::{level, locks, open};
use crate::plugins::{Plugin, Step};

/// Arguments of `plugin audit`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Report what is known against the plugins in use (exit code 3 when there is something).\n\nA plugin is \
                  reported when its version was yanked or revoked, when nobody signed it, when it was granted more than it \
                  asks for or asks for more than its code uses, and when it was built for an old plugin API; a registry when \
                  its state is out of date or cannot be had. Revocations that are found are kept, and hold from then on.",
    after_help = "Examples:\n  codex-ml plugin audit\n  codex-ml plugin audit --offline --json"
)]
pub(super) struct Args {
    /// Use what was fetched before, and connect to nothing.
    #[arg(long)]
    offline: bool,
}

/// What is known against a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Revoked,
    Yanked,
    Unsigned,
    OverPermissioned,
    ApiDeprecated,
    OutdatedSnapshot,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Yanked => "yanked",
            Self::Unsigned => "unsigned",
            Self::OverPermissioned => "over-permissioned",
            Self::ApiDeprecated => "api-deprecated",
            Self::OutdatedSnapshot => "outdated-snapshot",
        }
    }
}

/// A line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    kind: Kind,
    /// Name and version, or the registry.
    subject: String,
    reason: String,
    hint: String,
}

/// Versions of the plugin API below this one will not be read for much longer.
const OLDEST_API: Version = Version::new(1, 0, 0);

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let data = app.folders.data()?;
    let mut trust = open(data)?;
    let registry = app.registry()?;
    let mut findings = registries::ask(&locks(&app.folders)?, args.offline, &mut trust, app)?;
    for plugin in registry.plugins() {
        if level(plugin, &trust, data) == Level::Local {
            findings.push(unsigned(plugin));
        }
        findings.extend(permissions::check(plugin, app));
        findings.extend(old_api(&plugin.title(), &plugin.build.api_version));
    }
    for stopped in registry.refused() {
        let refusal = &stopped.refusal;
        if refusal.step == Step::Api {
            findings.push(Finding {
                kind: Kind::ApiDeprecated,
                subject: refusal.path.display().to_string(),
                reason: refusal.reason.clone(),
                hint: refusal.hint.clone(),
            });
        }
    }
    findings.sort_by(|a, b| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)));
    report(&findings, registry.plugins().len(), app)
}

fn unsigned(plugin: &Plugin) -> Finding {
    Finding {
        kind: Kind::Unsigned,
        subject: plugin.title(),
        reason: format!("nobody signed it: it is the file {}", plugin.library.display()),
        hint: "install it from a registry where it is in one; local = false in a policy keeps such plugins out".into(),
    }
}

fn old_api(subject: &str, built: &str) -> Option<Finding> {
    let old = Version::parse(built).is_ok_and(|built| built < OLDEST_API);
    old.then(|| Finding {
        kind: Kind::ApiDeprecated,
        subject: subject.to_owned(),
        reason: format!(
            "it was built for plugin API {built}, and versions before {OLDEST_API} are deprecated"
        ),
        hint: "update it, or ask its author for a build with a newer codex-plugin-api".into(),
    })
}

fn report(findings: &[Finding], plugins: usize, app: &App) -> Result<Exit> {
    if app.output.is_json() {
        app.output.value(&findings)?;
    } else {
        for finding in findings {
            app.output.line(plain(&format!(
                "{}: {}\n  reason: {}\n  hint:   {}",
                finding.kind.as_str(),
                finding.subject,
                finding.reason,
                finding.hint
            )))?;
        }
        let what = match findings.len() {
            0 => "nothing is known against them".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        app.output
            .note(format!("{plugins} plugins were looked at: {what}"));
    }
    Ok(if findings.is_empty() {
        Exit::Done
    } else {
        Exit::Plugin
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_before_the_oldest_is_deprecated() {
        for (built, deprecated) in [("0.9.3", true), ("1.0.0", false), ("1.7.0", false)] {
            assert_eq!(
                old_api("words 1.0.0", built).is_some(),
                deprecated,
                "{built}"
            );
        }
    }
}
