//! The dataset `grammar`: texts with their log-probability, pairs of texts, or labelled texts, each row made when it is read.

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

/// What a row holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", rename_all = "kebab-case")]
#[schemars(crate = "codex_plugin_api::schemars")]
pub enum RowsName {
    /// `text` and its exact `log_probability`.
    #[default]
    Texts,
    /// `anchor`, a story in the style that was chosen, and `positive`, the same story in the other one.
    Pairs,
    /// `text`, a story whose sentences come from both styles; `score`, the share of them that are formal; and `label`:
    /// `formal` where more than half of them are, else `plain`.
    Labelled,
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
    /// What a row holds.
    pub rows: RowsName,
}

impl Default for Config {
    fn default() -> Self {
        // 8 MB of plain text, about 1.8 million words and marks: more than a run of a minute on two cores sees once.
        Self {
            seed: 0,
            documents: 50_000,
            style: StyleName::Plain,
            rows: RowsName::Texts,
        }
    }
}

/// Documents of a grammar; document *i* is a function of the seed and *i* alone.
#[derive(Debug)]
pub struct GrammarDataset {
    grammar: Grammar,
    /// Where rows need both styles: a grammar with the same derivations and the other style's words.
    other: Option<Grammar>,
    config: Config,
    fingerprint: String,
}

impl GrammarDataset {
    /// Builds the grammar; nothing is generated yet.
    pub fn new(config: Config) -> Self {
        let (style, other) = match config.style {
            StyleName::Plain => (Style::PLAIN, Style::FORMAL),
            StyleName::Formal => (Style::FORMAL, Style::PLAIN),
        };
        let (grammar, other) = match config.rows {
            RowsName::Texts => (english::grammar(&style), None),
            RowsName::Pairs | RowsName::Labelled => {
                let [style, other] = style.aligned(&other);
                (english::grammar(&style), Some(english::grammar(&other)))
            }
        };
        let fingerprint = fingerprint(&grammar, other.as_ref(), &config);
        Self {
            grammar,
            other,
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

    /// The same story as [`Self::document`]'s, with the other style's words.
    fn retold(&self, index: u64, other: &Grammar) -> String {
        let (words, _) = other.sample(&mut Stream::new(self.config.seed, index));
        surface::text(other, &words)
    }

    /// A story of both styles and the share of its sentences that are formal.
    fn mixed(&self, index: u64, other: &Grammar) -> (String, f64) {
        let (own, retold) = (self.document(index).0, self.retold(index, other));
        let (own, retold) = (surface::sentences(&own), surface::sentences(&retold));
        let count = own.len() as u32;
        // Streams of documents are keyed by the seed; its complement keys those of mixtures.
        let mut stream = Stream::new(!self.config.seed, index);
        let mut left = stream.below(count + 1);
        let share = f64::from(left) / f64::from(count);
        let mut text = String::new();
        for (place, (own, retold)) in own.iter().zip(&retold).enumerate() {
            // Of the sentences that are to come, each is as likely as the next to be one of those left.
            let take = left > 0 && stream.below(count - place as u32) < left;
            left -= u32::from(take);
            if place > 0 {
                text.push(' ');
            }
            text.push_str(if take { retold } else { own });
        }
        let formal = match self.config.style {
            StyleName::Plain => share,
            StyleName::Formal => 1.0 - share,
        };
        (text, formal)
    }

    /// The grammar, to score texts with ([`score::log_probability`](crate::score::log_probability)) or to ask for its entropy.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }
}

/// SHA-256 of all that decides the documents: every rule with its weights and words, the seed, the number of documents and
/// what a row holds. Integers and text only, so it is the same on every machine.
fn fingerprint(grammar: &Grammar, other: Option<&Grammar>, config: &Config) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("grammar 1 {} {}\n", config.seed, config.documents));
    rules(grammar, &mut hash);
    if let Some(other) = other {
        hash.update(format!("rows 1 {:?}\n", config.rows));
        rules(other, &mut hash);
    }
    let mut text = String::from("grammar-");
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn rules(grammar: &Grammar, hash: &mut Sha256) {
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
}

impl FromConfig for GrammarDataset {
    type Config = Config;

    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        Ok(Self::new(config))
    }
}

