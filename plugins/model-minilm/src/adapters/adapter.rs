//! What one adapter consists of: operations at their places, its own parameters, and base parameters that it holds whole.

use std::ops::Range;

use codex_plugin_api::AdapterPlan;

use super::places::Place;
use super::whole::Whole;
use crate::parameters::{Parameters, Slot};

/// One adapter.
#[derive(Debug)]
pub(super) struct Adapter {
    pub(super) name: String,
    /// What it was made from, without values.
    pub(super) plan: AdapterPlan,
    pub(super) parameters: Parameters,
    /// In the order of the plan.
    pub(super) operations: Vec<Placed>,
    pub(super) whole: Vec<Whole>,
}

/// An operation at its place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) action: Action,
}

/// What is done there.
#[derive(Debug)]
pub(super) enum Action {
    LowRank(Pair),
    ScaleOutput(Slot),
    ScaleInput(Slot),
    /// The magnitude, and which operation of the adapter is the low-rank pair whose sum with the weight is normalised.
    Magnitude(Slot, Option<usize>),
    /// A bias where the base has none.
    Bias(Slot),
    /// The base's own bias, which the adapter holds whole.
    Whole,
}

/// A low-rank pair.
#[derive(Debug)]
pub(super) struct Pair {
    /// A, perhaps with those of other operations.
    pub(super) a: Slot,
    /// Which rows of that view are its own.
    pub(super) ranks: Range<usize>,
    pub(super) b: Slot,
    pub(super) scale: f32,
    pub(super) dropout: f32,
    pub(super) rank_scale: Option<Slot>,
    pub(super) output_scale: Option<Slot>,
    /// Whether A and B are shared with other sites and cut to this one.
    pub(super) shared: bool,
    /// A and B as they started, where the base lost what they took over.
    pub(super) taken: Option<Taken>,
}

impl Pair {
    /// Whether A and B are not used as they are.
    pub(super) fn derived(&self) -> bool {
        self.shared || self.rank_scale.is_some() || self.output_scale.is_some()
    }

    pub(super) fn rank(&self) -> usize {
        self.ranks.len()
    }
}

/// What an adapter took from the base when it started: `scale · b · a`.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) a: Vec<f32>,
    pub(super) b: Vec<f32>,
}
