//! What every metric promises.

use super::report::{Report, close, ensure, numbers, refused, texts};
use crate::{ErrorKind, Ids, Metric, Needs, Result, Samples, Score, TextBuffer, Texts};

/// Samples with every part, cut into single ones where a check wants that.
struct Made {
    byte_lengths: Vec<u64>,
    offsets: Vec<u64>,
    ids: Vec<u32>,
    log_probabilities: Vec<f32>,
    ranks: Vec<u32>,
    texts: Vec<String>,
    labels: Vec<f32>,
    predicted: Vec<f32>,
    embeddings: Vec<f32>,
}

const DIMENSIONS: usize = 4;

impl Made {
    fn new() -> Self {
        let mut next = numbers(7);
        let texts = texts();
        let mut made = Self {
            byte_lengths: texts.iter().map(|text| text.len() as u64).collect(),
            offsets: vec![0],
            ids: Vec::new(),
            log_probabilities: Vec::new(),
            ranks: Vec::new(),
            labels: Vec::new(),
            predicted: Vec::new(),
            embeddings: Vec::new(),
            texts,
        };
        for index in 0..made.texts.len() {
            for _ in 0..next() % 9 {
                made.ids.push((next() % 300) as u32);
                made.log_probabilities
                    .push(-((next() % 900) as f32 / 100.0) - 0.01);
                made.ranks.push((next() % 12) as u32);
            }
            made.offsets.push(made.ids.len() as u64);
            made.labels.push((index % 3) as f32);
            made.predicted.push((next() % 3) as f32);
            made.embeddings
                .extend((0..DIMENSIONS).map(|_| (next() % 200) as f32 / 100.0 - 1.0));
        }
        made
    }

    /// Gives samples `from..to` to the metric, with the parts that it asked for and no other.
    fn give(&self, metric: &mut dyn Metric, from: usize, to: usize) -> Result<()> {
        let Needs {
            log_probabilities,
            ranks,
            ids,
            texts,
            predictions,
            labels,
            embeddings,
        } = metric.needs();
        let (start, end) = (self.offsets[from] as usize, self.offsets[to] as usize);
        let offsets: Vec<u64> = self.offsets[from..=to]
            .iter()
            .map(|offset| offset - self.offsets[from])
            .collect();
        // The offsets also divide log-probabilities and ranks, so ids come with either.
        let targets = if ids || log_probabilities || ranks {
            Ids::new(&self.ids[start..end], &offsets)?
        } else {
            Ids::default()
        };
        let whole: TextBuffer = self.texts[from..to].iter().collect();
        let other: TextBuffer = self.texts[from..to].iter().rev().collect();
        metric.update(&Samples {
            count: to - from,
            byte_lengths: &self.byte_lengths[from..to],
            targets,
            log_probabilities: part(log_probabilities, &self.log_probabilities[start..end]),
            ranks: part(ranks, &self.ranks[start..end]),
            texts: if texts {
                whole.as_texts()
            } else {
                Texts::default()
            },
            predictions: if predictions {
                other.as_texts()
            } else {
                Texts::default()
            },
            references: if predictions {
                whole.as_texts()
            } else {
                Texts::default()
            },
            labels: part(labels, &self.labels[from..to]),
            predicted_labels: part(labels, &self.predicted[from..to]),
            embeddings: part(
                embeddings,
                &self.embeddings[from * DIMENSIONS..to * DIMENSIONS],
            ),
            dimensions: if embeddings { DIMENSIONS as u32 } else { 0 },
        })
    }

    fn count(&self) -> usize {
        self.texts.len()
    }
}

fn part<T>(wanted: bool, values: &[T]) -> &[T] {
    if wanted { values } else { &[] }
}

fn same(found: &[Score], expected: &[Score]) -> Result<()> {
    let equal = found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| {
            a.name == b.name && a.direction == b.direction && close(a.value, b.value, 1e-6)
        });
    ensure(equal, || {
        format!("the scores are {found:?}, not {expected:?}")
    })
}

/// Checks what `create` creates.
pub fn metric(create: &mut dyn FnMut() -> Result<Box<dyn Metric>>) -> Report {
    let mut report = Report::default();
    let made = Made::new();
    let count = made.count();

    report.check("needs are the same at every call", || {
        let (metric, other) = (create()?, create()?);
        let needs = metric.needs();
        ensure(needs == metric.needs() && needs == other.needs(), || {
            format!(
                "first {needs:?}, then {:?}, of another {:?}",
                metric.needs(),
                other.needs()
            )
        })
    });
    report.check("scores without a sample are no error", || {
        let metric = create()?;
        let scores = metric.compute()?;
        for (index, score) in scores.iter().enumerate() {
            let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            ensure(
                !score.name.is_empty() && score.name.chars().all(snake),
                || format!("score {:?} is not snake_case", score.name),
            )?;
            ensure(
                scores[..index].iter().all(|other| other.name != score.name),
                || format!("score {:?} is there twice", score.name),
            )?;
        }
        ensure(!scores.is_empty(), || "there is no score at all".to_owned())
    });
    report.check("an update without samples changes nothing", || {
        let mut metric = create()?;
        made.give(&mut *metric, 0, count)?;
        let before = metric.compute()?;
        metric.update(&Samples::default())?;
        same(&metric.compute()?, &before)
    });
    report.check("compute changes nothing", || {
        let mut metric = create()?;
        made.give(&mut *metric, 0, 3)?;
        let _ = metric.compute()?;
        made.give(&mut *metric, 3, count)?;
        let mut whole = create()?;
        made.give(&mut *whole, 0, count)?;
        same(&metric.compute()?, &whole.compute()?)
    });
    report.check("how samples are divided into calls does not matter", || {
        let mut whole = create()?;
        made.give(&mut *whole, 0, count)?;
        let mut single = create()?;
        for index in 0..count {
            made.give(&mut *single, index, index + 1)?;
        }
        same(&single.compute()?, &whole.compute()?)
    });
    report.check("merged states equal the whole", || {
        let mut whole = create()?;
        made.give(&mut *whole, 0, count)?;
        let expected = whole.compute()?;
        for cut in [0, 1, count / 2, count] {
            let (mut first, mut second, mut merged) = (create()?, create()?, create()?);
            made.give(&mut *first, 0, cut)?;
            made.give(&mut *second, cut, count)?;
            merged.merge(&first.state()?)?;
            merged.merge(&second.state()?)?;
            same(&merged.compute()?, &expected)?;
            first.merge(&second.state()?)?;
            same(&first.compute()?, &expected)?;
        }
        Ok(())
    });
    report.check("bytes that are no state are refused", || {
        let mut metric = create()?;
        made.give(&mut *metric, 0, count)?;
        let state = metric.state()?;
        if state.is_empty() {
            return Ok(());
        }
        let cut = metric.merge(&state[..state.len() - 1]);
        refused(cut, ErrorKind::Data, "a state that lacks its last byte")?;
        let longer = metric.merge(&[state.as_slice(), b"\x07"].concat());
        refused(longer, ErrorKind::Data, "a state with a byte too many")?;
        Ok(())
    });
    report
}
