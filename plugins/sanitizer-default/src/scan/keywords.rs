//! One pass for the keywords of all rules.
//!
//! Of every keyword, the four bytes that texts have least are what is looked for ([`Windows`]): one look at a table of
//! bits settles nearly every place of a text. Only where it does not, the keywords that have those bytes are compared.

mod windows;

use std::collections::HashMap;

use crate::assignment::{self, Value};
use crate::rules::{Place, Rule};
use windows::Windows;

/// A keyword of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hit {
    pub(super) rule: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All keywords of a text, by rule and place.
#[derive(Default)]
pub(super) struct Hits {
    pub(super) of_rules: Vec<Hit>,
    pub(super) assignments: Vec<Value>,
}

/// A keyword and what it stands for.
#[derive(Clone, Debug)]
struct Keyword {
    bytes: Vec<u8>,
    rules: Vec<usize>,
    /// It may be part of the name of a credential.
    names: bool,
}

/// The search.
#[derive(Debug)]
pub(super) struct Keywords {
    windows: Windows,
    all: Vec<Keyword>,
    /// Rules whose keyword is a single byte, which is too common for the pass over all.
    single: Vec<(u8, usize)>,
    everywhere: Vec<usize>,
}

impl Keywords {
    /// Joins the keywords of `rules`, and those of assignments.
    pub(super) fn new(rules: &[Rule], with_assignments: bool) -> Self {
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut all: Vec<Keyword> = Vec::new();
        let (mut single, mut everywhere) = (Vec::new(), Vec::new());
        let mut place = |word, all: &mut Vec<Keyword>| {
            *places.entry(word).or_insert_with(|| {
                all.push(Keyword {
                    bytes: word.as_bytes().to_vec(),
                    rules: Vec::new(),
                    names: false,
                });
                all.len() - 1
            })
        };
        for (number, rule) in rules.iter().enumerate() {
            let finds = rule.place == Place::Finder && !rule.keywords.is_empty();
            if rule.place != Place::Keyword && !finds {
                continue;
            }
            if rule.keywords.iter().all(String::is_empty) {
                everywhere.push(number);
            }
            for word in rule.keywords.iter().filter(|word| !word.is_empty()) {
                if let &[byte] = word.as_bytes() {
                    single.push((byte, number));
                } else {
                    let at = place(word.as_str(), &mut all);
                    all[at].rules.push(number);
                }
            }
        }
        for word in assignment::KEYWORDS.iter().filter(|_| with_assignments) {
            let at = place(word, &mut all);
            all[at].names = true;
        }
        Self {
            windows: Windows::new(all.iter().map(|keyword| &keyword.bytes[..])),
            all,
            single,
            everywhere,
        }
    }

    /// Rules without keywords, which are tried everywhere.
    pub(super) fn everywhere(&self) -> &[usize] {
        &self.everywhere
    }

    /// All keywords in `text`; `look` is asked at each that may be part of a credential's name.
    pub(super) fn find(
        &self,
        text: &[u8],
        mut look: impl FnMut(assignment::Hit) -> Option<Value>,
    ) -> Hits {
        let mut hits = Hits::default();
        let mut done = 0;
        self.windows.each(text, |number, start| {
            let keyword = &self.all[number];
            let end = start + keyword.bytes.len();
            let is_there = text
                .get(start..end)
                .is_some_and(|bytes| bytes.eq_ignore_ascii_case(&keyword.bytes));
            if !is_there {
                return;
            }
            let rules = keyword.rules.iter();
            hits.of_rules
                .extend(rules.map(|&rule| Hit { rule, start, end }));
            if keyword.names
                && start >= done
                && let Some(value) = look(assignment::Hit { start, end })
            {
                done = value.start;
                hits.assignments.push(value);
            }
        });
        for &(byte, rule) in &self.single {
            let places = memchr::memchr2_iter(byte, byte.to_ascii_uppercase(), text);
            hits.of_rules.extend(places.map(|start| Hit {
                rule,
                start,
                end: start + 1,
            }));
        }
        hits.of_rules.sort_unstable();
        hits
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rules::from_text;

    #[test]
    fn keywords_are_found_wherever_and_however_they_are_written() {
        let file = "[[rules]]\nid = 'a'\nregex = 'x'\nkeywords = ['@', 'pk', 'Key', 'keyword', 'wordy', 'señal']\n";
        let rules = from_text("x.toml", file, true).unwrap().rules;
        let keywords = Keywords::new(&rules, false);
        let found = |text: &str| {
            let hits = keywords.find(text.as_bytes(), |_| None).of_rules;
            hits.iter()
                .map(|hit| text[hit.start..hit.end].to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            found("KEYWORDY pK@"),
            ["KEY", "KEYWORD", "WORDY", "pK", "@"]
        );
        assert_eq!(found("una señal"), ["señal"]);
        assert_eq!(found("ke"), [""; 0]);
        assert_eq!(found("key"), ["key"]);
        assert_eq!(found("pk keyword"), ["pk", "key", "keyword"]);
    }
}
