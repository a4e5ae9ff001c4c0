//! Where everything is in a decoder of either layout.

use codex_nn::rope::Rotation;

use super::Decoder;
use super::block::Block;
use crate::config::Architecture;
use crate::network::layout::Layout;
use crate::parts::Activation;

impl Decoder {
    /// Adds a decoder's parameters to `layout`, under names that begin with `prefix`.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, prefix: &str) -> Self {
        let config = layout.config;
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let gpt2 = config.architecture == Architecture::Gpt2;
        let name = |gpt2_name: &str, llama_name: &str| {
            format!("{prefix}{}", if gpt2 { gpt2_name } else { llama_name })
        };
        let tokens = layout.weight(&name("wte", "embed_tokens"), &[vocabulary, hidden], false);
        let positions =
            gpt2.then(|| layout.weight(&name("wpe", ""), &[config.max_positions, hidden], false));
        let blocks = (0..config.layers)
            .map(|index| {
                if gpt2 {
                    gpt2_block(layout, &format!("{prefix}h.{index}"), index)
                } else {
                    llama_block(layout, &format!("{prefix}layers.{index}"), index)
                }
            })
            .collect();
        let norm = layout.norm(&name("ln_f", "norm"));
        let rotation = (!gpt2).then(|| {
            Rotation::new(
                config.heads.head_size,
                config.rope_theta,
                config.max_positions,
            )
        });
        Self {
            tokens,
            positions,
            blocks,
            norm,
            rotation,
        }
    }
}

fn gpt2_block(layout: &mut Layout<'_>, name: &str, index: usize) -> Block {
    let config = layout.config;
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    Block {
        index,
        attention_norm: layout.norm(&format!("{name}.ln_1")),
        qkv: layout.conv(&format!("{name}.attn.c_attn"), hidden, 3 * hidden, false),
        output: layout.conv(&format!("{name}.attn.c_proj"), hidden, hidden, true),
        mlp_norm: layout.norm(&format!("{name}.ln_2")),
        up: layout.conv(&format!("{name}.mlp.c_fc"), hidden, inner, false),
        activation: Activation::Gelu(config.gelu),
        down: layout.conv(&format!("{name}.mlp.c_proj"), inner, hidden, true),
    }
}

fn llama_block(layout: &mut Layout<'_>, name: &str, index: usize) -> Block {
    let config = layout.config;
    let (attention, mlp) = (format!("{name}.self_attn"), format!("{name}.mlp"));
    let (hidden, inner, heads) = (config.hidden_size, config.intermediate_size, config.heads);
    let (attention_bias, mlp_bias) = (config.attention_bias, config.mlp_bias);
    let (queries, keys) = (
        heads.heads * heads.head_size,
        heads.kv_heads * heads.head_size,
    );
    let qkv = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)];
    let up = [("gate_proj", inner), ("up_proj", inner)];
    Block {
        index,
        attention_norm: layout.norm(&format!("{name}.input_layernorm")),
        qkv: layout.joined(&attention, &qkv, hidden, attention_bias),
        output: layout.linear(
            &format!("{attention}.o_proj"),
            queries,
            hidden,
            attention_bias,
            true,
        ),
        mlp_norm: layout.norm(&format!("{name}.post_attention_layernorm")),
        up: layout.joined(&mlp, &up, hidden, mlp_bias),
        activation: Activation::SwiGlu,
        down: layout.linear(&format!("{mlp}.down_proj"), inner, hidden, mlp_bias, true),
    }
}
