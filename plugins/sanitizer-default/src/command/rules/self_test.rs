//! Rules on their own examples, each rule alone: a better rule for the same text takes nothing from it.

use codex_plugin_api::{Error, HostRef, Result};

use crate::rules::{Place, Rule, RuleSet};
use crate::scan::Engine;

/// A negative example may be found with less.
const SURE: f32 = 0.5;

/// What was tried.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) rules: usize,
    pub(super) examples: usize,
    /// Rules that have none.
    pub(super) without: usize,
    /// Rules with what went wrong.
    pub(super) failures: Vec<(String, String)>,
}

impl Tried {
    pub(super) fn add(&mut self, other: Self) {
        self.rules += other.rules;
        self.examples += other.examples;
        self.without += other.without;
        self.failures.extend(other.failures);
    }
}

/// Tries every rule of what `load` reads; it is read anew for each, since an engine keeps its rules.
///
/// # Errors
/// When the rules cannot be read or compiled, or the user stops it.
pub(super) fn try_all(load: &dyn Fn() -> Result<RuleSet>, host: &HostRef) -> Result<Tried> {
    let mut tried = Tried {
        rules: load()?.rules.len(),
        ..Tried::default()
    };
    for number in 0..tried.rules {
        if host.interrupted() {
            return Err(Error::interrupted());
        }
        let engine = alone(load()?, number);
        let rule = &engine.rules()[0];
        if rule.examples.is_empty() && rule.negative_examples.is_empty() {
            tried.without += 1;
        }
        let path = path_for(rule);
        for (place, text) in rule.examples.iter().enumerate() {
            tried.examples += 1;
            if surest(&engine, text, path)?.is_none() {
                let reason = format!("does not find its example {}", place + 1);
                tried.failures.push((rule.id.clone(), reason));
            }
        }
        for (place, text) in rule.negative_examples.iter().enumerate() {
            tried.examples += 1;
            if let Some(sure) = surest(&engine, text, path)?.filter(|sure| *sure >= SURE) {
                let reason = format!(
                    "finds its negative example {} with confidence {sure:.2}",
                    place + 1
                );
                tried.failures.push((rule.id.clone(), reason));
            }
        }
    }
    Ok(tried)
}

/// One rule first, and behind it the phrases that a finder of prompt attacks looks for.
fn alone(mut set: RuleSet, number: usize) -> Engine {
    let rule = set.rules.swap_remove(number);
    let phrases = rule.entity == "prompt-attack" && rule.place == Place::Finder;
    set.rules
        .retain(|other| phrases && other.place == Place::Keyword);
    set.rules.insert(0, rule);
    Engine::new(set)
}

fn surest(engine: &Engine, text: &str, path: Option<&str>) -> Result<Option<f32>> {
    let spans = engine.scan(text, path)?;
    let own = spans.into_iter().filter(|span| span.rule == 0);
    Ok(own.map(|span| span.confidence).max_by(f32::total_cmp))
}

/// A path that the rule accepts, where it asks for one: of an ordinary file with each extension there is an example for.
fn path_for(rule: &Rule) -> Option<&'static str> {
    let pattern = rule.path.as_ref()?;
    ["a/b.php", "a/b.tf", "a/b.yaml", "a/nuget.config", "a/b.p12"]
        .into_iter()
        .find(|path| pattern.is_match(path.as_bytes()).unwrap_or(false))
}
