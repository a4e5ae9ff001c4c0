//! The command `{{name}}`: the most frequent words of a file.
//!
//! Its arguments stand in `plugin.toml`, so help, checks and completion never run this code. It reads nothing itself: it asks
//! the host for the dataset `files`, which knows text, JSON Lines, CSV and Parquet. Both that and printing need a permission.

wit_bindgen::generate!({ path: "wit", world: "command-plugin" });

use std::collections::BTreeMap;

use codex::plugin::types::{ColumnValues, Error, ErrorKind};
use codex::plugin::{components, host, terminal};
use exports::codex::plugin::command::Guest;
use serde_json::{Value, json};

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

impl Guest for {{Type}} {
    fn create(_name: String, _config: String) -> Result<(), Error> {
        Ok(())
    }
    /// The arguments were checked against `plugin.toml`, and their defaults are filled in.
    fn run(arguments: String) -> Result<i32, Error> {
        let arguments: Value = serde_json::from_str(&arguments).unwrap_or_default();
        let files = json!({"path": arguments["path"]}).to_string();
        let dataset = components::create_dataset("files", &files)?;
        let column = dataset.info()?.text_column.unwrap_or_else(|| "text".into());
        let (mut words, mut row) = (Words::default(), 0);
        loop {
            if host::interrupted() {
                let message = "interrupted".to_owned();
                return Err(Error { kind: ErrorKind::Interrupted, message, hint: None, causes: vec![] });
            }
            let read = dataset.read(row, 1000)?;
            let Some(ColumnValues::Text(texts)) = read.into_iter().find(|c| c.name == column).map(|c| c.values) else {
                break;
            };
            // Texts lie one behind the other, with packed offsets between them.
            let offset = |bytes: &[u8]| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes) as usize;
            let offsets: Vec<usize> = texts.offsets.chunks_exact(8).map(offset).collect();
            if offsets.len() < 2 {
                break;
            }
            row += offsets.len() as u64 - 1;
            for pair in offsets.windows(2) {
                words.add(&String::from_utf8_lossy(&texts.bytes[pair[0]..pair[1]]));
            }
        }
        terminal::print(&words.report(arguments["top"].as_u64().unwrap_or(10) as usize))?;
        Ok(0)
    }
}

export!({{Type}});

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
