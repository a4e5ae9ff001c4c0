//! Adapters worked into the base's weights, in f32, and the weights as they were, so that taking one out again leaves no
//! trace. An adapter that took over a part of the base (PiSSA) changes it while it applies as well.

use std::collections::BTreeSet;

use codex_plugin_api::{Error, Result};
use rayon::prelude::*;

use super::adapter::{Action, Adapter, Pair, Placed};
use super::low_rank::Derived;
use super::whole;
use crate::failure::numeric;
use crate::network::Network;
use crate::parameters::Slot;

/// Refuses what cannot be worked into the base.
pub(super) fn check(network: &Network, index: usize) -> Result<()> {
    let adapter = &network.adapters.all[index];
    for placed in &adapter.operations {
        let entry = &network.parameters.entries()[placed.place.weight_entry];
        if entry.format.is_some() {
            return Err(Error::unsupported(format!(
                "merging adapter {:?} into {}, which base_dtype keeps as {}",
                adapter.name,
                entry.name,
                entry.dtype()
            ))
            .hint(
                "merge it into the model with base_dtype f32: there its change is not rounded away",
            ));
        }
        if let Action::Bias(_) = placed.action {
            return Err(Error::unsupported(format!(
                "merging a bias into {}, which has none",
                entry.name.trim_end_matches(".weight")
            ))
            .hint("use the adapter as it is"));
        }
    }
    Ok(())
}

/// Every base parameter that adapters change now.
fn touched(network: &Network) -> BTreeSet<usize> {
    let adapters = &network.adapters;
    let mut touched = BTreeSet::new();
    for &index in &adapters.merged {
        let adapter = &adapters.all[index];
        touched.extend(adapter.whole.iter().map(|whole| whole.entry));
        for placed in &adapter.operations {
            touched.insert(placed.place.weight_entry);
            touched.extend(placed.place.bias_entry);
        }
    }
    for &(index, _) in &adapters.active {
        let adapter = &adapters.all[index];
        touched.extend(adapter.whole.iter().map(|whole| whole.entry));
        for placed in &adapter.operations {
            if let Action::LowRank(Pair { taken: Some(_), .. }) = placed.action {
                touched.insert(placed.place.weight_entry);
            }
        }
    }
    touched
}

/// Gives every base parameter the value that follows from which adapters apply or are merged; gives the largest change.
pub(super) fn refresh(network: &mut Network) -> Result<f64> {
    let touched = touched(network);
    let mut change = 0.0f64;
    let mut set = |network: &mut Network, entry: usize, values: &[f32]| -> Result<()> {
        let before = network.parameters.copy_of(entry)?;
        let differences = before
            .iter()
            .zip(values)
            .map(|(a, b)| f64::from((a - b).abs()));
        change = differences.fold(change, f64::max);
        network.parameters.set(entry, values)
    };
    let originals = std::mem::take(&mut network.adapters.originals);
    for (&entry, values) in originals
        .iter()
        .filter(|(entry, _)| !touched.contains(entry))
    {
        set(network, entry, values)?;
    }
    for entry in touched {
        let original = match originals.get(&entry) {
            Some(values) => values.clone(),
            None => network.parameters.copy_of(entry)?,
        };
        let values = effective(network, entry, &original)?;
        set(network, entry, &values)?;
        network.adapters.originals.insert(entry, original);
    }
    Ok(change)
}

/// What a base parameter is with the adapters that are merged.
pub(super) fn with_merged(network: &Network, entry: usize, original: &[f32]) -> Result<Vec<f32>> {
    let adapters = &network.adapters;
    let mut values = original.to_vec();
    for &index in &adapters.merged {
        let adapter = &adapters.all[index];
        for whole in adapter.whole.iter().filter(|whole| whole.entry == entry) {
            values.clone_from(&whole.values);
        }
        for placed in in_order(adapter) {
            values = merged(adapter, placed, entry, values)?;
        }
    }
    Ok(values)
}

