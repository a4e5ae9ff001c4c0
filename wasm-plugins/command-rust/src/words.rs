//! Counting, however the text is divided into parts.

use std::collections::HashMap;
use std::fmt::Write as _;

/// What was counted so far. A word is what stands between white space, without punctuation around it.
#[derive(Debug)]
pub(crate) struct Words {
    ignore_case: bool,
    bytes: u64,
    lines: u64,
    found: u64,
    characters: u64,
    counts: HashMap<String, u64>,
    /// The end of the last part: a word, or a character, that may go on.
    rest: Vec<u8>,
    ends_line: bool,
}

impl Words {
    pub(crate) fn new(ignore_case: bool) -> Self {
        Self {
            ignore_case,
            bytes: 0,
            lines: 0,
            found: 0,
            characters: 0,
            counts: HashMap::new(),
            rest: Vec::new(),
            ends_line: true,
        }
    }

    /// How many bytes were added.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the next part.
    ///
    /// # Errors
    /// The place of a byte at which the text is not UTF-8.
    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), u64> {
        let start = self.bytes - self.rest.len() as u64;
        self.bytes += part.len() as u64;
        let mut text = std::mem::take(&mut self.rest);
        text.extend_from_slice(part);
        // White space of one byte is white space wherever a character was cut.
        let whole = text
            .iter()
            .rposition(u8::is_ascii_whitespace)
            .map_or(0, |at| at + 1);
        self.rest = text.split_off(whole);
        self.count(&text, start)
    }

    fn count(&mut self, text: &[u8], start: u64) -> Result<(), u64> {
        let text = std::str::from_utf8(text).map_err(|why| start + why.valid_up_to() as u64)?;
        self.lines += text.matches('\n').count() as u64;
        self.characters += text.chars().count() as u64;
        if let Some(last) = text.chars().next_back() {
            self.ends_line = last == '\n';
        }
        for word in text.split_whitespace() {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric());
            if word.is_empty() {
                continue;
            }
            self.found += 1;
            if self.ignore_case {
                *self.counts.entry(word.to_lowercase()).or_default() += 1;
            } else if let Some(count) = self.counts.get_mut(word) {
                *count += 1;
            } else {
                self.counts.insert(word.to_owned(), 1);
            }
        }
        Ok(())
    }

    /// Ends the text; gives the lines to print.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn report(mut self, top: usize) -> Result<String, u64> {
        let rest = std::mem::take(&mut self.rest);
        self.count(&rest, self.bytes - rest.len() as u64)?;
        let lines = self.lines + u64::from(!self.ends_line);
        let mut report = String::new();
        for (name, value) in [
            ("lines", lines),
            ("words", self.found),
            ("different words", self.counts.len() as u64),
            ("characters", self.characters),
            ("bytes", self.bytes),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(report, "{name:<16}{value:>12}");
        }
        let mut counts: Vec<(String, u64)> = self.counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for (word, count) in counts.into_iter().take(top) {
            let _ = writeln!(report, "{count:>12}  {word}");
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str, part: usize, ignore_case: bool) -> String {
        let mut words = Words::new(ignore_case);
        for part in text.as_bytes().chunks(part) {
            words.add(part).expect("UTF-8");
        }
        words.report(2).expect("UTF-8")
    }

    const TEXT: &str = "The kůň and the dog.\n\n(The kůň – again)";

    #[test]
    fn a_report_counts_everything() {
        let expected = "\
lines                      3
words                      8
different words            6
characters                39
bytes                     45
           2  The
           2  kůň
";
        assert_eq!(report(TEXT, 1000, false), expected);
        assert!(
            report(TEXT, 1000, true).contains("3  the\n"),
            "{}",
            report(TEXT, 1000, true)
        );
        assert!(report("", 1, false).starts_with("lines                      0\n"));
        assert!(report("a\n", 1, false).starts_with("lines                      1\n"));
    }

    #[test]
    fn how_the_text_is_divided_does_not_matter() {
        for part in 1..TEXT.len() {
            assert_eq!(
                report(TEXT, part, true),
                report(TEXT, 1000, true),
                "parts of {part}"
            );
        }
    }

    #[test]
    fn a_byte_that_is_no_text_is_named() {
        let mut words = Words::new(false);
        words.add(b"good ").expect("UTF-8");
        assert_eq!(words.add(b"and \xff bad\n"), Err(9));
        let mut cut = Words::new(false);
        cut.add(b"ends in \xc5").expect("it may go on");
        assert_eq!(cut.report(0), Err(8));
    }
}
