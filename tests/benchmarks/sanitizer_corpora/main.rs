//! Measures the rules on a folder of case files:
//! `sanitizer_corpora FOLDER [--rules FILE] [--least CONFIDENCE] [--misses]`.
//!
//! A line of a case file is an object with `text`, `rule` and `kind` (`tp`, `fp`), or with `text`, `entities` and
//! `expected`. The files are other projects' tests; they are not part of this one.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

mod cases;
mod personal;
mod secrets;

use std::path::{Path, PathBuf};

use codex_plugin_sanitizer_default::rules::{builtin, from_path};
use codex_plugin_sanitizer_default::scan::{Engine, Span};

use cases::Case;

const USAGE: &str =
    "usage: sanitizer_corpora FOLDER [--rules FILE] [--least CONFIDENCE] [--misses]";

/// What the command line asks for.
struct Options {
    folder: PathBuf,
    rules: Option<PathBuf>,
    least: f32,
    misses: bool,
}

/// Rules that are measured.
struct Program {
    engine: Engine,
    least: f32,
    misses: bool,
    /// The rules are this plugin's, so that their entities say which of them find secrets.
    own: bool,
}

impl Program {
    fn scan(&self, case: &Case) -> Result<Vec<Span>, String> {
        let mut spans = self
            .engine
            .scan(&case.text, case.path.as_deref())
            .map_err(|error| error.to_string())?;
        spans.retain(|span| span.confidence >= self.least);
        Ok(spans)
    }

    fn id(&self, span: &Span) -> &str {
        &self.engine.rules()[span.rule].id
    }

    /// Prints a case that did not end as it should, where that was asked for.
    fn show(&self, what: &str, case: &Case, spans: &[Span]) {
        if self.misses {
            let found: Vec<_> = spans
                .iter()
                .map(|span| {
                    (
                        self.id(span),
                        &case.text[span.start..span.end],
                        span.confidence,
                    )
                })
                .collect();
            println!("  {what} {}: {:?} {found:?}", case.name(), case.text);
        }
    }
}

fn options() -> Result<Options, String> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options {
        folder: arguments.next().ok_or(USAGE)?.into(),
        rules: None,
        least: 0.0,
        misses: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rules" => options.rules = Some(arguments.next().ok_or(USAGE)?.into()),
            "--least" => {
                let number = arguments.next().and_then(|text| text.parse().ok());
                options.least = number.ok_or("--least takes a number from 0 to 1")?;
            }
            "--misses" => options.misses = true,
            other => return Err(format!("unknown argument {other:?}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn suites(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    files.sort();
    Ok(files)
}

fn main() -> Result<(), String> {
    let options = options()?;
    let set = match &options.rules {
        Some(path) => from_path(path),
        None => builtin::load(),
    }
    .map_err(|error| error.to_string())?;
    println!("{} rules", set.rules.len());
    let program = Program {
        engine: Engine::new(set),
        least: options.least,
        misses: options.misses,
        own: options.rules.is_none(),
    };
    for path in suites(&options.folder)? {
        let cases = cases::read(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let line = if cases.iter().any(|case| case.entities.is_some()) {
            personal::measure(&program, &cases)?
        } else {
            secrets::measure(&program, &cases)?
        };
        println!("{name}: {line}");
    }
    Ok(())
}
