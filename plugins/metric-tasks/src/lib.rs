//! Metrics of tasks beside language modelling: classes, values, and embeddings of texts that belong together.
//!
//! What a sample is, and in which order samples come, is the host's decision; this crate only judges.

mod classification;
mod regression;
mod retrieval;
mod state;
mod statistics;

pub use classification::Classification;
pub use regression::Regression;
pub use retrieval::Retrieval;

codex_plugin_api::plugin! {
    metric "classification" => Classification,
    metric "regression" => Regression,
    metric "retrieval" => Retrieval,
}
