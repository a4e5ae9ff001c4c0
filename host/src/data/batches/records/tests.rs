//! Batches of records: what they hold, that they are a function of seed and number, and what is refused.

use std::path::Path;

use codex_plugin_api::{Column, ErrorKind, TextBuffer, Tokenizer, Values};

use super::*;
use crate::config::ColumnNames;
use crate::data::Records;
use crate::testing::{EncoderTokenizer, RowsDataset, app};

fn texts(name: &str, texts: impl IntoIterator<Item = String>) -> Column {
    Column::text(name, texts)
}

fn store(cache: &Path, columns: Vec<Column>, task: Task) -> Result<RecordStore> {
    let dataset = Box::new(RowsDataset::new(columns));
    let records = Records::open(dataset, task, &ColumnNames::default())?;
    RecordStore::open_or_build(cache, &records, &EncoderTokenizer, &app())
}

fn batches(columns: Vec<Column>, task: Task, longest: u32, size: u32) -> Result<RecordBatches> {
    let cache = tempfile::tempdir().unwrap();
    let store = store(cache.path(), columns, task)?;
    let classes = match task {
        Task::Classification => {
            Classes::of_data(store.classes().iter().map(String::as_str), "label")?
        }
        _ => Classes::default(),
    };
    let template = Template::of(&EncoderTokenizer)?;
    RecordBatches::new(store, template, task, &classes, longest, size, 5)
}

fn pairs(count: usize) -> Vec<Column> {
    vec![
        texts("anchor", (0..count).map(|n| format!("a{n}"))),
        texts("positive", (0..count).map(|n| format!("p{n}"))),
    ]
}

/// The texts of a batch's sequences, which must be framed.
fn words(batch: &Batch) -> Vec<String> {
    let tokens = batch.as_batch().unwrap();
    tokens.check().unwrap();
    let text = |ids: &[u32]| {
        assert_eq!((ids[0], ids[ids.len() - 1]), (256, 257));
        ids[1..ids.len() - 1]
            .iter()
            .map(|&id| if id == 257 { '|' } else { char::from(id as u8) })
            .collect()
    };
    tokens.sequences.iter().map(text).collect()
}

#[test]
fn pairs_come_as_anchors_then_positives_each_once_an_epoch() {
    let batches = batches(pairs(10), Task::Embedding, 16, 4).unwrap();
    assert_eq!(batches.per_epoch(), 3);
    let mut seen = Vec::new();
    for index in 0..3 {
        let batch = batches.batch(index).unwrap();
        assert_eq!((batch.parts, batch.targets), (2, 4));
        let words = words(&batch);
        for (anchor, positive) in words[..4].iter().zip(&words[4..]) {
            assert_eq!(anchor[1..], positive[1..]);
        }
        let mut distinct = words[..4].to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 4, "no pair is twice in a batch");
        seen.extend_from_slice(&words[..4]);
    }
    // Two fill up the last batch.
    seen.truncate(10);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 10);
    assert_eq!(batches.batch(4).unwrap(), batches.batch(4).unwrap());
    assert_ne!(batches.batch(0).unwrap().ids, batches.batch(3).unwrap().ids);
    assert!(
        batches
            .batch(4)
            .unwrap()
            .identity
            .starts_with("epoch 1, batch 1: records ")
    );
}

#[test]
fn triplets_have_a_third_block_and_long_texts_are_cut() {
    let mut columns = pairs(4);
    columns.push(texts("negative", (0..4).map(|n| format!("n{n} and more"))));
    let batch = batches(columns, Task::Embedding, 4, 3)
        .unwrap()
        .batch(0)
        .unwrap();
    assert_eq!(batch.parts, 3);
    let words = words(&batch);
    assert_eq!(words.len(), 9);
    assert!(
        words[6..]
            .iter()
            .all(|word| word.len() == 2 && word.starts_with('n'))
    );
}

#[test]
fn classes_are_numbered_by_their_sorted_names() {
    let columns = vec![
        texts("text", ["x", "y", "z"].map(str::to_owned)),
        texts("label", ["pos", "neg", "pos"].map(str::to_owned)),
    ];
    let batch = batches(columns, Task::Classification, 16, 3)
        .unwrap()
        .batch(0)
        .unwrap();
    let labels = batch.sequence_labels.clone().unwrap();
    assert_eq!((batch.token_types.as_ref(), batch.targets), (None, 3));
    for (word, label) in words(&batch).iter().zip(labels) {
        assert_eq!(label, if word == "y" { 0.0 } else { 1.0 });
    }
}