impl Dataset for GrammarDataset {
    fn info(&self) -> Result<DatasetInfo> {
        let fields: &[(&str, FieldType)] = match self.config.rows {
            RowsName::Texts => &[
                ("text", FieldType::Text),
                ("log_probability", FieldType::F64),
            ],
            RowsName::Pairs => &[("anchor", FieldType::Text), ("positive", FieldType::Text)],
            RowsName::Labelled => &[
                ("text", FieldType::Text),
                ("label", FieldType::Text),
                ("score", FieldType::F64),
            ],
        };
        let has = |name: &str| {
            let known = fields.iter().any(|(field, _)| *field == name);
            known.then(|| name.to_owned())
        };
        Ok(DatasetInfo {
            fields: fields
                .iter()
                .map(|&(name, kind)| Field::new(name, kind))
                .collect(),
            rows: Some(self.config.documents),
            fingerprint: self.fingerprint.clone(),
            text_column: has("text"),
            log_probability_column: has("log_probability"),
        })
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let end = start.saturating_add(count).min(self.config.documents);
        let rows = start..end;
        let text = |name: &str, texts: TextBuffer| Column::new(name, Values::Text(texts));
        let Some(other) = &self.other else {
            let mut texts = TextBuffer::new();
            let mut scores = Vec::new();
            for index in rows {
                let (text, log_probability) = self.document(index);
                texts.push(&text);
                scores.push(log_probability);
            }
            return Batch::new(vec![
                text("text", texts),
                Column::new("log_probability", Values::F64(scores)),
            ]);
        };
        if self.config.rows == RowsName::Pairs {
            let anchors = rows.clone().map(|index| self.document(index).0);
            let positives = rows.map(|index| self.retold(index, other));
            return Batch::new(vec![
                Column::text("anchor", anchors),
                Column::text("positive", positives),
            ]);
        }
        let (texts, scores): (Vec<String>, Vec<f64>) =
            rows.map(|index| self.mixed(index, other)).unzip();
        let label = |score: &f64| if *score > 0.5 { "formal" } else { "plain" };
        Batch::new(vec![
            Column::text("text", texts),
            Column::text("label", scores.iter().map(label)),
            Column::new("score", Values::F64(scores)),
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
                ..Config::default()
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
            Config {
                rows: RowsName::Pairs,
                ..Config::default()
            },
            Config {
                rows: RowsName::Labelled,
                ..Config::default()
            },
        ]
        .into_iter()
        .map(|config| open(config).info().unwrap().fingerprint)
        .collect();
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn a_document_far_away_costs_no_more_than_the_first() {
        let dataset = open(Config {
            documents: u64::MAX,
            ..Config::default()
        });
        assert_eq!(dataset.read(u64::MAX - 2, 10).unwrap().rows(), 2);
    }

    fn text(batch: &Batch, column: &str, row: usize) -> String {
        let Values::Text(texts) = &batch.column(column).unwrap().values else {
            panic!("{column} is no text");
        };
        texts.as_texts().get(row).unwrap().to_owned()
    }

    /// What was generated and published stays, as for texts.
    #[test]
    fn a_pair_is_one_story_in_two_styles() {
        let dataset = open(Config {
            rows: RowsName::Pairs,
            ..Config::default()
        });
        let batch = dataset.read(3, 1).unwrap();
        let marks = |text: &str| -> String {
            text.chars()
                .filter(|c| matches!(c, '.' | ',' | '?' | '!'))
                .collect()
        };
        for row in 0..200 {
            let batch = dataset.read(row, 1).unwrap();
            let (anchor, positive) = (text(&batch, "anchor", 0), text(&batch, "positive", 0));
            assert_ne!(anchor, positive);
            assert_eq!(marks(&anchor), marks(&positive), "{anchor} | {positive}");
        }
        assert_eq!(
            (
                text(&batch, "anchor", 0).as_str(),
                text(&batch, "positive", 0).as_str()
            ),
            (
                "There was a fox. It ate two carrots.",
                "There was a council. It discussed these objections."
            )
        );
    }

    #[test]
    fn a_label_is_what_most_sentences_are() {
        let labelled = |style| {
            open(Config {
                rows: RowsName::Labelled,
                style,
                ..Config::default()
            })
        };
        let plain = labelled(StyleName::Plain);
        let batch = plain.read(0, 2000).unwrap();
        let Values::F64(scores) = &batch.column("score").unwrap().values else {
            panic!("scores are numbers");
        };
        let mut formal = 0;
        for (row, score) in scores.iter().enumerate() {
            assert!((0.0..=1.0).contains(score));
            let label = text(&batch, "label", row);
            assert_eq!(label == "formal", *score > 0.5);
            formal += usize::from(label == "formal");
        }
        // A tie is plain.
        assert!((600..1000).contains(&formal), "{formal} of 2000");
        let own = plain.document(0).0;
        let none = (0..2000).find(|&row| scores[row] == 0.0).unwrap();
        assert_eq!(text(&batch, "text", none), plain.document(none as u64).0);
        assert!(!own.is_empty());
        let formal = labelled(StyleName::Formal).read(0, 9).unwrap();
        assert_eq!(formal.rows(), 9);
    }

    #[test]
    fn conforms() {
        use codex_plugin_api::serde_json::json;
        for rows in ["texts", "pairs", "labelled"] {
            let config = json!({ "documents": 300, "rows": rows });
            codex_plugin_api::testing::check_dataset::<GrammarDataset>(config);
        }
    }
}
