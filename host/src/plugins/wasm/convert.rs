//! Between the types of the plugin interface and those that cross into a guest: packed numbers, texts, ids, batches.
//! Whatever comes back is checked here, since a guest may answer anything; names that are shown are made printable.

use codex_plugin_api::{
    Batch, Column, DatasetInfo, EncodeOptions, Encoding, Error, Field, FieldType, Finding, Ids,
    Loss, ModelInfo, Result, Rule, Samples, Score, ScoreRequest, Scores, Severity, SpecialTokens,
    Stage, TextBuffer, Texts, TokenBatch, Values, Vocabulary,
};

use super::bindings::codex::plugin::types;
use crate::plugins::refusal::printable;

/// A number that crosses packed, little-endian.
pub(super) trait Number: bytemuck::Pod {
    /// The same number with its bytes in little-endian order.
    fn little_endian(self) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            fn little_endian(self) -> Self {
                Self::from_ne_bytes(self.to_le_bytes())
            }
        }
    )*};
}

numbers!(f32, f64, u32, u64, i64);

/// Numbers as their bytes.
pub(super) fn pack<T: Number>(numbers: &[T]) -> Vec<u8> {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(numbers).to_vec();
    }
    let swapped: Vec<T> = numbers
        .iter()
        .map(|&number| number.little_endian())
        .collect();
    bytemuck::cast_slice(&swapped).to_vec()
}

/// Bytes as numbers; `what` is named where they are no whole number of them.
pub(super) fn unpack<T: Number>(bytes: &[u8], what: &str) -> Result<Vec<T>> {
    if !bytes.len().is_multiple_of(size_of::<T>()) {
        return Err(Error::data(format!(
            "{what} came as {} bytes, which is no whole number of {} bytes each",
            bytes.len(),
            size_of::<T>()
        )));
    }
    let numbers: Vec<T> = bytemuck::pod_collect_to_vec(bytes);
    if cfg!(target_endian = "little") {
        return Ok(numbers);
    }
    Ok(numbers.into_iter().map(Number::little_endian).collect())
}

/// As [`unpack`], for exactly `count` numbers.
pub(super) fn unpack_exactly<T: Number>(bytes: &[u8], count: usize, what: &str) -> Result<Vec<T>> {
    let numbers = unpack(bytes, what)?;
    if numbers.len() != count {
        return Err(Error::data(format!(
            "{what} came with {} values where {count} are due",
            numbers.len()
        )));
    }
    Ok(numbers)
}

pub(super) fn texts_to(texts: Texts<'_>) -> types::Texts {
    types::Texts {
        bytes: texts.bytes().as_bytes().to_vec(),
        offsets: pack(texts.offsets()),
    }
}

pub(super) fn texts(texts: types::Texts) -> Result<TextBuffer> {
    TextBuffer::from_parts(texts.bytes, unpack(&texts.offsets, "offsets of texts")?)
}

/// Texts of which there must be `count`.
pub(super) fn texts_exactly(found: types::Texts, count: usize, what: &str) -> Result<TextBuffer> {
    let found = texts(found)?;
    if found.len() != count {
        return Err(Error::data(format!(
            "{what} came for {} of {count}",
            found.len()
        )));
    }
    Ok(found)
}

/// Strings of bytes, and the offsets between them.
pub(super) fn byte_strings(found: types::Texts, what: &str) -> Result<(Vec<u8>, Vec<u64>)> {
    let offsets: Vec<u64> = unpack(&found.offsets, what)?;
    let right = offsets.first() == Some(&0)
        && offsets.last() == Some(&(found.bytes.len() as u64))
        && offsets.is_sorted();
    if !right {
        return Err(Error::data(format!(
            "offsets of {what} do not ascend from 0 to {}",
            found.bytes.len()
        )));
    }
    Ok((found.bytes, offsets))
}

pub(super) fn ids_to(ids: Ids<'_>) -> types::Ids {
    types::Ids {
        ids: pack(ids.ids()),
        offsets: pack(ids.sequence_offsets()),
    }
}

