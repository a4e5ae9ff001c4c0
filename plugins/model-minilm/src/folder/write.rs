//! Writing `config.json`, weights and training state: f32, under the names that Transformers uses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use codex_nn::Read;
use codex_nn::quantized::Quantized;
use codex_plugin_api::Result;
use safetensors::{Dtype, View, serialize_to_file};

use super::{CONFIG, OPTIMIZER, OptimizerState, WEIGHTS, sentence_transformers, unwritten};
use crate::adapters;
use crate::config::Architecture;
use crate::config::task::Task;
use crate::failure::numeric;
use crate::network::Network;
use crate::parameters::Entry;

enum Numbers<'a> {
    F32(&'a [f32]),
    /// Given back one after the other, as they are written.
    Quantized(&'a Quantized),
    I64(i64),
}

struct Part<'a> {
    shape: &'a [usize],
    numbers: Numbers<'a>,
}

impl View for Part<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::F32(_) | Numbers::Quantized(_) => Dtype::F32,
            Numbers::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self.numbers {
            Numbers::F32(values) => bytes(values),
            Numbers::Quantized(values) => bytes(&values.to_vec()),
            Numbers::I64(value) => value.to_le_bytes().to_vec(),
        })
    }

    fn data_len(&self) -> usize {
        match self.numbers {
            Numbers::F32(values) => 4 * values.len(),
            Numbers::Quantized(values) => 4 * values.len(),
            Numbers::I64(_) => 8,
        }
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    bytes.collect()
}

fn save(path: &Path, parts: Vec<(String, Part<'_>)>) -> Result<()> {
    // One key only: the order of several would differ from run to run, and so the file's hash.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize_to_file(parts, Some(metadata), path).map_err(|cause| unwritten(path, &cause))
}

/// The values of a parameter, at `range` of a flat buffer.
fn part<'a>(
    prefix: &str,
    entry: &'a Entry,
    values: &'a [f32],
    range: Range<usize>,
) -> (String, Part<'a>) {
    let numbers = Numbers::F32(&values[range]);
    let shape = &entry.shape;
    (format!("{prefix}{}", entry.name), Part { shape, numbers })
}

/// Writes `config.json` and `model.safetensors`, with what is merged and without what only applies, and beside an encoder of
/// embeddings what sentence-transformers needs. What is quantised is written as the model computes with it.
pub(crate) fn export(folder: &Path, network: &Network) -> Result<()> {
    config_of(folder, network)?;
    let others = adapters::without_active(network)?;
    let values = numeric(Read::new(network.parameters.values()))?;
    let entries = network.parameters.entries().iter().enumerate();
    let parts = entries.map(|(index, entry)| {
        if let Some(quantized) = network.parameters.quantized(index) {
            let (shape, numbers) = (&entry.shape, Numbers::Quantized(quantized));
            return (entry.name.clone(), Part { shape, numbers });
        }
        match others.get(&index) {
            Some(values) => part("", entry, values, 0..values.len()),
            None => part("", entry, &values, entry.range.clone()),
        }
    });
    save(&folder.join(WEIGHTS), parts.collect())?;
    let config = &network.config;
    if config.architecture == Architecture::Bert && config.head.task == Task::Embedding {
        sentence_transformers::write(folder, config)?;
    }
    Ok(())
}

fn config_of(folder: &Path, network: &Network) -> Result<()> {
    let path = folder.join(CONFIG);
    let text = format!("{:#}\n", network.config.to_json());
    std::fs::write(&path, text).map_err(|cause| unwritten(&path, &cause))
}

/// Writes `config.json` and `model.safetensors` with everything that training may change: all parameters, or those of the
/// adapter that trains.
pub(crate) fn state(folder: &Path, network: &Network) -> Result<()> {
    config_of(folder, network)?;
    let values = numeric(Read::new(network.parameters.values()))?;
    let adapter = network.adapters.trained();
    let entries = network.parameters.entries().iter();
    let own = entries.filter(|entry| adapter.is_none() || network.adapters.trains_whole(entry));
    let mut all: Vec<_> = own
        .map(|entry| part("", entry, &values, entry.range.clone()))
        .collect();
    let added = adapter.map(|adapter| Read::new(adapter.values()));
    let added = numeric(added.transpose())?;
    if let (Some(adapter), Some(values)) = (adapter, &added) {
        let entries = adapter.entries().iter();
        all.extend(entries.map(|entry| part("", entry, values, entry.range.clone())));
    }
    save(&folder.join(WEIGHTS), all)
}

/// Writes `optimizer.safetensors`: both moments of every parameter that trains, and the number of steps made.
pub(crate) fn optimizer(folder: &Path, states: &[OptimizerState<'_>], step: u64) -> Result<()> {
    let mut moments = Vec::new();
    for state in states {
        for (prefix, values) in state.moments() {
            moments.push((prefix, state, numeric(Read::new(values))?));
        }
    }
    let mut all = Vec::new();
    for (prefix, state, values) in &moments {
        let trained = state.entries.iter().filter(|entry| entry.trainable);
        all.extend(trained.map(|entry| part(prefix, entry, values, entry.state.clone())));
    }
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
