//! The dataset `files`: all rows of all files behind one another, with the columns of all.

use std::fmt::Write as _;
use std::sync::OnceLock;

use codex_plugin_api::{
    Batch, Dataset, DatasetInfo, Error, Field, FieldType, FromConfig, HostRef, LogLevel, Result,
};
use sha2::{Digest, Sha256};

use crate::charset::Charset;
use crate::columnar::Columnar;
use crate::config::{Config, Document, Format};
use crate::discover::{self, Found};
use crate::handle::Handle;
use crate::index::{Index, Scanner};
use crate::kind::{Builder, Cell, Kind, Schema};
use crate::lines::{LineScanner, WholeScanner, tidy};
use crate::{delimited, json};

/// The largest file that may be one document.
const WHOLE: u64 = 1 << 30;

/// The names that a column of text mostly has, likeliest first.
const TEXT_NAMES: [&str; 6] = ["text", "content", "body", "document", "sentence", "article"];

/// Rows of files. Every file is read once when it is opened: that finds the rows, the columns' types and broken places.
pub struct FilesDataset {
    files: Vec<(u64, Source)>,
    rows: u64,
    fields: Vec<Field>,
    text_column: Option<String>,
    options: String,
    fingerprint: OnceLock<String>,
}

enum Source {
    Text(Index),
    Json {
        index: Index,
        lines: bool,
    },
    Csv {
        index: Index,
        header: Vec<String>,
        delimiter: u8,
    },
    Parquet(Box<Columnar>),
}

