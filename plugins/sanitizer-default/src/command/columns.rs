//! Parquet: the texts of its columns. A clean copy has the same schema and compression; a row in which something is
//! dropped is left out.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use codex_plugin_api::{Context, Error, Result, TextBuffer};
use codex_redaction::{Action, Cleaned, Format, Outcome};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::properties::WriterProperties;

use super::piece::Scanned;
use super::scanning::{Scan, Seen};

const ROWS: usize = 1024;

/// Where the Arrow schema is kept in a file; the writer adds its own.
const SCHEMA_KEY: &str = "ARROW:schema";

struct Table {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    compression: Compression,
    metadata: Vec<KeyValue>,
}

impl Table {
    fn open(file: File) -> std::result::Result<Self, String> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| format!("it is no whole Parquet file: {error}"))?;
        let metadata = builder.metadata();
        let column = metadata
            .row_groups()
            .first()
            .and_then(|group| group.columns().first());
        let pairs = metadata.file_metadata().key_value_metadata();
        let table = Self {
            compression: column.map_or(Compression::UNCOMPRESSED, ColumnChunkMetaData::compression),
            metadata: pairs
                .into_iter()
                .flatten()
                .filter(|pair| pair.key != SCHEMA_KEY)
                .cloned()
                .collect(),
            schema: Arc::clone(builder.schema()),
            reader: builder
                .with_batch_size(ROWS)
                .build()
                .map_err(|error| error.to_string())?,
        };
        Ok(table)
    }

    /// The columns that hold texts, and the names of those that may hold some within lists or bytes.
    fn columns(&self) -> (Vec<usize>, Vec<String>) {
        let (mut texts, mut closed) = (Vec::new(), Vec::new());
        for (index, field) in self.schema.fields().iter().enumerate() {
            let kind = field.data_type();
            if is_text(kind) {
                texts.push(index);
            } else if kind.is_nested() || is_bytes(kind) {
                closed.push(super::shown(field.name()));
            }
        }
        (texts, closed)
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn is_bytes(kind: &DataType) -> bool {
    match kind {
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_bytes(values),
        _ => false,
    }
}

/// Scans a file; pointers are `/row/column`, lines and bytes count within the value.
pub(super) fn scan(content: File, name: &str, scan: &Scan<'_>) -> Result<Seen> {
    let mut table = match Table::open(content) {
        Ok(table) => table,
        Err(reason) => return Ok(Seen::Unreadable(reason)),
    };
    let (texts, closed) = table.columns();
    let mut all = Scanned::default();
    if !closed.is_empty() {
        all.notes.push(format!(
            "lists, structures and bytes are not looked at: {}",
            closed.join(", ")
        ));
    }
    let mut row = 0;
    for batch in &mut table.reader {
        if scan.host.interrupted() {
            return Err(Error::interrupted());
        }
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => return Ok(Seen::Unreadable(error.to_string())),
        };
        for &column in &texts {
            let values = match strings(batch.column(column)) {
                Ok(values) => values,
                Err(error) => return Ok(Seen::Unreadable(error.to_string())),
            };
            for (at, cleaned) in clean(&values, name, scan)? {
                for mut found in cleaned.findings {
                    found.pointer = Some(format!("/{}/{column}", row + at as u64));
                    all.findings.push(found);
                }
            }
        }
        row += batch.num_rows() as u64;
    }
    Ok(Seen::Scanned(all))
}

/// Whether anything in the file changes.
pub(super) fn changes(scanned: &Scanned) -> bool {
    scanned.findings.iter().any(|found| found.action.changes())
}

/// Writes the clean copy of a file.
///
/// # Errors
/// Data: unreadable, or changed since it was scanned; failed: it cannot be written.
pub(super) fn write(path: &Path, name: &str, scan: &Scan<'_>, output: File) -> Result<()> {
    let unreadable = |reason: String| Error::data(format!("cannot read {name}: {reason}"));
    let content = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut table = Table::open(content).map_err(unreadable)?;
    let (texts, _) = table.columns();
    let properties = WriterProperties::builder()
        .set_compression(table.compression)
        .set_key_value_metadata((!table.metadata.is_empty()).then(|| table.metadata.clone()))
        .build();
    let unwritable = || Error::failed(format!("cannot write the clean copy of {name}"));
    let mut writer = ArrowWriter::try_new(output, Arc::clone(&table.schema), Some(properties))
        .or_error(unwritable)?;
    for batch in &mut table.reader {
        if scan.host.interrupted() {
            return Err(Error::interrupted());
        }
        let batch = batch.map_err(|error| unreadable(error.to_string()))?;
        let batch = rewritten(&batch, &texts, name, scan)?;
        writer.write(&batch).or_error(unwritable)?;
    }
    let output = writer.into_inner().or_error(unwritable)?;
    output.sync_all().or_error(unwritable)
}

fn rewritten(
    batch: &RecordBatch,
    texts: &[usize],
    name: &str,
    scan: &Scan<'_>,
) -> Result<RecordBatch> {
    let broken = || Error::failed(format!("cannot put the columns of {name} together"));
    let mut columns = batch.columns().to_vec();
    let mut kept = vec![true; batch.num_rows()];
    for &column in texts {
        let values = strings(batch.column(column)).or_error(broken)?;
        let mut new: Vec<Option<String>> = values
            .iter()
            .map(|value| value.map(str::to_owned))
            .collect();
        let mut changed = false;
        for (at, cleaned) in clean(&values, name, scan)? {
            match cleaned.outcome {
                Outcome::Unchanged => {}
                Outcome::Changed(text) => {
                    new[at] = Some(text);
                    changed = true;
                }
                Outcome::Dropped | Outcome::Blocked => kept[at] = false,
            }
        }
        if changed {
            let kind = batch.column(column).data_type();
            let new: ArrayRef = Arc::new(StringArray::from(new));
            columns[column] = arrow_cast::cast(&new, kind).or_error(broken)?;
        }
    }
    let batch = RecordBatch::try_new(batch.schema(), columns).or_error(broken)?;
    if kept.iter().all(|kept| *kept) {
        return Ok(batch);
    }
    let kept = BooleanArray::from(kept);
    arrow_select::filter::filter_record_batch(&batch, &kept).or_error(broken)
}

fn strings(column: &ArrayRef) -> std::result::Result<StringArray, ArrowError> {
    let column = arrow_cast::cast(column, &DataType::Utf8)?;
    Ok(column.as_string::<i32>().clone())
}

/// The values that are there, by row, each after its sanitizers.
fn clean(values: &StringArray, name: &str, scan: &Scan<'_>) -> Result<Vec<(usize, Cleaned)>> {
    let rows: Vec<usize> = (0..values.len())
        .filter(|&row| !values.is_null(row))
        .collect();
    let texts: TextBuffer = rows.iter().map(|&row| values.value(row)).collect();
    let cleaned =
        scan.sanitizers
            .inspect(texts.as_texts(), Format::Plain, scan.stage, Some(name))?;
    Ok(rows.into_iter().zip(cleaned).collect())
}

/// Whether a finding forbids the whole file.
pub(super) fn blocks(scanned: &Scanned) -> bool {
    scanned
        .findings
        .iter()
        .any(|found| found.action == Action::Block)
}
