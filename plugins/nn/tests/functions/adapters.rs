//! What adapters add to linear maps: low-rank pairs, factors of columns, norms of adapted weights. Against their
//! definitions, finite differences, the compositions for other devices, and any number of threads.

use candle_core::Tensor;
use codex_nn::linear::Orientation;
use codex_nn::low_rank::{self, Pair};
use codex_nn::magnitude::{self, Addition};
use codex_nn::{Workspace, columns, composed};

use crate::{check, copy, project, random, values, zeros};

/// Pairs for columns 2..5 and 7..11 of 12, with ranks 0..2 and 3..6 of 6.
fn pairs(b: &[Tensor; 2]) -> [Pair<'_>; 2] {
    [
        Pair {
            ranks: 0..2,
            outputs: 2..5,
            b: &b[0],
            factor: 0.5,
        },
        Pair {
            ranks: 3..6,
            outputs: 7..11,
            b: &b[1],
            factor: -1.5,
        },
    ]
}

struct Case {
    x: Tensor,
    a: Tensor,
    b: [Tensor; 2],
    dy: Tensor,
}

fn case(tokens: usize) -> Case {
    Case {
        x: random(1, &[tokens, 7]),
        a: random(2, &[6, 7]),
        b: [random(3, &[3, 2]), random(4, &[4, 3])],
        dy: random(5, &[tokens, 12]),
    }
}

/// What is added to an output of zeros.
fn addition(ws: &Workspace, x: &Tensor, a: &Tensor, b: &[Tensor; 2]) -> Tensor {
    let y = zeros(&[x.dims()[0], 12]);
    let h = low_rank::inner(ws, x, a).unwrap();
    low_rank::outer(ws, &y, &h, &pairs(b)).unwrap();
    y
}

