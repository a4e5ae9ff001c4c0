//! What stands on a trunk: from hidden states to a loss, its gradients and scores. One file for each kind of task.

mod embedding;
mod language_model;
mod masked_lm;
mod sequence;

use candle_core::Tensor;
use codex_nn::in_batch_negatives::Options;
use codex_nn::linear_cross_entropy::{Loss, Score};
use codex_nn::{Error, Read, Result};

use crate::config::Architecture;
use crate::config::task::Task;
use crate::network::layout::Layout;
use crate::parameters::Slot;
use crate::pass::Pass;
pub(crate) use embedding::EmbeddingHead;
use language_model::LanguageModelHead;
use masked_lm::MaskedLmHead;
use sequence::SequenceHead;
pub(crate) use sequence::Truth;

/// The head of one task.
#[derive(Debug)]
pub(crate) enum Head {
    LanguageModel(LanguageModelHead),
    MaskedLm(MaskedLmHead),
    Embedding(EmbeddingHead),
    Sequence(SequenceHead),
}

/// What the hidden states are to lead to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Targets<'a> {
    /// The id that each row predicts, or [`codex_nn::linear_cross_entropy::IGNORE`].
    Tokens(&'a [i32]),
    /// Anchors, positives and perhaps hard negatives, in this many equal parts.
    Parts(usize, &'a Options),
    /// A class or a value for each sequence.
    Sequences(Truth<'a>),
}

/// What a head says of its targets.
#[derive(Debug)]
pub(crate) struct Scored {
    /// Sum and number of the targets' losses.
    pub(crate) loss: Loss,
    /// One a target; empty in a regression.
    pub(crate) scores: Vec<Score>,
    /// One row a sequence, where the head gives rows.
    pub(crate) outputs: Vec<f32>,
}

fn mismatch(head: &Head, targets: Targets<'_>) -> Error {
    Error::Unsupported(format!("{targets:?} as targets of {head:?}"))
}

impl Head {
    /// Lays out the head of the configured task on a trunk whose names begin with `prefix` and whose token embedding is
    /// `tokens`.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, prefix: &str, tokens: Slot) -> Self {
        let config = layout.config;
        match config.head.task {
            Task::CausalLm => {
                Self::LanguageModel(layout.head("language-modelling head", |layout| {
                    LanguageModelHead::lay_out(layout, tokens)
                }))
            }
            Task::MaskedLm => {
                Self::MaskedLm(layout.head("masked-language-modelling head", |layout| {
                    MaskedLmHead::lay_out(layout, tokens)
                }))
            }
            Task::Classification | Task::Regression => {
                Self::Sequence(SequenceHead::lay_out(layout, prefix))
            }
            Task::Embedding => {
                if config.architecture == Architecture::Bert && config.head.spare_pooler {
                    layout.spare_pooler(prefix);
                }
                Self::Embedding(EmbeddingHead::new(&config.head))
            }
        }
    }

    /// The loss of `targets`, and the gradient of `hidden`, which is used up.
    pub(crate) fn forward_backward(
        &self,
        pass: &Pass<'_>,
        hidden: Tensor,
        targets: Targets<'_>,
        factor: f32,
    ) -> Result<(Loss, Tensor)> {
        match (self, targets) {
            (Self::LanguageModel(head), Targets::Tokens(ids)) => {
                head.forward_backward(pass, hidden, ids, factor)
            }
            (Self::MaskedLm(head), Targets::Tokens(ids)) => {
                head.forward_backward(pass, hidden, ids, factor)
            }
            (Self::Embedding(head), Targets::Parts(parts, options)) => {
                head.forward_backward(pass, hidden, parts, options, factor)
            }
            (Self::Sequence(head), Targets::Sequences(truth)) => {
                head.forward_backward(pass, hidden, truth, factor)
            }
            _ => Err(mismatch(self, targets)),
        }
    }

    /// What the head says of `targets`; `hidden` is used up.
    pub(crate) fn scores(
        &self,
        pass: &Pass<'_>,
        hidden: Tensor,
        targets: Targets<'_>,
    ) -> Result<Scored> {
        let scores = match (self, targets) {
            (Self::LanguageModel(head), Targets::Tokens(ids)) => {
                let scores = head.scores(pass, &hidden, ids)?;
                pass.workspace.recycle(hidden);
                scores
            }
            (Self::MaskedLm(head), Targets::Tokens(ids)) => {
                let scores = head.scores(pass, &hidden, ids)?;
                pass.workspace.recycle(hidden);
                scores
            }
            (Self::Embedding(head), Targets::Parts(parts, options)) => {
                head.scores(pass, hidden, parts, options)?
            }
            (Self::Sequence(head), Targets::Sequences(truth)) => {
                let outputs = Read::new(&head.outputs(pass, hidden)?)?.to_vec();
                let (loss, scores) = truth.scores(&outputs);
                return Ok(Scored {
                    loss,
                    scores,
                    outputs,
                });
            }
            _ => return Err(mismatch(self, targets)),
        };
        let losses = scores.iter().map(|score| -f64::from(score.log_probability));
        Ok(Scored {
            loss: Loss {
                sum: losses.sum(),
                targets: scores.len(),
            },
            scores,
            outputs: Vec::new(),
        })
    }

    /// Logits of rows of hidden states: `[rows, vocabulary]`.
    pub(crate) fn logits(&self, pass: &Pass<'_>, hidden: &Tensor) -> Result<Tensor> {
        match self {
            Self::LanguageModel(head) => head.logits(pass, hidden),
            Self::MaskedLm(head) => head.logits(pass, hidden),
            Self::Embedding(_) | Self::Sequence(_) => Err(Error::Unsupported(
                "logits of a head that is not for language modelling".to_owned(),
            )),
        }
    }
}
