//! Trains one tokenizer of each algorithm on a file and writes what `tests/interop/tokenizer_hf.py` needs to compare them
//! with Transformers: `cargo run --release -p codex-plugin-tokenizer-hf --example interop -- TEXT_FILE FOLDER`.

use codex_plugin_api::serde_json::json;
use codex_plugin_api::{
    EncodeOptions, Error, FromConfig, NoHost, Result, TextBuffer, Tokenizer, serde_json,
};
use codex_plugin_tokenizer_hf::HfTokenizer;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, folder] = arguments.as_slice() else {
        return Err("usage: interop TEXT_FILE FOLDER".into());
    };
    let text = std::fs::read_to_string(file)?;
    let mut samples: Vec<String> = text.lines().take(500).map(str::to_owned).collect();
    samples.push(text.chars().take(100_000).collect());
    samples.extend(
        [
            "",
            " ",
            "\n\n",
            "  two  spaces ",
            "日本語のテキスト。",
            "👩‍👩‍👧‍👦 🦀",
            "e\u{301}a\u{308}\u{323}",
            "a<|endoftext|>b",
            "\u{0}\t\r\n",
            "don't I'll 's",
            "[CLS] [MASK] x",
            "<s>x</s>",
            "12345 67.8",
            "ẞßſ İı naïve",
            "▁ ▁",
        ]
        .map(str::to_owned),
    );
    let texts: TextBuffer = samples.iter().collect();
    for algorithm in ["byte-level-bpe", "metaspace-bpe", "wordpiece", "unigram"] {
        let mut tokenizer = train(algorithm, &text)?;
        tokenizer.finish_training()?;
        let target = std::path::Path::new(folder).join(algorithm);
        std::fs::create_dir_all(&target)?;
        tokenizer.save(target.to_str().ok_or("the folder's name is not UTF-8")?)?;
        // As Transformers reads text: special tokens that are written there count.
        let parsing = EncodeOptions {
            parse_special_tokens: true,
            ..EncodeOptions::default()
        };
        let plain = tokenizer.encode(texts.as_texts(), parsing)?;
        let options = EncodeOptions {
            add_special_tokens: true,
            max_length: 32,
            ..parsing
        };
        let cut = tokenizer.encode(texts.as_texts(), options)?;
        let decoded = tokenizer.decode(plain.sequences()?, false)?;
        let ids = |encoding: &codex_plugin_api::Encoding| -> Result<Vec<Vec<u32>>> {
            Ok(encoding.sequences()?.iter().map(<[u32]>::to_vec).collect())
        };
        let record = json!({
            "texts": samples, "ids": ids(&plain)?, "cut": ids(&cut)?,
            "decoded": decoded.as_texts().iter().collect::<Vec<_>>(),
            "special": tokenizer.vocabulary()?.special,
        });
        std::fs::write(target.join("record.json"), serde_json::to_vec(&record)?)?;
    }
    Ok(())
}

fn train(algorithm: &str, text: &str) -> Result<HfTokenizer> {
    let config = serde_json::from_value(json!({"algorithm": algorithm, "vocab_size": 2000}))
        .map_err(|error| Error::config(error.to_string()))?;
    let mut tokenizer = HfTokenizer::from_config(config, NoHost::shared())?;
    let texts: TextBuffer = text.split_inclusive('\n').collect();
    tokenizer.feed(texts.as_texts())?;
    Ok(tokenizer)
}
