//! Every backward against central differences of its forward.

use candle_core::Tensor;
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::dropout::{self, Dropout};
use codex_nn::embedding::{self, Lookup};
use codex_nn::gelu::{self, Form};
use codex_nn::linear::{self, Orientation};
use codex_nn::random::Key;
use codex_nn::rope::{self, Rotation};
use codex_nn::{Sequences, Workspace, layer_norm, linear_cross_entropy, rms_norm, swiglu};

use crate::{check, copy, project, random, values, zeros};

#[test]
fn linear_in_both_orientations() {
    let ws = Workspace::new();
    for (orientation, shape) in [(Orientation::OutIn, [5, 7]), (Orientation::InOut, [7, 5])] {
        let (x, w, b) = (random(1, &[6, 7]), random(2, &shape), random(3, &[5]));
        let dy = random(4, &[6, 5]);
        let run = |x: &Tensor, w: &Tensor, b: &Tensor| {
            project(
                &linear::forward(&ws, x, w, Some(b), orientation).unwrap(),
                &dy,
            )
        };
        let (dw, db) = (zeros(&shape), zeros(&[5]));
        let dx = linear::backward_input(&ws, &dy, &w, orientation).unwrap();
        linear::backward_weight(&ws, &dy, &x, Some(&dw), Some(&db), orientation).unwrap();
        check("x", &x, &dx, |x| run(x, &w, &b));
        check("weight", &w, &dw, |w| run(&x, w, &b));
        check("bias", &b, &db, |b| run(&x, &w, b));
    }
}

#[test]
fn part_of_a_linear_weight_has_that_part_of_the_gradient() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[300, 7]), random(2, &[300, 9]));
    for (orientation, axis) in [(Orientation::OutIn, 0), (Orientation::InOut, 1)] {
        let sizes = |outputs: usize| match orientation {
            Orientation::OutIn => [outputs, 7],
            Orientation::InOut => [7, outputs],
        };
        let (all, all_bias) = (zeros(&sizes(9)), zeros(&[9]));
        let (dw, db) = (Some(&all), Some(&all_bias));
        linear::backward_weight(&ws, &dy, &x, dw, db, orientation).unwrap();
        for outputs in [0..9, 6..9, 0..3, 4..5] {
            let (start, count) = (outputs.start, outputs.len());
            let (part, part_bias) = (zeros(&sizes(count)), zeros(&[count]));
            let (dw, db) = (Some(&part), Some(&part_bias));
            linear::backward_weight_part(&ws, &dy, outputs, &x, dw, db, orientation).unwrap();
            let expected = all
                .narrow(axis, start, count)
                .unwrap()
                .contiguous()
                .unwrap();
            for (a, b) in values(&expected).iter().zip(values(&part)) {
                assert!((a - b).abs() < 1e-4, "{a} and {b}");
            }
            assert_eq!(
                values(&all_bias)[start..start + count],
                values(&part_bias)[..]
            );
        }
    }
}

#[test]
fn gelu_in_both_forms() {
    let ws = Workspace::new();
    for form in [Form::Tanh, Form::Erf] {
        let (x, dy) = (random(1, &[4, 9]), random(2, &[4, 9]));
        let dx = copy(&dy);
        gelu::backward(&dx, &x, form).unwrap();
        check("gelu", &x, &dx, |x| {
            project(&gelu::forward(&ws, x, form).unwrap(), &dy)
        });
    }
}

#[test]
fn swiglu_of_gate_and_up() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[4, 10]), random(2, &[4, 5]));
    let dx = swiglu::backward(&ws, &dy, &x).unwrap();
    check("swiglu", &x, &dx, |x| {
        project(&swiglu::forward(&ws, x).unwrap(), &dy)
    });
}

