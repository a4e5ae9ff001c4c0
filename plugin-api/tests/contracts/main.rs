//! The contracts, tested from outside: what crosses the native border, and the kit that checks components. One process,
//! no library is loaded; loading is the host's test.
#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    clippy::unnecessary_box_returns,
    reason = "tests, and answers in the shape that traits want"
)]

/// Rows to and from arrow-rs, and streams with every oddity that the specification allows.
mod arrow;
/// A small honest component of each kind, which can be told to break one promise.
mod components;
/// The kit passes honest components, and each of its checks fails for some dishonest one.
mod conformance;
/// Answers that break a contract are refused at the border.
mod dishonest;
/// Later versions with more functions load; other layouts do not.
mod growth;
/// The dump of every type in `abi::v1` is the committed one.
mod layout;
/// A panic in any method becomes an error, and the instance is not entered again.
mod panics;
/// Every method of every kind arrives with its arguments and answers.
mod round_trip;
