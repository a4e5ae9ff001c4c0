//! AdamW's state for one set of parameters: both moments of what trains, and which of it decays. The step's numbers are
//! left to `training`.

use candle_core::Tensor;
use codex_nn::adamw::{self, Group, Options};
use codex_plugin_api::Result;

use crate::failure::numeric;
use crate::parameters::{Entry, Parameters};

/// Both moments of everything in a set of parameters that trains; nothing is kept for the rest.
pub(super) struct Moments {
    groups: Vec<Group>,
    pub(super) first: Tensor,
    pub(super) second: Tensor,
}

/// Neighbouring parameters that are treated alike, as one group.
fn groups(entries: &[Entry], matrices_only: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.trainable) {
        let decay = !matrices_only || entry.shape.len() > 1;
        match groups.last_mut() {
            // What trains has its state side by side, so neighbours in the values are neighbours there.
            Some(last) if last.decay == decay && last.range.end == entry.range.start => {
                last.range.end = entry.range.end;
            }
            _ => groups.push(Group {
                range: entry.range.clone(),
                state: entry.state.start,
                decay,
            }),
        }
    }
    groups
}

impl Moments {
    /// Zeros for what trains of `parameters`, after [`Parameters::begin_training`].
    pub(super) fn new(parameters: &Parameters, matrices_only: bool) -> Result<Self> {
        Ok(Self {
            groups: groups(parameters.entries(), matrices_only),
            first: parameters.state()?,
            second: parameters.state()?,
        })
    }

    /// Updates the parameters that these moments are of, and clears their gradients.
    pub(super) fn step(
        &self,
        parameters: &Parameters,
        gradients: &Tensor,
        options: &Options,
    ) -> Result<()> {
        numeric(adamw::step(
            parameters.values(),
            gradients,
            &self.first,
            &self.second,
            &self.groups,
            options,
        ))
    }
}
