//! Whether a sandboxed plugin holds or asks for more than it needs.

use super::{Finding, Kind};
use crate::app::App;
use crate::plugins::Plugin;
use crate::plugins::grants::Grants;
use crate::plugins::unused_permissions;

pub(super) fn check(plugin: &Plugin, app: &App) -> Vec<Finding> {
    if !plugin.is_sandboxed() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut add = |reason: String, hint: String| {
        findings.push(Finding {
            kind: Kind::OverPermissioned,
            subject: plugin.title(),
            reason,
            hint,
        });
    };
    let grants = Grants::open(app.folders.data.as_deref());
    let beyond = grants.beyond(plugin);
    if !beyond.is_empty() {
        add(
            format!(
                "it was granted what it does not ask for now: {}",
                beyond.join(", ")
            ),
            format!(
                "decide again, which leaves that out: codex-ml plugin grant {}",
                plugin.id()
            ),
        );
    }
    let unused = unused_permissions(plugin);
    if !unused.is_empty() {
        add(
            format!(
                "it asks for what its code cannot use: permissions.{}",
                unused.join(", permissions.")
            ),
            format!(
                "do not grant that, and tell its author: codex-ml plugin grant {} shows what is asked",
                plugin.id()
            ),
        );
    }
    findings
}
