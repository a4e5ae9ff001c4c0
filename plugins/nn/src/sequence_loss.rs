//! Losses with one target a sequence: cross-entropy over a few classes, and squared error. The head that makes logits
//! and outputs is a `linear`; which label means what is left to the model.

use candle_core::Tensor;

use crate::error::same_size;
use crate::linear_cross_entropy::{IGNORE, Loss, check_target};
use crate::storage::Read;
use crate::vectorized::{exp_shifted, maximum, scale};
use crate::workspace::tensor_of;
use crate::{Result, Workspace};

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
