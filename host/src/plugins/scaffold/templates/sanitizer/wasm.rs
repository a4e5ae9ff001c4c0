//! The sanitizer `{{name}}`: finds long numbers, as accounts and cards have. It only finds; the host decides and redacts.
//!
//! The host calls `create` first. Every component has an instance of its own, so a `static` is its state and nobody else's.

wit_bindgen::generate!({ path: "wit", world: "sanitizer-plugin" });

use std::sync::atomic::{AtomicUsize, Ordering};

use codex::plugin::types::{Error, Finding, Rule, Severity, Stage, Texts};
use exports::codex::plugin::sanitizer::Guest;

/// Longer runs are found in pieces of this many bytes.
const LONGEST: usize = 64;

static SHORTEST: AtomicUsize = AtomicUsize::new(8);

struct {{Type}};

/// Where runs of at least `shortest` digits are, in bytes. Digits are one byte each, so these are borders of characters.
fn runs(bytes: &[u8], shortest: usize) -> Vec<(usize, usize)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let run = bytes[at..].iter().take(LONGEST).take_while(|byte| byte.is_ascii_digit()).count();
        if run >= shortest {
            found.push((at, at + run));
        }
        at += run.max(1);
    }
    found
}

impl Guest for {{Type}} {
    /// The configuration was checked against `plugin.toml`, and its defaults are filled in.
    fn create(_name: String, config: String) -> Result<(), Error> {
        let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
        SHORTEST.store(config["shortest"].as_u64().unwrap_or(8) as usize, Ordering::Relaxed);
        Ok(())
    }
    fn rules() -> Result<Vec<Rule>, Error> {
        Ok(vec![Rule {
            id: "long-number".into(),
            entity: "account-number".into(),
            severity: Severity::Medium,
            description: format!("{} digits or more in a row", SHORTEST.load(Ordering::Relaxed)),
        }])
    }
    /// No finding is longer than this many bytes.
    fn max_span() -> u32 {
        LONGEST as u32
    }
    /// The texts are UTF-8, one behind the other, with packed offsets between them.
    fn scan(texts: Texts, _stage: Stage) -> Result<Vec<Finding>, Error> {
        let offset = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes) as usize;
        let offsets: Vec<usize> = texts.offsets.chunks_exact(8).map(offset).collect();
        let mut findings = Vec::new();
        for (text, pair) in (0..).zip(offsets.windows(2)) {
            for (start, end) in runs(&texts.bytes[pair[0]..pair[1]], SHORTEST.load(Ordering::Relaxed)) {
                findings.push(Finding { start: start as u64, end: end as u64, text, rule: 0, confidence: 0.5 });
            }
        }
        Ok(findings)
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_found() {
        assert_eq!(runs("č 12345678, 1234567".as_bytes(), 8), [(3, 11)]);
        assert_eq!(runs(&[b'1'; 70], 6), [(0, 64), (64, 70)]);
    }
}
