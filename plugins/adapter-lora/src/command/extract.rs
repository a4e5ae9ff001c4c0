//! `lora extract`: the difference of two models as a low-rank adapter on the first.

use std::collections::{BTreeMap, BTreeSet};

use codex_peft::{Base, Dtype, Part, Tensor, folder, key, svd, weights};
use codex_plugin_api::{Adapter, Arguments, Error, FromConfig, HostRef, Result, Site};
use serde_json::{Value, json};

use super::model::{model_folder, open};
use super::output::Output;
use super::table::{number, percent, table};
use super::{Done, interrupted, rank, required};
use crate::Lora;
use crate::options::{LoraOptions, Targets};
use crate::targets::ALL_LINEAR;

/// The rank where none is given.
const RANK: u32 = 16;

/// What the trunk is called in files of a model with a head, or not at all in those without.
const PREFIXES: [&str; 3] = ["bert.", "transformer.", "model."];

/// The name in `tensors` of a parameter of the model, with or without the trunk's prefix.
fn named<'a>(tensors: &'a BTreeMap<String, Tensor>, name: &str) -> Option<&'a str> {
    let with = PREFIXES.iter().map(|prefix| format!("{prefix}{name}"));
    let without = PREFIXES
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .map(str::to_owned);
    [name.to_owned()]
        .into_iter()
        .chain(with)
        .chain(without)
        .find_map(|name| tensors.get_key_value(&name).map(|(key, _)| key.as_str()))
}

/// The weight of a site as `[outputs, inputs]`.
fn weight(tensors: &BTreeMap<String, Tensor>, site: &Site, path: &str) -> Result<Vec<f32>> {
    let name = format!("{}.weight", site.name);
    let (inputs, outputs) = (site.inputs as usize, site.outputs as usize);
    let shape = if site.transposed {
        [inputs, outputs]
    } else {
        [outputs, inputs]
    };
    let tensor = named(tensors, &name).map(|name| &tensors[name]);
    let Some(tensor) = tensor.filter(|tensor| tensor.shape == shape) else {
        let found = tensor.map(|tensor| &tensor.shape);
        return Err(Error::data(format!(
            "{path}: {name} has shape {found:?}, expected {shape:?}"
        ))
        .hint("both models must have the same architecture and sizes"));
    };
    if !site.transposed {
        return Ok(tensor.values.clone());
    }
    let by_output = |at: usize| tensor.values[(at % inputs) * outputs + at / inputs];
    Ok((0..inputs * outputs).map(by_output).collect())
}

/// What one module's pair holds of the difference.
struct Found {
    module: String,
    norm: f64,
    lost: f64,
}

/// A `[count, length]` or `[length, count]` matrix brought to `rank` by zeros.
fn to_rank(values: Vec<f32>, there: usize, rank: usize, rows_are_rank: bool) -> Vec<f32> {
    if there == rank || there == 0 {
        return if there == 0 { vec![0.0; rank] } else { values };
    }
    if rows_are_rank {
        let length = values.len() / there;
        let mut wide = values;
        wide.resize(rank * length, 0.0);
        return wide;
    }
    values
        .chunks(there)
        .flat_map(|row| {
            row.iter()
                .copied()
                .chain(std::iter::repeat_n(0.0, rank - there))
        })
        .collect()
}

/// The pair of `rank` nearest to the difference at `site`.
fn pair(
    base: &[f32],
    tuned: &[f32],
    site: &Site,
    rank: usize,
) -> Result<(Found, [(String, Tensor); 2])> {
    let (inputs, outputs) = (site.inputs as usize, site.outputs as usize);
    let difference: Vec<f32> = tuned.iter().zip(base).map(|(x, y)| x - y).collect();
    let best = svd::truncated(&difference, outputs, inputs, rank)?;
    let (b, a) = best.pair(1.0);
    let there = best.values.len();
    let a = Tensor::new([rank, inputs], to_rank(a, there, rank, true));
    let b = Tensor::new([outputs, rank], to_rank(b, there, rank, false));
    let found = Found {
        module: site.name.clone(),
        norm: best.norm,
        lost: best.lost,
    };
    let keys = [(key(&site.name, Part::A), a), (key(&site.name, Part::B), b)];
    Ok((found, keys))
}

