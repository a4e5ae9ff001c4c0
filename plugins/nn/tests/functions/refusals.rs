//! What does not fit is refused with the place and both sizes, never a panic.

use codex_nn::embedding::{self, Lookup};
use codex_nn::in_batch_negatives::{self, Options};
use codex_nn::linear::{self, Orientation};
use codex_nn::pooling::{self, Pooling};
use codex_nn::{Sequences, Workspace, linear_cross_entropy, rows, sequence_loss};

use crate::{random, zeros};

fn check<T>(result: codex_nn::Result<T>, expected: &str) {
    match result {
        Ok(_) => panic!("accepted, where '{expected}' was due"),
        Err(error) => assert_eq!(error.to_string(), expected),
    }
}

#[test]
fn wrong_sizes_and_ids() {
    let ws = Workspace::new();
    let (x, w) = (random(1, &[3, 4]), random(2, &[5, 6]));
    check(
        linear::forward(&ws, &x, &w, None, Orientation::OutIn),
        "linear input: expected 6, found 4",
    );
    let lookup = Lookup {
        ids: &[0, 5],
        table: &w,
    };
    check(embedding::forward(&ws, &[lookup]), "id: 5 is outside 0..5");
    let head = random(3, &[7, 4]);
    check(
        linear_cross_entropy::forward_backward(
            &ws,
            &x,
            &head,
            None,
            &[0, 7, -100],
            1.0,
            Some(&zeros(&[7, 4])),
            None,
        ),
        "label: 7 is outside 0..7 (or -100 for none)",
    );
    check(
        Sequences::new(vec![0, 4, 3]),
        "sequence offset: 3 is outside 4..",
    );
    check(
        Sequences::new(vec![1, 4]),
        "first sequence offset: 1 is outside 0..=0",
    );
    check(
        linear::forward(&ws, &x.t().unwrap(), &w, None, Orientation::OutIn),
        "linear input: expected 6, found 3",
    );
}

#[test]
fn what_whole_sequences_are_trained_with() {
    let ws = Workspace::new();
    let x = random(1, &[6, 4]);
    let pairs = |parts, dimensions: &[usize], weights: &[f32]| {
        let options = Options {
            scale: 20.0,
            dimensions: dimensions.to_vec(),
            weights: weights.to_vec(),
        };
        in_batch_negatives::forward_backward(&ws, &x, parts, &options, 1.0)
    };
    let due = "is outside 2 equal blocks (anchors, positives) or more (hard negatives)";
    for parts in [0, 1, 4] {
        let expected = format!("parts of a batch of pairs: {parts} of 6 vectors {due}");
        check(pairs(parts, &[], &[]), &expected);
    }
    check(
        pairs(2, &[4, 5], &[]),
        "matryoshka dimension: 5 is outside 1..=4",
    );
    check(
        pairs(2, &[0], &[]),
        "matryoshka dimension: 0 is outside 1..=4",
    );
    check(
        pairs(2, &[4, 2], &[1.0]),
        "matryoshka weights: expected 2, found 1",
    );
    check(
        pairs(2, &[], &[1.0]),
        "matryoshka weights: expected 0, found 1",
    );
    check(
        sequence_loss::cross_entropy(&ws, &x, &[0, 1, 2, 3, 4, 0], 1.0),
        "label: 4 is outside 0..4 (or -100 for none)",
    );
    check(
        sequence_loss::squared_error(&ws, &x, &[0.0; 6], 1.0),
        "values to predict: expected 24, found 6",
    );
    check(rows::gather(&ws, &x, &[0, 6]), "row: 6 is outside 0..6");
    check(
        pooling::forward(&ws, &x, &Sequences::single(5), Pooling::Mean),
        "pooling tokens: expected 5, found 6",
    );
}

#[test]
fn a_recycled_tensor_is_refused_not_read() {
    let ws = Workspace::new();
    let x = random(1, &[100, 100]);
    let handle = x.clone();
    ws.recycle(x);
    assert!(codex_nn::Read::new(&handle).is_err());
}
