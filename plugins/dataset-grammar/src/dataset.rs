//! The dataset `grammar`: columns `text` and `log_probability`, each row made when it is read.

use std::fmt::Write as _;

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::{Deserialize, Serialize};
use codex_plugin_api::{
    Batch, Column, Dataset, DatasetInfo, Field, FieldType, FromConfig, HostRef, Result, TextBuffer,
    Values,
};
use sha2::{Digest, Sha256};

use crate::english;
use crate::grammar::{Grammar, Symbol};
use crate::random::Stream;
use crate::style::Style;
use crate::surface;

/// Which words and habits the text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum StyleName {
    /// Stories of people and animals.
    #[default]
    Plain,
    /// Reports of institutions; another lexicon on the same rules, for fine-tuning.
    Formal,
}

/// What the dataset `grammar` can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
pub struct Config {
    /// Another seed gives other documents.
    pub seed: u64,
    /// How many documents there are. They are made when read, so many cost nothing.
    #[schemars(range(min = 1))]
    pub documents: u64,
    /// Which words and habits the text has.
    pub style: StyleName,
}

impl Default for Config {
    fn default() -> Self {
        // 8 MB of plain text, about 1.8 million words and marks: more than a run of a minute on two cores sees once.
        Self {
            seed: 0,
            documents: 50_000,
            style: StyleName::Plain,
        }
    }
}

/// Documents of a grammar; document *i* is a function of the seed and *i* alone.
#[derive(Debug)]
pub struct GrammarDataset {
    grammar: Grammar,
    config: Config,
    fingerprint: String,
}

impl GrammarDataset {
    /// Builds the grammar; nothing is generated yet.
    pub fn new(config: Config) -> Self {
        let style = match config.style {
            StyleName::Plain => Style::PLAIN,
            StyleName::Formal => Style::FORMAL,
        };
        let grammar = english::grammar(&style);
        let fingerprint = fingerprint(&grammar, &config);
        Self {
            grammar,
            config,
            fingerprint,
        }
    }

    /// Document `index`: its text and the natural logarithm of its probability, the document's end included.
    pub fn document(&self, index: u64) -> (String, f64) {
        let (words, log_probability) = self
            .grammar
            .sample(&mut Stream::new(self.config.seed, index));
        (surface::text(&self.grammar, &words), log_probability)
    }

    /// The grammar, to score texts with ([`score::log_probability`](crate::score::log_probability)) or to ask for its entropy.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }
}

/// SHA-256 of all that decides the documents: every rule with its weights and words, the seed and the number of documents.
/// Integers and text only, so it is the same on every machine.
fn fingerprint(grammar: &Grammar, config: &Config) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("grammar 1 {} {}\n", config.seed, config.documents));
    for rule in &grammar.rules {
        let mut line = String::new();
        for alternative in &rule.alternatives {
            let _ = write!(line, "{}", alternative.weight);
            for symbol in &alternative.symbols {
                let _ = match symbol {
                    Symbol::Word(word) => write!(line, " {}", grammar.words[*word as usize]),
                    Symbol::Rule(number) => write!(line, " #{number}"),
                };
            }
            line.push('|');
        }
        line.push('\n');
        hash.update(line);
    }
    let mut text = String::from("grammar-");
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl FromConfig for GrammarDataset {
    type Config = Config;

    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self::new(config))
    }
}

impl Dataset for GrammarDataset {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(DatasetInfo {
            fields: vec![
                Field::new("text", FieldType::Text),
                Field::new("log_probability", FieldType::F64),
            ],
            rows: Some(self.config.documents),
            fingerprint: self.fingerprint.clone(),
            text_column: Some("text".into()),
            log_probability_column: Some("log_probability".into()),
        })
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let end = start.saturating_add(count).min(self.config.documents);
        let mut texts = TextBuffer::new();
        let mut scores = Vec::new();
        for index in start..end {
            let (text, log_probability) = self.document(index);
            texts.push(&text);
            scores.push(log_probability);
        }
        Batch::new(vec![
            Column::new("text", Values::Text(texts)),
            Column::new("log_probability", Values::F64(scores)),
        ])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn open(config: Config) -> GrammarDataset {
        GrammarDataset::new(config)
    }

    #[test]
    fn rows_are_the_same_in_any_chunking_and_order() {
        let dataset = open(Config {
            documents: 103,
            ..Config::default()
        });
        let whole = dataset.read(0, 1_000).unwrap();
        assert_eq!(whole.rows(), 103);
        for size in [1, 7, 50, 102] {
            for start in (0..103).step_by(size).rev() {
                let part = dataset.read(start as u64, size as u64).unwrap();
                for (columns, full) in part.columns().iter().zip(whole.columns()) {
                    match (&columns.values, &full.values) {
                        (Values::Text(part), Values::Text(full)) => {
                            let full: Vec<_> =
                                full.as_texts().iter().skip(start).take(size).collect();
                            assert_eq!(part.as_texts().iter().collect::<Vec<_>>(), full);
                        }
                        (Values::F64(part), Values::F64(full)) => {
                            assert_eq!(part[..], full[start..(start + size).min(103)]);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        assert_eq!(dataset.read(103, 5).unwrap().rows(), 0);
        assert_eq!(dataset.read(u64::MAX, u64::MAX).unwrap().rows(), 0);
    }

    /// What was generated and published stays: these values may change only together with the fingerprint.
    #[test]
    fn documents_and_fingerprints_are_pinned() {
        let of = |style, seed| {
            let dataset = open(Config {
                seed,
                style,
                documents: 10,
            });
            (dataset.document(3).0, dataset.info().unwrap().fingerprint)
        };
        let found = [of(StyleName::Plain, 0), of(StyleName::Formal, 5)];
        let pinned = [
            (
                "There was a fox. It ate two carrots.",
                "grammar-af152d051a6de68c4cde7fef62d9a251a91dcc2debb4bc152fcebfc51f828913",
            ),
            (
                "The chairwoman stated that she reviewed the letter. The old spokeswoman generally stated that the \
                 chairwomen within the districts agreed. She waited for most financial regions although she examined the \
                 objection.",
                "grammar-8664a39bf88f70b4aaff8ead00c836fd23dd02f373706270847353c43425fff1",
            ),
        ];
        assert_eq!(
            found
                .each_ref()
                .map(|(text, print)| (text.as_str(), print.as_str())),
            pinned
        );
    }

    #[test]
    fn every_option_changes_the_fingerprint() {
        let all: std::collections::HashSet<String> = [
            Config::default(),
            Config {
                seed: 1,
                ..Config::default()
            },
            Config {
                documents: 1,
                ..Config::default()
            },
            Config {
                style: StyleName::Formal,
                ..Config::default()
            },
        ]
        .into_iter()
        .map(|config| open(config).info().unwrap().fingerprint)
        .collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_document_far_away_costs_no_more_than_the_first() {
        let dataset = open(Config {
            documents: u64::MAX,
            ..Config::default()
        });
        assert_eq!(dataset.read(u64::MAX - 2, 10).unwrap().rows(), 2);
    }

    #[test]
    fn conforms() {
        let config = codex_plugin_api::serde_json::json!({ "documents": 300 });
        codex_plugin_api::testing::check_dataset::<GrammarDataset>(config);
    }
}
