//! The base map where adapters scale its input: of maps side by side, those whose input is scaled read a copy of it.

use std::ops::Range;

use candle_core::Tensor;
use codex_nn::{Result, columns, linear, residual};

use super::attached::Attached;
use super::vectors::Vector;
use crate::parts::Linear;
use crate::pass::Pass;

fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

impl Attached {
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
    pub(super) fn scaled_base(&self, pass: &Pass<'_>, map: &Linear, x: &Tensor) -> Result<Tensor> {
        let weight = map.weight(pass)?;
        let parts = map.parts(pass, &weight)?;
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
            let all = if let Some(all) = whole.take() {
                all
            } else {
                let rows = y.dims2()?.0;
                codex_nn::zeros(rows * width, y.device())?.reshape((rows, width))?
            };
            all.slice_set(&y, 1, part.outputs.start)?;
            pass.workspace.recycle(y);
            whole = Some(all);
        }
        whole.ok_or_else(|| codex_nn::Error::Unsupported("a linear map without parts".to_owned()))
    }

    /// The backward of [`Self::scaled_base`] to the input, with the gradients of the factors.
    pub(super) fn scaled_input(
        &self,
        pass: &Pass<'_>,
        map: &Linear,
        dy: &Tensor,
        x: &Tensor,
    ) -> Result<Tensor> {
        let weight = map.weight(pass)?;
        let mut whole: Option<Tensor> = None;
        for part in map.parts(pass, &weight)? {
            let dy = columns::copy(pass.workspace, dy, part.outputs.clone())?;
            let dx = linear::backward_input(pass.workspace, &dy, &part.weight, map.orientation)?;
            pass.workspace.recycle(dy);
            if let Some(factors) = self.input_factors(pass, &part.outputs, None)? {
                let sums = columns::sums(&dx, 0..factors.len(), Some(x))?;
                for vector in self.inputs_of(&part.outputs) {
                    let mut gradient = sums.clone();
                    let others = self.input_factors(pass, &part.outputs, Some(vector))?;
                    if let Some(others) = &others {
                        multiply(&mut gradient, others);
                    }
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
