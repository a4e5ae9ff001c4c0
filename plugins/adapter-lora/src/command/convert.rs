//! `lora convert`: an adapter in other numbers, or of a lower rank.

use std::path::Path;

use codex_peft::{Dtype, Folder, Part, Tensor, alpha_of, key, rank_of, svd};
use codex_plugin_api::{Arguments, Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::inspect::{check_pairs, rows, scale};
use super::model::folder;
use super::output::Output;
use super::table::{number, percent, table};
use super::{Done, rank, required};
use crate::lora::number as as_number;

/// What pruning lost at one module.
struct Pruned {
    module: String,
    from: u32,
    to: u32,
    /// Frobenius norms of what was lost and of the whole, both with the module's scale.
    lost: f64,
    norm: f64,
}

/// The alpha that keeps `scale` at `rank`.
fn alpha_for(scale: f64, rank: u32, root: bool) -> f64 {
    let rank = f64::from(rank);
    scale * if root { rank.sqrt() } else { rank }
}

/// `values` (`[rows, columns]`, of at most the wanted size) with zeros below and beside.
fn padded(values: &[f32], columns: usize, shape: [usize; 2]) -> Tensor {
    let mut wide = vec![0.0; shape[0] * shape[1]];
    for (row, line) in values.chunks(columns.max(1)).enumerate() {
        wide[row * shape[1]..][..line.len()].copy_from_slice(line);
    }
    Tensor::new(shape, wide)
}

/// The best pair of `rank` for the pair at `module`.
fn prune_pair(read: &mut Folder, module: &str, rank: u32, factor: f64) -> Result<Pruned> {
    let (a_key, b_key) = (key(module, Part::A), key(module, Part::B));
    let (Some(a), Some(b)) = (read.tensors.get(&a_key), read.tensors.get(&b_key)) else {
        return Err(Error::data(format!("{module} has no pair to prune")));
    };
    let (from, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0]);
    let to = rank.min(from as u32);
    let found = svd::truncated_product(&b.values, &a.values, from, to as usize)?;
    if to < from as u32 {
        let (new_b, new_a) = found.pair(1.0);
        let there = found.values.len();
        let a = padded(&new_a, inputs, [to as usize, inputs]);
        let b = padded(&new_b, there, [outputs, to as usize]);
        read.tensors.insert(a_key, a);
        read.tensors.insert(b_key, b);
    }
    Ok(Pruned {
        module: module.to_owned(),
        from: from as u32,
        to,
        lost: if to < from as u32 {
            factor.abs() * found.lost
        } else {
            0.0
        },
        norm: factor.abs() * found.norm,
    })
}

/// Lowers every rank to at most `rank`; the scales stay, and the configuration follows.
fn prune(read: &mut Folder, rank: u32) -> Result<Vec<Pruned>> {
    let lora = read.config.get("peft_type").and_then(Value::as_str) == Some("LORA");
    if !lora || read.metadata.contains_key("codex_ml.operations") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "only adapters of PEFT's type LORA have ranks that can be lowered",
        )
        .hint("leave --rank out to change the number type alone"));
    }
    let old = read.config.clone();
    let root = old.get("use_rslora").and_then(Value::as_bool) == Some(true);
    let usual_rank = rank_of(&old, "")?;
    let usual = rank.min(usual_rank);
    let usual_alpha = alpha_for(scale(&old, "")?, usual, root);
    let (mut ranks, mut alphas, mut all) = (Map::new(), Map::new(), Vec::new());
    for row in rows(read)? {
        let factor = scale(&old, &row.module)?;
        let lost = prune_pair(read, &row.module, rank, factor)?;
        let alpha = if lost.to == lost.from {
            alpha_of(&old, &row.module)?
        } else {
            alpha_for(factor, lost.to, root)
        };
        if lost.to != usual {
            ranks.insert(row.module.clone(), lost.to.into());
        }
        if alpha != usual_alpha {
            alphas.insert(row.module.clone(), as_number(alpha));
        }
        all.push(lost);
    }
    if let Some(config) = read.config.as_object_mut() {
        config.insert("r".into(), usual.into());
        config.insert("lora_alpha".into(), as_number(usual_alpha));
        config.insert("rank_pattern".into(), ranks.into());
        config.insert("alpha_pattern".into(), alphas.into());
    }
    Ok(all)
}

/// The largest change of a number by rounding.
fn rounding(before: &Folder, after: &Folder) -> f64 {
    let tensors = before.tensors.iter();
    let pairs = tensors.filter_map(|(name, tensor)| Some((tensor, after.tensors.get(name)?)));
    pairs
        .flat_map(|(x, y)| x.values.iter().zip(&y.values))
        .map(|(x, y)| f64::from((x - y).abs()))
        .fold(0.0, f64::max)
}

/// Roots of the sums of squares: the norms over all modules together.
fn total(all: &[Pruned], of: impl Fn(&Pruned) -> f64) -> f64 {
    all.iter().map(|one| of(one).powi(2)).sum::<f64>().sqrt()
}

fn relative(lost: f64, norm: f64) -> f64 {
    if norm > 0.0 { lost / norm } else { 0.0 }
}

fn cells(one: &Pruned) -> Vec<String> {
    vec![
        one.module.clone(),
        format!("{} -> {}", one.from, one.to),
        number(one.norm),
        percent(relative(one.lost, one.norm)),
    ]
}

pub(super) fn run(arguments: &Arguments) -> Result<Done> {
    let given = required(arguments, "adapter")?;
    let place = required(arguments, "output")?;
    let dtype: Dtype = arguments.text("dtype").unwrap_or("f32").parse()?;
    let path = folder(given, codex_peft::CONFIG);
    let mut read = Folder::read(Path::new(&path))?;
    check_pairs(&read, given)?;
    let lost = match rank(arguments)? {
        Some(rank) => prune(&mut read, rank)?,
        None => Vec::new(),
    };
    let output = Output::begin(place)?;
    read.write(output.path(), dtype)?;
    let rounding = rounding(&read, &Folder::read(output.path())?);
    output.finish()?;

    let error = relative(total(&lost, |one| one.lost), total(&lost, |one| one.norm));
    let pruned = if lost.is_empty() {
        String::new()
    } else {
        let rows: Vec<_> = lost.iter().map(cells).collect();
        let table = table(&["module", "rank", "norm", "lost"], &rows);
        format!(
            "{table}\nlost by the lower rank: {} of the change's norm\n",
            percent(error)
        )
    };
    let text = format!(
        "{pruned}wrote {place} in {dtype}; largest change of a number by rounding: {}\n",
        number(rounding)
    );
    let modules: Vec<Value> = lost
        .iter()
        .map(|one| {
            json!({
                "module": one.module, "from": one.from, "to": one.to, "norm": one.norm,
                "error": relative(one.lost, one.norm),
            })
        })
        .collect();
    Ok(Done {
        text,
        json: json!({
            "output": place,
            "dtype": dtype.to_string(),
            "modules": modules,
            "error": error,
            "largest_rounding": rounding,
        }),
    })
}
