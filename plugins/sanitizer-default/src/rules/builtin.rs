//! The rules that come with this plugin, by subject.

use codex_plugin_api::Result;

use super::load::{RuleSet, from_text};

/// Which rules are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Credentials.
    Secrets,
    /// What tells who somebody is.
    Personal,
    /// Texts against a model.
    Prompt,
}

/// Every file: its name for messages, its family, its text.
pub const FILES: &[(&str, Family, &str)] = &[
    (
        "cloud.toml",
        Family::Secrets,
        include_str!("../../rules/cloud.toml"),
    ),
    (
        "code.toml",
        Family::Secrets,
        include_str!("../../rules/code.toml"),
    ),
    (
        "ai.toml",
        Family::Secrets,
        include_str!("../../rules/ai.toml"),
    ),
    (
        "chat.toml",
        Family::Secrets,
        include_str!("../../rules/chat.toml"),
    ),
    (
        "payment.toml",
        Family::Secrets,
        include_str!("../../rules/payment.toml"),
    ),
    (
        "services.toml",
        Family::Secrets,
        include_str!("../../rules/services.toml"),
    ),
    (
        "monitoring.toml",
        Family::Secrets,
        include_str!("../../rules/monitoring.toml"),
    ),
    (
        "databases.toml",
        Family::Secrets,
        include_str!("../../rules/databases.toml"),
    ),
    (
        "keys.toml",
        Family::Secrets,
        include_str!("../../rules/keys.toml"),
    ),
    (
        "generic.toml",
        Family::Secrets,
        include_str!("../../rules/generic.toml"),
    ),
    (
        "personal.toml",
        Family::Personal,
        include_str!("../../rules/personal.toml"),
    ),
    (
        "national.toml",
        Family::Personal,
        include_str!("../../rules/national.toml"),
    ),
    (
        "prompt.toml",
        Family::Prompt,
        include_str!("../../rules/prompt.toml"),
    ),
];

/// All of them.
///
/// # Errors
/// When one is wrong, which its tests prevent.
pub fn load() -> Result<RuleSet> {
    load_families(|_| true)
}

/// Those of some families.
///
/// # Errors
/// As [`load`].
pub fn load_families(wanted: impl Fn(Family) -> bool) -> Result<RuleSet> {
    let mut set = RuleSet::default();
    for (name, _, text) in FILES.iter().filter(|(_, family, _)| wanted(*family)) {
        let file = from_text(name, text, false)?;
        set.rules.extend(file.rules);
        set.allow.extend(file.allow);
    }
    Ok(set)
}
