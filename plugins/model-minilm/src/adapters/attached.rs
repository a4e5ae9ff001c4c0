//! What the adapters that apply add to one linear map, forward and backward. Operations go one after the other, each with
//! its adapter's weight w: y ← y + w·(op(y) − y). An operation on the input changes what the base map reads, nothing else.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use codex_nn::linear::{self, Orientation};
use codex_nn::magnitude::{self, Addition};
use codex_nn::{Read, Result, columns, residual, write};

use super::adapter::{Action, Adapter};
use super::low_rank::LowRank;
use crate::parameters::{Parameters, Slot};
use crate::parts::Linear;
use crate::pass::Pass;

/// A vector of an adapter that applies.
#[derive(Clone, Debug)]
struct Vector {
    adapter: usize,
    slot: Slot,
    weight: f32,
    outputs: Range<usize>,
}

/// One operation on the outputs, or several low-rank ones at once.
#[derive(Debug)]
enum Step {
    LowRank(LowRank),
    Scale(Vector),
    Magnitude(Magnitude),
    Bias(Vector),
}

/// The normalisation of an adapted weight.
#[derive(Debug)]
struct Magnitude {
    vector: Vector,
    orientation: Orientation,
    weight: Slot,
    bias: Option<Slot>,
    pair: Option<LowRank>,
    /// Norms of the adapted weight's rows, until values change.
    norms: Mutex<Option<Arc<Vec<f32>>>>,
}

/// What is added to one linear map.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    inputs: Vec<Vector>,
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
                Action::Magnitude(slot, pair) => at.steps.push(Step::Magnitude(Magnitude {
                    vector: vector(*slot),
                    orientation: place.orientation,
                    weight: place.weight,
                    bias: place.bias,
                    pair: pair.map(|pair| LowRank::single(adapter, index, pair, weight)),
                    norms: Mutex::default(),
                })),
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

impl Vector {
    /// 1 + w·(v − 1) of each value.
    fn factors(&self, pass: &Pass<'_>) -> Result<Vec<f32>> {
        let values = Read::new(parameters(pass, self.adapter).value(self.slot))?;
        Ok(values
            .iter()
            .map(|value| 1.0 + self.weight * (value - 1.0))
            .collect())
    }

    /// w·v of each value.
    fn addends(&self, pass: &Pass<'_>) -> Result<Vec<f32>> {
        let values = Read::new(parameters(pass, self.adapter).value(self.slot))?;
        Ok(values.iter().map(|value| self.weight * value).collect())
    }

    /// Whether it trains.
    fn trains(&self, pass: &Pass<'_>) -> bool {
        parameters(pass, self.adapter).trains(self.slot)
    }