/// Parameters that differ and that no pair holds, with the largest difference of each.
fn rest(
    base: &BTreeMap<String, Tensor>,
    tuned: &BTreeMap<String, Tensor>,
    held: &BTreeSet<&str>,
) -> Vec<(String, f64)> {
    let mut all = Vec::new();
    for (name, tensor) in base
        .iter()
        .filter(|(name, _)| !held.contains(name.as_str()))
    {
        let Some(other) = named(tuned, name).map(|name| &tuned[name]) else {
            continue;
        };
        let pairs = tensor.values.iter().zip(&other.values);
        let largest = pairs
            .map(|(x, y)| f64::from((x - y).abs()))
            .fold(0.0, f64::max);
        if largest > 0.0 {
            all.push((name.clone(), largest));
        }
    }
    all.sort_by(|x, y| y.1.total_cmp(&x.1));
    all
}

fn options(arguments: &Arguments, rank: u32) -> LoraOptions {
    let targets = arguments.texts("target");
    LoraOptions {
        targets: Some(if targets.is_empty() {
            Targets::One(ALL_LINEAR.to_owned())
        } else {
            Targets::Many(targets.into_iter().map(str::to_owned).collect())
        }),
        rank,
        modules_to_save: Some(Vec::new()),
        ..LoraOptions::default()
    }
}

fn relative(found: &Found) -> f64 {
    if found.norm > 0.0 {
        found.lost / found.norm
    } else {
        0.0
    }
}

fn report(place: &str, found: &[Found], rest: &[(String, f64)]) -> Done {
    let cells = |one: &Found| vec![one.module.clone(), number(one.norm), percent(relative(one))];
    let rows: Vec<_> = found.iter().map(cells).collect();
    let square =
        |of: &dyn Fn(&Found) -> f64| found.iter().map(|one| of(one).powi(2)).sum::<f64>().sqrt();
    let all = Found {
        module: String::new(),
        norm: square(&|one| one.norm),
        lost: square(&|one| one.lost),
    };
    let mut text = format!(
        "{}\nwrote {place}; lost by the rank: {} of the difference's norm\n",
        table(&["module", "norm", "lost"], &rows),
        percent(relative(&all)),
    );
    if let Some((name, largest)) = rest.first() {
        text = format!(
            "{text}not in the adapter: {} other parameters differ, most of all {name} (by {})\n",
            rest.len(),
            number(*largest)
        );
    }
    let modules: Vec<Value> = found
        .iter()
        .map(|one| json!({"module": one.module, "norm": one.norm, "error": relative(one)}))
        .collect();
    let others: Vec<Value> = rest
        .iter()
        .map(|(name, largest)| json!({"parameter": name, "largest_difference": largest}))
        .collect();
    Done {
        text,
        json: json!({"output": place, "modules": modules, "error": relative(&all), "not_in_the_adapter": others}),
    }
}

pub(super) fn run(arguments: &Arguments, host: &HostRef) -> Result<Done> {
    let (base_path, tuned_path) = (required(arguments, "base")?, required(arguments, "tuned")?);
    let place = required(arguments, "output")?;
    let dtype: Dtype = arguments.text("dtype").unwrap_or("f32").parse()?;
    let rank = rank(arguments)?.unwrap_or(RANK);
    let (base_folder, tuned_folder) = (model_folder(base_path)?, model_folder(tuned_path)?);
    let output = Output::begin(place)?;
    let sites = open(&base_folder, host)?.sites()?;
    let plan = Lora::from_config(options(arguments, rank), host.clone())?.plan(&sites)?;
    let (base, tuned) = (weights::read(&base_folder)?, weights::read(&tuned_folder)?);

    let (mut tensors, mut found, mut held) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for (index, at) in plan.operations.iter().enumerate() {
        interrupted(host)?;
        host.progress("decomposing", index as u64, plan.operations.len() as u64);
        let Some(site) = sites.iter().find(|site| site.name == at.site) else {
            continue;
        };
        let before = weight(&base, site, base_path)?;
        let after = weight(&tuned, site, tuned_path)?;
        let (one, pair) = pair(&before, &after, site, rank as usize)?;
        tensors.extend(pair);
        found.push(one);
        held.extend(named(&base, &format!("{}.weight", site.name)));
    }
    let count = plan.operations.len() as u64;
    host.progress("decomposing", count, count);
    let identity = Base {
        path: Some(base_folder.to_string_lossy().into_owned()),
        hash: Some(weights::hash(&base_folder)?),
    };
    folder(&plan, &sites, tensors, &identity)?.write(output.path(), dtype)?;
    output.finish()?;
    Ok(report(place, &found, &rest(&base, &tuned, &held)))
}
