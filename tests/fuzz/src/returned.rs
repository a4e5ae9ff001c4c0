//! What a guest answers, on its way into the engine. Whatever it is, it is refused with a reason, or keeps what the types of
//! the plugin interface promise: every offset leads somewhere, every text is UTF-8, nothing is written elsewhere.

use std::fs;

use codex_plugin_api::{Batch, Error, ScoreRequest, TextBuffer, Values};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

use super::bindings::codex::plugin::types;
use super::{convert, files};

/// Something that a guest returned, and what it was asked for.
#[derive(Arbitrary, Debug)]
pub enum Returned {
    Texts(Ragged, u8),
    ByteStrings(Ragged),
    Encoding {
        sequences: Ragged,
        byte_offsets: Packed,
        texts: u8,
        spans: bool,
    },
    Batch(Vec<Column>),
    Findings {
        texts: Vec<String>,
        rules: u8,
        findings: Vec<Finding>,
    },
    Scores {
        target_offsets: Offsets,
        log_probabilities: Packed,
        ranks: Packed,
        sequence_outputs: Packed,
        sequences: u8,
        asked: [bool; 3],
    },
    Files(Vec<(String, Vec<u8>)>),
}

/// Numbers, packed or not quite.
#[derive(Arbitrary, Debug)]
pub enum Packed {
    Bytes(Vec<u8>),
    Small(Vec<u8>),
    Words(Vec<u32>),
    Doubles(Vec<f64>),
}

impl Packed {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Small(numbers) => numbers
                .into_iter()
                .flat_map(|number| u32::from(number).to_le_bytes())
                .collect(),
            Self::Words(numbers) => numbers.into_iter().flat_map(u32::to_le_bytes).collect(),
            Self::Doubles(numbers) => numbers.into_iter().flat_map(f64::to_le_bytes).collect(),
        }
    }
}

/// Offsets, right or not.
#[derive(Arbitrary, Debug)]
pub enum Offsets {
    Bytes(Vec<u8>),
    Numbers(Vec<u64>),
    /// These ascend, and end where they must.
    Steps(Vec<u8>),
}

impl Offsets {
    fn bytes(self, end: usize) -> Vec<u8> {
        let numbers = match self {
            Self::Bytes(bytes) => return bytes,
            Self::Numbers(numbers) => numbers,
            Self::Steps(steps) => {
                let mut offsets = vec![0];
                let mut at = 0;
                for step in steps {
                    at = (at + u64::from(step)).min(end as u64);
                    offsets.push(at);
                }
                if let Some(last) = offsets.last_mut() {
                    *last = end as u64;
                }
                offsets
            }
        };
        numbers.into_iter().flat_map(u64::to_le_bytes).collect()
    }
}

/// Something that offsets divide.
#[derive(Arbitrary, Debug)]
pub struct Ragged {
    content: Content,
    offsets: Offsets,
}

#[derive(Arbitrary, Debug)]
enum Content {
    Bytes(Vec<u8>),
    Text(String),
}

impl Ragged {
    fn texts(self) -> types::Texts {
        let bytes = match self.content {
            Content::Bytes(bytes) => bytes,
            Content::Text(text) => text.into_bytes(),
        };
        types::Texts {
            offsets: self.offsets.bytes(bytes.len()),
            bytes,
        }
    }

    fn ids(self) -> types::Ids {
        let types::Texts { bytes: ids, .. } = Ragged {
            content: self.content,
            offsets: Offsets::Steps(Vec::new()),
        }
        .texts();
        types::Ids {
            offsets: self.offsets.bytes(ids.len() / 4),
            ids,
        }
    }
}

/// A column of a dataset.
#[derive(Arbitrary, Debug)]
pub struct Column {
    name: String,
    values: ColumnValues,
    validity: Option<Vec<u8>>,
}

#[derive(Arbitrary, Debug)]
enum ColumnValues {
    Text(Ragged),
    Bytes(Ragged),
    I64(Packed),
    F32(Packed),
    F64(Packed),
    Boolean(Vec<u8>),
}

impl From<Column> for types::Column {
    fn from(column: Column) -> Self {
        Self {
            name: column.name,
            values: match column.values {
                ColumnValues::Text(texts) => types::ColumnValues::Text(texts.texts()),
                ColumnValues::Bytes(texts) => types::ColumnValues::Bytes(texts.texts()),
                ColumnValues::I64(numbers) => types::ColumnValues::I64(numbers.bytes()),
                ColumnValues::F32(numbers) => types::ColumnValues::F32(numbers.bytes()),
                ColumnValues::F64(numbers) => types::ColumnValues::F64(numbers.bytes()),
                ColumnValues::Boolean(bytes) => types::ColumnValues::Boolean(bytes),
            },
            validity: column.validity,
        }
    }
}

/// A number that is most likely to be of use when it is small.
#[derive(Arbitrary, Debug)]
enum Number {
    Small(u8),
    Any(u64),
}

impl Number {
    fn value(self) -> u64 {
        match self {
            Self::Small(value) => u64::from(value),
            Self::Any(value) => value,
        }
    }
}

/// What a sanitizer finds.
#[derive(Arbitrary, Debug)]
pub struct Finding {
    text: Number,
    start: Number,
    end: Number,
    rule: u8,
    confidence: f32,
}

impl From<Finding> for types::Finding {
    fn from(finding: Finding) -> Self {
        Self {
            text: finding.text.value() as u32,
            start: finding.start.value(),
            end: finding.end.value(),
            rule: u32::from(finding.rule),
            confidence: finding.confidence,
        }
    }
}

