//! The compositions for other devices against the CPU's own functions, forward and backward, on CPU tensors.

use candle_core::Tensor;
use codex_nn::adamw::{self, Group, Options};
use codex_nn::attention::cached::{self, Cache};
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::dropout::{self, Dropout};
use codex_nn::embedding::{self, Lookup};
use codex_nn::gelu::{self, Form};
use codex_nn::linear::{self, Orientation};
use codex_nn::random::Key;
use codex_nn::rope::{self, Rotation};
use codex_nn::{
    Sequences, Workspace, composed, layer_norm, linear_cross_entropy, rms_norm, swiglu,
};

use crate::{copy, random, values, zeros};

/// Runs `function` both ways, and compares all that it returns.
fn check(name: &str, function: impl Fn() -> Vec<Tensor>) {
    let expected = function();
    composed::force(true);
    let found = function();
    composed::force(false);
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.dims(), expected.dims(), "{name}, result {index}");
        let (found, expected) = (values(found), values(expected));
        let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(largest > 0.0, "{name}: result {index} is zero everywhere");
        for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (a - b).abs() <= 1e-5 * largest,
                "{name}, result {index}[{at}]: composed {a}, own {b}"
            );
        }
    }
}

#[test]
fn linear_in_both_orientations() {
    let ws = Workspace::new();
    for (orientation, shape) in [(Orientation::OutIn, [5, 7]), (Orientation::InOut, [7, 5])] {
        let (x, w, b, dy) = (
            random(1, &[6, 7]),
            random(2, &shape),
            random(3, &[5]),
            random(4, &[6, 5]),
        );
        check("linear", || {
            // Gradients are added to what is there.
            let (dw, db) = (random(5, &shape), random(6, &[5]));
            linear::backward_weight(&ws, &dy, &x, Some(&dw), Some(&db), orientation).unwrap();
            vec![
                linear::forward(&ws, &x, &w, Some(&b), orientation).unwrap(),
                linear::forward(&ws, &x, &w, None, orientation).unwrap(),
                linear::backward_input(&ws, &dy, &w, orientation).unwrap(),
                dw,
                db,
            ]
        });
    }
}

#[test]
fn activations() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[4, 10]), random(2, &[4, 10]));
    for form in [Form::Tanh, Form::Erf] {
        check("gelu", || {
            let dx = copy(&dy);
            gelu::backward(&dx, &x, form).unwrap();
            vec![gelu::forward(&ws, &x, form).unwrap(), dx]
        });
    }
    let dy = random(2, &[4, 5]);
    check("swiglu", || {
        vec![
            swiglu::forward(&ws, &x).unwrap(),
            swiglu::backward(&ws, &dy, &x).unwrap(),
        ]
    });
}

#[test]
fn norms_with_and_without_residual() {
    let ws = Workspace::new();
    let shape = [5, 18];
    let (x, r, dy, stream) = (
        random(1, &shape),
        random(2, &shape),
        random(3, &shape),
        random(4, &shape),
    );
    let (w, b) = (random(5, &[18]), random(6, &[18]));
    for (residual, stream) in [(None, None), (Some(&r), Some(&stream))] {
        check("layer norm", || {
            let (sum, dx) = (copy(&x), copy(&dy));
            let (dw, db) = (random(7, &[18]), random(8, &[18]));
            let (out, saved) = layer_norm::forward(&ws, &sum, residual, &w, &b, 1e-5).unwrap();
            let gradients = (Some(&dw), Some(&db));
            layer_norm::backward(&ws, &dx, &sum, &saved, &w, stream, gradients.0, gradients.1)
                .unwrap();
            vec![out, sum, dx, dw, db]
        });
        check("rms norm", || {
            let (sum, dx, dw) = (copy(&x), copy(&dy), random(7, &[18]));
            let (out, saved) = rms_norm::forward(&ws, &sum, residual, &w, 1e-5).unwrap();
            rms_norm::backward(&ws, &dx, &sum, &saved, &w, stream, Some(&dw)).unwrap();
            vec![out, sum, dx, dw]
        });
    }
}

#[test]
fn rotary_positions_of_some_columns() {
    let rotation = Rotation::new(6, 10000.0, 9);
    check("rope", || {
        let (x, dx) = (random(1, &[3, 20]), random(2, &[3, 20]));
        rope::forward(&x, 3, &[0, 3, 8], &rotation).unwrap();
        rope::backward(&dx, 3, &[0, 3, 8], &rotation).unwrap();
        vec![x, dx]
    });
}

#[test]
fn dropout_drops_the_same_elements() {
    let dropout = Dropout {
        probability: 0.3,
        key: Key::new(5).with(2),
    };
    check("dropout", || {
        let (x, dx) = (random(1, &[40, 9]), random(2, &[40, 9]));
        dropout::forward(&x, &dropout).unwrap();
        dropout::backward(&dx, &dropout).unwrap();
        vec![x, dx]
    });
}

#[test]
fn embedding_with_ids_that_come_once_often_and_never() {
    let ws = Workspace::new();
    let (table, positions, dy) = (random(1, &[70, 3]), random(2, &[4, 3]), random(3, &[12, 3]));
    let ids = [65, 2, 65, 69, 2, 65, 0, 65, 65, 65, 1, 65];
    let places = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];
    check("embedding", || {
        let lookups = [
            Lookup {
                ids: &ids,
                table: &table,
            },
            Lookup {
                ids: &places,
                table: &positions,
            },
        ];
        let (d_table, d_positions) = (random(4, &[70, 3]), random(5, &[4, 3]));
        embedding::backward(&dy, &ids, &d_table).unwrap();
        embedding::backward(&dy, &places, &d_positions).unwrap();
        vec![
            embedding::forward(&ws, &lookups).unwrap(),
            embedding::forward(&ws, &lookups[..1]).unwrap(),
            d_table,
            d_positions,
        ]
    });
}

