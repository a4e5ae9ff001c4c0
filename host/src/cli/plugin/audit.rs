//! `codex-ml plugin audit`: what is known against the plugins in use. Nothing of them is run.

mod permissions;
mod registries;

use codex_packages::trust::{Level, Trust};
use codex_plugin_api::Result;
use semver::Version;
use serde::Serialize;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::trust::{level, locks, open, recorded};
use crate::plugins::{Plugin, Step};

/// Arguments of `plugin audit`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Report what is known against the plugins in use (exit code 3 when there is something).\n\nA plugin is \
                  reported when its version was yanked or revoked, when it stands unsigned in the place of one that a registry \
                  signed, when it was granted more than it asks for or asks for more than its code uses, and when it was built \
                  for an old plugin API; a registry when its state is out of date or cannot be had. Revocations that are found \
                  are kept, and hold from then on. Plugins that you built or were given as files are named too, since nobody \
                  vouches for them, but are nothing against them.",
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
    Local,
}

/// Whether something is known against a plugin, or only worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Severity {
    Finding,
    Note,
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
            Self::Local => "local",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::Local => Severity::Note,
            _ => Severity::Finding,
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

/// A finding as JSON.
#[derive(Debug, Serialize)]
struct Row<'a> {
    severity: Severity,
    #[serde(flatten)]
    finding: &'a Finding,
}

impl<'a> Row<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            severity: finding.kind.severity(),
            finding,
        }
    }
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
            findings.push(local(plugin, &trust));
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

/// A plugin that came from no registry. That is how every author's own begins, so it is a finding only where a signed one
/// of that name is known: then something else runs under a trusted name.
fn local(plugin: &Plugin, trust: &Trust) -> Finding {
    let (title, file) = (plugin.title(), plugin.library.display());
    let pin = trust.pins().plugins.get(plugin.id());
    if let Some(source) = pin.and_then(|pin| pin.source.as_ref()) {
        return Finding {
            kind: Kind::Unsigned,
            subject: title,
            reason: format!(
                "nobody signed it: it is the file {file}, in the place of {} of registry {}",
                plugin.id(),
                source.registry
            ),
            hint: format!(
                "if you put it there, nothing has to be done; if not, remove the file, or with codex-ml plugin distrust {} --forget the memory of the signed one",
                plugin.id()
            ),
        };
    }
    let (reason, hint) = if recorded(plugin, trust) {
        (
            format!("you installed it from a path, and its file is what it was then: {file}"),
            "nobody signed it: be sure of where you had it from; local = false in a policy keeps such plugins out",
        )
    } else {
        (
            format!("nobody signed it and nothing notices when it changes: it is the file {file}"),
            "codex-ml plugin install PATH writes its digest down; local = false in a policy keeps such plugins out",
        )
    };
    Finding {
        kind: Kind::Local,
        subject: title,
        reason,
        hint: hint.into(),
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
    let is_note = |finding: &&Finding| finding.kind.severity() == Severity::Note;
    let notes = findings.iter().filter(is_note).count();
    let against = findings.len() - notes;
    if app.output.is_json() {
        let rows: Vec<Row<'_>> = findings.iter().map(Row::of).collect();
        app.output.value(&rows)?;
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
        let what = match against {
            0 => "nothing is known against them".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        let local = match notes {
            0 => String::new(),
            count => format!(", {count} of them from no registry"),
        };
        app.output
            .note(format!("{plugins} plugins were looked at{local}: {what}"));
    }
    Ok(if against == 0 {
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
