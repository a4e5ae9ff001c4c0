//! Parquet: rows by row group and page, so that a read costs the pages it touches and not the file.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};
use bytes::Bytes;
use codex_plugin_api::{Error, Field, FieldType, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::reader::{ChunkReader, Length};
use serde_json::Value;

use crate::handle::Handle;
use crate::kind::{Builder, Cell, Kind, Schema};

const BATCH: usize = 1024;

/// An open Parquet file.
pub struct Columnar {
    source: Source,
    metadata: ArrowReaderMetadata,
    /// The first row of each row group, and behind the last the number of rows.
    groups: Vec<u64>,
    /// Where the last read stopped: the next one mostly goes on there, and then decodes nothing twice.
    cursor: Mutex<Option<Cursor>>,
}

struct Cursor {
    next: u64,
    columns: Vec<String>,
    reader: ParquetRecordBatchReader,
    rest: Option<RecordBatch>,
}

impl Columnar {
    /// Reads the footer.
    ///
    /// # Errors
    /// Data: not a Parquet file, or not a whole one.
    pub fn open(handle: Handle) -> Result<(Self, Schema)> {
        let source = Source(Arc::new(handle));
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&source, options).map_err(|error| {
            Error::data(format!(
                "{} is not a whole Parquet file: {}",
                source.0.name(),
                plain(&error)
            ))
            .hint("make or copy the file again")
        })?;
        let mut groups = vec![0];
        for group in metadata.metadata().row_groups() {
            groups.push(groups[groups.len() - 1] + group.num_rows() as u64);
        }
        let mut schema = Schema::default();
        for field in metadata.schema().fields() {
            schema
                .columns
                .push((field.name().clone(), kind_of(field.data_type())));
        }
        Ok((
            Self {
                source,
                metadata,
                groups,
                cursor: Mutex::new(None),
            },
            schema,
        ))
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.groups[self.groups.len() - 1]
    }

    /// The file.
    pub fn handle(&self) -> &Handle {
        &self.source.0
    }

    /// Fills columns from rows `start .. start + count`, which must exist. A column that the file lacks is null.
    ///
    /// # Errors
    /// Data: unreadable, changed, or broken behind its footer.
    pub fn fill(
        &self,
        start: u64,
        count: u64,
        fields: &[Field],
        columns: &mut [Builder],
    ) -> Result<()> {
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let kept = self
            .cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut cursor = match kept {
            Some(cursor) if cursor.next == start && cursor.columns == names => cursor,
            _ => self.seek(start, names)?,
        };
        let mut left = count as usize;
        while left > 0 {
            let batch = match cursor.rest.take() {
                Some(batch) => batch,
                None => match cursor.reader.next() {
                    Some(Ok(batch)) => batch,
                    Some(Err(error)) => return Err(self.broken(cursor.next, &error)),
                    None => {
                        return Err(self.broken(
                            cursor.next,
                            &ArrowError::ParquetError("it has fewer rows".into()),
                        ));
                    }
                },
            };
            let take = left.min(batch.num_rows());
            for (field, column) in fields.iter().zip(&mut *columns) {
                push(
                    batch.column_by_name(&field.name),
                    take,
                    field.field_type,
                    column,
                )
                .map_err(|error| self.broken(cursor.next, &error))?;
            }
            if take < batch.num_rows() {
                cursor.rest = Some(batch.slice(take, batch.num_rows() - take));
            }
            cursor.next += take as u64;
            left -= take;
        }
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        Ok(())
    }

    fn seek(&self, start: u64, columns: Vec<String>) -> Result<Cursor> {
        let group = self
            .groups
            .partition_point(|first| *first <= start)
            .saturating_sub(1);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.source.clone(),
            self.metadata.clone(),
        );
        let roots = self
            .metadata
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| columns.contains(field.name()))
            .map(|(place, _)| place);
        let projection = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder
            .with_projection(projection)
            .with_row_groups((group..self.groups.len() - 1).collect())
            .with_offset((start - self.groups[group]) as usize)
            .with_batch_size(BATCH)
            .build()
            .map_err(|error| self.broken(start, &error.into()))?;
        Ok(Cursor {
            next: start,
            columns,
            reader,
            rest: None,
        })
    }

    fn broken(&self, row: u64, error: &ArrowError) -> Error {
        let message = error.to_string();
        let what = message
            .trim_start_matches("Parquet argument error: ")
            .trim_start_matches("Parquet error: ");
        Error::data(format!("{}, row {}: {what}", self.source.0.name(), row + 1))
            .hint("make or copy the file again")
    }
}

fn plain(error: &ParquetError) -> String {
    match error {
        ParquetError::General(what) | ParquetError::EOF(what) => what.clone(),
        other => other.to_string(),
    }
}

