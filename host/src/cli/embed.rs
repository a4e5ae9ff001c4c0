//! `codex-ml embed`: texts in, one row of numbers a text out.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};
use codex_redaction::Counts;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::adapters::AdapterArgs;
use super::settings::{self, Setting};
use crate::app::App;
use crate::data::{DataSource, Documents};
use crate::embed::{Embedder, Format, Input, InputFormat, Options, Rows, create, lines};
use crate::exit::Exit;
use crate::sanitize::{clean_texts, told};

/// Arguments of `embed`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Turn texts into vectors of numbers: texts that mean alike get vectors that point alike.\n\nReads texts \
                  from standard input, one a line, or from a file, folder or dataset, and writes one row a text in the \
                  texts' order. Rows come out while texts still come in.\n\nWithout --output, and in files of the format \
                  ndjson, a row is one line: {\"index\": 0, \"embedding\": [0.1, …]}, with \"text\" between the two with \
                  --with-text. The index counts texts from 0. Pooling and normalisation are the model's own. What --json \
                  adds, with --output: one object with rows, dimensions, tokens, truncated (texts that were cut to what \
                  the model reads) and output.",
    after_help = "Examples:\n  echo \"a short text\" | codex-ml embed --model all-MiniLM-L6-v2/\n  codex-ml embed --model \
                  runs/first/model --input questions.txt --output questions.npy\n  codex-ml embed --model \
                  runs/first/model --input reviews.csv --text-column body --output reviews.parquet --with-text"
)]
pub(super) struct Args {
    /// The model, or an adapter of it: a folder that training exported (runs/NAME/model), or a Hugging Face or sentence-transformers model's.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    model: PathBuf,
    #[command(flatten)]
    adapters: AdapterArgs,
    /// The texts: a file, a folder (./NAME), a dataset's name, or - for standard input.
    #[arg(long, value_name = "PATH|NAME|-", default_value = "-", value_hint = clap::ValueHint::AnyPath)]
    input: String,
    /// How to read standard input or a file; auto reads lines, but .jsonl, .ndjson, .json, .csv, .tsv and .parquet as tables.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    input_format: InputFormat,
    /// The column or key that holds the text [default: the only text there is, else text].
    #[arg(long, value_name = "NAME")]
    text_column: Option<String>,
    /// Write rows into this file, which appears when all are there [default: standard output].
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// How to write them [default: what the file's name says, else ndjson].
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Write each text beside its row (not in .npy).
    #[arg(long)]
    with_text: bool,
    /// Keep only the first N dimensions, normalised again: for models that were trained so (Matryoshka).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    dimensions: Option<u32>,
    /// Cut texts after N tokens [default: what the model reads].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_length: Option<u32>,
    /// About how many tokens the model gets at once.
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(1..))]
    batch_tokens: u32,
    /// Where the model computes, by its own words (cpu, cuda:0) [default: as the model chooses].
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// What the model computes in, by its own words (f32, bf16) [default: as the model chooses].
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
    /// Keys of the dataset: data.KEY=VALUE.
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let format = args.format()?;
    let source = Source::new(args)?;
    let folder = args.adapters.open(&args.model)?;
    let tokenizer = folder.load_tokenizer(app)?;
    let mut model = folder.load_model_with(&args.model_keys(), app)?;
    let options = Options {
        dimensions: args.dimensions.map(|dimensions| dimensions as usize),
        max_length: args.max_length.map(|length| length as usize),
        batch_tokens: args.batch_tokens as usize,
    };
    let mut embedder = Embedder::new(model.as_mut(), tokenizer.as_ref(), options)?;
    let documents = source.documents(app)?;
    let mut input = source.input(args, documents.as_ref())?;
    let mut sink = match &args.output {
        Some(path) => Some(create(path, format, embedder.dimensions(), args.with_text)?),
        None => None,
    };
    let bar = source.bar(documents.as_ref(), app);
    let sanitizers = app.sanitizers()?;
    let mut found = Counts::default();
    while let Some(window) = input.next(&app.interrupt)? {
        let first = embedder.texts;
        let texts = clean_texts(window.texts, first, &sanitizers, &mut found)?;
        let values = embedder.embed(&texts, &app.interrupt)?;
        let rows = Rows {
            first,
            dimensions: embedder.dimensions(),
            values: &values,
            texts: args.with_text.then(|| texts.as_texts()),
        };
        match &mut sink {
            Some(sink) => sink.write(&rows)?,
            None if rows.is_empty() => {}
            None => app.output.line(lines(&rows)?.trim_end_matches('\n'))?,
        }
        bar.inc(window.progress);
    }
    if let Some(sink) = sink {
        sink.finish()?;
    }
    bar.finish_and_clear();
    if let Some(found) = told(&found.list()) {
        app.output.warn(format!("the texts held {found}"));
    }
    tell(args, &embedder, app)?;
    Ok(Exit::Done)
}

