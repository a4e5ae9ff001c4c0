//! Which columns of a dataset a task reads: those that were asked for, else those of a usual name, else the obvious ones.

use codex_plugin_api::{DatasetInfo, Error, FieldType, Result};

use super::documents::{columns_hint, type_name};
use crate::config::ColumnNames;
use crate::task::Task;

/// Usual names of two texts that belong together, the more telling ones first.
const PAIRS: [(&str, &str); 11] = [
    ("anchor", "positive"),
    ("query", "positive"),
    ("query", "passage"),
    ("query", "document"),
    ("query", "answer"),
    ("question", "answer"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("text1", "text2"),
    ("text_a", "text_b"),
];

/// Usual names of a text that does not belong to the anchor.
const NEGATIVES: [&str; 2] = ["negative", "hard_negative"];

/// Usual names of one text.
const TEXTS: [&str; 3] = ["text", "sentence", "content"];

/// Usual names of a class, and of a value.
const CLASSES: [&str; 5] = ["label", "labels", "class", "category", "score"];
const VALUES: [&str; 5] = ["score", "label", "labels", "value", "target"];

/// The columns that a task reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Of texts: two or three for embeddings, else one or two.
    pub(super) texts: Vec<String>,
    /// Of the class or the value.
    pub(super) label: Option<String>,
}

impl Columns {
    /// Chooses the columns of a task on records.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] with the columns that exist.
    pub(super) fn choose(info: &DatasetInfo, task: Task, asked: &ColumnNames) -> Result<Self> {
        let fields = Fields(info);
        if task == Task::Embedding {
            return fields.pair(asked);
        }
        let usual = match task {
            Task::Regression => VALUES,
            _ => CLASSES,
        };
        let label = match &asked.label {
            Some(name) => fields.asked("label_column", name, None)?,
            None => usual
                .into_iter()
                .find(|name| fields.has(name))
                .ok_or_else(|| {
                    Error::config(format!(
                        "{task} needs a column of labels, and none of the dataset's has a usual name"
                    ))
                    .hint(format!("set data.label_column: {}", columns_hint(info)))
                })?
                .to_owned(),
        };
        let text = fields.text(asked, &label)?;
        let pair = match &asked.text_pair {
            Some(name) => Some(fields.asked("text_pair_column", name, Some(FieldType::Text))?),
            None => PAIRS
                .into_iter()
                .chain([("text", "text_pair")])
                .find(|(first, second)| *first == text && fields.has_text(second))
                .map(|(_, second)| second.to_owned()),
        };
        Ok(Self {
            texts: std::iter::once(text).chain(pair).collect(),
            label: Some(label),
        })
    }
}

struct Fields<'a>(&'a DatasetInfo);

