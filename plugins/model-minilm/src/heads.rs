//! What stands on a trunk: from hidden states to a loss, its gradients and scores. One file for each kind of task.

mod language_model;

pub(crate) use language_model::LanguageModelHead;
