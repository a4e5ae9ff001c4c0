//! AdamW and the global norm as compositions over the flat buffers: some fifteen launches for a run of neighbouring
//! groups, and two more for each group that decays.

use std::ops::Range;

use candle_core::Tensor;

use super::overwrite;
use crate::Result;
use crate::adamw::{Group, Terms};

/// Elements of one partial sum of the norm.
const ROW: usize = 1024;
/// Elements updated at once: what is computed in between is several times as large.
const PIECE: usize = 1 << 26;

/// √Σ g², with partial sums on the device that the host adds up in f64.
pub(crate) fn norm(gradients: &Tensor) -> Result<f64> {
    let flat = gradients.flatten_all()?;
    let whole = flat.elem_count() / ROW * ROW;
    let mut partial = Vec::new();
    for (start, length, row) in [
        (0, whole, ROW),
        (whole, flat.elem_count() - whole, flat.elem_count() - whole),
    ] {
        if length > 0 {
            let rows = flat
                .narrow(0, start, length)?
                .reshape((length / row, row))?;
            partial.extend(rows.sqr()?.sum(1)?.to_vec1::<f32>()?);
        }
    }
    Ok(partial.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// Groups that are neighbours in all buffers as one range with the start of its state, in pieces of bounded size.
fn runs(groups: &[Group]) -> Vec<(Range<usize>, usize)> {
    let mut runs: Vec<(Range<usize>, usize)> = Vec::new();
    for group in groups {
        match runs.last_mut() {
            Some((last, state))
                if last.end == group.range.start && *state + last.len() == group.state =>
            {
                last.end = group.range.end;
            }
            _ => runs.push((group.range.clone(), group.state)),
        }
    }
    let pieces = runs.into_iter().flat_map(|(run, state)| {
        let Range { start, end } = run;
        run.step_by(PIECE)
            .map(move |piece| (piece..(piece + PIECE).min(end), state + piece - start))
    });
    pieces.collect()
}

/// One step; `terms` are those of a group that decays, or of one that does not.
pub(crate) fn step(
    parameters: &Tensor,
    gradients: &Tensor,
    first_moment: &Tensor,
    second_moment: &Tensor,
    groups: &[Group],
    terms: impl Fn(bool) -> Terms,
) -> Result<()> {
    for group in groups {
        let keep = f64::from(terms(group.decay).keep);
        if keep != 1.0 && !group.range.is_empty() {
            let part = parameters.narrow(0, group.range.start, group.range.len())?;
            overwrite(&part, &part.affine(keep, 0.0)?)?;
        }
    }
    let terms = terms(false);
    let (beta1, beta2) = (f64::from(terms.beta1), f64::from(terms.beta2));
    for (run, state) in runs(groups) {
        if run.is_empty() {
            continue;
        }
        let part = |flat: &Tensor| flat.narrow(0, state, run.len());
        let p = parameters.narrow(0, run.start, run.len())?;
        let gradient = part(gradients)?;
        let (first, second) = (part(first_moment)?, part(second_moment)?);
        let g = gradient.affine(f64::from(terms.gradient_factor), 0.0)?;
        let m = (first.affine(beta1, 0.0)? + g.affine(1.0 - beta1, 0.0)?)?;
        let v = (second.affine(beta2, 0.0)? + g.sqr()?.affine(1.0 - beta2, 0.0)?)?;
        let root = 1.0 / f64::from(terms.root_correction);
        let denominator = v.sqrt()?.affine(root, f64::from(terms.epsilon))?;
        let change = (&m / denominator)?.affine(f64::from(terms.step_size), 0.0)?;
        overwrite(&p, &(&p - change)?)?;
        overwrite(&first, &m)?;
        overwrite(&second, &v)?;
        gradient.zero_set()?;
    }
    Ok(())
}
