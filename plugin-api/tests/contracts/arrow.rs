//! Rows to and from arrow-rs, the peer, through the C stream interface: both directions, every type, and every oddity
//! that the specification allows.
#![allow(unsafe_code, reason = "a C interface is what is tested")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use codex_plugin_api::abi::v1::ArrowArrayStream;
use codex_plugin_api::{Batch, Column, Dataset, Result, TextBuffer, Values};

use crate::components::numbers::Numbers;

/// Their stream as ours.
fn from_peer(batches: Vec<RecordBatch>, schema: SchemaRef) -> Result<Batch> {
    let reader = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
    // SAFETY: both structs are the specification's.
    let stream: ArrowArrayStream =
        unsafe { std::mem::transmute(FFI_ArrowArrayStream::new(Box::new(reader))) };
    stream.import()
}

/// Our stream as theirs.
fn to_peer(batch: Batch) -> Vec<RecordBatch> {
    // SAFETY: both structs are the specification's.
    let stream: FFI_ArrowArrayStream =
        unsafe { std::mem::transmute(ArrowArrayStream::export(batch)) };
    RecordBatchStreamReader::try_new(stream)
        .unwrap()
        .collect::<Result<_, ArrowError>>()
        .unwrap()
}

fn record(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

fn import(columns: Vec<(&str, ArrayRef)>) -> Result<Batch> {
    let batch = record(columns);
    let schema = batch.schema();
    from_peer(vec![batch], schema)
}

#[test]
fn every_type_goes_out_and_comes_back() {
    let numbers = Numbers::default();
    for (start, count) in [(0, 60), (13, 7), (60, 0)] {
        let batch = numbers.read(start, count).unwrap();
        let batches = to_peer(batch.clone());
        assert_eq!(batches.len(), 1);
        for column in batches[0].columns() {
            column.to_data().validate_full().unwrap();
        }
        assert_eq!(batches[0].column(0).data_type(), &DataType::LargeUtf8);
        assert_eq!(batches[0].num_rows(), batch.rows());
        let schema = batches[0].schema();
        assert_eq!(from_peer(batches, schema).unwrap(), batch);
    }
}

#[test]
fn values_and_nulls_are_the_peers() {
    let batch = Numbers::default().read(0, 20).unwrap();
    let batches = to_peer(batch);
    let texts = batches[0]
        .column(0)
        .as_any()
        .downcast_ref::<LargeStringArray>()
        .unwrap();
    assert!(texts.is_null(0) && texts.is_null(5) && texts.value(3) == "ččč");
    let whole = batches[0]
        .column(2)
        .as_any()
        .downcast_ref::<Int64Array>()
        .unwrap();
    assert!(whole.is_null(7) && whole.value(1) == -29 && whole.null_count() == 3);
    let odd = batches[0]
        .column(5)
        .as_any()
        .downcast_ref::<BooleanArray>()
        .unwrap();
    assert!(odd.value(1) && !odd.value(18) && odd.null_count() == 0);
}

#[test]
fn narrow_types_are_widened() {
    let batch = import(vec![
        (
            "u",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("čč")])),
        ),
        (
            "z",
            Arc::new(BinaryArray::from(vec![Some(&b"\xff"[..]), Some(b""), None])),
        ),
        (
            "i",
            Arc::new(Int32Array::from(vec![Some(-1), None, Some(i32::MAX)])),
        ),
        ("s", Arc::new(Int16Array::from(vec![-1, 0, 1]))),
        ("c", Arc::new(Int8Array::from(vec![-1, 0, 1]))),
        ("I", Arc::new(UInt32Array::from(vec![u32::MAX, 0, 1]))),
        ("C", Arc::new(UInt8Array::from(vec![255, 0, 1]))),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        ("f", Arc::new(Float32Array::from(vec![f32::MIN, 0.5, -0.0]))),
    ])
    .unwrap();
    let column = |name: &str| batch.column(name).unwrap();
    let texts = TextBuffer::from_iter(["a", "", "čč"]);
    assert_eq!(column("u").values, Values::Text(texts));
    assert_eq!(column("u").validity, Some(vec![true, false, true]));
    assert_eq!(
        column("z").values,
        Values::Bytes(vec![0xff], vec![0, 1, 1, 1])
    );
    assert_eq!(
        column("i").values,
        Values::I64(vec![-1, 0, i64::from(i32::MAX)])
    );
    assert_eq!(column("s").values, Values::I64(vec![-1, 0, 1]));
    assert_eq!(column("c").values, Values::I64(vec![-1, 0, 1]));
    assert_eq!(
        column("I").values,
        Values::I64(vec![i64::from(u32::MAX), 0, 1])
    );
    assert_eq!(column("C").values, Values::I64(vec![255, 0, 1]));
    assert_eq!(column("b").values, Values::Bool(vec![true, false, false]));
    assert_eq!(column("b").validity, Some(vec![true, false, true]));
    assert_eq!(column("f").values, Values::F32(vec![f32::MIN, 0.5, -0.0]));
}

