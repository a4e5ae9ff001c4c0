//! The metric `classification`: what was predicted beside what is right.

use std::collections::{BTreeMap, BTreeSet};

use codex_plugin_api::{Error, Metric, Needs, Result, Samples, Score};

use crate::state::Words;
use crate::statistics::finite;

/// The component `classification`, with the definitions of scikit-learn:
///
/// - `loss`: mean of −ln p of the right class, in nats
/// - `accuracy`: share of samples whose predicted class is the right one
/// - `f1_macro`: mean of the classes' F1, of all classes that were right or predicted at least once
/// - `f1_micro`: F1 of all decisions together; with one class a sample it is the accuracy
/// - `f1_weighted`: mean of the classes' F1, weighted by how often each is right
/// - `mcc`: Matthews' correlation coefficient of several classes (Gorodkin 2004); 0 where one side never varies
///
/// Without any sample all are NaN.
#[derive(Clone, Debug, Default)]
pub struct Classification {
    nats: f64,
    targets: u64,
    /// How often each right class (bits of the label) was predicted as each.
    counts: BTreeMap<(u32, u32), u64>,
}

impl Metric for Classification {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            labels: true,
            ..Needs::default()
        }
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let (labels, predicted) = (samples.labels, samples.predicted_labels);
        if labels.len() != predicted.len() {
            return Err(Error::data(format!(
                "{} labels come with {} predicted ones",
                labels.len(),
                predicted.len()
            )));
        }
        finite("label", labels)?;
        finite("predicted label", predicted)?;
        if let Some(at) = samples
            .log_probabilities
            .iter()
            .position(|score| score.is_nan())
        {
            return Err(Error::data(format!(
                "log-probability {at} of {} is not a number",
                samples.log_probabilities.len()
            ))
            .hint("the model's weights may have diverged: lower training.learning_rate"));
        }
        for (label, predicted) in labels.iter().zip(predicted) {
            // −0 is 0.
            let key = ((label + 0.0).to_bits(), (predicted + 0.0).to_bits());
            *self.counts.entry(key).or_default() += 1;
        }
        let scores = samples.log_probabilities.iter();
        self.nats -= scores.map(|&score| f64::from(score)).sum::<f64>();
        self.targets += samples.log_probabilities.len() as u64;
        Ok(())
    }

    fn state(&self) -> Result<Vec<u8>> {
        let mut state = Vec::new();
        state.extend(self.nats.to_le_bytes());
        state.extend(self.targets.to_le_bytes());
        state.extend((self.counts.len() as u64).to_le_bytes());
        for (&(label, predicted), count) in &self.counts {
            state.extend(label.to_le_bytes());
            state.extend(predicted.to_le_bytes());
            state.extend(count.to_le_bytes());
        }
        Ok(state)
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let mut words = Words::of(state)?;
        let (nats, targets) = (words.f64()?, words.u64()?);
        let entries = words.count(4)?;
        let counts = (0..entries)
            .map(|_| Ok(((words.u32()?, words.u32()?), words.u64()?)))
            .collect::<Result<Vec<_>>>()?;
        words.end()?;
        self.nats += nats;
        self.targets += targets;
        for (key, count) in counts {
            *self.counts.entry(key).or_default() += count;
        }
        Ok(())
    }

    fn compute(&self) -> Result<Vec<Score>> {
        let table = Table::of(&self.counts);
        Ok(vec![
            Score::lower("loss", self.nats / self.targets as f64),
            Score::higher("accuracy", table.accuracy()),
            Score::higher("f1_macro", table.f1(|_| 1.0)),
            Score::higher("f1_micro", table.accuracy()),
            Score::higher("f1_weighted", table.f1(|class| class.right)),
            Score::higher("mcc", table.mcc()),
        ])
    }
}

/// How often a class was right, was predicted, and was both.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    right: f64,
    predicted: f64,
    hit: f64,
}

struct Table {
    classes: Vec<Class>,
    total: f64,
}

impl Table {
    fn of(counts: &BTreeMap<(u32, u32), u64>) -> Self {
        let names: BTreeSet<u32> = counts
            .keys()
            .flat_map(|&(label, predicted)| [label, predicted])
            .collect();
        let classes = names.into_iter().map(|name| {
            let mut class = Class::default();
            for (&(label, predicted), &count) in counts {
                let count = count as f64;
                class.right += if label == name { count } else { 0.0 };
                class.predicted += if predicted == name { count } else { 0.0 };
                class.hit += if label == name && predicted == name {
                    count
                } else {
                    0.0
                };
            }
            class
        });
        Self {
            classes: classes.collect(),
            total: counts.values().sum::<u64>() as f64,
        }
    }

    fn sum(&self, of: impl Fn(&Class) -> f64) -> f64 {
        self.classes.iter().map(of).sum()
    }

    fn accuracy(&self) -> f64 {
        self.sum(|class| class.hit) / self.total
    }

    /// The weighted mean of the classes' F1. A class is right or predicted at least once, so its F1 is defined.
    fn f1(&self, weight: impl Fn(&Class) -> f64) -> f64 {
        self.sum(|class| weight(class) * 2.0 * class.hit / (class.right + class.predicted))
            / self.sum(&weight)
    }

    fn mcc(&self) -> f64 {
        if self.total == 0.0 {
            return f64::NAN;
        }
        let square = self.total * self.total;
        let covariance = self.sum(|class| class.hit) * self.total
            - self.sum(|class| class.right * class.predicted);
        let right = square - self.sum(|class| class.right * class.right);
        let predicted = square - self.sum(|class| class.predicted * class.predicted);
        if right == 0.0 || predicted == 0.0 {
            return 0.0;
        }
        covariance / (right.sqrt() * predicted.sqrt())
    }
}
