//! Writing `config.json`, weights and training state: f32, under the names that Transformers uses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use codex_nn::Read;
use codex_plugin_api::Result;
use safetensors::{Dtype, View, serialize_to_file};

use super::{CONFIG, OPTIMIZER, WEIGHTS, sentence_transformers, unwritten};
use crate::config::Architecture;
use crate::config::task::Task;
use crate::failure::numeric;
use crate::network::Network;
use crate::parameters::Entry;

enum Numbers<'a> {
    F32(&'a [f32]),
    I64(i64),
}

struct Part<'a> {
    shape: &'a [usize],
    numbers: Numbers<'a>,
}

impl View for Part<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::F32(_) => Dtype::F32,
            Numbers::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.numbers {
            Numbers::F32(values) => values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            Numbers::I64(value) => value.to_le_bytes().to_vec(),
        })
    }

    fn data_len(&self) -> usize {
        match self.numbers {
            Numbers::F32(values) => 4 * values.len(),
            Numbers::I64(_) => 8,
        }
    }
}

fn save(path: &Path, parts: Vec<(String, Part<'_>)>) -> Result<()> {
    // One key only: the order of several would differ from run to run, and so the file's hash.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize_to_file(parts, Some(metadata), path).map_err(|cause| unwritten(path, &cause))
}

fn parts<'a>(prefix: &str, entries: &'a [Entry], values: &'a [f32]) -> Vec<(String, Part<'a>)> {
    entries
        .iter()
        .map(|entry| {
            let numbers = Numbers::F32(&values[entry.range.clone()]);
            let shape = &entry.shape;
            (format!("{prefix}{}", entry.name), Part { shape, numbers })
        })
        .collect()
}

/// Writes `config.json` and `model.safetensors`, and beside an encoder of embeddings what sentence-transformers needs.
pub(crate) fn export(folder: &Path, network: &Network) -> Result<()> {
    model(folder, network)?;
    let config = &network.config;
    if config.architecture == Architecture::Bert && config.head.task == Task::Embedding {
        sentence_transformers::write(folder, config)?;
    }
    Ok(())
}

/// Writes `config.json` and `model.safetensors`.
pub(crate) fn model(folder: &Path, network: &Network) -> Result<()> {
    let path = folder.join(CONFIG);
    let text = format!("{:#}\n", network.config.to_json());
    std::fs::write(&path, text).map_err(|cause| unwritten(&path, &cause))?;
    let values = numeric(Read::new(network.parameters.values()))?;
    save(
        &folder.join(WEIGHTS),
        parts("", network.parameters.entries(), &values),
    )
}

/// Writes `optimizer.safetensors`: both moments of every parameter, and the number of steps made.
pub(crate) fn optimizer(
    folder: &Path,
    entries: &[Entry],
    first: &Tensor,
    second: &Tensor,
    step: u64,
) -> Result<()> {
    let first = numeric(Read::new(first))?;
    let second = numeric(Read::new(second))?;
    let mut all = parts("first_moment.", entries, &first);
    all.extend(parts("second_moment.", entries, &second));
    let numbers = Numbers::I64(i64::try_from(step).unwrap_or(i64::MAX));
    all.push((
        "step".to_owned(),
        Part {
            shape: &[],
            numbers,
        },
    ));
    save(&folder.join(OPTIMIZER), all)
}