    /// Adds w·`gradient` to its gradient, if it trains.
    fn add(&self, pass: &Pass<'_>, gradient: &[f32]) -> Result<()> {
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
    fn norms(&self, pass: &Pass<'_>) -> Result<Arc<Vec<f32>>> {
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
        let norms = Arc::new(magnitude::norms(
            pass.workspace,
            pass.parameters.value(self.weight),
            self.vector.outputs.clone(),
            self.orientation,
            addition,
        )?);
        *kept = Some(norms.clone());
        Ok(norms)
    }

    /// (norms, 1 + w·(m/norm − 1), the base's bias)
    fn terms(&self, pass: &Pass<'_>) -> Result<(Arc<Vec<f32>>, Vec<f32>, Option<Vec<f32>>)> {
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
        Ok((norms.clone(), factors.collect(), bias))
    }

    /// The weight is scaled, the bias is not: y ← f·(y − b) + b.
    fn forward(&self, pass: &Pass<'_>, y: &Tensor) -> Result<()> {
        let (_, factors, bias) = self.terms(pass)?;
        let rest: Option<Vec<f32>> = bias.map(|bias| {
            let terms = bias.iter().zip(&factors);
            terms.map(|(bias, factor)| bias * (1.0 - factor)).collect()
        });
        columns::scale(y, self.vector.outputs.clone(), &factors, rest.as_deref())
    }

    /// Adds the magnitude's gradient, from that of the output and what the output was before.
    fn add_gradient(&self, pass: &Pass<'_>, dy: &Tensor, before: &Tensor) -> Result<()> {
        let (norms, _, bias) = self.terms(pass)?;
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
                let (_, factors, _) = magnitude.terms(pass)?;
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

fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
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
                *magnitude
                    .norms
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = None;
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

    /// The factors of the input of one map of those side by side.
    fn inputs_of<'a>(&'a self, outputs: &'a Range<usize>) -> impl Iterator<Item = &'a Vector> {
        self.inputs
            .iter()
            .filter(move |one| one.outputs == *outputs)
    }

    /// Their product, if there are any; `without` one of them.
    fn input_factors(
        &self,
        pass: &Pass<'_>,
        outputs: &Range<usize>,
        without: Option<&Vector>,
    ) -> Result<Option<Vec<f32>>> {
        let mut product: Option<Vec<f32>> = None;
        for vector in self.inputs_of(outputs) {
            let mut factors = vector.factors(pass)?;
            if without.is_some_and(|other| std::ptr::eq(other, vector)) {
                factors.fill(1.0);
            }
            match &mut product {
                None => product = Some(factors),
                Some(product) => multiply(product, &factors),
            }
        }
        Ok(product)
    }

    /// The base map where some of the maps side by side read a scaled input.
    fn scaled_base(&self, pass: &Pass<'_>, map: &Linear, x: &Tensor) -> Result<Tensor> {
        let parts = map.parts(pass)?;
        let mut whole: Option<Tensor> = None;
        for part in &parts {
            let factors = self.input_factors(pass, &part.outputs, None)?;
            let scaled = match &factors {
                None => None,
                Some(factors) => {
                    let scaled = pass.workspace.copy(x)?;
                    columns::scale(&scaled, 0..factors.len(), factors, None)?;
                    Some(scaled)
                }
            };
            let read = scaled.as_ref().unwrap_or(x);
            let bias = part.bias.as_ref();
            let y = linear::forward(pass.workspace, read, &part.weight, bias, map.orientation)?;
            pass.recycle(scaled);
            if parts.len() == 1 {
                return Ok(y);
            }
            let width = parts.iter().map(|part| part.outputs.len()).sum::<usize>();
            let all = match whole.take() {
                Some(all) => all,
                None => {
                    let rows = y.dims2()?.0;
                    codex_nn::zeros(rows * width, y.device())?.reshape((rows, width))?
                }
            };
            all.slice_set(&y, 1, part.outputs.start)?;
            pass.workspace.recycle(y);
            whole = Some(all);
        }
        whole.ok_or_else(|| codex_nn::Error::Unsupported("a linear map without parts".to_owned()))
    }

    /// The backward of [`Self::scaled_base`] to the input, with the gradients of the factors.
    fn scaled_input(
        &self,
        pass: &Pass<'_>,
        map: &Linear,
        dy: &Tensor,
        x: &Tensor,
    ) -> Result<Tensor> {
        let mut whole: Option<Tensor> = None;
        for part in map.parts(pass)? {
            let dy = columns::copy(pass.workspace, dy, part.outputs.clone())?;
            let dx = linear::backward_input(pass.workspace, &dy, &part.weight, map.orientation)?;
            pass.workspace.recycle(dy);
            if let Some(factors) = self.input_factors(pass, &part.outputs, None)? {
                let sums = columns::sums(&dx, 0..factors.len(), Some(x))?;
                for vector in self.inputs_of(&part.outputs) {
                    let mut gradient = sums.clone();
                    let others = self.input_factors(pass, &part.outputs, Some(vector))?;
                    others
                        .iter()
                        .for_each(|others| multiply(&mut gradient, others));
                    vector.add(pass, &gradient)?;
                }
                columns::scale(&dx, 0..factors.len(), &factors, None)?;
            }
            match &whole {
                None => whole = Some(dx),
                Some(whole) => {
                    residual::add(whole, &dx)?;
                    pass.workspace.recycle(dx);
                }
            }
        }
        whole.ok_or_else(|| codex_nn::Error::Unsupported("a linear map without parts".to_owned()))
    }
}
