//! The metric `retrieval`: whether the text that belongs to another is the nearest of all.

use std::collections::HashMap;

use codex_plugin_api::{Error, Metric, Needs, Result, Samples, Score};

use crate::state::Words;
use crate::statistics::finite;

/// The component `retrieval`. A sample is a text, and its label the number of the pair that it belongs to. A pair's first
/// text is the anchor, its second the positive; any further ones only make the search harder. Every anchor is compared, by
/// the cosine, with every text that is no anchor.
///
/// - `loss`: mean of −ln p that the model gave an anchor's positive among those of its batch, in nats
/// - `accuracy_at_1`, `accuracy_at_5`: share of anchors with fewer than 1, or 5, texts nearer than their positive
/// - `mrr`: mean of 1 / (1 + texts nearer than the positive)
///
/// Without any pair all are NaN. The state holds every embedding, and computing takes anchors × texts products.
#[derive(Clone, Debug, Default)]
pub struct Retrieval {
    nats: f64,
    targets: u64,
    dimensions: u32,
    pairs: Vec<f32>,
    /// Row-major, as given.
    embeddings: Vec<f32>,
}

impl Retrieval {
    fn check_width(&self, dimensions: u32, count: usize) -> Result<()> {
        if self.dimensions != 0 && count > 0 && dimensions != self.dimensions {
            return Err(Error::data(format!(
                "embeddings of {dimensions} dimensions come after some of {}",
                self.dimensions
            )));
        }
        Ok(())
    }

    /// For every anchor, how many texts are nearer than its positive.
    fn nearer(&self) -> Vec<u64> {
        let width = self.dimensions as usize;
        let mut anchors: Vec<(&[f32], Option<usize>)> = Vec::new();
        let mut others: Vec<&[f32]> = Vec::new();
        let mut of_pair: HashMap<u32, usize> = HashMap::new();
        let mut unit = self.embeddings.clone();
        for row in unit.chunks_mut(width.max(1)) {
            normalise(row);
        }
        for (pair, row) in self.pairs.iter().zip(unit.chunks(width.max(1))) {
            match of_pair.get(&(pair + 0.0).to_bits()) {
                None => {
                    of_pair.insert((pair + 0.0).to_bits(), anchors.len());
                    anchors.push((row, None));
                }
                Some(&anchor) => {
                    let positive = &mut anchors[anchor].1;
                    if positive.is_none() {
                        *positive = Some(others.len());
                    }
                    others.push(row);
                }
            }
        }
        let ranked = anchors.iter().filter_map(|&(anchor, positive)| {
            let similarities: Vec<f32> = others.iter().map(|other| dot(anchor, other)).collect();
            let due = similarities[positive?];
            let nearer = similarities.iter().filter(|&&similarity| similarity > due);
            Some(nearer.count() as u64)
        });
        ranked.collect()
    }
}

impl Metric for Retrieval {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            labels: true,
            embeddings: true,
            ..Needs::default()
        }
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let (pairs, embeddings) = (samples.labels, samples.embeddings);
        if embeddings.len() != pairs.len() * samples.dimensions as usize {
            return Err(Error::data(format!(
                "{} values come as {} embeddings of {} dimensions",
                embeddings.len(),
                pairs.len(),
                samples.dimensions
            )));
        }
        self.check_width(samples.dimensions, pairs.len())?;
        finite("pair", pairs)?;
        finite("embedding value", embeddings)?;
        finite("log-probability", samples.log_probabilities)?;
        if !pairs.is_empty() {
            self.dimensions = samples.dimensions;
        }
        self.pairs.extend_from_slice(pairs);
        self.embeddings.extend_from_slice(embeddings);
        let scores = samples.log_probabilities.iter();
        self.nats -= scores.map(|&score| f64::from(score)).sum::<f64>();
        self.targets += samples.log_probabilities.len() as u64;
        Ok(())
    }

    fn state(&self) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        state.extend(self.nats.to_le_bytes());
        state.extend(self.targets.to_le_bytes());
        state.extend(self.dimensions.to_le_bytes());
        state.extend((self.pairs.len() as u64).to_le_bytes());
        for value in self.pairs.iter().chain(&self.embeddings) {
            state.extend(value.to_le_bytes());
        }
        Ok(state)
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let mut words = Words::of(state)?;
        let (nats, targets) = (words.f64()?, words.u64()?);
        let dimensions = words.u32()?;
        let count = words.count(1 + dimensions as usize)?;
        let mut read = |length: usize| {
            (0..length)
                .map(|_| words.f32())
                .collect::<Result<Vec<f32>>>()
        };
        let (pairs, embeddings) = (read(count)?, read(count * dimensions as usize)?);
        words.end()?;
        self.check_width(dimensions, count)?;
        if count > 0 {
            self.dimensions = dimensions;
        }
        self.nats += nats;
        self.targets += targets;
        self.pairs.extend(pairs);
        self.embeddings.extend(embeddings);
        Ok(())
    }

    fn compute(&self) -> Result<Vec<Score>> {
        let nearer = self.nearer();
        let mean = |score: &dyn Fn(u64) -> f64| {
            nearer.iter().map(|&rank| score(rank)).sum::<f64>() / nearer.len() as f64
        };
        let within = |k: u64| mean(&|rank| f64::from(u8::from(rank < k)));
        Ok(vec![
            Score::lower("loss", self.nats / self.targets as f64),
            Score::higher("accuracy_at_1", within(1)),
            Score::higher("accuracy_at_5", within(5)),
            Score::higher("mrr", mean(&|rank| 1.0 / (1.0 + rank as f64))),
        ])
    }
}

/// Scales a row to length 1; one of zeros stays.
fn normalise(row: &mut [f32]) {
    let length = row
        .iter()
        .map(|&value| f64::from(value) * f64::from(value))
        .sum::<f64>()
        .sqrt();
    if length > 0.0 {
        for value in row {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

/// In eight sums, so that the compiler can add them side by side.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