/// Ids and the offsets between sequences, checked.
pub(super) fn ids(found: &types::Ids, what: &str) -> Result<(Vec<u32>, Vec<u64>)> {
    let (ids, offsets) = (unpack(&found.ids, what)?, unpack(&found.offsets, what)?);
    Ids::new(&ids, &offsets)?;
    Ok((ids, offsets))
}

pub(super) fn samples_to(samples: &Samples<'_>) -> types::Samples {
    types::Samples {
        count: samples.count as u64,
        byte_lengths: pack(samples.byte_lengths),
        targets: ids_to(samples.targets),
        log_probabilities: pack(samples.log_probabilities),
        ranks: pack(samples.ranks),
        texts: texts_to(samples.texts),
        predictions: texts_to(samples.predictions),
        references: texts_to(samples.references),
        labels: pack(samples.labels),
        predicted_labels: pack(samples.predicted_labels),
        embeddings: pack(samples.embeddings),
        dimensions: samples.dimensions,
    }
}

pub(super) fn score(score: types::Score) -> Score {
    match score.direction {
        types::Direction::Higher => Score::higher(printable(&score.name), score.value),
        types::Direction::Lower => Score::lower(printable(&score.name), score.value),
    }
}

pub(super) fn score_to(score: Score) -> types::Score {
    types::Score {
        name: score.name,
        value: score.value,
        direction: match score.direction {
            codex_plugin_api::Direction::Higher => types::Direction::Higher,
            codex_plugin_api::Direction::Lower => types::Direction::Lower,
        },
    }
}

pub(super) fn dataset_info(info: types::DatasetInfo) -> DatasetInfo {
    let field_type = |field_type| match field_type {
        types::FieldType::Text => FieldType::Text,
        types::FieldType::Bytes => FieldType::Bytes,
        types::FieldType::I64 => FieldType::I64,
        types::FieldType::F32 => FieldType::F32,
        types::FieldType::F64 => FieldType::F64,
        types::FieldType::Boolean => FieldType::Bool,
    };
    let name = |name: String| printable(&name);
    let fields = info.fields.into_iter();
    DatasetInfo {
        fields: fields
            .map(|field| Field::new(name(field.name), field_type(field.field_type)))
            .collect(),
        rows: info.rows,
        fingerprint: info.fingerprint,
        text_column: info.text_column.map(name),
        log_probability_column: info.log_probability_column.map(name),
    }
}

pub(super) fn dataset_info_to(info: DatasetInfo) -> Result<types::DatasetInfo> {
    let field = |field: Field| {
        Ok(types::Field {
            field_type: match field.field_type {
                FieldType::Text => types::FieldType::Text,
                FieldType::Bytes => types::FieldType::Bytes,
                FieldType::I64 => types::FieldType::I64,
                FieldType::F32 => types::FieldType::F32,
                FieldType::F64 => types::FieldType::F64,
                FieldType::Bool => types::FieldType::Boolean,
                other => return Err(no_such_type(&field.name, &format!("{other:?}"))),
            },
            name: field.name,
        })
    };
    Ok(types::DatasetInfo {
        fields: info.fields.into_iter().map(field).collect::<Result<_>>()?,
        rows: info.rows,
        fingerprint: info.fingerprint,
        text_column: info.text_column,
        log_probability_column: info.log_probability_column,
    })
}

fn no_such_type(column: &str, found: &str) -> Error {
    Error::unsupported(format!(
        "a column of type {found} ({column}) for a plugin in WebAssembly"
    ))
}

fn booleans(bytes: &[u8], what: &str) -> Result<Vec<bool>> {
    bytes
        .iter()
        .map(|&byte| match byte {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::data(format!(
                "{what} holds {other} where 0 or 1 is due"
            ))),
        })
        .collect()
}

