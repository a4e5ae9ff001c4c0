//! Saving, opening, older layouts, broken files.

use std::fs;
use std::path::Path;

use codex_plugin_api::{EncodeOptions, ErrorKind, TextBuffer, Tokenizer, serde_json};
use serde_json::{Value, json};

use crate::{ALGORITHMS, config, create, ids, learned, varied};

fn open(path: &Path) -> codex_plugin_api::Result<codex_plugin_tokenizer_hf::HfTokenizer> {
    create(json!({"path": path.to_str().unwrap()}), 2)
}

#[test]
fn a_saved_tokenizer_opens_as_it_was() {
    let texts: TextBuffer = varied().iter().collect();
    let options = EncodeOptions {
        add_special_tokens: true,
        byte_offsets: true,
        parse_special_tokens: true,
        max_length: 0,
    };
    for algorithm in ALGORITHMS {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = learned(config(algorithm), 2, 600);
        tokenizer.save(folder.path().to_str().unwrap()).unwrap();
        for path in [
            folder.path().to_path_buf(),
            folder.path().join("tokenizer.json"),
        ] {
            let opened = open(&path).unwrap();
            assert_eq!(
                opened.vocabulary().unwrap(),
                tokenizer.vocabulary().unwrap(),
                "{algorithm}"
            );
            assert!(
                opened.encode(texts.as_texts(), options).unwrap()
                    == tokenizer.encode(texts.as_texts(), options).unwrap(),
                "{algorithm}"
            );
        }
        let names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }
}

#[test]
fn settings_that_others_wrote_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    learned(config("byte-level-bpe"), 1, 600)
        .save(folder.path().to_str().unwrap())
        .unwrap();
    let file = folder.path().join("tokenizer_config.json");
    let settings = json!({"tokenizer_class": "GPT2Tokenizer", "chat_template": "x", "eos_token": {"content": "<|endoftext|>"}});
    fs::write(&file, settings.to_string()).unwrap();
    fs::remove_file(folder.path().join("special_tokens_map.json")).unwrap();
    let opened = open(folder.path()).unwrap();
    let special = opened.vocabulary().unwrap().special;
    assert_eq!((special.eos, special.bos), (Some(0), None));
    let again = tempfile::tempdir().unwrap();
    opened.save(again.path().to_str().unwrap()).unwrap();
    let saved: Value =
        serde_json::from_slice(&fs::read(again.path().join("tokenizer_config.json")).unwrap())
            .unwrap();
    assert_eq!(saved, settings);
}

