//! The switch that turns sanitizing off, and the line that says so. Reading the environment is the caller's.

use codex_plugin_api::{Error, Result};

/// The environment variable that callers read.
pub const SWITCH_VARIABLE: &str = "CODEX_ML_SANITIZE";

/// Whether texts are sanitized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Switch {
    /// They are.
    #[default]
    On,
    /// They pass as they are, and a line says so.
    Off,
}

impl Switch {
    /// Reads the variable's value: absent, empty or `on` is on, `off` is off.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] for anything else: a switch that protects is not guessed at.
    pub fn from_value(value: Option<&str>) -> Result<Self> {
        match value {
            None | Some("" | "on") => Ok(Self::On),
            Some("off") => Ok(Self::Off),
            Some(other) => Err(
                Error::config(format!("{SWITCH_VARIABLE} is {other:?}")).hint(format!(
                    "{SWITCH_VARIABLE}=off turns sanitizers off; unset it to have them on"
                )),
            ),
        }
    }

    /// What must be shown when it is off, whatever `--quiet` says.
    pub fn warning(self) -> Option<String> {
        (self == Self::Off).then(|| {
            format!(
                "sanitizers are off ({SWITCH_VARIABLE}=off): secrets and personal data reach models, logs and answers"
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_off_is_off_and_it_is_loud() {
        for value in [None, Some(""), Some("on")] {
            let switch = Switch::from_value(value).unwrap();
            assert_eq!((switch, switch.warning()), (Switch::On, None));
        }
        let off = Switch::from_value(Some("off")).unwrap();
        assert!(off.warning().unwrap().contains("CODEX_ML_SANITIZE=off"));
        for value in ["0", "OFF", "false"] {
            let error = Switch::from_value(Some(value)).unwrap_err();
            assert!(error.message().contains(value), "{error}");
            assert!(error.hint_text().unwrap().contains("=off"));
        }
    }
}
