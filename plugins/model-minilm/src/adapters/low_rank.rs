//! Low-rank operations of one linear map as one step: those of one adapter that read the same input have their A's side
//! by side. Pairs with scales or shared matrices (VeRA) are derived from what is stored, once a pass, and each is a step
//! of its own.

use std::ops::Range;

use candle_core::Tensor;
use codex_nn::dropout::{self, Dropout};
use codex_nn::{Read, Result, low_rank, residual, write};

use super::adapter::{Action, Adapter, Pair, Placed};
use super::attached::parameters;
use crate::ADAPTER_DROPOUT;
use crate::parameters::{Parameters, Slot};
use crate::pass::Pass;

/// One or several low-rank operations.
#[derive(Debug)]
pub(super) struct LowRank {
    adapter: usize,
    /// The number of the first operation, which names the random stream.
    first: usize,
    dropout: f32,
    a: Slot,
    /// The rows of `a` that are used.
    ranks: Range<usize>,
    members: Vec<Member>,
    derived: Option<Derived>,
}

/// One pair of the step.
#[derive(Debug)]
struct Member {
    /// Among those that are used.
    ranks: Range<usize>,
    outputs: Range<usize>,
    b: Slot,
    factor: f32,
}

/// How A and B of a pair follow from what is stored: diag(rank_scale)·A and diag(output_scale)·B, both cut to the map.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    pub(super) rank: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    a: Slot,
    b: Slot,
    rank_scale: Option<Slot>,
    output_scale: Option<Slot>,
}

impl Derived {
    pub(super) fn of(pair: &Pair, placed: &Placed) -> Self {
        Self {
            rank: pair.rank(),
            inputs: placed.place.inputs,
            outputs: placed.place.outputs.len(),
            a: pair.a,
            b: pair.b,
            rank_scale: pair.rank_scale,
            output_scale: pair.output_scale,
        }
    }

    /// A `[rank, inputs]`. What is stored may be wider.
    pub(super) fn a(&self, parameters: &Parameters) -> Result<Vec<f32>> {
        let stored = Read::new(parameters.value(self.a))?;
        let width = stored.len() / self.rank.max(1);
        let rows = stored.chunks_exact(width.max(1));
        let mut a: Vec<f32> = rows.flat_map(|row| row[..self.inputs].to_vec()).collect();
        if let Some(slot) = self.rank_scale {
            scale_rows(&mut a, &Read::new(parameters.value(slot))?);
        }
        Ok(a)
    }

    /// B `[outputs, rank]`. What is stored may be higher.
    pub(super) fn b(&self, parameters: &Parameters) -> Result<Vec<f32>> {
        let stored = Read::new(parameters.value(self.b))?;
        let mut b = stored[..self.outputs * self.rank].to_vec();
        if let Some(slot) = self.output_scale {
            scale_rows(&mut b, &Read::new(parameters.value(slot))?);
        }
        Ok(b)
    }

    /// From the gradient of A to those of what it follows from.
    fn add_a(&self, parameters: &Parameters, gradient: &[f32]) -> Result<()> {
        let width = parameters.value(self.a).elem_count() / self.rank.max(1);
        add_rows(
            parameters,
            (self.a, width),
            self.rank_scale,
            gradient,
            self.inputs,
        )
    }

    /// The same for B.
    fn add_b(&self, parameters: &Parameters, gradient: &[f32]) -> Result<()> {
        add_rows(
            parameters,
            (self.b, self.rank),
            self.output_scale,
            gradient,
            self.rank,
        )
    }

    fn any_trains(parameters: &Parameters, slots: [Option<Slot>; 2]) -> bool {
        slots
            .into_iter()
            .flatten()
            .any(|slot| parameters.trains(slot))
    }
}

fn scale_rows(matrix: &mut [f32], factors: &[f32]) {
    let width = matrix.len() / factors.len().max(1);
    for (row, factor) in matrix.chunks_exact_mut(width.max(1)).zip(factors) {
        for value in row {
            *value *= factor;
        }
    }
}

/// From the gradient of diag(scale)·M, of rows of `cut` values, to those of M, whose rows are `width` long, and of scale.
fn add_rows(
    parameters: &Parameters,
    (matrix, width): (Slot, usize),
    scale: Option<Slot>,
    gradient: &[f32],
    cut: usize,
) -> Result<()> {
    let rows = || gradient.chunks_exact(cut.max(1));
    let factors = scale
        .map(|slot| Read::new(parameters.value(slot)))
        .transpose()?;
    if let Some(target) = parameters.gradient(matrix) {
        write(target, |target| {
            for (index, (target, row)) in target
                .chunks_exact_mut(width.max(1))
                .zip(rows())
                .enumerate()
            {
                let factor = factors.as_ref().map_or(1.0, |factors| factors[index]);
                for (target, value) in target.iter_mut().zip(row) {
                    *target += factor * value;
                }
            }
        })?;
    }
    let Some(target) = scale.and_then(|slot| parameters.gradient(slot)) else {
        return Ok(());
    };
    let stored = Read::new(parameters.value(matrix))?;
    write(target, |target| {
        for ((target, stored), row) in target
            .iter_mut()
            .zip(stored.chunks_exact(width.max(1)))
            .zip(rows())
        {
            *target += stored.iter().zip(row).map(|(a, b)| a * b).sum::<f32>();
        }
    })
}

