//! An adapter that took over part of the base (PiSSA), as one for the unchanged base.

use std::collections::BTreeMap;

use codex_plugin_api::{AdapterPlan, Error, Init, Operation, Result};
use serde_json::Value;

use crate::Tensor;
use crate::keys::{Part, key};

/// `[first; second]`, one above the other.
fn stacked(first: &Tensor, second: &Tensor) -> Tensor {
    let mut values = first.values.clone();
    values.extend_from_slice(&second.values);
    Tensor::new([first.shape[0] + second.shape[0], first.shape[1]], values)
}

/// `[first, -second]`, side by side.
fn beside_negated(first: &Tensor, second: &Tensor) -> Tensor {
    let (rows, left, right) = (first.shape[0], first.shape[1], second.shape[1]);
    let mut values = Vec::with_capacity(first.values.len() + second.values.len());
    for row in 0..rows {
        values.extend_from_slice(&first.values[row * left..][..left]);
        values.extend(second.values[row * right..][..right].iter().map(|x| -x));
    }
    Tensor::new([rows, left + right], values)
}

/// Twice the rank, and an alpha such that the scale stays.
fn doubled(config: &mut Value) {
    let Some(config) = config.as_object_mut() else {
        return;
    };
    let root = config.get("use_rslora").and_then(Value::as_bool) == Some(true);
    let more = |value: &Value, factor: f64| match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) if factor == 2.0 => Value::from(2 * whole),
        (_, Some(number)) => Value::from(factor * number),
        _ => value.clone(),
    };
    let alpha = if root { 2.0_f64.sqrt() } else { 2.0 };
    for (keys, factor) in [
        (["r", "rank_pattern"], 2.0),
        (["lora_alpha", "alpha_pattern"], alpha),
    ] {
        for name in keys {
            match config.get_mut(name) {
                Some(Value::Object(patterns)) => {
                    patterns
                        .values_mut()
                        .for_each(|value| *value = more(value, factor));
                }
                Some(value) => *value = more(value, factor),
                None => {}
            }
        }
    }
    config.insert("init_lora_weights".into(), true.into());
}

/// The same adapter for the base as it was before the adapter took its start from it: `B·A − B₀·A₀` is a pair of twice the
/// rank, and the configuration follows. This is what PEFT saves with `path_initial_model_for_weight_conversion`.
///
/// `start` holds A and B of the operations that started with [`Init::PrincipalSingular`], as they started, by their keys.
/// Without such operations everything stays as it is.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Failed`] naming a tensor that is missing.
pub fn relative(
    plan: &AdapterPlan,
    mut tensors: BTreeMap<String, Tensor>,
    start: &BTreeMap<String, Tensor>,
) -> Result<(AdapterPlan, BTreeMap<String, Tensor>)> {
    let mut plan = plan.clone();
    let mut changed = false;
    for at in &mut plan.operations {
        let Operation::LowRank {
            rank,
            a,
            b,
            shared: None,
            ..
        } = &mut at.operation
        else {
            continue;
        };
        if *a != Init::PrincipalSingular && *b != Init::PrincipalSingular {
            continue;
        }
        for (part, join) in [
            (Part::A, stacked as fn(&Tensor, &Tensor) -> Tensor),
            (Part::B, beside_negated),
        ] {
            let name = key(&at.site, part);
            let missing = || Error::failed(format!("tensor {name} is missing"));
            let before = start.get(&name).ok_or_else(missing)?;
            let now = tensors.get_mut(&name).ok_or_else(missing)?;
            *now = join(now, before);
        }
        *rank *= 2;
        (*a, *b) = (Init::KaimingUniform, Init::Constant { value: 0.0 });
        changed = true;
    }
    if changed {
        doubled(&mut plan.saved_config);
    }
    Ok((plan, tensors))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use codex_plugin_api::SiteOperation;
    use serde_json::json;

    #[test]
    fn the_product_is_the_difference() {
        let low_rank = |init: Init| AdapterPlan {
            operations: vec![SiteOperation {
                site: "q".into(),
                operation: Operation::LowRank {
                    rank: 1,
                    scale: 2.0,
                    dropout: 0.0,
                    a: init.clone(),
                    b: init,
                    train: true,
                    shared: None,
                    rank_scale: None,
                    output_scale: None,
                },
            }],
            saved_config: json!({
                "r": 1, "lora_alpha": 2, "rank_pattern": {"k": 3}, "alpha_pattern": {"k": 0.5}, "init_lora_weights": "pissa",
            }),
            ..AdapterPlan::default()
        };
        let pair = |a: [f32; 3], b: [f32; 2]| {
            BTreeMap::from([
                (key("q", Part::A), Tensor::new([1, 3], a.to_vec())),
                (key("q", Part::B), Tensor::new([2, 1], b.to_vec())),
            ])
        };
        let (now, before) = (
            pair([1.0, 2.0, 3.0], [4.0, 5.0]),
            pair([6.0, 7.0, 8.0], [9.0, 10.0]),
        );
        let (plan, tensors) =
            relative(&low_rank(Init::PrincipalSingular), now.clone(), &before).unwrap();
        assert_eq!(
            tensors[&key("q", Part::A)],
            Tensor::new([2, 3], vec![1.0, 2.0, 3.0, 6.0, 7.0, 8.0])
        );
        assert_eq!(
            tensors[&key("q", Part::B)],
            Tensor::new([2, 2], vec![4.0, -9.0, 5.0, -10.0])
        );
        assert!(matches!(
            plan.operations[0].operation,
            Operation::LowRank {
                rank: 2,
                scale: 2.0,
                ..
            }
        ));
        assert_eq!(
            plan.saved_config,
            json!({"r": 2, "lora_alpha": 4, "rank_pattern": {"k": 6}, "alpha_pattern": {"k": 1.0}, "init_lora_weights": true})
        );

        let other = low_rank(Init::KaimingUniform);
        assert_eq!(
            relative(&other, now.clone(), &BTreeMap::new()).unwrap(),
            (other, now)
        );
    }
}
