//! For tests alone: seeded randomness, and sanitizers that are small enough to be understood at a glance.

use std::sync::Arc;

use codex_plugin_api::{Error, Finding, Result, Rule, Sanitizer, Severity, Stage, Texts};
use regex::Regex;

use crate::{Action, Key, Policy, ReportedFinding, Sanitizers};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D))
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((value ^ (value >> 31)) % limit.max(1) as u64) as usize
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Text with findings of [`Toy`] in it, some side by side, some overlapping, some cut.
    pub(crate) fn text(&mut self, pieces: usize) -> String {
        let words = [
            "plain ",
            "words, ",
            "žluťoučký ",
            "🦀",
            "\n",
            "\r\n",
            "  ",
            "[",
            "]",
            "\"",
            "\\",
            "=",
            "sk-abc123def ",
            "sk-zz9zz9",
            "key: sk-12345678\n",
            "joe@example.org",
            " ann.b@ex.cz ",
            "password ",
            "password = hunter22",
            "secret=sk-aaaaaa11,",
            "[SECRET]",
            "[EMAIL_ADDRESS]",
            "4111111111111111",
            "+420777123456 ",
            "x",
            "7",
            "sk-",
            "@",
            "null",
            "{\"a\": 1}",
            "\u{200b}",
        ];
        (0..pieces).map(|_| self.pick(&words)).collect()
    }
}

/// Finds what regular expressions match, with a context word before it that raises the confidence.
pub(crate) struct Toy {
    rules: Vec<(Rule, Regex)>,
    max_span: u32,
}

pub(crate) const LONGEST: u32 = 40;

impl Toy {
    pub(crate) fn new(rules: &[(&str, &str, Severity, &str)]) -> Self {
        let rules = rules
            .iter()
            .map(|(id, entity, severity, regex)| {
                let rule = Rule {
                    id: (*id).into(),
                    entity: (*entity).into(),
                    severity: *severity,
                    description: format!("finds {id}"),
                };
                (rule, Regex::new(regex).expect("a test's regex"))
            })
            .collect();
        Self {
            rules,
            max_span: LONGEST,
        }
    }

    pub(crate) fn secrets() -> Self {
        Self::new(&[
            (
                "token",
                "secret",
                Severity::Critical,
                r"\bsk-[a-z0-9]{6,20}\b",
            ),
            (
                "assigned",
                "secret",
                Severity::High,
                r"\b[a-z]{3,8} ?[=:] ?[a-z0-9-]{6,20}\b",
            ),
        ])
    }

    pub(crate) fn people() -> Self {
        Self::new(&[
            (
                "email",
                "email-address",
                Severity::Medium,
                r"\b[a-z.]{1,12}@[a-z]{2,9}\.[a-z]{2,3}\b",
            ),
            (
                "phone",
                "phone-number",
                Severity::Medium,
                r"\+[0-9]{9,12}\b",
            ),
            ("digits", "credit-card", Severity::High, r"\b[0-9]{16}\b"),
            ("hidden", "prompt-attack", Severity::Medium, "\u{200b}{1,9}"),
        ])
    }
}

impl Sanitizer for Toy {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(self.rules.iter().map(|(rule, _)| rule.clone()).collect())
    }

    fn max_span(&self) -> u32 {
        self.max_span
    }

    fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            if text.contains("cannot be scanned") {
                return Err(Error::failed("met what cannot be scanned"));
            }
            let mut found = Vec::new();
            for (rule, (_, regex)) in self.rules.iter().enumerate() {
                for hit in regex.find_iter(text) {
                    let before = &text[..hit.start()];
                    let near = before.char_indices().rev().take(24).last();
                    let context = &before[near.map_or(before.len(), |(at, _)| at)..];
                    found.push(Finding {
                        start: hit.start() as u64,
                        end: hit.end() as u64,
                        text: index as u32,
                        rule: rule as u32,
                        confidence: if context.contains("password") {
                            0.9
                        } else {
                            0.7
                        },
                    });
                }
            }
            found.sort_by_key(|finding| (finding.start, finding.end));
            findings.extend(found);
        }
        Ok(findings)
    }
}

/// Both toys with a policy.
pub(crate) fn toys(policy: &str) -> Sanitizers {
    let policy = Policy::from_yaml(policy, "policy").expect("a test's policy");
    Sanitizers::new(
        vec![
            ("toy-secrets".into(), Arc::new(Toy::secrets())),
            ("toy-people".into(), Arc::new(Toy::people())),
        ],
        policy,
        key(),
    )
    .expect("toys are good")
}

pub(crate) fn key() -> Key {
    Key::new(b"a key for these tests").expect("long enough")
}

/// A finding for reports; the last letter stands for its value.
pub(crate) fn finding(path: &str, rule: &str, value: char) -> ReportedFinding {
    ReportedFinding {
        path: Some(path.into()),
        line: 3,
        column: 5,
        end_line: 3,
        end_column: 9,
        pointer: None,
        plugin: "toy".into(),
        rule: rule.into(),
        entity: "secret".into(),
        severity: Severity::High,
        confidence: 0.5,
        byte_start: 40,
        byte_end: 44,
        action: Action::Redact,
        value_hmac: value.to_string().repeat(64),
    }
}