#[test]
fn low_rank_pairs_add_to_their_columns() {
    let ws = Workspace::new();
    for tokens in [1, 5, 40] {
        let case = case(tokens);
        let (x, a) = (values(&case.x), values(&case.a));
        let h = |row: usize, rank: usize| -> f32 {
            (0..7).map(|k| x[row * 7 + k] * a[rank * 7 + k]).sum()
        };
        let y = values(&addition(&ws, &case.x, &case.a, &case.b));
        for row in 0..tokens {
            for column in 0..12 {
                let own = pairs(&case.b)
                    .into_iter()
                    .find(|pair| pair.outputs.contains(&column));
                let expected = own.map_or(0.0, |pair| {
                    let b = values(pair.b);
                    let rank = pair.ranks.len();
                    let row_of_b = (column - pair.outputs.start) * rank;
                    let terms = (0..rank).map(|k| b[row_of_b + k] * h(row, pair.ranks.start + k));
                    pair.factor * terms.sum::<f32>()
                });
                let found = y[row * 12 + column];
                assert!(
                    (found - expected).abs() < 1e-5,
                    "[{row}, {column}]: {found}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn low_rank_gradients() {
    let ws = Workspace::new();
    for tokens in [1, 9] {
        let Case { x, a, b, dy } = case(tokens);
        let loss = |x: &Tensor, a: &Tensor, b: &[Tensor; 2]| project(&addition(&ws, x, a, b), &dy);
        let h = low_rank::inner(&ws, &x, &a).unwrap();
        let db = [zeros(&[3, 2]), zeros(&[4, 3])];
        let gradients = [Some(&db[0]), Some(&db[1])];
        let dh = low_rank::backward_outer(&ws, &dy, &h, &pairs(&b), &gradients).unwrap();
        let (da, dx) = (zeros(&[6, 7]), zeros(&[tokens, 7]));
        low_rank::backward_inner(&ws, &dh, 0..6, &x, &da).unwrap();
        low_rank::backward_input(&ws, &dx, &dh, &a).unwrap();
        check("x", &x, &dx, |x| loss(x, &a, &b));
        check("a", &a, &da, |a| loss(&x, a, &b));
        check("b", &b[0], &db[0], |one| {
            loss(&x, &a, &[one.clone(), b[1].clone()])
        });
        check("b", &b[1], &db[1], |one| {
            loss(&x, &a, &[b[0].clone(), one.clone()])
        });
        // A part of A alone, and a B that does not train.
        let part = zeros(&[3, 7]);
        low_rank::backward_inner(&ws, &dh, 3..6, &x, &part).unwrap();
        assert_eq!(values(&part), values(&da)[21..]);
        let again = low_rank::backward_outer(&ws, &dy, &h, &pairs(&b), &[None, None]).unwrap();
        assert_eq!(values(&again), values(&dh));
    }
}

#[test]
fn columns_are_scaled_shifted_copied_and_summed() {
    let ws = Workspace::new();
    let (x, y) = (random(1, &[150, 9]), random(2, &[150, 4]));
    let (factors, addends) = ([2.0, -0.5, 0.0, 1.5], [0.25, 0.0, -3.0, 1.0]);
    let before = values(&x);
    let scaled = copy(&x);
    columns::scale(&scaled, 3..7, &factors, Some(&addends)).unwrap();
    let part = columns::copy(&ws, &x, 3..7).unwrap();
    assert_eq!(part.dims(), [150, 4]);
    for (at, found) in values(&scaled).into_iter().enumerate() {
        let (row, column) = (at / 9, at % 9);
        if !(3..7).contains(&column) {
            assert_eq!(found, before[at]);
            continue;
        }
        let one = column - 3;
        assert_eq!(values(&part)[row * 4 + one], before[at]);
        let expected = before[at] * factors[one] + addends[one];
        assert!(
            (found - expected).abs() < 1e-6,
            "[{row}, {column}]: {found}, not {expected}"
        );
    }
    let products = columns::sums(&x, 3..7, Some(&y)).unwrap();
    let alone = columns::sums(&x, 3..7, None).unwrap();
    for one in 0..4 {
        let column = |at: usize| f64::from(before[at * 9 + 3 + one]);
        let other = |at: usize| f64::from(values(&y)[at * 4 + one]);
        let expected: f64 = (0..150).map(|at| column(at) * other(at)).sum();
        assert!((f64::from(products[one]) - expected).abs() < 1e-4);
        let expected: f64 = (0..150).map(column).sum();
        assert!((f64::from(alone[one]) - expected).abs() < 1e-4);
    }
}

#[test]
fn norms_are_those_of_the_sum() {
    let ws = Workspace::new();
    let (a, b) = (random(2, &[3, 20]), random(3, &[5, 3]));
    let addition = Addition {
        a: &a,
        b: &b,
        factor: 0.7,
    };
    for (orientation, shape) in [(Orientation::OutIn, [9, 20]), (Orientation::InOut, [20, 9])] {
        let weight = random(1, &shape);
        let (w, a, b) = (values(&weight), values(&a), values(&b));
        for with in [None, Some(addition)] {
            let found = magnitude::norms(&ws, &weight, 2..7, orientation, with).unwrap();
            for (output, found) in found.iter().enumerate() {
                let squares = (0..20).map(|input| {
                    let at = match orientation {
                        Orientation::OutIn => (output + 2) * 20 + input,
                        Orientation::InOut => input * 9 + output + 2,
                    };
                    let added: f32 = (0..3).map(|k| b[output * 3 + k] * a[k * 20 + input]).sum();
                    let factor = with.map_or(0.0, |one| one.factor);
                    f64::from(w[at] + factor * added).powi(2)
                });
                let expected = squares.sum::<f64>().sqrt();
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{found}, not {expected}"
                );
            }
        }
    }
}

/// One of everything, at a size that is shared out.
fn run(tokens: usize) -> Vec<Vec<f32>> {
    let ws = Workspace::new();
    let (x, a, dy) = (
        random(1, &[tokens, 96]),
        random(2, &[32, 96]),
        random(5, &[tokens, 200]),
    );
    let b = [random(3, &[100, 16]), random(4, &[60, 16])];
    let pairs = [
        Pair {
            ranks: 0..16,
            outputs: 0..100,
            b: &b[0],
            factor: 0.5,
        },
        Pair {
            ranks: 16..32,
            outputs: 120..180,
            b: &b[1],
            factor: 2.0,
        },
    ];
    let y = copy(&dy);
    let h = low_rank::inner(&ws, &x, &a).unwrap();
    low_rank::outer(&ws, &y, &h, &pairs).unwrap();
    let db = [random(6, &[100, 16]), random(7, &[60, 16])];
    let gradients = [Some(&db[0]), Some(&db[1])];
    let dh = low_rank::backward_outer(&ws, &dy, &h, &pairs, &gradients).unwrap();
    let (da, dx) = (random(8, &[32, 96]), random(9, &[tokens, 96]));
    low_rank::backward_inner(&ws, &dh, 0..32, &x, &da).unwrap();
    low_rank::backward_input(&ws, &dx, &dh, &a).unwrap();
    let factors = values(&random(10, &[60]));
    columns::scale(&y, 120..180, &factors, Some(&factors)).unwrap();
    let before = columns::copy(&ws, &y, 0..100).unwrap();
    let sums = columns::sums(&dy, 0..100, Some(&before)).unwrap();
    let addition = Addition {
        a: &a.narrow(0, 0, 16).unwrap(),
        b: &b[0],
        factor: 0.5,
    };
    let weight = random(11, &[200, 96]);
    let norms = magnitude::norms(&ws, &weight, 0..100, Orientation::OutIn, Some(addition)).unwrap();
    let mut all: Vec<Vec<f32>> = [&y, &h, &dh, &da, &dx, &db[0], &db[1]].map(values).into();
    all.extend([sums, norms]);
    all
}

#[test]
fn one_thread_equals_many() {
    let with = |threads: usize, tokens: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| run(tokens))
    };
    for tokens in [1, 700] {
        let one = with(1, tokens);
        for threads in [2, 5] {
            for (index, (a, b)) in one.iter().zip(with(threads, tokens)).enumerate() {
                assert!(
                    a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()),
                    "result {index} with {threads} threads"
                );
            }
        }
    }
}

