//! Where everything is in an encoder.

use super::Encoder;
use super::block::Block;
use crate::network::layout::Layout;
use crate::parts::Activation;

impl Encoder {
    /// Adds an encoder's parameters to `layout`, under names that begin with `prefix`.
    pub(crate) fn lay_out(layout: &mut Layout<'_>, prefix: &str) -> Self {
        let config = layout.config;
        let hidden = config.hidden_size;
        let mut table = |name: &str, rows: usize| {
            let module = format!("{prefix}embeddings.{name}_embeddings");
            layout.weight(&module, &[rows, hidden], false)
        };
        let words = table("word", config.vocab_size);
        let positions = table("position", config.max_positions);
        let types = table("token_type", config.type_vocab_size);
        let norm = layout.norm(&format!("{prefix}embeddings.LayerNorm"));
        let blocks = (0..config.layers)
            .map(|index| block(layout, &format!("{prefix}encoder.layer.{index}"), index))
            .collect();
        Self {
            words,
            positions,
            types,
            norm,
            blocks,
        }
    }
}

fn block(layout: &mut Layout<'_>, name: &str, index: usize) -> Block {
    let config = layout.config;
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let qkv = [("query", hidden), ("key", hidden), ("value", hidden)];
    let attention = format!("{name}.attention");
    let dense = |layout: &mut Layout<'_>, part: &str, inputs: usize, outputs: usize| {
        layout.linear(&format!("{part}.dense"), inputs, outputs, true, true)
    };
    Block {
        index,
        qkv: layout.joined(&format!("{attention}.self"), &qkv, hidden, true),
        output: dense(layout, &format!("{attention}.output"), hidden, hidden),
        attention_norm: layout.norm(&format!("{attention}.output.LayerNorm")),
        up: dense(layout, &format!("{name}.intermediate"), hidden, inner),
        activation: Activation::Gelu(config.gelu),
        down: dense(layout, &format!("{name}.output"), inner, hidden),
        mlp_norm: layout.norm(&format!("{name}.output.LayerNorm")),
    }
}
