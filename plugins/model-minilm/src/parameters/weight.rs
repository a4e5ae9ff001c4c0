//! The weight of a linear map as products read it: what lies in the flat buffer, or a quantised one given back in a buffer
//! that the next product uses again. So no more than a few weights are there in full at a time, however many a model has.

use std::ops::Deref;

use candle_core::Tensor;
use codex_nn::{Result, Workspace};

use super::{Parameters, Slot};

/// A weight for one product.
pub(crate) struct Weight<'a> {
    tensor: Tensor,
    /// Where the buffer goes back to, if it is the weight's own.
    buffer: Option<&'a Workspace>,
}

impl Deref for Weight<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl Drop for Weight<'_> {
    fn drop(&mut self) {
        if let Some(workspace) = self.buffer {
            workspace.recycle(self.tensor.clone());
        }
    }
}

impl Parameters {
    /// The weight that a view holds, for one product: it must be dropped before the next is asked for, and views of it
    /// with it.
    pub(crate) fn weight<'a>(&self, workspace: &'a Workspace, slot: Slot) -> Result<Weight<'a>> {
        let view = &self.views[slot.0];
        if !view.quantized {
            return Ok(Weight {
                tensor: self.value(slot).clone(),
                buffer: None,
            });
        }
        let held = self.entries.iter().zip(&self.quantized);
        let parts = held.filter(|(entry, _)| view.holds(entry));
        let parts: Vec<_> = parts.filter_map(|(_, one)| one.as_ref()).collect();
        let shape = view.shape.as_slice();
        let tensor = codex_nn::quantized::joined(workspace, &parts, (shape[0], shape[1]))?;
        Ok(Weight {
            tensor,
            buffer: Some(workspace),
        })
    }
}
