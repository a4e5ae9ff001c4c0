//! Parquet.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int64Array, LargeStringArray, ListArray, RecordBatch,
    StringArray,
};
use codex_plugin_api::serde_json::json;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::bench::{Bench, MAIL, aws};

fn write(bench: &Bench, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let file = File::create(bench.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn read(bench: &Bench, name: &str) -> (RecordBatch, Compression) {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(File::open(bench.path(name)).unwrap()).unwrap();
    let compression = builder.metadata().row_group(0).column(0).compression();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let schema = batches[0].schema();
    let batch = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
    (batch, compression)
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let rows = 3000;
    let text: Vec<Option<String>> = (0..rows)
        .map(|row| match row {
            2500 => Some(format!("řádek\n{}", aws())),
            7 => None,
            _ => Some("nothing".to_owned()),
        })
        .collect();
    let large: Vec<&str> = (0..rows)
        .map(|row| if row == 1 { MAIL } else { "x" })
        .collect();
    let kinds: DictionaryArray<Int32Type> = (0..rows)
        .map(|row| if row % 2 == 0 { "a" } else { MAIL })
        .collect();
    vec![
        ("text", Arc::new(StringArray::from(text))),
        ("number", Arc::new(Int64Array::from_iter_values(0..rows))),
        ("large", Arc::new(LargeStringArray::from(large))),
        ("kind", Arc::new(kinds)),
    ]
}

#[test]
fn texts_in_columns_are_found_by_row_and_column() {
    let bench = Bench::new();
    write(&bench, "a.parquet", columns());
    let lines = bench.run("a.parquet", json!({"report": "ndjson"})).lines();
    assert_eq!(lines.len(), 2 + 1500);
    let secret = lines
        .iter()
        .find(|line| line["entity"] == "secret")
        .unwrap();
    assert_eq!(
        (&secret["pointer"], &secret["line"]),
        (&json!("/2500/0"), &json!(2))
    );
    assert!(lines.iter().any(|line| line["pointer"] == "/1/2"));
    assert!(lines.iter().any(|line| line["pointer"] == "/2999/3"));
}

#[test]
fn a_clean_copy_has_the_same_schema() {
    let bench = Bench::new();
    write(&bench, "a.parquet", columns());
    let (before, _) = read(&bench, "a.parquet");
    let ran = bench.run(
        "a.parquet",
        json!({"redact": true, "output-dir": bench.arg("out"), "json": true}),
    );
    assert_eq!(ran.json()["changed"], 1);
    let (after, compression) = read(&bench, "out/a.parquet");
    assert_eq!(after.schema(), before.schema());
    assert_eq!(compression, Compression::SNAPPY);
    assert_eq!(after.num_rows(), before.num_rows());
    assert_eq!(
        after.column(0).as_string::<i32>().value(2500),
        "řádek\n[SECRET]"
    );
    assert!(after.column(0).is_null(7));
    assert_eq!(after.column(1), before.column(1));
    assert_eq!(
        after.column(2).as_string::<i64>().value(1),
        "[EMAIL_ADDRESS]"
    );
    let kinds = after.column(3).as_dictionary::<Int32Type>();
    let kinds = kinds.downcast_dict::<StringArray>().unwrap();
    let kinds: Vec<&str> = kinds.into_iter().flatten().collect();
    assert_eq!((kinds[0], kinds[1]), ("a", "[EMAIL_ADDRESS]"));
    let again = bench.run(
        "out/a.parquet",
        json!({"redact": true, "in-place": true, "json": true}),
    );
    assert_eq!(again.json()["changed"], 0);
}

#[test]
fn rows_are_dropped_whole_and_lists_are_said_to_be_left_out() {
    let bench = Bench::new();
    let texts = StringArray::from(vec!["a".to_owned(), aws(), "c".to_owned()]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1)]),
        None,
        Some(vec![]),
    ]);
    let columns: Vec<(&str, ArrayRef)> = vec![("text", Arc::new(texts)), ("list", Arc::new(lists))];
    write(&bench, "a.parquet", columns);
    bench.write(
        "p.yaml",
        "version: 1\nactions:\n- {entities: [secret], action: drop}\n",
    );
    let ran = bench.run(
        "a.parquet",
        json!({"redact": true, "in-place": true, "policy": bench.arg("p.yaml"), "json": true}),
    );
    assert_eq!(ran.json()["changed"], 1);
    assert!(
        ran.logged("lists, structures and bytes are not looked at: list"),
        "{:?}",
        ran.log
    );
    let (after, _) = read(&bench, "a.parquet");
    let left: Vec<&str> = after
        .column(0)
        .as_string::<i32>()
        .iter()
        .flatten()
        .collect();
    assert_eq!(left, ["a", "c"]);
}
