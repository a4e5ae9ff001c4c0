//! Adapters: operations added to the linear maps of a network, with parameters of their own beside the base's. Which
//! there are, which of them apply with what weight, which one trains, and which are merged into the base. What one
//! consists of is in `adapter`, what it computes in `attached`, its files are in `folder`.

mod adapter;
mod attached;
mod folder;
mod inputs;
mod layout;
mod low_rank;
mod merge;
mod places;
mod start;
mod vectors;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

use codex_plugin_api::{AdapterPlan, Error, Result};

use crate::network::Network;
use crate::parameters::{Entry, Parameters, Slot};
use adapter::Adapter;
pub(crate) use attached::{Attached, Gradient, Saved};

/// All adapters of a network.
#[derive(Debug, Default)]
pub(crate) struct Adapters {
    all: Vec<Adapter>,
    /// Those that apply, in order, each with its weight.
    active: Vec<(usize, f32)>,
    /// Those worked into the base, in order.
    merged: Vec<usize>,
    /// The one that was added to be trained.
    trained: Option<usize>,
    /// Whether training has begun since it was added.
    training: bool,
    /// Whether the base's entries that it holds whole are its own values, which training changes in place.
    live: bool,
    /// Base parameters as they were, where an adapter has changed them.
    originals: BTreeMap<usize, Vec<f32>>,
    /// What is added to each linear map, by the view of its weight.
    attached: Vec<Option<Attached>>,
}

impl Adapters {
    /// What is added to the map with this weight.
    pub(crate) fn at(&self, weight: Slot) -> Option<&Attached> {
        self.attached.get(weight.index())?.as_ref()
    }

    /// The parameters of the adapter that trains.
    pub(crate) fn trained(&self) -> Option<&Parameters> {
        self.trained.map(|index| &self.all[index].parameters)
    }

    /// Whether a base parameter trains as part of the adapter that trains.
    pub(crate) fn trains_whole(&self, entry: &Entry) -> bool {
        self.trained.is_some_and(|index| {
            let whole = &self.all[index].whole;
            whole.iter().any(|one| one.trains && one.name == entry.name)
        })
    }

    /// Whether any adapter applies.
    pub(crate) fn any_active(&self) -> bool {
        !self.active.is_empty()
    }

    /// The parameters of one adapter.
    pub(crate) fn of(&self, index: usize) -> &Parameters {
        &self.all[index].parameters
    }

    fn find(&self, name: &str) -> Result<usize> {
        let found = self.all.iter().position(|adapter| adapter.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.all.iter().map(|one| one.name.as_str()).collect();
            let error = Error::config(format!("there is no adapter {name:?}"));
            if names.is_empty() {
                error.hint("load or add one first")
            } else {
                error.hint(format!("there are: {}", names.join(", ")))
            }
        })
    }

    fn check_new(&self, name: &str) -> Result<()> {
        if self.all.iter().any(|adapter| adapter.name == name) {
            return Err(
                Error::config(format!("there is an adapter {name:?} already"))
                    .hint("give each adapter a name of its own"),
            );
        }
        Ok(())
    }
}

/// Adds an adapter and makes it the one that applies and trains.
pub(crate) fn add(network: &mut Network, name: &str, plan: &AdapterPlan, seed: u64) -> Result<()> {
    network.adapters.check_new(name)?;
    whole::store_live(network)?;
    // What it starts from is the base, not what other adapters make of it.
    let active = std::mem::take(&mut network.adapters.active);
    refresh(network)?;
    let adapter = match layout::build(network, name, plan, seed) {
        Ok(adapter) => adapter,
        Err(error) => {
            network.adapters.active = active;
            refresh(network)?;
            return Err(error);
        }
    };
    network.adapters.all.push(adapter);
    let index = network.adapters.all.len() - 1;
    network.adapters.trained = Some(index);
    network.adapters.training = false;
    network.adapters.active = vec![(index, 1.0)];
    network.parameters.begin_training(|_| false)?;
    refresh(network).map(drop)
}

/// Loads an adapter; it applies once it is activated.
pub(crate) fn load(
    network: &mut Network,
    name: &str,
    path: &Path,
    base: Option<&Path>,
) -> Result<()> {
    network.adapters.check_new(name)?;
    let adapter = folder::load(network, name, path, base)?;
    network.adapters.all.push(adapter);
    Ok(())
}

