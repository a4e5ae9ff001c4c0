//! A policy as it is written, before patterns are compiled.

use codex_plugin_api::{Error, Result, Severity, Stage};
use glob::Pattern;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::allow::Allowance;
use super::{Action, Decision, Line, OnError, Scope};
use crate::Mode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Extends {
    #[default]
    Standard,
    None,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Document {
    version: u32,
    pub(super) extends: Extends,
    pub(super) mode: Option<Mode>,
    pub(super) actions: Vec<ActionLine>,
    pub(super) allow: Vec<AllowEntry>,
    pub(super) on_error: OnErrors,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActionLine {
    #[serde(default)]
    stages: Vec<Stage>,
    #[serde(default)]
    entities: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    min_confidence: f32,
    min_severity: Option<Severity>,
    action: Action,
    mode: Option<Mode>,
}

impl ActionLine {
    pub(super) fn compile(&self, mode: Mode, place: &str) -> Result<Line> {
        Ok(Line {
            scope: scope(&self.stages, &self.entities, &self.rules, place)?,
            min_confidence: self.min_confidence,
            min_severity: self.min_severity.unwrap_or(Severity::Low),
            decision: Decision {
                action: self.action,
                mode: self.mode.unwrap_or(mode),
            },
        })
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AllowEntry {
    /// For people alone.
    reason: Option<String>,
    stages: Vec<Stage>,
    entities: Vec<String>,
    rules: Vec<String>,
    literals: Vec<String>,
    regexes: Vec<String>,
    stop_words: Vec<String>,
    paths: Vec<String>,
}

impl AllowEntry {
    pub(super) fn compile(&self, place: &str) -> Result<Allowance> {
        let regexes = self
            .regexes
            .iter()
            .enumerate()
            .map(|(index, text)| {
                Regex::new(text).map_err(|error| {
                    Error::config(format!(
                        "{place}.regexes.{index} is no regular expression: {text:?}"
                    ))
                    .because(&error)
                    .hint("write a literal { or ( with a backslash; look-around is not supported")
                })
            })
            .collect::<Result<_>>()?;
        Ok(Allowance {
            scope: scope(&self.stages, &self.entities, &self.rules, place)?,
            literals: self.literals.clone(),
            regexes,
            stop_words: self
                .stop_words
                .iter()
                .map(|word| word.to_lowercase())
                .collect(),
            paths: patterns(&self.paths, place, "paths")?,
        })
    }
}

/// What is absent is left to the policy that is extended, and closed in the end.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OnErrors {
    ingest: Option<OnError>,
    prompt: Option<OnError>,
    output: Option<OnError>,
    log: Option<OnError>,
}

impl OnErrors {
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            ingest: self.ingest.or(other.ingest),
            prompt: self.prompt.or(other.prompt),
            output: self.output.or(other.output),
            log: self.log.or(other.log),
        }
    }

    pub(super) fn at(self, stage: Stage) -> OnError {
        let (given, closed) = match stage {
            Stage::Ingest => (self.ingest, OnError::Block),
            Stage::Prompt => (self.prompt, OnError::Block),
            Stage::Output => (self.output, OnError::Block),
            // An error on the way to the log must not hide the event that was to be logged.
            Stage::Log => (self.log, OnError::Withhold),
            _ => (None, OnError::Block),
        };
        given.unwrap_or(closed)
    }
}

fn scope(stages: &[Stage], entities: &[String], rules: &[String], place: &str) -> Result<Scope> {
    Ok(Scope {
        stages: stages.to_vec(),
        entities: patterns(entities, place, "entities")?,
        rules: patterns(rules, place, "rules")?,
    })
}

fn patterns(texts: &[String], place: &str, key: &str) -> Result<Vec<Pattern>> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            Pattern::new(text).map_err(|error| {
                Error::config(format!("{place}.{key}.{index} is no glob: {text:?}"))
                    .because(&error)
                    .hint("* is any part of a name, ** any folders, ? one character, [ab] one of these")
            })
        })
        .collect()
}
