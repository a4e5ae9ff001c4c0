//! The two files of an adapter's folder: `adapter_config.json` and `adapter_model.safetensors`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use codex_plugin_api::{Error, Result};
use safetensors::tensor::TensorView;
use safetensors::{SafeTensors, View};
use serde_json::Value;

use crate::Dtype;
use crate::tensor_file::not_whole;

/// The file with the configuration.
pub const CONFIG: &str = "adapter_config.json";
/// The file with the tensors.
pub const WEIGHTS: &str = "adapter_model.safetensors";

/// Numbers with a shape, outermost dimension first, rows contiguous.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: Vec<f32>,
}

impl Tensor {
    /// A tensor of `values`.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let shape = shape.into();
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Self { shape, values }
    }
}

/// An adapter's folder, in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folder {
    /// `adapter_config.json`: an object.
    pub config: Value,
    /// The tensors by their keys in the file.
    pub tensors: BTreeMap<String, Tensor>,
    /// What the safetensors header holds beside the tensors, `format` left out.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor's values in f32.
pub(crate) fn values(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    Dtype::values(view.dtype(), view.data()).ok_or_else(|| {
        Error::data(format!(
            "{}: tensor {name} is {:?}, which is not read",
            path.display(),
            view.dtype()
        ))
        .hint("save it as f32, f16 or bf16")
    })
}

/// The tensors of a safetensors file of the dtypes that are not `left_out`, and its metadata.
pub(crate) fn read_tensors(
    path: &Path,
    left_out: fn(safetensors::Dtype) -> bool,
) -> Result<(BTreeMap<String, Tensor>, BTreeMap<String, String>)> {
    let bytes = std::fs::read(path)
        .map_err(|cause| Error::data(format!("cannot read {}", path.display())).because(&cause))?;
    let (_, header) =
        SafeTensors::read_metadata(&bytes).map_err(|cause| not_whole(path).because(&cause))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|cause| not_whole(path).because(&cause))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        if left_out(view.dtype()) {
            continue;
        }
        let values = values(path, name, &view)?;
        tensors.insert(name.to_owned(), Tensor::new(view.shape(), values));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    Ok((tensors, metadata.into_iter().collect()))
}

struct Stored<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
}

impl View for Stored<'_> {
    fn dtype(&self) -> safetensors::Dtype {
        self.dtype.stored()
    }
    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.dtype.bytes(&self.tensor.values))
    }
    fn data_len(&self) -> usize {
        self.dtype.size() * self.tensor.values.len()
    }
}

/// The header's metadata in the order of its keys: the crate writes them as its hash map gives them, and the same
/// adapter would be another file in every run.
fn in_order(mut bytes: Vec<u8>, metadata: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?) as usize;
    let header = bytes.get_mut(8..8 + length)?;
    let mut parsed: Value = serde_json::from_slice(header).ok()?;
    *parsed.get_mut("__metadata__")? = serde_json::to_value(metadata).ok()?;
    let mut text = serde_json::to_vec(&parsed).ok()?;
    if text.len() > length {
        return None;
    }
    text.resize(length, b' ');
    header.copy_from_slice(&text);
    Some(bytes)
}

/// Writes one file beside its place and renames it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|cause| {
        // Nothing more can be done for a file that cannot be removed either.
        let _ = std::fs::remove_file(&beside);
        Error::failed(format!("cannot write {}", path.display())).because(&cause)
    })
}

impl Folder {
    /// Reads both files.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] naming the file that is missing, damaged or of another kind.
    pub fn read(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        let text = std::fs::read_to_string(&file).map_err(|cause| {
            let error = Error::data(format!("cannot read {}", file.display())).because(&cause);
            if path.join("config.json").is_file() {
                error.hint(
                    "this is a model's folder; give an adapter's, which has adapter_config.json",
                )
            } else {
                error.hint("give a folder with adapter_config.json and adapter_model.safetensors")
            }
        })?;
        let config: Value = serde_json::from_str(&text).map_err(|cause| {
            Error::data(format!("{} is not JSON", file.display()))
                .because(&cause)
                .hint("the file is damaged; copy it again")
        })?;
        if !config.is_object() {
            return Err(Error::data(format!("{} is not an object", file.display())));
        }
        let weights = path.join(WEIGHTS);
        if !weights.is_file() && path.join("adapter_model.bin").is_file() {
            return Err(Error::data(format!("{} is missing", weights.display())).hint(
                "adapter_model.bin is not read; save the adapter again with PEFT's safe_serialization",
            ));
        }
        let (tensors, mut metadata) = read_tensors(&weights, |_| false)?;
        metadata.remove("format");
        Ok(Self {
            config,
            tensors,
            metadata,
        })
    }

    /// Writes both files into an existing folder, tensors as `dtype`. Each file is written whole beside its place and then
    /// renamed; the configuration, by which the folder is known, last.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Failed`] naming the file that could not be written.
    pub fn write(&self, path: &Path, dtype: Dtype) -> Result<()> {
        let weights = path.join(WEIGHTS);
        let mut metadata = self.metadata.clone();
        metadata.insert("format".into(), "pt".into());
        let unordered: HashMap<_, _> = metadata.clone().into_iter().collect();
        let tensors = self
            .tensors
            .iter()
            .map(|(key, tensor)| (key, Stored { tensor, dtype }));
        let bytes = safetensors::serialize(tensors, Some(unordered))
            .ok()
            .and_then(|bytes| in_order(bytes, &metadata))
            .ok_or_else(|| Error::failed(format!("cannot write {}", weights.display())))?;
        replace(&weights, &bytes)?;
        // Sorted, as PEFT writes it.
        let mut config = self.config.clone();
        config.sort_all_objects();
        replace(&path.join(CONFIG), format!("{config:#}\n").as_bytes())
    }
}
