//! The sanitizer `{{name}}`: finds long numbers, as accounts and cards have. It only finds; the host decides and redacts.

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::{Finding, FromConfig, HostRef, Result, Rule, Sanitizer, Severity, Stage, Texts};

/// Longer runs are found in pieces of this many bytes.
const LONGEST: usize = 64;

/// What a user may set.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// How many digits in a row are found at least.
    #[schemars(range(min = 1, max = 64))]
    shortest: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { shortest: 8 }
    }
}

struct {{Type}}(Config);

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self(config))
    }
}

/// Where runs of at least `shortest` digits are, in bytes. Digits are one byte each, so these are borders of characters.
fn runs(text: &str, shortest: usize) -> Vec<(usize, usize)> {
    let (bytes, mut found, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let run = bytes[at..].iter().take(LONGEST).take_while(|byte| byte.is_ascii_digit()).count();
        if run >= shortest {
            found.push((at, at + run));
        }
        at += run.max(1);
    }
    found
}

impl Sanitizer for {{Type}} {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(vec![Rule {
            id: "long-number".into(),
            entity: "account-number".into(),
            severity: Severity::Medium,
            description: format!("{} digits or more in a row", self.0.shortest),
        }])
    }
    /// No finding is longer than this many bytes.
    fn max_span(&self) -> u32 {
        LONGEST as u32
    }
    fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (text, content) in (0..).zip(texts.iter()) {
            for (start, end) in runs(content, self.0.shortest) {
                findings.push(Finding { start: start as u64, end: end as u64, text, rule: 0, confidence: 0.5 });
            }
        }
        Ok(findings)
    }
}

codex_plugin_api::plugin! { sanitizer "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::serde_json::json;
    use codex_plugin_api::testing;

    #[test]
    fn it_keeps_the_contract_of_a_sanitizer() {
        testing::check_sanitizer::<{{Type}}>(json!({"shortest": 4}));
    }

    #[test]
    fn long_numbers_are_found() {
        assert_eq!(runs("č 12345678, 1234567", 8), [(3, 11)]);
        assert_eq!(runs(&"1".repeat(70), 6), [(0, 64), (64, 70)]);
    }
}
