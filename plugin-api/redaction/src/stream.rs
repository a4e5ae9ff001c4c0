//! Text that comes in pieces: it leaves as soon as nothing that may still come can change what is done with it.
//!
//! What is held back is the longest finding and some context, and where something was found, the longest finding once
//! more: what comes behind may still belong to it. Scans happen at places that depend on the text alone, never on the
//! sizes of the pieces, so the output is the same for any pieces. It is also the same as for the
//! whole text, for sanitizers that look at most [`StreamOptions::context`] bytes around what they find.

mod decode;

use std::sync::Arc;

use codex_plugin_api::{Error, ErrorKind, Result, Stage, TextBuffer};

use crate::overlap::{Decided, Resume};
use crate::position::Position;
use crate::sanitizers::{blocked, stage_word};
use crate::{Action, OnError, ReportedFinding, Sanitizers, WITHHELD};
use decode::Decoder;

/// What is done with bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidUtf8 {
    /// Each maximal invalid sequence becomes U+FFFD, as in [`String::from_utf8_lossy`]; places count what it became.
    #[default]
    Replace,
    /// The stream ends with an error naming the byte.
    Refuse,
}

/// How a stream works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Bytes around a finding that sanitizers may look at.
    pub context: usize,
    /// A scan every so many bytes: few for text that somebody waits for, many for files.
    pub step: usize,
    /// Bytes that are no UTF-8.
    pub invalid_utf8: InvalidUtf8,
}

impl StreamOptions {
    /// For files: throughput over latency.
    pub fn file() -> Self {
        Self {
            context: 512,
            step: 1 << 18,
            invalid_utf8: InvalidUtf8::Replace,
        }
    }

    /// For generated text: shown as soon as it is decided.
    pub fn generated() -> Self {
        Self {
            context: 512,
            step: 1,
            invalid_utf8: InvalidUtf8::Replace,
        }
    }
}

/// Cleans one text that comes in pieces. Use a new one for each text.
pub struct Stream {
    sanitizers: Arc<Sanitizers>,
    stage: Stage,
    path: Option<String>,
    options: StreamOptions,
    decoder: Decoder,
    /// What was not let go yet, and before it what scans still look back at.
    buffer: String,
    /// Where in `buffer` begins what was not let go.
    open: usize,
    /// Where in `buffer` begin findings that pass and were not told yet.
    untold: usize,
    /// The place of `buffer`'s first byte in the text.
    origin: Position,
    findings: Vec<ReportedFinding>,
    /// So many bytes are open at the next scan.
    limit: usize,
    ended: bool,
}

impl Stream {
    /// A stream for one text; `path` is the file it comes from.
    pub fn new(
        sanitizers: Arc<Sanitizers>,
        stage: Stage,
        path: Option<&str>,
        options: StreamOptions,
    ) -> Self {
        let options = StreamOptions {
            step: options.step.max(1),
            ..options
        };
        let mut stream = Self {
            sanitizers,
            stage,
            path: path.map(str::to_owned),
            options,
            decoder: Decoder::new(options.invalid_utf8),
            buffer: String::new(),
            open: 0,
            untold: 0,
            origin: Position::default(),
            findings: Vec::new(),
            limit: 0,
            ended: false,
        };
        stream.limit = stream.held_back_plain() + options.step;
        stream
    }

