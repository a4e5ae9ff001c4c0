//! What every model promises. What needs training is `model/training.rs`, what needs sessions `model/generating.rs`.

mod generating;
mod training;

use super::folder::Folder;
use super::report::{Report, close, ensure, numbers, refused};
use crate::{Error, ErrorKind, Ids, Model, ModelInfo, Result, ScoreRequest, Scores, TokenBatch};

type Create<'a> = dyn FnMut(Option<&str>) -> Result<Box<dyn Model>> + 'a;

const ALL: ScoreRequest = ScoreRequest {
    log_probabilities: true,
    ranks: true,
    sequence_outputs: false,
};

/// Ragged sequences that fit a model.
struct Made {
    ids: Vec<u32>,
    offsets: Vec<u64>,
}

impl Made {
    /// Sequences of the given lengths, cut to what the model takes.
    fn new(info: &ModelInfo, lengths: &[usize]) -> Self {
        let mut next = numbers(23);
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for &length in lengths {
            for _ in 0..length.min(info.max_sequence_length as usize) {
                ids.push((next() % u64::from(info.vocab_size.max(1))) as u32);
            }
            offsets.push(ids.len() as u64);
        }
        Self { ids, offsets }
    }

    fn ids(&self) -> Result<Ids<'_>> {
        Ids::new(&self.ids, &self.offsets)
    }

    fn batch(&self) -> Result<TokenBatch<'_>> {
        Ok(TokenBatch::new(self.ids()?))
    }

    /// One of the sequences alone.
    fn only(&self, index: usize) -> Self {
        let (from, to) = (
            self.offsets[index] as usize,
            self.offsets[index + 1] as usize,
        );
        Self {
            ids: self.ids[from..to].to_vec(),
            offsets: vec![0, (to - from) as u64],
        }
    }
}

/// The model, if it does causal language modelling.
fn causal(create: &mut Create<'_>) -> Result<(Box<dyn Model>, ModelInfo)> {
    let model = create(None)?;
    let info = model.info()?;
    if info.tasks.iter().any(|task| task == "causal-lm") {
        Ok((model, info))
    } else {
        Err(Error::unsupported("causal-lm"))
    }
}

fn targets(scores: &Scores, index: usize) -> &[f32] {
    let offsets = &scores.target_offsets;
    &scores.log_probabilities[offsets[index] as usize..offsets[index + 1] as usize]
}

/// Checks what `create` creates: with `None` from the author's configuration, with a folder from what was saved there.
pub fn model(create: &mut Create<'_>) -> Report {
    let mut report = Report::default();
    describing(&mut report, create);
    scoring(&mut report, create);
    generating::check(&mut report, create);
    training::check(&mut report, create);
    saving(&mut report, create);
    report
}

fn describing(report: &mut Report, create: &mut Create<'_>) {
    report.check("its description is the same at every call", || {
        let model = create(None)?;
        let info = model.info()?;
        ensure(info == model.info()?, || "it changes".to_owned())?;
        ensure(info.vocab_size > 0 && info.max_sequence_length > 0, || {
            format!(
                "vocab_size {}, max_sequence_length {}",
                info.vocab_size, info.max_sequence_length
            )
        })?;
        ensure(!info.tasks.is_empty(), || "it has no task".to_owned())
    });
    report.check("every parameter is named once", || {
        let model = create(None)?;
        let parameters = model.parameters()?;
        let mut names: Vec<&str> = parameters.iter().map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
        ensure(twice.is_none(), || format!("{twice:?}"))?;
        let counted: u64 = parameters
            .iter()
            .map(|one| one.shape.iter().product::<u64>())
            .sum();
        let said = model.info()?.parameters;
        ensure(said <= counted, || {
            format!("it says {said} and lists {counted}")
        })
    });
}

