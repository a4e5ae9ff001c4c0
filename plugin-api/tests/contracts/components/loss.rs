//! A metric: the mean loss of all targets.

use std::cell::Cell;

use codex_plugin_api::{Error, Metric, Needs, Result, Samples, Score};

use super::{Fault, fresh};

#[derive(Default)]
pub(crate) struct MeanLoss {
    pub(crate) fault: Fault,
    sum: Cell<f64>,
    targets: Cell<u64>,
}

impl MeanLoss {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

impl Metric for MeanLoss {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            ranks: self.fault.is("stable needs") && fresh().is_multiple_of(2),
            ..Needs::default()
        }
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let sum: f64 = samples
            .log_probabilities
            .iter()
            .map(|&p| -f64::from(p))
            .sum();
        let count = samples.log_probabilities.len() as u64;
        if self.fault.is("any division") && count > 0 {
            self.sum.set(self.sum.get() + sum / count as f64);
            self.targets.set(self.targets.get() + 1);
            return Ok(());
        }
        let extra = u64::from(self.fault.is("empty update"));
        self.sum.set(self.sum.get() + sum);
        self.targets.set(self.targets.get() + count + extra);
        Ok(())
    }

    fn state(&self) -> Result<Vec<u8>> {
        Ok([
            self.sum.get().to_le_bytes(),
            self.targets.get().to_le_bytes(),
        ]
        .concat())
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let (parts, rest) = state.as_chunks::<8>();
        let ([sum, targets], []) = (parts, rest) else {
            if self.fault.is("bad state") {
                return Ok(());
            }
            return Err(Error::data(format!("a state of {} bytes", state.len())));
        };
        let keep = if self.fault.is("merge") { 0.0 } else { 1.0 };
        self.sum
            .set(keep * self.sum.get() + f64::from_le_bytes(*sum));
        self.targets
            .set((keep * self.targets.get() as f64) as u64 + u64::from_le_bytes(*targets));
        Ok(())
    }

    fn compute(&self) -> Result<Vec<Score>> {
        if self.fault.is("no sample") && self.targets.get() == 0 {
            return Err(Error::failed("nothing was seen"));
        }
        let value = self.sum.get() / self.targets.get() as f64;
        if self.fault.is("compute") {
            self.sum.set(0.0);
        }
        let name = if self.fault.is("names") {
            "Loss"
        } else {
            "loss"
        };
        Ok(vec![
            Score::lower(name, value),
            Score::higher("targets", self.targets.get() as f64),
        ])
    }
}
