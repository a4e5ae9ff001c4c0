//! The user's own file, in every format and encoding.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use crate::bench::Bench;

/// Some paragraphs that a small model can learn from; different at every line.
fn paragraphs(count: usize) -> Vec<String> {
    let (who, what) = (
        ["the miller", "a heron", "my aunt", "the clerk"],
        ["counts sacks", "waits", "sings low", "writes"],
    );
    (0..count)
        .map(|n| {
            format!(
                "On day {n} {} {} by the {} gate.",
                who[n % 4],
                what[n / 4 % 4],
                ["north", "south"][n % 2]
            )
        })
        .collect()
}

#[track_caller]
fn trains(bench: &Bench, file: &str, extra: &[&str]) -> String {
    let path = format!("data.path={file}");
    let small = [
        "train",
        &path,
        "training.steps=4",
        "run.name=own",
        "tokenizer.vocab_size=300",
        "--json",
    ];
    let ran = bench.run(&[&small[..], extra].concat()).ok();
    assert_eq!(ran.json()["status"], "finished");
    assert!(
        ran.json()["metrics"]["bits_per_byte"]
            .as_f64()
            .is_some_and(f64::is_finite),
        "{}",
        ran.stdout
    );
    bench
        .run(&[
            "generate",
            "--model",
            "runs/own/model",
            "--prompt",
            "On day",
            "--max-new-tokens",
            "4",
            "--json",
        ])
        .ok();
    ran.stderr
}

#[test]
fn plain_text() {
    let bench = Bench::new();
    bench.write("my.txt", paragraphs(200).join("\n\n"));
    trains(&bench, "my.txt", &[]);
}

#[test]
fn a_few_lines_of_text_are_enough() {
    let bench = Bench::new();
    bench.write("small.txt", paragraphs(40).join("\n\n"));
    trains(&bench, "small.txt", &[]);
}

#[test]
fn json_lines() {
    let bench = Bench::new();
    let lines: Vec<String> = paragraphs(200)
        .iter()
        .map(|text| serde_json::json!({"id": 1, "body": text}).to_string())
        .collect();
    bench.write("my.jsonl", lines.join("\n"));
    trains(&bench, "my.jsonl", &["data.text_column=body"]);
}

#[test]
fn csv_with_quotes_and_line_breaks() {
    let bench = Bench::new();
    let rows: Vec<String> = paragraphs(200)
        .iter()
        .enumerate()
        .map(|(n, text)| format!("{n},\"{text}\n\"\"so\"\" it is, {n}\""))
        .collect();
    bench.write("my.csv", format!("number,text\n{}\n", rows.join("\n")));
    trains(&bench, "my.csv", &[]);
}

#[test]
fn parquet() {
    let bench = Bench::new();
    let texts: ArrayRef = Arc::new(StringArray::from(paragraphs(300)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..300));
    let batch = RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap();
    let file = File::create(bench.work().join("my.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    trains(&bench, "my.parquet", &[]);
}

#[test]
fn text_that_is_not_utf_8_trains_with_a_warning() {
    let bench = Bench::new();
    let mut bytes = paragraphs(200).join("\n\n").into_bytes();
    bytes[1000] = 0xe9;
    bench.write("latin.txt", bytes);
    let stderr = trains(&bench, "latin.txt", &[]);
    assert!(
        stderr.contains("latin.txt") && stderr.contains("1000"),
        "{stderr}"
    );
}

#[test]
fn utf_16_with_a_byte_order_mark() {
    let bench = Bench::new();
    let text = paragraphs(200).join("\r\n\r\n");
    let bytes: Vec<u8> = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    bench.write("windows.txt", bytes);
    trains(&bench, "windows.txt", &[]);
}

#[test]
fn a_strict_encoding_refuses_with_file_line_and_byte() {
    let bench = Bench::new();
    let mut bytes = paragraphs(200).join("\n").into_bytes();
    bytes[1000] = 0xe9;
    bench.write("latin.txt", bytes);
    bench
        .run(&[
            "train",
            "data.path=latin.txt",
            "data.encoding=utf-8",
            "training.steps=1",
        ])
        .fails(4, &["latin.txt", "1000"]);
}
