//! AdamW with decoupled weight decay (Loshchilov and Hutter 2019) and the global gradient norm, over flat buffers: one
//! that holds all parameters of a model one behind the other, and three as long as what trains of them. Learning-rate
//! schedules are left to the host.

use std::ops::Range;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::error::same_size;
use crate::storage::{Read, write};
use crate::vectorized::{lane_sum, vectorized};
use crate::{Error, Result, composed};

/// Elements of one piece of work, and of one partial sum of the norm.
const PIECE: usize = 1 << 15;

/// The numbers of one optimizer step; `torch.optim.AdamW`'s names and meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay rates of the two moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of groups that decay.
    pub weight_decay: f64,
    /// This step's number, from 1.
    pub step: u64,
    /// Every gradient is multiplied by this first: min(1, limit / norm) for clipping.
    pub gradient_factor: f32,
}

/// A part of the parameters that is treated alike. Parts that no group names stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which elements; groups come in ascending order and do not overlap.
    pub range: Range<usize>,
    /// Where its gradients and moments begin in their buffers, which need not have room for what does not train; in
    /// ascending order and without overlap as well.
    pub state: usize,
    /// Whether `weight_decay` applies.
    pub decay: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) keep: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) step_size: f32,
    pub(crate) root_correction: f32,
    pub(crate) epsilon: f32,
    pub(crate) gradient_factor: f32,
}

vectorized! {
    fn step_piece(parameters: &mut [f32], gradients: &mut [f32], first: &mut [f32], second: &mut [f32], terms: Terms) {
        for (((parameter, gradient), first), second) in
            parameters.iter_mut().zip(gradients).zip(first).zip(second)
        {
            let g = *gradient * terms.gradient_factor;
            let m = *first + (g - *first) * (1.0 - terms.beta1);
            let v = *second * terms.beta2 + g * g * (1.0 - terms.beta2);
            let denominator = v.sqrt() / terms.root_correction + terms.epsilon;
            *parameter = *parameter * terms.keep - terms.step_size * (m / denominator);
            *first = m;
            *second = v;
            *gradient = 0.0;
        }
    }

    fn square_sum(values: &[f32]) -> f32 {
        lane_sum(values.len(), |i| values[i] * values[i])
    }
}

/// √Σ g² over the whole buffer, with partial sums in an order fixed by its length. NaN or infinite when an element is.
pub fn norm(gradients: &Tensor) -> Result<f64> {
    if composed::takes(gradients) {
        return composed::adamw::norm(gradients);
    }
    let gradients = Read::new(gradients)?;
    let partial: Vec<f64> = gradients
        .par_chunks(PIECE)
        .map(|piece| {
            piece
                .chunks(1024)
                .map(|part| f64::from(square_sum(part)))
                .sum()
        })
        .collect();
    Ok(partial.iter().sum::<f64>().sqrt())
}

/// The groups, if they lie in order inside `length` parameters and `state` gradients.
fn check(groups: &[Group], length: usize, state: usize) -> Result<()> {
    let (mut end, mut state_end) = (0, 0);
    for group in groups {
        let Range { start, end: last } = group.range;
        if start < end || last < start || last > length {
            return Err(Error::Range {
                place: "adamw group",
                value: format!("{:?}", group.range),
                range: format!("{end}..{length}"),
            });
        }
        if group.state < state_end || group.state + group.range.len() > state {
            return Err(Error::Range {
                place: "adamw group's state",
                value: format!("{} of {:?}", group.state, group.range),
                range: format!("{state_end}..{state}"),
            });
        }
        (end, state_end) = (last, group.state + group.range.len());
    }
    Ok(())
}

/// One step on the elements of `groups`, in place; their gradients are zero afterwards.
///
/// # Errors
/// When gradients and moments differ in length, or a group lies outside its buffers or out of order.
pub fn step(
    parameters: &Tensor,
    gradients: &Tensor,
    first_moment: &Tensor,
    second_moment: &Tensor,
    groups: &[Group],
    options: &Options,
) -> Result<()> {
    let state = gradients.elem_count();
    for tensor in [first_moment, second_moment] {
        same_size("adamw buffer", state, tensor.elem_count())?;
    }
    check(groups, parameters.elem_count(), state)?;
    let (beta1, beta2) = options.betas;
    let power = i32::try_from(options.step).unwrap_or(i32::MAX);
    let terms = |decay: bool| {
        let decay = if decay { options.weight_decay } else { 0.0 };
        Terms {
            keep: (1.0 - options.learning_rate * decay) as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            step_size: (options.learning_rate / (1.0 - beta1.powi(power))) as f32,
            root_correction: (1.0 - beta2.powi(power)).sqrt() as f32,
            epsilon: options.epsilon as f32,
            gradient_factor: options.gradient_factor,
        }
    };
    if composed::takes(parameters) {
        return composed::adamw::step(
            parameters,
            gradients,
            first_moment,
            second_moment,
            groups,
            terms,
        );
    }
    write(parameters, |parameters| {
        write(gradients, |gradients| {
            write(first_moment, |first| {
                write(second_moment, |second| {
                    let mut pieces = Vec::new();
                    let mut rest = ((0, 0), parameters, gradients, first, second);
                    for group in groups {
                        let ((at, state), p, g, m, v) = rest;
                        let (skip, skip_state) = (group.range.start - at, group.state - state);
                        let mut at = group.range.start;
                        let (mut p, mut g) = (&mut p[skip..], &mut g[skip_state..]);
                        let (mut m, mut v) = (&mut m[skip_state..], &mut v[skip_state..]);
                        while at < group.range.end {
                            let size = PIECE.min(group.range.end - at);
                            let (p_piece, p_rest) = p.split_at_mut(size);
                            let (g_piece, g_rest) = g.split_at_mut(size);
                            let (m_piece, m_rest) = m.split_at_mut(size);
                            let (v_piece, v_rest) = v.split_at_mut(size);
                            pieces.push((p_piece, g_piece, m_piece, v_piece, terms(group.decay)));
                            (p, g, m, v) = (p_rest, g_rest, m_rest, v_rest);
                            at += size;
                        }
                        rest = ((at, group.state + group.range.len()), p, g, m, v);
                    }
                    pieces
                        .into_par_iter()
                        .for_each(|(p, g, m, v, terms)| step_piece(p, g, m, v, terms));
                })
            })
        })
    })????;
    Ok(())
}
