//! What a user may set. The host checks it against the schemas made from these types.

use std::collections::BTreeMap;

use codex_plugin_api::schemars::{self, JsonSchema};
use serde::Deserialize;

/// One target, or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Targets {
    /// `all-linear`, or one name, role or pattern.
    One(String),
    /// Names, roles and patterns.
    Many(Vec<String>),
}

impl Targets {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(target) => std::slice::from_ref(target),
            Self::Many(targets) => targets,
        }
    }
}

/// Which biases of the model train along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bias {
    /// None.
    #[default]
    None,
    /// All that the model has.
    All,
    /// Those of the adapted modules.
    LoraOnly,
}

/// How the low-rank pair starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// A as PyTorch starts a linear layer, B zero (PEFT's default).
    #[default]
    Default,
    /// A normal with standard deviation 1/rank, B zero.
    Gaussian,
    /// Both from the principal singular vectors of the weight, which loses what they take (Meng et al. 2024).
    Pissa,
    /// A normal with variance 1/inputs, B zero (Hayou et al. 2024).
    ZeroB,
}

/// Options of `lora`, `rslora` and `dora`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraOptions {
    /// Modules to adapt: endings of names (`q_proj`, `mlp.c_proj`), patterns with `*` over whole names, roles (`query`), or
    /// `all-linear`, every linear map but embeddings and the output layer. When not set, as PEFT chooses: queries and values.
    pub targets: Option<Targets>,
    /// Inner width of the low-rank pair.
    #[schemars(range(min = 1, max = 65536))]
    pub rank: u32,
    /// The pair is scaled by alpha/rank (rsLoRA: alpha/√rank); when not set, alpha is the rank.
    #[schemars(range(min = 0.0))]
    pub alpha: Option<f64>,
    /// Probability of dropping an input of the pair in training.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f32,
    /// Other ranks for some modules, by names and patterns as in `targets`; the first that fits counts.
    pub rank_pattern: BTreeMap<String, u32>,
    /// Other alphas for some modules, by names and patterns as in `targets`; the first that fits counts.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Which biases of the model train along: `none`, `all` or `lora_only`, those of adapted modules.
    pub bias: Bias,
    /// Modules that train whole and are saved with the adapter; when not set, the head of a classifier or regression.
    pub modules_to_save: Option<Vec<String>>,
    /// Numbers of the layers to adapt, from 0; when not set, all.
    pub layers: Option<Vec<u32>>,
    /// How the low-rank pair starts: `default`, `gaussian`, `pissa` or `zero-b`.
    pub init: Start,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self {
            targets: None,
            rank: 8,
            alpha: None,
            dropout: 0.0,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            bias: Bias::None,
            modules_to_save: None,
            layers: None,
            init: Start::Default,
        }
    }
}

/// Options of `ia3`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ia3Options {
    /// Modules to scale: endings of names, patterns with `*`, roles, or `all-linear`. When not set, as PEFT chooses: keys,
    /// values and the feed-forward part's last map.
    pub targets: Option<Targets>,
    /// Which of them are scaled at their input instead of their output; when not set, the feed-forward part's last map.
    pub feedforward: Option<Targets>,
    /// Modules that train whole and are saved with the adapter; when not set, the head of a classifier or regression.
    pub modules_to_save: Option<Vec<String>>,
    /// Numbers of the layers to adapt, from 0; when not set, all.
    pub layers: Option<Vec<u32>>,
}

/// Options of `vera`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VeraOptions {
    /// Modules to adapt: endings of names, patterns with `*`, roles, or `all-linear`. When not set, as PEFT chooses: queries
    /// and values.
    pub targets: Option<Targets>,
    /// Inner width of the pair that all modules share.
    #[schemars(range(min = 1, max = 65536))]
    pub rank: u32,
    /// Probability of dropping an input of the pair in training.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub dropout: f32,
    /// First value of the trained vector between the two shared matrices.
    pub d_initial: f32,
    /// Which biases of the model train along: `none`, `all` or `lora_only`, those of adapted modules.
    pub bias: Bias,
    /// Modules that train whole and are saved with the adapter; when not set, the head of a classifier or regression.
    pub modules_to_save: Option<Vec<String>>,
    /// Numbers of the layers to adapt, from 0; when not set, all.
    pub layers: Option<Vec<u32>>,
}

impl Default for VeraOptions {
    fn default() -> Self {
        Self {
            targets: None,
            rank: 256,
            dropout: 0.0,
            d_initial: 0.1,
            bias: Bias::None,
            modules_to_save: None,
            layers: None,
        }
    }
}