/// What it is with those that apply as well.
fn effective(network: &Network, entry: usize, original: &[f32]) -> Result<Vec<f32>> {
    let adapters = &network.adapters;
    let mut values = with_merged(network, entry, original)?;
    let base = values.clone();
    for &(index, weight) in &adapters.active {
        let adapter = &adapters.all[index];
        for whole in adapter.whole.iter().filter(|whole| whole.entry == entry) {
            let held = whole::values(network, index, whole)?;
            if weight == 1.0 && values == base {
                values = held;
                continue;
            }
            for ((value, held), base) in values.iter_mut().zip(&held).zip(&base) {
                *value += weight * (held - base);
            }
        }
        for placed in &adapter.operations {
            let Action::LowRank(pair) = &placed.action else {
                continue;
            };
            if let (Some(taken), true) = (&pair.taken, placed.place.weight_entry == entry) {
                let mut rows = placed.place.out_in(values);
                let factor = -weight * pair.scale;
                add_product(&mut rows, &taken.b, &taken.a, pair.rank(), factor);
                values = placed.place.as_saved(rows);
            }
        }
    }
    Ok(values)
}

/// The operations with those on the input first: they change the base's weight alone, whatever stands before them.
fn in_order(adapter: &Adapter) -> impl Iterator<Item = &Placed> {
    let on_input = |placed: &&Placed| matches!(placed.action, Action::ScaleInput(_));
    let first = adapter.operations.iter().filter(on_input);
    let rest = adapter.operations.iter().filter(move |one| !on_input(one));
    first.chain(rest)
}

/// `rows` `[outputs, inputs]` += factor · B `[outputs, rank]` · A `[rank, inputs]`.
fn add_product(rows: &mut [f32], b: &[f32], a: &[f32], rank: usize, factor: f32) {
    let inputs = (a.len() / rank.max(1)).max(1);
    rows.par_chunks_mut(inputs)
        .zip(b.par_chunks(rank.max(1)))
        .with_min_len(16)
        .for_each(|(row, b)| {
            let mut sums = vec![0.0; row.len()];
            for (b, a) in b.iter().zip(a.chunks_exact(inputs)) {
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum += b * a;
                }
            }
            for (value, sum) in row.iter_mut().zip(&sums) {
                *value += factor * sum;
            }
        });
}

/// values ·= factor
fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

fn vector(adapter: &Adapter, slot: Slot) -> Result<Vec<f32>> {
    Ok(numeric(codex_nn::Read::new(adapter.parameters.value(slot)))?.to_vec())
}

/// Base parameter `entry` with an operation worked in; as it was where the operation does not concern it.
fn merged(
    adapter: &Adapter,
    placed: &Placed,
    entry: usize,
    mut values: Vec<f32>,
) -> Result<Vec<f32>> {
    let place = &placed.place;
    if place.bias_entry == Some(entry) {
        if let Action::ScaleOutput(slot) = placed.action {
            for (value, factor) in values.iter_mut().zip(vector(adapter, slot)?) {
                *value *= factor;
            }
        }
        return Ok(values);
    }
    if place.weight_entry != entry {
        return Ok(values);
    }
    let inputs = place.inputs.max(1);
    let mut rows = place.out_in(values);
    match &placed.action {
        Action::LowRank(pair) => {
            let derived = Derived::of(pair, placed);
            let (a, b) = if pair.derived() {
                let parameters = &adapter.parameters;
                (
                    numeric(derived.a(parameters))?,
                    numeric(derived.b(parameters))?,
                )
            } else {
                let all = vector(adapter, pair.a)?;
                let own = pair.ranks.start * inputs..pair.ranks.end * inputs;
                (all[own].to_vec(), vector(adapter, pair.b)?)
            };
            add_product(&mut rows, &b, &a, pair.rank(), pair.scale);
            if let Some(taken) = &pair.taken {
                add_product(&mut rows, &taken.b, &taken.a, pair.rank(), -pair.scale);
            }
        }
        Action::ScaleOutput(slot) => {
            for (row, factor) in rows.chunks_exact_mut(inputs).zip(vector(adapter, *slot)?) {
                scale(row, factor);
            }
        }
        Action::ScaleInput(slot) => {
            let factors = vector(adapter, *slot)?;
            for row in rows.chunks_exact_mut(inputs) {
                for (value, factor) in row.iter_mut().zip(&factors) {
                    *value *= factor;
                }
            }
        }
        Action::Magnitude(slot, _) => {
            for (row, magnitude) in rows.chunks_exact_mut(inputs).zip(vector(adapter, *slot)?) {
                let squares = row.iter().map(|&value| f64::from(value) * f64::from(value));
                let norm = squares.sum::<f64>().sqrt() as f32;
                let factor = magnitude / norm.max(f32::MIN_POSITIVE);
                scale(row, factor);
            }
        }
        Action::Bias(_) | Action::Whole => {}
    }
    values = place.as_saved(rows);
    Ok(values)
}
