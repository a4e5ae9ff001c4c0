//! The tokenizer kind: text to ids and back.

use serde::{Deserialize, Serialize};

use crate::{Ids, Result, TextBuffer, Texts};

/// Ids of the tokens with a role. `None` where the tokenizer has no such token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SpecialTokens {
    /// Begins a text (`bos_token`); causal models predict a text's first token from it.
    pub bos: Option<u32>,
    /// Ends a text (`eos_token`).
    pub eos: Option<u32>,
    /// Fills short sequences (`pad_token`).
    pub pad: Option<u32>,
    /// Stands for what cannot be encoded (`unk_token`).
    pub unk: Option<u32>,
    /// Begins a text for encoders (`cls_token`).
    pub cls: Option<u32>,
    /// Separates texts for encoders (`sep_token`).
    pub sep: Option<u32>,
    /// Hides a token in masked language modelling (`mask_token`).
    pub mask: Option<u32>,
}

/// What a tokenizer says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Number of ids, added tokens included: every id is below it.
    pub size: u32,
    /// The tokens with a role.
    pub special: SpecialTokens,
    /// Whether `decode(encode(text)) == text` for every text, so that bits per byte are exact.
    pub lossless: bool,
    /// A digest of everything that changes the ids: equal fingerprints promise equal encodings.
    pub fingerprint: String,
}

/// How to encode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EncodeOptions {
    /// Adds what the tokenizer's post-processor adds (`[CLS]`, `[SEP]`, `<s>` …).
    pub add_special_tokens: bool,
    /// Reads a special token that is written in the text (`<|endoftext|>`) as that token. By default it is text like any
    /// other, so that nobody's data can end a document or play a role.
    pub parse_special_tokens: bool,
    /// Also gives each token's byte span in its text.
    pub byte_offsets: bool,
    /// Cuts each text after this many tokens, added ones included; 0 means never.
    pub max_length: u32,
}

/// The ids of many texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The ids of all texts, one after the other.
    pub ids: Vec<u32>,
    /// `texts + 1` offsets into `ids`.
    pub sequence_offsets: Vec<u64>,
    /// For each id the byte where its token starts and ends within its text, flattened: `2 · ids.len()` values, or
    /// empty when not asked for. A token that stands for no byte has an empty span.
    pub byte_offsets: Vec<u32>,
}

impl Encoding {
    /// The sequences, borrowed and checked.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when the offsets do not fit the ids.
    pub fn sequences(&self) -> Result<Ids<'_>> {
        Ids::new(&self.ids, &self.sequence_offsets)
    }
}

/// Text to ids and back, in batches.
///
/// A tokenizer is created either from a folder (config key `path`), or untrained; an untrained one learns from texts
/// that the host feeds, and gives an error of kind `Failed` from every other method until `finish_training`. The host
/// calls the `&self` methods from several threads; a tokenizer may use the thread budget of its host context inside one
/// call. It must not normalise more than its vocabulary says: `lossless` is checked.
///
/// ```
/// use codex_plugin_api::*;
///
/// #[derive(Default)]
/// struct Bytes;
///
/// impl Tokenizer for Bytes {
///     fn vocabulary(&self) -> Result<Vocabulary> {
///         let special = SpecialTokens { bos: Some(256), eos: Some(256), ..SpecialTokens::default() };
///         Ok(Vocabulary { size: 257, special, lossless: true, fingerprint: "bytes-1".into() })
///     }
///     fn encode(&self, texts: Texts<'_>, _options: EncodeOptions) -> Result<Encoding> {
///         let ids = texts.bytes().bytes().map(u32::from).collect();
///         Ok(Encoding { ids, sequence_offsets: texts.offsets().to_vec(), byte_offsets: Vec::new() })
///     }
///     fn decode(&self, sequences: Ids<'_>, _skip_special_tokens: bool) -> Result<TextBuffer> {
///         let text = |ids: &[u32]| ids.iter().filter_map(|&id| u8::try_from(id).ok()).collect::<Vec<u8>>();
///         Ok(sequences.iter().map(|ids| String::from_utf8_lossy(&text(ids)).into_owned()).collect())
///     }
///     fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
///         Ok(u8::try_from(id).into_iter().collect())
///     }
///     fn token_text(&self, id: u32) -> Result<Option<String>> {
///         Ok((id < 257).then(|| format!("<{id}>")))
///     }
///     fn token_id(&self, _token: &str) -> Result<Option<u32>> {
///         Ok(None)
///     }
///     fn save(&self, folder: &str) -> Result<()> {
///         std::fs::write(format!("{folder}/tokenizer.json"), "{}")
///             .or_error(|| Error::failed(format!("cannot write {folder}/tokenizer.json")))
///     }
/// }
/// ```
pub trait Tokenizer: Send + Sync {
    /// What the tokenizer says of itself; fixed once trained.
    ///
    /// # Errors
    /// When the tokenizer is not trained.
    fn vocabulary(&self) -> Result<Vocabulary>;

    /// Encodes every text; an empty text gives an empty sequence (plus special tokens where asked for).
    ///
    /// # Errors
    /// When the tokenizer is not trained.
    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding>;

    /// Decodes every sequence; bytes that form no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming an id that is not in the vocabulary.
    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer>;

    /// The raw bytes that a token stands for in the text, which need not be UTF-8 by themselves; empty for special
    /// tokens. Streaming output and blocked strings are built on it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] for an id that is not in the vocabulary.
    fn token_bytes(&self, id: u32) -> Result<Vec<u8>>;

    /// The token as the vocabulary writes it (`Ġthe`, `##ing`, `[CLS]`); `None` for an unknown id.
    ///
    /// # Errors
    /// When the tokenizer is not trained.
    fn token_text(&self, id: u32) -> Result<Option<String>>;

    /// The id of a token as the vocabulary writes it.
    ///
    /// # Errors
    /// When the tokenizer is not trained.
    fn token_id(&self, token: &str) -> Result<Option<u32>>;

    /// Writes `tokenizer.json` and what other readers expect beside it into an existing folder.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Failed`] naming the file that could not be written.
    fn save(&self, folder: &str) -> Result<()>;

    /// Learns from some more texts. Called any number of times before [`Self::finish_training`]; the vocabulary must
    /// not depend on how the texts were divided into calls.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] unless the tokenizer can be trained.
    fn feed(&mut self, texts: Texts<'_>) -> Result<()> {
        let _ = texts;
        Err(crate::Error::unsupported("training a tokenizer"))
    }

    /// Ends training; from here on the tokenizer encodes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] when what was fed is too little, [`crate::ErrorKind::Unsupported`] by default.
    fn finish_training(&mut self) -> Result<()> {
        Err(crate::Error::unsupported("training a tokenizer"))
    }
}
