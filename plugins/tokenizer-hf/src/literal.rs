//! A tokenizer for which special tokens that are written in a text are text like any other.

use codex_plugin_api::serde_json;
use tokenizers::models::unigram::Unigram;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::bytes::TokenBytes;

/// Stands before a unigram piece that no text may match; two noncharacters, which no text of people holds.
const UNREACHABLE: &str = "\u{10fffe}\u{10ffff}";

/// The same tokenizer with the same ids, blind to special tokens in texts.
///
/// The library passes over special tokens by a switch of its own. A unigram model also has them among its pieces, where
/// they would still match; there they get a name that does not.
pub(crate) fn literal(
    tokenizer: &Tokenizer,
    tokens: &TokenBytes,
) -> Result<Tokenizer, tokenizers::Error> {
    let mut literal = tokenizer.clone();
    literal.set_encode_special_tokens(true);
    if let ModelWrapper::Unigram(model) = tokenizer.get_model() {
        let unknown = serde_json::to_value(model)?["unk_id"]
            .as_u64()
            .map(|id| id as usize);
        let pieces = model
            .iter()
            .enumerate()
            .map(|(id, (piece, score))| {
                let hidden = if tokens.is_special(id as u32) {
                    UNREACHABLE
                } else {
                    ""
                };
                (format!("{hidden}{piece}"), *score)
            })
            .collect();
        literal.with_model(Unigram::from(pieces, unknown, model.byte_fallback())?);
    }
    Ok(literal)
}