/// Saves an adapter in PEFT's format. `base` is the folder to name, and the one that has its weights.
pub(crate) fn save(
    network: &Network,
    name: &str,
    path: &Path,
    base: Option<(&Path, &Path)>,
) -> Result<()> {
    let index = network.adapters.find(name)?;
    folder::save(network, index, path, base)
}

/// Chooses which adapters apply, each with its weight, in this order.
pub(crate) fn activate(network: &mut Network, names: &[String], weights: &[f32]) -> Result<()> {
    if names.len() != weights.len() {
        return Err(Error::config(format!(
            "{} adapters are given {} weights",
            names.len(),
            weights.len()
        ))
        .hint("give each adapter one weight; 1 is the adapter as it was trained"));
    }
    let mut active: Vec<(usize, f32)> = Vec::new();
    for (name, &weight) in names.iter().zip(weights) {
        let index = network.adapters.find(name)?;
        if !weight.is_finite() {
            return Err(Error::config(format!(
                "the weight of adapter {name:?} is {weight}"
            )));
        }
        if active.iter().any(|&(other, _)| other == index) {
            return Err(Error::config(format!("adapter {name:?} is named twice"))
                .hint("name it once, with the sum of the weights"));
        }
        if network.adapters.merged.contains(&index) {
            return Err(
                Error::config(format!("adapter {name:?} is merged into the base"))
                    .hint("it applies as it is; unmerge it to give it a weight"),
            );
        }
        active.push((index, weight));
    }
    whole::store_live(network)?;
    network.adapters.active = active;
    refresh(network).map(drop)
}

/// Works an adapter into the base, or takes it out again; gives the largest change of a weight.
pub(crate) fn merge(network: &mut Network, name: &str, merged: bool) -> Result<f64> {
    let index = network.adapters.find(name)?;
    let is_merged = network.adapters.merged.contains(&index);
    if merged == is_merged {
        return Ok(0.0);
    }
    whole::store_live(network)?;
    if merged {
        merge::check(network, index)?;
        // The change is that of the base without it.
        network.adapters.active.retain(|&(other, _)| other != index);
        refresh(network)?;
        network.adapters.merged.push(index);
    } else {
        network.adapters.merged.retain(|&other| other != index);
    }
    refresh(network)
}

/// Makes the adapter that was added train, and nothing else, if there is one.
pub(crate) fn begin_training(network: &mut Network, trains: &dyn Fn(&str) -> bool) -> Result<()> {
    whole::store_live(network)?;
    let adapters = &mut network.adapters;
    if let Some(index) = adapters.trained {
        let name = &adapters.all[index].name;
        if !adapters.active.iter().any(|&(other, _)| other == index) {
            return Err(
                Error::config(format!("adapter {name:?} is to train, but does not apply"))
                    .hint("activate it first"),
            );
        }
        whole::check_alone(adapters, index)?;
    }
    for (index, adapter) in adapters.all.iter_mut().enumerate() {
        let trained = adapters.trained == Some(index);
        adapter
            .parameters
            .begin_training(|entry| trained && trains(&entry.name))?;
    }
    adapters.training = adapters.trained.is_some();
    refresh(network).map(drop)
}

/// Base parameters that adapters change while they apply, as they are without those: with what is merged alone.
pub(crate) fn without_active(network: &Network) -> Result<BTreeMap<usize, Vec<f32>>> {
    let originals = network.adapters.originals.iter();
    originals
        .map(|(&entry, original)| Ok((entry, merge::with_merged(network, entry, original)?)))
        .collect()
}

/// Notes that adapters' values have changed.
pub(crate) fn values_changed(adapters: &Adapters) {
    for attached in adapters.attached.iter().flatten() {
        attached.forget_norms();
    }
}

/// Brings base values and attachments in line with which adapters apply or are merged; gives the largest change of a base
/// value.
fn refresh(network: &mut Network) -> Result<f64> {
    let change = merge::refresh(network)?;
    let adapters = &mut network.adapters;
    adapters.attached = attached::all(&adapters.all, &adapters.active);
    let applies = |index| adapters.active.contains(&(index, 1.0));
    adapters.live = adapters.training && adapters.trained.is_some_and(applies);
    Ok(change)
}
