//! A model's folder in Hugging Face's layout: `config.json`, and weights in one or several safetensors files; beside an
//! encoder, what sentence-transformers keeps. Whatever does not fit names file, tensor, what was expected and what was
//! found. Atomic writing is left to the host.

mod names;
pub(crate) mod read;
mod sentence_transformers;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use candle_core::Tensor;
use codex_plugin_api::{Error, Result};

use crate::config::settings::Settings;
use crate::config::task::Task;
use crate::config::{Architecture, NetworkConfig, hugging_face};
use crate::network::Network;
use crate::parameters::Entry;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// A folder's network.
pub(crate) struct Loaded {
    pub(crate) network: Network,
    /// Parts of the head that the folder does not have and that start fresh.
    pub(crate) fresh: Vec<&'static str>,
    /// The folder that holds the weights: the one that was asked for, or one inside it.
    pub(crate) weights: PathBuf,
}

/// What an optimizer keeps of the parameters that train.
#[derive(Clone, Copy)]
pub(crate) struct OptimizerState<'a> {
    pub(crate) entries: &'a [Entry],
    /// Both moments, each as long as the gradients.
    pub(crate) first: &'a Tensor,
    pub(crate) second: &'a Tensor,
}

impl<'a> OptimizerState<'a> {
    /// The moments with what their names begin with.
    fn moments(&self) -> [(&'static str, &'a Tensor); 2] {
        [
            ("first_moment.", self.first),
            ("second_moment.", self.second),
        ]
    }
}

fn unwritten(path: &Path, cause: &(dyn std::error::Error + 'static)) -> Error {
    Error::failed(format!("cannot write {}", path.display()))
        .because(cause)
        .hint("check the folder's permissions and the free space")
}

/// Reads `config.json`.
fn config(folder: &Path, settings: &Settings) -> Result<NetworkConfig> {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        Error::data(format!("cannot read {}", path.display()))
            .because(&cause)
            .hint("give a folder with config.json and model.safetensors, as Transformers saves it")
    })?;
    hugging_face::parse(&text, &path.display().to_string(), settings)
}

/// Loads a whole folder, with the head that `settings` ask for.
pub(crate) fn load(folder: &Path, settings: &Settings) -> Result<Loaded> {
    let described = sentence_transformers::read(folder)?;
    let inner = described
        .as_ref()
        .map_or(folder, |described| described.folder.as_path())
        .to_owned();
    let mut config = config(&inner, settings)?;
    if let Some(described) = described {
        described.apply(&mut config, settings)?;
    }
    // Before memory is asked for: sizes that the weights do not have.
    let files = read::weight_files(&inner)?;
    if config.architecture == Architecture::Bert && config.head.task == Task::Embedding {
        config.head.spare_pooler = read::tensor_names(&files)?
            .iter()
            .any(|name| names::place(Architecture::Bert, name) == "pooler.dense.weight");
    }
    let mut network = Network::new(config, settings.base_dtype.format())?;
    let fresh = read::weights(&mut network, &files, settings.seed)?;
    Ok(Loaded {
        network,
        fresh,
        weights: inner,
    })
}

/// Loads what [`write::state`] wrote into the network that it was written of.
pub(crate) fn load_into(folder: &Path, network: &mut Network) -> Result<()> {
    let files = read::weight_files(folder)?;
    match network.adapters.trained() {
        Some(adapter) => read::adapter_state(network, adapter, &files),
        None => read::all_weights(network, &files),
    }
}