fn tell(args: &Args, embedder: &Embedder<'_>, app: &App) -> Result<()> {
    let (rows, dimensions, cut) = (embedder.texts, embedder.dimensions(), embedder.truncated);
    if cut > 0 {
        app.output.warn(format!(
            "{cut} of {rows} texts were longer than {} tokens and were cut there",
            embedder.longest()
        ));
    }
    let Some(output) = &args.output else {
        return Ok(());
    };
    if app.output.is_json() {
        return app.output.value(&json!({
            "rows": rows,
            "dimensions": dimensions,
            "tokens": embedder.tokens,
            "truncated": cut,
            "output": output,
        }));
    }
    app.output.note(format!(
        "{rows} rows of {dimensions} dimensions written to {}",
        output.display()
    ));
    Ok(())
}

impl Args {
    fn format(&self) -> Result<Format> {
        let by_name = self.output.as_deref().and_then(Format::of);
        let format = self.format.or(by_name).unwrap_or(Format::Ndjson);
        if self.output.is_none() && format != Format::Ndjson {
            return Err(
                Error::config("--format is for a file, and standard output gets ndjson")
                    .hint("give --output FILE"),
            );
        }
        if self.with_text && format == Format::Npy {
            return Err(Error::config(
                "--with-text is given, and an .npy file holds nothing but numbers",
            )
            .hint("write .ndjson or .parquet, or leave --with-text out"));
        }
        Ok(format)
    }

    fn model_keys(&self) -> Map<String, Value> {
        let keys = [("device", &self.device), ("precision", &self.precision)];
        keys.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())))
            .collect()
    }
}

/// What `--input` means.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Standard,
    /// Lines of a file of so many bytes.
    Lines(PathBuf, u64),
    Data(Box<DataSource>),
    /// A file without a byte, which a dataset plugin would refuse.
    Nothing,
}

impl Source {
    fn new(args: &Args) -> Result<Self> {
        let settings = Setting::parse_all(&args.settings)?;
        if let Some(setting) = settings.iter().find(|setting| setting.data_key().is_none()) {
            return Err(setting.unknown("data.KEY"));
        }
        let path = Path::new(&args.input);
        let by_lines = args.input_format != InputFormat::Auto || !is_table(path);
        let source = if args.input == "-" {
            Self::Standard
        } else if path.exists() && !path.is_dir() && by_lines {
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            Self::Lines(path.to_owned(), bytes)
        } else if path
            .metadata()
            .is_ok_and(|it| it.is_file() && it.len() == 0)
        {
            Self::Nothing
        } else {
            let mut source = DataSource::from_argument(&args.input)?;
            settings::apply_data(&mut source, &settings)?;
            if args.text_column.is_some() {
                source.columns.text.clone_from(&args.text_column);
            }
            return Ok(Self::Data(Box::new(source.or_files()?)));
        };
        if let Some(setting) = settings.first() {
            return Err(Error::config(format!(
                "{} is set, and {} is read without a dataset",
                setting.key, args.input
            ))
            .hint("data.KEY=VALUE is for tables, folders and datasets"));
        }
        if args.text_column.is_some() && args.input_format != InputFormat::Jsonl {
            return Err(Error::config(format!(
                "--text-column is given, and {} is read line by line",
                args.input
            ))
            .hint("give --input-format jsonl when every line is a JSON object"));
        }
        Ok(source)
    }

