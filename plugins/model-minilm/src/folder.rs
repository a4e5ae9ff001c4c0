//! A model's folder in Hugging Face's layout: `config.json`, and weights in one or several safetensors files. Whatever
//! does not fit names file, tensor, what was expected and what was found. Atomic writing is left to the host.

pub(crate) mod read;
pub(crate) mod write;

use std::path::Path;

use codex_plugin_api::{Error, Result};

use crate::config::{NetworkConfig, hugging_face};
use crate::network::Network;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Reads `config.json`.
pub(crate) fn config(folder: &Path) -> Result<NetworkConfig> {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        Error::data(format!("cannot read {}", path.display()))
            .because(&cause)
            .hint("give a folder with config.json and model.safetensors, as Transformers saves it")
    })?;
    hugging_face::parse(&text, &path.display().to_string())
}

/// Loads a whole folder.
pub(crate) fn load(folder: &Path) -> Result<Network> {
    let config = config(folder)?;
    // Before memory is asked for: sizes that the weights do not have.
    let files = read::weight_files(folder)?;
    let network = Network::new(config)?;
    read::weights(&network, &files)?;
    Ok(network)
}

/// Loads the weights of a folder into a network that exists.
pub(crate) fn load_into(folder: &Path, network: &Network) -> Result<()> {
    read::weights(network, &read::weight_files(folder)?)
}
