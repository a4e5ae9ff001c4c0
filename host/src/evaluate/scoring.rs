//! Documents to scored targets: long documents in pieces, pieces of like length in one batch, and the scores back in the
//! documents' order. For a causal model pieces overlap by one token; for a masked one labels say what is to be predicted.

use codex_plugin_api::{Error, IGNORE_LABEL, Ids, Model, Result, ScoreRequest, TokenBatch};

use super::broken_model;
use crate::data::Framed;

/// Scores of some documents' targets, in the documents' order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Scored {
    pub(super) targets: Vec<u32>,
    /// One more than there are documents.
    pub(super) target_offsets: Vec<u64>,
    /// Empty when not asked for.
    pub(super) log_probabilities: Vec<f32>,
    /// Empty when not asked for.
    pub(super) ranks: Vec<u32>,
}

/// Ids `start .. end` of the framed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: usize,
    end: usize,
    /// Where its first target stands among all targets.
    target: usize,
    /// How many targets it has.
    count: usize,
}

impl Piece {
    fn length(&self) -> usize {
        self.end - self.start
    }
}

/// Scores batches with one model.
pub(super) struct Scorer<'a> {
    model: &'a mut dyn Model,
    request: ScoreRequest,
    batch_tokens: usize,
    longest: usize,
    vocab_size: u32,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        model: &'a mut dyn Model,
        request: ScoreRequest,
        batch_tokens: usize,
        longest: usize,
    ) -> Result<Self> {
        if longest < 2 {
            return Err(broken_model(format!(
                "the model reads {longest} tokens at most, which is too few to predict one from another"
            )));
        }
        let info = model.info()?;
        Ok(Self {
            model,
            request,
            batch_tokens,
            longest,
            vocab_size: info.vocab_size,
        })
    }

    /// Scores every document; with `labels`, one an id, only what they name. `between` is called before each batch and may
    /// end it all.
    pub(super) fn score(
        &mut self,
        framed: &Framed,
        labels: Option<&[i64]>,
        mut between: impl FnMut() -> Result<()>,
    ) -> Result<Scored> {
        if let Some(id) = framed.ids.iter().find(|&&id| id >= self.vocab_size) {
            return Err(Error::data(format!(
                "the tokenizer gave id {id}, and the model's vocabulary has {} entries",
                self.vocab_size
            ))
            .hint("the tokenizer does not belong to this model"));
        }
        let mut scored = Scored {
            target_offsets: vec![0],
            ..Scored::default()
        };
        let mut pieces = Vec::new();
        for pair in framed.offsets.windows(2) {
            let (start, end) = (pair[0] as usize, pair[1] as usize);
            match labels {
                None => {
                    cut(start..end, self.longest, scored.targets.len(), &mut pieces);
                    scored
                        .targets
                        .extend_from_slice(&framed.ids[(start + 1).min(end)..end]);
                }
                Some(labels) => cut_labelled(
                    start..end,
                    labels,
                    self.longest,
                    &mut scored.targets,
                    &mut pieces,
                ),
            }
            scored.target_offsets.push(scored.targets.len() as u64);
        }
        let total = scored.targets.len();
        if self.request.log_probabilities {
            scored.log_probabilities = vec![f32::NAN; total];
        }
        if self.request.ranks {
            scored.ranks = vec![0; total];
        }
        if self.request.log_probabilities || self.request.ranks {
            // A stable sort, so equal lengths keep the documents' order and every run makes the same batches.
            pieces.sort_by_key(|piece| std::cmp::Reverse(piece.length()));
            let mut rest = pieces.as_slice();
            while !rest.is_empty() {
                between()?;
                let (batch, after) = rest.split_at(fitting(rest, self.batch_tokens));
                self.score_batch(framed, labels, batch, &mut scored)?;
                rest = after;
            }
        }
        Ok(scored)
    }

    fn score_batch(
        &mut self,
        framed: &Framed,
        labels: Option<&[i64]>,
        pieces: &[Piece],
        scored: &mut Scored,
    ) -> Result<()> {
        let mut ids = Vec::new();
        let mut offsets = vec![0];
        let mut batch_labels = labels.map(|_| Vec::new());
        for piece in pieces {
            ids.extend_from_slice(&framed.ids[piece.start..piece.end]);
            offsets.push(ids.len() as u64);
            if let (Some(labels), Some(batch)) = (labels, &mut batch_labels) {
                batch.extend_from_slice(&labels[piece.start..piece.end]);
            }
        }
        let batch = TokenBatch {
            labels: batch_labels.as_deref(),
            ..TokenBatch::new(Ids::new(&ids, &offsets)?)
        };
        let scores = self.model.score(&batch, self.request)?;
        let due: usize = pieces.iter().map(|piece| piece.count).sum();
        let check = |name: &str, asked: bool, found: usize| {
            if asked && found != due {
                return Err(broken_model(format!(
                    "the model gave {found} {name} where the batch has {due} targets"
                )));
            }
            Ok(())
        };
        check(
            "log probabilities",
            self.request.log_probabilities,
            scores.log_probabilities.len(),
        )?;
        check("ranks", self.request.ranks, scores.ranks.len())?;
        let mut from = 0;
        for piece in pieces {
            let count = piece.count;
            if self.request.log_probabilities {
                scored.log_probabilities[piece.target..piece.target + count]
                    .copy_from_slice(&scores.log_probabilities[from..from + count]);
            }
            if self.request.ranks {
                scored.ranks[piece.target..piece.target + count]
                    .copy_from_slice(&scores.ranks[from..from + count]);
            }
            from += count;
        }
        Ok(())
    }
}

/// Cuts a document into pieces of at most `longest` ids, each beginning with the last id of the one before.
fn cut(
    document: std::ops::Range<usize>,
    longest: usize,
    first_target: usize,
    pieces: &mut Vec<Piece>,
) {
    let mut start = document.start;
    while start + 1 < document.end {
        let end = (start + longest).min(document.end);
        pieces.push(Piece {
            start,
            end,
            target: first_target + start - document.start,
            count: end - start - 1,
        });
        start = end - 1;
    }
}

/// Cuts a document into pieces of at most `longest` ids, of which those without a target are not scored.
fn cut_labelled(
    document: std::ops::Range<usize>,
    labels: &[i64],
    longest: usize,
    targets: &mut Vec<u32>,
    pieces: &mut Vec<Piece>,
) {
    for start in document.clone().step_by(longest) {
        let end = (start + longest).min(document.end);
        let target = targets.len();
        let named = labels[start..end].iter().copied();
        targets.extend(
            named
                .filter(|&label| label != IGNORE_LABEL)
                .map(|label| label as u32),
        );
        if targets.len() > target {
            pieces.push(Piece {
                start,
                end,
                target,
                count: targets.len() - target,
            });
        }
    }
}

/// How many of the first pieces make a batch: as many as the budget holds, at least one.
fn fitting(pieces: &[Piece], budget: usize) -> usize {
    let mut tokens = 0;
    let count = pieces
        .iter()
        .take_while(|piece| {
            tokens += piece.length();
            tokens <= budget
        })
        .count();
    count.max(1)
}
