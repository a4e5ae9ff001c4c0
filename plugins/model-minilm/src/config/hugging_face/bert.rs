//! BERT's keys in `config.json`.

use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use super::precise;
use super::reader::Reader;
use crate::config::task::HeadConfig;
use crate::config::{Architecture, NetworkConfig};

/// An encoder from BERT's keys.
pub(super) fn read(reader: &Reader<'_>) -> Result<NetworkConfig> {
    reader.refuse_unless("is_decoder", false, false)?;
    reader.refuse_unless("add_cross_attention", false, false)?;
    let positions = reader.word("position_embedding_type", "absolute")?;
    if positions != "absolute" {
        return Err(Error::data(format!(
            "{}: position_embedding_type is {positions:?}, which this plugin does not compute",
            reader.file
        ))
        .hint("only models with absolute positions can be loaded"));
    }
    let hidden_size = reader.size("hidden_size")?;
    let heads = reader.size("num_attention_heads")?;
    let activation = reader.word("hidden_act", "gelu")?;
    let gelu = match activation {
        "gelu" => Form::Erf,
        "gelu_new" | "gelu_pytorch_tanh" => Form::Tanh,
        other => return Err(reader.wrong("hidden_act", &json!(other), "gelu or gelu_new")),
    };
    let hidden_dropout = reader.probability("hidden_dropout_prob", 0.1)?;
    Ok(NetworkConfig {
        architecture: Architecture::Bert,
        vocab_size: reader.size("vocab_size")?,
        hidden_size,
        layers: reader.size("num_hidden_layers")?,
        heads: Heads {
            heads,
            kv_heads: heads,
            head_size: hidden_size / heads,
        },
        intermediate_size: reader.size("intermediate_size")?,
        max_positions: reader.size("max_position_embeddings")?,
        norm_epsilon: reader.number("layer_norm_eps", 1e-12)? as f32,
        type_vocab_size: reader.optional_size("type_vocab_size")?.unwrap_or(2),
        gelu,
        rope_theta: 10_000.0,
        attention_bias: true,
        mlp_bias: true,
        tied: reader.flag("tie_word_embeddings", true)?,
        embedding_dropout: hidden_dropout,
        attention_dropout: reader.probability("attention_probs_dropout_prob", 0.1)?,
        residual_dropout: hidden_dropout,
        initializer_range: reader.number("initializer_range", 0.02)? as f32,
        head: HeadConfig {
            classifier_dropout: reader
                .probability("classifier_dropout", f64::from(hidden_dropout))?,
            ..HeadConfig::default()
        },
        other: Map::new(),
    })
}

/// Sets BERT's keys.
pub(super) fn write(config: &NetworkConfig, set: &mut dyn FnMut(&str, Value)) {
    set("hidden_size", json!(config.hidden_size));
    set("num_hidden_layers", json!(config.layers));
    set("num_attention_heads", json!(config.heads.heads));
    set("intermediate_size", json!(config.intermediate_size));
    set("max_position_embeddings", json!(config.max_positions));
    set("type_vocab_size", json!(config.type_vocab_size));
    set("layer_norm_eps", precise(config.norm_epsilon));
    let activation = match config.gelu {
        Form::Tanh => "gelu_new",
        Form::Erf => "gelu",
    };
    set("hidden_act", json!(activation));
    set("hidden_dropout_prob", precise(config.residual_dropout));
    set(
        "attention_probs_dropout_prob",
        precise(config.attention_dropout),
    );
}
