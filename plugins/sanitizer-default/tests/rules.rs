//! The rules that come with the plugin keep what their files say of them.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashSet;
use std::time::Instant;

use codex_plugin_sanitizer_default::rules::builtin::{Family, load, load_families};
use codex_plugin_sanitizer_default::rules::rule::FOREIGN_MAX_LEN;
use codex_plugin_sanitizer_default::rules::{Place, Rule, RuleSet};
use codex_plugin_sanitizer_default::scan::{Engine, LONGEST_MATCH};

/// What a rule alone finds in a text, with the confidence of the surest.
fn surest(engine: &Engine, number: usize, text: &str, path: Option<&str>) -> Option<f32> {
    engine
        .scan(text, path)
        .unwrap()
        .into_iter()
        .filter(|span| span.rule == number)
        .map(|span| span.confidence)
        .max_by(f32::total_cmp)
}

/// A path that the rule accepts, where it asks for one.
fn path_for(rule: &Rule) -> Option<&'static str> {
    let pattern = rule.path.as_ref()?;
    ["a/b.php", "a/b.tf", "a/b.yaml", "a/nuget.config", "a/b.p12"]
        .into_iter()
        .find(|path| pattern.is_match(path.as_bytes()).unwrap())
}

/// The rule alone, with the finders that stand under its id: a better rule for the same text takes nothing from it.
fn alone(number: usize) -> Engine {
    let set = load().unwrap();
    let rule = set.rules.into_iter().nth(number).unwrap();
    let phrases = rule.entity == "prompt-attack" && rule.place == Place::Finder;
    let mut rules = vec![rule];
    if phrases {
        rules.extend(
            load_families(|family| family == Family::Prompt)
                .unwrap()
                .rules
                .into_iter()
                .filter(|rule| rule.place == Place::Keyword),
        );
    }
    Engine::new(RuleSet {
        rules,
        allow: set.allow,
    })
}

#[test]
fn every_rule_finds_its_examples_and_leaves_the_others() {
    let set = load().unwrap();
    let mut wrong = Vec::new();
    for (number, rule) in set.rules.iter().enumerate() {
        let engine = alone(number);
        let path = path_for(rule);
        for text in &rule.examples {
            if surest(&engine, 0, text, path).is_none() {
                wrong.push(format!("{} does not find {text:?}", rule.id));
            }
        }
        for text in &rule.negative_examples {
            if surest(&engine, 0, text, path).is_some_and(|confidence| confidence >= 0.5) {
                wrong.push(format!("{} finds {text:?}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_is_complete_and_bounded() {
    let set = load().unwrap();
    let mut wrong = Vec::new();
    let mut ids = HashSet::new();
    for rule in &set.rules {
        if !ids.insert(&rule.id) {
            wrong.push(format!("{} is there twice", rule.id));
        }
        if rule.description.is_empty()
            || (rule.path.is_none()
                && (rule.examples.is_empty() || rule.negative_examples.is_empty()))
        {
            wrong.push(format!("{} lacks a description or examples", rule.id));
        }
        if rule.max_len > FOREIGN_MAX_LEN {
            wrong.push(format!("{} finds up to {} bytes", rule.id, rule.max_len));
        }
        let Some(pattern) = &rule.pattern else {
            continue;
        };
        match pattern.compiled() {
            Err(reason) => wrong.push(format!("{}: {reason}", rule.id)),
            Ok(compiled) => {
                if compiled
                    .longest
                    .is_none_or(|longest| longest > rule.max_len.max(LONGEST_MATCH))
                {
                    wrong.push(format!(
                        "{} matches up to {:?} bytes, not {}",
                        rule.id, compiled.longest, rule.max_len
                    ));
                }
                if rule.place == Place::Keyword
                    && compiled.before.is_none()
                    && rule.id != "truenas-key"
                {
                    wrong.push(format!(
                        "{}: a match need not have one of its keywords",
                        rule.id
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_as_many_kinds_as_the_documentation_says() {
    let count = |wanted: Family| {
        load_families(|family| family == wanted)
            .unwrap()
            .rules
            .len()
    };
    assert!(count(Family::Secrets) >= 180, "{}", count(Family::Secrets));
    let national = load().unwrap();
    let countries: HashSet<&str> = national
        .rules
        .iter()
        .filter(|rule| rule.entity == "national-id" && rule.validator.is_some())
        .map(|rule| &rule.id[..2])
        .collect();
    assert!(countries.len() >= 15, "{countries:?}");
    assert!(count(Family::Prompt) >= 10);
}

/// The bound is 20 ms; the machine that runs tests may be busy or slow, so the test allows for it.
#[test]
fn starting_is_quick() {
    let start = Instant::now();
    Engine::new(load().unwrap());
    assert!(start.elapsed().as_millis() < 400, "{:?}", start.elapsed());
}
