//! Any number of threads gives the same bits.

use codex_nn::attention::{self, Heads, Mask};
use codex_nn::embedding;
use codex_nn::in_batch_negatives::{self, Options};
use codex_nn::linear::{self, Orientation};
use codex_nn::pooling::{self, Pooling};
use codex_nn::{Sequences, Workspace, adamw, layer_norm, linear_cross_entropy};

use crate::{copy, random, values, zeros};

/// One of everything that shares its work out, forward and backward, at a size that is shared out.
fn run() -> Vec<Vec<f32>> {
    let ws = Workspace::new();
    let (tokens, width) = (700, 96);
    let heads = Heads {
        heads: 4,
        kv_heads: 2,
        head_size: 24,
    };
    let sequences = Sequences::new(vec![0, 10, 80, 700]).unwrap();
    let x = random(1, &[tokens, width]);
    let (weight, bias) = (
        random(2, &[width, heads.columns()]),
        random(3, &[heads.columns()]),
    );
    let (norm, norm_bias) = (random(4, &[width]), random(5, &[width]));
    let head = random(6, &[3000, width]);
    let ids: Vec<u32> = (0..tokens as u32).map(|i| i * 7919 % 300).collect();
    let targets: Vec<i32> = (0..tokens as i32).map(|i| i * 31 % 3000).collect();

    let sum = copy(&x);
    let (normed, saved) = layer_norm::forward(&ws, &sum, None, &norm, &norm_bias, 1e-5).unwrap();
    let qkv = linear::forward(&ws, &normed, &weight, Some(&bias), Orientation::InOut).unwrap();
    let (seen, log_sums) =
        attention::forward(&ws, &qkv, &sequences, heads, Mask::Causal, None).unwrap();
    let d_head = zeros(&[3000, width]);
    let (head_bias, d_head_bias) = (random(7, &[3000]), zeros(&[3000]));
    let (loss, d_seen) = linear_cross_entropy::forward_backward(
        &ws,
        &seen,
        &head,
        Some(&head_bias),
        &targets,
        0.01,
        Some(&d_head),
        Some(&d_head_bias),
    )
    .unwrap();
    let d_qkv = attention::backward(
        &ws,
        &d_seen,
        &qkv,
        &seen,
        &log_sums,
        &sequences,
        heads,
        Mask::Causal,
        None,
    )
    .unwrap();
    let (d_weight, d_bias) = (zeros(&[width, heads.columns()]), zeros(&[heads.columns()]));
    linear::backward_weight(
        &ws,
        &d_qkv,
        &normed,
        Some(&d_weight),
        Some(&d_bias),
        Orientation::InOut,
    )
    .unwrap();
    let d = linear::backward_input(&ws, &d_qkv, &weight, Orientation::InOut).unwrap();
    let (d_norm, d_norm_bias, d_table) = (zeros(&[width]), zeros(&[width]), zeros(&[300, width]));
    layer_norm::backward(
        &ws,
        &d,
        &sum,
        &saved,
        &norm,
        None,
        Some(&d_norm),
        Some(&d_norm_bias),
    )
    .unwrap();
    embedding::backward(&d, &ids, &d_table).unwrap();
    let length = adamw::norm(&d_head).unwrap();
    let both = Mask::Bidirectional;
    let (all_seen, log_sums) =
        attention::forward(&ws, &qkv, &sequences, heads, both, None).unwrap();
    let d_all_qkv = attention::backward(
        &ws, &d_seen, &qkv, &all_seen, &log_sums, &sequences, heads, both, None,
    )
    .unwrap();
    let options = Options {
        dimensions: vec![width, width / 2],
        ..Options::default()
    };
    let (pairs, d_pairs) =
        in_batch_negatives::forward_backward(&ws, &all_seen, 2, &options, 0.01).unwrap();
    let ends = Sequences::new((0..=100).map(|i| i * 7).collect()).unwrap();
    let pooled = pooling::forward(&ws, &all_seen, &ends, Pooling::Mean).unwrap();
    let mut all: Vec<Vec<f32>> = [
        &d_head_bias,
        &all_seen,
        &d_all_qkv,
        &d_pairs,
        &pooled,
        &qkv,
        &seen,
        &d_seen,
        &d_head,
        &d_qkv,
        &d_weight,
        &d_bias,
        &d,
        &d_norm,
        &d_table,
    ]
    .map(values)
    .into();
    all.push(vec![loss.sum as f32, pairs.sum as f32, length as f32]);
    all
}

#[test]
fn one_thread_equals_many() {
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(run)
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        for (index, (a, b)) in one.iter().zip(with(threads)).enumerate() {
            assert!(
                a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()),
                "result {index} with {threads} threads"
            );
        }
    }
}
