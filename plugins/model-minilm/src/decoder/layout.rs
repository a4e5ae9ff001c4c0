//! Where everything is in the two layouts: names, shapes, orientations and starts of all parameters.

use codex_nn::Workspace;
use codex_nn::linear::Orientation;
use codex_nn::rope::Rotation;
use codex_plugin_api::Result;

use super::Decoder;
use crate::block::{Activation, Block, Linear, Norm};
use crate::config::{Architecture, DecoderConfig};
use crate::parameters::{Parameters, Plan, Slot, Start};

impl Decoder {
    /// A decoder of zeros.
    pub(crate) fn new(config: DecoderConfig) -> Result<Self> {
        let mut layout = Layout {
            plan: Plan::default(),
            config: &config,
        };
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let gpt2 = config.architecture == Architecture::Gpt2;
        let tokens_name = if gpt2 {
            "transformer.wte"
        } else {
            "model.embed_tokens"
        };
        let tokens = layout.weight(tokens_name, &[vocabulary, hidden], false);
        let positions =
            gpt2.then(|| layout.weight("transformer.wpe", &[config.max_positions, hidden], false));
        let blocks = (0..config.layers)
            .map(|index| {
                if gpt2 {
                    layout.gpt2_block(index)
                } else {
                    layout.llama_block(index)
                }
            })
            .collect();
        let norm = layout.norm(if gpt2 {
            "transformer.ln_f"
        } else {
            "model.norm"
        });
        let head = if config.tied {
            tokens
        } else {
            layout.weight("lm_head", &[vocabulary, hidden], false)
        };
        let rotation = (!gpt2).then(|| {
            Rotation::new(
                config.heads.head_size,
                config.rope_theta,
                config.max_positions,
            )
        });
        let parameters = Parameters::new(layout.plan)?;
        Ok(Self {
            parameters,
            workspace: Workspace::new(),
            tokens,
            positions,
            blocks,
            norm,
            head,
            rotation,
            config,
        })
    }
}

struct Layout<'a> {
    plan: Plan,
    config: &'a DecoderConfig,
}

impl Layout<'_> {
    /// Normal starts; those that end a residual branch smaller, so that the stream's variance does not grow with depth
    /// (Radford et al. 2019).
    fn start(&self, ends_branch: bool) -> Start {
        let deviation = self.config.initializer_range;
        let branches = (2 * self.config.layers.max(1)) as f32;
        Start::Normal(if ends_branch {
            deviation / branches.sqrt()
        } else {
            deviation
        })
    }

    fn weight(&mut self, module: &str, shape: &[usize], ends_branch: bool) -> Slot {
        let start = self.start(ends_branch);
        self.plan.add(format!("{module}.weight"), shape, start)
    }

    fn bias(&mut self, module: &str, size: usize) -> Slot {
        self.plan
            .add(format!("{module}.bias"), &[size], Start::Constant(0.0))
    }

    fn norm(&mut self, module: &str) -> Norm {
        let (size, epsilon) = (self.config.hidden_size, self.config.norm_epsilon);
        let weight = self
            .plan
            .add(format!("{module}.weight"), &[size], Start::Constant(1.0));
        match self.config.architecture {
            Architecture::Gpt2 => Norm::Layer {
                weight,
                bias: self.bias(module, size),
                epsilon,
            },
            Architecture::Llama => Norm::RootMeanSquare { weight, epsilon },
        }
    }

    /// GPT-2's `Conv1D`.
    fn conv(&mut self, module: &str, inputs: usize, outputs: usize, ends_branch: bool) -> Linear {
        Linear {
            weight: self.weight(module, &[inputs, outputs], ends_branch),
            bias: Some(self.bias(module, outputs)),
            orientation: Orientation::InOut,
        }
    }

    /// Linear maps of the same input, side by side.
    fn joined(
        &mut self,
        module: &str,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
        ends_branch: bool,
    ) -> Linear {
        let outputs = parts.iter().map(|part| part.1).sum();
        let start = self.start(ends_branch);
        let named = |kind: &str, shape: &dyn Fn(usize) -> Vec<usize>| {
            parts
                .iter()
                .map(|(name, size)| (format!("{module}.{name}.{kind}"), shape(*size)))
                .collect()
        };
        let weights = named("weight", &|size| vec![size, inputs]);
        let biases = named("bias", &|size| vec![size]);
        Linear {
            weight: self.plan.add_joined(weights, &[outputs, inputs], start),
            bias: bias.then(|| {
                self.plan
                    .add_joined(biases, &[outputs], Start::Constant(0.0))
            }),
            orientation: Orientation::OutIn,
        }
    }

    fn gpt2_block(&mut self, index: usize) -> Block {
        let name = format!("transformer.h.{index}");
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        Block {
            index,
            attention_norm: self.norm(&format!("{name}.ln_1")),
            qkv: self.conv(&format!("{name}.attn.c_attn"), hidden, 3 * hidden, false),
            output: self.conv(&format!("{name}.attn.c_proj"), hidden, hidden, true),
            mlp_norm: self.norm(&format!("{name}.ln_2")),
            up: self.conv(&format!("{name}.mlp.c_fc"), hidden, inner, false),
            activation: Activation::Gelu(self.config.gelu),
            down: self.conv(&format!("{name}.mlp.c_proj"), inner, hidden, true),
        }
    }

    fn llama_block(&mut self, index: usize) -> Block {
        let name = format!("model.layers.{index}");
        let (attention, mlp) = (format!("{name}.self_attn"), format!("{name}.mlp"));
        let (hidden, inner, heads) = (
            self.config.hidden_size,
            self.config.intermediate_size,
            self.config.heads,
        );
        let (attention_bias, mlp_bias) = (self.config.attention_bias, self.config.mlp_bias);
        let (queries, keys) = (
            heads.heads * heads.head_size,
            heads.kv_heads * heads.head_size,
        );
        let qkv = [("q_proj", queries), ("k_proj", keys), ("v_proj", keys)];
        Block {
            index,
            attention_norm: self.norm(&format!("{name}.input_layernorm")),
            qkv: self.joined(&attention, &qkv, hidden, attention_bias, false),
            output: self.joined(
                &attention,
                &[("o_proj", hidden)],
                queries,
                attention_bias,
                true,
            ),
            mlp_norm: self.norm(&format!("{name}.post_attention_layernorm")),
            up: self.joined(
                &mlp,
                &[("gate_proj", inner), ("up_proj", inner)],
                hidden,
                mlp_bias,
                false,
            ),
            activation: Activation::SwiGlu,
            down: self.joined(&mlp, &[("down_proj", hidden)], inner, mlp_bias, true),
        }
    }
}