pub(super) fn batch(columns: Vec<types::Column>) -> Result<Batch> {
    let column = |column: types::Column| {
        let what = format!("column {:?}", column.name);
        let values = match column.values {
            types::ColumnValues::Text(found) => Values::Text(texts(found)?),
            types::ColumnValues::Bytes(found) => {
                let (bytes, offsets) = byte_strings(found, &what)?;
                Values::Bytes(bytes, offsets)
            }
            types::ColumnValues::I64(bytes) => Values::I64(unpack(&bytes, &what)?),
            types::ColumnValues::F32(bytes) => Values::F32(unpack(&bytes, &what)?),
            types::ColumnValues::F64(bytes) => Values::F64(unpack(&bytes, &what)?),
            types::ColumnValues::Boolean(bytes) => Values::Bool(booleans(&bytes, &what)?),
        };
        let validity = column
            .validity
            .map(|bytes| booleans(&bytes, &what))
            .transpose()?;
        Ok(Column {
            name: printable(&column.name),
            values,
            validity,
        })
    };
    Batch::new(columns.into_iter().map(column).collect::<Result<_>>()?)
}

pub(super) fn batch_to(batch: Batch) -> Result<Vec<types::Column>> {
    let byte = |values: Vec<bool>| values.into_iter().map(u8::from).collect();
    let column = |column: Column| {
        Ok(types::Column {
            values: match column.values {
                Values::Text(texts) => types::ColumnValues::Text(texts_to(texts.as_texts())),
                Values::Bytes(bytes, offsets) => types::ColumnValues::Bytes(types::Texts {
                    bytes,
                    offsets: pack(&offsets),
                }),
                Values::I64(values) => types::ColumnValues::I64(pack(&values)),
                Values::F32(values) => types::ColumnValues::F32(pack(&values)),
                Values::F64(values) => types::ColumnValues::F64(pack(&values)),
                Values::Bool(values) => types::ColumnValues::Boolean(byte(values)),
                other => {
                    return Err(no_such_type(
                        &column.name,
                        &format!("{:?}", other.field_type()),
                    ));
                }
            },
            name: column.name,
            validity: column.validity.map(byte),
        })
    };
    batch.into_columns().into_iter().map(column).collect()
}

pub(super) fn vocabulary(found: types::VocabularyInfo) -> Vocabulary {
    let special = found.special;
    Vocabulary {
        size: found.size,
        special: SpecialTokens {
            bos: special.bos,
            eos: special.eos,
            pad: special.pad,
            unk: special.unk,
            cls: special.cls,
            sep: special.sep,
            mask: special.mask,
        },
        lossless: found.lossless,
        fingerprint: found.fingerprint,
    }
}

pub(super) fn vocabulary_to(found: Vocabulary) -> types::VocabularyInfo {
    let special = found.special;
    types::VocabularyInfo {
        size: found.size,
        special: types::SpecialTokens {
            bos: special.bos,
            eos: special.eos,
            pad: special.pad,
            unk: special.unk,
            cls: special.cls,
            sep: special.sep,
            mask: special.mask,
        },
        lossless: found.lossless,
        fingerprint: found.fingerprint,
    }
}

pub(super) fn encode_options_to(options: EncodeOptions) -> types::EncodeOptions {
    types::EncodeOptions {
        add_special_tokens: options.add_special_tokens,
        parse_special_tokens: options.parse_special_tokens,
        byte_offsets: options.byte_offsets,
        max_length: options.max_length,
    }
}

pub(super) fn encode_options(options: types::EncodeOptions) -> EncodeOptions {
    EncodeOptions {
        add_special_tokens: options.add_special_tokens,
        parse_special_tokens: options.parse_special_tokens,
        byte_offsets: options.byte_offsets,
        max_length: options.max_length,
    }
}

