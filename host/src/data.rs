//! From a dataset to batches: documents or records, their split, the token store, batches in shuffled order, and
//! tokenizers that learn from documents.
//!
//! Rows come from dataset plugins and ids from tokenizer plugins; what is trained on them is the training loop's.

mod batches;
mod classes;
mod columns;
mod corpus;
mod documents;
mod encode;
mod permutation;
mod records;
mod rows;
mod source;
mod store;
mod template;
mod tokenizer_training;

pub use batches::{Batch, Batches, MaskedWindows, Masker, RecordBatches, Windows};
pub use classes::Classes;
pub use corpus::Corpus;
pub(crate) use documents::type_name;
pub use documents::{Document, Documents};
pub use encode::{DocumentReader, Framing};
pub(crate) use encode::{Framed, encode_documents, encode_texts};
pub use records::{Label, Record, Records};
pub use source::DataSource;
pub use store::{RecordStore, TokenStore};
pub use template::Template;
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