#[test]
fn slices_and_chunks_are_one_batch() {
    let texts: Vec<Option<String>> = (0..40)
        .map(|n| (n % 6 != 2).then(|| "č".repeat(n % 5)))
        .collect();
    let whole = record(vec![
        ("t", Arc::new(StringArray::from(texts.clone())) as ArrayRef),
        (
            "n",
            Arc::new(
                (0..40)
                    .map(|n| (n % 7 != 3).then_some(n))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "b",
            Arc::new((0..40).map(|n| Some(n % 3 == 0)).collect::<BooleanArray>()),
        ),
    ]);
    let schema = whole.schema();
    // Slices keep the whole buffers and set offsets, in bits for booleans and validity.
    let chunks = vec![
        whole.slice(3, 10),
        whole.slice(13, 0),
        whole.slice(13, 1),
        whole.slice(14, 22),
    ];
    let batch = from_peer(chunks, schema).unwrap();
    assert_eq!(batch.rows(), 33);
    let expected = &texts[3..36];
    let Values::Text(found) = &batch.columns()[0].values else {
        panic!("no text")
    };
    for (row, (found, expected)) in found.as_texts().iter().zip(expected).enumerate() {
        assert_eq!(found, expected.as_deref().unwrap_or(""), "row {row}");
        assert_eq!(
            batch.columns()[0].is_null(row),
            expected.is_none(),
            "row {row}"
        );
    }
    let numbers = (3..36).map(|n| if n % 7 == 3 { 0 } else { n }).collect();
    assert_eq!(batch.columns()[1].values, Values::I64(numbers));
    assert_eq!(
        batch.columns()[2].values,
        Values::Bool((3..36).map(|n| n % 3 == 0).collect())
    );
    assert_eq!(batch.columns()[2].validity, None);
}

#[test]
fn a_stream_may_be_empty() {
    let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, false)]));
    let batch = from_peer(Vec::new(), schema).unwrap();
    assert_eq!(
        batch,
        Batch::new(vec![Column::text::<&str>("t", [])]).unwrap()
    );
}

#[test]
fn what_is_not_read_is_named() {
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    for (array, word) in [
        (Arc::new(words) as ArrayRef, "dictionary"),
        (Arc::new(UInt64Array::from(vec![1, 2, 3])), "\"L\""),
        (Arc::new(Date32Array::from(vec![1, 2, 3])), "\"tdD\""),
        (
            Arc::new(StringViewArray::from(vec!["a", "b", "c"])),
            "\"vu\"",
        ),
    ] {
        let error = import(vec![("odd", array)]).unwrap_err();
        assert!(error.message().contains("column \"odd\""), "{error}");
        assert!(error.message().contains(word), "{error} lacks {word}");
    }
}

#[test]
fn an_error_in_the_stream_is_told() {
    let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, false)]));
    let failing = vec![Err(ArrowError::ComputeError("disk on fire".into()))];
    let reader = RecordBatchIterator::new(failing, schema);
    // SAFETY: both structs are the specification's.
    let stream: ArrowArrayStream =
        unsafe { std::mem::transmute(FFI_ArrowArrayStream::new(Box::new(reader))) };
    let error = stream.import().unwrap_err();
    assert!(error.message().contains("disk on fire"), "{error}");
}

/// Counts how often the reader behind a stream is dropped.
struct Counted(Arc<AtomicUsize>, SchemaRef, usize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Iterator for Counted {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.2 = self.2.checked_sub(1)?;
        Some(Ok(record(vec![(
            "n",
            Arc::new(Int64Array::from(vec![1, 2])),
        )])))
    }
}

impl RecordBatchReader for Counted {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.1)
    }
}

#[test]
fn streams_are_released_once_read_or_not() {
    for read in [false, true] {
        let drops = Arc::new(AtomicUsize::new(0));
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let reader = Counted(Arc::clone(&drops), schema, 3);
        // SAFETY: both structs are the specification's.
        let stream: ArrowArrayStream =
            unsafe { std::mem::transmute(FFI_ArrowArrayStream::new(Box::new(reader))) };
        if read {
            assert_eq!(stream.import().unwrap().rows(), 6);
        } else {
            drop(stream);
        }
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    }
    // Ours: never read, read by half, and with a column that the reader keeps while the rest is dropped.
    let batch = || Numbers::default().read(0, 50).unwrap();
    drop(ArrowArrayStream::export(batch()));
    // SAFETY: both structs are the specification's.
    let stream: FFI_ArrowArrayStream =
        unsafe { std::mem::transmute(ArrowArrayStream::export(batch())) };
    drop(RecordBatchStreamReader::try_new(stream).unwrap());
    let kept = Arc::clone(to_peer(batch())[0].column(0));
    assert_eq!(kept.len(), 50);
    kept.to_data().validate_full().unwrap();
}