    fn documents(&self, app: &App) -> Result<Option<Documents>> {
        match self {
            // What is embedded is a prompt, wherever it comes from.
            Self::Data(source) => source.open_as_given(app).map(Some),
            _ => Ok(None),
        }
    }

    fn input<'a>(&self, args: &Args, documents: Option<&'a Documents>) -> Result<Input<'a>> {
        let column = args.text_column.as_deref();
        match self {
            Self::Standard => {
                if std::io::stdin().is_terminal() {
                    return Err(Error::config("there are no texts on standard input")
                        .hint("give --input FILE, or write texts there: echo \"a text\" | codex-ml embed …"));
                }
                Ok(Input::standard(args.input_format, column))
            }
            Self::Lines(path, _) => Input::file(path, args.input_format, column),
            Self::Data(_) | Self::Nothing => Ok(documents.map_or(Input::Empty, Input::documents)),
        }
    }

    fn bar(&self, documents: Option<&Documents>, app: &App) -> ProgressBar {
        match (self, documents) {
            (Self::Lines(_, bytes), _) => app.output.bar(
                *bytes,
                "embedding {wide_bar} {bytes}/{total_bytes}, {eta} left",
            ),
            (_, Some(documents)) => app.output.bar(
                documents.len(),
                "embedding {wide_bar} {human_pos}/{human_len} texts, {eta} left",
            ),
            _ => app.output.bar(0, "embedding {bytes}, {elapsed}"),
        }
    }
}

/// Whether a dataset plugin reads the file as a table.
fn is_table(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.map(str::to_ascii_lowercase);
    matches!(
        extension.as_deref(),
        Some("jsonl" | "ndjson" | "json" | "csv" | "tsv" | "parquet" | "pq")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;
    use codex_plugin_api::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        let words = format!("embed --model m {line}");
        Line::parse_from(words.split_whitespace()).args
    }

    #[test]
    fn the_file_name_says_the_format() {
        for (line, expected) in [
            ("", Format::Ndjson),
            ("--output a.npy", Format::Npy),
            ("--output a.PARQUET", Format::Parquet),
            ("--output a.jsonl", Format::Ndjson),
            ("--output a", Format::Ndjson),
            ("--output a --format npy", Format::Npy),
            (
                "--output a.npy --format parquet --with-text",
                Format::Parquet,
            ),
        ] {
            assert_eq!(args(line).format().unwrap(), expected, "{line}");
        }
        for line in ["--format npy", "--output a.npy --with-text"] {
            let error = args(line).format().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{line}");
        }
    }

    #[test]
    fn the_input_is_lines_a_table_or_a_dataset() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (text, table) = (path("a.txt", "abc"), path("a.csv", "text\nabc\n"));
        let (empty, plain) = (path("a.jsonl", ""), path("notes", "a"));
        let data = |line: &str| match Source::new(&args(line)).unwrap() {
            Source::Data(source) => *source,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(Source::new(&args("")).unwrap(), Source::Standard);
        for (path, bytes) in [(&text, 3), (&plain, 1)] {
            let source = Source::new(&args(&format!("--input {path}"))).unwrap();
            assert_eq!(source, Source::Lines(path.into(), bytes));
        }
        let source = Source::new(&args(&format!("--input {empty}"))).unwrap();
        assert_eq!(source, Source::Nothing);
        let source = data(&format!(
            "--input {table} --text-column body data.delimiter=;"
        ));
        assert_eq!(source.columns.text.as_deref(), Some("body"));
        assert_eq!(source.options["delimiter"], ";");
        assert_eq!(data("--input grammar").name, "grammar");
        assert_eq!(
            data(&format!("--input {}", folder.path().display())).name,
            "files"
        );
        let line = format!("--input {table} --input-format jsonl --text-column body");
        assert!(matches!(
            Source::new(&args(&line)).unwrap(),
            Source::Lines(..)
        ));
        for line in [
            "--text-column body".to_owned(),
            "data.delimiter=;".to_owned(),
            format!("--input {text} --text-column body"),
            format!("--input {table} model.path=x"),
        ] {
            let error = Source::new(&args(&line)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{line}");
        }
        let error = Source::new(&args("--input no-such.txt")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
    }
}