/// An encoding of `count` texts.
pub(super) fn encoding(found: types::Encoding, count: usize, spans: bool) -> Result<Encoding> {
    let (ids, sequence_offsets) = ids(&found.sequences, "ids")?;
    if sequence_offsets.len() != count + 1 && !(count == 0 && sequence_offsets.is_empty()) {
        return Err(Error::data(format!(
            "ids came for {} texts of {count}",
            sequence_offsets.len().saturating_sub(1)
        )));
    }
    let due = if spans { 2 * ids.len() } else { 0 };
    let byte_offsets = unpack_exactly(&found.byte_offsets, due, "byte offsets")?;
    Ok(Encoding {
        ids,
        sequence_offsets,
        byte_offsets,
    })
}

pub(super) fn encoding_to(encoding: &Encoding) -> types::Encoding {
    types::Encoding {
        sequences: types::Ids {
            ids: pack(&encoding.ids),
            offsets: pack(&encoding.sequence_offsets),
        },
        byte_offsets: pack(&encoding.byte_offsets),
    }
}

pub(super) fn rule(rule: types::Rule) -> Rule {
    Rule {
        id: printable(&rule.id),
        entity: printable(&rule.entity),
        severity: match rule.severity {
            types::Severity::Low => Severity::Low,
            types::Severity::Medium => Severity::Medium,
            types::Severity::High => Severity::High,
            types::Severity::Critical => Severity::Critical,
        },
        description: printable(&rule.description),
    }
}

pub(super) fn rule_to(rule: Rule) -> types::Rule {
    types::Rule {
        id: rule.id,
        entity: rule.entity,
        severity: match rule.severity {
            Severity::Low => types::Severity::Low,
            Severity::Medium => types::Severity::Medium,
            Severity::High => types::Severity::High,
            Severity::Critical => types::Severity::Critical,
        },
        description: rule.description,
    }
}

pub(super) fn stage_to(stage: Stage) -> Result<types::Stage> {
    Ok(match stage {
        Stage::Ingest => types::Stage::Ingest,
        Stage::Prompt => types::Stage::Prompt,
        Stage::Output => types::Stage::Output,
        Stage::Log => types::Stage::Log,
        other => return Err(Error::unsupported(format!("stage {other:?}"))),
    })
}

pub(super) fn stage(stage: types::Stage) -> Stage {
    match stage {
        types::Stage::Ingest => Stage::Ingest,
        types::Stage::Prompt => Stage::Prompt,
        types::Stage::Output => Stage::Output,
        types::Stage::Log => Stage::Log,
    }
}

/// Findings in `texts`, each checked as the sanitizer's contract says.
pub(super) fn findings(
    found: Vec<types::Finding>,
    texts: Texts<'_>,
    rules: u32,
) -> Result<Vec<Finding>> {
    let all: Vec<&str> = texts.iter().collect();
    let mut before = (0, 0);
    let finding = |found: types::Finding| {
        let wrong = |why: &str| {
            Error::data(format!(
                "finding {}..{} of rule {} in text {} {why}",
                found.start, found.end, found.rule, found.text
            ))
        };
        let text = all
            .get(found.text as usize)
            .ok_or_else(|| wrong(&format!("is beyond the {} texts", all.len())))?;
        let border = |at: u64| usize::try_from(at).is_ok_and(|at| text.is_char_boundary(at));
        if found.start >= found.end || found.end > text.len() as u64 {
            return Err(wrong(&format!("is no part of its {} bytes", text.len())));
        }
        if !border(found.start) || !border(found.end) {
            return Err(wrong("cuts a character in two"));
        }
        if found.rule >= rules {
            return Err(wrong(&format!("is beyond the {rules} rules")));
        }
        if !(0.0..=1.0).contains(&found.confidence) {
            return Err(wrong(&format!("has confidence {}", found.confidence)));
        }
        if (found.text, found.start) < before {
            return Err(wrong("comes after a later one"));
        }
        before = (found.text, found.start);
        Ok(Finding {
            start: found.start,
            end: found.end,
            text: found.text,
            rule: found.rule,
            confidence: found.confidence,
        })
    };
    found.into_iter().map(finding).collect()
}

