//! Where formulas divide by zero or sums are empty: results stay finite and are what PyTorch gives.

use candle_core::{Device, Tensor};
use codex_nn::in_batch_negatives::{self, Options};
use codex_nn::linear_cross_entropy::IGNORE;
use codex_nn::pooling::{self, Pooling};
use codex_nn::{
    Sequences, Workspace, l2_norm, layer_norm, linear_cross_entropy, rms_norm, sequence_loss,
};

use crate::{copy, random, values, zeros};

fn tensor(numbers: &[f32], width: usize) -> Tensor {
    Tensor::from_vec(
        numbers.to_vec(),
        (numbers.len() / width, width),
        &Device::Cpu,
    )
    .unwrap()
}

fn finite(tensor: &Tensor) -> bool {
    values(tensor).iter().all(|v| v.is_finite())
}

#[test]
fn empty_sequences_pool_to_zeros_and_take_no_gradient() {
    let ws = Workspace::new();
    let hidden = random(1, &[2, 3]);
    for offsets in [vec![0, 0, 2, 2], vec![0]] {
        let sequences = Sequences::new(offsets).unwrap();
        let (count, tokens) = (sequences.count(), sequences.tokens());
        let hidden = hidden.narrow(0, 0, tokens).unwrap();
        for pooling in [Pooling::Mean, Pooling::Cls] {
            let pooled = pooling::forward(&ws, &hidden, &sequences, pooling).unwrap();
            assert_eq!(pooled.dims(), [count, 3]);
            for row in [0, 2].into_iter().filter(|&row| row < count) {
                assert_eq!(values(&pooled)[row * 3..][..3], [0.0; 3]);
            }
            // Even an infinite gradient of an empty sequence reaches no token.
            let d = tensor(&vec![f32::INFINITY; count * 3], 3);
            codex_nn::write(&d, |d| d.iter_mut().skip(3).take(3).for_each(|d| *d = 1.0)).unwrap();
            let d = pooling::backward(&ws, &d, &sequences, pooling).unwrap();
            assert_eq!(d.dims(), [tokens, 3]);
            assert!(finite(&d));
        }
    }
}

#[test]
fn vectors_near_zero_are_divided_by_1e_minus_12() {
    let ws = Workspace::new();
    // torch.nn.functional.normalize of the same rows: the first two lie below the least length.
    let x = tensor(&[0.0, 0.0, 3e-13, -4e-13, 3e-10, 4e-10, 3e20, -4e20], 2);
    let (y, saved) = l2_norm::forward(&ws, &x).unwrap();
    let expected = [0.0, 0.0, 0.3, -0.4, 0.6, 0.8, 0.6, -0.8];
    for (found, expected) in values(&y).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
    }
    let dy = tensor(&[1.0; 8], 2);
    let dx = values(&l2_norm::backward(&ws, &dy, &y, &saved).unwrap());
    // Below the least length the divisor is a constant.
    for found in &dx[..4] {
        assert!((found / 1e12 - 1.0).abs() < 1e-6, "{found}");
    }
    assert!(dx.iter().all(|d| d.is_finite()));
}

#[test]
fn one_pair_alone_has_no_negatives() {
    let ws = Workspace::new();
    let options = Options::default();
    let pooled = random(1, &[2, 6]);
    let (loss, d) = in_batch_negatives::forward_backward(&ws, &pooled, 2, &options, 1.0).unwrap();
    assert_eq!((loss.sum, loss.targets), (0.0, 1));
    assert_eq!(values(&d), [0.0; 12]);
    let scores = in_batch_negatives::scores(&ws, &pooled, 2, &options).unwrap();
    assert_eq!((scores[0].log_probability, scores[0].rank), (0.0, 0));
    // With a hard negative there is one.
    let triplet = random(1, &[3, 6]);
    let (loss, d) = in_batch_negatives::forward_backward(&ws, &triplet, 3, &options, 1.0).unwrap();
    assert!(loss.sum > 0.0 && values(&d).iter().any(|d| *d != 0.0));
    // No pairs at all are no loss.
    let none = zeros(&[0, 6]);
    let (loss, d) = in_batch_negatives::forward_backward(&ws, &none, 2, &options, 1.0).unwrap();
    assert_eq!((loss.sum, loss.targets, d.dims()), (0.0, 0, &[0, 6][..]));
}

