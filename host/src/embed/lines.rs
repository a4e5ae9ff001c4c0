//! Lines of a stream, read by a thread of its own so that texts are embedded while others are still on their way.
//!
//! The thread hands over what it has as soon as it would have to wait for more; a fast input thus comes in large pieces,
//! a slow one line by line. Only a few pieces wait, so an endless input needs no endless memory.

use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use codex_plugin_api::{Error, Result};
use serde_json::Value;

use super::input::{WINDOW_BYTES, WINDOW_TEXTS, Window};
use crate::interrupt::Interrupt;

/// The longest line, which bounds memory where an input has no line breaks at all.
const LONGEST_LINE: usize = 64 << 20;

/// So many pieces wait while the model computes.
const WAITING: usize = 4;

/// How often a thread that waits for input looks whether the user asked to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The text itself.
    Text,
    /// A JSON object with the text under this key, or a JSON string.
    Json(String),
}

/// A stream of lines.
#[derive(Debug)]
pub struct Lines {
    pieces: Receiver<Result<Window>>,
    /// What ended the stream, told when all texts before it were given.
    failed: Option<Error>,
}

impl Lines {
    /// Begins to read; `label` is what messages call the input.
    pub(super) fn of(source: impl Read + Send + 'static, label: String, form: Form) -> Self {
        let (sender, pieces) = sync_channel(WAITING);
        std::thread::spawn(move || {
            let mut reader = LineReader {
                source: BufReader::with_capacity(1 << 16, source),
                label,
                form,
                number: 0,
                line: Vec::new(),
            };
            if let Err(error) = reader.read_all(&sender) {
                // Whoever no longer listens does not want to know.
                let _ = sender.send(Err(error));
            }
        });
        Self {
            pieces,
            failed: None,
        }
    }