pub(super) fn finding_to(finding: Finding) -> types::Finding {
    types::Finding {
        start: finding.start,
        end: finding.end,
        text: finding.text,
        rule: finding.rule,
        confidence: finding.confidence,
    }
}

pub(super) fn model_info(info: types::ModelInfo) -> ModelInfo {
    ModelInfo {
        architecture: printable(&info.architecture),
        parameters: info.parameters,
        vocab_size: info.vocab_size,
        max_sequence_length: info.max_sequence_length,
        hidden_size: info.hidden_size,
        tasks: info.tasks,
        device: printable(&info.device),
        precision: printable(&info.precision),
    }
}

pub(super) fn model_info_to(info: ModelInfo) -> types::ModelInfo {
    types::ModelInfo {
        architecture: info.architecture,
        parameters: info.parameters,
        vocab_size: info.vocab_size,
        max_sequence_length: info.max_sequence_length,
        hidden_size: info.hidden_size,
        tasks: info.tasks,
        device: info.device,
        precision: info.precision,
    }
}

pub(super) fn token_batch_to(batch: &TokenBatch<'_>) -> types::Batch {
    types::Batch {
        sequences: ids_to(batch.sequences),
        labels: batch.labels.map(pack),
        token_types: batch.token_types.map(pack),
        sequence_labels: batch.sequence_labels.map(pack),
        parts: batch.parts,
    }
}

pub(super) fn score_request_to(request: ScoreRequest) -> types::ScoreRequest {
    let flag = |asked: bool, flag| {
        if asked {
            flag
        } else {
            types::ScoreRequest::empty()
        }
    };
    flag(
        request.log_probabilities,
        types::ScoreRequest::LOG_PROBABILITIES,
    ) | flag(request.ranks, types::ScoreRequest::RANKS)
        | flag(
            request.sequence_outputs,
            types::ScoreRequest::SEQUENCE_OUTPUTS,
        )
}

pub(super) fn score_request(request: types::ScoreRequest) -> ScoreRequest {
    ScoreRequest {
        log_probabilities: request.contains(types::ScoreRequest::LOG_PROBABILITIES),
        ranks: request.contains(types::ScoreRequest::RANKS),
        sequence_outputs: request.contains(types::ScoreRequest::SEQUENCE_OUTPUTS),
    }
}

pub(super) fn loss(loss: types::Loss) -> Loss {
    Loss {
        sum: loss.sum,
        targets: loss.targets,
    }
}

/// Scores of a batch of `sequences`; what was asked for must be there for every target.
pub(super) fn scores(
    found: &types::Scores,
    sequences: usize,
    request: ScoreRequest,
) -> Result<Scores> {
    let target_offsets: Vec<u64> =
        unpack_exactly(&found.target_offsets, sequences + 1, "target offsets")?;
    let targets =
        usize::try_from(target_offsets.last().copied().unwrap_or(0)).unwrap_or(usize::MAX);
    if target_offsets.first() != Some(&0) || !target_offsets.is_sorted() {
        return Err(Error::data("target offsets do not ascend from 0"));
    }
    let log_probabilities = if request.log_probabilities {
        unpack_exactly(&found.log_probabilities, targets, "log-probabilities")?
    } else {
        Vec::new()
    };
    let ranks = if request.ranks {
        unpack_exactly(&found.ranks, targets, "ranks")?
    } else {
        Vec::new()
    };
    Ok(Scores {
        target_offsets,
        log_probabilities,
        ranks,
        sequence_outputs: unpack(&found.sequence_outputs, "sequence outputs")?,
        loss: loss(found.loss),
    })
}

pub(super) fn scores_to(scores: &Scores) -> types::Scores {
    types::Scores {
        target_offsets: pack(&scores.target_offsets),
        log_probabilities: pack(&scores.log_probabilities),
        ranks: pack(&scores.ranks),
        sequence_outputs: pack(&scores.sequence_outputs),
        loss: types::Loss {
            sum: scores.loss.sum,
            targets: scores.loss.targets,
        },
    }
}
