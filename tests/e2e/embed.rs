//! `codex-ml embed` with a small encoder whose embeddings PyTorch computed: numbers, order, streams, files, refusals.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::bench::{Bench, root};

/// Longest sequence of the reference model.
const LONGEST: usize = 40;

/// A bench with the reference model in `encoder`.
fn bench() -> Bench {
    let bench = Bench::new();
    reference_model(&bench, "bert-embed-tiny", "encoder");
    bench
}

/// A reference model in `folder`, with a tokenizer that reads id 7 from the word `t7`.
pub(crate) fn reference_model(bench: &Bench, reference: &str, folder: &str) {
    let from = root().join("tests/golden").join(reference).join("model");
    for name in ["config.json", "model.safetensors"] {
        bench.write(
            &format!("{folder}/{name}"),
            fs::read(from.join(name)).unwrap(),
        );
    }
    let config: Value = serde_json::from_str(&bench.read(format!("{folder}/config.json"))).unwrap();
    let size = config["vocab_size"].as_u64().unwrap();
    let vocabulary: serde_json::Map<String, Value> =
        (0..size).map(|id| (format!("t{id}"), json!(id))).collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "t0"},
    });
    bench.write(&format!("{folder}/tokenizer.json"), tokenizer.to_string());
    bench.write(
        &format!("{folder}/tokenizer_config.json"),
        r#"{"eos_token": "t1"}"#,
    );
}

/// Texts and what PyTorch makes of them.
fn reference() -> Vec<(String, Vec<f32>)> {
    let path = root().join("tests/golden/bert-embed-tiny/io.safetensors");
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let integers = |name: String| -> Vec<i64> {
        let data = tensors.tensor(&name).unwrap().data();
        let values = data.chunks_exact(8);
        values
            .map(|value| i64::from_le_bytes(value.try_into().unwrap()))
            .collect()
    };
    let mut found = Vec::new();
    for part in ["anchor", "positive"] {
        let (ids, mask) = (
            integers(format!("{part}_ids")),
            integers(format!("{part}_mask")),
        );
        let embeddings = tensors.tensor(&format!("{part}_embedding")).unwrap();
        let (rows, width) = (embeddings.shape()[0], embeddings.shape()[1]);
        let values: Vec<f32> = floats(embeddings.data());
        let length = ids.len() / rows;
        for row in 0..rows {
            let places = row * length..(row + 1) * length;
            let words: Vec<String> = places
                .filter(|&at| mask[at] == 1)
                .map(|at| format!("t{}", ids[at]))
                .collect();
            let row = &values[row * width..(row + 1) * width];
            found.push((words.join(" "), row.to_vec()));
        }
    }
    found
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let values = bytes.chunks_exact(4);
    values
        .map(|value| f32::from_le_bytes(value.try_into().unwrap()))
        .collect()
}

/// The rows of lines of JSON, whose indices must count from 0.
fn rows(lines: &str) -> Vec<Vec<f32>> {
    let row = |(at, line): (usize, &str)| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["index"], at);
        let numbers = line["embedding"].as_array().unwrap().iter();
        numbers
            .map(|number| number.as_f64().unwrap() as f32)
            .collect()
    };
    lines.lines().enumerate().map(row).collect()
}

fn close(found: &[f32], expected: &[f32]) -> bool {
    found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-5)
}

