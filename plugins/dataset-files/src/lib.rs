//! Datasets from the user's own files: plain text, JSON lines, CSV and Parquet, of any size, in any encoding.
//!
//! A file is read once when it is opened, block by block: that finds where its rows start (8 bytes of memory a row), which
//! types its columns have, whether its bytes are text, and the hash of its content. From then on a read is one positioned
//! read of the rows asked for. Nothing is copied to disk and no whole file is held in memory.
//!
//! [`discover`] finds the files, [`handle`] reads them, [`charset`] decodes, [`index`] makes the one pass; [`lines`],
//! [`json`], [`delimited`] and [`columnar`] know one format each; [`dataset`] puts them together. Which column is trained on,
//! splitting and tokenizing are the host's.

pub mod charset;
pub mod columnar;
pub mod config;
pub mod dataset;
pub mod delimited;
pub mod discover;
pub mod handle;
pub mod index;
pub mod json;
pub mod kind;
pub mod lines;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

pub use config::{Config, Document, Format, Paths};
pub use dataset::FilesDataset;

codex_plugin_api::plugin! { dataset "files" => FilesDataset }
