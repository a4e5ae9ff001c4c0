//! What passes the border of the sandbox in bulk: a dataset's rows, a tokenizer's ids.

use std::fs;
use std::hint::black_box;

use codex_plugin_api::{Batch, Column, EncodeOptions, TextBuffer, Tokenizer, Values};
use serde_json::json;

use super::sentences::Sentences;
use super::{ROUNDS, Sandbox, in_turns, median, seconds, short};

/// The guest's own code, compiled natively, as a dataset plugin would give its rows.
fn native_rows(dataset: &Sentences, start: u64, count: u64) -> Batch {
    let rows = start..(start + count).min(dataset.rows);
    let (mut texts, mut text) = (TextBuffer::new(), String::new());
    for row in rows.clone() {
        text.clear();
        dataset.write(row, &mut text);
        texts.push(&text);
    }
    let probabilities = vec![dataset.log_probability(); (rows.end - rows.start) as usize];
    let column = |name: &str, values| Column {
        name: name.to_owned(),
        values,
        validity: None,
    };
    Batch::new(vec![
        column("text", Values::Text(texts)),
        column("log_probability", Values::F64(probabilities)),
    ])
    .unwrap()
}

fn text_bytes(batch: &Batch) -> usize {
    let Values::Text(texts) = &batch.column("text").unwrap().values else {
        panic!("the column text holds something else");
    };
    texts.as_texts().bytes().len()
}

pub(super) fn datasets(sandbox: &Sandbox) {
    println!(
        "| rows a call | the same rows natively | sandbox | ratio of times | native `grammar` through the ABI |\n|---|---|---|---|---|"
    );
    let registry = sandbox.registry(&sandbox.cache());
    let config = json!({"rows": 1_000_000, "seed": 1, "largest": 99, "sentences": 4});
    let direct: Sentences = serde_json::from_value(config.clone()).unwrap();
    direct.check().unwrap();
    let guest = registry.create_dataset("arithmetic", &config).unwrap();
    let info = guest.info().unwrap();
    assert_eq!(info.fingerprint, direct.fingerprint());
    let grammar = registry
        .create_dataset("grammar", &json!({"documents": 1_000_000}))
        .unwrap();
    assert_eq!(
        guest.read(5, 9).unwrap(),
        native_rows(&direct, 5, 9),
        "the rows are the same"
    );
    for rows in [1, 2_048] {
        let reads = 8_192 / rows;
        let all = |read: &dyn Fn(u64, u64) -> Batch| {
            let mut bytes = 0;
            let time = seconds(|| {
                for index in 0..reads {
                    bytes += text_bytes(&black_box(read(index * rows, rows)));
                }
            });
            time / bytes as f64 * 1e6
        };
        let [native, sandboxed, ratio] = in_turns(
            ROUNDS,
            || all(&|start, count| native_rows(&direct, start, count)),
            || all(&|start, count| guest.read(start, count).unwrap()),
        );
        let grammar = (0..5).map(|_| all(&|start, count| grammar.read(start, count).unwrap()));
        println!(
            "| {rows} | {} MB/s | {} MB/s | {} | {} MB/s |",
            short(1.0 / native),
            short(1.0 / sandboxed),
            short(ratio),
            short(1.0 / median(grammar.collect())),
        );
    }
}

pub(super) fn tokenizers(sandbox: &Sandbox) {
    println!(
        "| texts a call | native `hf`, one thread | sandbox, `bytes` | ratio of times |\n|---|---|---|---|"
    );
    let registry = sandbox.registry(&sandbox.cache());
    let guest = registry.create_tokenizer("bytes", &json!({})).unwrap();
    // Both read the same vocabulary: the folder that the guest saves.
    let folder = sandbox.bench.work().join("tokenizer");
    fs::create_dir(&folder).unwrap();
    guest.save(folder.to_str().unwrap()).unwrap();
    let native = registry
        .create_tokenizer("hf", &json!({"path": folder}))
        .unwrap();
    let sentences: Sentences =
        serde_json::from_value(json!({"rows": 4_000, "seed": 2, "largest": 999, "sentences": 4}))
            .unwrap();
    let texts: Vec<String> = (0..sentences.rows)
        .map(|row| {
            let mut text = String::new();
            sentences.write(row, &mut text);
            text + " Žluťoučký kůň, 日本語."
        })
        .collect();
    for size in [1, 1_000] {
        let batches: Vec<TextBuffer> = texts
            .chunks(size)
            .map(|part| part.iter().collect())
            .collect();
        let bytes: usize = texts.iter().map(String::len).sum();
        let ids = |tokenizer: &dyn Tokenizer, batch: &TextBuffer| {
            let options = EncodeOptions::default();
            tokenizer.encode(batch.as_texts(), options).unwrap().ids
        };
        assert_eq!(ids(&*native, &batches[0]), ids(&*guest, &batches[0]));
        let all = |tokenizer: &dyn Tokenizer| {
            let time = seconds(|| {
                for batch in &batches {
                    black_box(ids(tokenizer, batch));
                }
            });
            time / bytes as f64 * 1e6
        };
        let [native, guest, ratio] = in_turns(7, || all(&*native), || all(&*guest));
        println!(
            "| {size} | {} M tokens/s | {} M tokens/s | {} |",
            short(1.0 / native),
            short(1.0 / guest),
            short(ratio)
        );
    }
}