#[test]
fn an_empty_text_among_pairs_keeps_everything_finite() {
    let ws = Workspace::new();
    let pooled = random(1, &[6, 4]);
    codex_nn::write(&pooled, |values| values[4..8].fill(0.0)).unwrap();
    let options = Options::default();
    let (loss, d) = in_batch_negatives::forward_backward(&ws, &pooled, 2, &options, 0.3).unwrap();
    assert!(loss.sum.is_finite() && finite(&d));
}

#[test]
fn one_class_and_no_targets_cost_nothing() {
    let ws = Workspace::new();
    let (loss, d) =
        sequence_loss::cross_entropy(&ws, &random(1, &[3, 1]), &[0, 0, 0], 1.0).unwrap();
    assert_eq!((loss.sum, loss.targets), (0.0, 3));
    assert_eq!(values(&d), [0.0; 3]);

    let logits = tensor(&[f32::MAX, -1.0, 0.0, 1.0], 2);
    let (loss, d) = sequence_loss::cross_entropy(&ws, &logits, &[IGNORE; 2], 1.0).unwrap();
    assert_eq!((loss.sum, loss.targets), (0.0, 0));
    assert_eq!(values(&d), [0.0; 4]);

    let (loss, d) =
        sequence_loss::squared_error(&ws, &random(1, &[2, 1]), &[f32::NAN; 2], 1.0).unwrap();
    assert_eq!((loss.sum, loss.targets), (0.0, 0));
    assert_eq!(values(&d), [0.0; 2]);

    let (hidden, weight, bias) = (random(1, &[3, 4]), random(2, &[5, 4]), random(3, &[5]));
    let (d_weight, d_bias) = (zeros(&[5, 4]), zeros(&[5]));
    let (loss, d) = linear_cross_entropy::forward_backward(
        &ws,
        &hidden,
        &weight,
        Some(&bias),
        &[IGNORE; 3],
        1.0,
        Some(&d_weight),
        Some(&d_bias),
    )
    .unwrap();
    assert_eq!((loss.sum, loss.targets), (0.0, 0));
    for gradient in [&d, &d_weight, &d_bias] {
        assert!(values(gradient).iter().all(|d| *d == 0.0));
    }
}

#[test]
fn logits_far_apart_do_not_overflow() {
    let ws = Workspace::new();
    let logits = tensor(&[1e30, -1e30, 0.0, 200.0, -200.0, 0.0], 3);
    let (loss, d) = sequence_loss::cross_entropy(&ws, &logits, &[0, 1], 1.0).unwrap();
    assert!((loss.sum - 400.0).abs() < 1e-3, "{loss:?}");
    assert_eq!(values(&d), [0.0, 0.0, 0.0, 1.0, -1.0, 0.0]);
}

#[test]
fn constant_rows_are_normed_to_the_bias() {
    let ws = Workspace::new();
    let (weight, bias) = (random(1, &[16]), random(2, &[16]));
    // A mean of such rows is exact; of others it is off by rounding, which PyTorch magnifies as much.
    for level in [0.0, 3.25, -1e4] {
        let x = tensor(&[level; 16], 16);
        let (y, saved) = layer_norm::forward(&ws, &x, None, &weight, &bias, 1e-12).unwrap();
        assert_eq!(values(&y), values(&bias), "at {level}");
        let (dy, d_weight) = (random(3, &[1, 16]), zeros(&[16]));
        let dx = copy(&dy);
        layer_norm::backward(&ws, &dx, &x, &saved, &weight, None, Some(&d_weight), None).unwrap();
        assert!(finite(&dx), "at {level}");
        assert_eq!(values(&d_weight), [0.0; 16], "at {level}");
    }
    let x = zeros(&[1, 16]);
    let (y, saved) = rms_norm::forward(&ws, &x, None, &weight, 1e-12).unwrap();
    assert_eq!(values(&y), [0.0; 16]);
    let dx = random(3, &[1, 16]);
    rms_norm::backward(&ws, &dx, &x, &saved, &weight, None, None).unwrap();
    assert!(finite(&dx));
}
