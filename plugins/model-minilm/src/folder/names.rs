//! Under which names a parameter is found in folders old and new, and which tensors beside the parameters do no harm.

use std::borrow::Cow;

use crate::config::task::Task;
use crate::config::{Architecture, NetworkConfig};

/// A saved name as it would be without the trunk's prefix and in today's words: BERT's norms had `gamma` and `beta`.
pub(super) fn place(architecture: Architecture, name: &str) -> Cow<'_, str> {
    let name = name.strip_prefix(architecture.prefix()).unwrap_or(name);
    if architecture == Architecture::Bert {
        for (old, new) in [(".gamma", ".weight"), (".beta", ".bias")] {
            if let Some(module) = name.strip_suffix(old) {
                return Cow::Owned(format!("{module}{new}"));
            }
        }
        // The head's bias by its other name.
        if name == "cls.predictions.decoder.bias" {
            return Cow::Borrowed("cls.predictions.bias");
        }
    }
    Cow::Borrowed(name)
}

/// Whether `class` has the head of `task`.
pub(super) fn has_head(class: &str, task: Task) -> bool {
    let ends: &[&str] = match task {
        Task::CausalLm => &["LMHeadModel", "ForCausalLM", "DoubleHeadsModel"],
        Task::MaskedLm => &["ForMaskedLM", "ForPreTraining"],
        Task::Classification | Task::Regression => &["ForSequenceClassification"],
        Task::Embedding => &[],
    };
    ends.iter().any(|end| class.ends_with(end))
}

/// Whether a tensor with a classifier's name belongs to the head of another class, such as one that tells tokens apart.
pub(super) fn is_other_head(class: Option<&str>, task: Task, place: &str) -> bool {
    task.is_for_sequences()
        && class.is_some_and(|class| !has_head(class, task))
        && (place.starts_with("classifier.") || place.starts_with("score."))
}

/// Whether a tensor that is no parameter of the network may be there: buffers that are computed here, and heads of
/// other tasks. `place` is its name by [`place`].
pub(super) fn is_spare(config: &NetworkConfig, place: &str) -> bool {
    let task = config.head.task;
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| place.starts_with(prefix));
    match config.architecture {
        Architecture::Gpt2 | Architecture::Llama => {
            (place == "lm_head.weight" && (config.tied || task != Task::CausalLm))
                || (begins(&["score."]) && !task.is_for_sequences())
                || begins(&["multiple_choice_head."])
                || place.ends_with(".attn.bias")
                || place.ends_with(".attn.masked_bias")
                || place.ends_with("rotary_emb.inv_freq")
        }
        Architecture::Bert => {
            begins(&[
                "embeddings.position_ids",
                "embeddings.token_type_ids",
                "cls.seq_relationship.",
                "cls.predictions.decoder.",
                "pooler.dense.",
                "qa_outputs.",
            ]) || (begins(&["cls.predictions."]) && task != Task::MaskedLm)
                || (begins(&["classifier."]) && !task.is_for_sequences())
        }
    }
}
