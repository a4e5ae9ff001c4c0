//! Reading weights: one file or shards, f32, f16 or bf16, with or without the prefix of the base model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use codex_nn::write;
use codex_peft::TensorFile;
use codex_plugin_api::{Error, Result};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;

use super::{INDEX, OPTIMIZER, OptimizerState, WEIGHTS, names};
use crate::failure::numeric;
use crate::network::Network;
use crate::parameters::{Entry, Parameters};

/// The files that hold a folder's weights.
pub(crate) fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join(WEIGHTS);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = folder.join(INDEX);
    if index.is_file() {
        return shards(folder, &index);
    }
    let hint = if folder.join("pytorch_model.bin").is_file() {
        "pytorch_model.bin is not read; save the model with Transformers' safe_serialization"
    } else {
        "give a folder with config.json and model.safetensors, as Transformers saves it"
    };
    Err(Error::data(format!("{} is missing", single.display())).hint(hint))
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |what: String| {
        Error::data(format!("{}: {what}", index.display()))
            .hint("the index is damaged; copy the folder again")
    };
    let text = std::fs::read_to_string(index)
        .map_err(|cause| Error::data(format!("cannot read {}", index.display())).because(&cause))?;
    let value: Value = serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string()))?;
    let map = value
        .get("weight_map")
        .and_then(Value::as_object)
        .ok_or_else(|| wrong("weight_map is missing".to_owned()))?;
    let mut names = BTreeSet::new();
    for (tensor, file) in map {
        let name = file
            .as_str()
            .filter(|name| {
                Path::new(name)
                    .file_name()
                    .is_some_and(|last| last == *name)
            })
            .ok_or_else(|| {
                wrong(format!(
                    "the file of {tensor} is {file}, not a file of this folder"
                ))
            })?;
        names.insert(name);
    }
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The names of all tensors, from the headers alone.
pub(super) fn tensor_names(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for path in files {
        names.extend(TensorFile::open(path)?.names());
    }
    Ok(names)
}

