//! Errors as they cross the border.

use abi_stable::StableAbi;
use abi_stable::std_types::{RResult, RString, RVec};

use super::buffers;
use crate::{Error, ErrorKind};

/// What every call answers.
pub type AbiResult<T> = RResult<T, AbiError>;

/// [`Error`] with its kind as a number: 0 failed, 1 config, 2 data, 3 unsupported, 4 denied, 5 interrupted, 6 panic,
/// 7 plugin. A number that the reader does not know counts as 0.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct AbiError {
    kind: u8,
    message: RString,
    /// Empty when there is none.
    hint: RString,
    causes: RVec<RString>,
}

/// The kinds by their number.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Failed,
    ErrorKind::Config,
    ErrorKind::Data,
    ErrorKind::Unsupported,
    ErrorKind::Denied,
    ErrorKind::Interrupted,
    ErrorKind::Panic,
    ErrorKind::Plugin,
];

impl From<Error> for AbiError {
    fn from(error: Error) -> Self {
        Self {
            kind: KINDS
                .iter()
                .position(|&kind| kind == error.kind())
                .unwrap_or(0) as u8,
            message: error.message().into(),
            hint: error.hint_text().unwrap_or_default().into(),
            causes: error
                .causes()
                .iter()
                .map(|cause| cause.as_str().into())
                .collect(),
        }
    }
}

impl From<AbiError> for Error {
    fn from(error: AbiError) -> Self {
        let kind = KINDS
            .get(usize::from(error.kind))
            .copied()
            .unwrap_or(ErrorKind::Failed);
        let safe = Self::new(kind, buffers::lossy(error.message))
            .with_causes(error.causes.into_iter().map(buffers::lossy));
        let hint = buffers::lossy(error.hint);
        if hint.is_empty() {
            safe
        } else {
            safe.hint(hint)
        }
    }
}

/// An answer that breaks the contract of the call: the plugin's fault, whatever the data were.
pub(super) fn broken(what: impl std::fmt::Display) -> Error {
    Error::failed(format!("the plugin gave {what}"))
        .hint("this is a mistake in the plugin: tell its author, `codex-ml plugin test` shows it")
}

/// As [`broken`], keeping the error that says more.
pub(super) fn broken_by(what: impl std::fmt::Display, why: &Error) -> Error {
    broken(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_crosses() {
        for kind in KINDS {
            let error = Error::new(kind, "row 7 is bad")
                .because(&std::io::Error::other("end of file"))
                .hint("mend it");
            assert_eq!(Error::from(AbiError::from(error.clone())), error);
        }
        let unknown = AbiError {
            kind: 200,
            ..AbiError::from(Error::data("x"))
        };
        assert_eq!(Error::from(unknown).kind(), ErrorKind::Failed);
    }
}
