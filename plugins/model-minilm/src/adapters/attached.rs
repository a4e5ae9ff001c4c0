//! What the adapters that apply add to one linear map, forward and backward. Operations go one after the other, each with
//! its adapter's weight w: y ← y + w·(op(y) − y). An operation on the input changes what the base map reads, nothing else.

use std::collections::BTreeMap;

use candle_core::Tensor;
use codex_nn::{Result, columns};

use super::adapter::{Action, Adapter};
use super::low_rank::LowRank;
use super::vectors::{Magnitude, Vector};
use crate::parameters::Parameters;
use crate::parts::Linear;
use crate::pass::Pass;

/// One operation on the outputs, or several low-rank ones at once.
#[derive(Debug)]
enum Step {
    LowRank(LowRank),
    Scale(Vector),
    Magnitude(Magnitude),
    Bias(Vector),
}

/// What is added to one linear map.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pub(super) inputs: Vec<Vector>,
    steps: Vec<Step>,
    trains: bool,
}

/// What backward needs, one for each step.
#[derive(Debug, Default)]
pub(crate) struct Saved(Vec<Option<Tensor>>);

impl Saved {
    /// Gives the buffers back.
    pub(crate) fn recycle(self, pass: &Pass<'_>) {
        self.0.into_iter().for_each(|tensor| pass.recycle(tensor));
    }
}

/// What the backward of the outputs leaves for that of the input.
#[derive(Debug, Default)]
pub(crate) struct Gradient {
    /// The gradient of the base map's output, where it is not that of the whole.
    base: Option<Tensor>,
    /// That of the input by way of the base map, where it is there already.
    input: Option<Tensor>,
    /// Those of the low-rank steps' inner values, by the step's number.
    inner: Vec<(usize, Tensor)>,
}

impl Gradient {
    /// The gradient of the base map's output, of which `dy` is that of the whole.
    pub(crate) fn of_base<'a>(&'a self, dy: &'a Tensor) -> &'a Tensor {
        self.base.as_ref().unwrap_or(dy)
    }

    /// Gives the buffers back where the input's gradient is not asked for.
    pub(crate) fn recycle(self, pass: &Pass<'_>) {
        pass.recycle(self.base);
        pass.recycle(self.input);
        for (_, tensor) in self.inner {
            pass.workspace.recycle(tensor);
        }
    }
}

/// What `active` adapters add to each map, by the view of its weight.
pub(super) fn all(all: &[Adapter], active: &[(usize, f32)]) -> Vec<Option<Attached>> {
    let mut attached: BTreeMap<usize, Attached> = BTreeMap::new();
    for &(index, weight) in active {
        let adapter = &all[index];
        for (number, placed) in adapter.operations.iter().enumerate() {
            let place = &placed.place;
            let at = attached.entry(place.weight.index()).or_default();
            let vector = |slot| Vector {
                adapter: index,
                slot,
                weight,
                outputs: place.outputs.clone(),
            };
            match &placed.action {
                Action::LowRank(_) => {
                    let step = LowRank::of(adapter, index, number, weight);
                    at.trains |= step.as_ref().is_some_and(|step| step.trains(adapter));
                    at.steps.extend(step.map(Step::LowRank));
                }
                Action::ScaleOutput(slot) => at.steps.push(Step::Scale(vector(*slot))),
                Action::ScaleInput(slot) => at.inputs.push(vector(*slot)),
                Action::Bias(slot) => at.steps.push(Step::Bias(vector(*slot))),
                Action::Magnitude(slot, pair) => {
                    let pair = pair.map(|pair| LowRank::single(adapter, index, pair, weight));
                    let magnitude = Magnitude::new(vector(*slot), place, pair);
                    at.steps.push(Step::Magnitude(magnitude));
                }
                Action::Whole => {}
            }
            let slot = match &placed.action {
                Action::ScaleOutput(slot)
                | Action::ScaleInput(slot)
                | Action::Bias(slot)
                | Action::Magnitude(slot, _) => Some(*slot),
                Action::LowRank(_) | Action::Whole => None,
            };
            at.trains |= slot.is_some_and(|slot| adapter.parameters.trains(slot));
        }
    }
    let count = attached.keys().next_back().map_or(0, |last| last + 1);
    let mut found: Vec<Option<Attached>> = (0..count).map(|_| None).collect();
    for (index, one) in attached {
        if !one.inputs.is_empty() || !one.steps.is_empty() {
            found[index] = Some(one);
        }
    }
    found
}

/// The parameters of an adapter in this pass.
pub(super) fn parameters<'a>(pass: &Pass<'a>, adapter: usize) -> &'a Parameters {
    pass.adapters.of(adapter)
}

