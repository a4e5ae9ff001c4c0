//! Operations that are one vector: factors of outputs or inputs, biases, and the magnitudes of an adapted weight's rows.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use codex_nn::linear::Orientation;
use codex_nn::magnitude::{self, Addition};
use codex_nn::{Read, Result, columns, write};

use super::attached::parameters;
use super::low_rank::LowRank;
use super::places::Place;
use crate::parameters::Slot;
use crate::pass::Pass;

/// A vector of an adapter that applies.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    pub(super) adapter: usize,
    pub(super) slot: Slot,
    pub(super) weight: f32,
    pub(super) outputs: Range<usize>,
}

/// The normalisation of an adapted weight.
#[derive(Debug)]
pub(super) struct Magnitude {
    pub(super) vector: Vector,
    orientation: Orientation,
    weight: Slot,
    bias: Option<Slot>,
    pair: Option<LowRank>,
    /// Norms of the adapted weight's rows, until values change.
    norms: Mutex<Option<Arc<Vec<f32>>>>,
}

/// What a magnitude's step computes with.
pub(super) struct Terms {
    norms: Arc<Vec<f32>>,
    /// 1 + w·(m/norm − 1).
    pub(super) factors: Vec<f32>,
    /// The base's.
    bias: Option<Vec<f32>>,
}

impl Vector {
    /// 1 + w·(v − 1) of each value.
    pub(super) fn factors(&self, pass: &Pass<'_>) -> Result<Vec<f32>> {
        let values = Read::new(parameters(pass, self.adapter).value(self.slot))?;
        Ok(values
            .iter()
            .map(|value| 1.0 + self.weight * (value - 1.0))
            .collect())
    }

    /// w·v of each value.
    pub(super) fn addends(&self, pass: &Pass<'_>) -> Result<Vec<f32>> {
        let values = Read::new(parameters(pass, self.adapter).value(self.slot))?;
        Ok(values.iter().map(|value| self.weight * value).collect())
    }

    /// Whether it trains.
    pub(super) fn trains(&self, pass: &Pass<'_>) -> bool {
        parameters(pass, self.adapter).trains(self.slot)
    }

    /// Adds w·`gradient` to its gradient, if it trains.
    pub(super) fn add(&self, pass: &Pass<'_>, gradient: &[f32]) -> Result<()> {
        let Some(target) = parameters(pass, self.adapter).gradient(self.slot) else {
            return Ok(());
        };
        write(target, |target| {
            for (target, gradient) in target.iter_mut().zip(gradient) {
                *target += self.weight * gradient;
            }
        })
    }
}

impl Magnitude {
    pub(super) fn new(vector: Vector, place: &Place, pair: Option<LowRank>) -> Self {
        Self {
            vector,
            orientation: place.orientation,
            weight: place.weight,
            bias: place.bias,
            pair,
            norms: Mutex::default(),
        }
    }

    /// Norms follow from values that have changed.
    pub(super) fn forget_norms(&self) {
        *self.norms.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn norms(&self, pass: &Pass<'_>) -> Result<Arc<Vec<f32>>> {
        let mut kept = self.norms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(norms) = &*kept {
            return Ok(norms.clone());
        }
        let pair = self
            .pair
            .as_ref()
            .map(|pair| pair.matrices(pass))
            .transpose()?;
        let addition = pair.as_ref().map(|(a, b, factor)| Addition {
            a,
            b,
            factor: *factor,
        });
        let weight = pass.parameters.weight(pass.workspace, self.weight)?;
        let norms = Arc::new(magnitude::norms(
            pass.workspace,
            &weight,
            self.vector.outputs.clone(),
            self.orientation,
            addition,
        )?);
        *kept = Some(norms.clone());
        Ok(norms)
    }

    pub(super) fn terms(&self, pass: &Pass<'_>) -> Result<Terms> {
        let norms = self.norms(pass)?;
        let magnitudes = Read::new(parameters(pass, self.vector.adapter).value(self.vector.slot))?;
        let factors = magnitudes
            .iter()
            .zip(norms.iter())
            .map(|(m, norm)| 1.0 + self.vector.weight * (m / norm.max(f32::MIN_POSITIVE) - 1.0));
        let bias = match self.bias {
            None => None,
            Some(slot) => {
                let bias = Read::new(pass.parameters.value(slot))?;
                Some(bias[self.vector.outputs.clone()].to_vec())
            }
        };
        Ok(Terms {
            factors: factors.collect(),
            norms: norms.clone(),
            bias,
        })
    }

    /// The weight is scaled, the bias is not: y ← f·(y − b) + b.
    pub(super) fn forward(&self, pass: &Pass<'_>, y: &Tensor) -> Result<()> {
        let Terms { factors, bias, .. } = self.terms(pass)?;
        let rest: Option<Vec<f32>> = bias.map(|bias| {
            let terms = bias.iter().zip(&factors);
            terms.map(|(bias, factor)| bias * (1.0 - factor)).collect()
        });
        columns::scale(y, self.vector.outputs.clone(), &factors, rest.as_deref())
    }

    /// Adds the magnitude's gradient, from that of the output and what the output was before.
    pub(super) fn add_gradient(&self, pass: &Pass<'_>, dy: &Tensor, before: &Tensor) -> Result<()> {
        let Terms { norms, bias, .. } = self.terms(pass)?;
        let outputs = &self.vector.outputs;
        let mut gradient = columns::sums(dy, outputs.clone(), Some(before))?;
        if let Some(bias) = bias {
            let sums = columns::sums(dy, outputs.clone(), None)?;
            for ((gradient, bias), sum) in gradient.iter_mut().zip(&bias).zip(&sums) {
                *gradient -= bias * sum;
            }
        }
        for (gradient, norm) in gradient.iter_mut().zip(norms.iter()) {
            *gradient /= norm.max(f32::MIN_POSITIVE);
        }
        self.vector.add(pass, &gradient)
    }
}