impl Fields<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.fields.iter().any(|field| field.name == name)
    }

    fn has_text(&self, name: &str) -> bool {
        let mut fields = self.0.fields.iter();
        fields.any(|field| field.name == name && field.field_type == FieldType::Text)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.0.fields.iter();
        texts
            .filter(|field| field.field_type == FieldType::Text)
            .map(|field| field.name.as_str())
    }

    /// A column that a key names.
    fn asked(&self, key: &str, name: &str, due: Option<FieldType>) -> Result<String> {
        match self.0.fields.iter().find(|field| field.name == name) {
            None => Err(Error::config(format!("the dataset has no column {name:?}"))
                .hint(format!("set data.{key}: {}", columns_hint(self.0)))),
            Some(field) if due.is_some_and(|due| due != field.field_type) => {
                Err(Error::config(format!(
                    "column {name:?} holds {}, not text",
                    type_name(field.field_type)
                ))
                .hint(format!("set data.{key}: {}", columns_hint(self.0))))
            }
            Some(_) => Ok(name.to_owned()),
        }
    }

    fn pair(&self, asked: &ColumnNames) -> Result<Columns> {
        let text = |key: &str, name: &Option<String>| {
            let name = name.as_deref();
            name.map(|name| self.asked(key, name, Some(FieldType::Text)))
                .transpose()
        };
        let negative = text("negative_column", &asked.negative)?.or_else(|| {
            let usual = NEGATIVES.into_iter().find(|name| self.has_text(name));
            usual.map(str::to_owned)
        });
        let (anchor, positive) = (
            text("anchor_column", &asked.anchor)?,
            text("positive_column", &asked.positive)?,
        );
        let usual = PAIRS.into_iter().find(|(first, second)| {
            self.has_text(first)
                && self.has_text(second)
                && anchor.as_deref().is_none_or(|anchor| anchor == *first)
                && positive
                    .as_deref()
                    .is_none_or(|positive| positive == *second)
        });
        let (first, second) = usual.unzip();
        let mut others = self.texts().filter(|name| {
            let name = Some(*name);
            name != anchor.as_deref() && name != positive.as_deref() && name != negative.as_deref()
        });
        let anchor = anchor
            .clone()
            .or_else(|| first.or_else(|| others.next()).map(str::to_owned));
        let positive = positive
            .clone()
            .or_else(|| second.or_else(|| others.next()).map(str::to_owned));
        let (Some(anchor), Some(positive)) = (anchor, positive) else {
            return Err(
                Error::config("embedding needs two columns of text that belong together").hint(
                    format!(
                        "set data.anchor_column and data.positive_column: {}",
                        columns_hint(self.0)
                    ),
                ),
            );
        };
        if anchor == positive {
            return Err(
                Error::config(format!("anchor and positive are both column {anchor:?}")).hint(
                    format!("set data.positive_column: {}", columns_hint(self.0)),
                ),
            );
        }
        Ok(Columns {
            texts: [anchor, positive].into_iter().chain(negative).collect(),
            label: None,
        })
    }

    /// The column of the (first) text of a labelled row.
    fn text(&self, asked: &ColumnNames, label: &str) -> Result<String> {
        if let Some(name) = &asked.text {
            return self.asked("text_column", name, Some(FieldType::Text));
        }
        let told = self.0.text_column.as_deref();
        let usual = told
            .into_iter()
            .chain(TEXTS)
            .chain(PAIRS.into_iter().map(|(first, _)| first))
            .find(|name| self.has_text(name) && *name != label);
        if let Some(name) = usual {
            return Ok(name.to_owned());
        }
        let mut texts = self.texts().filter(|name| *name != label);
        match (texts.next(), texts.next()) {
            (Some(only), None) => Ok(only.to_owned()),
            (None, _) => Err(
                Error::data("the dataset has no text column beside the labels")
                    .hint(columns_hint(self.0)),
            ),
            (Some(_), Some(_)) => Err(Error::config(
                "the dataset has several text columns and does not say which to use",
            )
            .hint(format!("set data.text_column: {}", columns_hint(self.0)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use codex_plugin_api::Field;

    use super::*;

    fn info(fields: &[&str]) -> DatasetInfo {
        let field = |text: &&str| match text.split_once(':') {
            Some((name, "i")) => Field::new(name, FieldType::I64),
            Some((name, _)) => Field::new(name, FieldType::F64),
            None => Field::new(*text, FieldType::Text),
        };
        DatasetInfo {
            fields: fields.iter().map(field).collect(),
            rows: Some(1),
            fingerprint: String::new(),
            text_column: None,
            log_probability_column: None,
        }
    }

    /// `asked` is `key=name` words; what comes is `texts | label`, or words of the error.
    fn check(fields: &[&str], task: Task, asked: &str, expected: Result<&str, &str>) {
        let mut names = ColumnNames::default();
        for (key, name) in asked
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
        {
            let slot = match key {
                "text" => &mut names.text,
                "pair" => &mut names.text_pair,
                "anchor" => &mut names.anchor,
                "positive" => &mut names.positive,
                "negative" => &mut names.negative,
                _ => &mut names.label,
            };
            *slot = Some(name.to_owned());
        }
        match Columns::choose(&info(fields), task, &names) {
            Ok(columns) => {
                let label = columns.label.unwrap_or_default();
                let found = format!("{} | {label}", columns.texts.join(" "));
                assert_eq!(Ok(found.as_str()), expected, "{fields:?} {asked}");
            }
            Err(error) => {
                let all = format!("{error} {}", error.hint_text().unwrap_or_default());
                let Err(words) = expected else {
                    panic!("{fields:?} {asked}: {all}")
                };
                assert!(all.contains(words), "{all} lacks {words}");
            }
        }
    }

    #[test]
    fn pairs_are_found_by_name_then_by_place() {
        use Task::Embedding;
        for (fields, asked, expected) in [
            (&["positive", "anchor"][..], "", Ok("anchor positive | ")),
            (&["id:i", "a", "b", "c"], "", Ok("a b | ")),
            (
                &["query", "negative", "answer"],
                "",
                Ok("query answer negative | "),
            ),
            (
                &["sentence1", "sentence2", "score:f"],
                "",
                Ok("sentence1 sentence2 | "),
            ),
            (&["a", "b", "c"], "anchor=c", Ok("c a | ")),
            (&["a", "b", "c"], "positive=a", Ok("b a | ")),
            (
                &["anchor", "positive", "x"],
                "negative=x",
                Ok("anchor positive x | "),
            ),
            (
                &["anchor", "positive", "x"],
                "positive=x",
                Ok("anchor x | "),
            ),
            (&["a", "n:i"], "", Err("two columns of text")),
            (
                &["a", "n:i"],
                "",
                Err("the columns are a (text), n (integers)"),
            ),
            (&["a", "b"], "anchor=z", Err("no column \"z\"")),
            (
                &["a", "b", "n:i"],
                "anchor=n",
                Err("holds integers, not text"),
            ),
            (&["a", "b"], "anchor=a positive=a", Err("both column \"a\"")),
        ] {
            check(fields, Embedding, asked, expected);
        }
    }

    #[test]
    fn labels_and_texts_are_found_by_name() {
        use Task::{Classification, Regression};
        for (fields, task, asked, expected) in [
            (
                &["text", "label:i"][..],
                Classification,
                "",
                Ok("text | label"),
            ),
            (&["label", "body"], Classification, "", Ok("body | label")),
            (
                &["sentence1", "sentence2", "label:i"],
                Classification,
                "",
                Ok("sentence1 sentence2 | label"),
            ),
            (
                &["text", "label", "score:f"],
                Regression,
                "",
                Ok("text | score"),
            ),
            (
                &["text", "label", "score:f"],
                Classification,
                "",
                Ok("text | label"),
            ),
            (
                &["a", "b", "stars:i"],
                Classification,
                "text=a pair=b label=stars",
                Ok("a b | stars"),
            ),
            (
                &["a", "b", "label:i"],
                Classification,
                "",
                Err("several text columns"),
            ),
            (
                &["text", "stars:i"],
                Classification,
                "",
                Err("set data.label_column: the columns are"),
            ),
            (
                &["text", "stars:i"],
                Regression,
                "label=star",
                Err("no column \"star\""),
            ),
            (
                &["label", "n:i"],
                Classification,
                "",
                Err("no text column beside the labels"),
            ),
        ] {
            check(fields, task, asked, expected);
        }
    }
}
