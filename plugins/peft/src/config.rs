//! `adapter_config.json` with every key that PEFT 0.21 writes.

use serde_json::{Map, Value, json};

/// The version of PEFT whose keys are written.
pub const PEFT_VERSION: &str = "0.21.2";

/// The keys of every configuration.
fn common() -> Value {
    json!({
        "auto_mapping": null,
        "base_model_name_or_path": null,
        "inference_mode": true,
        "peft_version": PEFT_VERSION,
        "revision": null,
        "task_type": null,
    })
}

/// The keys of one type of adapter, with the values that stand for nothing special.
fn defaults(peft_type: &str) -> Value {
    match peft_type {
        "LORA" => json!({
            "alora_invocation_tokens": null,
            "alpha_pattern": {},
            "arrow_config": null,
            "bias": "none",
            "corda_config": null,
            "ensure_weight_tying": false,
            "eva_config": null,
            "exclude_modules": null,
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "kasa_config": null,
            "layer_replication": null,
            "layers_pattern": null,
            "layers_to_transform": null,
            "loftq_config": {},
            "lora_alpha": 8,
            "lora_bias": false,
            "lora_dropout": 0.0,
            "lora_ga_config": null,
            "megatron_config": null,
            "megatron_core": "megatron.core",
            "modules_to_save": null,
            "monteclora_config": null,
            "qalora_group_size": 16,
            "r": 8,
            "rank_pattern": {},
            "target_modules": null,
            "target_parameters": null,
            "trainable_token_indices": null,
            "use_bdlora": null,
            "use_dora": false,
            "use_qalora": false,
            "use_rslora": false,
            "velora_config": null,
        }),
        "IA3" => json!({
            "exclude_modules": null,
            "fan_in_fan_out": false,
            "feedforward_modules": null,
            "init_ia3_weights": true,
            "modules_to_save": null,
            "target_modules": null,
        }),
        "VERA" => json!({
            "bias": "none",
            "d_initial": 0.1,
            "fan_in_fan_out": false,
            "init_weights": true,
            "layers_pattern": null,
            "layers_to_transform": null,
            "modules_to_save": null,
            "projection_prng_key": 0,
            "r": 256,
            "save_projection": true,
            "target_modules": null,
            "vera_dropout": 0.0,
        }),
        _ => json!({}),
    }
}

/// Whether an entry of the modules to save is about single parameters, which PEFT does not look for there.
pub(crate) fn names_parameters(entry: &str) -> bool {
    entry.contains('*') || matches!(entry.rsplit('.').next(), Some("bias" | "weight"))
}

/// Leaves modules alone among the modules to save.
fn modules_only(config: &mut Map<String, Value>) {
    if let Some(Value::Array(modules)) = config.get_mut("modules_to_save") {
        modules.retain(|module| !module.as_str().is_some_and(names_parameters));
        if modules.is_empty() {
            config.insert("modules_to_save".into(), Value::Null);
        }
    }
}

/// `config` with every key that PEFT writes for its type. What it has stays, except that a saved adapter is for inference and
/// that parameters are not modules.
pub(crate) fn complete(config: &Value, base: Option<&str>) -> Value {
    let mut whole = config.as_object().cloned().unwrap_or_default();
    let peft_type = whole
        .get("peft_type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    for keys in [common(), defaults(&peft_type)] {
        let keys = keys.as_object().cloned().unwrap_or_else(Map::new);
        for (key, value) in keys {
            whole.entry(key).or_insert(value);
        }
    }
    whole.insert("inference_mode".into(), true.into());
    modules_only(&mut whole);
    if let Some(base) = base {
        whole.insert("base_model_name_or_path".into(), base.into());
    }
    Value::Object(whole)
}
