//! Documents: choice of the column, reading of parts, and the split.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use codex_plugin_api::{ErrorKind, Field};

use super::*;
use crate::testing::{MemoryDataset, documents};

fn texts(documents: &Documents, start: u64, count: u64) -> Vec<String> {
    let read = documents.read(start, count).unwrap();
    read.into_iter().map(|document| document.text).collect()
}

fn numbered(count: usize) -> Documents {
    documents((0..count).map(|n| format!("document {n}")))
}

#[test]
fn a_split_is_a_division_and_keeps_the_order() {
    for (count, fraction) in [(2, 0.01), (3, 0.5), (10, 0.99), (1000, 0.05), (777, 0.3)] {
        let all = numbered(count);
        let (train, validation) = all.split(fraction, 7).unwrap();
        let expected = (count as f64 * fraction)
            .round()
            .clamp(1.0, count as f64 - 1.0);
        assert_eq!(validation.len(), expected as u64);
        assert_eq!(train.len() + validation.len(), all.len());
        let number = |text: &String| text["document ".len()..].parse::<usize>().unwrap();
        let mut seen = BTreeSet::new();
        for part in [&train, &validation] {
            let numbers: Vec<usize> = texts(part, 0, u64::MAX).iter().map(number).collect();
            assert!(numbers.is_sorted());
            assert_eq!(numbers.len() as u64, part.len());
            seen.extend(numbers);
            // Any range reads the same as the whole.
            let middle = texts(part, part.len() / 3, 5);
            let whole = texts(part, 0, part.len());
            let from = (part.len() / 3) as usize;
            assert_eq!(middle, whole[from..whole.len().min(from + 5)]);
        }
        assert_eq!(seen.len(), count);
    }
}

#[test]
fn a_part_can_be_split_again() {
    let (train, validation) = numbered(100).split(0.4, 1).unwrap();
    for part in [train, validation] {
        let (first, second) = part.split(0.25, 2).unwrap();
        let both: BTreeSet<String> = [texts(&first, 0, 100), texts(&second, 0, 100)]
            .concat()
            .into_iter()
            .collect();
        assert_eq!(both, texts(&part, 0, 100).into_iter().collect());
        assert_eq!(both.len() as u64, first.len() + second.len());
    }
}

#[test]
fn fingerprints_tell_parts_and_seeds_apart() {
    let all = numbered(50);
    let fingerprints: BTreeSet<String> = [(0.1, 1), (0.1, 2), (0.2, 1)]
        .into_iter()
        .flat_map(|(fraction, seed)| {
            let (train, validation) = all.split(fraction, seed).unwrap();
            [train.fingerprint(), validation.fingerprint()]
        })
        .chain([all.fingerprint()])
        .collect();
    assert_eq!(fingerprints.len(), 7);
    assert_eq!(
        all.split(0.1, 1).unwrap().0.fingerprint(),
        all.split(0.1, 1).unwrap().0.fingerprint()
    );
}

#[test]
fn a_split_needs_two_documents_and_a_fraction() {
    let error = numbered(1).split(0.1, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("data.validation_fraction=0")
    );
    for fraction in [0.0, 1.0, -0.5, f64::NAN] {
        let error = numbered(9).split(fraction, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{fraction}");
    }
}

#[test]
fn rows_are_counted_where_the_dataset_does_not_say() {
    for count in [0, 1, 2, 3, 7, 8, 9, 1000, 1025] {
        let dataset = MemoryDataset {
            knows_length: false,
            ..MemoryDataset::new((0..count).map(|n| n.to_string()))
        };
        match Documents::open(Box::new(dataset), None) {
            Ok(documents) => assert_eq!(documents.len(), count),
            Err(error) => assert_eq!((count, error.kind()), (0, ErrorKind::Data)),
        }
    }
}

#[test]
fn nulls_are_empty_texts_and_log_probabilities_come_along() {
    let dataset = MemoryDataset {
        texts: vec![Some("a".into()), None, Some("č".into())],
        log_probabilities: Some(vec![-1.0, -2.0, -3.5]),
        knows_length: true,
        missing_rows: 0,
    };
    let documents = Documents::open(Box::new(dataset), None).unwrap();
    let read = documents.read(0, 3).unwrap();
    assert_eq!(
        read.iter()
            .map(|document| document.text.as_str())
            .collect::<Vec<_>>(),
        ["a", "", "č"]
    );
    assert_eq!(read[2].log_probability, Some(-3.5));
}

#[test]
fn a_dataset_that_lost_rows_is_an_error() {
    let dataset = MemoryDataset {
        missing_rows: 3,
        ..MemoryDataset::new(["a", "b"])
    };
    let documents = Documents::open(Box::new(dataset), None).unwrap();
    let error = documents.read(0, 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("rows 2 to 4"), "{error}");
}

#[test]
fn the_column_is_chosen_or_the_choice_is_explained() {
    let info = |fields: &[(&str, FieldType)], text_column: Option<&str>| DatasetInfo {
        fields: fields
            .iter()
            .map(|(name, kind)| Field::new(*name, *kind))
            .collect(),
        rows: Some(1),
        fingerprint: String::new(),
        text_column: text_column.map(str::to_owned),
        log_probability_column: None,
    };
    let check = |info: &DatasetInfo, asked, expected: Result<&str, &str>| match choose_column(
        info, asked,
    ) {
        Ok(column) => assert_eq!(Ok(column.as_str()), expected),
        Err(error) => {
            let word = expected.expect_err(error.message());
            let all = format!("{} {}", error.message(), error.hint_text().unwrap());
            assert!(all.contains(word), "{all}");
        }
    };
    let two = info(
        &[
            ("a", FieldType::Text),
            ("b", FieldType::Text),
            ("n", FieldType::I64),
        ],
        None,
    );
    check(&two, Some("b"), Ok("b"));
    check(
        &two,
        None,
        Err("the columns are a (text), b (text), n (integers)"),
    );
    check(&two, Some("n"), Err("\"n\" holds integers, not text"));
    check(&two, Some("c"), Err("no column \"c\""));
    check(
        &info(&[("a", FieldType::Text), ("b", FieldType::Text)], Some("b")),
        None,
        Ok("b"),
    );
    check(
        &info(&[("n", FieldType::F64), ("only", FieldType::Text)], None),
        None,
        Ok("only"),
    );
    check(
        &info(&[("n", FieldType::F64)], None),
        None,
        Err("has no text column"),
    );
}