impl LowRank {
    /// The step that begins with operation `number` of `adapter`; `None` where it is part of one that began before.
    pub(super) fn of(adapter: &Adapter, index: usize, number: usize, weight: f32) -> Option<Self> {
        let Action::LowRank(own) = &adapter.operations[number].action else {
            return None;
        };
        if own.derived() {
            return Some(Self::single(adapter, index, number, weight));
        }
        let mut first = None;
        let mut members = Vec::new();
        for (other, placed) in adapter.operations.iter().enumerate() {
            let Action::LowRank(pair) = &placed.action else {
                continue;
            };
            if pair.a == own.a && !pair.derived() {
                first.get_or_insert(other);
                members.push(Member {
                    ranks: pair.ranks.clone(),
                    outputs: placed.place.outputs.clone(),
                    b: pair.b,
                    factor: weight * pair.scale,
                });
            }
        }
        let ranks = members.iter().map(|member| member.ranks.len()).sum();
        (first == Some(number)).then_some(Self {
            adapter: index,
            first: number,
            dropout: own.dropout,
            a: own.a,
            ranks: 0..ranks,
            members,
            derived: None,
        })
    }

    /// Operation `number` alone; it has to be a low-rank one.
    pub(super) fn single(adapter: &Adapter, index: usize, number: usize, weight: f32) -> Self {
        let placed = &adapter.operations[number];
        let mut step = Self {
            adapter: index,
            first: number,
            dropout: 0.0,
            a: placed.place.weight,
            ranks: 0..0,
            members: Vec::new(),
            derived: None,
        };
        if let Action::LowRank(pair) = &placed.action {
            step.dropout = pair.dropout;
            step.a = pair.a;
            step.ranks = pair.ranks.clone();
            step.derived = pair.derived().then(|| Derived::of(pair, placed));
            step.members.push(Member {
                ranks: 0..pair.rank(),
                outputs: placed.place.outputs.clone(),
                b: pair.b,
                factor: weight * pair.scale,
            });
        }
        step
    }

    /// Whether anything of it trains.
    pub(super) fn trains(&self, adapter: &Adapter) -> bool {
        let parameters = &adapter.parameters;
        let scales = self
            .derived
            .iter()
            .flat_map(|one| [one.rank_scale, one.output_scale]);
        parameters.trains(self.a)
            || self
                .members
                .iter()
                .any(|member| parameters.trains(member.b))
            || scales.flatten().any(|slot| parameters.trains(slot))
    }

    fn a(&self, parameters: &Parameters) -> Result<Tensor> {
        let stored = parameters.value(self.a);
        match &self.derived {
            Some(derived) => {
                let shape = (derived.rank, derived.inputs);
                Ok(Tensor::from_vec(
                    derived.a(parameters)?,
                    shape,
                    stored.device(),
                )?)
            }
            None => Ok(stored.narrow(0, self.ranks.start, self.ranks.len())?),
        }
    }

    fn b(&self, parameters: &Parameters, member: &Member) -> Result<Tensor> {
        let stored = parameters.value(member.b);
        match &self.derived {
            Some(derived) => {
                let shape = (derived.outputs, derived.rank);
                Ok(Tensor::from_vec(
                    derived.b(parameters)?,
                    shape,
                    stored.device(),
                )?)
            }
            None => Ok(stored.clone()),
        }
    }

    fn all_b(&self, parameters: &Parameters) -> Result<Vec<Tensor>> {
        let members = self.members.iter();
        members.map(|member| self.b(parameters, member)).collect()
    }

