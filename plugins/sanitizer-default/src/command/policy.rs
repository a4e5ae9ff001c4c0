//! `sanitize policy check`: is it right, and what does it do?

use std::collections::BTreeMap;
use std::path::Path;

use codex_plugin_api::{Arguments, Error, HostRef, Result, Stage};
use codex_redaction::{Policy, Subject};
use serde_json::json;

use super::report::word;
use super::table::table;
use crate::rules::{Rule, builtin};

const STAGES: [(Stage, &str); 4] = [
    (Stage::Ingest, "ingest"),
    (Stage::Prompt, "prompt"),
    (Stage::Output, "output"),
    (Stage::Log, "log"),
];

/// How sure the findings are that the summary speaks of.
const CONFIDENCE: f32 = 0.9;

pub(super) fn check(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    let path = arguments
        .text("policy-file")
        .ok_or_else(|| Error::config("no policy is given").hint("name a YAML file"))?;
    let policy = Policy::of_user(Some(Path::new(path)), None)?;
    let set = builtin::load()?;
    // Of each entity its worst rule: what the policy does with it is what matters.
    let mut worst: BTreeMap<&str, &Rule> = BTreeMap::new();
    for rule in &set.rules {
        let known = worst.entry(&rule.entity).or_insert(rule);
        if rule.severity > known.severity {
            *known = rule;
        }
    }
    let decided = |rule: &Rule, stage: Stage| {
        let decision = policy.decide(&Subject {
            stage,
            entity: &rule.entity,
            rule: &rule.id,
            severity: rule.severity,
            confidence: CONFIDENCE,
            value: "",
            path: None,
        });
        decision.action.word()
    };
    if arguments.flag("json") {
        let entities: serde_json::Map<_, _> = worst
            .iter()
            .map(|(entity, rule)| {
                let stages: serde_json::Map<_, _> = STAGES
                    .iter()
                    .map(|(stage, name)| ((*name).to_owned(), decided(rule, *stage).into()))
                    .collect();
                ((*entity).to_owned(), stages.into())
            })
            .collect();
        let document = json!({"policy": path, "confidence": CONFIDENCE, "entities": entities});
        host.print(&format!("{document}\n"))?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = worst
        .iter()
        .map(|(entity, rule)| {
            let actions = STAGES.iter().map(|(stage, _)| decided(rule, *stage));
            [*entity, word(rule.severity)]
                .into_iter()
                .chain(actions)
                .map(str::to_owned)
                .collect()
        })
        .collect();
    let head = ["entity", "severity", "ingest", "prompt", "output", "log"];
    host.print(&format!(
        "{} is a policy. At a confidence of {CONFIDENCE}, for a value that no entry of allow names:\n{}",
        super::shown(path),
        table(&head, &rows)
    ))?;
    Ok(0)
}
