//! Earlier states of a scope, one file a state, so that a change can be undone. A state is what the project file and the
//! lock said; the versions themselves lie in the store.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use codex_plugin_api::{Context, Error, Result};
use serde::{Deserialize, Serialize};

use crate::durable::{self, io_error};

/// So many states are kept.
const KEPT: usize = 50;

/// What a scope's two files said; `None` where there was no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `codex-plugins.toml`.
    pub project: Option<String>,
    /// `codex-plugins.lock`.
    pub lock: Option<String>,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1.
    pub number: u64,
    /// Since when it held, in seconds since 1970.
    pub time: u64,
    /// What made it (`add shout`).
    pub what: String,
    /// The state before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// The state.
    pub state: State,
}

/// What counts as the state before a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// The one that holds now.
    #[default]
    Current,
    /// The one before the state that is gone back to.
    Of(Option<u64>),
}

/// The states of one scope.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// The history in a folder; it need not be there yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All states, oldest first. What cannot be read is left out: it is no state to go back to.
    ///
    /// # Errors
    /// When the folder is there and cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error("read", &self.folder, &error)),
        };
        let mut found: Vec<Entry> = entries
            .flatten()
            .filter(|entry| number_of(&entry.path()).is_some())
            .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
            .collect();
        found.sort_by_key(|entry| entry.number);
        Ok(found)
    }

    /// Records a change from one state to another. A state that something else made (a checkout, say) is recorded first.
    /// `parent` is the state before the new one, where that is not the one that holds now: going back does not go forth
    /// again by itself.
    ///
    /// # Errors
    /// When it cannot be written; nothing was changed then.
    pub fn push(&self, before: &State, what: &str, after: &State, parent: Parent) -> Result<()> {
        let known = self.entries()?;
        let last = known.last();
        let mut number = last.map_or(0, |last| last.number);
        let current = if let Some(last) = last.filter(|last| last.state == *before) {
            last.number
        } else {
            number += 1;
            let parent = last.map(|last| last.number);
            self.write(number, "as it was found", parent, before)?;
            number
        };
        let parent = match parent {
            Parent::Current => Some(current),
            Parent::Of(parent) => parent,
        };
        self.write(number + 1, what, parent, after)?;
        let added = (number + 1 - last.map_or(0, |last| last.number)) as usize;
        for old in known.iter().rev().skip(KEPT.saturating_sub(added)) {
            // An old state that stays harms nobody.
            let _ = fs::remove_file(self.file(old.number));
        }
        Ok(())
    }

    fn write(&self, number: u64, what: &str, parent: Option<u64>, state: &State) -> Result<()> {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let entry = Entry {
            number,
            time: time.unwrap_or_default().as_secs(),
            what: what.to_owned(),
            parent,
            state: state.clone(),
        };
        let text =
            serde_json::to_vec(&entry).or_error(|| Error::failed("cannot write the history"))?;
        durable::write_file(&self.file(number), &text)
    }

    /// The state to go back to from `now`: the one before it, or one by its number.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when there is none.
    pub fn target(&self, now: &State, number: Option<u64>) -> Result<Entry> {
        let known = self.entries()?;
        let find = |number: u64| known.iter().find(|entry| entry.number == number).cloned();
        if let Some(number) = number {
            return find(number).ok_or_else(|| {
                Error::config(format!("there is no state {number} in the history"))
                    .hint("codex-ml plugin rollback --list shows them")
            });
        }
        let found = match known.last() {
            // What holds now was not recorded, so the last recorded state is the one before it.
            Some(last) if last.state != *now => Some(last.clone()),
            Some(last) => last.parent.and_then(find),
            None => None,
        };
        found.ok_or_else(|| {
            Error::config("there is no earlier state to go back to").hint(
                "codex-ml plugin rollback --list shows the history; --to N goes to any state of it",
            )
        })
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn forget(&self) -> Result<()> {
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io_error("remove", &self.folder, &error))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.json"))
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn state(text: &str) -> State {
        State {
            project: None,
            lock: (!text.is_empty()).then(|| text.to_owned()),
        }
    }

    #[test]
    fn going_back_goes_further_back_each_time() {
        let root = tempfile::tempdir().unwrap();
        let history = History::new(root.path().join("history"));
        assert!(history.target(&state(""), None).is_err());
        history
            .push(&state(""), "add a", &state("a"), Parent::Current)
            .unwrap();
        history
            .push(&state("a"), "add b", &state("a b"), Parent::Current)
            .unwrap();
        let target = history.target(&state("a b"), None).unwrap();
        assert_eq!(target.state, state("a"));
        history
            .push(
                &state("a b"),
                "rollback",
                &target.state,
                Parent::Of(target.parent),
            )
            .unwrap();
        let target = history.target(&state("a"), None).unwrap();
        assert_eq!(target.state, state(""));
        let forth = history.target(&state("a"), Some(3)).unwrap();
        assert_eq!(forth.state, state("a b"));
        let told: Vec<String> = history
            .entries()
            .unwrap()
            .into_iter()
            .map(|entry| entry.what)
            .collect();
        assert_eq!(told, ["as it was found", "add a", "add b", "rollback"]);
        assert!(
            history
                .target(&state("a"), Some(9))
                .unwrap_err()
                .message()
                .contains('9')
        );
    }

    #[test]
    fn what_something_else_made_is_recorded_and_can_be_left() {
        let root = tempfile::tempdir().unwrap();
        let history = History::new(root.path().to_owned());
        history
            .push(&state("a"), "add b", &state("b"), Parent::Current)
            .unwrap();
        assert_eq!(
            history.target(&state("checked out"), None).unwrap().state,
            state("b")
        );
        history
            .push(&state("checked out"), "add c", &state("c"), Parent::Current)
            .unwrap();
        assert_eq!(
            history.target(&state("c"), None).unwrap().state,
            state("checked out")
        );
    }

    #[test]
    fn old_states_are_dropped_and_broken_ones_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let history = History::new(root.path().to_owned());
        for number in 0..60 {
            history
                .push(
                    &state(&number.to_string()),
                    "x",
                    &state(&(number + 1).to_string()),
                    Parent::Current,
                )
                .unwrap();
        }
        assert_eq!(history.entries().unwrap().len(), KEPT);
        fs::write(root.path().join("000061.json"), "{").unwrap();
        assert_eq!(history.entries().unwrap().len(), KEPT - 1);
        history.forget().unwrap();
        assert!(history.entries().unwrap().is_empty());
    }
}
