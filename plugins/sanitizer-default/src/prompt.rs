//! Prompt attacks: phrases that try to override instructions, and the ways they are hidden.
//!
//! Advisory: phrases catch what is said openly. An instruction in other words, in another language, in an image or
//! spread over several texts is not found.

mod normalise;

use codex_plugin_api::Result;

use crate::check::decode_base64;
use crate::rules::{Place, Rule, RuleSet};
use crate::scan::{Engine, Found};

/// What the rules for phrases find.
pub const ENTITY: &str = "prompt-attack";
/// So many invisible characters in a row hide something; one or two join an emoji.
const INVISIBLE_RUN: usize = 4;
/// The shortest base64 run that could hold a phrase.
const SHORTEST_PAYLOAD: usize = 24;

/// The finders, by the rules they report under.
#[derive(Debug)]
pub(crate) struct Prompts {
    invisible: Option<usize>,
    homoglyph: Option<usize>,
    payload: Option<usize>,
    /// Only the phrases, to be tried on texts that were made readable, with their places among all rules.
    phrases: Option<(Box<Engine>, Vec<usize>)>,
}

impl Prompts {
    /// Nothing when no rule needs a finder.
    pub(crate) fn new(rules: &[Rule]) -> Option<Self> {
        let place = |id: &str| {
            rules
                .iter()
                .position(|rule| rule.place == Place::Finder && rule.id == id)
        };
        let invisible = place("prompt-invisible-text");
        let homoglyph = place("prompt-homoglyphs");
        let payload = place("prompt-encoded-payload");
        invisible.or(homoglyph).or(payload)?;
        Some(Self {
            invisible,
            homoglyph,
            payload,
            phrases: phrases(rules),
        })
    }

    pub(crate) fn search(&self, found: &mut Found<'_>) -> Result<()> {
        self.hidden(found)?;
        if let Some(rule) = self.payload {
            self.payloads(found, rule)?;
        }
        Ok(())
    }

    /// Invisible characters, letters of another script, and phrases that appear once both are undone.
    fn hidden(&self, found: &mut Found<'_>) -> Result<()> {
        let text = found.text;
        if text.is_ascii() {
            return Ok(());
        }
        let signs = normalise::signs(text, INVISIBLE_RUN);
        for (rule, spans) in [
            (self.invisible, &signs.invisible),
            (self.homoglyph, &signs.mixed),
        ] {
            let Some(rule) = rule else { continue };
            let confidence = found.rule(rule).confidence;
            for span in spans {
                found.push(rule, span.clone(), span.clone(), confidence)?;
            }
        }
        let Some((engine, places)) = self.phrases.as_ref().filter(|_| signs.worth_normalising)
        else {
            return Ok(());
        };
        let plain = normalise::normalise(text);
        for span in engine.scan(&plain.text, None)? {
            let range = plain.origin(span.start..span.end);
            found.push(places[span.rule], range.clone(), range, span.confidence)?;
        }
        Ok(())
    }

    /// Base64 whose text holds a phrase.
    fn payloads(&self, found: &mut Found<'_>, rule: usize) -> Result<()> {
        let Some((engine, _)) = &self.phrases else {
            return Ok(());
        };
        let (text, confidence) = (found.bytes(), found.rule(rule).confidence);
        let most = found.rule(rule).max_len;
        for run in base64_runs(text, SHORTEST_PAYLOAD) {
            let run = run.start..run.end.min(run.start + most);
            let whole = run.start..run.start + run.len() / 4 * 4;
            let decoded = decode_base64(&text[run.clone()]).or_else(|| decode_base64(&text[whole]));
            let Some(plain) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            if !engine.scan(&plain, None)?.is_empty() {
                found.push(rule, run.clone(), run, confidence)?;
            }
        }
        Ok(())
    }
}

/// Runs of base64 characters that are long enough; found from the middle, so that short words cost nothing.
fn base64_runs(text: &[u8], shortest: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    let mut at = shortest - 1;
    let mut done = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            // A run that long covers every place `shortest` apart.
            let back = text[done..=at]
                .iter()
                .rev()
                .take_while(|&&byte| is_base64(byte))
                .count();
            if back == 0 {
                done = at;
                at += shortest;
                continue;
            }
            let start = at + 1 - back;
            let ahead = text[at + 1..]
                .iter()
                .take_while(|&&byte| is_base64(byte))
                .count();
            let mut end = at + 1 + ahead;
            while end < text.len() && text[end] == b'=' && end < at + ahead + 3 {
                end += 1;
            }
            done = end;
            at = end + shortest - 1;
            if end - start >= shortest {
                return Some(start..end);
            }
        }
        None
    })
}

/// An engine with the phrases alone.
fn phrases(rules: &[Rule]) -> Option<(Box<Engine>, Vec<usize>)> {
    let is_phrase = |rule: &Rule| {
        rule.entity == ENTITY && rule.place == Place::Keyword && rule.pattern.is_some()
    };
    let places: Vec<usize> = (0..rules.len())
        .filter(|&place| is_phrase(&rules[place]))
        .collect();
    if places.is_empty() {
        return None;
    }
    let set = RuleSet {
        rules: places.iter().map(|&place| rules[place].phrase()).collect(),
        allow: Vec::new(),
    };
    Some((Box::new(Engine::new(set)), places))
}
