//! What a task learns from, encoded: a store, its classes, and the batches over it. The one place in training where tasks
//! go different ways; the loop sees batches.

use std::path::Path;

use codex_plugin_api::{Result, Tokenizer};

use crate::app::App;
use crate::config::Masking;
use crate::data::{
    Batches, Classes, Corpus, Framing, MaskedWindows, Masker, RecordBatches, RecordStore, Template,
    TokenStore, Windows,
};
use crate::evaluate::TaskSettings;
use crate::task::Task;

/// The training rows as ids.
pub(super) enum Examples {
    Documents(TokenStore),
    Records {
        store: RecordStore,
        label_column: String,
    },
}

impl Examples {
    /// Encodes the rows, or opens what was encoded before.
    ///
    /// # Errors
    /// As [`TokenStore::open_or_build`] and [`RecordStore::open_or_build`].
    pub(super) fn prepare(
        cache: &Path,
        train: &Corpus,
        task: Task,
        tokenizer: &dyn Tokenizer,
        app: &App,
    ) -> Result<Self> {
        match train {
            Corpus::Documents(documents) => {
                let vocabulary = tokenizer.vocabulary()?;
                let framing = match task {
                    Task::MaskedLm => {
                        // A tokenizer that can hide nothing is refused before it encodes everything.
                        Masker::new(Masking::default(), &vocabulary, 0)?;
                        Framing::of_encoder(&vocabulary.special)
                    }
                    _ => Framing::of(&vocabulary.special),
                };
                let store = TokenStore::open_or_build(cache, documents, tokenizer, framing, app)?;
                Ok(Self::Documents(store))
            }
            Corpus::Records(records) => {
                let store = RecordStore::open_or_build(cache, records, tokenizer, app)?;
                if store.left_out() > 0 {
                    app.output.warn(format!(
                        "{} of {} rows lack a text or the label and are left out",
                        store.left_out(),
                        records.len()
                    ));
                }
                let label_column = records.label_column().unwrap_or_default().to_owned();
                Ok(Self::Records {
                    store,
                    label_column,
                })
            }
        }
    }

    /// The store: its fingerprint, bytes and largest id.
    pub(super) fn store(&self) -> &TokenStore {
        match self {
            Self::Documents(store) => store,
            Self::Records { store, .. } => store.store(),
        }
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> u64 {
        match self {
            Self::Documents(store) => store.tokens(),
            Self::Records { store, .. } => store.tokens(),
        }
    }

    /// The classes to tell apart: those that the model knows, else all that training and held-out rows have.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there is one only, or the data has one that the model does not know.
    pub(super) fn classes(
        &self,
        known: Option<Classes>,
        validation: Option<&Corpus>,
    ) -> Result<Classes> {
        let Self::Records {
            store,
            label_column,
        } = self
        else {
            return Ok(Classes::default());
        };
        if store.classes().is_empty() {
            return Ok(Classes::default());
        }
        let held_out = match validation {
            Some(Corpus::Records(records)) => records.classes()?,
            _ => std::collections::BTreeSet::default(),
        };
        let names = || store.classes().iter().chain(&held_out).map(String::as_str);
        match known {
            None => Classes::of_data(names(), label_column),
            Some(known) => {
                names().try_for_each(|name| known.number(name).map(|_| ()))?;
                Ok(known)
            }
        }
    }

    /// The batches of a task, in an order of their own for every seed.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] and [`codex_plugin_api::ErrorKind::Data`] when no batch can be made.
    pub(super) fn batches(
        &self,
        task: &TaskSettings,
        tokenizer: &dyn Tokenizer,
        batch_size: u32,
        seed: u64,
    ) -> Result<Batches> {
        let longest = task.sequence_length.unwrap_or(u32::MAX);
        Ok(match (self, task.task) {
            (Self::Documents(store), Task::MaskedLm) => {
                let masker = Masker::new(task.masking, &tokenizer.vocabulary()?, seed)?;
                let windows = Windows::whole(store.clone(), longest, batch_size, seed)?;
                Batches::Masked(MaskedWindows::new(windows, masker))
            }
            (Self::Documents(store), _) => {
                // A window holds one id more than it has targets, and no sequence may be longer than `longest`.
                let targets = longest.saturating_sub(1).max(1);
                Batches::Causal(Windows::causal(store.clone(), targets, batch_size, seed)?)
            }
            (Self::Records { store, .. }, of) => Batches::Records(RecordBatches::new(
                store.clone(),
                Template::of(tokenizer)?,
                of,
                &task.classes,
                longest,
                batch_size,
                seed,
            )?),
        })
    }
}
