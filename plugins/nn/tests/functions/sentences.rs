//! What whole sequences are trained with: pooling, normalisation, pairs, classes and values, against their definitions
//! in f64 and against finite differences.

use candle_core::Tensor;
use codex_nn::in_batch_negatives::{self, Options};
use codex_nn::pooling::{self, Pooling};
use codex_nn::{Sequences, Workspace, l2_norm, rows, sequence_loss, tanh};

use crate::{check, copy, project, random, values};

#[test]
fn pooling_in_both_forms() {
    let ws = Workspace::new();
    let sequences = Sequences::new(vec![0, 4, 4, 5, 9]).unwrap();
    let (hidden, dy) = (random(1, &[9, 5]), random(2, &[4, 5]));
    for pooling in [Pooling::Mean, Pooling::Cls] {
        let run = |x: &Tensor| pooling::forward(&ws, x, &sequences, pooling).unwrap();
        let d = pooling::backward(&ws, &dy, &sequences, pooling).unwrap();
        check("hidden", &hidden, &d, |x| project(&run(x), &dy));
        let (found, all) = (values(&run(&hidden)), values(&hidden));
        for (sequence, range) in sequences.ranges().enumerate() {
            for column in 0..5 {
                let of = |row: usize| f64::from(all[row * 5 + column]);
                let expected = match pooling {
                    _ if range.is_empty() => 0.0,
                    Pooling::Cls => of(range.start),
                    Pooling::Mean => range.clone().map(of).sum::<f64>() / range.len() as f64,
                };
                let found = f64::from(found[sequence * 5 + column]);
                assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
            }
        }
    }
}

#[test]
fn normalised_rows_have_length_one() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[3, 17]), random(2, &[3, 17]));
    let run = |x: &Tensor| l2_norm::forward(&ws, x).unwrap();
    let (y, saved) = run(&x);
    for row in values(&y).chunks(17) {
        let square: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
        assert!((square - 1.0).abs() < 1e-6, "{square}");
    }
    let dx = l2_norm::backward(&ws, &dy, &y, &saved).unwrap();
    check("x", &x, &dx, |x| project(&run(x).0, &dy));
}

#[test]
fn tanh_and_its_slope() {
    let ws = Workspace::new();
    let (x, dy) = (random(1, &[3, 7]), random(2, &[3, 7]));
    let run = |x: &Tensor| tanh::forward(&ws, x).unwrap();
    let dx = copy(&dy);
    tanh::backward(&dx, &run(&x)).unwrap();
    check("x", &x, &dx, |x| project(&run(x), &dy));
    for (x, y) in values(&x).iter().zip(values(&run(&x))) {
        assert!((f64::from(*x).tanh() - f64::from(y)).abs() < 1e-7);
    }
}

#[test]
fn gathered_rows_and_their_gradients() {
    let ws = Workspace::new();
    let x = random(1, &[6, 4]);
    for wanted in [&[4u32, 0][..], &[1, 5, 1], &[]] {
        let dy = random(2, &[wanted.len(), 4]);
        let out = rows::gather(&ws, &x, wanted).unwrap();
        for (row, from) in values(&out).chunks(4).zip(wanted) {
            assert_eq!(row, &values(&x)[*from as usize * 4..][..4]);
        }
        let dx = rows::scatter(&ws, &dy, wanted, 6).unwrap();
        assert_eq!(dx.dims(), [6, 4]);
        if !wanted.is_empty() {
            check("x", &x, &dx, |x| {
                project(&rows::gather(&ws, x, wanted).unwrap(), &dy)
            });
        }
    }
}

/// −log p of each anchor's positive, and its rank, by the definition and in f64.
fn pairs(pooled: &Tensor, parts: usize, scale: f64, columns: usize) -> Vec<(f64, u32)> {
    let (count, width) = pooled.dims2().unwrap();
    let rows: Vec<Vec<f64>> = values(pooled)
        .chunks(width)
        .map(|row| {
            let row: Vec<f64> = row[..columns].iter().map(|v| f64::from(*v)).collect();
            let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter().map(|v| v / length).collect()
        })
        .collect();
    let n = count / parts;
    (0..n)
        .map(|anchor| {
            let logits: Vec<f64> = rows[n..]
                .iter()
                .map(|c| scale * c.iter().zip(&rows[anchor]).map(|(a, b)| a * b).sum::<f64>())
                .collect();
            let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let above = logits.iter().filter(|&&l| l > logits[anchor]).count();
            (sum.ln() - logits[anchor], above as u32)
        })
        .collect()
}