/// Opens one safetensors file and gives its tensors to `take`, one after the other.
fn each_tensor(
    path: &Path,
    mut take: impl FnMut(&str, &TensorView<'_>) -> Result<()>,
) -> Result<()> {
    let mut file = TensorFile::open(path)?;
    let mut buffer = Vec::new();
    for name in file.names() {
        take(&name, &file.read(&name, &mut buffer)?)?;
    }
    Ok(())
}

/// The values of a tensor in `target`; whether its type is one that can be read.
fn copy(view: &TensorView<'_>, target: &mut [f32]) -> bool {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => {
            for (target, bytes) in target.iter_mut().zip(data.as_chunks::<4>().0) {
                *target = f32::from_le_bytes(*bytes);
            }
        }
        Dtype::F16 => {
            for (target, bytes) in target.iter_mut().zip(data.as_chunks::<2>().0) {
                *target = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        Dtype::BF16 => {
            for (target, bytes) in target.iter_mut().zip(data.as_chunks::<2>().0) {
                *target = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        _ => return false,
    }
    true
}

/// Copies one tensor of `shape` to where `write` lets it.
fn fill(
    path: &Path,
    name: &str,
    view: &TensorView<'_>,
    shape: &[usize],
    write: impl FnOnce(&dyn Fn(&mut [f32]) -> bool) -> Result<bool>,
) -> Result<()> {
    if view.shape() != shape {
        return Err(Error::data(format!(
            "{}: tensor {name} has shape {:?}, expected {shape:?}",
            path.display(),
            view.shape(),
        ))
        .hint("config.json and the weights are of different models"));
    }
    if write(&|target| copy(view, target))? {
        return Ok(());
    }
    Err(Error::data(format!(
        "{}: tensor {name} is {:?}, expected F32, F16 or BF16",
        path.display(),
        view.dtype()
    ))
    .hint("save the model in one of these types"))
}

/// The same to `range` of the flat buffer `target`.
fn fill_range(
    path: &Path,
    name: &str,
    view: &TensorView<'_>,
    shape: &[usize],
    (target, range): (&Tensor, &Range<usize>),
) -> Result<()> {
    fill(path, name, view, shape, |copy| {
        numeric(write(target, |target| copy(&mut target[range.clone()])))
    })
}

/// Refuses a set of tensors that is not whole.
fn all_seen(
    entries: &[Entry],
    seen: &BTreeSet<usize>,
    prefix: &str,
    files: &[PathBuf],
) -> Result<()> {
    none_missing(
        entries,
        (0..entries.len()).filter(|index| !seen.contains(index)),
        prefix,
        files,
    )
}

fn none_missing(
    entries: &[Entry],
    mut missing: impl Iterator<Item = usize>,
    prefix: &str,
    files: &[PathBuf],
) -> Result<()> {
    let Some(first) = missing.next() else {
        return Ok(());
    };
    let place = files
        .first()
        .map(|file| file.display().to_string())
        .unwrap_or_default();
    let more = match missing.count() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    Err(Error::data(format!(
        "{place}: tensor {prefix}{} of shape {:?} is missing{more}",
        entries[first].name, entries[first].shape
    ))
    .hint("the folder is incomplete, or its config.json is of another model"))
}

/// Fills the parameters that `files` hold, and says which. Tensors that `skip` names by their place are left out.
fn fill_from(
    network: &mut Network,
    files: &[PathBuf],
    skip: impl Fn(&str) -> bool,
) -> Result<BTreeSet<usize>> {
    let config = &network.config;
    let architecture = config.architecture;
    let parameters = &mut network.parameters;
    let entries = parameters.entries().iter().enumerate();
    let places: BTreeMap<String, usize> = entries
        .map(|(index, entry)| (names::place(architecture, &entry.name).into_owned(), index))
        .collect();
    let mut seen = BTreeSet::new();
    for file in files {
        each_tensor(file, |name, view| {
            let place = names::place(architecture, name);
            match places.get(place.as_ref()) {
                _ if skip(&place) => Ok(()),
                Some(&index) => {
                    seen.insert(index);
                    let shape = parameters.entries()[index].shape.clone();
                    fill(file, name, view, &shape, |copy| {
                        parameters.write(index, copy)
                    })
                }
                None if names::is_spare(config, &place) => Ok(()),
                None => Err(Error::data(format!(
                    "{}: tensor {name} of shape {:?} has no place in this {} model",
                    file.display(),
                    view.shape(),
                    architecture.model_type()
                ))
                .hint("config.json and the weights are of different models")),
            }
        })?;
    }
    Ok(seen)
}

/// Fills all parameters of `network` from `files`.
pub(super) fn all_weights(network: &mut Network, files: &[PathBuf]) -> Result<()> {
    let seen = fill_from(network, files, |_| false)?;
    all_seen(network.parameters.entries(), &seen, "", files)
}

/// Fills what the adapter that trains consists of, as [`super::write::state`] wrote it.
pub(super) fn adapter_state(
    network: &Network,
    adapter: &Parameters,
    files: &[PathBuf],
) -> Result<()> {
    let stores = [&network.parameters, adapter];
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for file in files {
        each_tensor(file, |name, view| {
            for (store, seen) in stores.into_iter().zip(&mut seen) {
                let Some(index) = store.find(name) else {
                    continue;
                };
                seen.insert(index);
                let entry = &store.entries()[index];
                let values = (store.values(), &entry.range);
                return fill_range(file, name, view, &entry.shape, values);
            }
            Err(Error::data(format!(
                "{}: tensor {name} of shape {:?} has no place in the adapter that trains",
                file.display(),
                view.shape()
            ))
            .hint("the checkpoint is of another adapter"))
        })?;
    }
    let [base, added] = seen;
    let entries = network.parameters.entries();
    let whole = (0..entries.len()).filter(|&index| network.adapters.trains_whole(&entries[index]));
    let missing = whole.filter(|index| !base.contains(index));
    none_missing(entries, missing, "", files)?;
    all_seen(adapter.entries(), &added, "", files)
}

/// Fills the parameters of `network` from the `files` of a folder of any class. Parts of the head that the folder's
/// class does not have start fresh, as a function of `seed`; gives their names.
pub(super) fn weights(
    network: &mut Network,
    files: &[PathBuf],
    seed: u64,
) -> Result<Vec<&'static str>> {
    let config = &network.config;
    let (class, task) = (config.saved_class().map(str::to_owned), config.head.task);
    let class = class.as_deref();
    let mut seen = fill_from(network, files, |place| {
        names::is_other_head(class, task, place)
    })?;
    let mut fresh = Vec::new();
    for part in &network.head_parts {
        let missing = part.parameters.clone().all(|index| !seen.contains(&index));
        if missing && !class.is_some_and(|class| names::has_head(class, task)) {
            let parameters = part.parameters.clone();
            network
                .parameters
                .initialise_part(seed, parameters.clone())?;
            seen.extend(parameters);
            fresh.push(part.name);
        }
    }
    all_seen(network.parameters.entries(), &seen, "", files)?;
    Ok(fresh)
}

/// Fills both moments of what trains from `optimizer.safetensors` and gives the number of steps made. Moments of
/// parameters that do not train are left out: they were zeros.
pub(crate) fn optimizer(folder: &Path, states: &[OptimizerState<'_>]) -> Result<u64> {
    let path = folder.join(OPTIMIZER);
    let mut seen = vec![[BTreeSet::new(), BTreeSet::new()]; states.len()];
    let mut step = None;
    each_tensor(&path, |name, view| {
        if name == "step" && view.dtype() == Dtype::I64 && view.shape().is_empty() {
            let bytes = view.data().as_chunks::<8>().0.first();
            step = bytes.map(|bytes| i64::from_le_bytes(*bytes));
            return Ok(());
        }
        for (state, seen) in states.iter().zip(&mut seen) {
            for (which, (prefix, target)) in state.moments().into_iter().enumerate() {
                let Some(rest) = name.strip_prefix(prefix) else {
                    continue;
                };
                let Some(index) = state.entries.iter().position(|entry| entry.name == rest) else {
                    continue;
                };
                seen[which].insert(index);
                let entry = &state.entries[index];
                if !entry.trainable {
                    return Ok(());
                }
                let values = (target, &entry.state);
                return fill_range(&path, name, view, &entry.shape, values);
            }
        }
        Err(Error::data(format!(
            "{}: tensor {name} belongs to no parameter",
            path.display()
        ))
        .hint("the checkpoint is of another model"))
    })?;
    let files = [path];
    for (state, seen) in states.iter().zip(&seen) {
        for (seen, (prefix, _)) in seen.iter().zip(state.moments()) {
            let entries = state.entries;
            let trained = (0..entries.len()).filter(|&index| entries[index].trainable);
            let missing = trained.filter(|index| !seen.contains(index));
            none_missing(entries, missing, prefix, &files)?;
        }
    }
    step.and_then(|step| u64::try_from(step).ok())
        .ok_or_else(|| {
            Error::data(format!(
                "{}: tensor step (a number of steps, I64) is missing",
                files[0].display()
            ))
            .hint("the checkpoint is damaged; resume from an earlier one")
        })
}
