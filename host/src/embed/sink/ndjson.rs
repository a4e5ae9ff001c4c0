//! Rows as lines of JSON: `{"index": 0, "embedding": [0.1, …]}`, with `text` between the two where it was asked for.

use std::io::Write;

use codex_plugin_api::{Context, Error, Result};
use serde::Serialize;

use super::super::output_file::{OutputFile, write_error};
use super::{Rows, Sink};

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    embedding: &'a [f32],
}

/// The rows' lines, each with its line break. Numbers have as many digits as give the same number back.
///
/// # Errors
/// None for numbers that are finite.
pub fn lines(rows: &Rows<'_>) -> Result<String> {
    let mut lines = Vec::with_capacity(rows.values.len() * 12);
    for (index, text, embedding) in rows.iter() {
        let line = Line {
            index,
            text,
            embedding,
        };
        serde_json::to_writer(&mut lines, &line)
            .or_error(|| Error::failed("cannot write an embedding as JSON"))?;
        lines.push(b'\n');
    }
    String::from_utf8(lines).or_error(|| Error::failed("an embedding as JSON is not UTF-8"))
}

/// A file of such lines.
pub(super) struct NdjsonFile(OutputFile);

impl NdjsonFile {
    pub(super) fn new(file: OutputFile) -> Self {
        Self(file)
    }
}

impl Sink for NdjsonFile {
    fn write(&mut self, rows: &Rows<'_>) -> Result<()> {
        let lines = lines(rows)?;
        self.0
            .write_all(lines.as_bytes())
            .map_err(|error| write_error(self.0.path(), &error))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.0.place()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::TextBuffer;

    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        let values = [0.1_f32, -1.0 / 3.0, 1e-12, 16_777_216.0];
        let texts: TextBuffer = ["a \"word\"", ""].into_iter().collect();
        let rows = Rows {
            first: 7,
            dimensions: 2,
            values: &values,
            texts: Some(texts.as_texts()),
        };
        let text = lines(&rows).unwrap();
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            r#"{"index":7,"text":"a \"word\"","embedding":[0.1,-0.33333334]}"#
        );
        let back: Vec<f32> = text
            .lines()
            .flat_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let numbers = line["embedding"].as_array().unwrap().clone();
                numbers
                    .into_iter()
                    .map(|number| number.as_f64().unwrap() as f32)
            })
            .collect();
        assert_eq!(back, values);
        let bare = Rows {
            texts: None,
            ..rows
        };
        assert!(!lines(&bare).unwrap().contains("text"));
    }
}
