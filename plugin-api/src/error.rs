//! The one error type that plugins and host exchange: a kind, one line, a hint and the chain of causes.
//!
//! How an error is shown, and which exit code it becomes, is the host's affair.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of every plugin call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is; the host derives the exit code from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The user's configuration or arguments are wrong (exit code 2).
    Config,
    /// Data or a model folder is bad: missing, truncated, malformed (exit code 4).
    Data,
    /// The component does not offer this operation (exit code 3).
    Unsupported,
    /// A permission that was not granted would be needed (exit code 3).
    Denied,
    /// The user asked to stop (exit code 130).
    Interrupted,
    /// The plugin panicked; set by the shim inside the plugin, never by an author (exit code 3).
    Panic,
    /// A plugin was refused or failed; set by the host, which names it in the message (exit code 3).
    Plugin,
    /// Anything else that went wrong. The host turns it into [`Self::Plugin`] when a plugin reported it.
    Failed,
}

/// An error with everything its reader needs: what happened, where, and what to do about it.
///
/// `message` is one lower-case line without a full stop that names the thing and the value. `hint` says what to do.
/// `causes` goes from the outermost cause to the innermost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            causes: Vec::new(),
        }
    }

    /// The user's configuration or arguments are wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Data or a model folder is bad.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Something went wrong that is neither the configuration's nor the data's fault.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// `component` does not offer `operation`.
    pub fn unsupported(operation: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Unsupported,
            format!("{operation} is not supported by this component"),
        )
    }

    /// A permission that was not granted would be needed.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// The user asked to stop.
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted")
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what caused this error, and that error's own sources.
    #[must_use]
    pub fn because(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            if let Some(inner) = error.downcast_ref::<Self>() {
                self.causes.extend(inner.causes.iter().cloned());
                self.hint = self.hint.or_else(|| inner.hint.clone());
            }
            next = error.source();
        }
        self
    }

    /// Puts a new message in front; the old one becomes the first cause. Kind and hint stay.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let old = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, old);
        self
    }

    /// The same error with other causes: how one is put together again behind a border.
    #[must_use]
    pub fn with_causes(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        self.causes = causes.into_iter().collect();
        self
    }

    /// The same error as another's fault: how the host turns what a plugin reported into [`ErrorKind::Plugin`].
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same error in other words: how the host adds the plugin's name without repeating the message as a cause.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The one line that names the thing and the value.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The chain of causes, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Turns any error into an [`Error`] that says where it happened.
pub trait Context<T> {
    /// Wraps the error: `error()` gives the kind, message and hint, the original becomes its cause.
    fn or_error(self, error: impl FnOnce() -> Error) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> Context<T> for std::result::Result<T, E> {
    fn or_error(self, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|cause| error().because(&cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_keep_their_order_and_the_inner_hint() {
        let inner = Error::data("row 7 is short")
            .because(&std::io::Error::other("end of file"))
            .hint("mend row 7");
        let outer = Error::failed("cannot read data.csv").because(&inner);
        assert_eq!(outer.causes(), ["row 7 is short", "end of file"]);
        assert_eq!(outer.hint_text(), Some("mend row 7"));
        assert_eq!(outer.kind(), ErrorKind::Failed);
    }

    #[test]
    fn context_moves_the_old_message_down() {
        let error = Error::config("rank is 0").context("cannot create adapter lora");
        assert_eq!(error.to_string(), "cannot create adapter lora");
        assert_eq!(error.causes(), ["rank is 0"]);
    }
}
