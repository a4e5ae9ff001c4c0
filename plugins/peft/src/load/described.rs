//! The operations that a configuration of PEFT describes.

use std::collections::{BTreeMap, BTreeSet};

use codex_plugin_api::{Error, ErrorKind, Init, Operation, Result, Site, SiteOperation};
use serde_json::Value;

use crate::Tensor;
use crate::keys::{Part, VERA, key, site_of};
use crate::targets::{Names, alpha_of, rank_of, targets};

/// Variants of LoRA that compute something else.
const LORA_VARIANTS: [&str; 12] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

/// Starts that change the base, which their adapters then need in its changed form.
const CHANGES_BASE: [&str; 5] = ["pissa", "corda", "olora", "loftq", "lora_ga"];

/// A start that the tensors take the place of.
const TENSOR: Init = Init::Constant { value: 0.0 };

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    }
}

fn flag(config: &Value, key: &str) -> bool {
    config.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn number(config: &Value, key: &str, otherwise: f64) -> f64 {
    config.get(key).and_then(Value::as_f64).unwrap_or(otherwise)
}

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("the adapter's {what} is not supported"),
    )
}

/// Refuses what would be computed wrongly.
fn check_lora(config: &Value) -> Result<()> {
    for key in LORA_VARIANTS {
        if let Some(value) = config.get(key).filter(|value| is_set(value)) {
            return Err(unsupported(&format!("{key} = {value}"))
                .hint("LoRA, rsLoRA, DoRA, IA3 and VeRA are"));
        }
    }
    let start = config.get("init_lora_weights").and_then(Value::as_str);
    if let Some(start) = start.filter(|start| CHANGES_BASE.iter().any(|one| start.starts_with(one)))
    {
        return Err(
            unsupported(&format!("init_lora_weights = {start:?}, which changed the base,")).hint(
                "save it with PEFT's path_initial_model_for_weight_conversion, which makes it an ordinary LoRA",
            ),
        );
    }
    Ok(())
}

fn lora(config: &Value, site: &str) -> Result<Vec<Operation>> {
    let (rank, alpha) = (rank_of(config, site)?, alpha_of(config, site)?);
    let divisor = if flag(config, "use_rslora") {
        f64::from(rank).sqrt()
    } else {
        f64::from(rank)
    };
    let mut operations = vec![Operation::LowRank {
        rank,
        scale: (alpha / divisor) as f32,
        dropout: number(config, "lora_dropout", 0.0) as f32,
        a: TENSOR,
        b: TENSOR,
        train: true,
        shared: None,
        rank_scale: None,
        output_scale: None,
    }];
    if flag(config, "use_dora") {
        operations.push(Operation::Magnitude {
            start: TENSOR,
            train: true,
        });
    }
    Ok(operations)
}

fn vera(config: &Value) -> Result<Vec<Operation>> {
    Ok(vec![Operation::LowRank {
        rank: rank_of(config, "every module")?,
        scale: 1.0,
        dropout: number(config, "vera_dropout", 0.0) as f32,
        a: TENSOR,
        b: TENSOR,
        train: false,
        shared: Some(VERA.to_owned()),
        rank_scale: Some(TENSOR),
        output_scale: Some(TENSOR),
    }])
}

/// IA3 scales what goes into a feed-forward module and what comes out of others.
fn ia3(
    feed_forward: Option<&Names<'_>>,
    site: &str,
    tensors: &BTreeMap<String, Tensor>,
) -> Vec<Operation> {
    let by_shape = || {
        let tensor = tensors.get(&key(site, Part::ScaleInput));
        tensor.is_some_and(|tensor| tensor.shape.first() == Some(&1))
    };
    let input = feed_forward.map_or_else(by_shape, |names| names.ends(site));
    let (start, train) = (TENSOR, true);
    vec![if input {
        Operation::ScaleInput { start, train }
    } else {
        Operation::ScaleOutput { start, train }
    }]
}

/// The operations of `config` on `sites`, their starts open, in the order of the sites. `tensors` tell the modules where
/// the configuration does not.
pub(crate) fn operations(
    config: &Value,
    sites: &[Site],
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Vec<SiteOperation>> {
    let peft_type = config
        .get("peft_type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    match peft_type {
        "LORA" => check_lora(config)?,
        "IA3" | "VERA" => {}
        "" => {
            return Err(Error::data("adapter_config.json has no peft_type")
                .hint("give a folder that PEFT or save_adapter wrote"));
        }
        other => {
            return Err(unsupported(&format!("peft_type {other:?}"))
                .hint("LORA (with rsLoRA and DoRA), IA3 and VERA are"));
        }
    }
    let names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
    let chosen = targets(config, &names)?.unwrap_or_else(|| {
        let there: BTreeSet<&str> = tensors.keys().filter_map(|key| site_of(key)).collect();
        names.iter().map(|name| there.contains(name)).collect()
    });
    let feed_forward = Names::of(config, "feedforward_modules")?;
    let mut all = Vec::new();
    for (site, _) in names.iter().zip(chosen).filter(|(_, chosen)| *chosen) {
        let found = match peft_type {
            "LORA" => lora(config, site)?,
            "VERA" => vera(config)?,
            _ => ia3(feed_forward.as_ref(), site, tensors),
        };
        all.extend(found.into_iter().map(|operation| SiteOperation {
            site: (*site).to_owned(),
            operation,
        }));
    }
    Ok(all)
}
