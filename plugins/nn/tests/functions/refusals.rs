//! What does not fit is refused with the place and both sizes, never a panic.

use codex_nn::embedding::{self, Lookup};
use codex_nn::linear::{self, Orientation};
use codex_nn::{Sequences, Workspace, linear_cross_entropy};

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
            &[0, 7, -100],
            1.0,
            Some(&zeros(&[7, 4])),
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
fn a_recycled_tensor_is_refused_not_read() {
    let ws = Workspace::new();
    let x = random(1, &[100, 100]);
    let handle = x.clone();
    ws.recycle(x);
    assert!(codex_nn::Read::new(&handle).is_err());
}
