//! The arguments, checked against each other.

use std::path::PathBuf;

use codex_plugin_api::{Arguments, Error, Result, Severity, Stage};
use codex_redaction::{Delimiter, Format, Mode};
use serde::de::DeserializeOwned;

use crate::Config;

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Text(Format),
    Parquet,
}

/// What findings are listed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportFormat {
    Table,
    Json,
    Ndjson,
    Sarif,
}

/// Where clean copies go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    /// The file itself.
    Source,
    /// What came from standard input goes to standard output.
    Output,
}

/// What is wanted.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) paths: Vec<String>,
    pub(super) staged: bool,
    pub(super) format: Option<FileFormat>,
    pub(super) hidden: bool,
    pub(super) no_ignore: bool,
    pub(super) report: ReportFormat,
    pub(super) json: bool,
    pub(super) output: Option<PathBuf>,
    pub(super) fail_on: Option<Severity>,
    pub(super) redact: Option<Place>,
    pub(super) mode: Option<Mode>,
    pub(super) stage: Stage,
    pub(super) policy: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) baseline: Option<PathBuf>,
    pub(super) write_baseline: Option<PathBuf>,
    pub(super) sanitizers: Vec<String>,
    pub(super) own: Config,
}

impl Settings {
    pub(super) fn read(arguments: &Arguments) -> Result<Self> {
        let path = |name: &str| arguments.text(name).map(PathBuf::from);
        let json = arguments.flag("json");
        let texts = |name: &str| -> Vec<String> {
            let texts = arguments.texts(name).into_iter();
            texts.map(str::to_owned).collect()
        };
        let settings = Self {
            paths: texts("path"),
            staged: arguments.flag("staged"),
            format: arguments.text("format").map(format),
            hidden: arguments.flag("hidden"),
            no_ignore: arguments.flag("no-ignore"),
            report: match arguments.text("report") {
                Some("ndjson") => ReportFormat::Ndjson,
                Some("sarif") => ReportFormat::Sarif,
                _ if json => ReportFormat::Json,
                _ => ReportFormat::Table,
            },
            json,
            output: path("output"),
            fail_on: match arguments.text("fail-on") {
                None | Some("never") => None,
                Some(word) => Some(named("fail-on", word)?),
            },
            redact: place(arguments)?,
            mode: arguments
                .text("mode")
                .map(|word| named("mode", word))
                .transpose()?,
            stage: named("stage", arguments.text("stage").unwrap_or("ingest"))?,
            policy: path("policy"),
            key: path("key"),
            baseline: path("baseline"),
            write_baseline: path("write-baseline"),
            sanitizers: texts("sanitizer"),
            own: own(arguments, texts("rules"), texts("disable"))?,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        if self.paths.is_empty() && !self.staged {
            return Err(Error::config("no path is given").hint(
                "`codex-ml sanitize .` scans the working folder, `codex-ml sanitize -` standard input",
            ));
        }
        let input = self.paths.iter().any(|path| path == "-");
        if input && (self.paths.len() > 1 || self.staged) {
            return Err(Error::config("standard input is one source among others")
                .hint("scan - in a call of its own"));
        }
        if self.redact.is_none() {
            if self.mode.is_some() {
                return Err(Error::config("--mode without --redact changes nothing")
                    .hint("add --redact with --output-dir or --in-place"));
            }
            return Ok(());
        }
        if self.baseline.is_some() || self.write_baseline.is_some() {
            return Err(Error::config("--redact and a baseline exclude each other").hint(
                "a baseline's key is no secret, so pseudonyms made with it could be tested; allow findings by the \
                 policy instead",
            ));
        }
        if self.staged {
            return Err(Error::config("--redact cannot change what git has staged")
                .hint("redact the files with --in-place and stage them again"));
        }
        Ok(())
    }

    /// Whether clean text goes to standard output, which then has nothing else.
    pub(super) fn prints_text(&self) -> bool {
        self.redact == Some(Place::Output)
    }
}

fn place(arguments: &Arguments) -> Result<Option<Place>> {
    let folder = arguments.text("output-dir").map(PathBuf::from);
    let in_place = arguments.flag("in-place");
    if !arguments.flag("redact") {
        return match (folder, in_place) {
            (None, false) => Ok(None),
            _ => Err(
                Error::config("--output-dir and --in-place say where --redact writes")
                    .hint("add --redact"),
            ),
        };
    }
    let input = arguments.texts("path") == ["-"];
    match (folder, in_place, input) {
        (Some(folder), false, false) => Ok(Some(Place::Folder(folder))),
        (None, true, false) => Ok(Some(Place::Source)),
        (None, false, true) => Ok(Some(Place::Output)),
        (None, false, false) => Err(Error::config("--redact does not say where to write")
            .hint("give --output-dir DIR for clean copies, or --in-place")),
        (_, _, true) => Err(Error::config("standard input has no place to write to")
            .hint("what is read from - is written to standard output")),
        (Some(_), true, _) => Err(
            Error::config("--output-dir and --in-place exclude each other")
                .hint("keep one of the two"),
        ),
    }
}

fn own(arguments: &Arguments, rules: Vec<String>, disable: Vec<String>) -> Result<Config> {
    let only = arguments.texts("only");
    let wanted = |family: &str| only.is_empty() || only.contains(&family);
    let least = arguments.number("least-confidence").unwrap_or(0.0);
    if !(0.0..=1.0).contains(&least) {
        return Err(Error::config(format!("--least-confidence is {least}"))
            .hint("give a number from 0 to 1"));
    }
    Ok(Config {
        secrets: wanted("secrets"),
        personal: wanted("personal"),
        prompt: wanted("prompt"),
        rules,
        disable,
        least_confidence: least as f32,
        max_span: None,
    })
}

fn format(word: &str) -> FileFormat {
    FileFormat::Text(match word {
        "json" => Format::Json,
        "ndjson" => Format::Ndjson,
        "csv" => Format::Csv {
            delimiter: Delimiter::Comma,
        },
        "tsv" => Format::Csv {
            delimiter: Delimiter::Tab,
        },
        "parquet" => return FileFormat::Parquet,
        _ => Format::Plain,
    })
}

/// The value that a word of the command line stands for.
pub(super) fn named<T: DeserializeOwned>(argument: &str, word: &str) -> Result<T> {
    serde_json::from_value(word.into()).map_err(|error| {
        Error::config(format!("--{argument} {word} is not known"))
            .because(&error)
            .hint("`codex-ml sanitize --help` lists what there is")
    })
}
