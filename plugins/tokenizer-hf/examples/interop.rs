//! What `tests/interop` needs to compare tokenizers with Transformers:
//! `cargo run --release -p codex-plugin-tokenizer-hf --example interop -- train TEXT_FILE FOLDER` trains one tokenizer of each
//! algorithm and records what it makes of some texts; `… encode FOLDER` encodes the texts of a JSON object on standard input.
#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::error::Error as StdError;
use std::path::Path;

use codex_plugin_api::serde_json::{Value, json};
use codex_plugin_api::{
    EncodeOptions, Encoding, Error, FromConfig, NoHost, Result, TextBuffer, Tokenizer, serde_json,
};
use codex_plugin_tokenizer_hf::HfTokenizer;

/// As Transformers reads text: special tokens that are written there count.
const PARSING: EncodeOptions = EncodeOptions {
    add_special_tokens: false,
    parse_special_tokens: true,
    byte_offsets: false,
    max_length: 0,
};

fn main() -> std::result::Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["train", file, folder] => record(Path::new(file), Path::new(folder)),
        ["encode", folder] => encode(folder),
        _ => Err("usage: interop train TEXT_FILE FOLDER | interop encode FOLDER".into()),
    }
}

/// `{"texts": […], "max_length": N}` on standard input; `{"ids": [[…]], "spans": [[[from, to]]]}` on standard output.
fn encode(folder: &str) -> std::result::Result<(), Box<dyn StdError>> {
    let request: Value = serde_json::from_reader(std::io::stdin().lock())?;
    let texts: Vec<String> = serde_json::from_value(request["texts"].clone())?;
    let texts: TextBuffer = texts.iter().collect();
    let options = EncodeOptions {
        add_special_tokens: true,
        byte_offsets: true,
        max_length: request["max_length"].as_u64().unwrap_or_default() as u32,
        ..PARSING
    };
    let encoding = tokenizer(json!({"path": folder}))?.encode(texts.as_texts(), options)?;
    let spans = encoding.sequence_offsets.windows(2).map(|pair| {
        let spans = &encoding.byte_offsets[2 * pair[0] as usize..2 * pair[1] as usize];
        spans.chunks(2).collect::<Vec<_>>()
    });
    let spans: Vec<_> = spans.collect();
    println!("{}", json!({"ids": ids(&encoding)?, "spans": spans}));
    Ok(())
}

fn record(file: &Path, folder: &Path) -> std::result::Result<(), Box<dyn StdError>> {
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
        let target = folder.join(algorithm);
        std::fs::create_dir_all(&target)?;
        tokenizer.save(target.to_str().ok_or("the folder's name is not UTF-8")?)?;
        let plain = tokenizer.encode(texts.as_texts(), PARSING)?;
        let options = EncodeOptions {
            add_special_tokens: true,
            max_length: 32,
            ..PARSING
        };
        let cut = tokenizer.encode(texts.as_texts(), options)?;
        let decoded = tokenizer.decode(plain.sequences()?, false)?;
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
    let mut tokenizer = tokenizer(json!({"algorithm": algorithm, "vocab_size": 2000}))?;
    let texts: TextBuffer = text.split_inclusive('\n').collect();
    tokenizer.feed(texts.as_texts())?;
    Ok(tokenizer)
}

fn tokenizer(config: Value) -> Result<HfTokenizer> {
    let config =
        serde_json::from_value(config).map_err(|error| Error::config(error.to_string()))?;
    HfTokenizer::from_config(config, NoHost::shared())
}

fn ids(encoding: &Encoding) -> Result<Vec<Vec<u32>>> {
    Ok(encoding.sequences()?.iter().map(<[u32]>::to_vec).collect())
}