#[test]
fn compositions_equal_the_functions() {
    for tokens in [1, 90] {
        let expected = run(tokens);
        composed::force(true);
        let found = run(tokens);
        composed::force(false);
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let largest = expected.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            assert!(
                largest > 0.0 && found.len() == expected.len(),
                "result {index}"
            );
            for (a, b) in found.iter().zip(expected) {
                assert!(
                    (a - b).abs() <= 1e-5 * largest,
                    "result {index}: composed {a}, own {b}"
                );
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let ws = Workspace::new();
    let Case { x, a, b, dy } = case(4);
    let h = low_rank::inner(&ws, &x, &a).unwrap();
    let refused = |result: codex_nn::Result<()>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    let [first, _] = pairs(&b);
    let wide = Pair {
        outputs: 10..13,
        ..first.clone()
    };
    refused(
        low_rank::outer(&ws, &dy, &h, &[wide]),
        "10..13 is outside 0..12",
    );
    let deep = Pair {
        ranks: 5..7,
        ..first.clone()
    };
    refused(
        low_rank::outer(&ws, &dy, &h, &[deep]),
        "5..7 is outside 0..6",
    );
    let other = Pair {
        ranks: 0..3,
        ..first
    };
    refused(
        low_rank::outer(&ws, &dy, &h, &[other]),
        "low-rank B, rank: expected 3, found 2",
    );
    refused(
        columns::scale(&dy, 3..5, &[1.0], None),
        "factors of columns: expected 2, found 1",
    );
    refused(
        columns::scale(&dy, 3..15, &[1.0; 12], None),
        "3..15 is outside 0..12",
    );
}
