//! What `tokenizer-hf` promises, through the public trait alone.
//!
//! `training`: the same vocabulary always, and what is refused. `encoding`: round trips, spans, cuts, threads.
//! `folders`: saving, opening, older layouts, broken files. `wordpiece`: BERT's folders, against Transformers' ids.
#![allow(clippy::unwrap_used, reason = "tests")]

mod encoding;
mod folders;
mod training;
mod wordpiece;

use std::sync::Arc;

use codex_plugin_api::{
    Adapter, Dataset, EncodeOptions, FromConfig, Host, HostRef, LogLevel, Metric, Model, NoHost,
    Result, Sanitizer, TextBuffer, Tokenizer, serde_json,
};
use codex_plugin_tokenizer_hf::HfTokenizer;
use serde_json::{Value, json};

/// A host that lends some threads.
struct Lending(usize);

impl Host for Lending {
    fn log(&self, _: LogLevel, _: &str) {}
    fn progress(&self, _: &str, _: u64, _: u64) {}
    fn threads(&self) -> usize {
        self.0
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn print(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        NoHost.read_file(path, offset, length)
    }
    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        NoHost.create_tokenizer(name, config)
    }
    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        NoHost.create_model(name, config)
    }
    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        NoHost.create_dataset(name, config)
    }
    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        NoHost.create_metric(name, config)
    }
    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        NoHost.create_sanitizer(name, config)
    }
    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        NoHost.create_adapter(name, config)
    }
}

fn create(config: Value, threads: usize) -> Result<HfTokenizer> {
    let host: HostRef = Arc::new(Lending(threads));
    HfTokenizer::from_config(serde_json::from_value(config).unwrap(), host)
}

/// Sentences of words that repeat, in several scripts; the same at every call.
fn corpus() -> Vec<String> {
    let words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "lazy",
        "dog",
        "Running",
        "runs",
        "runner",
        "naïve",
        "žluťoučký",
        "kůň",
        "日本語",
        "テスト",
        "привет",
        "мир",
        "12",
        "2026",
        "don't",
        "e\u{301}",
        "🦀",
        "tokens",
        "tokenizer",
        "token",
    ];
    let mut state = 1u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % bound
    };
    let endings = [
        "", "", "", "", "s", "n", "re", "ing", "er", "ed", ",", ".", "!",
    ];
    (0..600)
        .map(|_| {
            let count = 3 + next(20);
            let mut text = String::new();
            for _ in 0..count {
                let word = words[next(words.len()).min(next(words.len()))];
                text.push_str([" ", " ", " ", " ", "  ", "\n"][next(6)]);
                text.push_str(word);
                text.push_str(endings[next(endings.len())]);
            }
            text.trim_start().to_owned()
        })
        .collect()
}

/// What a tokenizer must not stumble over.
fn varied() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\n",
        "\r\n\t ",
        "a",
        " leading and trailing ",
        "two  spaces   three",
        "the quick brown fox",
        "日本語のテキスト、句読点。",
        "👩‍👩‍👧‍👦 and 🏳️‍🌈 and 🦀",
        "e\u{301}a\u{308}\u{323} combining",
        "مرحبا بالعالم",
        "\u{0}\u{1}\u{7f}",
        "\u{feff}bom",
        "a<|endoftext|>b",
        "[CLS] x [SEP]",
        "<s>x</s>",
        "\u{2581}literal metaspace",
        "<0x0A>",
        "I'll don't 's",
        "http://example.org/?q=1&r=2",
        "ẞßſ İı",
        "\u{10ffff}\u{fffd}",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("the lazy dog, 日本 🦀\n".repeat(4000));
    texts.push("nospaces".repeat(12_000));
    texts
}

fn learned(config: Value, threads: usize, per_call: usize) -> HfTokenizer {
    let mut tokenizer = create(config, threads).unwrap();
    for texts in corpus().chunks(per_call) {
        let buffer: TextBuffer = texts.iter().collect();
        tokenizer.feed(buffer.as_texts()).unwrap();
    }
    tokenizer.finish_training().unwrap();
    tokenizer
}

const ALGORITHMS: [&str; 4] = ["byte-level-bpe", "metaspace-bpe", "wordpiece", "unigram"];

fn config(algorithm: &str) -> Value {
    json!({"algorithm": algorithm, "vocab_size": 420})
}

fn ids(tokenizer: &dyn Tokenizer, text: &str) -> Vec<u32> {
    let texts: TextBuffer = [text].into_iter().collect();
    tokenizer
        .encode(texts.as_texts(), EncodeOptions::default())
        .unwrap()
        .ids
}
