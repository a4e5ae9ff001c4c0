//! Which tokens have a role (`bos_token`, `eos_token` …), as Transformers' files say it.

use codex_plugin_api::SpecialTokens;
use codex_plugin_api::serde_json::{Map, Value};
use tokenizers::Tokenizer;

use crate::config::Algorithm;

/// The roles that this interface knows, by their key in the files, and names that tokens of this role usually have.
const ROLES: [(&str, &[&str]); 7] = [
    (
        "bos_token",
        &[
            "<s>",
            "<|begin_of_text|>",
            "<bos>",
            "[BOS]",
            "<|startoftext|>",
            "<|endoftext|>",
        ],
    ),
    (
        "eos_token",
        &["</s>", "<|end_of_text|>", "<eos>", "[EOS]", "<|endoftext|>"],
    ),
    ("pad_token", &["<pad>", "[PAD]", "<|pad|>"]),
    ("unk_token", &["<unk>", "[UNK]"]),
    ("cls_token", &["[CLS]"]),
    ("sep_token", &["[SEP]"]),
    ("mask_token", &["<mask>", "[MASK]"]),
];

/// Tokens by role, in the order of [`ROLES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles([Option<String>; 7]);

impl Roles {
    /// Reads roles from files, the first file that names one wins; a role may be a string or an added token.
    pub(crate) fn read(files: [&Map<String, Value>; 2]) -> Self {
        Self(ROLES.map(|(role, _)| {
            files.iter().find_map(|file| {
                let value = file.get(role)?;
                value
                    .as_str()
                    .or_else(|| value["content"].as_str())
                    .map(str::to_owned)
            })
        }))
    }

    /// The roles of a tokenizer that this plugin trains.
    pub(crate) fn of(algorithm: Algorithm) -> Self {
        let tokens = match algorithm {
            Algorithm::ByteLevelBpe => [
                Some("<|endoftext|>"),
                Some("<|endoftext|>"),
                None,
                None,
                None,
                None,
                None,
            ],
            Algorithm::MetaspaceBpe => [
                Some("<s>"),
                Some("</s>"),
                None,
                Some("<unk>"),
                None,
                None,
                None,
            ],
            Algorithm::Wordpiece => [
                None,
                None,
                Some("[PAD]"),
                Some("[UNK]"),
                Some("[CLS]"),
                Some("[SEP]"),
                Some("[MASK]"),
            ],
            Algorithm::Unigram => [
                Some("<s>"),
                Some("</s>"),
                Some("<pad>"),
                Some("<unk>"),
                Some("<s>"),
                Some("</s>"),
                Some("<mask>"),
            ],
        };
        Self(tokens.map(|token| token.map(str::to_owned)))
    }

    /// Whether no role is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Takes the usual names: for a bare `tokenizer.json` that says nothing of roles.
    pub(crate) fn guess(tokenizer: &Tokenizer) -> Self {
        Self(ROLES.map(|(_, names)| {
            names
                .iter()
                .find(|name| tokenizer.token_to_id(name).is_some())
                .map(|&name| name.to_owned())
        }))
    }

    /// Role and token of every role that is given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        ROLES
            .iter()
            .zip(&self.0)
            .filter_map(|((role, _), token)| Some((*role, token.as_deref()?)))
    }

    /// The token of a role.
    pub(crate) fn get(&self, role: &str) -> Option<&str> {
        self.iter()
            .find(|(name, _)| *name == role)
            .map(|(_, token)| token)
    }

    /// The ids; a token that the vocabulary lacks has none.
    pub(crate) fn ids(&self, tokenizer: &Tokenizer) -> SpecialTokens {
        let [bos, eos, pad, unk, cls, sep, mask] = self
            .0
            .each_ref()
            .map(|token| tokenizer.token_to_id(token.as_deref()?));
        SpecialTokens {
            bos,
            eos,
            pad,
            unk,
            cls,
            sep,
            mask,
        }
    }
}
