//! Products whose operands are rounded to bfloat16: near the values of `f32`, and training that ends where `f32` ends.
//! Where the CPU has no dot products of bfloat16, the same rounding is computed with other instructions.

use codex_nn::Precision;
use codex_plugin_api::{Ids, Model, OptimizerStep, TokenBatch};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm, Settings};

const VOCABULARY: u32 = 64;

/// Sequences of a chain in which every id is followed by one of four others, two of them seldom.
fn chain(sequences: usize, length: usize, seed: u64) -> (Vec<u32>, Vec<u64>) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as u32
    };
    let mut ids = Vec::new();
    for _ in 0..sequences {
        let mut id = random() % VOCABULARY;
        for _ in 0..length {
            ids.push(id);
            let choice = [0, 0, 0, 1, 1, 1, 2, 3][random() as usize % 8];
            id = (id * 5 + choice * 17 + 3) % VOCABULARY;
        }
    }
    let offsets = (0..=sequences as u64).map(|i| i * length as u64).collect();
    (ids, offsets)
}

fn model(architecture: ArchitectureName, precision: Precision) -> MiniLm {
    let settings = Settings {
        architecture,
        vocab_size: VOCABULARY,
        hidden_size: 64,
        layers: 2,
        heads: 4,
        sequence_length: 32,
        ..Settings::default()
    };
    let mut model = MiniLm::new(&settings, 2).unwrap();
    model.set_product_precision(precision);
    model
}

/// The mean loss of the last of 120 steps.
fn train(architecture: ArchitectureName, precision: Precision) -> f64 {
    let mut model = model(architecture, precision);
    crate::begin(&mut model);
    let mut last = 0.0;
    for step in 0..120 {
        let text = chain(16, 32, step + 1);
        let batch = TokenBatch::new(Ids::new(&text.0, &text.1).unwrap());
        let targets = batch.causal_targets();
        let pass = crate::pass(step + 1, 0, targets);
        let loss = model.forward_backward(&batch, &pass).unwrap();
        model
            .optimizer_step(&OptimizerStep {
                learning_rate: 3e-3,
                max_grad_norm: 1.0,
            })
            .unwrap();
        if step >= 100 {
            last += loss.sum / targets as f64 / 20.0;
        }
    }
    last
}

#[test]
fn training_in_bf16_ends_within_one_percent_of_f32() {
    for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
        let exact = train(architecture, Precision::F32);
        let rounded = train(architecture, Precision::Bf16);
        // The chain's own entropy is 1.26 nats; 4.16 is knowing nothing.
        assert!(exact < 1.6, "f32 did not learn the chain: {exact}");
        assert!(
            (rounded - exact).abs() < 0.01 * exact,
            "{architecture:?}: {rounded} in bf16, {exact} in f32"
        );
    }
}

#[test]
fn logits_in_bf16_are_near_those_of_f32_and_not_the_same() {
    let text = chain(4, 32, 9);
    let logits = |precision| {
        let model = model(ArchitectureName::Gpt2, precision);
        let expected = match precision {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
        };
        assert_eq!(model.info().unwrap().precision, expected);
        let logits = model.logits(Ids::new(&text.0, &text.1).unwrap()).unwrap();
        logits.into_iter().map(f64::from).collect::<Vec<f64>>()
    };
    let (exact, rounded) = (logits(Precision::F32), logits(Precision::Bf16));
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>();
    let off = squares(&mut exact.iter().zip(&rounded).map(|(a, b)| a - b));
    let error = (off / squares(&mut exact.iter().copied())).sqrt();
    assert!(error > 1e-5 && error < 1e-2, "relative error {error}");
}

#[test]
fn the_setting_is_used_where_the_cpu_has_it() {
    let settings = Settings {
        precision: "bf16".to_owned(),
        ..Settings::default()
    };
    let found = MiniLm::new(&settings, 1).unwrap().info().unwrap().precision;
    let native = Precision::Bf16.is_native();
    assert_eq!(found, if native { "bf16" } else { "f32" });
}
