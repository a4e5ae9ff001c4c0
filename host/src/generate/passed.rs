//! What of a continuation may be shown: all of it, or what the sanitizers let pass.

use std::sync::Arc;

use codex_plugin_api::{Result, Stage};
use codex_redaction::{Sanitizers, Stream, StreamOptions};

/// One continuation on its way out.
pub(super) struct Passed {
    stream: Option<Stream>,
    text: String,
}

impl Passed {
    pub(super) fn new(sanitizers: Option<&Arc<Sanitizers>>) -> Self {
        let stream = sanitizers.map(|sanitizers| {
            let options = StreamOptions::generated();
            Stream::new(Arc::clone(sanitizers), Stage::Output, None, options)
        });
        Self {
            stream,
            text: String::new(),
        }
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
        self.text.push_str(&shown);
        (shown, checked)
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
