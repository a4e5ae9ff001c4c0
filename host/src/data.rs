//! From a dataset to batches: documents, their split, the token store, windows in shuffled order, and tokenizers that
//! learn from documents.
//!
//! Rows come from dataset plugins and ids from tokenizer plugins; what is trained on them is the training loop's.

mod batches;
mod documents;
mod encode;
mod permutation;
mod source;
mod store;
mod tokenizer_training;

pub use batches::{Batches, PackedBatch};
pub(crate) use documents::type_name;
pub use documents::{Document, Documents};
pub use encode::{DocumentReader, Framing};
pub(crate) use encode::{Framed, encode_documents};
pub use source::DataSource;
pub use store::TokenStore;
pub use tokenizer_training::train_tokenizer;

/// Lower-case hexadecimal digits of some bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
