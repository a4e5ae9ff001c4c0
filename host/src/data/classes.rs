//! The classes that a model tells apart: their names in the order of their numbers.

use std::collections::HashMap;

use codex_plugin_api::{Error, Result};

/// How Transformers calls a class that has no name.
const UNNAMED: &str = "LABEL_";

/// Names of classes, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Classes {
    /// Classes of these names, in this order.
    pub fn new(names: Vec<String>) -> Self {
        let mut numbers = HashMap::new();
        for (number, name) in names.iter().enumerate() {
            // What Transformers numbers by itself is called by its number in data.
            if let Some(bare) = name.strip_prefix(UNNAMED) {
                numbers.insert(bare.to_owned(), number);
            }
        }
        for (number, name) in names.iter().enumerate() {
            numbers.insert(name.clone(), number);
        }
        Self { names, numbers }
    }

    /// Classes of the names that occur in data, sorted: as numbers where all are whole numbers, else as texts.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there are fewer than two.
    pub fn of_data<'a>(names: impl IntoIterator<Item = &'a str>, column: &str) -> Result<Self> {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        if names.len() < 2 {
            return Err(Error::data(format!(
                "every row is of class {:?} (column {column:?}), so there is nothing to tell apart",
                names.first().map_or("", String::as_str)
            ))
            .hint("set data.label_column to the column with the classes, or add rows of another class"));
        }
        Ok(Self::new(names))
    }

    /// The names in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of a class.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] with the names that are known.
    pub fn number(&self, name: &str) -> Result<usize> {
        const SHOWN: usize = 12;
        self.numbers.get(name).copied().ok_or_else(|| {
            let mut known = self.names[..self.names.len().min(SHOWN)].join(", ");
            if self.names.len() > SHOWN {
                known += ", …";
            }
            Error::data(format!(
                "the data has the class {name:?}, which the model does not know"
            ))
            .hint(format!("the model's classes are {known}"))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_numbers_are_sorted_as_numbers() {
        let check = |names: &[&str], expected: &[&str]| {
            let classes = Classes::of_data(names.iter().copied(), "label").unwrap();
            assert_eq!(classes.names(), expected);
            for (number, name) in expected.iter().enumerate() {
                assert_eq!(classes.number(name).unwrap(), number);
            }
        };
        check(&["pos", "neg", "pos"], &["neg", "pos"]);
        check(&["10", "9", "-1"], &["-1", "9", "10"]);
        check(&["10", "9", "x"], &["10", "9", "x"]);
        let error = Classes::of_data(["a", "a"], "kind").unwrap_err();
        assert!(
            error
                .message()
                .contains("every row is of class \"a\" (column \"kind\")")
        );
    }

    #[test]
    fn unnamed_classes_are_known_by_their_number() {
        let classes = Classes::new(vec!["LABEL_0".into(), "LABEL_1".into()]);
        assert_eq!(classes.number("1").unwrap(), 1);
        assert_eq!(classes.number("LABEL_0").unwrap(), 0);
        let error = classes.number("2").unwrap_err();
        assert!(error.hint_text().unwrap().contains("LABEL_0, LABEL_1"));
    }
}
