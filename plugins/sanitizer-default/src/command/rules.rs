//! `sanitize rules`: list them, explain one, try all on their examples.

mod self_test;

use std::path::Path;

use codex_plugin_api::{Arguments, Error, HostRef, Result, Severity};
use serde_json::{Value, json};

use super::report::word;
use super::settings::named;
use super::shown;
use super::table::table;
use crate::rules::builtin::{self, Family};
use crate::rules::{Place, Rule, from_path, from_text};

/// A rule with the family it belongs to, where it is one of ours.
type Listed = (Rule, Option<Family>);

fn load(file: Option<&str>) -> Result<Vec<Listed>> {
    if let Some(path) = file {
        let set = from_path(Path::new(path))?;
        return Ok(set.rules.into_iter().map(|rule| (rule, None)).collect());
    }
    let mut all = Vec::new();
    for (name, family, text) in builtin::FILES {
        let set = from_text(name, text, false)?;
        all.extend(set.rules.into_iter().map(|rule| (rule, Some(*family))));
    }
    Ok(all)
}

fn kind(family: Option<Family>) -> &'static str {
    match family {
        Some(Family::Secrets) => "secrets",
        Some(Family::Personal) => "personal",
        Some(Family::Prompt) => "prompt",
        None => "file",
    }
}

pub(super) fn list(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    let least: Option<Severity> = arguments
        .text("severity")
        .map(|word| named("severity", word))
        .transpose()?;
    let all = load(arguments.text("file"))?;
    if let Some(entity) = arguments.text("entity")
        && !all.iter().any(|(rule, _)| rule.entity == entity)
    {
        let entities = all.iter().map(|(rule, _)| rule.entity.as_str());
        return Err(unknown("entity", entity, entities));
    }
    let wanted: Vec<Listed> = all
        .into_iter()
        .filter(|(rule, family)| {
            arguments
                .text("entity")
                .is_none_or(|word| rule.entity == word)
                && arguments
                    .text("kind")
                    .is_none_or(|word| kind(*family) == word)
                && least.is_none_or(|least| rule.severity >= least)
        })
        .collect();
    if arguments.flag("json") {
        let rules: Vec<Value> = wanted
            .iter()
            .map(|(rule, family)| {
                json!({
                    "id": rule.id,
                    "kind": kind(*family),
                    "entity": rule.entity,
                    "severity": rule.severity,
                    "confidence": rule.confidence,
                    "description": rule.description,
                })
            })
            .collect();
        host.print(&format!("{}\n", Value::from(rules)))?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = wanted
        .iter()
        .map(|(rule, family)| {
            vec![
                shown(&rule.id),
                kind(*family).to_owned(),
                shown(&rule.entity),
                word(rule.severity).to_owned(),
                shown(&rule.description),
            ]
        })
        .collect();
    let head = ["rule", "kind", "entity", "severity", "description"];
    host.print(&format!("{}{} rules\n", table(&head, &rows), rows.len()))?;
    Ok(0)
}

pub(super) fn explain(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    let id = arguments
        .text("rule")
        .ok_or_else(|| Error::config("no rule is given").hint("`rules list` shows their ids"))?;
    let all = load(arguments.text("file"))?;
    let Some((rule, family)) = all.iter().find(|(rule, _)| rule.id == id) else {
        let ids = all.iter().map(|(rule, _)| rule.id.as_str());
        return Err(unknown("rule", id, ids));
    };
    if arguments.flag("json") {
        let document: serde_json::Map<String, Value> = facts(rule, *family)
            .into_iter()
            .map(|(name, value)| (name.replace(' ', "_"), value))
            .collect();
        host.print(&format!("{}\n", Value::from(document)))?;
        return Ok(0);
    }
    let lines = facts(rule, *family)
        .into_iter()
        .skip(2)
        .map(|(name, value)| {
            let value = match value {
                Value::String(value) => value,
                Value::Array(values) => {
                    let words = values.iter().filter_map(Value::as_str).collect::<Vec<_>>();
                    words.join(", ")
                }
                other => other.to_string(),
            };
            format!("{name:<12} {}\n", shown(&value))
        });
    let (id, description) = (shown(&rule.id), shown(&rule.description));
    host.print(&format!(
        "{id}\n{description}\n\n{}",
        lines.collect::<String>()
    ))?;
    Ok(0)
}

/// What is known about a rule, in the order in which it is told.
fn facts(rule: &Rule, family: Option<Family>) -> Vec<(&'static str, Value)> {
    let mut facts = vec![
        ("rule", rule.id.as_str().into()),
        ("description", rule.description.as_str().into()),
        ("kind", kind(family).into()),
        ("entity", rule.entity.as_str().into()),
        ("severity", word(rule.severity).into()),
        ("confidence", two_digits(rule.confidence)),
    ];
    if let Some(pattern) = &rule.pattern {
        facts.push(("pattern", pattern.source().into()));
    }
    if rule.place == Place::Finder {
        facts.push(("pattern", "found by code of its own".into()));
    }
    if let Some(path) = &rule.path {
        facts.push(("path", path.source().into()));
    }
    if !rule.keywords.is_empty() {
        facts.push(("keywords", rule.keywords.clone().into()));
    }
    if !rule.context.is_empty() {
        facts.push(("surer near", rule.context.clone().into()));
    }
    if let Some(validator) = &rule.validator {
        facts.push(("validator", validator.name.into()));
        facts.push(("if not valid", two_digits(rule.confidence * rule.invalid)));
    }
    if rule.entropy > 0.0 {
        facts.push(("entropy", rule.entropy.into()));
    }
    facts.push(("at most", format!("{} bytes", rule.max_len).into()));
    if !rule.examples.is_empty() {
        let masked: Vec<String> = rule.examples.iter().map(|text| masked(text)).collect();
        facts.push(("examples", masked.into()));
    }
    facts.push(("what to do", advice(&rule.entity).into()));
    facts
}

fn two_digits(value: f32) -> Value {
    ((f64::from(value) * 100.0).round() / 100.0).into()
}

/// An example with the first four letters and digits of it, and of each later word the first four letters: nobody, and no
/// tool, takes the rest for a value.
fn masked(text: &str) -> String {
    let (mut all, mut run) = (0, 0);
    text.chars()
        .map(|letter| {
            let counts = letter.is_alphanumeric();
            run = if counts { run + 1 } else { 0 };
            all += u32::from(counts);
            let hidden = counts && (run > 4 || all > 4 && letter.is_numeric());
            if hidden { '*' } else { letter }
        })
        .collect()
}

fn advice(entity: &str) -> &'static str {
    match entity {
        "secret" | "url-credentials" | "password-hash" => {
            "revoke it at whoever issued it and make a new one: taking it out of the file does not take it out of \
             copies and history"
        }
        "prompt-attack" => {
            "read it: rules know set phrases, and a text about attacks looks the same"
        }
        _ => {
            "ask whether the text needs it; redact it where it does not, or allow it in the policy"
        }
    }
}

