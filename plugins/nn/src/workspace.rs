//! Buffers that are used again: a training step needs the same large buffers every time, and fresh ones cost a page
//! fault every four KiB. What goes into them is left to the functions. Also says how precise matrix products are, so
//! that one model has one answer.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Shape, Tensor};

use crate::storage::take_buffer;
use crate::{Precision, Read, Result, large};

/// Below this many elements the allocator is as good.
const SMALLEST: usize = 4096;

/// A store of buffers that belongs to one model.
///
/// A tensor made by a training function may be given back with [`Workspace::recycle`] once nothing reads it; one that
/// is simply dropped goes back to the allocator.
#[derive(Debug, Default)]
pub struct Workspace {
    precision: Precision,
    free: Mutex<Vec<Vec<f32>>>,
}

impl Workspace {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The precision of matrix products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Sets the precision of the matrix products that follow.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// A buffer of `length` elements **with arbitrary contents**: the taker writes all of them.
    pub(crate) fn take(&self, length: usize) -> Vec<f32> {
        if length >= SMALLEST {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let best = free
                .iter()
                .enumerate()
                .filter(|(_, buffer)| {
                    buffer.capacity() >= length && buffer.capacity() / 2 <= length
                })
                .min_by_key(|(_, buffer)| buffer.capacity())
                .map(|(index, _)| index);
            if let Some(index) = best {
                let mut buffer = free.swap_remove(index);
                drop(free);
                buffer.resize(length, 0.0);
                return buffer;
            }
        }
        large::buffer(length)
    }

    /// A buffer of `length` zeros.
    pub(crate) fn zeros(&self, length: usize) -> Vec<f32> {
        let mut buffer = self.take(length);
        buffer.fill(0.0);
        buffer
    }

    /// Puts a buffer back.
    pub(crate) fn give(&self, buffer: Vec<f32>) {
        if buffer.capacity() >= SMALLEST {
            self.free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(buffer);
        }
    }

    /// Takes the buffer of a tensor that nothing reads any more. Other handles of the same storage become unusable:
    /// the functions refuse them. A tensor that cannot give its buffer (a view) is simply dropped.
    pub fn recycle(&self, tensor: Tensor) {
        if let Ok(buffer) = take_buffer(tensor) {
            self.give(buffer);
        }
    }

    /// Frees all buffers, for example after training, before a long wait.
    pub fn clear(&self) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// A copy of `tensor` in a buffer of this store.
    pub fn copy(&self, tensor: &Tensor) -> Result<Tensor> {
        if !tensor.device().is_cpu() {
            return Ok(tensor.force_contiguous()?);
        }
        let values = Read::new(tensor)?;
        let mut buffer = self.take(values.len());
        buffer.copy_from_slice(&values);
        drop(values);
        tensor_of(buffer, tensor.shape())
    }
}

/// A CPU tensor around `buffer`, without a copy.
pub(crate) fn tensor_of(buffer: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Ok(Tensor::from_vec(buffer, shape.into(), &Device::Cpu)?)
}
