//! The adapter kind: says which operations to add to a model's sites. The model runs, trains and merges them.

use serde::{Deserialize, Serialize};

use crate::Result;

/// A place in a model where operations can be added: a linear map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The module's path as the model's saved weights name it (`transformer.h.0.attn.c_attn`).
    pub name: String,
    /// Width of its input.
    pub inputs: u64,
    /// Width of its output.
    pub outputs: u64,
    /// What it does, the same word in every architecture: `query`, `key`, `value`, `query-key-value`, `output`, `gate`,
    /// `up`, `down`, `embedding`, `head`.
    pub role: String,
    /// Which layer it is in, from 0; `None` outside the layers.
    #[serde(default)]
    pub layer: Option<u32>,
    /// Whether its saved weight is `[inputs, outputs]` (GPT-2's Conv1D) instead of `[outputs, inputs]`.
    #[serde(default)]
    pub transposed: bool,
}

/// How a parameter starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "init")]
#[non_exhaustive]
pub enum Init {
    /// All the same value.
    Constant {
        /// The value.
        value: f32,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Uniform in ±bound.
    Uniform {
        /// Half the width.
        bound: f32,
    },
    /// PyTorch's `kaiming_uniform_` with `a = sqrt(5)`, the usual start of LoRA's A.
    KaimingUniform,
    /// From the principal singular vectors of the base weight (PiSSA); the base loses what the adapter takes over.
    PrincipalSingular,
    /// The norm of each output row of the base weight (DoRA's magnitude).
    WeightNorm,
    /// Given values: `length` of them from `offset` in [`AdapterPlan::values`].
    Values {
        /// First value.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// One operation on a site with input `x`, base output `y = W x + b` and widths as the site says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "operation")]
#[non_exhaustive]
pub enum Operation {
    /// `y += scale · output_scale ⊙ (B (rank_scale ⊙ (A dropout(x))))` with A `[rank, inputs]`, B `[outputs, rank]`
    /// (LoRA, Hu et al. 2021; with the two scales VeRA, Kopiczko et al. 2023).
    LowRank {
        /// Inner width, at least 1.
        rank: u32,
        /// Fixed factor (α/r, or α/√r for rsLoRA).
        scale: f32,
        /// Probability of dropping an input while training.
        dropout: f32,
        /// How A starts.
        a: Init,
        /// How B starts.
        b: Init,
        /// Whether A and B train.
        train: bool,
        /// Sites with the same word share A and B (cut to their widths).
        #[serde(default)]
        shared: Option<String>,
        /// A trained vector `[rank]` between A and B.
        #[serde(default)]
        rank_scale: Option<Init>,
        /// A trained vector `[outputs]` after B.
        #[serde(default)]
        output_scale: Option<Init>,
    },
    /// `y ⊙= s` with s `[outputs]` (IA3, Liu et al. 2022).
    ScaleOutput {
        /// How the vector starts.
        start: Init,
        /// Whether it trains.
        train: bool,
    },
    /// `x ⊙= s` with s `[inputs]` (IA3 on feed-forward inputs).
    ScaleInput {
        /// How the vector starts.
        start: Init,
        /// Whether it trains.
        train: bool,
    },
    /// Normalises each output row of the adapted weight and scales it by m `[outputs]` (DoRA, Liu et al. 2024).
    Magnitude {
        /// How the vector starts.
        start: Init,
        /// Whether it trains.
        train: bool,
    },
    /// `y += c` with c `[outputs]`, or the site's own bias where it has one.
    Bias {
        /// How the vector starts.
        start: Init,
        /// Whether it trains.
        train: bool,
    },
}

/// An operation at its site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteOperation {
    /// [`Site::name`].
    pub site: String,
    /// What to add there.
    #[serde(flatten)]
    pub operation: Operation,
}

/// What an adapter wants of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdapterPlan {
    /// Operations, applied at each site in this order.
    pub operations: Vec<SiteOperation>,
    /// Modules that train whole and are saved with the adapter (a classification head).
    #[serde(default)]
    pub modules_to_save: Vec<String>,
    /// What `adapter_config.json` holds for other readers.
    #[serde(default)]
    pub saved_config: serde_json::Value,
    /// Values that [`Init::Values`] refers to. They cross the border as one buffer, not as JSON.
    #[serde(skip)]
    pub values: Vec<f32>,
}

/// Sites to operations; called once when an adapter is added to a model, never in a step.
///
/// An adapter must name only sites that it was given. What its configuration names and the model does not have is an
/// error that lists the sites that exist. Without a call into the plugin per step, an adapter costs nothing to run, in
/// whatever language it is written.
pub trait Adapter: Send {
    /// Decides what to add to which site.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the configuration names a site that is not there.
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan>;
}
