//! `config.json` as Transformers writes it for GPT-2 and Llama, old and new. What this decoder cannot compute is
//! refused by name: a model that loads has to give the numbers that Transformers gives.

use codex_nn::attention::Heads;
use codex_nn::gelu::Form;
use codex_plugin_api::{Error, Result};
use serde_json::{Map, Value, json};

use super::{Architecture, NetworkConfig};

/// Reads keys of one `config.json`, naming file and key in errors.
struct Reader<'a> {
    file: &'a str,
    keys: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn wrong(&self, key: &str, value: &Value, expected: &str) -> Error {
        Error::data(format!(
            "{}: {key} is {value}, expected {expected}",
            self.file
        ))
        .hint("correct the key, or load a folder that Transformers saved")
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.keys.get(key).filter(|value| !value.is_null())
    }

    fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(size @ 1..=0x7fff_ffff) => Ok(Some(size as usize)),
            _ => Err(self.wrong(key, value, "a whole number from 1 to 2147483647")),
        }
    }

    fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| {
            Error::data(format!("{}: {key} is missing", self.file))
                .hint("load a folder that Transformers saved")
        })
    }

    fn number(&self, key: &str, default: f64) -> Result<f64> {
        match self.get(key) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|number| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| self.wrong(key, value, "a number that is not negative")),
        }
    }

    fn probability(&self, key: &str, default: f64) -> Result<f32> {
        let number = self.number(key, default)?;
        if number < 1.0 {
            return Ok(number as f32);
        }
        Err(self.wrong(key, &json!(number), "a probability below 1"))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.wrong(key, value, "true or false")),
        }
    }

    fn word(&self, key: &str, default: &'static str) -> Result<&str> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::String(word)) => Ok(word),
            Some(value) => Err(self.wrong(key, value, "a string")),
        }
    }

    /// Refuses a choice that changes the numbers in a way that is not built.
    fn refuse_unless(&self, key: &str, default: bool, needed: bool) -> Result<()> {
        if self.flag(key, default)? == needed {
            return Ok(());
        }
        Err(Error::data(format!(
            "{}: {key} is {}, which this decoder does not compute",
            self.file, !needed
        ))
        .hint(format!("only models with {key} = {needed} can be loaded")))
    }
}

/// Reads the text of a `config.json`; `file` is named in errors.
pub(crate) fn parse(text: &str, file: &str) -> Result<NetworkConfig> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Error::data(format!("{file} is not JSON: {error}"))
            .hint("the file is damaged; copy the folder again")
    })?;
    let Value::Object(keys) = value else {
        return Err(Error::data(format!("{file} holds no JSON object"))
            .hint("the file is damaged; copy the folder again"));
    };
    let reader = Reader { file, keys: &keys };
    let mut config = match reader.word("model_type", "")? {
        "gpt2" => gpt2(&reader)?,
        "llama" => llama(&reader)?,
        other => {
            return Err(Error::data(format!("{file}: model_type is {other:?}"))
                .hint("this plugin loads gpt2 and llama folders"));
        }
    };
    config
        .check()
        .map_err(|why| Error::data(format!("{file}: {why}")).hint("correct the sizes"))?;
    config.other = keys;
    Ok(config)
}

fn gpt2(reader: &Reader<'_>) -> Result<NetworkConfig> {
    reader.refuse_unless("scale_attn_weights", true, true)?;
    reader.refuse_unless("scale_attn_by_inverse_layer_idx", false, false)?;
    reader.refuse_unless("add_cross_attention", false, false)?;
    let hidden_size = reader.size("n_embd")?;
    let heads = reader.size("n_head")?;
    let activation = reader.word("activation_function", "gelu_new")?;
    let gelu = match activation {
        "gelu_new" | "gelu_pytorch_tanh" => Form::Tanh,
        "gelu" => Form::Erf,
        other => {
            return Err(reader.wrong("activation_function", &json!(other), "gelu_new or gelu"));
        }
    };
    Ok(NetworkConfig {
        architecture: Architecture::Gpt2,
        vocab_size: reader.size("vocab_size")?,
        hidden_size,
        layers: reader.size("n_layer")?,
        heads: Heads {
            heads,
            kv_heads: heads,
            head_size: hidden_size / heads,
        },
        intermediate_size: reader.optional_size("n_inner")?.unwrap_or(4 * hidden_size),
        max_positions: reader.size("n_positions")?,
        norm_epsilon: reader.number("layer_norm_epsilon", 1e-5)? as f32,
        gelu,
        rope_theta: 10_000.0,
        attention_bias: true,
        mlp_bias: true,
        tied: reader.flag("tie_word_embeddings", true)?,
        embedding_dropout: reader.probability("embd_pdrop", 0.1)?,
        attention_dropout: reader.probability("attn_pdrop", 0.1)?,
        residual_dropout: reader.probability("resid_pdrop", 0.1)?,
        initializer_range: reader.number("initializer_range", 0.02)? as f32,
        other: Map::new(),
    })
}

