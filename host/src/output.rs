//! The one place that prints. Results go to standard output, everything else to standard error; progress bars only to a
//! terminal; `--json` leaves nothing on standard output but JSON.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use codex_plugin_api::{Context, Error, LogLevel, Result};
use codex_redaction::{Format, Sanitizers, WITHHELD};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::exit::Exit;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A stranger's text without what would steer a terminal.
pub fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// How to talk to the user. Clones share the progress bars.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    verbosity: u8,
    color: bool,
    bars: Arc<MultiProgress>,
    /// Where results go instead of standard output, where somebody wants to read them.
    kept: Option<Kept>,
    /// What cleans whatever goes to standard error, once there is any; of all clones.
    sanitizers: Arc<OnceLock<Arc<Sanitizers>>>,
}

thread_local! {
    /// Whether a line for standard error is being cleaned on this thread.
    static CLEANING: Cell<bool> = const { Cell::new(false) };
}

/// Results that were kept instead of printed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<String>>);

impl Kept {
    /// What was written so far.
    pub(crate) fn text(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Output {
    /// This output with its results kept; everything else goes where it went.
    pub(crate) fn keeping(&self) -> (Self, Kept) {
        let kept = Kept::default();
        let output = Self {
            kept: Some(kept.clone()),
            ..self.clone()
        };
        (output, kept)
    }

    /// An output with the global options of the command line.
    pub fn new(json: bool, quiet: bool, verbosity: u8, color: Color) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal(),
        };
        let target = if quiet || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(8)
        };
        Self {
            json,
            quiet,
            verbosity,
            color,
            bars: Arc::new(MultiProgress::with_draw_target(target)),
            kept: None,
            sanitizers: Arc::default(),
        }
    }

    /// From now on nothing goes to standard error before these cleaned it. The first that are given stay.
    pub(crate) fn clean_with(&self, sanitizers: &Arc<Sanitizers>) {
        if !sanitizers.is_empty() {
            let _ = self.sanitizers.set(Arc::clone(sanitizers));
        }
    }

    /// What cleans logs, where there is any.
    pub(crate) fn sanitizers(&self) -> Option<&Arc<Sanitizers>> {
        self.sanitizers.get()
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether the user asked for silence.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.verbosity
    }

    /// Writes a result as it is, without adding a line break.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn write(&self, text: &str) -> Result<()> {
        if let Some(Kept(kept)) = &self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_str(text);
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        match written {
            // A reader that has seen enough (`| head`) is no failure of ours.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            written => written.or_error(|| Error::failed("cannot write to standard output")),
        }
    }

    /// Writes a line of a result.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn line(&self, text: impl AsRef<str>) -> Result<()> {
        self.bars
            .suspend(|| self.write(&format!("{}\n", text.as_ref())))
    }

    /// Writes one JSON document on a line (or indented, when `--json` was not asked for).
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn value(&self, value: &impl Serialize) -> Result<()> {
        let text = if self.json {
            serde_json::to_string(value)
        } else {
            serde_json::to_string_pretty(value)
        };
        self.line(text.or_error(|| Error::failed("cannot write the result as JSON"))?)
    }

    /// Writes rows under headers, in columns that fit the terminal.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn table<const N: usize>(
        &self,
        headers: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<()> {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::NOTHING)
            .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
            .set_header(headers);
        for row in rows {
            table.add_row(row);
        }
        self.line(table.trim_fmt())
    }

    /// Shows what the command line's parser has to say: help on standard output, an error on standard error.
    pub fn usage(&self, error: &clap::Error) -> Exit {
        if !error.use_stderr() {
            // A reader that has seen enough is no failure of ours.
            let _ = error.print();
            return Exit::Done;
        }
        if self.json {
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let message = lines.next().unwrap_or("wrong use");
            let message = message
                .strip_prefix("error: ")
                .unwrap_or(message)
                .to_owned();
            let hint = lines
                .find_map(|line| line.strip_prefix("tip: "))
                .unwrap_or("codex-ml --help shows what there is");
            self.error(&Error::config(message).hint(hint));
        } else {
            let _ = error.print();
        }
        Exit::Usage
    }

    /// Tells the user something on standard error, unless `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.say(text.as_ref());
        }
    }

    /// Warns the user.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.say(&format!(
            "{} {}",
            self.paint("33", "warning:"),
            text.as_ref()
        ));
    }

    /// Warns the user of an error that does not end the work: `text` names it, its hint says what mends it.
    pub fn warn_of(&self, text: impl AsRef<str>, error: &Error) {
        self.warn(text);
        if let Some(hint) = error.hint_text() {
            self.say(&format!("{} {hint}", self.paint("36", "hint:")));
        }
    }

    /// A log line, shown by level and `-v`.
    pub fn log(&self, level: LogLevel, text: &str) {
        match level {
            LogLevel::Error => self.say(&format!("{} {text}", self.paint("31", "error:"))),
            LogLevel::Warning => self.warn(text),
            LogLevel::Info if self.verbosity >= 1 => self.say(text),
            LogLevel::Debug if self.verbosity >= 2 => self.say(&self.paint("2", text)),
            LogLevel::Info | LogLevel::Debug => {}
        }
    }

    /// Shows an error: one line, the hint, and with `-v` the chain of causes. With `--json` one object on standard error.
    pub fn error(&self, error: &Error) {
        let cleaned;
        let error = match self.sanitizers.get() {
            Some(sanitizers) => {
                cleaned = sanitizers.clean_error(error);
                &cleaned
            }
            None => error,
        };
        if self.json {
            let object = serde_json::json!({"error": error.message(), "kind": error.kind(), "hint": error.hint_text(), "causes": error.causes()});
            // Cleaned above; as one text its quotes would not be safe from a finding.
            self.print(&object.to_string());
            return;
        }
        self.say(&format!(
            "{} {}",
            self.paint("1;31", "error:"),
            error.message()
        ));
        // The innermost cause often is the one that helps (a system's "No space left on device").
        if self.verbosity == 0
            && let Some(cause) = error.causes().last()
            && !cause.contains('\n')
            && !error.message().contains(cause.as_str())
        {
            self.say(&format!("  because: {cause}"));
        }
        if self.verbosity > 0 {
            for cause in error.causes() {
                self.say(&format!("  because: {cause}"));
            }
        }
        if let Some(hint) = error.hint_text() {
            self.say(&format!("{} {hint}", self.paint("36", "hint:")));
        }
    }

    /// A progress bar on standard error; invisible when there is no terminal. `template` is indicatif's.
    pub fn bar(&self, total: u64, template: &str) -> ProgressBar {
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bars.add(
            // A call that fails drops its bar, and the error should not stand behind half of one.
            ProgressBar::new(total)
                .with_finish(indicatif::ProgressFinish::AndClear)
                .with_style(style.progress_chars("━╸─")),
        )
    }

    /// Wraps text in an ANSI colour code when colours are on.
    pub fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn say(&self, text: &str) {
        let Some(sanitizers) = self.sanitizers.get() else {
            return self.print(text);
        };
        // A sanitizer may itself log while it scans a line. What it then says cannot be scanned: it would never end.
        let cleaned = CLEANING.with(|cleaning| {
            if cleaning.replace(true) {
                return WITHHELD.to_owned();
            }
            let cleaned = sanitizers.clean_log(text, Format::Plain);
            cleaning.set(false);
            cleaned
        });
        self.print(&cleaned);
    }

    fn print(&self, text: &str) {
        self.bars.suspend(|| {
            // Nothing can be told when standard error itself is closed.
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }
}
