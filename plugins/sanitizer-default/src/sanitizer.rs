//! The component `default`: which rules, and their findings through the door.

use std::path::Path;

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::{
    Error, Finding, FromConfig, HostRef, Result, Rule, Sanitizer, Stage, Texts,
};
use codex_redaction::FileSanitizer;

use crate::rules::builtin::{Family, load_families};
use crate::rules::{RuleSet, from_path};
use crate::scan::Engine;

/// Which rules the sanitizer has.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct Config {
    /// Find credentials.
    pub secrets: bool,
    /// Find personal data.
    pub personal: bool,
    /// Find texts that attack a model; advisory.
    pub prompt: bool,
    /// Rule files of your own, in gitleaks' format, beside the rules that come with the plugin.
    pub rules: Vec<String>,
    /// Rules to leave out, by their ids.
    pub disable: Vec<String>,
    /// Leave out what is less sure than this, from 0 to 1.
    pub least_confidence: f32,
    /// Give longer findings in pieces of so many bytes, 64 or more; by default as the rules say. Generated text is held
    /// back as long as a finding may be, and longer.
    pub max_span: Option<u32>,
}

/// The least that `max_span` may be: no piece says more about where a secret lies.
const LEAST_MAX_SPAN: u32 = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            secrets: true,
            personal: true,
            prompt: true,
            rules: Vec::new(),
            disable: Vec::new(),
            least_confidence: 0.0,
            max_span: None,
        }
    }
}

/// Secrets, personal data and prompt attacks.
#[derive(Debug)]
pub struct DefaultSanitizer {
    engine: Engine,
    least_confidence: f32,
}

impl DefaultSanitizer {
    /// The sanitizer of a configuration.
    ///
    /// # Errors
    /// When a rule file cannot be read or is wrong, or a rule to leave out does not exist.
    pub fn new(config: &Config) -> Result<Self> {
        let mut set = load_families(|family| match family {
            Family::Secrets => config.secrets,
            Family::Personal => config.personal,
            Family::Prompt => config.prompt,
        })?;
        for path in &config.rules {
            set = join(set, from_path(Path::new(path))?, path)?;
        }
        for id in &config.disable {
            let known = set.rules.len();
            set.rules.retain(|rule| rule.id != *id);
            if set.rules.len() == known {
                return Err(no_rule(id, &set));
            }
        }
        if set.rules.is_empty() {
            return Err(Error::config("the configuration leaves no rule")
                .hint("set secrets, personal or prompt to true, or name a file in rules"));
        }
        if !(0.0..=1.0).contains(&config.least_confidence) {
            return Err(
                Error::config(format!("least_confidence is {}", config.least_confidence))
                    .hint("give a number from 0 to 1"),
            );
        }
        if let Some(most) = config.max_span {
            if most < LEAST_MAX_SPAN {
                return Err(Error::config(format!("max_span is {most}"))
                    .hint(format!("give {LEAST_MAX_SPAN} or more")));
            }
            for rule in &mut set.rules {
                rule.max_len = rule.max_len.min(most as usize);
            }
        }
        Ok(Self {
            engine: Engine::new(set),
            least_confidence: config.least_confidence,
        })
    }

    /// The engine, for callers that know the path of a text.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The error for an id to leave out that nothing has.
fn no_rule(id: &str, set: &RuleSet) -> Error {
    let near = set
        .rules
        .iter()
        .map(|rule| (&rule.id, strsim::jaro_winkler(id, &rule.id)))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let error = Error::config(format!("disable names {id:?}, which is no rule"));
    match near {
        Some((near, _)) => error.hint(format!("did you mean {near}?")),
        None => error.hint("`codex-ml sanitize rules list` shows their ids"),
    }
}

/// A user's rules beside ours. A file that extends ours brings them along; its version of a rule is the one that counts.
fn join(ours: RuleSet, theirs: RuleSet, path: &str) -> Result<RuleSet> {
    let mut set = theirs;
    let mut known: std::collections::HashSet<String> =
        set.rules.iter().map(|rule| rule.id.clone()).collect();
    if known.len() != set.rules.len() {
        return Err(Error::config(format!("{path} has a rule twice"))
            .hint("give each rule an id of its own"));
    }
    for rule in ours.rules {
        if known.insert(rule.id.clone()) {
            set.rules.push(rule);
        }
    }
    set.allow.extend(ours.allow);
    Ok(set)
}

impl FromConfig for DefaultSanitizer {
    type Config = Config;

    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Self::new(&config)
    }
}

impl Sanitizer for DefaultSanitizer {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(self
            .engine
            .rules()
            .iter()
            .map(|rule| Rule {
                id: rule.id.clone(),
                entity: rule.entity.clone(),
                severity: rule.severity,
                description: rule.description.clone(),
            })
            .collect())
    }

    fn max_span(&self) -> u32 {
        u32::try_from(self.engine.max_span()).unwrap_or(u32::MAX)
    }

    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>> {
        self.scan_file(texts, stage, None)
    }
}

impl FileSanitizer for DefaultSanitizer {
    fn scan_file(
        &self,
        texts: Texts<'_>,
        _stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let spans = self.engine.scan(text, path)?;
            findings.extend(
                spans
                    .into_iter()
                    // Where a path alone is the finding there is nothing in the text to point at.
                    .filter(|span| span.start < span.end)
                    .filter(|span| span.confidence >= self.least_confidence)
                    .map(|span| Finding {
                        start: span.start as u64,
                        end: span.end as u64,
                        text: number as u32,
                        rule: span.rule as u32,
                        confidence: span.confidence,
                    }),
            );
        }
        Ok(findings)
    }
}
