//! The weights of a model's folder, and the hash by which an adapter knows its base again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::folder::{read_tensors, values};
use crate::{Tensor, TensorFile};

/// The safetensors files of a model's folder: one, or those that the index names.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if single.is_file() || !index.is_file() {
        return Ok(vec![single]);
    }
    let damaged = || {
        Error::data(format!("{} names no files", index.display()))
            .hint("the index is damaged; copy the folder again")
    };
    let text = std::fs::read_to_string(&index)
        .map_err(|cause| Error::data(format!("cannot read {}", index.display())).because(&cause))?;
    let value: Value = serde_json::from_str(&text).map_err(|cause| damaged().because(&cause))?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let names: BTreeSet<&str> = map
        .ok_or_else(damaged)?
        .values()
        .map(|name| {
            // A folder's index may not lead out of the folder.
            name.as_str()
                .filter(|name| {
                    Path::new(name)
                        .file_name()
                        .is_some_and(|last| last == *name)
                })
                .ok_or_else(damaged)
        })
        .collect::<Result<_>>()?;
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// Whole numbers in a model's file are no weights but tables that older writers saved beside them, such as BERT's
/// `embeddings.position_ids`. Some writers leave them out, so the same model has them or has them not.
fn is_table(dtype: safetensors::Dtype) -> bool {
    use safetensors::Dtype::{BOOL, I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(dtype, BOOL | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}

/// All weights of a model's folder, by name; tables of whole numbers are left out.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the file that is missing or damaged.
pub fn read(folder: &Path) -> Result<BTreeMap<String, Tensor>> {
    let mut all = BTreeMap::new();
    for file in files(folder)? {
        all.extend(read_tensors(&file, is_table)?.0);
    }
    Ok(all)
}

/// SHA-256 over name, shape and f32 values of each tensor, in the order of the names: the same for one file and for shards,
/// and for a file that a reader wrote again as it was.
///
/// # Errors
/// As [`read`].
pub fn hash(folder: &Path) -> Result<String> {
    let files = files(folder)?;
    let mut open = Vec::with_capacity(files.len());
    let mut places = BTreeMap::new();
    for (index, path) in files.iter().enumerate() {
        let file = TensorFile::open(path)?;
        places.extend(file.names().into_iter().map(|name| (name, index)));
        open.push(file);
    }
    let mut hasher = Sha256::new();
    // One tensor after the other: the base may only just fit into memory.
    let mut buffer = Vec::new();
    for (name, index) in places {
        let tensor = open[index].read(&name, &mut buffer)?;
        if is_table(tensor.dtype()) {
            continue;
        }
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update((tensor.shape().len() as u64).to_le_bytes());
        for length in tensor.shape() {
            hasher.update((*length as u64).to_le_bytes());
        }
        if tensor.dtype() == safetensors::Dtype::F32 {
            hasher.update(tensor.data());
        } else {
            let values = values(&files[index], &name, &tensor)?;
            hasher.update(crate::Dtype::F32.bytes(&values));
        }
    }
    let mut text = String::from("sha256:");
    for byte in hasher.finalize() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
