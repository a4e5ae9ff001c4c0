//! Where texts come from, in windows of bounded size: lines as they arrive, or a dataset's text column.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result, TextBuffer};

use super::lines::{Form, Lines};
use crate::data::{DocumentReader, Documents};
use crate::interrupt::Interrupt;

/// About how much text is held at once.
pub(super) const WINDOW_BYTES: usize = 1 << 19;

/// So many texts are held at once at most.
pub(super) const WINDOW_TEXTS: usize = 4096;

/// How lines are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum InputFormat {
    /// Standard input and plain text files by line; tables, folders and datasets through their plugin.
    #[default]
    Auto,
    /// Every line is a text, an empty one too.
    Text,
    /// Every line is a JSON object with a text in it, or a JSON string; empty lines are left out.
    Jsonl,
}

/// Some texts, and how far the input has been read.
#[derive(Debug, Default)]
pub struct Window {
    /// The texts.
    pub texts: TextBuffer,
    /// By how much the progress bar goes on: bytes of a file, documents of a dataset.
    pub progress: u64,
}

/// A stream of texts.
#[derive(Debug)]
pub enum Input<'a> {
    /// Nothing at all.
    Empty,
    /// Lines of a stream.
    Lines(Lines),
    /// Documents of a dataset.
    Documents(DocumentReader<'a>),
}

impl<'a> Input<'a> {
    /// Lines of standard input; those of [`InputFormat::Jsonl`] hold their text in `column`, else `text`.
    pub fn standard(format: InputFormat, column: Option<&str>) -> Self {
        Self::lines(io::stdin(), "standard input", format, column)
    }

    /// Lines of a file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when it cannot be opened.
    pub fn file(path: &Path, format: InputFormat, column: Option<&str>) -> Result<Self> {
        let label = path.display().to_string();
        let file =
            File::open(path).or_error(|| Error::data(format!("cannot read the input {label}")))?;
        Ok(Self::lines(file, &label, format, column))
    }

    /// Documents of a dataset.
    pub fn documents(documents: &'a Documents) -> Self {
        Self::Documents(DocumentReader::new(documents, None, WINDOW_BYTES as u64))
    }

    fn lines(
        source: impl Read + Send + 'static,
        label: &str,
        format: InputFormat,
        column: Option<&str>,
    ) -> Self {
        let form = match format {
            InputFormat::Auto | InputFormat::Text => Form::Text,
            InputFormat::Jsonl => Form::Json(column.unwrap_or("text").to_owned()),
        };
        Self::Lines(Lines::of(source, label.to_owned(), form))
    }

    /// The next texts; waits for the first and takes what else is there. `None` at the end.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] naming what cannot be read, after all texts before it were given, and
    /// [`codex_plugin_api::ErrorKind::Interrupted`] while waiting.
    pub fn next(&mut self, interrupt: &Interrupt) -> Result<Option<Window>> {
        match self {
            Self::Empty => Ok(None),
            Self::Lines(lines) => lines.next(interrupt),
            Self::Documents(reader) => {
                let documents = reader.read()?;
                Ok(documents.map(|documents| Window {
                    progress: documents.len() as u64,
                    texts: documents.iter().map(|document| &document.text).collect(),
                }))
            }
        }
    }
}
