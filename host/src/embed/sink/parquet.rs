//! Rows as Parquet: `index` (64-bit), `text` where it was asked for, `embedding` (a list of fixed size of 32-bit floats).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use codex_plugin_api::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::super::output_file::{OutputFile, write_error};
use super::{Rows, Sink};

/// Rows are held until they are so many bytes, then they become one row group.
const GROUP_BYTES: usize = 32 << 20;

/// A file of rows.
pub(super) struct ParquetFile {
    writer: ArrowWriter<OutputFile>,
    path: PathBuf,
    schema: Arc<Schema>,
    numbers: Arc<Field>,
    dimensions: i32,
}

impl ParquetFile {
    pub(super) fn new(file: OutputFile, dimensions: usize, with_text: bool) -> Result<Self> {
        let path = file.path().to_owned();
        let dimensions = i32::try_from(dimensions)
            .map_err(|_| Error::config(format!("{dimensions} dimensions are too many")))?;
        let numbers = Arc::new(Field::new_list_field(DataType::Float32, false));
        let list = DataType::FixedSizeList(Arc::clone(&numbers), dimensions);
        let mut fields = vec![Field::new("index", DataType::Int64, false)];
        if with_text {
            fields.push(Field::new("text", DataType::Utf8, false));
        }
        fields.push(Field::new("embedding", list, false));
        let schema = Arc::new(Schema::new(fields));
        // Numbers of embeddings neither repeat nor shrink.
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_column_compression("embedding.list.element".into(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled("embedding.list.element".into(), false)
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|error| failed(&path, error))?;
        Ok(Self {
            writer,
            path,
            schema,
            numbers,
            dimensions,
        })
    }

    fn batch(&self, rows: &Rows<'_>) -> Result<RecordBatch, ArrowError> {
        let indices = rows.iter().map(|(index, ..)| index as i64);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(indices))];
        if self.schema.fields().len() == 3 {
            let texts = rows.iter().map(|(_, text, _)| text.unwrap_or_default());
            columns.push(Arc::new(StringArray::from_iter_values(texts)));
        }
        let numbers: ArrayRef = Arc::new(Float32Array::from(rows.values.to_vec()));
        columns.push(Arc::new(FixedSizeListArray::try_new(
            Arc::clone(&self.numbers),
            self.dimensions,
            numbers,
            None,
        )?));
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl Sink for ParquetFile {
    fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let written = self
            .batch(rows)
            .map_err(ParquetError::from)
            .and_then(|batch| {
                self.writer.write(&batch)?;
                if self.writer.in_progress_size() >= GROUP_BYTES {
                    self.writer.flush()?;
                }
                Ok(())
            });
        written.map_err(|error| failed(&self.path, error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let path = self.path;
        let file = self.writer.into_inner();
        file.map_err(|error| failed(&path, error))?.place()
    }
}

fn failed(path: &std::path::Path, error: ParquetError) -> Error {
    let cause = match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        other => io::Error::other(other),
    };
    write_error(path, &cause)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Int64Type};
    use codex_plugin_api::TextBuffer;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn read(path: &Path) -> (Arc<Schema>, Vec<RecordBatch>) {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let schema = Arc::clone(builder.schema());
        let batches = builder.build().unwrap().map(|batch| batch.unwrap());
        (schema, batches.collect())
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let file = OutputFile::create(&path).unwrap();
        let mut sink = Box::new(ParquetFile::new(file, 3, true).unwrap());
        let texts: TextBuffer = ["a", "č"].into_iter().collect();
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, -6.5];
        for first in [0, 2] {
            let texts = Some(texts.as_texts());
            let rows = Rows {
                first,
                dimensions: 3,
                values: &values,
                texts,
            };
            sink.write(&rows).unwrap();
        }
        sink.finish().unwrap();
        let (_, batches) = read(&path);
        let batch = &batches[0];
        assert_eq!((batches.len(), batch.num_rows()), (1, 4));
        let indices = batch["index"].as_primitive::<Int64Type>();
        assert_eq!(indices.values(), &[0, 1, 2, 3]);
        let column = batch["text"].as_string::<i32>();
        assert_eq!(
            column.iter().flatten().collect::<Vec<_>>(),
            ["a", "č", "a", "č"]
        );
        let list = batch["embedding"].as_fixed_size_list();
        assert_eq!((list.value_length(), list.null_count()), (3, 0));
        let numbers = list.values().as_primitive::<Float32Type>();
        assert_eq!(numbers.values(), &[values, values].concat());
    }

    #[test]
    fn no_rows_are_a_valid_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let file = OutputFile::create(&path).unwrap();
        Box::new(ParquetFile::new(file, 384, false).unwrap())
            .finish()
            .unwrap();
        let (schema, batches) = read(&path);
        assert!(batches.is_empty());
        let DataType::FixedSizeList(_, length) = schema.field(1).data_type() else {
            unreachable!()
        };
        assert_eq!((schema.fields().len(), *length), (2, 384));
    }
}
