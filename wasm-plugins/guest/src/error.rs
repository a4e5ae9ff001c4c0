//! Short ways to make an error of the WIT.

use std::fmt::Display;

use crate::types::{Error, ErrorKind};

/// `message` is one lower-case line without a full stop that names the thing and the value.
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

    /// Data or a saved folder is bad.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Anything else that went wrong.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The component does not offer `operation`.
    pub fn unsupported(operation: impl Display) -> Self {
        let message = format!("{operation} is not supported by this component");
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Says what the reader can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }
}
