//! What a trained tokenizer is made of besides its vocabulary: the `tokenizer.json` of each algorithm.
//!
//! Everything is written as the file's own JSON and parsed by the library, so that a trained tokenizer and the same
//! tokenizer opened from its folder are one thing.

use codex_plugin_api::serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use crate::config::{Algorithm, HfConfig};

/// The learned part.
pub(crate) enum Model {
    /// Tokens by id and the merges in their order.
    Merges {
        tokens: Vec<String>,
        merges: Vec<(String, String)>,
    },
    /// Pieces by id with their log-probabilities.
    Pieces(Vec<(String, f64)>),
}

/// The tokenizer of a configuration and what was learned.
pub(crate) fn tokenizer(config: &HfConfig, model: &Model) -> tokenizers::Result<Tokenizer> {
    let special = config.all_special_tokens();
    let added: Vec<Value> = special
        .iter()
        .enumerate()
        .map(|(id, token)| added_token(id, token, true))
        .collect();
    let (normalizer, pre_tokenizer, decoder) = around(config);
    let text = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor(config.algorithm),
        "decoder": decoder,
        "model": model_json(config.algorithm, model),
    })
    .to_string();
    Tokenizer::from_bytes(text)
}

/// A tokenizer with nothing learned: what normalises and divides the texts to learn from.
pub(crate) fn untrained(config: &HfConfig) -> tokenizers::Result<Tokenizer> {
    let (normalizer, pre_tokenizer, _) = around(config);
    let model = json!({"type": "BPE", "vocab": {}, "merges": []});
    let text = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "model": model,
    });
    Tokenizer::from_bytes(text.to_string())
}

/// An entry of `added_tokens`.
pub(crate) fn added_token(id: usize, content: &str, special: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": !special, "special": special,
    })
}

/// BERT's parts: normaliser, pre-tokenizer, decoder.
pub(crate) fn bert(lowercase: bool) -> (Value, Value, Value) {
    (
        json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
               "strip_accents": null, "lowercase": lowercase}),
        json!({"type": "BertPreTokenizer"}),
        json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
    )
}

/// GPT-2's division into bytes; `trim_offsets` is off because a token's span includes its space.
pub(crate) fn byte_level(add_prefix_space: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": false, "use_regex": true})
}

/// A template that puts special tokens around one text (`$A`) or two (`$A`, `$B`). A word is `(token, id, type)`.
pub(crate) fn template(single: &[(&str, usize, u32)], pair: &[(&str, usize, u32)]) -> Value {
    let piece = |&(word, _, type_id): &(&str, usize, u32)| match word.strip_prefix('$') {
        Some(text) => json!({"Sequence": {"id": text, "type_id": type_id}}),
        None => json!({"SpecialToken": {"id": word, "type_id": type_id}}),
    };
    let tokens: Map<String, Value> = pair
        .iter()
        .filter(|(word, ..)| !word.starts_with('$'))
        .map(|&(word, id, _)| {
            (
                word.to_owned(),
                json!({"id": word, "ids": [id], "tokens": [word]}),
            )
        })
        .collect();
    json!({
        "type": "TemplateProcessing",
        "single": single.iter().map(piece).collect::<Vec<_>>(),
        "pair": pair.iter().map(piece).collect::<Vec<_>>(),
        "special_tokens": tokens,
    })
}

fn around(config: &HfConfig) -> (Value, Value, Value) {
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    match config.algorithm {
        Algorithm::ByteLevelBpe => (Value::Null, byte_level(false), byte_level(false)),
        Algorithm::Wordpiece => bert(config.lowercase),
        Algorithm::MetaspaceBpe => (
            Value::Null,
            metaspace,
            json!({"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]}),
        ),
        // What SentencePiece's `nmt_nfkc` does, in the library's parts.
        Algorithm::Unigram => (
            json!({"type": "Sequence", "normalizers": [
                {"type": "Nmt"},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ]}),
            metaspace.clone(),
            metaspace,
        ),
    }
}

fn post_processor(algorithm: Algorithm) -> Value {
    let id = |token: &str| {
        algorithm
            .special_tokens()
            .iter()
            .position(|&other| other == token)
            .unwrap_or_default()
    };
    match algorithm {
        Algorithm::ByteLevelBpe => byte_level(false),
        Algorithm::MetaspaceBpe => {
            let bos = ("<s>", id("<s>"), 0);
            template(
                &[bos, ("$A", 0, 0)],
                &[bos, ("$A", 0, 0), ("<s>", bos.1, 1), ("$B", 0, 1)],
            )
        }
        Algorithm::Wordpiece => bert_template(id("[CLS]"), id("[SEP]")),
        Algorithm::Unigram => {
            let (bos, eos) = (("<s>", id("<s>"), 0), ("</s>", id("</s>"), 0));
            template(
                &[bos, ("$A", 0, 0), eos],
                &[bos, ("$A", 0, 0), eos, eos, ("$B", 0, 0), eos],
            )
        }
    }
}

/// `[CLS] A [SEP] B [SEP]`.
pub(crate) fn bert_template(cls: usize, sep: usize) -> Value {
    let (cls, sep) = (("[CLS]", cls, 0), ("[SEP]", sep, 0));
    template(
        &[cls, ("$A", 0, 0), sep],
        &[cls, ("$A", 0, 0), sep, ("$B", 0, 1), (sep.0, sep.1, 1)],
    )
}

/// Tokens as the file writes a vocabulary.
pub(crate) fn vocabulary<S: AsRef<str>>(tokens: impl IntoIterator<Item = S>) -> Value {
    let entry = |(id, token): (usize, S)| (token.as_ref().to_owned(), json!(id));
    Value::Object(tokens.into_iter().enumerate().map(entry).collect())
}

fn model_json(algorithm: Algorithm, model: &Model) -> Value {
    let metaspace = algorithm == Algorithm::MetaspaceBpe;
    match model {
        Model::Merges { tokens, .. } if algorithm == Algorithm::Wordpiece => json!({
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary(tokens),
        }),
        Model::Merges { tokens, merges } => json!({
            "type": "BPE", "dropout": null, "unk_token": metaspace.then_some("<unk>"),
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": metaspace,
            "byte_fallback": metaspace, "ignore_merges": false,
            "vocab": vocabulary(tokens), "merges": merges,
        }),
        Model::Pieces(pieces) => json!({
            "type": "Unigram",
            "unk_id": pieces.iter().position(|(piece, _)| piece == "<unk>"),
            "vocab": pieces,
            "byte_fallback": false,
        }),
    }
}