    fn pairs<'a>(&self, b: &'a [Tensor]) -> Vec<low_rank::Pair<'a>> {
        let members = self.members.iter().zip(b);
        members
            .map(|(member, b)| low_rank::Pair {
                ranks: member.ranks.clone(),
                outputs: member.outputs.clone(),
                b,
                factor: member.factor,
            })
            .collect()
    }

    /// A, B and factor of a step of one operation.
    pub(super) fn matrices(&self, pass: &Pass<'_>) -> Result<(Tensor, Tensor, f32)> {
        let parameters = parameters(pass, self.adapter);
        let member = &self.members[0];
        Ok((
            self.a(parameters)?,
            self.b(parameters, member)?,
            member.factor,
        ))
    }

    fn dropout(&self, pass: &Pass<'_>) -> Option<Dropout> {
        let key = pass.random?.key.with(ADAPTER_DROPOUT);
        (self.dropout > 0.0).then(|| Dropout {
            probability: self.dropout,
            key: key.with(self.adapter as u64).with(self.first as u64),
        })
    }

    /// The input after dropout, where there is any.
    fn dropped(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Option<Tensor>> {
        let Some(drop) = self.dropout(pass) else {
            return Ok(None);
        };
        let copy = pass.workspace.copy(x)?;
        dropout::forward(&copy, &drop)?;
        Ok(Some(copy))
    }

    /// Adds to `y`; gives the inner values.
    pub(super) fn forward(&self, pass: &Pass<'_>, x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let parameters = parameters(pass, self.adapter);
        let dropped = self.dropped(pass, x)?;
        let a = self.a(parameters)?;
        let h = low_rank::inner(pass.workspace, dropped.as_ref().unwrap_or(x), &a)?;
        pass.recycle(dropped);
        low_rank::outer(pass.workspace, y, &h, &self.pairs(&self.all_b(parameters)?))?;
        Ok(h)
    }

    /// Adds the gradients of what trains; gives that of the inner values.
    pub(super) fn backward(
        &self,
        pass: &Pass<'_>,
        dy: &Tensor,
        x: &Tensor,
        h: &Tensor,
    ) -> Result<Tensor> {
        let (ws, parameters) = (pass.workspace, parameters(pass, self.adapter));
        let b = self.all_b(parameters)?;
        let pairs = self.pairs(&b);
        if let Some(derived) = &self.derived {
            return self.derived_backward(pass, derived, (dy, x, h), &pairs);
        }
        let gradients: Vec<Option<&Tensor>> = self
            .members
            .iter()
            .map(|member| parameters.gradient(member.b))
            .collect();
        let dh = low_rank::backward_outer(ws, dy, h, &pairs, &gradients)?;
        if parameters.trains(self.a) {
            let dropped = self.dropped(pass, x)?;
            let x = dropped.as_ref().unwrap_or(x);
            if let Some(gradient) = parameters.gradient(self.a) {
                low_rank::backward_inner(ws, &dh, self.ranks.clone(), x, gradient)?;
            }
            for part in parameters.gradient_parts(self.a) {
                low_rank::backward_inner(ws, &dh, part.rows.clone(), x, &part.gradient)?;
            }
            pass.recycle(dropped);
        }
        Ok(dh)
    }

    fn derived_backward(
        &self,
        pass: &Pass<'_>,
        derived: &Derived,
        (dy, x, h): (&Tensor, &Tensor, &Tensor),
        pairs: &[low_rank::Pair<'_>],
    ) -> Result<Tensor> {
        let (ws, parameters) = (pass.workspace, parameters(pass, self.adapter));
        let zeros = |trains: bool, count: usize| {
            trains
                .then(|| codex_nn::zeros(count, dy.device()))
                .transpose()
        };
        let any = Derived::any_trains;
        let b_trains = any(parameters, [Some(derived.b), derived.output_scale]);
        let a_trains = any(parameters, [Some(derived.a), derived.rank_scale]);
        let db = zeros(b_trains, derived.outputs * derived.rank)?;
        let db = db
            .map(|flat| flat.reshape((derived.outputs, derived.rank)))
            .transpose()?;
        let dh = low_rank::backward_outer(ws, dy, h, pairs, &[db.as_ref()])?;
        if let Some(db) = db {
            derived.add_b(parameters, &Read::new(&db)?)?;
        }
        if let Some(da) = zeros(a_trains, derived.rank * derived.inputs)? {
            let da = da.reshape((derived.rank, derived.inputs))?;
            let dropped = self.dropped(pass, x)?;
            let x = dropped.as_ref().unwrap_or(x);
            low_rank::backward_inner(ws, &dh, 0..derived.rank, x, &da)?;
            pass.recycle(dropped);
            derived.add_a(parameters, &Read::new(&da)?)?;
        }
        Ok(dh)
    }

    /// Adds to the gradient of the input, from that of the inner values.
    pub(super) fn backward_input(&self, pass: &Pass<'_>, dx: &Tensor, dh: &Tensor) -> Result<()> {
        let a = self.a(parameters(pass, self.adapter))?;
        let Some(drop) = self.dropout(pass) else {
            return low_rank::backward_input(pass.workspace, dx, dh, &a);
        };
        let own = codex_nn::zeros(dx.elem_count(), dx.device())?.reshape(dx.shape())?;
        low_rank::backward_input(pass.workspace, &own, dh, &a)?;
        dropout::backward(&own, &drop)?;
        residual::add(dx, &own)
    }
}