fn kind_of(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Bool,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => Kind::I64,
        DataType::Float16 | DataType::Float32 => Kind::F32,
        DataType::Float64 => Kind::F64,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Kind::Bytes,
        DataType::Dictionary(_, values) => kind_of(values),
        // Unsigned 64-bit integers, decimals, dates and nested values keep all they say as text.
        _ => Kind::Text,
    }
}

fn push(
    array: Option<&ArrayRef>,
    rows: usize,
    field_type: FieldType,
    column: &mut Builder,
) -> Result<(), ArrowError> {
    let Some(array) = array else {
        for _ in 0..rows {
            column.push(&Cell::Null);
        }
        return Ok(());
    };
    let array = array.slice(0, rows);
    let nested = array.data_type().is_nested();
    let to = match (field_type, kind_of(array.data_type())) {
        (FieldType::Bool, _) => DataType::Boolean,
        (FieldType::I64, _) => DataType::Int64,
        (FieldType::F32, _) => DataType::Float32,
        (FieldType::F64, _) => DataType::Float64,
        (FieldType::Bytes, _) | (_, Kind::Bytes) => DataType::LargeBinary,
        _ => DataType::LargeUtf8,
    };
    let array = if nested {
        array
    } else {
        arrow_cast::cast(&array, &to)?
    };
    for row in 0..rows {
        let null = array.is_null(row);
        let fits = match field_type {
            _ if null => column.push(&Cell::Null),
            FieldType::Bool => column.push(&Cell::Bool(array.as_boolean().value(row))),
            FieldType::I64 => column.push(&Cell::I64(array.as_primitive::<Int64Type>().value(row))),
            FieldType::F32 => column.push(&Cell::F64(
                array.as_primitive::<Float32Type>().value(row).into(),
            )),
            FieldType::F64 => {
                column.push(&Cell::F64(array.as_primitive::<Float64Type>().value(row)))
            }
            FieldType::Bytes => column.push_bytes(array.as_binary::<i64>().value(row)),
            _ if nested => column.push(&Cell::Text(&json(&array, row)?.to_string())),
            _ if to == DataType::LargeBinary => column.push(&Cell::Text(&String::from_utf8_lossy(
                array.as_binary::<i64>().value(row),
            ))),
            _ => column.push(&Cell::Text(array.as_string::<i64>().value(row))),
        };
        if !fits {
            return Err(ArrowError::CastError(
                "a value does not fit the type of its column".into(),
            ));
        }
    }
    Ok(())
}

/// A nested value as JSON.
fn json(array: &dyn Array, row: usize) -> Result<Value, ArrowError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let list = |items: ArrayRef| {
        (0..items.len())
            .map(|item| json(&items, item))
            .collect::<Result<_, _>>()
            .map(Value::Array)
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields
                .iter()
                .zip(columns)
                .map(|(field, column)| Ok((field.name().clone(), json(column, row)?)));
            members
                .collect::<Result<_, ArrowError>>()
                .map(Value::Object)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let keys = ArrayFormatter::try_new(entries.column(0), &FormatOptions::default())?;
            let members = (0..entries.len()).map(|entry| {
                Ok((
                    keys.value(entry).try_to_string()?,
                    json(entries.column(1), entry)?,
                ))
            });
            members
                .collect::<Result<_, ArrowError>>()
                .map(Value::Object)
        }
        data_type => Ok(match kind_of(data_type) {
            Kind::Bool => array.as_boolean().value(row).into(),
            Kind::I64 => arrow_cast::cast(&array.slice(row, 1), &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .value(0)
                .into(),
            Kind::F32 | Kind::F64 => arrow_cast::cast(&array.slice(row, 1), &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .value(0)
                .into(),
            _ => ArrayFormatter::try_new(array, &FormatOptions::default())?
                .value(row)
                .try_to_string()?
                .into(),
        }),
    }
}

/// The file as the reader of the `parquet` crate wants it. That crate's own for [`std::fs::File`] shares one position
/// between threads; this one has none.
#[derive(Clone)]
struct Source(Arc<Handle>);

impl Length for Source {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Source {
    type T = From;

    fn get_read(&self, start: u64) -> Result<From, ParquetError> {
        Ok(From {
            handle: Arc::clone(&self.0),
            offset: start,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start
            .checked_add(length as u64)
            .filter(|end| *end <= self.0.size());
        let end = end.ok_or_else(|| {
            ParquetError::EOF(format!("{length} bytes at {start} reach behind its end"))
        })?;
        let bytes = self
            .0
            .read_range(start, end)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.into())
    }
}

/// A reader from some place on.
struct From {
    handle: Arc<Handle>,
    offset: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (self.handle.size() - self.offset.min(self.handle.size()))
            .min(buffer.len() as u64) as usize;
        self.handle
            .read_exact_at(self.offset, &mut buffer[..count])
            .map_err(std::io::Error::other)?;
        self.offset += count as u64;
        Ok(count)
    }
}
