//! Losses with one target a sequence: cross-entropy over a few classes, and squared error. The head that makes logits
//! and outputs is a `linear`; which label means what is left to the model.

use candle_core::Tensor;

use crate::error::same_size;
use crate::linear_cross_entropy::{IGNORE, Loss, check_target};
use crate::storage::Read;
use crate::vectorized::{exp_shifted, maximum, scale};
use crate::workspace::tensor_of;
use crate::{Result, Workspace, composed};

/// Cross-entropy of `logits` `[n, classes]` with one class a row, or [`IGNORE`]: Σ −log p(target), and the gradient of
/// `factor · sum`; give 1 / (targets of the whole step) for the mean.
///
/// # Errors
/// When a target is not a class.
pub fn cross_entropy(
    workspace: &Workspace,
    logits: &Tensor,
    targets: &[i32],
    factor: f32,
) -> Result<(Loss, Tensor)> {
    let (rows, classes) = logits.dims2()?;
    same_size("class labels", rows, targets.len())?;
    if composed::takes(logits) {
        let active = active(targets, classes)?;
        let (sum, gradient) =
            composed::sequence_loss::cross_entropy(logits, targets, &active, factor)?;
        let targets = active.len();
        return Ok((Loss { sum, targets }, gradient));
    }
    let mut gradient = workspace.take(rows * classes);
    gradient.copy_from_slice(&Read::new(logits)?);
    let mut loss = Loss {
        sum: 0.0,
        targets: 0,
    };
    for (row, &target) in gradient.chunks_exact_mut(classes.max(1)).zip(targets) {
        if target == IGNORE {
            row.fill(0.0);
            continue;
        }
        let target = check_target(target, classes)?;
        let largest = maximum(row);
        let logit = row[target] - largest;
        let sum = exp_shifted(row, largest);
        scale(row, factor / sum);
        row[target] -= factor;
        loss.sum += f64::from(sum.ln() - logit);
        loss.targets += 1;
    }
    Ok((loss, tensor_of(gradient, (rows, classes))?))
}

/// Squared error of `outputs` `[n, width]` against `values` `[n · width]`: Σ over the rows of the mean over the width,
/// so that the mean over the targets is `torch.nn.MSELoss`, and the gradient of `factor · sum`. A row with a `NaN`
/// among its values has no target.
pub fn squared_error(
    workspace: &Workspace,
    outputs: &Tensor,
    values: &[f32],
    factor: f32,
) -> Result<(Loss, Tensor)> {
    let (rows, width) = outputs.dims2()?;
    same_size("values to predict", rows * width, values.len())?;
    if composed::takes(outputs) {
        let (values, kept) = targets_of(values, width);
        let targets = kept.iter().filter(|&&kept| kept > 0.0).count();
        let (sum, gradient) =
            composed::sequence_loss::squared_error(outputs, &values, &kept, factor)?;
        return Ok((Loss { sum, targets }, gradient));
    }
    let mut gradient = workspace.take(rows * width);
    gradient.copy_from_slice(&Read::new(outputs)?);
    let mut loss = Loss {
        sum: 0.0,
        targets: 0,
    };
    let slope = 2.0 * factor / width.max(1) as f32;
    for (row, values) in gradient
        .chunks_exact_mut(width.max(1))
        .zip(values.chunks_exact(width.max(1)))
    {
        if values.iter().any(|value| value.is_nan()) {
            row.fill(0.0);
            continue;
        }
        let mut square = 0.0;
        for (output, &value) in row.iter_mut().zip(values) {
            let error = *output - value;
            square += f64::from(error) * f64::from(error);
            *output = slope * error;
        }
        loss.sum += square / width as f64;
        loss.targets += 1;
    }
    Ok((loss, tensor_of(gradient, (rows, width))?))
}

/// The rows with targets.
fn active(targets: &[i32], classes: usize) -> Result<Vec<u32>> {
    let mut rows = Vec::with_capacity(targets.len());
    for (row, &target) in (0u32..).zip(targets) {
        if target != IGNORE {
            check_target(target, classes)?;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The values with zeros in rows without a target, and 1 for each row with one, else 0.
fn targets_of(values: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let mut values = values.to_vec();
    let kept = values.chunks_exact_mut(width.max(1)).map(|row| {
        let none = row.iter().any(|value| value.is_nan());
        if none {
            row.fill(0.0);
        }
        f32::from(u8::from(!none))
    });
    let kept = kept.collect();
    (values, kept)
}