fn scoring(report: &mut Report, create: &mut Create<'_>) {
    report.check(
        "the loss is the sum of its targets' log-probabilities",
        || {
            let (mut model, info) = causal(create)?;
            let made = Made::new(&info, &[5, 1, 8, 2]);
            let batch = made.batch()?;
            let scores = model.score(&batch, ALL)?;
            ensure(scores.loss.targets == batch.causal_targets(), || {
                format!(
                    "{} targets, not {}",
                    scores.loss.targets,
                    batch.causal_targets()
                )
            })?;
            let bad = scores
                .log_probabilities
                .iter()
                .find(|p| !(p.is_finite() && **p <= 1e-4));
            ensure(bad.is_none(), || format!("a log-probability is {bad:?}"))?;
            let sum: f64 = scores
                .log_probabilities
                .iter()
                .map(|&p| -f64::from(p))
                .sum();
            ensure(close(sum, scores.loss.sum, 1e-4), || {
                format!("{} and {sum}", scores.loss.sum)
            })?;
            let beyond = scores.ranks.iter().find(|&&rank| rank >= info.vocab_size);
            ensure(beyond.is_none(), || {
                format!("rank {beyond:?} of {}", info.vocab_size)
            })
        },
    );
    report.check("scoring changes nothing", || {
        let (mut model, info) = causal(create)?;
        let made = Made::new(&info, &[6, 3]);
        let first = model.score(&made.batch()?, ALL)?;
        let second = model.score(&made.batch()?, ALL)?;
        ensure(first == second, || {
            "the same call gave other numbers".to_owned()
        })
    });
    report.check(
        "a sequence's scores do not depend on its neighbours",
        || {
            let (mut model, info) = causal(create)?;
            let made = Made::new(&info, &[7, 2, 1, 4]);
            let together = model.score(&made.batch()?, ALL)?;
            for index in 0..made.offsets.len() - 1 {
                let only = made.only(index);
                let alone = model.score(&only.batch()?, ALL)?;
                let (found, due) = (targets(&alone, 0), targets(&together, index));
                let same = found.len() == due.len()
                    && found
                        .iter()
                        .zip(due)
                        .all(|(a, b)| close((*a).into(), (*b).into(), 1e-3));
                ensure(same, || {
                    format!("sequence {index} alone {found:?}, among others {due:?}")
                })?;
            }
            Ok(())
        },
    );
    report.check("labels that do not count are not scored", || {
        let (mut model, info) = causal(create)?;
        let made = Made::new(&info, &[6]);
        let mut labels: Vec<i64> = made.ids.iter().map(|&id| i64::from(id)).collect();
        let whole = model.score(&made.batch()?, ALL)?;
        let dropped = labels.len() / 2;
        labels[dropped] = crate::IGNORE_LABEL;
        let batch = TokenBatch {
            labels: Some(&labels),
            ..made.batch()?
        };
        let partly = model.score(&batch, ALL)?;
        let gone = -f64::from(targets(&whole, 0)[dropped - 1]);
        let same = partly.loss.targets + 1 == whole.loss.targets
            && close(partly.loss.sum + gone, whole.loss.sum, 1e-3);
        ensure(same, || {
            format!(
                "{:?} with one target less than {:?}",
                partly.loss, whole.loss
            )
        })
    });
    report.check("sequences without a target cost nothing", || {
        let (mut model, info) = causal(create)?;
        for lengths in [&[1, 1][..], &[1, 0, 1]] {
            let scores = model.score(&Made::new(&info, lengths).batch()?, ALL)?;
            ensure(scores.loss.targets == 0 && scores.loss.sum == 0.0, || {
                format!("{:?} for lengths {lengths:?}", scores.loss)
            })?;
        }
        Ok(())
    });
    report.check(
        "ids beyond the vocabulary and sequences that are too long are refused",
        || {
            let (mut model, info) = causal(create)?;
            let mut made = Made::new(&info, &[4]);
            made.ids[2] = info.vocab_size;
            let scores = model.score(&made.batch()?, ALL);
            refused(scores, ErrorKind::Data, "an id beyond the vocabulary")?;
            let length = info.max_sequence_length as usize + 1;
            if length > 1 << 16 {
                return Ok(());
            }
            let long = Made {
                ids: vec![0; length],
                offsets: vec![0, length as u64],
            };
            let scores = model.score(&long.batch()?, ALL);
            refused(scores, ErrorKind::Data, "a sequence that is too long").map(drop)
        },
    );
    report.check(
        "embeddings have the promised width and no neighbours",
        || {
            let mut model = create(None)?;
            let info = model.info()?;
            let made = Made::new(&info, &[5, 2, 7]);
            let together = model.embed(made.ids()?)?;
            let width = info.hidden_size as usize;
            ensure(together.len() == 3 * width, || {
                format!("{} values of width {width}", together.len())
            })?;
            for (index, row) in together.chunks(width).enumerate() {
                let alone = model.embed(made.only(index).ids()?)?;
                let same = alone
                    .iter()
                    .zip(row)
                    .all(|(a, b)| close((*a).into(), (*b).into(), 1e-3));
                ensure(same, || {
                    format!("sequence {index} alone is embedded elsewhere")
                })?;
            }
            Ok(())
        },
    );
}

fn saving(report: &mut Report, create: &mut Create<'_>) {
    report.check("what is saved scores the same when opened again", || {
        let folder = Folder::new()?;
        let (mut model, info) = causal(create)?;
        model.save(folder.path()?)?;
        ensure(folder.files()? > 0, || "nothing was saved".to_owned())?;
        let mut again = create(Some(folder.path()?))?;
        let made = Made::new(&info, &[8, 3]);
        let before = model.score(&made.batch()?, ALL)?;
        let after = again.score(&made.batch()?, ALL)?;
        let same = close(before.loss.sum, after.loss.sum, 1e-6);
        ensure(same, || {
            format!("{:?} became {:?}", before.loss, after.loss)
        })?;
        ensure(
            again.parameters()?.len() == model.parameters()?.len(),
            || "it has other parameters".to_owned(),
        )
    });
}
