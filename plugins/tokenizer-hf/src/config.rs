//! The configuration of a tokenizer, and what can be refused before any text was read.

use codex_plugin_api::{Error, Result};
use codex_plugin_api::{schemars, serde};

/// How texts become tokens.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(crate = "codex_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum Algorithm {
    /// Byte pairs merged by frequency, as in GPT-2; lossless on every text.
    #[default]
    ByteLevelBpe,
    /// Characters merged by frequency with `▁` for the space and bytes for rare characters, as in Llama 2.
    MetaspaceBpe,
    /// Longest match of `##` pieces, as in BERT.
    Wordpiece,
    /// The likeliest pieces of a unigram model, as in T5 and XLM-R.
    Unigram,
}

/// Opens a tokenizer when `path` is given; otherwise the other keys say how to train one.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct HfConfig {
    /// A folder with `tokenizer.json` (or `vocab.txt`, or `vocab.json` and `merges.txt`), or the file itself.
    pub path: Option<String>,
    /// How texts become tokens.
    pub algorithm: Algorithm,
    /// Number of tokens to learn, special tokens included.
    pub vocab_size: u32,
    /// How often two neighbours must meet to become one token (not for unigram).
    pub min_frequency: u64,
    /// More special tokens beside those that the algorithm brings.
    pub special_tokens: Vec<String>,
    /// Lower-cases and strips accents (WordPiece only).
    pub lowercase: bool,
    /// The longest input that the model takes, written to `tokenizer_config.json` for other readers.
    pub model_max_length: Option<u32>,
}

impl Default for HfConfig {
    fn default() -> Self {
        Self {
            path: None,
            algorithm: Algorithm::default(),
            vocab_size: 1024,
            min_frequency: 2,
            special_tokens: Vec::new(),
            lowercase: true,
            model_max_length: None,
        }
    }
}

impl Algorithm {
    /// The word in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ByteLevelBpe => "byte-level-bpe",
            Self::MetaspaceBpe => "metaspace-bpe",
            Self::Wordpiece => "wordpiece",
            Self::Unigram => "unigram",
        }
    }

    /// The special tokens that the algorithm brings, in the order of their ids.
    pub(crate) fn special_tokens(self) -> &'static [&'static str] {
        match self {
            Self::ByteLevelBpe => &["<|endoftext|>"],
            Self::MetaspaceBpe => &["<unk>", "<s>", "</s>"],
            Self::Wordpiece => &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
            Self::Unigram => &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        }
    }

    /// How many single bytes the vocabulary always holds.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::ByteLevelBpe | Self::MetaspaceBpe => 256,
            Self::Wordpiece | Self::Unigram => 0,
        }
    }
}

impl HfConfig {
    /// All special tokens in the order of their ids.
    pub(crate) fn all_special_tokens(&self) -> Vec<String> {
        let own = self
            .algorithm
            .special_tokens()
            .iter()
            .map(|&token| token.to_owned());
        own.chain(self.special_tokens.iter().cloned()).collect()
    }

    /// Refuses what cannot be trained with any text.
    pub(crate) fn check(&self) -> Result<()> {
        let special = self.all_special_tokens();
        for (index, token) in special.iter().enumerate() {
            if token.is_empty() {
                return Err(Error::config("special_tokens holds an empty token"));
            }
            if special[..index].contains(token) {
                return Err(
                    Error::config(format!("special token {token:?} is there twice")).hint(format!(
                        "{} brings {} itself",
                        self.algorithm.word(),
                        self.algorithm.special_tokens().join(", ")
                    )),
                );
            }
        }
        let alphabet = self.algorithm.bytes();
        let least = special.len() + alphabet + usize::from(alphabet == 0) * 4;
        if (self.vocab_size as usize) < least {
            return Err(Error::config(format!(
                "vocab_size {} is too small for {}: {} special tokens and {} need at least {least}",
                self.vocab_size,
                self.algorithm.word(),
                special.len(),
                if alphabet > 0 {
                    "256 bytes"
                } else {
                    "an alphabet"
                },
            ))
            .hint(format!("set vocab_size to {least} or more")));
        }
        Ok(())
    }
}