#[test]
fn attention_over_sequences_of_any_lengths() {
    let ws = Workspace::new();
    let dropout = Dropout {
        probability: 0.4,
        key: Key::new(3),
    };
    for offsets in [
        vec![0, 7, 14, 21],
        vec![0, 5, 5, 6, 20, 61, 100],
        vec![0, 1, 4],
    ] {
        let tokens = *offsets.last().unwrap();
        let sequences = Sequences::new(offsets).unwrap();
        for (heads, kv_heads) in [(2, 2), (4, 2), (3, 1)] {
            let heads = Heads {
                heads,
                kv_heads,
                head_size: 4,
            };
            let qkv = random(1, &[tokens, heads.columns()]);
            let dy = random(2, &[tokens, heads.heads * 4]);
            for dropout in [None, Some(&dropout)] {
                for mask in [Mask::Causal, Mask::Bidirectional] {
                    check("attention", || {
                        let (out, saved) =
                            attention::forward(&ws, &qkv, &sequences, heads, mask, dropout)
                                .unwrap();
                        let d = attention::backward(
                            &ws, &dy, &qkv, &out, &saved, &sequences, heads, mask, dropout,
                        );
                        vec![out, d.unwrap()]
                    });
                }
            }
        }
    }
}

#[test]
fn attention_over_caches_that_grow_and_shrink() {
    let ws = Workspace::new();
    let heads = Heads {
        heads: 4,
        kv_heads: 2,
        head_size: 8,
    };
    check("cached attention", || {
        let (mut first, mut second) = (Cache::new(heads), Cache::new(heads));
        let mut results = Vec::new();
        for (seed, counts) in [[5, 3], [1, 1], [0, 4], [2, 0], [1, 1]]
            .into_iter()
            .enumerate()
        {
            let sequences = Sequences::new(vec![0, counts[0], counts[0] + counts[1]]).unwrap();
            let qkv = random(seed as u64, &[sequences.tokens(), heads.columns()]);
            let mut caches = [&mut first, &mut second];
            results.push(cached::forward(&ws, &qkv, &sequences, &mut caches, heads).unwrap());
            let kept = first.tokens() - usize::from(seed == 2);
            first.truncate(kept);
            second = second.clone();
        }
        results
    });
}

#[test]
fn linear_cross_entropy_with_and_without_ignored_rows() {
    let ws = Workspace::new();
    let (hidden, weight, bias) = (random(1, &[6, 5]), random(2, &[11, 5]), random(4, &[11]));
    for (targets, bias) in [
        ([3, -100, 10, 0, -100, 3], None),
        ([3, 1, 10, 0, 2, 3], Some(&bias)),
    ] {
        check("linear cross-entropy", || {
            let (d_weight, d_bias) = (random(3, &[11, 5]), random(5, &[11]));
            let (loss, d_hidden) = linear_cross_entropy::forward_backward(
                &ws,
                &hidden,
                &weight,
                bias,
                &targets,
                0.25,
                Some(&d_weight),
                Some(&d_bias),
            )
            .unwrap();
            let scores =
                linear_cross_entropy::scores(&ws, &hidden, &weight, bias, &targets).unwrap();
            let numbers = scores
                .iter()
                .flat_map(|score| [score.row as f32, score.log_probability, score.rank as f32]);
            let mut numbers: Vec<f32> = numbers.collect();
            numbers.extend([loss.sum as f32, loss.targets as f32]);
            let count = numbers.len();
            let numbers = Tensor::from_vec(numbers, count, &candle_core::Device::Cpu).unwrap();
            vec![d_hidden, d_weight, d_bias, numbers]
        });
    }
    let none = [-100; 6];
    composed::force(true);
    let (loss, d) =
        linear_cross_entropy::forward_backward(&ws, &hidden, &weight, None, &none, 1.0, None, None)
            .unwrap();
    composed::force(false);
    assert_eq!((loss.sum, loss.targets), (0.0, 0));
    assert_eq!(values(&d), values(&zeros(&[6, 5])));
}

#[test]
fn adamw_over_groups_and_gaps() {
    let count = 5_000;
    let groups = [
        (0..2_000, true),
        (2_000..2_500, false),
        (3_000..count, true),
    ]
    .map(|(range, decay)| Group { range, decay });
    check("adamw", || {
        let parameters = random(1, &[count]);
        let (first, second) = (zeros(&[count]), zeros(&[count]));
        let mut norms = Vec::new();
        let mut left = zeros(&[count]);
        for step in 1..=5 {
            let gradients = random(10 + step, &[count]);
            norms.push(adamw::norm(&gradients).unwrap() as f32);
            let options = Options {
                learning_rate: 1e-2,
                betas: (0.9, 0.999),
                epsilon: 1e-8,
                weight_decay: 0.1,
                step,
                gradient_factor: 0.5,
            };
            adamw::step(&parameters, &gradients, &first, &second, &groups, &options).unwrap();
            left = gradients;
        }
        let norms = Tensor::from_vec(norms, 5, &candle_core::Device::Cpu).unwrap();
        vec![parameters, first, second, left, norms]
    });
}
