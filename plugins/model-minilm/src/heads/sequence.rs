//! Classes and values of whole sequences, as Transformers' `ForSequenceClassification`: BERT's first token goes through
//! the pooler, dropout and a linear map, a decoder's last token through a linear map alone.

use candle_core::Tensor;
use codex_nn::linear_cross_entropy::{Loss, Score};
use codex_nn::{Error, Result, Sequences, rows, sequence_loss, tanh};

use crate::adapters;
use crate::config::Architecture;
use crate::network::layout::Layout;
use crate::parts::Linear;
use crate::pass::{Pass, Place};

/// Where the parameters of the head are.
#[derive(Debug)]
pub(crate) struct SequenceHead {
    /// Reads the first token; without it the last one is taken as it is.
    pooler: Option<Linear>,
    classifier: Linear,
}

/// What each sequence is to be told as.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Truth<'a> {
    /// Numbers of classes.
    Classes(&'a [i32]),
    /// Values.
    Values(&'a [f32]),
    /// Not known: there is nothing to learn from.
    Unknown,
}

impl Truth<'_> {
    /// Loss of `outputs` `[sequences, labels]`, and what they say of each class.
    pub(super) fn scores(self, outputs: &[f32]) -> (Loss, Vec<Score>) {
        let mut loss = Loss {
            sum: 0.0,
            targets: 0,
        };
        let mut scores = Vec::new();
        match self {
            Self::Unknown => {}
            Self::Values(values) => {
                let squares = outputs
                    .iter()
                    .zip(values)
                    .map(|(output, value)| f64::from(output - value).powi(2));
                loss.sum = squares.sum();
                loss.targets = values.len();
            }
            Self::Classes(classes) => {
                let labels = outputs.len() / classes.len().max(1);
                for (row, (logits, &class)) in
                    outputs.chunks_exact(labels.max(1)).zip(classes).enumerate()
                {
                    let logit = logits[class as usize];
                    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f64 = logits
                        .iter()
                        .map(|value| f64::from(value - largest).exp())
                        .sum();
                    let log_probability = f64::from(logit - largest) - sum.ln();
                    loss.sum -= log_probability;
                    loss.targets += 1;
                    scores.push(Score {
                        row,
                        log_probability: log_probability as f32,
                        rank: logits.iter().filter(|&&value| value > logit).count() as u32,
                    });
                }
            }
        }
        (loss, scores)
    }
}

/// What backward needs.
struct Saved {
    at: Vec<u32>,
    x: Tensor,
    /// The pooler's output after tanh, before dropout.
    pooled: Option<Tensor>,
    /// What the classifier read.
    read: Tensor,
    /// What adapters need for the backward of pooler and classifier.
    added: (adapters::Saved, adapters::Saved),
}

impl SequenceHead {
    /// `prefix` is the trunk's: the pooler belongs to it.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, prefix: &str) -> Self {
        let config = layout.config;
        let (hidden, outputs) = (config.hidden_size, config.head.labels.len());
        if config.architecture == Architecture::Bert {
            let pooler = layout.head("pooler", |layout| {
                layout.linear(
                    &format!("{prefix}pooler.dense"),
                    hidden,
                    hidden,
                    true,
                    false,
                )
            });
            let classifier = layout.head("classifier", |layout| {
                layout.linear("classifier", hidden, outputs, true, false)
            });
            Self {
                pooler: Some(pooler),
                classifier,
            }
        } else {
            Self {
                pooler: None,
                classifier: layout.head("classifier", |layout| {
                    layout.linear("score", hidden, outputs, false, false)
                }),
            }
        }
    }

    /// The row of each sequence that is read. No sequence is empty: the caller refuses those.
    fn rows(&self, sequences: &Sequences) -> Vec<u32> {
        let first = self.pooler.is_some();
        sequences
            .ranges()
            .map(|range| if first { range.start } else { range.end.saturating_sub(1) } as u32)
            .collect()
    }

    /// Logits or values of each sequence: `[sequences, labels]`. `hidden` is used up.
    pub(crate) fn outputs(&self, pass: &Pass<'_>, hidden: Tensor) -> Result<Tensor> {
        Ok(self.forward(pass, hidden)?.0)
    }

    fn forward(&self, pass: &Pass<'_>, hidden: Tensor) -> Result<(Tensor, Saved)> {
        let ws = pass.workspace;
        let at = self.rows(pass.tokens.sequences);
        let x = rows::gather(ws, &hidden, &at)?;
        ws.recycle(hidden);
        let mut added = (adapters::Saved::default(), adapters::Saved::default());
        let (pooled, read) = match &self.pooler {
            None => (None, x.clone()),
            Some(pooler) => {
                let (dense, saved) = pooler.forward(pass, &x)?;
                added.0 = saved;
                let pooled = tanh::forward(ws, &dense)?;
                ws.recycle(dense);
                let read = ws.copy(&pooled)?;
                pass.drop(&read, Place::Classifier)?;
                (Some(pooled), read)
            }
        };
        let (outputs, saved) = self.classifier.forward(pass, &read)?;
        added.1 = saved;
        let saved = Saved {
            at,
            x,
            pooled,
            read,
            added,
        };
        Ok((outputs, saved))
    }

    /// The loss, and the gradient of `hidden`, which is used up.
    pub(crate) fn forward_backward(
        &self,
        pass: &Pass<'_>,
        hidden: Tensor,
        truth: Truth<'_>,
        factor: f32,
    ) -> Result<(Loss, Tensor)> {
        let ws = pass.workspace;
        let tokens = hidden.dims2()?.0;
        let (outputs, saved) = self.forward(pass, hidden)?;
        let (loss, d_outputs) = match truth {
            Truth::Classes(classes) => sequence_loss::cross_entropy(ws, &outputs, classes, factor)?,
            Truth::Values(values) => sequence_loss::squared_error(ws, &outputs, values, factor)?,
            Truth::Unknown => {
                return Err(Error::Unsupported("training without labels".to_owned()));
            }
        };
        let classifier = &self.classifier;
        let added = saved.added;
        let inner = classifier.backward_weight(pass, &d_outputs, &saved.read, added.1)?;
        let mut d_x = classifier.backward_input(pass, &d_outputs, inner)?;
        if let (Some(pooler), Some(pooled)) = (&self.pooler, &saved.pooled) {
            pass.drop_backward(&d_x, Place::Classifier)?;
            tanh::backward(&d_x, pooled)?;
            let inner = pooler.backward_weight(pass, &d_x, &saved.x, added.0)?;
            d_x = pooler.backward_input(pass, &d_x, inner)?;
        }
        let d_hidden = rows::scatter(ws, &d_x, &saved.at, tokens)?;
        Ok((loss, d_hidden))
    }
}
