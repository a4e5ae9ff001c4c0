//! The last product of a language model with its cross-entropy as a composition, a chunk of rows at a time; targets
//! were checked. Losses are read back once, at the end.

use candle_core::{D, DType, Tensor};

use super::{add_to, indices, product, segments, select};
use crate::{Precision, Result};

/// Logits held at once, in elements.
const CHUNK: usize = 1 << 26;

/// Logits of one chunk, and where its targets are: `[rows, 1]`.
struct Chunk {
    inputs: Tensor,
    logits: Tensor,
    targets: Tensor,
}

impl Chunk {
    fn new(
        hidden: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        targets: &[i32],
        rows: &[u32],
        precision: Precision,
    ) -> Result<Self> {
        let inputs = select(hidden, rows)?;
        let logits = product(&inputs, &weight.t()?, precision)?;
        let logits = match bias {
            Some(bias) => logits.broadcast_add(bias)?,
            None => logits,
        };
        let targets: Vec<u32> = rows
            .iter()
            .map(|&row| targets[row as usize] as u32)
            .collect();
        let targets = indices(&targets, hidden.device())?.reshape((rows.len(), 1))?;
        Ok(Self {
            inputs,
            logits,
            targets,
        })
    }
}

/// −log p(target) of each row `[rows, 1]`, and the slopes of `factor` · Σ, of logits `[rows, classes]`.
pub(crate) fn slopes(logits: &Tensor, targets: &Tensor, factor: f32) -> Result<(Tensor, Tensor)> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    let logit = shifted.gather(targets, 1)?;
    let exponentials = shifted.exp()?;
    let sum = exponentials.sum_keepdim(D::Minus1)?;
    let losses = (sum.log()? - logit)?;
    let slopes = exponentials.broadcast_mul(&sum.recip()?.affine(f64::from(factor), 0.0)?)?;
    let ones = Tensor::full(-factor, targets.shape(), logits.device())?;
    slopes.scatter_add_set(targets, &ones, 1)?;
    Ok((losses, slopes))
}

fn chunk(vocabulary: usize) -> usize {
    (CHUNK / vocabulary.max(1)).max(1)
}

/// Reads chunks of numbers back, all in one copy.
fn read(chunks: &[Tensor]) -> Result<Vec<f32>> {
    if chunks.is_empty() {
        return Ok(Vec::new());
    }
    Ok(Tensor::cat(chunks, 0)?.flatten_all()?.to_vec1()?)
}

/// Σ −log p, and the gradient of `hidden`; `rows` are those with targets.
#[allow(
    clippy::too_many_arguments,
    reason = "a backward names its operands one by one"
)]
pub(crate) fn forward_backward(
    hidden: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &[i32],
    rows: &[u32],
    factor: f32,
    weight_gradient: Option<&Tensor>,
    bias_gradient: Option<&Tensor>,
    precision: Precision,
) -> Result<(f64, Tensor)> {
    let (tokens, width) = hidden.dims2()?;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for rows in rows.chunks(chunk(weight.dims2()?.0)) {
        let chunk = Chunk::new(hidden, weight, bias, targets, rows, precision)?;
        let (loss, slopes) = slopes(&chunk.logits, &chunk.targets, factor)?;
        losses.push(loss);
        gradients.push(product(&slopes, &weight.contiguous()?, precision)?);
        if let Some(gradient) = weight_gradient {
            add_to(gradient, &product(&slopes.t()?, &chunk.inputs, precision)?)?;
        }
        if let Some(gradient) = bias_gradient {
            add_to(gradient, &slopes.sum(0)?)?;
        }
    }
    let d_hidden = if gradients.is_empty() {
        Tensor::zeros((tokens, width), DType::F32, hidden.device())?
    } else {
        segments::scatter(&Tensor::cat(&gradients, 0)?, rows, tokens)?
    };
    let sum = read(&losses)?.into_iter().map(f64::from).sum();
    Ok((sum, d_hidden))
}

/// Log-probability and rank of the target of each of `rows`.
pub(crate) fn scores(
    hidden: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    targets: &[i32],
    rows: &[u32],
    precision: Precision,
) -> Result<Vec<(f32, u32)>> {
    let (mut losses, mut ranks) = (Vec::new(), Vec::new());
    for rows in rows.chunks(chunk(weight.dims2()?.0)) {
        let Chunk {
            logits, targets, ..
        } = Chunk::new(hidden, weight, bias, targets, rows, precision)?;
        let target = logits.gather(&targets, 1)?;
        let above = logits.broadcast_gt(&target)?.to_dtype(DType::F32)?;
        ranks.push(above.sum_keepdim(D::Minus1)?);
        let largest = logits.max_keepdim(D::Minus1)?;
        let sum = logits
            .broadcast_sub(&largest)?
            .exp()?
            .sum_keepdim(D::Minus1)?;
        losses.push(((target - largest)? - sum.log()?)?);
    }
    let ranks = read(&ranks)?.into_iter().map(|rank| rank as u32);
    Ok(read(&losses)?.into_iter().zip(ranks).collect())
}
