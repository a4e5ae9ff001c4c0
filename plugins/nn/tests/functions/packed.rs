//! Sequences packed into one batch give what they give alone, and token by token through a cache.

use candle_core::Tensor;
use codex_nn::attention::cached::{self, Cache};
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::pooling::{self, Pooling};
use codex_nn::{Sequences, Workspace};

use crate::{random, values};

const HEADS: Heads = Heads {
    heads: 4,
    kv_heads: 2,
    head_size: 8,
};

#[test]
fn packed_attention_equals_each_sequence_alone() {
    let ws = Workspace::new();
    let offsets = vec![0, 70, 71, 71, 200];
    let sequences = Sequences::new(offsets.clone()).unwrap();
    let (qkv, dy) = (random(1, &[200, HEADS.columns()]), random(2, &[200, 32]));
    for mask in [Mask::Causal, Mask::Bidirectional] {
        let run = |qkv: &Tensor, dy: &Tensor, sequences: &Sequences| {
            let (out, saved) = attention::forward(&ws, qkv, sequences, HEADS, mask, None).unwrap();
            let d = attention::backward(&ws, dy, qkv, &out, &saved, sequences, HEADS, mask, None)
                .unwrap();
            (out, d)
        };
        let (out, d) = run(&qkv, &dy, &sequences);
        for pair in offsets.windows(2) {
            let (start, count) = (pair[0], pair[1] - pair[0]);
            if count == 0 {
                continue;
            }
            let part = |t: &Tensor| t.narrow(0, start, count).unwrap();
            let (one, one_d) = run(&part(&qkv), &part(&dy), &Sequences::single(count));
            assert_eq!(values(&part(&out)), values(&one));
            assert_eq!(values(&part(&d)), values(&one_d));
        }
    }
}

#[test]
fn a_long_sequence_that_is_cut_equals_itself_whole() {
    let ws = Workspace::new();
    // Alone it is most of the work, so it is cut; among twenty like it, it is not.
    let (length, copies) = (600, 20);
    let (qkv, dy) = (
        random(1, &[length, HEADS.columns()]),
        random(2, &[length, 32]),
    );
    for mask in [Mask::Causal, Mask::Bidirectional] {
        let run = |copies: usize| {
            let repeat = |t: &Tensor| Tensor::cat(&vec![t; copies], 0).unwrap();
            let (qkv, dy) = (repeat(&qkv), repeat(&dy));
            let sequences = Sequences::new((0..=copies).map(|i| i * length).collect()).unwrap();
            let (out, saved) =
                attention::forward(&ws, &qkv, &sequences, HEADS, mask, None).unwrap();
            let d =
                attention::backward(&ws, &dy, &qkv, &out, &saved, &sequences, HEADS, mask, None)
                    .unwrap();
            let first = |t: &Tensor| values(&t.narrow(0, 0, length).unwrap());
            (first(&out), first(&d))
        };
        let ((cut, d_cut), (whole, d_whole)) = (run(1), run(copies));
        assert_eq!(cut, whole);
        assert_ne!(d_cut, d_whole, "nothing was cut");
        for (a, b) in d_cut.iter().zip(&d_whole) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }
}

#[test]
fn packed_pooling_equals_each_sequence_alone() {
    let ws = Workspace::new();
    let offsets = vec![0, 3, 4, 4, 90];
    let sequences = Sequences::new(offsets.clone()).unwrap();
    let (hidden, d_pooled) = (random(1, &[90, 24]), random(2, &[4, 24]));
    for pooling in [Pooling::Mean, Pooling::Cls] {
        let pooled = pooling::forward(&ws, &hidden, &sequences, pooling).unwrap();
        let d = pooling::backward(&ws, &d_pooled, &sequences, pooling).unwrap();
        for (index, pair) in offsets.windows(2).enumerate() {
            let (start, count) = (pair[0], pair[1] - pair[0]);
            let alone = Sequences::single(count);
            let rows = |t: &Tensor| t.narrow(0, start, count).unwrap();
            let row = |t: &Tensor| t.narrow(0, index, 1).unwrap();
            let one = pooling::forward(&ws, &rows(&hidden), &alone, pooling).unwrap();
            let one_d = pooling::backward(&ws, &row(&d_pooled), &alone, pooling).unwrap();
            assert_eq!(values(&row(&pooled)), values(&one));
            assert_eq!(values(&rows(&d)), values(&one_d));
        }
    }
}

#[test]
fn caches_give_what_whole_sequences_give() {
    let ws = Workspace::new();
    let parts = [[1, 70, 0, 1, 17], [3, 0, 1, 40, 2]];
    let lengths = [89, 46];
    let qkv = [89, 46].map(|length| random(length as u64, &[length, HEADS.columns()]));
    let expected = [0, 1].map(|i| {
        let whole = Sequences::single(lengths[i]);
        values(
            &attention::forward(&ws, &qkv[i], &whole, HEADS, Mask::Causal, None)
                .unwrap()
                .0,
        )
    });
    let (mut first, mut second) = (Cache::new(HEADS), Cache::new(HEADS));
    let mut start = [0, 0];
    for (a, b) in parts[0].into_iter().zip(parts[1]) {
        let counts = [a, b];
        let rows = [0, 1].map(|i| qkv[i].narrow(0, start[i], counts[i]).unwrap());
        let both = Tensor::cat(&rows, 0).unwrap();
        let sequences = Sequences::new(vec![0, counts[0], counts[0] + counts[1]]).unwrap();
        // What is forgotten again leaves no trace.
        let kept = first.tokens();
        cached::forward(
            &ws,
            &qkv[1],
            &Sequences::single(46),
            &mut [&mut first],
            HEADS,
        )
        .unwrap();
        first.truncate(kept);
        let found = cached::forward(
            &ws,
            &both,
            &sequences,
            &mut [&mut first, &mut second],
            HEADS,
        );
        let found = values(&found.unwrap());
        let wanted = [0, 1].map(|i| &expected[i][start[i] * 32..(start[i] + counts[i]) * 32]);
        for (a, b) in found.iter().zip(wanted.concat()) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
        start = [start[0] + counts[0], start[1] + counts[1]];
    }
    assert_eq!([first.tokens(), second.tokens()], lengths);
}
