//! The compositions for other devices against the CPU's own functions, forward and backward, on CPU tensors.

use candle_core::Tensor;
use codex_nn::adamw::{self, Group, Options};
use codex_nn::attention::cached::{self, Cache};
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::dropout::{self, Dropout};
use codex_nn::embedding::{self, Lookup};
use codex_nn::gelu::{self, Form};
use codex_nn::linear::{self, Orientation};
use codex_nn::pooling::{self, Pooling};
use codex_nn::random::Key;
use codex_nn::rope::{self, Rotation};
use codex_nn::{
    Precision, Sequences, Workspace, composed, in_batch_negatives, l2_norm, layer_norm,
    linear_cross_entropy, rms_norm, rows, sequence_loss, swiglu, tanh,
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
    let (length, count) = (5_000, 4_600);
    // What does not train (2500..3000) has less state, or none.
    let groups = [
        (0..2_000, 0, true),
        (2_000..2_500, 2_000, false),
        (3_000..length, 2_600, true),
    ]
    .map(|(range, state, decay)| Group {
        range,
        state,
        decay,
    });
    check("adamw", || {
        let parameters = random(1, &[length]);
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

#[test]
fn tanh_of_any_shape() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[4, 10]), random(2, &[4, 10]));
    check("tanh", || {
        let (y, dx) = (tanh::forward(&ws, &x).unwrap(), copy(&dy));
        tanh::backward(&dx, &y).unwrap();
        vec![y, dx]
    });
}

#[test]
fn rows_taken_twice_once_and_never() {
    let ws = Workspace::new();
    let (x, d) = (random(1, &[6, 5]), random(2, &[4, 5]));
    check("rows", || {
        vec![
            rows::gather(&ws, &x, &[5, 0, 5, 2]).unwrap(),
            rows::scatter(&ws, &d, &[5, 0, 5, 2], 6).unwrap(),
        ]
    });
}

#[test]
fn pooling_of_sequences_of_any_lengths() {
    let ws = Workspace::new();
    let sequences = Sequences::new(vec![0, 5, 5, 6, 20, 61]).unwrap();
    let (hidden, d) = (random(1, &[61, 6]), random(2, &[5, 6]));
    for kind in [Pooling::Mean, Pooling::Cls] {
        check("pooling", || {
            vec![
                pooling::forward(&ws, &hidden, &sequences, kind).unwrap(),
                pooling::backward(&ws, &d, &sequences, kind).unwrap(),
            ]
        });
    }
}

#[test]
fn rows_of_length_one_also_of_tiny_huge_and_no_numbers() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[5, 6]), random(2, &[5, 6]));
    // Rows whose squares leave the range of f32 have gradients of other sizes, so each row is compared by itself.
    for (row, factor) in [(0, 1.0), (1, 1e-25), (2, 1e25), (3, 0.0)] {
        let x = x.narrow(0, row, 1).unwrap().affine(factor, 0.0).unwrap();
        let dy = dy.narrow(0, row, 1).unwrap().force_contiguous().unwrap();
        check("l2 norm", || {
            let (y, saved) = l2_norm::forward(&ws, &x).unwrap();
            let dx = l2_norm::backward(&ws, &dy, &y, &saved).unwrap();
            // A row of zeros has no direction.
            if factor == 0.0 { vec![dx] } else { vec![y, dx] }
        });
    }
}

#[test]
fn losses_with_one_target_a_sequence() {
    let ws = Workspace::new();
    let (x, none) = (random(1, &[4, 3]), f32::NAN);
    let loss = |loss: linear_cross_entropy::Loss, d: Tensor| {
        let numbers = vec![loss.sum as f32, loss.targets as f32];
        vec![
            Tensor::from_vec(numbers, 2, &candle_core::Device::Cpu).unwrap(),
            d,
        ]
    };
    for targets in [[2, 0, 1, 1], [2, -100, 1, -100]] {
        check("cross-entropy", || {
            let (sum, d) = sequence_loss::cross_entropy(&ws, &x, &targets, 0.25).unwrap();
            loss(sum, d)
        });
    }
    for values in [
        [0.1, 0.2, 0.3, -1.0, 2.0, 0.0, 0.5, 0.5, 0.5, 3.0, 1.0, 2.0],
        [
            0.1, 0.2, 0.3, -1.0, none, 0.0, 0.5, 0.5, 0.5, none, none, none,
        ],
    ] {
        check("squared error", || {
            let (sum, d) = sequence_loss::squared_error(&ws, &x, &values, 0.25).unwrap();
            loss(sum, d)
        });
    }
}

#[test]
fn in_batch_negatives_of_pairs_triplets_and_prefixes() {
    let ws = Workspace::new();
    let whole = in_batch_negatives::Options::default();
    let prefixes = in_batch_negatives::Options {
        scale: 10.0,
        dimensions: vec![8, 3],
        weights: vec![1.0, 0.5],
    };
    for (parts, options) in [(2, &whole), (3, &whole), (2, &prefixes), (3, &prefixes)] {
        let pooled = random(1, &[parts * 5, 8]);
        check("in-batch negatives", || {
            let (loss, d) =
                in_batch_negatives::forward_backward(&ws, &pooled, parts, options, 0.2).unwrap();
            let scores = in_batch_negatives::scores(&ws, &pooled, parts, options).unwrap();
            let mut numbers = vec![loss.sum as f32, loss.targets as f32];
            for score in scores {
                numbers.extend([score.row as f32, score.log_probability, score.rank as f32]);
            }
            let count = numbers.len();
            vec![
                d,
                Tensor::from_vec(numbers, count, &candle_core::Device::Cpu).unwrap(),
            ]
        });
    }
}

#[test]
fn products_in_bf16_are_near_those_in_f32() {
    let mut ws = Workspace::new();
    let (x, w, dy) = (
        random(1, &[16, 32]),
        random(2, &[24, 32]),
        random(3, &[16, 24]),
    );
    let run = |ws: &Workspace| {
        let dw = zeros(&[24, 32]);
        let way = Orientation::OutIn;
        linear::backward_weight(ws, &dy, &x, Some(&dw), None, way).unwrap();
        [
            linear::forward(ws, &x, &w, None, way).unwrap(),
            linear::backward_input(ws, &dy, &w, way).unwrap(),
            dw,
        ]
        .map(|tensor| values(&tensor))
    };
    composed::force(true);
    let exact = run(&ws);
    ws.set_precision(Precision::Bf16);
    let rounded = run(&ws);
    composed::force(false);
    for (exact, rounded) in exact.iter().zip(&rounded) {
        let largest = exact.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let off = |(a, b): (&f32, &f32)| (a - b).abs() / largest;
        let worst = exact.iter().zip(rounded).map(off).fold(0.0, f32::max);
        assert!(worst > 0.0 && worst < 0.02, "off by {worst}");
    }
}