#[test]
fn layer_norm_with_residual() {
    let ws = Workspace::new();
    let (x, r) = (random(1, &[3, 18]), random(2, &[3, 18]));
    let (w, b) = (random(3, &[18]), random(4, &[18]));
    let (dy, stream) = (random(5, &[3, 18]), random(6, &[3, 18]));
    // The sum goes on past the norm as well, so its gradient has two parts.
    let run = |x: &Tensor, r: &Tensor, w: &Tensor, b: &Tensor| {
        let sum = copy(x);
        let (out, _) = layer_norm::forward(&ws, &sum, Some(r), w, b, 1e-5).unwrap();
        project(&out, &dy) + project(&sum, &stream)
    };
    let sum = copy(&x);
    let (_, saved) = layer_norm::forward(&ws, &sum, Some(&r), &w, &b, 1e-5).unwrap();
    let (dx, dw, db) = (copy(&dy), zeros(&[18]), zeros(&[18]));
    layer_norm::backward(
        &ws,
        &dx,
        &sum,
        &saved,
        &w,
        Some(&stream),
        Some(&dw),
        Some(&db),
    )
    .unwrap();
    check("x", &x, &dx, |x| run(x, &r, &w, &b));
    check("residual", &r, &dx, |r| run(&x, r, &w, &b));
    check("weight", &w, &dw, |w| run(&x, &r, w, &b));
    check("bias", &b, &db, |b| run(&x, &r, &w, b));
}

#[test]
fn layer_norm_keeps_its_digits_far_from_zero() {
    let ws = Workspace::new();
    let x = random(1, &[2, 64]);
    let shifted = copy(&x);
    codex_nn::write(&shifted, |values| {
        for v in values {
            *v += 1000.0;
        }
    })
    .unwrap();
    let (w, b) = (random(3, &[64]), random(4, &[64]));
    let (plain, _) = layer_norm::forward(&ws, &x, None, &w, &b, 1e-12).unwrap();
    let (far, _) = layer_norm::forward(&ws, &shifted, None, &w, &b, 1e-12).unwrap();
    for (a, b) in values(&plain).iter().zip(values(&far)) {
        assert!((a - b).abs() < 2e-3, "{a} and {b}");
    }
}

#[test]
fn rms_norm_with_residual() {
    let ws = Workspace::new();
    let (x, r, w) = (random(1, &[3, 18]), random(2, &[3, 18]), random(3, &[18]));
    let (dy, stream) = (random(5, &[3, 18]), random(6, &[3, 18]));
    let run = |x: &Tensor, w: &Tensor| {
        let sum = copy(x);
        let (out, _) = rms_norm::forward(&ws, &sum, Some(&r), w, 1e-6).unwrap();
        project(&out, &dy) + project(&sum, &stream)
    };
    let sum = copy(&x);
    let (_, saved) = rms_norm::forward(&ws, &sum, Some(&r), &w, 1e-6).unwrap();
    let (dx, dw) = (copy(&dy), zeros(&[18]));
    rms_norm::backward(&ws, &dx, &sum, &saved, &w, Some(&stream), Some(&dw)).unwrap();
    check("x", &x, &dx, |x| run(x, &w));
    check("weight", &w, &dw, |w| run(&x, w));
}

#[test]
fn rope_turns_back() {
    let rotation = Rotation::new(6, 10000.0, 9);
    let positions = [0, 3, 8];
    let (x, dy) = (random(1, &[3, 20]), random(2, &[3, 20]));
    let dx = copy(&dy);
    rope::backward(&dx, 3, &positions, &rotation).unwrap();
    check("rope", &x, &dx, |x| {
        let x = copy(x);
        rope::forward(&x, 3, &positions, &rotation).unwrap();
        project(&x, &dy)
    });
}

#[test]
fn dropout_masks_alike_and_keeps_the_mean() {
    let dropout = Dropout {
        probability: 0.3,
        key: Key::new(5).with(2),
    };
    let (x, dy) = (random(1, &[4, 9]), random(2, &[4, 9]));
    let dx = copy(&dy);
    dropout::backward(&dx, &dropout).unwrap();
    check("dropout", &x, &dx, |x| {
        let x = copy(x);
        dropout::forward(&x, &dropout).unwrap();
        project(&x, &dy)
    });
    let ones = zeros(&[500, 200]);
    codex_nn::write(&ones, |values| values.fill(1.0)).unwrap();
    dropout::forward(&ones, &dropout).unwrap();
    let mean = values(&ones).iter().map(|v| f64::from(*v)).sum::<f64>() / 1e5;
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
}

