//! What the checks of one component found.

use std::fmt;

use serde_json::Value;

use crate::abi::v1::guarded;
use crate::{Error, ErrorKind, Result};

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The promise holds.
    Passed,
    /// The component does not offer what the check is about.
    Skipped(String),
    /// The promise does not hold, and why.
    Failed(String),
}

/// One promise and how it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The promise.
    pub name: &'static str,
    /// How it was kept.
    pub outcome: Outcome,
}

/// All checks of one component, in the order in which they ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Runs one check. Errors and panics of the component fail it, except that something unsupported skips it.
    pub(super) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) -> bool {
        let outcome = match guarded(check) {
            Ok(()) => Outcome::Passed,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                Outcome::Skipped(error.message().to_owned())
            }
            Err(error) => {
                let causes = error.causes().iter().map(|cause| format!(": {cause}"));
                // What mends it is due to whoever runs the checks as to any user: a grant that is missing, for one.
                let hint = error.hint_text().map(|hint| format!("; {hint}"));
                let rest: String = causes.chain(hint).collect();
                Outcome::Failed(format!("{error}{rest}"))
            }
        };
        let passed = outcome == Outcome::Passed;
        self.checks.push(Check { name, outcome });
        passed
    }

    /// Adds the check that a configuration has a schema that the host can use.
    #[must_use]
    pub(super) fn with_schema(mut self, schema: &Value) -> Self {
        self.check("the configuration has a schema of an object", || {
            ensure(
                schema.get("type").and_then(Value::as_str) == Some("object"),
                || format!("the schema is {schema}: use a struct with named fields"),
            )
        });
        self
    }

    /// Whether no check failed.
    pub fn passed(&self) -> bool {
        !self
            .checks
            .iter()
            .any(|check| matches!(check.outcome, Outcome::Failed(_)))
    }

    /// The outcome of a check, by its name.
    pub fn outcome(&self, name: &str) -> Option<&Outcome> {
        let check = self.checks.iter().find(|check| check.name == name)?;
        Some(&check.outcome)
    }

    /// Ends a test.
    ///
    /// # Panics
    /// With the whole report, when a check failed.
    pub fn assert(&self) {
        assert!(self.passed(), "the component breaks its contract:\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            match &check.outcome {
                Outcome::Passed => writeln!(f, "  passed   {}", check.name)?,
                Outcome::Skipped(why) => writeln!(f, "  skipped  {} ({why})", check.name)?,
                Outcome::Failed(why) => writeln!(f, "  FAILED   {}: {why}", check.name)?,
            }
        }
        Ok(())
    }
}

/// A promise within a check.
pub(super) fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::failed(why()))
    }
}

/// The error that a call must end with. A host that names the plugin in a failure makes it one of the plugin.
pub(super) fn refused<T>(result: Result<T>, kind: ErrorKind, what: &str) -> Result<Error> {
    match result {
        Ok(_) => Err(Error::failed(format!("{what} was accepted"))),
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) if kind == ErrorKind::Failed && error.kind() == ErrorKind::Plugin => Ok(error),
        Err(error) => Err(Error::failed(format!(
            "{what} was refused with an error of kind {:?} ({error}), not {kind:?}",
            error.kind()
        ))),
    }
}

/// Whether two results are equal but for rounding; NaN equals NaN.
pub(super) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

/// Numbers that look random and are the same in every run.
pub(super) fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        // SplitMix64 (Steele et al. 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Texts of many shapes: plain, empty, blank, other scripts, several bytes a character, long.
pub(super) fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "The quick brown fox jumps over the lazy dog.",
        "",
        " ",
        "  two  spaces\tand a tab\nand a line\r\n",
        "PŘÍLIŠ ŽLUŤOUČKÝ kůň úpěl ďábelské ódy",
        "漢字かな交じり文。",
        "🦀🏳\u{fe0f}\u{200d}🌈 e\u{301} \u{202e}abc",
        "call 0123456789012 or write to ada@example.org",
        "fn main() { let x = \"\\u{1F980}\"; }",
        "\0 a zero byte, and a last one \u{10ffff}",
    ]
    .map(str::to_owned)
    .into();
    texts.push("one word after another and ".repeat(120));
    texts
}
