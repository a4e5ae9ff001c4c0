//! What crosses the native border, tested from outside: honest and dishonest components behind their objects, Arrow
//! streams against arrow-rs, and the frozen layout. One process, no library is loaded; loading is the host's test.
#![allow(clippy::unwrap_used, reason = "tests")]

/// Rows to and from arrow-rs, and streams with every oddity that the specification allows.
mod arrow;
/// Answers that break a contract are refused.
mod dishonest;
/// Later versions with more functions load; other layouts do not.
mod growth;
/// The dump of every type in `abi::v1` is the committed one.
mod layout;
/// A panic in any method becomes an error, and the instance is not entered again.
mod panics;
/// Every method of every kind arrives with its arguments and answers.
mod round_trip;
