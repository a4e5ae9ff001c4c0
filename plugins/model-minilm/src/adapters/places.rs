//! Where a site is among a network's parameters.

use std::ops::Range;

use codex_nn::linear::Orientation;
use codex_plugin_api::{Error, Result, Site};

use crate::parameters::{Parameters, Slot};

/// Where a linear map's parameters are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The view of its weight, perhaps with those of other maps.
    pub(super) weight: Slot,
    /// Which outputs of that view are its own.
    pub(super) outputs: Range<usize>,
    pub(super) inputs: usize,
    pub(super) orientation: Orientation,
    /// The number of its weight among the base's parameters, and of its bias if it has one.
    pub(super) weight_entry: usize,
    pub(super) bias_entry: Option<usize>,
    /// The view of its bias.
    pub(super) bias: Option<Slot>,
}

impl Place {
    /// Finds a site that operations can be added to.
    pub(super) fn of(parameters: &Parameters, site: &Site) -> Result<Self> {
        // Both multiply outside the layers, by ways of their own: a look-up, and a loss that never holds all logits.
        if site.role == "embedding" || site.name == "lm_head" {
            return Err(Error::unsupported(format!("operations on {}", site.name)).hint(
                "leave it out of the adapter's targets, or train it whole by naming it in modules_to_save",
            ));
        }
        let missing = || Error::config(format!("the model has no site {:?}", site.name));
        let weight_entry = parameters
            .find(&format!("{}.weight", site.name))
            .ok_or_else(missing)?;
        let (weight, rows) = parameters.locate(weight_entry).ok_or_else(missing)?;
        let (orientation, outputs) = if site.transposed {
            (Orientation::InOut, 0..site.outputs as usize)
        } else {
            (Orientation::OutIn, rows)
        };
        let bias_entry = parameters.find(&format!("{}.bias", site.name));
        let bias = bias_entry.and_then(|index| parameters.locate(index));
        Ok(Self {
            weight,
            outputs,
            inputs: site.inputs as usize,
            orientation,
            weight_entry,
            bias_entry,
            bias: bias.map(|(slot, _)| slot),
        })
    }

    /// The weight as `[outputs, inputs]`, row-major.
    pub(super) fn out_in(&self, weight: Vec<f32>) -> Vec<f32> {
        match self.orientation {
            Orientation::OutIn => weight,
            Orientation::InOut => exchanged(&weight, self.inputs),
        }
    }

    /// The other way round from [`Self::out_in`].
    pub(super) fn as_saved(&self, weight: Vec<f32>) -> Vec<f32> {
        match self.orientation {
            Orientation::OutIn => weight,
            Orientation::InOut => exchanged(&weight, self.outputs.len()),
        }
    }
}

/// A matrix of `rows` rows with rows and columns exchanged.
fn exchanged(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}