    /// As [`super::Input::next`].
    pub(super) fn next(&mut self, interrupt: &Interrupt) -> Result<Option<Window>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut window = loop {
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => break piece?,
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if interrupt.requested() => {
                    return Err(Error::interrupted());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        while window.texts.as_texts().bytes().len() < WINDOW_BYTES
            && window.texts.len() < WINDOW_TEXTS
        {
            match self.pieces.try_recv() {
                Ok(Ok(piece)) => {
                    window.progress += piece.progress;
                    for text in piece.texts.as_texts().iter() {
                        window.texts.push(text);
                    }
                }
                Ok(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(Some(window))
    }
}

/// The thread's side.
struct LineReader<R> {
    source: BufReader<R>,
    label: String,
    form: Form,
    /// The line that was read last, from 1.
    number: u64,
    line: Vec<u8>,
}

impl<R: Read> LineReader<R> {
    fn read_all(&mut self, pieces: &SyncSender<Result<Window>>) -> Result<()> {
        let mut piece = Window::default();
        loop {
            let text = self.read_line();
            let ended = !matches!(text, Ok(true));
            if let Ok(true) = text {
                piece.progress += self.line.len() as u64;
                match self.text() {
                    Ok(Some(text)) => piece.texts.push(&text),
                    Ok(None) => {}
                    Err(error) => {
                        let _ = pieces.send(Ok(piece));
                        return Err(error);
                    }
                }
            }
            let full = piece.texts.as_texts().bytes().len() >= WINDOW_BYTES / WAITING
                || piece.texts.len() >= WINDOW_TEXTS / WAITING;
            let would_wait = !self.source.buffer().contains(&b'\n');
            if (ended || full || would_wait)
                && piece.progress > 0
                && pieces.send(Ok(std::mem::take(&mut piece))).is_err()
            {
                return Ok(());
            }
            if ended {
                return text.map(|_| ());
            }
        }
    }

    /// Reads one line with its line break; `false` at the end.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let limit = LONGEST_LINE as u64 + 1;
        let read = (&mut self.source)
            .take(limit)
            .read_until(b'\n', &mut self.line);
        match read {
            Ok(length) if length as u64 == limit && !self.line.ends_with(b"\n") => {
                Err(Error::data(format!(
                    "{} is longer than {} MiB",
                    self.place(),
                    LONGEST_LINE >> 20
                ))
                .hint("texts are separated by line breaks"))
            }
            Ok(length) => Ok(length > 0),
            Err(error) => Err(Error::data(format!("cannot read {}", self.label)).because(&error)),
        }
    }

    /// The line's text; `None` for an empty line between JSON objects.
    fn text(&self) -> Result<Option<String>> {
        let mut line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.number == 1 {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let text = std::str::from_utf8(line).map_err(|error| {
            Error::data(format!(
                "{} is not UTF-8 at byte {}",
                self.place(),
                error.valid_up_to() + 1
            ))
            .hint("convert it first, for example with `iconv -f WINDOWS-1252 -t UTF-8`")
        })?;
        match &self.form {
            Form::Text => Ok(Some(text.to_owned())),
            Form::Json(_) if text.trim().is_empty() => Ok(None),
            Form::Json(key) => self.json(text, key).map(Some),
        }
    }

    fn json(&self, line: &str, key: &str) -> Result<String> {
        let bad = |what: String| {
            Error::data(format!("{} {what}", self.place())).hint(
                "every line is an object like {\"text\": \"…\"}; --text-column names another key",
            )
        };
        let value: Value =
            serde_json::from_str(line).map_err(|error| bad(format!("is not JSON: {error}")))?;
        match value {
            Value::String(text) => Ok(text),
            Value::Object(mut object) => match object.remove(key) {
                Some(Value::String(text)) => Ok(text),
                Some(Value::Null) => Ok(String::new()),
                Some(_) => Err(bad(format!("has no text under {key:?}"))),
                None => Err(bad(format!("has no key {key:?}"))),
            },
            _ => Err(bad("is no JSON object".to_owned())),
        }
    }

    fn place(&self) -> String {
        format!("line {} of {}", self.number, self.label)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io;

    use codex_plugin_api::ErrorKind;

    use super::*;

    fn read(input: &[u8], form: Form) -> (Vec<String>, Option<Error>) {
        let mut lines = Lines::of(io::Cursor::new(input.to_vec()), "the input".into(), form);
        let (mut texts, interrupt) = (Vec::new(), Interrupt::default());
        loop {
            match lines.next(&interrupt) {
                Ok(Some(window)) => {
                    texts.extend(window.texts.as_texts().iter().map(str::to_owned));
                }
                Ok(None) => return (texts, None),
                Err(error) => return (texts, Some(error)),
            }
        }
    }

    #[test]
    fn every_line_is_a_text() {
        for (input, expected) in [
            (&b""[..], &[][..]),
            (b"\n", &[""]),
            (b"a", &["a"]),
            (b"a\n", &["a"]),
            (b"a\n\nb\n", &["a", "", "b"]),
            (b"a\r\nb\r\n", &["a", "b"]),
            (b"\xef\xbb\xbfa\nb", &["a", "b"]),
            ("čaj\n茶\n🦀".as_bytes(), &["čaj", "茶", "🦀"]),
        ] {
            let (texts, error) = read(input, Form::Text);
            assert_eq!(texts, expected, "{input:?}");
            assert!(error.is_none(), "{error:?}");
        }
    }

    #[test]
    fn lines_of_json_hold_texts() {
        let input = b"{\"text\": \"a\\nb\", \"n\": 1}\n\n\"plain\"\n{\"text\": null}\n";
        let (texts, error) = read(input, Form::Json("text".into()));
        assert_eq!(texts, ["a\nb", "plain", ""]);
        assert!(error.is_none(), "{error:?}");
    }

    #[test]
    fn what_cannot_be_read_is_named_after_all_that_can() {
        let json = || Form::Json("body".into());
        for (input, form, texts, message) in [
            (
                &b"a\nb\nc\xff\nd\n"[..],
                Form::Text,
                2,
                "line 3 of the input is not UTF-8 at byte 2",
            ),
            (
                b"{\"body\": \"a\"}\n{",
                json(),
                1,
                "line 2 of the input is not JSON",
            ),
            (
                b"{\"text\": \"a\"}\n",
                json(),
                0,
                "line 1 of the input has no key \"body\"",
            ),
            (
                b"{\"body\": 3}\n",
                json(),
                0,
                "line 1 of the input has no text under \"body\"",
            ),
            (b"3\n", json(), 0, "line 1 of the input is no JSON object"),
        ] {
            let (found, error) = read(input, form);
            let error = error.unwrap();
            assert_eq!((found.len(), error.kind()), (texts, ErrorKind::Data));
            assert!(error.message().starts_with(message), "{error}");
        }
    }

    #[test]
    fn windows_are_bounded_and_nothing_is_lost() {
        let lines: Vec<String> = (0..50_000).map(|n| format!("line {n}\n")).collect();
        let input = lines.concat();
        let mut lines = Lines::of(
            io::Cursor::new(input.clone()),
            "the input".into(),
            Form::Text,
        );
        let (interrupt, mut texts, mut progress) = (Interrupt::default(), 0, 0);
        while let Some(window) = lines.next(&interrupt).unwrap() {
            assert!(window.texts.len() <= 2 * WINDOW_TEXTS);
            for text in window.texts.as_texts().iter() {
                assert_eq!(text, format!("line {texts}"));
                texts += 1;
            }
            progress += window.progress;
        }
        assert_eq!((texts, progress), (50_000, input.len() as u64));
    }

    /// Gives the first line, then waits until it is told to go on.
    struct Slow {
        lines: Vec<&'static str>,
        go_on: Receiver<()>,
    }

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.go_on.recv().is_err() || self.lines.is_empty() {
                return Ok(0);
            }
            let line = self.lines.remove(0);
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }

    #[test]
    fn a_line_is_given_before_the_next_one_arrives() {
        let (sender, go_on) = sync_channel(1);
        let slow = Slow {
            lines: vec!["one\n", "tw", "o\n"],
            go_on,
        };
        let mut lines = Lines::of(slow, "the input".into(), Form::Text);
        let interrupt = Interrupt::default();
        sender.send(()).unwrap();
        let first = lines.next(&interrupt).unwrap().unwrap();
        assert_eq!(first.texts.as_texts().iter().collect::<Vec<_>>(), ["one"]);
        sender.send(()).unwrap();
        sender.send(()).unwrap();
        let second = lines.next(&interrupt).unwrap().unwrap();
        assert_eq!(second.texts.as_texts().iter().collect::<Vec<_>>(), ["two"]);
        // Nothing more comes, and the user no longer wants to wait.
        interrupt.request();
        let error = lines.next(&interrupt).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}
