//! Llama's keys in `config.json`, as Transformers 5 and those before write them.

use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use super::precise;
use super::reader::Reader;
use crate::config::task::HeadConfig;
use crate::config::{Architecture, NetworkConfig};

/// A decoder from Llama's keys.
pub(super) fn read(reader: &Reader<'_>) -> Result<NetworkConfig> {
    let activation = reader.word("hidden_act", "silu")?;
    if !matches!(activation, "silu" | "swish") {
        return Err(reader.wrong("hidden_act", &json!(activation), "silu"));
    }
    let hidden_size = reader.size("hidden_size")?;
    let heads = reader.size("num_attention_heads")?;
    Ok(NetworkConfig {
        architecture: Architecture::Llama,
        vocab_size: reader.size("vocab_size")?,
        hidden_size,
        layers: reader.size("num_hidden_layers")?,
        heads: Heads {
            heads,
            kv_heads: reader
                .optional_size("num_key_value_heads")?
                .unwrap_or(heads),
            head_size: reader
                .optional_size("head_dim")?
                .unwrap_or(hidden_size / heads),
        },
        intermediate_size: reader.size("intermediate_size")?,
        max_positions: reader.size("max_position_embeddings")?,
        norm_epsilon: reader.number("rms_norm_eps", 1e-6)? as f32,
        type_vocab_size: 0,
        gelu: Form::Tanh,
        rope_theta: rope_theta(reader)?,
        attention_bias: reader.flag("attention_bias", false)?,
        mlp_bias: reader.flag("mlp_bias", false)?,
        tied: reader.flag("tie_word_embeddings", false)?,
        embedding_dropout: 0.0,
        attention_dropout: reader.probability("attention_dropout", 0.0)?,
        residual_dropout: 0.0,
        initializer_range: reader.number("initializer_range", 0.02)? as f32,
        head: HeadConfig::default(),
        other: Map::new(),
    })
}

/// The base of rotary positions: in `rope_parameters` since Transformers 5, in `rope_theta` before.
fn rope_theta(reader: &Reader<'_>) -> Result<f64> {
    let outer = reader.number("rope_theta", 10_000.0)?;
    let mut theta = outer;
    for key in ["rope_scaling", "rope_parameters"] {
        let Some(value) = reader.get(key) else {
            continue;
        };
        let Value::Object(keys) = value else {
            return Err(reader.wrong(key, value, "an object"));
        };
        let inner = Reader {
            file: reader.file,
            keys,
        };
        let kind = match inner.get("rope_type") {
            Some(_) => inner.word("rope_type", "default")?,
            None => inner.word("type", "default")?,
        };
        if kind != "default" {
            return Err(Error::data(format!(
                "{}: {key} asks for {kind:?} positions, which this decoder does not compute",
                reader.file
            ))
            .hint("only models with unscaled rotary positions can be loaded"));
        }
        theta = inner.number("rope_theta", theta)?;
    }
    if theta > 0.0 {
        return Ok(theta);
    }
    Err(reader.wrong("rope_theta", &json!(theta), "a number above 0"))
}

/// Sets Llama's keys.
pub(super) fn write(config: &NetworkConfig, set: &mut dyn FnMut(&str, Value)) {
    set("hidden_size", json!(config.hidden_size));
    set("num_hidden_layers", json!(config.layers));
    set("num_attention_heads", json!(config.heads.heads));
    set("num_key_value_heads", json!(config.heads.kv_heads));
    set("head_dim", json!(config.heads.head_size));
    set("intermediate_size", json!(config.intermediate_size));
    set("max_position_embeddings", json!(config.max_positions));
    set("rms_norm_eps", precise(config.norm_epsilon));
    set("hidden_act", json!("silu"));
    set("attention_bias", json!(config.attention_bias));
    set("attention_dropout", precise(config.attention_dropout));
    set("mlp_bias", json!(config.mlp_bias));
    // The first for Transformers 5, the second for all before.
    set(
        "rope_parameters",
        json!({"rope_theta": config.rope_theta, "rope_type": "default"}),
    );
    set("rope_theta", json!(config.rope_theta));
}
