//! BERT's folders against what Transformers makes of them: `tests/golden/wordpiece`, made by
//! `tests/interop/run.py --write-golden`. The folders also ask for cutting and padding, which only a caller may.

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{EncodeOptions, TextBuffer, Tokenizer, serde_json};
use codex_plugin_tokenizer_hf::HfTokenizer;
use serde_json::{Value, json};

use crate::create;

/// As Transformers encodes by default.
const FRAMED: EncodeOptions = EncodeOptions {
    add_special_tokens: true,
    parse_special_tokens: true,
    byte_offsets: false,
    max_length: 0,
};

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/wordpiece")
        .join(format!("{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn open(folder: &Path) -> HfTokenizer {
    create(json!({"path": folder.to_str().unwrap()}), 2).unwrap()
}

/// Every text with its ids, and with its ids when cut, through `tokenizer`.
fn check(tokenizer: &HfTokenizer, golden: &Value, what: &str) {
    let cases = golden["cases"].as_array().unwrap();
    let texts: TextBuffer = cases
        .iter()
        .map(|case| case["text"].as_str().unwrap())
        .collect();
    let max_length = golden["max_length"].as_u64().unwrap() as u32;
    for (key, options) in [
        ("ids", FRAMED),
        (
            "cut",
            EncodeOptions {
                max_length,
                ..FRAMED
            },
        ),
        (
            "ids",
            EncodeOptions {
                byte_offsets: true,
                ..FRAMED
            },
        ),
    ] {
        let encoding = tokenizer.encode(texts.as_texts(), options).unwrap();
        for (case, ids) in cases.iter().zip(encoding.sequences().unwrap().iter()) {
            assert_eq!(json!(ids), case[key], "{what}: {key} of {}", case["text"]);
        }
    }
}

#[test]
fn bert_folders_give_transformers_ids() {
    for name in ["uncased", "cased"] {
        let golden = golden(name);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokenizer.json");
        fs::write(&file, golden["tokenizer.json"].to_string()).unwrap();
        check(&open(folder.path()), &golden, name);
        // What is saved again gives the same ids.
        let again = tempfile::tempdir().unwrap();
        open(folder.path())
            .save(again.path().to_str().unwrap())
            .unwrap();
        check(
            &open(again.path()),
            &golden,
            &format!("{name}, saved again"),
        );
    }
}

#[test]
fn a_vocabulary_alone_gives_the_same_ids() {
    for (name, lowercase) in [("uncased", true), ("cased", false)] {
        let golden = golden(name);
        let vocabulary = golden["tokenizer.json"]["model"]["vocab"]
            .as_object()
            .unwrap();
        let mut tokens: Vec<(u64, &String)> = vocabulary
            .iter()
            .map(|(token, id)| (id.as_u64().unwrap(), token))
            .collect();
        tokens.sort_unstable();
        let tokens: Vec<&str> = tokens.iter().map(|(_, token)| token.as_str()).collect();
        let lines = tokens.join("\n") + "\n";
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path: PathBuf = folder.path().join(name);
            fs::write(path, text).unwrap();
        };
        write("vocab.txt", &lines);
        write(
            "tokenizer_config.json",
            &json!({"do_lower_case": lowercase}).to_string(),
        );
        check(&open(folder.path()), &golden, &format!("{name}, vocab.txt"));
    }
}

#[test]
fn a_cut_text_keeps_its_frame_and_a_frame_is_never_cut_open_by_written_tokens() {
    let golden = golden("uncased");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    fs::write(&file, golden["tokenizer.json"].to_string()).unwrap();
    let tokenizer = open(folder.path());
    let special = tokenizer.vocabulary().unwrap().special;
    let (cls, sep) = (special.cls.unwrap(), special.sep.unwrap());
    let long = "the quiet river ".repeat(200);
    let written = format!("[CLS] {long} [SEP]");
    let texts: TextBuffer = [long.as_str(), written.as_str(), ""].into_iter().collect();
    for parse_special_tokens in [false, true] {
        for max_length in [2, 3, 8, 100] {
            let options = EncodeOptions {
                parse_special_tokens,
                max_length,
                ..FRAMED
            };
            let encoding = tokenizer.encode(texts.as_texts(), options).unwrap();
            let sequences: Vec<_> = encoding.sequences().unwrap().iter().collect();
            for (sequence, full) in sequences.iter().zip([true, true, false]) {
                assert_eq!((sequence[0], sequence.last()), (cls, Some(&sep)));
                assert!(!full || sequence.len() == max_length as usize);
            }
            let inner = &sequences[1][1..sequences[1].len() - 1];
            assert_eq!(
                inner.first() == Some(&cls),
                parse_special_tokens && !inner.is_empty()
            );
        }
    }
}
