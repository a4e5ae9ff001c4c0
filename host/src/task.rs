//! The tasks that a model can be trained for: one word in configurations, exports and the model's own list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Predict each token of a text from those before it.
    #[default]
    CausalLm,
    /// Predict hidden tokens of a text from those around them.
    MaskedLm,
    /// Put texts that belong together near each other, from pairs or triplets of texts.
    Embedding,
    /// Predict which of several classes a text, or a pair of texts, is of.
    Classification,
    /// Predict a number from a text, or from a pair of texts.
    Regression,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::CausalLm,
        Self::MaskedLm,
        Self::Embedding,
        Self::Classification,
        Self::Regression,
    ];

    /// The task of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.word() == word)
    }

    /// The word that configurations and models use.
    pub fn word(self) -> &'static str {
        match self {
            Self::CausalLm => "causal-lm",
            Self::MaskedLm => "masked-lm",
            Self::Embedding => "embedding",
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }

    /// The metric that judges the task where nobody asks for another; each gives a `loss`.
    pub fn usual_metric(self) -> &'static str {
        match self {
            Self::CausalLm | Self::MaskedLm => "lm",
            Self::Embedding => "retrieval",
            Self::Classification => "classification",
            Self::Regression => "regression",
        }
    }

    /// What a Hugging Face folder is for, by the first of its `architectures` (`BertForMaskedLM`). A bare encoder gives
    /// embeddings.
    pub fn of_architecture(architecture: &str) -> Self {
        for (ending, task) in [
            ("ForMaskedLM", Self::MaskedLm),
            ("ForPreTraining", Self::MaskedLm),
            ("ForSequenceClassification", Self::Classification),
            ("BertModel", Self::Embedding),
        ] {
            if architecture.ends_with(ending) {
                return task;
            }
        }
        Self::CausalLm
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