#[test]
fn embeddings_are_pytorchs_in_every_format() {
    let bench = bench();
    let reference = reference();
    let texts: Vec<&str> = reference.iter().map(|(text, _)| &**text).collect();
    let lines = texts.join("\n") + "\n";
    bench.write("texts.txt", &lines);
    let embed = ["embed", "--model", "encoder"];
    let printed = bench.run_with_input(&embed, lines.as_bytes()).ok().stdout;
    let found = rows(&printed);
    assert_eq!(found.len(), reference.len());
    for ((text, expected), found) in reference.iter().zip(&found) {
        assert!(
            close(found, expected),
            "{text}: {found:?} where PyTorch has {expected:?}"
        );
    }

    let file = |name: &'static str| {
        let more = ["--input", "texts.txt", "--output", name, "--json"];
        let told = bench.run(&[&embed[..], &more].concat()).ok().json();
        assert_eq!(
            (&told["rows"], &told["dimensions"]),
            (&json!(6), &json!(32))
        );
        bench.work().join(name)
    };
    assert_eq!(fs::read_to_string(file("rows.ndjson")).unwrap(), printed);
    let npy = fs::read(file("rows.npy")).unwrap();
    let header = String::from_utf8_lossy(&npy[10..128]);
    assert!(
        header.contains("'descr': '<f4', 'fortran_order': False, 'shape': (6, 32)"),
        "{header}"
    );
    assert_eq!(floats(&npy[128..]), found.concat());
    let parquet = fs::File::open(file("rows.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(parquet).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let column = batch["embedding"].as_fixed_size_list().values();
    assert_eq!(
        column.as_primitive::<Float32Type>().values().to_vec(),
        found.concat()
    );

    let narrow = bench
        .run(&[&embed[..], &["--input", "texts.txt", "--dimensions", "8"]].concat())
        .ok();
    for (narrow, whole) in rows(&narrow.stdout).iter().zip(&found) {
        let length = whole[..8].iter().map(|value| value * value).sum::<f32>();
        let expected: Vec<f32> = whole[..8]
            .iter()
            .map(|value| value / length.sqrt())
            .collect();
        assert!(close(narrow, &expected), "{narrow:?} {expected:?}");
    }
}

#[test]
fn a_text_is_embedded_alike_alone_and_among_others() {
    let bench = bench();
    let texts: Vec<String> = (0..300)
        .map(|n| {
            let words = (0..(n * 7) % 50).map(|at| format!("t{}", 5 + (n * 31 + at * 17) % 200));
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    bench.write("texts.txt", texts.join("\n") + "\n");
    let embed = ["embed", "--model", "encoder", "--input"];
    let ran = bench
        .run(&[&embed[..], &["texts.txt", "--batch-tokens", "500"]].concat())
        .ok()
        .tells(&["texts were longer than 40 tokens and were cut there"]);
    let all = rows(&ran.stdout);
    assert_eq!(all.len(), 300);
    // An empty one, a usual one, one that is cut.
    for (at, words) in [(0, 0), (1, 7), (7, 49)] {
        assert_eq!(texts[at].split_whitespace().count(), words);
        let kept: Vec<&str> = texts[at].split_whitespace().take(LONGEST).collect();
        bench.write("one.txt", kept.join(" ") + "\n");
        let one = bench.run(&[&embed[..], &["one.txt"]].concat()).ok();
        assert!(close(&rows(&one.stdout)[0], &all[at]), "text {at}");
        assert!(!one.stderr.contains("cut"), "{}", one.stderr);
    }
}

#[test]
fn rows_come_out_while_texts_still_come_in() {
    let bench = bench();
    let mut child = bench
        .command(&["embed", "--model", "encoder", "--with-text"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for text in ["t7 t8", "t9"] {
        writeln!(input, "{text}").unwrap();
        let row: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
        assert_eq!(row["text"], text);
    }
    drop(input);
    assert!(output.next().is_none() && child.wait().unwrap().success());
}

#[test]
fn tables_and_lines_of_json_are_read_by_column() {
    let bench = bench();
    bench.write("t.csv", "id,body\n1,t7 t8\n2,t9\n");
    bench.write("t.jsonl", "{\"body\": \"t7 t8\"}\n{\"body\": \"t9\"}\n");
    let column = ["embed", "--model", "encoder", "--text-column", "body"];
    let expected = bench
        .run_with_input(&["embed", "--model", "encoder"], b"t7 t8\nt9\n")
        .ok()
        .stdout;
    for name in ["t.csv", "t.jsonl"] {
        let ran = bench.run(&[&column[..], &["--input", name]].concat()).ok();
        assert_eq!(ran.stdout, expected, "{name}");
    }
    let standard = [&column[..], &["--input-format", "jsonl"]].concat();
    let input = bench.read("t.jsonl");
    let ran = bench.run_with_input(&standard, input.as_bytes()).ok();
    assert_eq!(ran.stdout, expected);
}

#[test]
fn no_texts_are_whole_files_and_what_fails_leaves_none() {
    let bench = bench();
    for (name, input) in [("a.npy", ""), ("b.parquet", ""), ("c.ndjson", "")] {
        let arguments = ["embed", "--model", "encoder", "--output", name, "--json"];
        let told = bench.run_with_input(&arguments, input.as_bytes()).ok();
        assert_eq!(told.json()["rows"], 0);
        assert!(bench.work().join(name).is_file());
    }
    let arguments = ["embed", "--model", "encoder", "--output", "bad.npy"];
    bench
        .run_with_input(&arguments, b"t7\nt8 \xff\n")
        .fails(4, &["line 2 of standard input is not UTF-8 at byte 4"]);
    let left: Vec<_> = fs::read_dir(bench.work())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("bad"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
