//! MiniLM: small transformers in the Hugging Face layouts of BERT, GPT-2 and Llama that train, score, embed and generate
//! on the CPU. The training functions are `codex-nn`'s; data, schedules, checkpoints' timing and choosing the next id in
//! generation are the host's.

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

pub use config::settings::{ArchitectureName, PoolingName, Settings};
pub use model::MiniLm;

/// Key of the random stream of fresh weights.
const INITIALISATION: u64 = 1;
/// Key of the random streams of dropout.
const DROPOUT: u64 = 2;

codex_plugin_api::plugin! { model "minilm" => MiniLm }