pub(super) fn test(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    let mut tried = self_test::Tried::default();
    if let Some(path) = arguments.text("file") {
        tried.add(self_test::try_all(&|| from_path(Path::new(path)), host)?);
    } else {
        // A file at a time: what a rule needs beside it stands in its file, and reading that is quick.
        for (name, _, text) in builtin::FILES {
            tried.add(self_test::try_all(&|| from_text(name, text, false), host)?);
        }
    }
    let code = i32::from(!tried.failures.is_empty());
    if arguments.flag("json") {
        let failures = tried.failures.iter();
        let failures: Vec<Value> = failures
            .map(|(rule, reason)| json!({"rule": rule, "reason": reason}))
            .collect();
        let document = json!({
            "rules": tried.rules,
            "examples": tried.examples,
            "without_examples": tried.without,
            "failures": failures,
        });
        host.print(&format!("{document}\n"))?;
        return Ok(code);
    }
    let failures = tried.failures.iter();
    let lines = failures.map(|(rule, reason)| format!("{}: {reason}\n", shown(rule)));
    host.print(&format!(
        "{}{} rules, {} examples, {} failures, {} rules without examples\n",
        lines.collect::<String>(),
        tried.rules,
        tried.examples,
        tried.failures.len(),
        tried.without
    ))?;
    Ok(code)
}

fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let near = known
        .map(|known| (known, strsim::jaro_winkler(word, known)))
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1));
    let error = Error::config(format!("there is no {what} {:?}", shown(word)));
    match near {
        Some((near, _)) => error.hint(format!("did you mean {near}?")),
        None => error.hint("`codex-ml sanitize rules list` shows what there is"),
    }
}
