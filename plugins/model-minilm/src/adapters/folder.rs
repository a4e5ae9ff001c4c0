//! Adapters in PEFT's folders, by way of `codex_peft`. Nothing is half-loaded: the adapter is built whole before the
//! network knows of it.

use std::collections::BTreeMap;
use std::path::Path;

use codex_peft::{Base, Dtype, Folder, Part, Tensor};
use codex_plugin_api::{Error, Result};

use super::adapter::{Action, Adapter};
use super::{layout, whole};
use crate::network::Network;
use crate::sites;

/// Reads an adapter from its folder and builds it.
pub(super) fn load(
    network: &Network,
    name: &str,
    path: &Path,
    base: Option<&Path>,
) -> Result<Adapter> {
    let folder = Folder::read(path)?;
    let loaded = codex_peft::load(&folder, &sites::of(network))?;
    check_base(path, &loaded.base, base)?;
    let mut plan = loaded.plan;
    // What the folder holds whole is known by name; its modules are so many ways to name it.
    for whole in loaded.whole.keys() {
        if !codex_peft::in_modules(&plan.modules_to_save, whole) {
            plan.modules_to_save.push(whole.clone());
        }
    }
    let mut adapter = layout::build(network, name, &plan, 0)?;
    for whole in &mut adapter.whole {
        let Some(tensor) = loaded.whole.get(&whole.name) else {
            continue;
        };
        let expected = &network.parameters.entries()[whole.entry].shape;
        if tensor.shape != *expected {
            return Err(Error::data(format!(
                "{}: {} has shape {:?}, the base has {expected:?}",
                path.display(),
                whole.name,
                tensor.shape
            ))
            .hint("the adapter was saved for another model"));
        }
        whole.values.clone_from(&tensor.values);
    }
    let unknown = loaded.whole.keys().find(|name| {
        let mut known = adapter.whole.iter();
        !known.any(|whole| whole.name == **name)
    });
    if let Some(unknown) = unknown {
        return Err(Error::data(format!(
            "{}: the adapter holds {unknown} whole, which this model does not have or does not use",
            path.display()
        ))
        .hint("the adapter was saved for another model, or for another task"));
    }
    Ok(adapter)
}

/// Refuses an adapter that says by its hash that it was saved for another base. Computed only where it says so.
fn check_base(path: &Path, said: &Base, base: Option<&Path>) -> Result<()> {
    let (Some(said_hash), Some(base)) = (&said.hash, base) else {
        return Ok(());
    };
    let hash = codex_peft::weights::hash(base)?;
    if hash == *said_hash {
        return Ok(());
    }
    Err(Error::data(format!(
        "{}: the adapter was saved for a base with weights {said_hash}, {} has {hash}",
        path.display(),
        base.display()
    ))
    .hint(match &said.path {
        Some(path) => format!("it was saved for {path}; open that model"),
        None => "open the model that it was saved for".to_owned(),
    }))
}

/// The tensors of an adapter by their keys.
fn tensors(network: &Network, index: usize) -> Result<BTreeMap<String, Tensor>> {
    let adapter = &network.adapters.all[index];
    let mut tensors = BTreeMap::new();
    for (at, entry) in adapter.parameters.entries().iter().enumerate() {
        let values = adapter.parameters.copy_of(at)?;
        tensors.insert(entry.name.clone(), Tensor::new(entry.shape.clone(), values));
    }
    for held in &adapter.whole {
        let shape = network.parameters.entries()[held.entry].shape.clone();
        let values = whole::values(network, index, held)?;
        tensors.insert(held.key.clone(), Tensor::new(shape, values));
    }
    Ok(tensors)
}

/// A and B of pairs that took over a part of the base, as they started.
fn taken(adapter: &Adapter) -> BTreeMap<String, Tensor> {
    let mut start = BTreeMap::new();
    for (placed, at) in adapter.operations.iter().zip(&adapter.plan.operations) {
        let Action::LowRank(pair) = &placed.action else {
            continue;
        };
        let Some(taken) = &pair.taken else {
            continue;
        };
        let (rank, inputs, outputs) =
            (pair.rank(), placed.place.inputs, placed.place.outputs.len());
        for (part, shape, values) in [
            (Part::A, [rank, inputs], &taken.a),
            (Part::B, [outputs, rank], &taken.b),
        ] {
            let key = codex_peft::key(&at.site, part);
            start.insert(key, Tensor::new(shape, values.clone()));
        }
    }
    start
}

/// Writes an adapter in f32. One that took over a part of the base (PiSSA) is written as the difference that it makes to
/// the base as it was, of twice the rank, so that it can be used with that; this is what PEFT writes with
/// `path_initial_model_for_weight_conversion`.
pub(super) fn save(
    network: &Network,
    index: usize,
    path: &Path,
    base: Option<(&Path, &Path)>,
) -> Result<()> {
    let adapter = &network.adapters.all[index];
    let (plan, tensors) =
        codex_peft::relative(&adapter.plan, tensors(network, index)?, &taken(adapter))?;
    let base = match base {
        None => Base::default(),
        Some((base, weights)) => Base {
            path: Some(base.display().to_string()),
            hash: Some(codex_peft::weights::hash(weights)?),
        },
    };
    codex_peft::folder(&plan, &sites::of(network), tensors, &base)?.write(path, Dtype::F32)
}