#[test]
fn a_bare_file_gets_the_usual_roles_and_is_never_cut_or_padded() {
    let folder = tempfile::tempdir().unwrap();
    learned(config("wordpiece"), 1, 600)
        .save(folder.path().to_str().unwrap())
        .unwrap();
    let file = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    tokenizer["truncation"] =
        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    tokenizer["padding"] = json!({"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
                                  "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    let bare = tempfile::tempdir().unwrap();
    fs::write(bare.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let opened = open(bare.path()).unwrap();
    assert_eq!(opened.vocabulary().unwrap().special.mask, Some(4));
    assert_eq!(ids(&opened, "the the the the the the").len(), 6);
    assert_eq!(ids(&opened, "the").len(), 1);
}

#[test]
fn older_folders_open() {
    // BERT
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("vocab.txt"),
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nwor\n##ld\n,\n",
    )
    .unwrap();
    let tokenizer = open(folder.path()).unwrap();
    let texts: TextBuffer = ["Hello, wörld zzz [MASK]"].into_iter().collect();
    let options = EncodeOptions {
        add_special_tokens: true,
        byte_offsets: true,
        parse_special_tokens: true,
        max_length: 0,
    };
    let encoding = tokenizer.encode(texts.as_texts(), options).unwrap();
    assert_eq!(encoding.ids, [2, 5, 8, 6, 7, 1, 4, 3]);
    assert_eq!(
        encoding.byte_offsets[2..12],
        [0, 5, 5, 6, 7, 11, 11, 13, 14, 17]
    );
    assert_eq!(tokenizer.vocabulary().unwrap().special.cls, Some(2));
    fs::write(
        folder.path().join("tokenizer_config.json"),
        r#"{"do_lower_case": false}"#,
    )
    .unwrap();
    assert_eq!(ids(&open(folder.path()).unwrap(), "Hello hello"), [1, 5]);

    // GPT-2: the trained one taken apart
    let trained = learned(config("byte-level-bpe"), 1, 600);
    let saved = tempfile::tempdir().unwrap();
    trained.save(saved.path().to_str().unwrap()).unwrap();
    let json: Value =
        serde_json::from_slice(&fs::read(saved.path().join("tokenizer.json")).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("vocab.json"),
        json["model"]["vocab"].to_string(),
    )
    .unwrap();
    let merges = json["model"]["merges"].as_array().unwrap().iter();
    let merges: Vec<String> = merges
        .map(|pair| {
            format!(
                "{} {}",
                pair[0].as_str().unwrap(),
                pair[1].as_str().unwrap()
            )
        })
        .collect();
    fs::write(
        folder.path().join("merges.txt"),
        format!("#version: 0.2\n{}\n", merges.join("\n")),
    )
    .unwrap();
    let tokenizer = open(folder.path()).unwrap();
    let vocabulary = tokenizer.vocabulary().unwrap();
    assert!(vocabulary.lossless);
    assert_eq!(vocabulary.special, trained.vocabulary().unwrap().special);
    for text in varied() {
        assert!(
            ids(&tokenizer, &text) == ids(&trained, &text),
            "{text:.40?}"
        );
    }

    // RoBERTa: the same files, other roles, one more token
    fs::write(
        folder.path().join("added_tokens.json"),
        r#"{"<s>": 420, "</s>": 421, "<mask>": 422}"#,
    )
    .unwrap();
    let map = json!({"bos_token": "<s>", "cls_token": "<s>", "sep_token": "</s>", "eos_token": "</s>", "mask_token": "<mask>"});
    fs::write(
        folder.path().join("special_tokens_map.json"),
        map.to_string(),
    )
    .unwrap();
    let tokenizer = open(folder.path()).unwrap();
    let vocabulary = tokenizer.vocabulary().unwrap();
    assert!(
        !vocabulary.lossless,
        "the mask swallows the space before it"
    );
    assert_eq!((vocabulary.size, vocabulary.special.mask), (423, Some(422)));
}

#[test]
fn missing_and_broken_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |word: &str| {
        let error = open(folder.path()).err().unwrap();
        assert!(error.message().contains(word), "{error} lacks {word}");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.hint_text().is_some(), "{error} has no hint");
    };
    check("there is no tokenizer.json in");
    let file = folder.path().join("tokenizer.json");
    for (text, word) in [
        ("", "tokenizer.json is not a tokenizer: EOF"),
        ("{\"version\": \"1.0\"", "tokenizer.json is not a tokenizer"),
        ("{\"version\": \"9.9\"}", "Unknown tokenizer version '9.9'"),
        ("[]", "tokenizer.json is not a tokenizer"),
        ("\u{feff}{}", "tokenizer.json is not a tokenizer"),
    ] {
        fs::write(&file, text).unwrap();
        check(word);
    }
    learned(config("byte-level-bpe"), 1, 600)
        .save(folder.path().to_str().unwrap())
        .unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), "[1]").unwrap();
    check("tokenizer_config.json is not a JSON object");
    let error = open(Path::new("no/such/folder")).err().unwrap();
    assert_eq!(error.message(), "there is no tokenizer at no/such/folder");

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.json"), r#"{"a": "b"}"#).unwrap();
    fs::write(folder.path().join("merges.txt"), "").unwrap();
    let error = open(folder.path()).err().unwrap();
    assert!(
        error.message().contains("gives token \"a\" the id \"b\""),
        "{error}"
    );

    let error = learned(config("byte-level-bpe"), 1, 600)
        .save("no/such/folder")
        .unwrap_err();
    assert_eq!(
        error.message(),
        "there is no folder no/such/folder to save the tokenizer in"
    );
}