#[test]
fn embedding_with_repeated_ids() {
    let ws = Workspace::new();
    let (table, positions, dy) = (random(1, &[70, 3]), random(2, &[4, 3]), random(3, &[6, 3]));
    let (ids, places) = ([65, 2, 65, 69, 2, 65], [0, 1, 2, 3, 0, 1]);
    let run = |table: &Tensor, positions: &Tensor| {
        let lookups = [
            Lookup { ids: &ids, table },
            Lookup {
                ids: &places,
                table: positions,
            },
        ];
        project(&embedding::forward(&ws, &lookups).unwrap(), &dy)
    };
    let (d_table, d_positions) = (zeros(&[70, 3]), zeros(&[4, 3]));
    embedding::backward(&dy, &ids, &d_table).unwrap();
    embedding::backward(&dy, &places, &d_positions).unwrap();
    check("table", &table, &d_table, |table| run(table, &positions));
    check("positions", &positions, &d_positions, |positions| {
        run(&table, positions)
    });
}

#[test]
fn attention_with_grouped_queries_over_ragged_sequences() {
    let ws = Workspace::new();
    let sequences = Sequences::new(vec![0, 5, 5, 6, 14]).unwrap();
    let dropped = Dropout {
        probability: 0.4,
        key: Key::new(3),
    };
    for (heads, kv_heads) in [(2, 2), (4, 2), (3, 1)] {
        let heads = Heads {
            heads,
            kv_heads,
            head_size: 4,
        };
        for mask in [Mask::Causal, Mask::Bidirectional] {
            for dropout in [None, Some(&dropped)] {
                check_attention(&ws, &sequences, heads, mask, dropout);
            }
        }
    }
}

#[test]
fn attention_over_several_blocks() {
    let heads = Heads {
        heads: 1,
        kv_heads: 1,
        head_size: 2,
    };
    let sequences = Sequences::new(vec![0, 150]).unwrap();
    for mask in [Mask::Causal, Mask::Bidirectional] {
        check_attention(&Workspace::new(), &sequences, heads, mask, None);
    }
}

fn check_attention(
    ws: &Workspace,
    sequences: &Sequences,
    heads: Heads,
    mask: Mask,
    dropout: Option<&Dropout>,
) {
    let tokens = sequences.tokens();
    let qkv = random(1, &[tokens, heads.columns()]);
    let dy = random(2, &[tokens, heads.heads * heads.head_size]);
    let run = |qkv: &Tensor| attention::forward(ws, qkv, sequences, heads, mask, dropout).unwrap();
    let (out, saved) = run(&qkv);
    let d =
        attention::backward(ws, &dy, &qkv, &out, &saved, sequences, heads, mask, dropout).unwrap();
    let name = format!("qkv, {mask:?}");
    check(&name, &qkv, &d, |qkv| project(&run(qkv).0, &dy));
}

#[test]
fn linear_cross_entropy_skips_rows_without_targets() {
    let ws = Workspace::new();
    let (hidden, weight, bias) = (random(1, &[6, 5]), random(2, &[11, 5]), random(3, &[11]));
    for (targets, bias) in [
        ([3, -100, 10, 0, -100, 3], None),
        ([3, 1, 10, 0, 2, 3], Some(&bias)),
        ([-100, 1, 10, 0, 2, 3], Some(&bias)),
    ] {
        let factor = 0.25;
        let run = |hidden: &Tensor, weight: &Tensor, bias: Option<&Tensor>| {
            linear_cross_entropy::scores(&ws, hidden, weight, bias, &targets)
                .unwrap()
                .iter()
                .map(|s| -f64::from(s.log_probability))
                .sum::<f64>()
                * f64::from(factor)
        };
        let (d_weight, d_bias) = (zeros(&[11, 5]), zeros(&[11]));
        let (loss, d_hidden) = linear_cross_entropy::forward_backward(
            &ws,
            &hidden,
            &weight,
            bias,
            &targets,
            factor,
            Some(&d_weight),
            Some(&d_bias),
        )
        .unwrap();
        assert_eq!(loss.targets, targets.iter().filter(|&&t| t >= 0).count());
        assert!((loss.sum * f64::from(factor) - run(&hidden, &weight, bias)).abs() < 1e-5);
        check("hidden", &hidden, &d_hidden, |x| run(x, &weight, bias));
        check("weight", &weight, &d_weight, |x| run(&hidden, x, bias));
        if let Some(bias) = bias {
            check("bias", bias, &d_bias, |x| run(&hidden, &weight, Some(x)));
        }
    }
}