/// Converts it as the host does.
pub fn returned(given: Returned) {
    let refused = match given {
        Returned::Texts(texts, count) => {
            convert::texts_exactly(texts.texts(), usize::from(count), "texts")
                .map(|texts| texts_are_whole(&texts))
        }
        Returned::ByteStrings(texts) => convert::byte_strings(texts.texts(), "bytes of tokens")
            .map(|(bytes, offsets)| parts_are_there(&bytes, &offsets)),
        Returned::Encoding {
            sequences,
            byte_offsets,
            texts,
            spans,
        } => encoding(sequences, byte_offsets, usize::from(texts), spans),
        Returned::Batch(columns) => {
            convert::batch(columns.into_iter().map(Into::into).collect()).map(batch)
        }
        Returned::Findings {
            texts,
            rules,
            findings,
        } => self::findings(&texts, rules, findings),
        Returned::Scores {
            target_offsets,
            log_probabilities,
            ranks,
            sequence_outputs,
            sequences,
            asked,
        } => {
            let log_probabilities = log_probabilities.bytes();
            let found = types::Scores {
                target_offsets: target_offsets.bytes(log_probabilities.len() / 4),
                log_probabilities,
                ranks: ranks.bytes(),
                sequence_outputs: sequence_outputs.bytes(),
                loss: types::Loss {
                    sum: f64::NAN,
                    targets: u64::MAX,
                },
            };
            scores(&found, usize::from(sequences), asked)
        }
        Returned::Files(files) => written(files),
    };
    if let Err(error) = refused {
        let line = error.message();
        assert!(!line.is_empty());
        assert!(!line.contains(char::is_control), "no single line: {line:?}");
    }
}

fn texts_are_whole(texts: &TextBuffer) {
    let texts = texts.as_texts();
    let bytes: usize = texts.iter().map(str::len).sum();
    assert_eq!(bytes, texts.bytes().len());
    assert_eq!(texts.iter().count(), texts.len());
}

fn parts_are_there<T>(all: &[T], offsets: &[u64]) {
    let parts = offsets.windows(2);
    let length: usize = parts
        .map(|ends| all[ends[0] as usize..ends[1] as usize].len())
        .sum();
    assert_eq!(length, all.len());
}

fn encoding(
    sequences: Ragged,
    byte_offsets: Packed,
    texts: usize,
    spans: bool,
) -> Result<(), Error> {
    let found = types::Encoding {
        sequences: sequences.ids(),
        byte_offsets: byte_offsets.bytes(),
    };
    let encoding = convert::encoding(found, texts, spans)?;
    assert_eq!(encoding.sequences()?.len(), texts);
    if texts > 0 {
        parts_are_there(&encoding.ids, &encoding.sequence_offsets);
    }
    assert_eq!(
        encoding.byte_offsets.len(),
        if spans { 2 * encoding.ids.len() } else { 0 }
    );
    Ok(())
}

fn batch(batch: Batch) {
    for column in batch.columns() {
        assert_eq!(column.values.len(), batch.rows());
        assert!(!column.name.contains(char::is_control));
        match &column.values {
            Values::Text(texts) => texts_are_whole(texts),
            Values::Bytes(bytes, offsets) => parts_are_there(bytes, offsets),
            _ => {}
        }
        for row in 0..batch.rows() {
            let _ = column.is_null(row);
        }
    }
    let rows = batch.rows();
    let again = convert::batch_to(batch).and_then(convert::batch);
    assert_eq!(again.map(|batch| batch.rows()).ok(), Some(rows));
}

fn findings(texts: &[String], rules: u8, found: Vec<Finding>) -> Result<(), Error> {
    let buffer: TextBuffer = texts.iter().collect();
    let found = found.into_iter().map(Into::into).collect();
    let findings = convert::findings(found, buffer.as_texts(), u32::from(rules))?;
    for finding in findings {
        let text = &texts[finding.text as usize];
        let part = &text[finding.start as usize..finding.end as usize];
        assert!(!part.is_empty() && finding.rule < u32::from(rules));
        assert!((0.0..=1.0).contains(&finding.confidence));
    }
    Ok(())
}

fn scores(found: &types::Scores, sequences: usize, asked: [bool; 3]) -> Result<(), Error> {
    let request = ScoreRequest {
        log_probabilities: asked[0],
        ranks: asked[1],
        sequence_outputs: asked[2],
    };
    let scores = convert::scores(found, sequences, request)?;
    assert_eq!(scores.target_offsets.len(), sequences + 1);
    if request.log_probabilities {
        parts_are_there(&scores.log_probabilities, &scores.target_offsets);
    }
    if request.ranks {
        parts_are_there(&scores.ranks, &scores.target_offsets);
    }
    Ok(())
}

fn written(given: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    let around = tempfile::tempdir().expect("a folder");
    let folder = around.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    let given: Vec<types::File> = given
        .into_iter()
        .map(|(name, content)| types::File { name, content })
        .collect();
    let outcome = files::write(folder.to_str().expect("UTF-8"), &given);
    let beside = fs::read_dir(around.path()).expect("a folder").count();
    assert_eq!(beside, 1, "something was written elsewhere: {given:?}");
    if outcome.is_ok() {
        let written = fs::read_dir(&folder).expect("a folder").count();
        assert_eq!(written, given.len(), "{given:?}");
    }
    // The message names the folder, which is ours.
    outcome
}
