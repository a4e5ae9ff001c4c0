//! From candle tensors to slices and back: a read guard that is a `&[f32]`, and writing in place through candle's lock.
//! Which tensor is written when is left to the functions.

use std::cell::RefCell;
use std::ops::{Deref, Range};

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, StorageRef, Tensor};

use crate::{Error, Result};

/// A contiguous `f32` tensor as a slice in row-major order: locked for reading where it is on the CPU, copied where it
/// is on another device.
pub struct Read<'a>(Values<'a>);

enum Values<'a> {
    Locked {
        storage: StorageRef<'a>,
        range: Range<usize>,
    },
    Copied(Vec<f32>),
}

impl<'a> Read<'a> {
    /// Locks `tensor` for reading, or copies it to the host.
    ///
    /// # Errors
    /// When the tensor is not `f32`, or on the CPU and not contiguous.
    pub fn new(tensor: &'a Tensor) -> Result<Self> {
        if !tensor.device().is_cpu() {
            return Ok(Self(Values::Copied(to_host(tensor)?)));
        }
        let (storage, layout) = tensor.storage_and_layout();
        let length = match &*storage {
            Storage::Cpu(CpuStorage::F32(values)) => values.len(),
            _ => return Err(unsupported(tensor)),
        };
        let range = contiguous(layout, length)?;
        Ok(Self(Values::Locked { storage, range }))
    }
}

impl Deref for Read<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Values::Copied(values) => values,
            Values::Locked { storage, range } => match &**storage {
                Storage::Cpu(CpuStorage::F32(values)) => &values[range.clone()],
                // `new` refused every other storage, and the read lock keeps it as it was.
                _ => &[],
            },
        }
    }
}

fn to_host(tensor: &Tensor) -> Result<Vec<f32>> {
    // A compact copy first: candle reads the whole storage back, also for a small view of it.
    Ok(tensor.force_contiguous()?.flatten_all()?.to_vec1()?)
}

fn unsupported(tensor: &Tensor) -> Error {
    Error::Unsupported(format!(
        "the training functions need f32 on the CPU, found {:?} on {:?}",
        tensor.dtype(),
        tensor.device().location()
    ))
}

fn contiguous(layout: &Layout, length: usize) -> Result<Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) if end <= length => Ok(start..end),
        Some((_, end)) => Err(Error::Unsupported(format!(
            "a tensor that ends at element {end} of a storage of {length}: its buffer was recycled while in use"
        ))),
        None => Err(Error::Unsupported(
            "a tensor that is not contiguous".to_owned(),
        )),
    }
}

struct Apply<F, R> {
    function: RefCell<Option<F>>,
    result: RefCell<Option<Result<R>>>,
    whole: bool,
}

impl<F: FnOnce(&mut Vec<f32>, Range<usize>) -> R, R> InplaceOp1 for Apply<F, R> {
    fn name(&self) -> &'static str {
        "codex-nn write"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let CpuStorage::F32(values) = storage else {
            return Ok(());
        };
        let range = contiguous(layout, values.len());
        let result = match range {
            Ok(range) if self.whole && range != (0..values.len()) => Err(Error::Unsupported(
                "only a whole tensor gives its buffer back".to_owned(),
            )),
            Ok(range) => match self.function.take() {
                Some(function) => Ok(function(values, range)),
                None => return Ok(()),
            },
            Err(error) => Err(error),
        };
        self.result.replace(Some(result));
        Ok(())
    }
}

fn apply<R>(
    tensor: &Tensor,
    whole: bool,
    function: impl FnOnce(&mut Vec<f32>, Range<usize>) -> R,
) -> Result<R> {
    let operation = Apply {
        function: RefCell::new(Some(function)),
        result: RefCell::new(None),
        whole,
    };
    tensor.inplace_op1(&operation)?;
    operation
        .result
        .into_inner()
        .unwrap_or_else(|| Err(unsupported(tensor)))
}

/// Runs `function` on the elements of a contiguous `f32` tensor, in place; those of another device than the CPU are
/// copied to the host and back. Views of the same storage see the change.
///
/// # Errors
/// When the tensor is not contiguous or not `f32`.
pub fn write<R>(tensor: &Tensor, function: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    if !tensor.device().is_cpu() {
        let mut values = to_host(tensor)?;
        let result = function(&mut values);
        let values = Tensor::from_vec(values, tensor.shape(), tensor.device())?;
        tensor.slice_set(&values, 0, 0)?;
        return Ok(result);
    }
    apply(tensor, false, |values, range| function(&mut values[range]))
}

/// Takes the buffer out of a whole tensor, which is empty afterwards.
pub(crate) fn take_buffer(tensor: Tensor) -> Result<Vec<f32>> {
    apply(&tensor, true, |values, _| std::mem::take(values))
}
