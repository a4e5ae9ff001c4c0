//! MiniLM: small transformers in the Hugging Face layouts of BERT, GPT-2 and Llama that train, score, embed and generate
//! on the CPU. The training functions are `codex-nn`'s; data, schedules, checkpoints' timing and choosing the next id in
//! generation are the host's.

mod adapters;
mod config;
mod decoder;
mod device;
mod encoder;
mod failure;
mod folder;
mod heads;
mod model;
mod network;
mod parameters;
mod parts;
mod pass;
mod sites;

pub use config::settings::{ArchitectureName, BaseDtype, PoolingName, Settings};
pub use model::MiniLm;

/// Key of the random stream of fresh weights.
const INITIALISATION: u64 = 1;
/// Key of the random streams of dropout.
const DROPOUT: u64 = 2;
/// Key of the random streams of adapters' fresh values.
const ADAPTER_START: u64 = 3;
/// Key of adapters' own dropout, among those of a pass: none of its other places has this number.
const ADAPTER_DROPOUT: u64 = u64::MAX - 1;

codex_plugin_api::plugin! { model "minilm" => MiniLm }
