//! The command `{{name}}`: the most frequent words of a file.
//!
//! Its arguments stand in `plugin.toml`, so help, checks and completion never run this code. It reads nothing itself: it asks
//! the host for the dataset `files`, which knows text, JSON Lines, CSV and Parquet.

use std::collections::BTreeMap;

use codex_plugin_api::serde_json::json;
use codex_plugin_api::{Arguments, Command, Error, HostRef, Result, Values};

#[derive(Default)]
struct {{Type}};

/// Words and how often they come.
#[derive(Default)]
struct Words(BTreeMap<String, u64>);

impl Words {
    fn add(&mut self, text: &str) {
        for word in text.split_whitespace() {
            *self.0.entry(word.to_lowercase()).or_default() += 1;
        }
    }

    /// A line for each of the most frequent words; of equally frequent ones the first in the alphabet.
    fn report(&self, top: usize) -> String {
        let mut words: Vec<(&String, &u64)> = self.0.iter().collect();
        words.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        words.iter().take(top).map(|(word, count)| format!("{count:>6}  {word}\n")).collect()
    }
}

impl Command for {{Type}} {
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
        let dataset = host.create_dataset("files", &json!({"path": arguments.text("path")}))?;
        let column = dataset.info()?.text_column.unwrap_or_else(|| "text".into());
        let (mut words, mut row) = (Words::default(), 0);
        loop {
            if host.interrupted() {
                return Err(Error::interrupted());
            }
            let batch = dataset.read(row, 1000)?;
            if batch.rows() == 0 {
                break;
            }
            row += batch.rows() as u64;
            if let Values::Text(texts) = &batch.column(&column)?.values {
                texts.as_texts().iter().for_each(|text| words.add(text));
            }
        }
        let top = arguments.integer("top").unwrap_or(10).max(0) as usize;
        host.print(&words.report(top))?;
        Ok(0)
    }
}

codex_plugin_api::plugin! { command "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_words_come_first() {
        let mut words = Words::default();
        words.add("the cat and The dog");
        assert_eq!(words.report(2), "     2  the\n     1  and\n");
    }
}
