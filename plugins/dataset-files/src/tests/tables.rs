use std::sync::Arc as Shared;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use codex_plugin_api::FieldType::{self, Bool, F32, F64, I64, Text};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;

fn check(
    name: &'static str,
    bytes: &[u8],
    more: Value,
    fields: &[(&str, FieldType)],
    expected: Value,
) {
    let folder = Folder::new([(name, bytes)]);
    let dataset = open(&folder.path(name), more).unwrap_or_else(|error| panic!("{name}: {error}"));
    let info = dataset.info().unwrap();
    let found: Vec<_> = info
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.field_type))
        .collect();
    assert_eq!(found, fields, "{name}");
    assert_eq!(
        Value::Array(same_in_any_chunking(&dataset)),
        expected,
        "{name}"
    );
}

#[test]
fn json_lines() {
    let text =
        br#"{"text": "a \"b\" \u010d", "n": 1, "x": 1, "ok": true, "tags": ["p", {"q": null}]}

  {"n": 2, "text": "second", "x": 2.5, "id": 18446744073709551615}
{"text": null, "extra": {"k": [1, 2]}, "text": "again"}
"#;
    let fields = [
        ("text", Text),
        ("n", I64),
        ("x", F64),
        ("ok", Bool),
        ("tags", Text),
        ("id", Text),
        ("extra", Text),
    ];
    let expected = json!([
        [
            "a \"b\" č",
            1,
            1.0,
            true,
            "[\"p\",{\"q\":null}]",
            null,
            null
        ],
        ["second", 2, 2.5, null, null, "18446744073709551615", null],
        [null, null, null, null, null, null, "{\"k\":[1,2]}"],
    ]);
    check("a.jsonl", text, json!({}), &fields, expected.clone());
    let crlf = String::from_utf8_lossy(text).replace('\n', "\r\n");
    check(
        "a.ndjson",
        crlf.as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "a.txt",
        text,
        json!({ "format": "jsonl" }),
        &fields,
        expected.clone(),
    );
    // The same objects as one array, and as a sequence over several lines each.
    let objects: Vec<&str> = std::str::from_utf8(text)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    check(
        "a.json",
        format!("\n[{}\n]\n", objects.join(" ,\n")).as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "b.jsonl",
        format!("[{}]", objects.join(",")).as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    let spread = objects.join("\n").replace(", \"", ",\n  \"");
    check("c.json", spread.as_bytes(), json!({}), &fields, expected);
}

#[test]
fn csv_of_all_sorts() {
    let fields = [
        ("id", I64),
        ("zip", Text),
        ("score", F64),
        ("ok", Bool),
        ("text", Text),
        ("none", Text),
    ];
    let expected = json!([
        [1, "007", 1.0, true, "plain", ""],
        [2, "123", null, null, "two\nlines, \"quoted\"", ""],
        [-3, "", -2.5e3, false, "", ""],
    ]);
    let text = "id,zip,score,ok,text,none\n1,007,1,true,plain,\n2,123,,,\"two\nlines, \"\"quoted\"\"\",\n\n-3,,-2.5e3,FALSE,\"\",\n";
    check(
        "a.csv",
        text.as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "a.csv",
        text.trim_end().as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "a.csv",
        format!("\u{FEFF}{text}").as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    let semicolons = text
        .replace("lines, ", "lines# ")
        .replace(',', ";")
        .replace('#', ",");
    check(
        "a.csv",
        semicolons.as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "a.tsv",
        text.replace("lines, ", "lines# ")
            .replace(',', "\t")
            .replace('#', ",")
            .as_bytes(),
        json!({}),
        &fields,
        expected.clone(),
    );
    check(
        "a.txt",
        text.as_bytes(),
        json!({ "format": "csv", "delimiter": "," }),
        &fields,
        expected,
    );
    // Line ends of other systems, a quote within a value, values that only look like numbers.
    for end in ["\r\n", "\r", "\n"] {
        let text = ["a,,b", "5\" pipe,-,1e400", "\"x\"y,+1,nan", "z,.,0x10"].join(end);
        let fields = [("a", Text), ("column_2", Text), ("b", Text)];
        let expected = json!([
            ["5\" pipe", "-", "1e400"],
            ["xy", "+1", "nan"],
            ["z", ".", "0x10"]
        ]);
        check("b.csv", text.as_bytes(), json!({}), &fields, expected);
    }
    let utf16: Vec<u8> = "\u{FEFF}a,b\nč,2\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    check(
        "c.csv",
        &utf16,
        json!({}),
        &[("a", Text), ("b", I64)],
        json!([["č", 2]]),
    );
}

#[test]
fn files_of_one_format_share_their_columns() {
    let folder = Folder::new([
        ("a.csv", "text,n\nx,1\n"),
        ("b.csv", "n,more,text\n2.5,m,y\n"),
    ]);
    let dataset = open(&folder.path(""), json!({})).unwrap();
    assert_eq!(
        Value::Array(same_in_any_chunking(&dataset)),
        json!([["x", 1.0, null], ["y", 2.5, "m"]])
    );

    let folder = Folder::new([
        ("a.jsonl", "{\"a\":1}\n"),
        ("b.jsonl", "{\"a\":\"x\",\"b\":true}\n"),
        ("c.csv", "a\n1\n"),
    ]);
    let error = refused(&folder.path(""), json!({}));
    assert!(
        error.message().contains("a.jsonl is jsonl") && error.message().contains("c.csv is csv"),
        "{error}"
    );
    let dataset = open(&folder.path(""), json!({ "format": "jsonl" })).unwrap();
    assert_eq!(
        Value::Array(same_in_any_chunking(&dataset)),
        json!([["1", null], ["x", true]])
    );
}

#[test]
fn columns_can_be_chosen_and_the_text_is_text() {
    let folder = Folder::new([("a.csv", "id,score,text\n1,2,x\n3,4,y\n")]);
    let path = folder.path("a.csv");
    let dataset = open(&path, json!({ "text_column": "id", "columns": ["score"] })).unwrap();
    assert_eq!(
        Value::Array(same_in_any_chunking(&dataset)),
        json!([["1", 2], ["3", 4]])
    );
    assert_eq!(dataset.info().unwrap().text_column.as_deref(), Some("id"));
    let choice = |text: &str| {
        let folder = Folder::new([("a.jsonl", text)]);
        open(&folder.path("a.jsonl"), json!({}))
            .unwrap()
            .info()
            .unwrap()
            .text_column
    };
    assert_eq!(
        choice(r#"{"n": 1, "review": "x"}"#).as_deref(),
        Some("review")
    );
    assert_eq!(
        choice(r#"{"title": "t", "Content": "x"}"#).as_deref(),
        Some("Content")
    );
    assert_eq!(choice(r#"{"title": "t", "review": "x"}"#), None);
}

fn parquet(rows_per_group: usize) -> Vec<u8> {
    let count = 1_000;
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in 0..count {
        if row % 3 == 0 {
            tags.append_null();
        } else {
            tags.values().append_value(format!("t{row}"));
            tags.append(true);
        }
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "text",
            Shared::new(StringArray::from_iter_values(
                (0..count).map(|row| format!("row {row} 🦀")),
            )),
        ),
        (
            "n",
            Shared::new(
                (0..count)
                    .map(|row| (row % 5 != 0).then_some(row))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "x",
            Shared::new(
                (0..count)
                    .map(|row| Some(row as f32 / 2.0))
                    .collect::<Float32Array>(),
            ),
        ),
        (
            "ok",
            Shared::new(
                (0..count)
                    .map(|row| Some(row % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
        ),
        (
            "id",
            Shared::new(
                (0..count)
                    .map(|row| Some(u64::MAX - row as u64))
                    .collect::<UInt64Array>(),
            ),
        ),
        ("tags", Shared::new(tags.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(rows_per_group))
        .set_data_page_row_count_limit(50)
        .set_write_batch_size(10)
        .set_compression(parquet::basic::Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_with_several_row_groups() {
    let folder = Folder::new([
        ("a.parquet", parquet(300)),
        ("one.parquet", parquet(1_000_000)),
    ]);
    let dataset = open(&folder.path("a.parquet"), json!({})).unwrap();
    let info = dataset.info().unwrap();
    let types: Vec<_> = info.fields.iter().map(|field| field.field_type).collect();
    assert_eq!(types, [Text, I64, F32, Bool, Text, Text]);
    assert_eq!(info.text_column.as_deref(), Some("text"));
    let all = same_in_any_chunking(&dataset);
    assert_eq!(all.len(), 1_000);
    assert_eq!(
        all[0],
        json!(["row 0 🦀", null, 0.0, true, "18446744073709551615", null])
    );
    assert_eq!(
        all[301],
        json!([
            "row 301 🦀",
            301,
            150.5,
            false,
            "18446744073709551314",
            "[\"t301\"]"
        ])
    );
    let other = open(&folder.path("one.parquet"), json!({})).unwrap();
    assert_eq!(same_in_any_chunking(&other), all);
    let few = open(
        &folder.path("a.parquet"),
        json!({ "columns": ["ok"], "text_column": "n" }),
    )
    .unwrap();
    assert_eq!(
        rows(&few.read(998, 5).unwrap()),
        [json!(["998", true]), json!(["999", false])]
    );
    let both = open(&folder.path(""), json!({})).unwrap();
    assert_eq!(both.len(), 2_000);
    assert_eq!(
        rows(&both.read(999, 2).unwrap()),
        [all[999].clone(), all[0].clone()]
    );
}

#[test]
fn a_broken_parquet_file_is_named() {
    let whole = parquet(300);
    let mut flipped = whole.clone();
    for byte in &mut flipped[4..whole.len() / 3] {
        *byte ^= 0x5A;
    }
    let folder = Folder::new([
        ("cut.parquet", whole[..whole.len() - 100].to_vec()),
        ("head.parquet", whole[..7].to_vec()),
        ("text.parquet", b"this is no Parquet file at all".to_vec()),
        ("empty.parquet", Vec::new()),
        ("flipped.parquet", flipped),
    ]);
    for name in [
        "cut.parquet",
        "head.parquet",
        "text.parquet",
        "empty.parquet",
    ] {
        let error = refused(&folder.path(name), json!({}));
        assert!(
            error.message().contains(name) && error.message().contains("not a whole Parquet file"),
            "{error}"
        );
        assert_eq!(error.kind(), codex_plugin_api::ErrorKind::Data);
    }
    let dataset = open(&folder.path("flipped.parquet"), json!({})).unwrap();
    let error = dataset.read(0, 10).unwrap_err();
    assert!(
        error.message().contains("flipped.parquet, row 1:"),
        "{error}"
    );
}
