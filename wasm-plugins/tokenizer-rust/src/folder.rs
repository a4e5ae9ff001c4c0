//! The saved files. `tokenizer.json` is a byte-level BPE without merges, which Hugging Face's readers open as the very same
//! tokenizer.

use codex_guest::types::{Error, File};
use serde_json::{Map, Value, json};

use crate::bytes::{Bytes, END, visible};

const FILE: &str = "tokenizer.json";

/// The vocabulary of the bytes: what each is written as, and its id.
fn vocabulary() -> Map<String, Value> {
    (0..=u8::MAX)
        .map(|byte| (visible(byte).to_string(), json!(byte)))
        .collect()
}

/// The files of a saved tokenizer.
pub(crate) fn files(tokenizer: &Bytes) -> Vec<File> {
    let end = &tokenizer.end_of_text;
    let byte_level = json!({
        "type": "ByteLevel",
        "add_prefix_space": false,
        "trim_offsets": false,
        "use_regex": false,
    });
    let main = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": END,
            "content": end,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": true,
        }],
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocabulary(),
            "merges": [],
        },
    });
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "clean_up_tokenization_spaces": false,
        "model_input_names": ["input_ids", "attention_mask"],
    });
    let special = json!({"bos_token": end, "eos_token": end});
    [
        (FILE, main),
        ("tokenizer_config.json", settings),
        ("special_tokens_map.json", special),
    ]
    .map(|(name, value)| File {
        name: name.to_owned(),
        content: format!("{value:#}\n").into_bytes(),
    })
    .into()
}

/// Opens what [`files`] made; any other tokenizer is refused.
pub(crate) fn open(path: &str, files: &[File]) -> Result<Bytes, Error> {
    let file = files.iter().find(|file| file.name == FILE).ok_or_else(|| {
        Error::data(format!("there is no {FILE} in {path}"))
            .with_hint("leave tokenizer.path out: this tokenizer needs no training")
    })?;
    let saved: Value = serde_json::from_slice(&file.content)
        .map_err(|why| Error::data(format!("{path}/{FILE} is not JSON")).because(why))?;
    let model = &saved["model"];
    let is_bytes = model["type"] == "BPE"
        && model["merges"] == json!([])
        && model["vocab"] == Value::Object(vocabulary())
        && saved["pre_tokenizer"]["type"] == "ByteLevel"
        && saved["pre_tokenizer"]["add_prefix_space"] == false
        && saved["normalizer"].is_null()
        && saved["post_processor"].is_null();
    let added = saved["added_tokens"].as_array().map(Vec::as_slice);
    let end = match added {
        Some([end]) if is_bytes && end["id"] == END => end["content"].as_str(),
        _ => None,
    };
    match end {
        Some(end) if !end.is_empty() => Ok(Bytes::new(end.to_owned())),
        _ => Err(Error::data(format!(
            "{path}/{FILE} is not one token a byte and one that ends a text"
        ))
        .with_hint("open it with another tokenizer: tokenizer.name=hf")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Value)) -> Vec<File> {
        let mut saved = files(&Bytes::new("<end>".to_owned()));
        let mut value: Value = serde_json::from_slice(&saved[0].content).expect("JSON");
        change(&mut value);
        saved[0].content = value.to_string().into_bytes();
        saved
    }

    #[test]
    fn what_is_saved_is_opened() {
        for end in ["<|endoftext|>", "\"quoted\" ů"] {
            let tokenizer = Bytes::new(end.to_owned());
            assert_eq!(
                open("folder", &files(&tokenizer)).expect("its own"),
                tokenizer
            );
        }
    }

    #[test]
    fn another_tokenizer_is_refused() {
        let refused: [fn(&mut Value); 4] = [
            |value| value["model"]["vocab"]["ab"] = json!(257),
            |value| value["model"]["merges"] = json!([["a", "b"]]),
            |value| value["added_tokens"] = json!([]),
            |value| value["normalizer"] = json!({"type": "Lowercase"}),
        ];
        for change in refused {
            let error = open("folder", &with(change)).expect_err("another");
            assert!(
                error.message.starts_with("folder/tokenizer.json is not"),
                "{error:?}"
            );
        }
        assert!(open("folder", &[]).is_err());
        assert!(open("folder", &with(|_| ())).is_ok());
    }
}
