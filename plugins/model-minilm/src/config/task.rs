//! What a network is for: the tasks, the classes that Transformers has for them, and what a head needs to know.

use codex_nn::pooling::Pooling;
use codex_plugin_api::{Error, Result};

use super::Architecture;
use super::settings::Settings;

/// What a network is trained for, and asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Each token predicts the next.
    CausalLm,
    /// Masked tokens are predicted from both sides.
    MaskedLm,
    /// One vector for each sequence, near those of like meaning.
    Embedding,
    /// One class for each sequence.
    Classification,
    /// One value for each sequence.
    Regression,
}

impl Task {
    const ALL: [Self; 5] = [
        Self::CausalLm,
        Self::MaskedLm,
        Self::Embedding,
        Self::Classification,
        Self::Regression,
    ];

    /// The word in configurations.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::CausalLm => "causal-lm",
            Self::MaskedLm => "masked-lm",
            Self::Embedding => "embedding",
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }

    /// Whether there is one output for each sequence.
    pub(crate) fn is_for_sequences(self) -> bool {
        matches!(self, Self::Classification | Self::Regression)
    }

    /// The task that a configuration asks for, of those that `architecture` can do; `None` for `auto`.
    ///
    /// # Errors
    /// When there is no such task, or the architecture cannot do it.
    pub(crate) fn parse(word: &str, architecture: Architecture) -> Result<Option<Self>> {
        if word == "auto" {
            return Ok(None);
        }
        let possible = |task: Self| class(architecture, task).is_some();
        match Self::ALL.into_iter().find(|task| task.word() == word) {
            Some(task) if possible(task) => Ok(Some(task)),
            _ => {
                let words: Vec<&str> = Self::ALL
                    .into_iter()
                    .filter(|&task| possible(task))
                    .map(Self::word)
                    .collect();
                Err(Error::config(format!(
                    "a {} model cannot be made for the task {word:?}",
                    architecture.model_type()
                ))
                .hint(format!("its tasks are {}", words.join(", "))))
            }
        }
    }

    /// The task of a folder whose `config.json` names `class` among its architectures. `outputs` is the number of labels,
    /// `problem` the kind of labels, where they are named.
    ///
    /// # Errors
    /// When the class is for something that this plugin does not do.
    pub(crate) fn of_class(
        class: Option<&str>,
        architecture: Architecture,
        outputs: Option<usize>,
        problem: Option<&str>,
    ) -> Result<Self> {
        let causal = architecture != Architecture::Bert;
        let Some(class) = class else {
            return Ok(if causal {
                Self::CausalLm
            } else {
                Self::Embedding
            });
        };
        if class.ends_with("ForSequenceClassification") {
            return match problem {
                Some("regression") => Ok(Self::Regression),
                Some("multi_label_classification") => Err(Error::unsupported(
                    "a classifier that gives a sequence several labels",
                )),
                // As Transformers decides where nothing is said.
                None if outputs == Some(1) => Ok(Self::Regression),
                _ => Ok(Self::Classification),
            };
        }
        if causal && (class.ends_with("LMHeadModel") || class.ends_with("ForCausalLM")) {
            return Ok(Self::CausalLm);
        }
        if !causal && (class.ends_with("ForMaskedLM") || class.ends_with("ForPreTraining")) {
            return Ok(Self::MaskedLm);
        }
        if causal && class.ends_with("DoubleHeadsModel") {
            return Ok(Self::CausalLm);
        }
        // A bare model, or a head that this plugin does not have on a trunk that it has.
        Ok(Self::Embedding)
    }
}

/// The class of Transformers that holds `architecture` with the head of `task`.
pub(crate) fn class(architecture: Architecture, task: Task) -> Option<&'static str> {
    use Architecture::{Bert, Gpt2, Llama};
    Some(match (architecture, task) {
        (Gpt2, Task::CausalLm) => "GPT2LMHeadModel",
        (Gpt2, Task::Embedding) => "GPT2Model",
        (Gpt2, Task::Classification | Task::Regression) => "GPT2ForSequenceClassification",
        (Llama, Task::CausalLm) => "LlamaForCausalLM",
        (Llama, Task::Embedding) => "LlamaModel",
        (Llama, Task::Classification | Task::Regression) => "LlamaForSequenceClassification",
        (Bert, Task::MaskedLm) => "BertForMaskedLM",
        (Bert, Task::Embedding) => "BertModel",
        (Bert, Task::Classification | Task::Regression) => "BertForSequenceClassification",
        (Gpt2 | Llama, Task::MaskedLm) | (Bert, Task::CausalLm) => return None,
    })
}

/// What a network's head needs to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeadConfig {
    /// What the network is for.
    pub(crate) task: Task,
    /// Names of the classes, or of the values of a regression; empty for other tasks.
    pub(crate) labels: Vec<String>,
    /// Dropout before the classifier (BERT).
    pub(crate) classifier_dropout: f32,
    /// Whether the folder had a pooler that the task does not need, kept for whoever opens the folder next (BERT).
    pub(crate) spare_pooler: bool,
    /// What an embedding is made of.
    pub(crate) pooling: Pooling,
    /// Whether embeddings have length 1.
    pub(crate) normalize: bool,
    /// Longest sequence in tokens, at most as many as the network has positions.
    pub(crate) max_tokens: usize,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            task: Task::CausalLm,
            labels: Vec::new(),
            classifier_dropout: 0.0,
            spare_pooler: false,
            pooling: Pooling::Mean,
            normalize: true,
            max_tokens: 0,
        }
    }
}

/// The name that Transformers gives a label without one.
pub(crate) fn default_label(index: usize) -> String {
    format!("LABEL_{index}")
}

/// Names of the labels that the head of `task` has: those that the user named, as many as the user asked for, or those
/// of the folder's own head.
///
/// # Errors
/// When a classifier's number of classes is not said anywhere, or said twice and differently.
pub(crate) fn labels(
    task: Task,
    settings: &Settings,
    saved: Option<Vec<String>>,
) -> Result<Vec<String>> {
    if !task.is_for_sequences() {
        return Ok(Vec::new());
    }
    let count = settings.labels.map(|count| count as usize);
    let names = &settings.label_names;
    if !names.is_empty() {
        return match count {
            Some(count) if count != names.len() => Err(Error::config(format!(
                "labels is {count}, but label_names has {} names",
                names.len()
            ))
            .hint("leave one of the two out")),
            _ => Ok(names.clone()),
        };
    }
    match (count, saved) {
        (Some(count), Some(saved)) if saved.len() == count => Ok(saved),
        (Some(count), _) => Ok((0..count).map(default_label).collect()),
        (None, Some(saved)) => Ok(saved),
        (None, None) if task == Task::Regression => Ok(vec![default_label(0)]),
        (None, None) => Err(
            Error::config("a classifier needs to know how many classes there are")
                .hint("set model.labels to the number of classes"),
        ),
    }
}
