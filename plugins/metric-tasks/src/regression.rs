//! The metric `regression`: predicted values beside the right ones.

use codex_plugin_api::{Error, Metric, Needs, Result, Samples, Score};

use crate::state::Words;
use crate::statistics::{correlation, finite, ranks};

/// The component `regression`:
///
/// - `loss`, `mse`: mean of the squared errors, which is what training minimises
/// - `mae`: mean of the absolute errors
/// - `pearson`: correlation of the values; NaN where one side does not vary
/// - `spearman`: correlation of their ranks, equal values sharing theirs
///
/// Without any sample all are NaN. The state holds every value, since ranks need all of them.
#[derive(Clone, Debug, Default)]
pub struct Regression {
    labels: Vec<f32>,
    predicted: Vec<f32>,
}

impl Metric for Regression {
    fn needs(&self) -> Needs {
        Needs {
            labels: true,
            ..Needs::default()
        }
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let (labels, predicted) = (samples.labels, samples.predicted_labels);
        if labels.len() != predicted.len() {
            return Err(Error::data(format!(
                "{} values come with {} predicted ones",
                labels.len(),
                predicted.len()
            )));
        }
        finite("value", labels)?;
        finite("predicted value", predicted)?;
        self.labels.extend_from_slice(labels);
        self.predicted.extend_from_slice(predicted);
        Ok(())
    }

    fn state(&self) -> Result<Vec<u8>> {
        let mut state = Vec::from((self.labels.len() as u64).to_le_bytes());
        for value in self.labels.iter().chain(&self.predicted) {
            state.extend(value.to_le_bytes());
        }
        Ok(state)
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let mut words = Words::of(state)?;
        let count = words.count(2)?;
        let mut read = || {
            (0..count)
                .map(|_| words.f32())
                .collect::<Result<Vec<f32>>>()
        };
        let (labels, predicted) = (read()?, read()?);
        words.end()?;
        self.labels.extend(labels);
        self.predicted.extend(predicted);
        Ok(())
    }

    fn compute(&self) -> Result<Vec<Score>> {
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&v| f64::from(v)).collect() };
        let (labels, predicted) = (wide(&self.labels), wide(&self.predicted));
        let mean = |error: fn(f64) -> f64| {
            let errors = labels.iter().zip(&predicted);
            errors
                .map(|(label, value)| error(value - label))
                .sum::<f64>()
                / labels.len() as f64
        };
        let mse = mean(|error| error * error);
        Ok(vec![
            Score::lower("loss", mse),
            Score::lower("mse", mse),
            Score::lower("mae", mean(f64::abs)),
            Score::higher("pearson", correlation(&labels, &predicted)),
            Score::higher("spearman", correlation(&ranks(&labels), &ranks(&predicted))),
        ])
    }
}