#[test]
fn two_texts_become_one_sequence_with_two_segments() {
    let columns = vec![
        texts("sentence1", ["ab", "cdefgh"].map(str::to_owned)),
        texts("sentence2", ["x", "yz"].map(str::to_owned)),
        Column::new("score", Values::F64(vec![0.25, -3.0])),
    ];
    let batch = batches(columns, Task::Regression, 9, 2)
        .unwrap()
        .batch(0)
        .unwrap();
    let mut found: Vec<(String, f32)> = words(&batch)
        .into_iter()
        .zip(batch.sequence_labels.clone().unwrap())
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        found,
        [("ab|x".to_owned(), 0.25), ("cdef|yz".to_owned(), -3.0)]
    );
    let types = batch.token_types.unwrap();
    let ones = types.iter().filter(|&&kind| kind == 1).count();
    assert_eq!((types.len(), ones), (batch.ids.len(), 2 + 3));
}

#[test]
fn rows_that_lack_something_are_left_out_and_counted() {
    let cache = tempfile::tempdir().unwrap();
    let mut label = Column::new("label", Values::I64(vec![1, 0, 1, 0, 1]));
    label.validity = Some(vec![true, true, false, true, true]);
    let mut text = texts("text", ["a", " ", "c", "d", ""].map(str::to_owned));
    text.validity = Some(vec![true, true, true, true, false]);
    let store = store(cache.path(), vec![text, label], Task::Classification).unwrap();
    assert_eq!((store.len(), store.left_out(), store.tokens()), (2, 3, 2));
    assert_eq!(store.classes(), ["1", "0"]);
    assert_eq!((store.class(0), store.class(1)), (Some(0), Some(1)));
    assert_eq!(store.text(1, 0), [u32::from(b'd')]);
    assert_eq!(store.store().largest_id(), u32::from(b'd'));
}

#[test]
fn a_store_is_reused_and_mended() {
    let cache = tempfile::tempdir().unwrap();
    let columns = || {
        let mut columns = pairs(5);
        columns.push(Column::new("label", Values::I64(vec![3, 1, 3, 1, 2])));
        columns[0].name = "text".into();
        columns
    };
    let open = || store(cache.path(), columns(), Task::Classification).unwrap();
    let first = open();
    let written = |store: &RecordStore| {
        let file = std::fs::metadata(store.store().path()).unwrap();
        file.modified().unwrap()
    };
    assert_eq!(written(&first), written(&open()));
    let classes = first.store().path().with_file_name("classes.json");
    std::fs::remove_file(&classes).unwrap();
    let again = open();
    assert_eq!(again.classes(), ["3", "1", "2"]);
    assert_eq!(again.store().fingerprint(), first.store().fingerprint());
}

#[test]
fn what_makes_no_batch_is_refused() {
    let one_class = vec![
        texts("text", ["x", "y"].map(str::to_owned)),
        Column::new("label", Values::I64(vec![1, 1])),
    ];
    let not_a_number = vec![
        texts("text", ["x".to_owned()]),
        texts("score", ["good".to_owned()]),
    ];
    let empty = vec![
        Column::new("anchor", Values::Text(TextBuffer::from_iter(["", " "]))),
        texts("positive", ["a", "b"].map(str::to_owned)),
    ];
    for (columns, task, longest, size, kind, words) in [
        (
            pairs(3),
            Task::Embedding,
            16,
            4,
            ErrorKind::Data,
            "there are 3 pairs to train on, fewer than one batch",
        ),
        (
            pairs(3),
            Task::Embedding,
            16,
            1,
            ErrorKind::Config,
            "training.batch_size is 1",
        ),
        (
            pairs(3),
            Task::Embedding,
            2,
            2,
            ErrorKind::Config,
            "too short for 1 texts",
        ),
        (
            one_class,
            Task::Classification,
            16,
            2,
            ErrorKind::Data,
            "every row is of class \"1\"",
        ),
        (
            not_a_number,
            Task::Regression,
            16,
            1,
            ErrorKind::Data,
            "label \"good\" in column \"score\" is no number",
        ),
        (
            empty,
            Task::Embedding,
            16,
            2,
            ErrorKind::Data,
            "none of the 2 rows has something in each of the columns anchor, positive",
        ),
        (
            pairs(3),
            Task::Classification,
            16,
            2,
            ErrorKind::Config,
            "needs a column of labels",
        ),
    ] {
        let error = batches(columns, task, longest, size).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert!(error.hint_text().is_some(), "{error}");
    }
    let vocabulary = EncoderTokenizer.vocabulary().unwrap();
    assert_eq!(vocabulary.special.mask, Some(258));
}
