//! The same vocabulary always, and what is refused.

use codex_plugin_api::{EncodeOptions, ErrorKind, TextBuffer, Tokenizer, serde_json::json};

use crate::{ALGORITHMS, config, create, ids, learned};

#[test]
fn the_vocabulary_depends_on_the_texts_alone() {
    for algorithm in ALGORITHMS {
        let first = learned(config(algorithm), 1, 600).vocabulary().unwrap();
        for (threads, per_call) in [(1, 600), (2, 7), (3, 1), (5, 100)] {
            let other = learned(config(algorithm), threads, per_call)
                .vocabulary()
                .unwrap();
            assert_eq!(
                first, other,
                "{algorithm} on {threads} threads, {per_call} texts a call"
            );
        }
    }
}

#[test]
fn vocabularies_have_the_asked_size_and_their_special_tokens() {
    for (algorithm, special) in [
        ("byte-level-bpe", &["<|endoftext|>", "<|x|>"][..]),
        ("metaspace-bpe", &["<unk>", "<s>", "</s>", "<|x|>"]),
        (
            "wordpiece",
            &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<|x|>"],
        ),
        (
            "unigram",
            &["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|x|>"],
        ),
    ] {
        let size = if algorithm == "byte-level-bpe" {
            300
        } else {
            390
        };
        let config = json!({"algorithm": algorithm, "vocab_size": size, "special_tokens": ["<|x|>"], "min_frequency": 1});
        let tokenizer = learned(config, 2, 600);
        let vocabulary = tokenizer.vocabulary().unwrap();
        assert!(vocabulary.size <= size, "{algorithm}: {}", vocabulary.size);
        assert!(
            vocabulary.size >= size - 100 || algorithm == "unigram",
            "{algorithm}: {}",
            vocabulary.size
        );
        assert_eq!(vocabulary.lossless, algorithm == "byte-level-bpe");
        for (id, token) in special.iter().enumerate() {
            assert_eq!(
                tokenizer.token_id(token).unwrap(),
                Some(id as u32),
                "{algorithm} {token}"
            );
            assert_eq!(
                tokenizer.token_text(id as u32).unwrap().as_deref(),
                Some(*token)
            );
            assert!(tokenizer.token_bytes(id as u32).unwrap().is_empty());
            let texts: TextBuffer = [token].into_iter().collect();
            let parsing = EncodeOptions {
                parse_special_tokens: true,
                ..EncodeOptions::default()
            };
            let parsed = tokenizer.encode(texts.as_texts(), parsing).unwrap().ids;
            assert_eq!(parsed, [id as u32], "{algorithm} {token}");
            assert!(
                !ids(&tokenizer, token).contains(&(id as u32))
                    || *token == "<unk>"
                    || *token == "[UNK]",
                "{algorithm} {token}"
            );
        }
        for id in 0..vocabulary.size {
            assert!(
                tokenizer.token_text(id).unwrap().is_some(),
                "{algorithm} has no token {id}"
            );
        }
    }
}

#[test]
fn frequent_words_become_one_token() {
    for (algorithm, word) in [
        ("byte-level-bpe", "Ġthe"),
        ("metaspace-bpe", "▁the"),
        ("wordpiece", "the"),
        ("unigram", "▁the"),
    ] {
        let tokenizer = learned(config(algorithm), 2, 600);
        assert!(
            tokenizer.token_id(word).unwrap().is_some(),
            "{algorithm} did not learn {word}"
        );
    }
}

#[test]
fn what_cannot_be_trained_is_refused() {
    for (config, word) in [
        (
            json!({"vocab_size": 256}),
            "vocab_size 256 is too small for byte-level-bpe",
        ),
        (
            json!({"algorithm": "wordpiece", "vocab_size": 5}),
            "at least 9",
        ),
        (
            json!({"algorithm": "metaspace-bpe", "vocab_size": 100}),
            "at least 259",
        ),
        (
            json!({"special_tokens": ["<|a|>", "<|a|>"]}),
            "\"<|a|>\" is there twice",
        ),
        (json!({"special_tokens": [""]}), "empty token"),
    ] {
        let error = create(config, 1).err().unwrap();
        assert!(error.message().contains(word), "{error} lacks {word}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[test]
fn too_little_or_too_varied_text_is_refused() {
    for algorithm in ALGORITHMS {
        let mut tokenizer = create(config(algorithm), 1).unwrap();
        let error = tokenizer.vocabulary().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        let empty: TextBuffer = ["", ""].into_iter().collect();
        tokenizer.feed(empty.as_texts()).unwrap();
        let error = tokenizer.finish_training().unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (
                ErrorKind::Data,
                "the tokenizer was fed no text to learn from"
            )
        );
    }
    let chinese: String = (0x4e00..0x5e00).filter_map(char::from_u32).collect();
    let texts: TextBuffer = [chinese].into_iter().collect();
    for algorithm in ["wordpiece", "unigram", "metaspace-bpe"] {
        let mut tokenizer = create(config(algorithm), 1).unwrap();
        tokenizer.feed(texts.as_texts()).unwrap();
        let error = tokenizer.finish_training().unwrap_err();
        assert!(
            error
                .message()
                .contains("vocab_size 420 is too small for these texts"),
            "{error}"
        );
    }
}

#[test]
fn special_tokens_must_not_be_characters() {
    for algorithm in ALGORITHMS {
        let config = json!({"algorithm": algorithm, "vocab_size": 420, "special_tokens": ["t"]});
        let mut tokenizer = create(config, 1).unwrap();
        let texts: TextBuffer = ["the text to tell"].into_iter().collect();
        tokenizer.feed(texts.as_texts()).unwrap();
        let error = tokenizer.finish_training().unwrap_err();
        assert!(
            error
                .message()
                .contains("\"t\" is also the token of a character"),
            "{algorithm}: {error}"
        );
    }
}

#[test]
fn a_little_text_is_enough() {
    for text in ["a", "\0", "aaaaaaaaaa", "🦀", "a b", "日本"] {
        for algorithm in ALGORITHMS {
            let mut tokenizer = create(config(algorithm), 1).unwrap();
            let texts: TextBuffer = [text].into_iter().collect();
            tokenizer.feed(texts.as_texts()).unwrap();
            match tokenizer.finish_training() {
                Ok(()) => assert!(tokenizer.vocabulary().unwrap().size > 0),
                Err(error) => assert_eq!(
                    error.kind(),
                    ErrorKind::Data,
                    "{algorithm} {text:?}: {error}"
                ),
            }
        }
    }
}

#[test]
fn a_finished_tokenizer_is_not_trained_again() {
    let mut tokenizer = learned(config("byte-level-bpe"), 1, 600);
    let texts: TextBuffer = ["more"].into_iter().collect();
    assert_eq!(
        tokenizer.feed(texts.as_texts()).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        tokenizer.finish_training().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}
