//! Records of the host's own making on their way to a file: cleaned, but for the digests in them, which look like
//! secrets and are needed when a run is taken up again.

use codex_redaction::Sanitizers;
use serde_json::{Value, json};

/// Keys whose values are digests that the host computed.
const DIGESTS: [&str; 9] = [
    "base_fingerprint",
    "config_hash",
    "git",
    "sanitizers",
    "sha256",
    "token_store",
    "tokenizer_fingerprint",
    "train_fingerprint",
    "validation_fingerprint",
];

/// A record without what its strings and keys must not hold; one that is blocked as a whole says that it was withheld.
pub(crate) fn clean_own(sanitizers: &Sanitizers, value: &Value) -> Value {
    if sanitizers.is_empty() {
        return value.clone();
    }
    let mut cleaned = sanitizers.clean_log_value(value);
    if value.is_object() && !cleaned.is_object() {
        return json!({"withheld": true});
    }
    restore(value, &mut cleaned);
    cleaned
}

fn restore(original: &Value, cleaned: &mut Value) {
    match (original, cleaned) {
        (Value::Object(original), Value::Object(cleaned)) => {
            for (key, value) in original {
                if DIGESTS.contains(&key.as_str()) && is_digest(value) {
                    cleaned.insert(key.clone(), value.clone());
                } else if let Some(inner) = cleaned.get_mut(key) {
                    restore(value, inner);
                }
            }
        }
        (Value::Array(original), Value::Array(cleaned)) => {
            for (value, inner) in original.iter().zip(cleaned) {
                restore(value, inner);
            }
        }
        _ => {}
    }
}

/// Hexadecimal and nothing else, but for the `+` behind a commit.
fn is_digest(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let digits = text.strip_suffix('+').unwrap_or(text);
        digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use codex_plugin_api::{Finding, Result, Rule, Sanitizer, Severity, Stage, Texts};
    use codex_redaction::{Key, Policy};

    use super::*;

    /// Finds every run of at least eight hexadecimal digits.
    struct Digits;

    impl Sanitizer for Digits {
        fn rules(&self) -> Result<Vec<Rule>> {
            Ok(vec![Rule {
                id: "digits".into(),
                entity: "secret".into(),
                severity: Severity::High,
                description: "hexadecimal digits".into(),
            }])
        }
        fn max_span(&self) -> u32 {
            100
        }
        fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
            let mut found = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let mut start = 0;
                for part in text.split(|letter: char| !letter.is_ascii_hexdigit()) {
                    let end = start + part.len();
                    if part.len() >= 8 {
                        found.push(Finding {
                            start: start as u64,
                            end: end as u64,
                            text: index as u32,
                            rule: 0,
                            confidence: 1.0,
                        });
                    }
                    // Every separator here is one byte.
                    start = end + 1;
                }
            }
            Ok(found)
        }
    }

    #[test]
    fn digests_stay_and_secrets_go() {
        let key = Key::new(b"a key for these tests").unwrap();
        let list: Vec<(String, Arc<dyn Sanitizer>)> = vec![("digits 1".into(), Arc::new(Digits))];
        let sanitizers = Sanitizers::new(list, Policy::standard().unwrap(), key).unwrap();
        let digest = "0123456789abcdef";
        let record = json!({
            "config_hash": digest,
            "git": "0123456789+",
            "plugins": [{"sha256": digest, "path": "/tmp/0123456789abcdef/x"}],
            "token_store": "sk 0123456789abcdef",
        });
        assert_eq!(
            clean_own(&sanitizers, &record),
            json!({
                "config_hash": digest,
                "git": "0123456789+",
                "plugins": [{"sha256": digest, "path": "/tmp/[SECRET]/x"}],
                "token_store": "sk [SECRET]",
            })
        );
    }
}