impl FilesDataset {
    /// Opens and indexes all files of the configuration.
    ///
    /// # Errors
    /// Config: an encoding or delimiter that does not exist. Data: anything about the files, naming file and line.
    pub fn open(config: &Config, host: &HostRef) -> Result<Self> {
        let mut files = Vec::new();
        let mut schema = Schema::default();
        let (mut rows, mut skipped) = (0, 0);
        for found in discover::files(config)? {
            match Source::open(&found, config, host) {
                Ok((source, _)) if source.len() == 0 => {
                    if found.named {
                        return Err(empty(&found, &source));
                    }
                    skipped += 1;
                }
                Ok((source, columns)) => {
                    schema.merge(&columns);
                    let first = rows;
                    rows += source.len();
                    files.push((first, source));
                }
                Err(Opened::Binary(_)) if !found.named => skipped += 1,
                Err(Opened::Binary(error) | Opened::Failed(error)) => return Err(error),
            }
        }
        let path = config.path.iter().collect::<Vec<_>>().join(", ");
        if files.is_empty() {
            return Err(Error::data(format!(
                "{path} holds no file with text in it ({skipped} empty or binary)"
            ))
            .hint("point data.path at files with content"));
        }
        if skipped > 0 {
            host.log(
                LogLevel::Info,
                &format!("{path}: {skipped} empty or binary files left out"),
            );
        }
        let (fields, text_column) = columns(config, &schema, &path)?;
        Ok(Self {
            files,
            rows,
            fields,
            text_column,
            options: options(config),
            fingerprint: OnceLock::new(),
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there is none; an open dataset has at least one.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// SHA-256 of the options that change the rows and of the contents of all files, in order; not of their names.
    fn fingerprint(&self) -> Result<String> {
        if let Some(known) = self.fingerprint.get() {
            return Ok(known.clone());
        }
        let mut hash = Sha256::new();
        hash.update(format!("files 1\n{}\n", self.options));
        for (_, source) in &self.files {
            hash.update(source.digest()?);
        }
        let mut text = String::from("files-");
        for byte in hash.finalize() {
            let _ = write!(text, "{byte:02x}");
        }
        Ok(self.fingerprint.get_or_init(|| text).clone())
    }
}

/// Why a file was not opened.
enum Opened {
    /// It holds no text; in a folder that is a reason to leave it out.
    Binary(Error),
    Failed(Error),
}

impl From<Error> for Opened {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Source {
    fn open(found: &Found, config: &Config, host: &HostRef) -> Result<(Self, Schema), Opened> {
        let handle = Handle::open(&found.path)?;
        if found.format == Format::Parquet {
            let (file, schema) = Columnar::open(handle)?;
            return Ok((Self::Parquet(Box::new(file)), schema));
        }
        let head = handle.read_range(0, handle.size().min(8192))?;
        let charset = Charset::of(&config.encoding, &head, &handle.name()).map_err(|error| {
            if error.kind() == codex_plugin_api::ErrorKind::Data {
                Opened::Binary(error)
            } else {
                Opened::Failed(error)
            }
        })?;
        let begin = charset
            .decode(&head[charset.start() as usize..])
            .into_owned();
        let mut schema = Schema::default();
        let source = match found.format {
            Format::Jsonl => {
                let named_json = found
                    .path
                    .extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
                let lines = !named_json && !begin.trim_start().starts_with('[');
                let mut by_line = LineScanner::new(false, false, false);
                let mut by_object = json::ObjectScanner::default();
                let scanner: &mut dyn Scanner = if lines { &mut by_line } else { &mut by_object };
                let mut inspect =
                    |rows: crate::index::Rows<'_>| json::inspect(&rows, lines, &mut schema);
                let index = Index::build(handle, charset, host, scanner, Some(&mut inspect))?;
                Self::Json { index, lines }
            }
            Format::Csv => {
                let tabs = found
                    .path
                    .extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
                let delimiter = delimited::delimiter(config.delimiter.as_deref(), tabs, &begin)?;
                let mut scanner = delimited::RecordScanner::new(delimiter);
                let mut inspect = |rows: crate::index::Rows<'_>| {
                    delimited::inspect(&rows, delimiter, &mut schema)
                };
                let mut index =
                    Index::build(handle, charset, host, &mut scanner, Some(&mut inspect))?;
                if index.count() > 0 {
                    index.drop_first();
                }
                let header = schema
                    .columns
                    .iter()
                    .map(|(name, _)| name.clone())
                    .collect();
                Self::Csv {
                    index,
                    header,
                    delimiter,
                }
            }
            _ => {
                schema.see("text", 0, Kind::Text);
                let mut whole = WholeScanner::default();
                let paragraphs = config.document == Document::Paragraph;
                let mut pieces = LineScanner::new(paragraphs, true, charset.cuts_anywhere());
                let scanner: &mut dyn Scanner = match config.document {
                    Document::File => &mut whole,
                    _ => &mut pieces,
                };
                if config.document == Document::File && handle.size() > WHOLE {
                    let what = format!(
                        "{} is too large for one document: {} bytes",
                        handle.name(),
                        handle.size()
                    );
                    return Err(Error::data(what)
                        .hint("set data.document to paragraph or line")
                        .into());
                }
                Self::Text(Index::build(handle, charset, host, scanner, None)?)
            }
        };
        Ok((source, schema))
    }

    fn len(&self) -> u64 {
        match self {
            Self::Text(index) | Self::Json { index, .. } | Self::Csv { index, .. } => index.count(),
            Self::Parquet(file) => file.rows(),
        }
    }

    fn digest(&self) -> Result<[u8; 32]> {
        match self {
            Self::Text(index) | Self::Json { index, .. } | Self::Csv { index, .. } => {
                Ok(index.digest)
            }
            Self::Parquet(file) => {
                let handle = file.handle();
                let mut hash = Sha256::new();
                let mut offset = 0;
                while offset < handle.size() {
                    let next = (offset + (1 << 20)).min(handle.size());
                    hash.update(handle.read_range(offset, next)?);
                    offset = next;
                }
                Ok(hash.finalize().into())
            }
        }
    }

    /// Appends rows `start .. start + count` of this file to the columns.
    fn fill(
        &self,
        start: u64,
        count: u64,
        fields: &[Field],
        columns: &mut [Builder],
    ) -> Result<()> {
        match self {
            Self::Text(index) => {
                for (_, text) in index.read(start, count)?.iter() {
                    for column in &mut *columns {
                        column.push(&Cell::Text(&tidy(&text)));
                    }
                }
            }
            Self::Json { index, lines } => {
                let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
                json::fill(&index.read(start, count)?, *lines, &names, columns)?;
            }
            Self::Csv {
                index,
                header,
                delimiter,
            } => {
                let place = |name: &String| fields.iter().position(|field| field.name == *name);
                let places: Vec<_> = header.iter().map(place).collect();
                delimited::fill(&index.read(start, count)?, *delimiter, &places, columns)?;
                // Columns that other files have and this one has not.
                for (place, column) in columns.iter_mut().enumerate() {
                    if !places.contains(&Some(place)) {
                        (0..count).for_each(|_| {
                            column.push(&Cell::Null);
                        });
                    }
                }
            }
            Self::Parquet(file) => file.fill(start, count, fields, columns)?,
        }
        Ok(())
    }
}

fn empty(found: &Found, source: &Source) -> Error {
    let what = match source {
        Source::Csv { header, .. } if !header.is_empty() => "has a header and no rows",
        _ => "is empty",
    };
    Error::data(format!("{} {what}", found.path.display()))
        .hint("point data.path at a file with content")
}

/// The dataset's columns, and which of them is the text.
fn columns(config: &Config, schema: &Schema, path: &str) -> Result<(Vec<Field>, Option<String>)> {
    let names: Vec<&str> = schema
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for wanted in config.columns.iter().chain(&config.text_column) {
        if !names.contains(&wanted.as_str()) {
            let nearest = names
                .iter()
                .map(|name| {
                    (
                        strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase()),
                        name,
                    )
                })
                .filter(|(likeness, _)| *likeness > 0.7)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let mean =
                nearest.map_or_else(String::new, |(_, name)| format!("did you mean {name:?}? "));
            return Err(Error::data(format!("{path} has no column {wanted:?}"))
                .hint(format!("{mean}the columns are {}", names.join(", "))));
        }
    }
    let mut fields: Vec<Field> = schema
        .columns
        .iter()
        .filter(|(name, _)| {
            config.columns.is_empty()
                || config.columns.contains(name)
                || config.text_column.as_ref() == Some(name)
        })
        .map(|(name, kind)| Field::new(name, kind.field_type()))
        .collect();
    if let Some(name) = &config.text_column {
        for field in fields.iter_mut().filter(|field| field.name == *name) {
            field.field_type = FieldType::Text;
        }
        return Ok((fields, Some(name.clone())));
    }
    let texts: Vec<&str> = fields
        .iter()
        .filter(|field| field.field_type == FieldType::Text)
        .map(|field| field.name.as_str())
        .collect();
    let text_column = match texts[..] {
        [only] => Some(only),
        _ => TEXT_NAMES.into_iter().find_map(|name| {
            texts
                .iter()
                .copied()
                .find(|text| text.eq_ignore_ascii_case(name))
        }),
    };
    let text_column = text_column.map(str::to_owned);
    Ok((fields, text_column))
}

/// The options that change rows, in a form that stays.
fn options(config: &Config) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        config.format.word(),
        config.text_column,
        config.columns,
        config.document,
        config.encoding,
        config.delimiter
    )
}

impl FromConfig for FilesDataset {
    type Config = Config;

    fn from_config(config: Config, host: HostRef) -> Result<Self> {
        Self::open(&config, &host)
    }
}

impl Dataset for FilesDataset {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(DatasetInfo {
            fields: self.fields.clone(),
            rows: Some(self.rows),
            fingerprint: self.fingerprint()?,
            text_column: self.text_column.clone(),
            log_probability_column: None,
        })
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let mut columns: Vec<Builder> = self.fields.iter().map(Builder::new).collect();
        let end = start.saturating_add(count).min(self.rows);
        let mut at = start;
        while at < end {
            let place = self.files.partition_point(|(first, _)| *first <= at) - 1;
            let (first, source) = &self.files[place];
            let upto = end.min(first + source.len());
            source.fill(at - first, upto - at, &self.fields, &mut columns)?;
            at = upto;
        }
        Batch::new(columns.into_iter().map(Builder::finish).collect())
    }
}