impl Step {
    /// Changes the output in place; gives what backward needs.
    fn forward(
        &self,
        pass: &Pass<'_>,
        x: &Tensor,
        y: &Tensor,
        keep: bool,
    ) -> Result<Option<Tensor>> {
        let before = |vector: &Vector| {
            let kept = keep && vector.trains(pass);
            kept.then(|| columns::copy(pass.workspace, y, vector.outputs.clone()))
                .transpose()
        };
        match self {
            Self::LowRank(step) => {
                let h = step.forward(pass, x, y)?;
                if keep {
                    return Ok(Some(h));
                }
                pass.workspace.recycle(h);
                Ok(None)
            }
            Self::Scale(vector) => {
                let before = before(vector)?;
                columns::scale(y, vector.outputs.clone(), &vector.factors(pass)?, None)?;
                Ok(before)
            }
            Self::Magnitude(magnitude) => {
                let before = before(&magnitude.vector)?;
                magnitude.forward(pass, y)?;
                Ok(before)
            }
            Self::Bias(vector) => {
                let addends = vector.addends(pass)?;
                let ones = vec![1.0; addends.len()];
                columns::scale(y, vector.outputs.clone(), &ones, Some(&addends))?;
                Ok(None)
            }
        }
    }

    /// Whether it changes the gradient that the steps before it see.
    fn scales(&self) -> bool {
        matches!(self, Self::Scale(_) | Self::Magnitude(_))
    }

    /// Adds the gradients of what trains, and turns `dy` into the gradient of what the output was before. Gives that of
    /// inner values.
    fn backward(
        &self,
        pass: &Pass<'_>,
        dy: &Tensor,
        x: &Tensor,
        saved: Option<&Tensor>,
    ) -> Result<Option<Tensor>> {
        match (self, saved) {
            (Self::LowRank(step), Some(h)) => return step.backward(pass, dy, x, h).map(Some),
            // The host never trains without what a forward that keeps has kept.
            (Self::LowRank(_), None) => {}
            (Self::Scale(vector), before) => {
                if let Some(before) = before {
                    let sums = columns::sums(dy, vector.outputs.clone(), Some(before))?;
                    vector.add(pass, &sums)?;
                }
                columns::scale(dy, vector.outputs.clone(), &vector.factors(pass)?, None)?;
            }
            (Self::Magnitude(magnitude), before) => {
                if let Some(before) = before {
                    magnitude.add_gradient(pass, dy, before)?;
                }
                let factors = magnitude.terms(pass)?.factors;
                columns::scale(dy, magnitude.vector.outputs.clone(), &factors, None)?;
            }
            (Self::Bias(vector), _) => {
                if vector.trains(pass) {
                    vector.add(pass, &columns::sums(dy, vector.outputs.clone(), None)?)?;
                }
            }
        }
        Ok(None)
    }
}

impl Attached {
    /// Whether anything of it trains.
    pub(crate) fn trains(&self) -> bool {
        self.trains
    }

    /// Norms follow from values that have changed.
    pub(super) fn forget_norms(&self) {
        for step in &self.steps {
            if let Step::Magnitude(magnitude) = step {
                magnitude.forget_norms();
            }
        }
    }

    /// The output of `map` with everything added; with `keep`, what backward needs as well.
    pub(crate) fn forward(
        &self,
        pass: &Pass<'_>,
        map: &Linear,
        x: &Tensor,
        keep: bool,
    ) -> Result<(Tensor, Saved)> {
        let y = if self.inputs.is_empty() {
            map.base(pass, x)?
        } else {
            self.scaled_base(pass, map, x)?
        };
        let steps = self.steps.iter();
        let saved = steps.map(|step| step.forward(pass, x, &y, keep));
        let saved = saved.collect::<Result<_>>()?;
        Ok((y, Saved(saved)))
    }

    /// The backward of the steps; that of the base map's own parameters is left to the caller.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        map: &Linear,
        dy: &Tensor,
        x: &Tensor,
        saved: Saved,
    ) -> Result<Gradient> {
        let mut gradient = Gradient::default();
        if self.steps.iter().any(Step::scales) {
            gradient.base = Some(pass.workspace.copy(dy)?);
        }
        for (index, (step, saved)) in self.steps.iter().zip(saved.0).enumerate().rev() {
            let inner = step.backward(pass, gradient.of_base(dy), x, saved.as_ref())?;
            gradient.inner.extend(inner.map(|inner| (index, inner)));
            pass.recycle(saved);
        }
        if !self.inputs.is_empty() {
            gradient.input = Some(self.scaled_input(pass, map, gradient.of_base(dy), x)?);
        }
        Ok(gradient)
    }

    /// The gradient of the input, from what [`Self::backward`] left.
    pub(crate) fn backward_input(
        &self,
        pass: &Pass<'_>,
        map: &Linear,
        dy: &Tensor,
        mut gradient: Gradient,
    ) -> Result<Tensor> {
        let dx = match gradient.input.take() {
            Some(dx) => dx,
            None => map.base_backward_input(pass, gradient.of_base(dy))?,
        };
        for (index, inner) in &gradient.inner {
            if let Step::LowRank(step) = &self.steps[*index] {
                step.backward_input(pass, &dx, inner)?;
            }
        }
        gradient.recycle(pass);
        Ok(dx)
    }
}