fn llama(reader: &Reader<'_>) -> Result<NetworkConfig> {
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
        gelu: Form::Tanh,
        rope_theta: rope_theta(reader)?,
        attention_bias: reader.flag("attention_bias", false)?,
        mlp_bias: reader.flag("mlp_bias", false)?,
        tied: reader.flag("tie_word_embeddings", false)?,
        embedding_dropout: 0.0,
        attention_dropout: reader.probability("attention_dropout", 0.0)?,
        residual_dropout: 0.0,
        initializer_range: reader.number("initializer_range", 0.02)? as f32,
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

impl NetworkConfig {
    /// What single keys cannot show: that the sizes fit together.
    pub(crate) fn check(&self) -> Result<(), String> {
        let heads = self.heads;
        if heads.head_size == 0
            || (self.architecture == Architecture::Gpt2
                && heads.heads * heads.head_size != self.hidden_size)
        {
            return Err(format!(
                "a hidden size of {} does not divide into {} heads",
                self.hidden_size, heads.heads
            ));
        }
        if !heads.heads.is_multiple_of(heads.kv_heads) {
            return Err(format!(
                "{} heads cannot share {} key and value heads",
                heads.heads, heads.kv_heads
            ));
        }
        if self.architecture == Architecture::Llama && !heads.head_size.is_multiple_of(2) {
            return Err(format!(
                "a head of {} columns cannot be rotated in halves",
                heads.head_size
            ));
        }
        let parts = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            self.max_positions,
            heads.columns(),
        ];
        if let Some(size) = parts.iter().find(|&&size| size == 0 || size > 1 << 30) {
            return Err(format!("a size of {size} is outside 1 to {}", 1 << 30));
        }
        Ok(())
    }

    /// The `config.json` of this decoder, as Transformers reads it.
    pub(crate) fn to_json(&self) -> Value {
        let mut keys = self.other.clone();
        let mut set = |key: &str, value: Value| keys.insert(key.to_owned(), value);
        set("model_type", json!(self.architecture.model_type()));
        set("vocab_size", json!(self.vocab_size));
        set("tie_word_embeddings", json!(self.tied));
        set("initializer_range", precise(self.initializer_range));
        set("dtype", json!("float32"));
        set("use_cache", json!(true));
        match self.architecture {
            Architecture::Gpt2 => {
                set("architectures", json!(["GPT2LMHeadModel"]));
                set("n_embd", json!(self.hidden_size));
                set("n_layer", json!(self.layers));
                set("n_head", json!(self.heads.heads));
                set("n_positions", json!(self.max_positions));
                set("n_inner", json!(self.intermediate_size));
                set("layer_norm_epsilon", precise(self.norm_epsilon));
                set(
                    "activation_function",
                    json!(match self.gelu {
                        Form::Tanh => "gelu_new",
                        Form::Erf => "gelu",
                    }),
                );
                set("embd_pdrop", precise(self.embedding_dropout));
                set("attn_pdrop", precise(self.attention_dropout));
                set("resid_pdrop", precise(self.residual_dropout));
            }
            Architecture::Llama => {
                set("architectures", json!(["LlamaForCausalLM"]));
                set("hidden_size", json!(self.hidden_size));
                set("num_hidden_layers", json!(self.layers));
                set("num_attention_heads", json!(self.heads.heads));
                set("num_key_value_heads", json!(self.heads.kv_heads));
                set("head_dim", json!(self.heads.head_size));
                set("intermediate_size", json!(self.intermediate_size));
                set("max_position_embeddings", json!(self.max_positions));
                set("rms_norm_eps", precise(self.norm_epsilon));
                set("hidden_act", json!("silu"));
                set("attention_bias", json!(self.attention_bias));
                set("attention_dropout", precise(self.attention_dropout));
                set("mlp_bias", json!(self.mlp_bias));
                // The first for Transformers 5, the second for all before.
                set(
                    "rope_parameters",
                    json!({"rope_theta": self.rope_theta, "rope_type": "default"}),
                );
                set("rope_theta", json!(self.rope_theta));
            }
        }
        keys.remove("torch_dtype");
        Value::Object(keys)
    }
}

/// An `f32` as the decimal number that was meant: 1e-5, not 9.999999747378752e-6.
fn precise(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(json!(number), |number| json!(number))
}
