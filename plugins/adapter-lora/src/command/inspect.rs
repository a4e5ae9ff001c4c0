//! `lora inspect`: what an adapter is, what it touches, and how much.

use std::collections::BTreeMap;
use std::path::Path;

use codex_peft::{Folder, Part, Tensor, alpha_of, key, rank_of, site_of, svd};
use codex_plugin_api::{Arguments, Result};
use serde_json::{Value, json};

use super::model::folder;
use super::table::{number, table};
use super::{Done, required};

/// What one module's tensors say.
#[derive(Default)]
pub(super) struct Row {
    pub(super) module: String,
    pub(super) parameters: usize,
    pub(super) rank: Option<u32>,
    pub(super) scale: Option<f64>,
    /// Frobenius norm of the change of the weight.
    pub(super) norm: Option<f64>,
    /// The largest singular value of the change.
    pub(super) largest: Option<f64>,
    /// Of trained factors: how far the mean and the farthest are from 1.
    factors: Option<(f64, f64)>,
}

/// The factor of a LoRA pair.
pub(super) fn scale(config: &Value, site: &str) -> Result<f64> {
    let (rank, alpha) = (f64::from(rank_of(config, site)?), alpha_of(config, site)?);
    let root = config.get("use_rslora").and_then(Value::as_bool) == Some(true);
    Ok(alpha / if root { rank.sqrt() } else { rank })
}

fn from_one(values: &[f32]) -> (f64, f64) {
    let distances = values.iter().map(|value| f64::from((value - 1.0).abs()));
    let mean = distances.clone().sum::<f64>() / values.len().max(1) as f64;
    (mean, distances.fold(0.0, f64::max))
}

fn row(folder: &Folder, module: &str, tensors: &[(&String, &Tensor)]) -> Result<Row> {
    let mut row = Row {
        module: module.to_owned(),
        parameters: tensors.iter().map(|(_, tensor)| tensor.values.len()).sum(),
        ..Row::default()
    };
    let of = |part| folder.tensors.get(&key(module, part));
    if let (Some(a), Some(b)) = (of(Part::A), of(Part::B)) {
        let (rank, factor) = (
            a.shape.first().copied().unwrap_or(0),
            scale(&folder.config, module)?,
        );
        let found = svd::truncated_product(&b.values, &a.values, rank, 1)?;
        row.rank = u32::try_from(rank).ok();
        row.scale = Some(factor);
        row.norm = Some(factor.abs() * found.norm);
        row.largest = found
            .values
            .first()
            .map(|value| factor.abs() * f64::from(*value));
    } else if let Some(factors) = of(Part::ScaleOutput) {
        row.factors = Some(from_one(&factors.values));
    } else if of(Part::RankScale).is_some() {
        row.rank = Some(rank_of(&folder.config, module)?);
    }
    Ok(row)
}

/// A row for each module, in the order of their names.
pub(super) fn rows(folder: &Folder) -> Result<Vec<Row>> {
    let mut modules: BTreeMap<&str, Vec<(&String, &Tensor)>> = BTreeMap::new();
    for (name, tensor) in &folder.tensors {
        if let Some(module) = site_of(name) {
            modules.entry(module).or_default().push((name, tensor));
        }
    }
    modules
        .into_iter()
        .map(|(module, tensors)| row(folder, module, &tensors))
        .collect()
}

/// Refuses tensors that no pair can be made of, which the mathematics takes for granted.
pub(super) fn check_pairs(folder: &Folder, path: &str) -> Result<()> {
    for name in folder.tensors.keys() {
        let Some(module) = site_of(name) else {
            continue;
        };
        let shape = |part| {
            folder
                .tensors
                .get(&key(module, part))
                .map(|tensor| tensor.shape.as_slice())
        };
        let whole = match (shape(Part::A), shape(Part::B)) {
            (None, None) => true,
            (Some(&[a, _]), Some(&[_, b])) => a == b && a > 0,
            _ => false,
        };
        if !whole {
            return Err(codex_plugin_api::Error::data(format!(
                "{path}: {module} has no matching pair of lora_A and lora_B"
            ))
            .hint("the adapter is damaged; copy or save it again"));
        }
    }
    Ok(())
}

/// What the adapter is called: by its type and its variants.
fn kind(config: &Value) -> String {
    let flag = |name: &str| config.get(name).and_then(Value::as_bool) == Some(true);
    match config.get("peft_type").and_then(Value::as_str) {
        Some("LORA") if flag("use_dora") && flag("use_rslora") => "DoRA with rsLoRA's scale".into(),
        Some("LORA") if flag("use_dora") => "DoRA".into(),
        Some("LORA") if flag("use_rslora") => "rsLoRA".into(),
        Some("LORA") => "LoRA".into(),
        Some("VERA") => "VeRA".into(),
        Some(other) => other.into(),
        None => "no type of PEFT's".into(),
    }
}

fn cells(row: &Row) -> Vec<String> {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    vec![
        row.module.clone(),
        row.rank
            .map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
        shown(row.scale),
        shown(row.norm),
        shown(row.largest),
        shown(row.factors.map(|factors| factors.0)),
        row.parameters.to_string(),
    ]
}

fn as_json(row: &Row) -> Value {
    json!({
        "module": row.module,
        "rank": row.rank,
        "scale": row.scale,
        "norm": row.norm,
        "largest_singular_value": row.largest,
        "mean_distance_of_factors_from_1": row.factors.map(|factors| factors.0),
        "largest_distance_of_factors_from_1": row.factors.map(|factors| factors.1),
        "parameters": row.parameters,
    })
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let given = required(arguments, "adapter")?;
    let path = folder(given, codex_peft::CONFIG);
    let read = Folder::read(Path::new(&path))?;
    check_pairs(&read, given)?;
    let rows = rows(&read)?;
    let whole: Vec<&String> = read
        .tensors
        .keys()
        .filter(|name| site_of(name).is_none())
        .collect();
    let parameters: usize = read
        .tensors
        .values()
        .map(|tensor| tensor.values.len())
        .sum();
    let base = read
        .config
        .get("base_model_name_or_path")
        .and_then(Value::as_str);
    let kind = kind(&read.config);
    let head = [
        "module",
        "rank",
        "scale",
        "norm",
        "largest",
        "|s-1|",
        "parameters",
    ];
    let mut text = format!(
        "{given}: {kind} for {}, {parameters} parameters on {} modules\n\n{}",
        base.unwrap_or("an unnamed model"),
        rows.len(),
        table(&head, &rows.iter().map(cells).collect::<Vec<_>>()),
    );
    if !whole.is_empty() {
        let line = |name: &&String| format!("  {name} {:?}\n", read.tensors[*name].shape);
        let lines: String = whole.iter().map(line).collect();
        text = format!("{text}\nbeside them:\n{lines}");
    }
    Ok(Done {
        text,
        json: json!({
            "adapter": given,
            "type": kind,
            "base": base,
            "base_hash": read.metadata.get("codex_ml.base"),
            "parameters": parameters,
            "modules": rows.iter().map(as_json).collect::<Vec<_>>(),
            "beside": whole,
            "config": read.config,
        }),
    })
}
