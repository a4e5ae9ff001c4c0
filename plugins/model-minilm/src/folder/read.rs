//! Reading weights: one file or shards, f32, f16 or bf16, with or without the prefix of the base model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use codex_nn::write;
use codex_plugin_api::{Error, Result};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::{INDEX, OPTIMIZER, WEIGHTS};
use crate::config::Architecture;
use crate::failure::numeric;
use crate::network::Network;
use crate::parameters::Entry;

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

/// Opens one safetensors file and gives its tensors to `take`.
fn each_tensor(
    path: &Path,
    mut take: impl FnMut(&str, &TensorView<'_>) -> Result<()>,
) -> Result<()> {
    let bytes = std::fs::read(path).map_err(|cause| {
        Error::data(format!("cannot read {}", path.display()))
            .because(&cause)
            .hint("the folder is incomplete; copy it again")
    })?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|cause| {
        Error::data(format!(
            "{} is not a whole safetensors file",
            path.display()
        ))
        .because(&cause)
        .hint("the file is truncated or damaged; copy it again")
    })?;
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0));
    sorted.iter().try_for_each(|(name, view)| take(name, view))
}

/// Copies one tensor into its place in the flat buffer `target`.
fn fill(
    path: &Path,
    name: &str,
    view: &TensorView<'_>,
    entry: &Entry,
    target: &Tensor,
) -> Result<()> {
    if view.shape() != entry.shape {
        return Err(Error::data(format!(
            "{}: tensor {name} has shape {:?}, expected {:?}",
            path.display(),
            view.shape(),
            entry.shape
        ))
        .hint("config.json and the weights are of different models"));
    }
    let data = view.data();
    let copied = write(target, |target| {
        let target = &mut target[entry.range.clone()];
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
    });
    if numeric(copied)? {
        return Ok(());
    }
    Err(Error::data(format!(
        "{}: tensor {name} is {:?}, expected F32, F16 or BF16",
        path.display(),
        view.dtype()
    ))
    .hint("save the model in one of these types"))
}

/// Refuses a set of tensors that is not whole.
fn all_seen(
    entries: &[Entry],
    seen: &BTreeSet<usize>,
    prefix: &str,
    files: &[PathBuf],
) -> Result<()> {
    let mut missing = (0..entries.len()).filter(|index| !seen.contains(index));
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

/// Tensors that Transformers has saved beside the weights and that are computed here.
fn is_derived(network: &Network, name: &str) -> bool {
    (network.config.tied && name == "lm_head.weight")
        || name.ends_with(".attn.bias")
        || name.ends_with(".attn.masked_bias")
        || name.ends_with("rotary_emb.inv_freq")
}

/// Fills all parameters of `network` from `files`.
pub(crate) fn weights(network: &Network, files: &[PathBuf]) -> Result<()> {
    let entries = network.parameters.entries();
    let places: BTreeMap<&str, usize> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| (entry.name.as_str(), index))
        .collect();
    let prefix = match network.config.architecture {
        Architecture::Gpt2 => "transformer.",
        Architecture::Llama => "model.",
    };
    let mut seen = BTreeSet::new();
    for file in files {
        each_tensor(file, |name, view| {
            let prefixed = format!("{prefix}{name}");
            let place = places.get(name).or_else(|| places.get(prefixed.as_str()));
            match place {
                Some(&index) => {
                    seen.insert(index);
                    fill(
                        file,
                        name,
                        view,
                        &entries[index],
                        network.parameters.values(),
                    )
                }
                None if is_derived(network, name) => Ok(()),
                None => Err(Error::data(format!(
                    "{}: tensor {name} of shape {:?} has no place in this {} model",
                    file.display(),
                    view.shape(),
                    network.config.architecture.model_type()
                ))
                .hint("config.json and the weights are of different models")),
            }
        })?;
    }
    all_seen(entries, &seen, "", files)
}

/// Fills both moments from `optimizer.safetensors` and gives the number of steps made.
pub(crate) fn optimizer(
    folder: &Path,
    entries: &[Entry],
    first: &Tensor,
    second: &Tensor,
) -> Result<u64> {
    let path = folder.join(OPTIMIZER);
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    let mut step = None;
    let moments = [("first_moment.", first), ("second_moment.", second)];
    each_tensor(&path, |name, view| {
        if name == "step" && view.dtype() == Dtype::I64 && view.shape().is_empty() {
            step = view
                .data()
                .as_chunks::<8>()
                .0
                .first()
                .map(|bytes| i64::from_le_bytes(*bytes));
            return Ok(());
        }
        for (which, (prefix, target)) in moments.iter().enumerate() {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            if let Some(index) = entries.iter().position(|entry| entry.name == rest) {
                seen[which].insert(index);
                return fill(&path, name, view, &entries[index], target);
            }
        }
        Err(Error::data(format!(
            "{}: tensor {name} belongs to no parameter",
            path.display()
        ))
        .hint("the checkpoint is of another model"))
    })?;
    let files = [path];
    for (seen, (prefix, _)) in seen.iter().zip(moments) {
        all_seen(entries, seen, prefix, &files)?;
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
