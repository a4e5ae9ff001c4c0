//! A CSV file that grows by rows, and by columns where an event brings a new one.
//!
//! Rows are appended. Whatever changes lines that are already there writes the whole file anew beside it and renames.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, Result};

use crate::row::{Kind, Row};

pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    /// Open for appending once there is a row.
    writer: Option<csv::Writer<BufWriter<File>>>,
    last_step: Option<u64>,
}

impl Table {
    /// A table without rows; an older file of this name goes.
    pub(crate) fn empty(path: PathBuf) -> Result<Self> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::failed(format!("cannot replace {}", path.display())).because(&error))
            }
            _ => Ok(Self {
                path,
                columns: Vec::new(),
                writer: None,
                last_step: None,
            }),
        }
    }

    /// The table of all events in the run's record; a torn last line does not count.
    pub(crate) fn from_events(path: PathBuf, kind: Kind, events: &Path) -> Result<Self> {
        let mut table = Self::empty_over(path);
        let mut columns = Vec::new();
        for_each_row(events, kind, |row| {
            add_columns(&mut columns, row);
            Ok(())
        })?;
        if columns.is_empty() {
            return Self::empty(table.path);
        }
        table.columns = columns;
        let mut last_step = None;
        table.replace(|table, writer| {
            for_each_row(events, kind, |row| {
                last_step = last_step.max(row.step);
                writer
                    .write_record(table.record(row))
                    .or_error(|| table.unwritable())
            })
        })?;
        table.last_step = last_step;
        Ok(table)
    }

    /// The table as its file has it, for a run whose record is not there.
    pub(crate) fn continued(path: PathBuf) -> Result<Self> {
        let mut table = Self::empty_over(path);
        if table.path.is_file() {
            let mut reader = table.reader()?;
            let header = reader.headers().or_error(|| table.unreadable())?;
            table.columns = header.iter().map(str::to_owned).collect();
            table.drop_rows(|_| false)?;
        }
        Ok(table)
    }

    fn empty_over(path: PathBuf) -> Self {
        Self {
            path,
            columns: Vec::new(),
            writer: None,
            last_step: None,
        }
    }

    /// Appends a row.
    pub(crate) fn add(&mut self, row: &Row) -> Result<()> {
        let known = self.columns.len();
        add_columns(&mut self.columns, row);
        if self.columns.len() > known {
            // A step alone seldom lacks a column that the header has, and never gains one: this is rare.
            self.drop_rows(|_| false)?;
        }
        self.last_step = self.last_step.max(row.step);
        let record: Vec<String> = self.record(row).map(str::to_owned).collect();
        let failed = self.unwritable();
        self.appending()?.write_record(record).or_error(|| failed)
    }

    /// Drops the rows of step `from` and later, and those of the same step and split as `repeated`.
    pub(crate) fn drop_from(&mut self, from: u64, repeated: Option<&Row>) -> Result<()> {
        let least = repeated
            .and_then(|row| row.step)
            .map_or(from, |step| step.min(from));
        if self.last_step.is_none_or(|last| last < least) {
            return Ok(());
        }
        let column = |name: &str| self.columns.iter().position(|column| column == name);
        let (step, split) = (column("step"), column("split"));
        let cell = move |record: &csv::StringRecord, column: Option<usize>| {
            column
                .and_then(|column| record.get(column))
                .unwrap_or_default()
                .to_owned()
        };
        self.drop_rows(|record| {
            let at = cell(record, step);
            let is_repeated = repeated.is_some_and(|row| {
                row.cell("step") == at && row.cell("split") == cell(record, split)
            });
            is_repeated || at.parse().is_ok_and(|at: u64| at >= from)
        })
    }

    /// Hands everything to the system.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let failed = self.unwritable();
        self.writer
            .as_mut()
            .map_or(Ok(()), |writer| writer.flush().or_error(|| failed))
    }

    /// Sees everything to the disk.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.flush()?;
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        synced(writer, || self.unwritable())
    }

    /// Rewrites the file under the present header, without the rows that `dropped` picks.
    fn drop_rows(&mut self, dropped: impl Fn(&csv::StringRecord) -> bool) -> Result<()> {
        self.flush()?;
        self.writer = None;
        let old = if self.path.is_file() {
            Some(self.reader()?)
        } else {
            None
        };
        let step = self.columns.iter().position(|column| column == "step");
        let mut last_step = None;
        self.replace(|table, writer| {
            for record in old.into_iter().flat_map(csv::Reader::into_records) {
                let record = record.or_error(|| table.unreadable())?;
                if dropped(&record) {
                    continue;
                }
                let at: Option<u64> = step.and_then(|step| record.get(step)?.parse().ok());
                last_step = last_step.max(at);
                let missing = table.columns.len().saturating_sub(record.len());
                let cells = record.iter().chain(std::iter::repeat_n("", missing));
                writer.write_record(cells).or_error(|| table.unwritable())?;
            }
            Ok(())
        })?;
        self.last_step = last_step;
        Ok(())
    }

    /// Writes header and rows beside the file, and takes its place.
    fn replace(
        &mut self,
        rows: impl FnOnce(&Self, &mut csv::Writer<BufWriter<File>>) -> Result<()>,
    ) -> Result<()> {
        let part = self.path.with_extension("csv.part");
        let file = File::create(&part).or_error(|| self.unwritable())?;
        let mut writer = csv::WriterBuilder::new()
            .flexible(false)
            .from_writer(BufWriter::new(file));
        writer
            .write_record(&self.columns)
            .or_error(|| self.unwritable())?;
        rows(self, &mut writer)?;
        synced(writer, || self.unwritable())?;
        std::fs::rename(&part, &self.path).or_error(|| self.unwritable())
    }

    fn appending(&mut self) -> Result<&mut csv::Writer<BufWriter<File>>> {
        let writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let file = OpenOptions::new()
                .append(true)
                .open(&self.path)
                .or_error(|| self.unwritable())?;
            csv::WriterBuilder::new().from_writer(BufWriter::new(file))
        };
        Ok(self.writer.insert(writer))
    }

    fn record<'a>(&'a self, row: &'a Row) -> impl Iterator<Item = &'a str> {
        self.columns.iter().map(|column| row.cell(column))
    }

    fn reader(&self) -> Result<csv::Reader<File>> {
        csv::ReaderBuilder::new()
            .flexible(true)
            .from_path(&self.path)
            .or_error(|| self.unreadable())
    }

    fn unwritable(&self) -> Error {
        Error::failed(format!("cannot write {}", self.path.display()))
    }

    fn unreadable(&self) -> Error {
        Error::data(format!(
            "{} is not a table that this tracker wrote",
            self.path.display()
        ))
    }
}

fn add_columns(columns: &mut Vec<String>, row: &Row) {
    for (name, _) in &row.cells {
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
}

fn synced(writer: csv::Writer<BufWriter<File>>, failed: impl Fn() -> Error) -> Result<()> {
    let file = writer
        .into_inner()
        .map_err(|error| failed().because(error.error()))?
        .into_inner()
        .map_err(|error| failed().because(error.error()))?;
    file.sync_all().or_error(failed)
}

fn for_each_row(events: &Path, kind: Kind, mut each: impl FnMut(&Row) -> Result<()>) -> Result<()> {
    let unreadable = || Error::data(format!("cannot read {}", events.display()));
    let mut reader = BufReader::new(File::open(events).or_error(unreadable)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).or_error(unreadable)? == 0 {
            return Ok(());
        }
        // Whether a line is whole is the host's to say; what is no event has no row.
        let event = codex_plugin_api::serde_json::from_slice(&line).unwrap_or_default();
        if let Some(row) = Row::of(&event).filter(|row| row.kind == kind) {
            each(&row)?;
        }
    }
}
