//! Where rows of numbers go: lines of JSON, NumPy's `.npy`, Parquet. Every one of them takes any number of rows, one
//! window after the other, and holds no more than that.

mod ndjson;
mod npy;
mod parquet;

use std::path::Path;

use codex_plugin_api::{Result, Texts};

use self::ndjson::NdjsonFile;
pub use self::ndjson::lines;
use self::npy::NpyFile;
use self::parquet::ParquetFile;
use super::output_file::OutputFile;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// NumPy's array of 32-bit floats, one row a text.
    Npy,
    /// A table with the columns index and embedding.
    Parquet,
}

impl Format {
    /// The format that a file's name asks for.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "npy" => Some(Self::Npy),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Some rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The number of the first one, from 0.
    pub first: u64,
    /// How many numbers each has.
    pub dimensions: usize,
    /// The numbers, row after row.
    pub values: &'a [f32],
    /// The rows' texts, where they are to be written.
    pub texts: Option<Texts<'a>>,
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Number, text and numbers of each row.
    fn iter(&self) -> impl Iterator<Item = (u64, Option<&'a str>, &'a [f32])> {
        let (first, texts) = (self.first, self.texts);
        let rows = self.values.chunks_exact(self.dimensions).enumerate();
        rows.map(move |(at, row)| {
            (
                first + at as u64,
                texts.and_then(|texts| texts.get(at)),
                row,
            )
        })
    }
}

/// A file that rows are written to.
pub trait Sink {
    /// Adds rows behind those that are there.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
    fn write(&mut self, rows: &Rows<'_>) -> Result<()>;

    /// Ends the file and gives it its name. A sink that is dropped before leaves nothing.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// Begins a file.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Failed`] naming the file.
pub fn create(
    path: &Path,
    format: Format,
    dimensions: usize,
    with_text: bool,
) -> Result<Box<dyn Sink>> {
    let file = OutputFile::create(path)?;
    Ok(match format {
        Format::Ndjson => Box::new(NdjsonFile::new(file)),
        Format::Npy => Box::new(NpyFile::new(file, dimensions)?),
        Format::Parquet => Box::new(ParquetFile::new(file, dimensions, with_text)?),
    })
}
