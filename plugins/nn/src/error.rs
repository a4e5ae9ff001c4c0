//! What can go wrong in a training function. Wording for users is left to the model plugins, which know the names.

/// The result of a training function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a training function refused its arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor or slice has the wrong size for its place.
    #[error("{place}: expected {expected}, found {found}")]
    Shape {
        /// Function and argument, for example `linear weight`.
        place: &'static str,
        /// What would have fitted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// An id, label or option is outside its range.
    #[error("{place}: {value} is outside {range}")]
    Range {
        /// What the number is, for example `token id`.
        place: &'static str,
        /// The number given.
        value: String,
        /// The range it has to be in.
        range: String,
    },
    /// A tensor is on a device, or of a type, that has no kernel here.
    #[error("{0}")]
    Unsupported(String),
    /// candle refused.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// Checks that `found` is `expected`, and names `place` if not.
pub(crate) fn same_size(place: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape {
        place,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
