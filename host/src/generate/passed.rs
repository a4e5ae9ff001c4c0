//! What of a continuation may be shown: all of it, or what the sanitizers let pass.

use std::sync::Arc;

use codex_plugin_api::{Result, Stage, TextBuffer};
use codex_redaction::{Format, Sanitizers, Stream, StreamOptions};

/// One continuation on its way out.
#[derive(Default)]
pub(super) struct Passed {
    stream: Option<Stream>,
    /// The end of the prompt, until it came out of the stream again.
    before: Option<String>,
    /// What came out of the stream meanwhile.
    waiting: String,
    text: String,
}

impl Passed {
    /// The continuation of a prompt of these bytes. What a model goes on with may have begun there, so the stream begins
    /// with the prompt's end, which is taken away again behind it.
    ///
    /// # Errors
    /// A sanitizer's failure, where the policy says so.
    pub(super) fn new(sanitizers: Option<&Arc<Sanitizers>>, prompt: &[u8]) -> Result<Self> {
        let Some(sanitizers) = sanitizers else {
            return Ok(Self::default());
        };
        let options = StreamOptions::generated();
        let seen = sanitizers.max_span() + options.context;
        let tail = String::from_utf8_lossy(&prompt[prompt.len().saturating_sub(seen)..]);
        let texts: TextBuffer = [&tail].into_iter().collect();
        let cleaned = sanitizers.inspect(texts.as_texts(), Format::Plain, Stage::Output, None)?;
        // Prompts have a policy of their own: what passed there is not found once more here.
        let known = cleaned
            .iter()
            .flat_map(|one| &one.findings)
            .filter(|finding| finding.action.changes())
            .map(|finding| finding.byte_end as usize)
            .max();
        let before = tail[known.unwrap_or(0)..].to_owned();
        let mut passed = Self {
            stream: Some(Stream::new(
                Arc::clone(sanitizers),
                Stage::Output,
                None,
                options,
            )),
            ..Self::default()
        };
        let (_, checked) = passed.push(before.clone(), false);
        checked?;
        passed.waiting = std::mem::take(&mut passed.text);
        passed.before = Some(before);
        Ok(passed)
    }

    /// Takes new text and gives what may be shown by now; of the `last` piece, all that is left. What comes with an
    /// error may be shown before it.
    pub(super) fn push(&mut self, text: String, last: bool) -> (String, Result<()>) {
        let (shown, checked) = match &mut self.stream {
            None => (text, Ok(())),
            Some(stream) => {
                let mut shown = String::new();
                let mut checked = stream.push(text.as_bytes(), &mut shown);
                if last && checked.is_ok() {
                    checked = stream.finish(&mut shown);
                }
                (shown, checked)
            }
        };
        let shown = self.behind_prompt(shown, last);
        self.text.push_str(&shown);
        (shown, checked)
    }

    /// Takes away what the prompt's end became: itself, or where a finding reaches into the continuation, what is alike.
    fn behind_prompt(&mut self, shown: String, last: bool) -> String {
        let Some(before) = &self.before else {
            return shown;
        };
        self.waiting.push_str(&shown);
        if self.waiting.len() < before.len() && !last && !self.has_ended() {
            return String::new();
        }
        let alike = before
            .chars()
            .zip(self.waiting.chars())
            .take_while(|(one, other)| one == other)
            .map(|(letter, _)| letter.len_utf8())
            .sum();
        self.before = None;
        self.waiting.split_off(alike)
    }

    /// Whether nothing more will pass.
    pub(super) fn has_ended(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::has_ended)
    }

    /// All that passed.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing;

    /// What is shown of a continuation that comes in pieces of so many letters.
    fn shown(prompt: &str, continuation: &str, size: usize) -> String {
        let sanitizers = testing::finding("secret");
        let mut passed = Passed::new(Some(&sanitizers), prompt.as_bytes()).unwrap();
        let letters: Vec<char> = continuation.chars().collect();
        let mut shown = String::new();
        for piece in letters.chunks(size) {
            let (text, checked) = passed.push(piece.iter().collect(), false);
            checked.unwrap();
            shown += &text;
        }
        let (text, checked) = passed.push(String::new(), true);
        checked.unwrap();
        shown += &text;
        assert_eq!(shown, passed.into_text());
        shown
    }

    #[test]
    fn a_secret_in_pieces_is_never_shown() {
        let filling = "ü ".repeat(400);
        for size in [1, 4, 1000] {
            assert_eq!(shown("a", "b secrets", size), "b [SECRET]s");
            let long = format!("{filling}secret{filling}");
            let expected = format!("{filling}[SECRET]{filling}");
            assert_eq!(shown("a", &long, size), expected);
            assert_eq!(shown(&long, &long, size), expected);
        }
    }

    #[test]
    fn a_secret_that_begins_in_the_prompt_is_found_and_one_within_it_is_not_repeated() {
        for size in [1, 100] {
            assert_eq!(shown("my sec", "ret", size), "[SECRET]");
            assert_eq!(shown("a secret", " and more", size), " and more");
            assert_eq!(shown("a secret sec", "rets", size), "[SECRET]s");
            assert_eq!(shown("", "", size), "");
        }
    }
}