#[test]
fn every_other_pair_of_the_batch_is_a_negative() {
    let ws = Workspace::new();
    let cases: [(usize, usize, &[usize], &[f32]); 5] = [
        (2, 5, &[], &[]),
        (3, 4, &[], &[]),
        (2, 4, &[8, 3], &[]),
        (3, 3, &[8, 4, 1], &[1.0, 0.5, 0.25]),
        (2, 4, &[5], &[0.7]),
    ];
    for (parts, n, dimensions, weights) in cases {
        let pooled = random(1, &[parts * n, 8]);
        let options = Options {
            scale: 3.0,
            dimensions: dimensions.to_vec(),
            weights: weights.to_vec(),
        };
        let expected = |pooled: &Tensor| -> f64 {
            let all: &[usize] = if dimensions.is_empty() {
                &[8]
            } else {
                dimensions
            };
            all.iter()
                .enumerate()
                .map(|(index, &columns)| {
                    let weight = f64::from(weights.get(index).copied().unwrap_or(1.0));
                    let losses = pairs(pooled, parts, 3.0, columns);
                    weight * losses.iter().map(|(loss, _)| loss).sum::<f64>()
                })
                .sum()
        };
        let (loss, d) =
            in_batch_negatives::forward_backward(&ws, &pooled, parts, &options, 0.3).unwrap();
        assert_eq!(loss.targets, n);
        let exact = expected(&pooled);
        assert!((loss.sum - exact).abs() < 1e-5 * exact, "{loss:?} {exact}");
        check("pooled", &pooled, &d, |x| 0.3 * expected(x));

        let scores = in_batch_negatives::scores(&ws, &pooled, parts, &options).unwrap();
        for (score, (loss, rank)) in scores.iter().zip(pairs(&pooled, parts, 3.0, 8)) {
            assert!((f64::from(score.log_probability) + loss).abs() < 1e-5);
            assert_eq!(score.rank, rank);
        }
        assert_eq!(scores.len(), n);
    }
}

#[test]
fn classes_and_values() {
    let ws = Workspace::new();
    let (x, targets) = (random(1, &[4, 3]), [2, -100, 0, 0]);
    let cross_entropy = |x: &Tensor| -> f64 {
        values(x)
            .chunks(3)
            .zip(targets)
            .filter(|(_, target)| *target >= 0)
            .map(|(row, target)| {
                let sum: f64 = row.iter().map(|v| f64::from(*v).exp()).sum();
                sum.ln() - f64::from(row[target as usize])
            })
            .sum()
    };
    let (loss, d) = sequence_loss::cross_entropy(&ws, &x, &targets, 0.5).unwrap();
    assert_eq!(loss.targets, 3);
    assert!((loss.sum - cross_entropy(&x)).abs() < 1e-6);
    check("logits", &x, &d, |x| 0.5 * cross_entropy(x));

    for width in [1, 3] {
        let x = random(2, &[4, width]);
        let mut wanted = values(&random(3, &[4, width]));
        wanted[2 * width] = f32::NAN;
        let squared = |x: &Tensor| -> f64 {
            values(x)
                .chunks(width)
                .zip(wanted.chunks(width))
                .filter(|(_, wanted)| !wanted[0].is_nan())
                .map(|(row, wanted)| {
                    let squares = row
                        .iter()
                        .zip(wanted)
                        .map(|(a, b)| f64::from(a - b).powi(2));
                    squares.sum::<f64>() / width as f64
                })
                .sum()
        };
        let (loss, d) = sequence_loss::squared_error(&ws, &x, &wanted, 0.5).unwrap();
        assert_eq!(loss.targets, 3);
        assert!((loss.sum - squared(&x)).abs() < 1e-6);
        check("outputs", &x, &d, |x| 0.5 * squared(x));
    }
}