    /// Takes the next bytes and appends to `out` what may be shown.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] naming rule and place where the policy blocks a finding, [`ErrorKind::Plugin`] where a
    /// sanitizer fails and the policy blocks what it could not scan, [`ErrorKind::Data`] for bytes that are refused.
    /// What was appended to `out` before may be shown; nothing else comes after an error.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) -> Result<()> {
        let mut rest = bytes;
        // In slices, so that a large piece does not have to be decoded at once.
        while !rest.is_empty() && !self.ended {
            let (slice, after) = rest.split_at(rest.len().min(1 << 16));
            rest = after;
            let mut text = String::new();
            let decoded = self.decoder.push(slice, &mut text);
            self.take(&text, out)?;
            decoded.inspect_err(|_| self.ended = true)?;
        }
        Ok(())
    }

    /// Ends the text: appends what is left to `out`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self, out: &mut String) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        let mut text = String::new();
        let decoded = self.decoder.finish(&mut text);
        self.take(&text, out)?;
        decoded.inspect_err(|_| self.ended = true)?;
        if !self.ended {
            self.scan(true, out)?;
        }
        self.ended = true;
        Ok(())
    }

    /// Whether nothing more will come out: after an error, after the end, and after a finding that drops the rest.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What was found so far and not taken yet.
    pub fn take_findings(&mut self) -> Vec<ReportedFinding> {
        std::mem::take(&mut self.findings)
    }

    /// The most bytes that wait to be decided: what an author of a sanitizer should know about `max_span`.
    pub fn held_back(&self) -> usize {
        self.held_back_plain() + self.sanitizers.max_span()
    }

    /// How many bytes wait where nothing was found: no finding that covers what lies before can still come.
    fn held_back_plain(&self) -> usize {
        self.sanitizers.max_span() + self.options.context.max(self.sanitizers.longest_mark())
    }

    fn take(&mut self, mut text: &str, out: &mut String) -> Result<()> {
        while !text.is_empty() && !self.ended {
            // A character that does not fit is taken whole, so a scan may leave the limit or more behind.
            let open = self.buffer.len() - self.open;
            let mut cut = self.limit.saturating_sub(open).clamp(1, text.len());
            while !text.is_char_boundary(cut) {
                cut += 1;
            }
            self.buffer.push_str(&text[..cut]);
            text = &text[cut..];
            if self.buffer.len() - self.open >= self.limit {
                self.scan(false, out)?;
            }
        }
        Ok(())
    }

    /// Scans what is there and lets go what is decided.
    fn scan(&mut self, last: bool, out: &mut String) -> Result<()> {
        // Findings that begin before `sure` are decided; text before `clear` is, where none covers it.
        let (sure, mut clear) = if last {
            (self.buffer.len(), self.buffer.len())
        } else {
            (
                self.before_end(self.held_back()),
                self.before_end(self.held_back_plain()),
            )
        };
        let texts: TextBuffer = [&self.buffer].into_iter().collect();
        let sanitizers = Arc::clone(&self.sanitizers);
        let scanned = sanitizers
            .scan(texts.as_texts(), self.stage, self.path.as_deref())
            .inspect_err(|_| self.ended = true)?;
        let Some(Some(hits)) = scanned.into_iter().next() else {
            self.withhold(out);
            return Ok(());
        };
        let path = self.path.clone();
        let resume = Resume {
            changing: self.open,
            passing: self.untold,
        };
        let resolved = sanitizers.settle(
            &self.buffer,
            &hits,
            |range| vec![range],
            (self.stage, path.as_deref()),
            resume,
        );
        let told = if last {
            sure
        } else {
            sure.saturating_sub(sanitizers.max_span())
        };
        self.tell_passing(&resolved.passing, told);
        let mut at = self.origin;
        self.limit = self.held_back_plain() + self.options.step;
        for finding in &resolved.changing {
            if finding.hit.start >= sure && !last {
                if finding.hit.start < clear {
                    clear = finding.hit.start;
                    self.limit = self.held_back() + self.options.step;
                }
                break;
            }
            out.push_str(&self.buffer[self.open..finding.hit.start]);
            self.open = finding.hit.end;
            at = self.tell(finding, at);
            match finding.decision.action {
                Action::Block => return Err(self.end_blocked()),
                Action::Drop => {
                    self.ended = true;
                    return Ok(());
                }
                _ => {
                    let replacement = sanitizers.replacement(&self.buffer, finding, self.stage);
                    out.push_str(&replacement);
                }
            }
        }
        if clear > self.open {
            out.push_str(&self.buffer[self.open..clear]);
            self.open = clear;
        }
        self.forget();
        Ok(())
    }

    /// The character's border at or before so many bytes from the buffer's end.
    fn before_end(&self, bytes: usize) -> usize {
        let mut at = self.buffer.len().saturating_sub(bytes);
        while !self.buffer.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    fn tell_passing(&mut self, passing: &[Decided], told: usize) {
        let mut at = self.origin;
        for finding in passing {
            if finding.hit.start >= told {
                break;
            }
            self.untold = finding.hit.end;
            at = self.tell(finding, at);
        }
        self.untold = self.untold.max(told);
    }

    /// Reports a finding; the place is walked to from `at`, which lies before it, and the place behind it is returned.
    fn tell(&mut self, finding: &Decided, at: Position) -> Position {
        let range = finding.range();
        let walked = (at.byte - self.origin.byte) as usize;
        let start = at.after(&self.buffer[walked..range.start]);
        let value = &self.buffer[range];
        let end = start.after(value);
        let path = self.path.as_deref();
        let told = self
            .sanitizers
            .reported(finding, value, path, (start, end), None);
        self.sanitizers
            .count(self.stage, std::slice::from_ref(&told), 0);
        self.findings.push(told);
        end
    }

    fn end_blocked(&mut self) -> Error {
        self.ended = true;
        let place = match &self.path {
            Some(path) => path.clone(),
            None => format!("the text ({})", stage_word(self.stage)),
        };
        match self.findings.last() {
            Some(finding) => blocked(finding, &place),
            None => Error::new(ErrorKind::Failed, "a finding was blocked and lost"),
        }
    }

    /// What could not be scanned, and all that would come after it, does not pass.
    fn withhold(&mut self, out: &mut String) {
        self.ended = true;
        self.sanitizers.count(self.stage, &[], 1);
        if self.sanitizers.policy().on_error(self.stage) == OnError::Withhold {
            out.push_str(WITHHELD);
        }
    }

    /// Lets go what no scan will look at again.
    fn forget(&mut self) {
        let needed = self.open.min(self.untold);
        let back = self.options.context.max(self.sanitizers.longest_mark());
        let mut cut = needed.saturating_sub(back);
        while !self.buffer.is_char_boundary(cut) {
            cut -= 1;
        }
        self.origin = self.origin.after(&self.buffer[..cut]);
        self.buffer.drain(..cut);
        self.open -= cut;
        self.untold -= cut;
    }
}

#[cfg(test)]
mod tests;
