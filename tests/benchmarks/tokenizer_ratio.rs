//! Tokens a second of the tokenizer plugin through the ABI beside the `tokenizers` crate called directly, on one
//! `tokenizer.json` and one text, in turns: `cargo run --release -p codex-ml-tests --example tokenizer_ratio -- PLUGIN_DIR [TEXT_FILE]`.
//!
//! Without a file the text is made of repeated sentences. Both use the same number of threads, and give the same ids.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark program"
)]

use std::time::{Duration, Instant};

use codex_ml::app::App;
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_plugin_api::{EncodeOptions, TextBuffer};
use serde_json::json;

const ROUNDS: usize = 7;
const SENTENCES: [&str; 5] = [
    "The keeper of the northern lighthouse writes three letters every winter, and sends none of them.",
    "In 1987 they measured 4,096 samples; twelve of those could not be explained by the model.",
    "\"Don't wait for me,\" she said, \"I'll follow when the rain has stopped.\"",
    "fn main() { let total: u64 = (1..=10).map(|n| n * n).sum(); }",
    "Žluťoučký kůň úpěl ďábelské ódy, während draußen der Regen fällt. 日本語も少し。",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let plugin_dir = arguments
        .get(1)
        .expect("usage: tokenizer_ratio PLUGIN_DIR [TEXT_FILE]");
    let texts: Vec<String> = match arguments.get(2) {
        Some(file) => std::fs::read_to_string(file)
            .unwrap()
            .split("\n\n")
            .map(str::to_owned)
            .collect(),
        None => (0..20_000)
            .map(|n| format!("{} {n} {}", SENTENCES[n % 5], SENTENCES[n * 7 % 5]))
            .collect(),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let app = App::new(
        Output::new(false, true, 0, Color::Never),
        Interrupt::default(),
        vec![plugin_dir.into()],
        threads,
    );
    let registry = app.registry().unwrap();
    let buffer: TextBuffer = texts.iter().collect();

    let mut plugin = registry
        .create_tokenizer("hf", &json!({"vocab_size": 4096}))
        .unwrap();
    let start = Instant::now();
    plugin.feed(buffer.as_texts()).unwrap();
    plugin.finish_training().unwrap();
    println!(
        "training on {} bytes: {:.2} s",
        buffer.as_texts().bytes().len(),
        start.elapsed().as_secs_f64()
    );
    let folder = tempfile::tempdir().unwrap();
    plugin.save(folder.path().to_str().unwrap()).unwrap();
    let direct = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json")).unwrap();

    for (name, texts) in [("batches of 1,000", 1000), ("batches of 1", 1)] {
        let buffers: Vec<TextBuffer> = buffer_chunks(&buffer, texts);
        let (mut through, mut beside, mut count) = (Duration::MAX, Duration::MAX, 0);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut ids = 0;
            for batch in &buffers {
                ids += plugin
                    .encode(batch.as_texts(), EncodeOptions::default())
                    .unwrap()
                    .ids
                    .len();
            }
            through = through.min(start.elapsed());
            let start = Instant::now();
            let mut others = 0;
            for batch in &buffers {
                let texts: Vec<&str> = batch.as_texts().iter().collect();
                let encodings = direct.encode_batch_fast(texts, false).unwrap();
                others += encodings
                    .iter()
                    .map(|encoding| encoding.get_ids().len())
                    .sum::<usize>();
            }
            beside = beside.min(start.elapsed());
            assert_eq!(ids, others);
            count = ids;
        }
        let rate = |time: Duration| count as f64 / time.as_secs_f64() / 1e6;
        println!(
            "{name}, {threads} threads, {count} tokens: plugin {:.2} M tokens/s, crate {:.2} M tokens/s, ratio {:.2}",
            rate(through),
            rate(beside),
            beside.as_secs_f64() / through.as_secs_f64()
        );
    }
}

fn buffer_chunks(buffer: &TextBuffer, texts: usize) -> Vec<TextBuffer> {
    let all: Vec<&str> = buffer.as_texts().iter().collect();
    all.chunks(texts)
        .map(|chunk| chunk.iter().collect())
        .collect()
}
