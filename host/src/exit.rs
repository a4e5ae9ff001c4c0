//! Exit codes, and which one an error becomes.

use codex_plugin_api::{Error, ErrorKind};

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Wrong use or configuration.
    Usage,
    /// A plugin was refused or failed.
    Plugin,
    /// Data or model is bad.
    Data,
    /// Interrupted, after saving a checkpoint where there was something to save.
    Interrupted,
    /// What a plugin's command answered.
    Other(u8),
}

impl Exit {
    /// The code for an error.
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::Usage,
            ErrorKind::Data => Self::Data,
            ErrorKind::Unsupported | ErrorKind::Denied | ErrorKind::Panic | ErrorKind::Plugin => {
                Self::Plugin
            }
            ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Failed,
        }
    }

    /// What a plugin's command answered; what is no exit code counts as a failure.
    pub fn from_command(code: i32) -> Self {
        match u8::try_from(code) {
            Ok(0) => Self::Done,
            Ok(code) => Self::Other(code),
            Err(_) => Self::Failed,
        }
    }

    /// The number that the system gets.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Plugin => 3,
            Self::Data => 4,
            Self::Interrupted => 130,
            Self::Other(code) => code,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        for (kind, code) in [
            (ErrorKind::Config, 2),
            (ErrorKind::Data, 4),
            (ErrorKind::Unsupported, 3),
            (ErrorKind::Denied, 3),
            (ErrorKind::Panic, 3),
            (ErrorKind::Plugin, 3),
            (ErrorKind::Interrupted, 130),
            (ErrorKind::Failed, 1),
        ] {
            assert_eq!(Exit::of(&Error::new(kind, "x")).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn a_command_of_a_plugin_has_the_codes_that_a_process_can_have() {
        let codes = [0, 1, 7, 255, 256, -1].map(|code| Exit::from_command(code).code());
        assert_eq!(codes, [0, 1, 7, 255, 1, 1]);
    }
}
