//! What the functions need while they run, by an allocator that counts: attention on one long sequence, a head with many
//! targets, and gradients that nobody asked for. A binary of its own, because the count is of the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Device, Tensor};
use codex_nn::attention::{self, Heads, Mask};
use codex_nn::dropout::Dropout;
use codex_nn::linear::{self, Orientation};
use codex_nn::random::Key;
use codex_nn::{Sequences, Workspace, linear_cross_entropy};
use rayon::ThreadPool;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ASKED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every request goes to the system's allocator as it came; what is added only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(held, Ordering::SeqCst);
        ASKED.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests that measure do so one after the other.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn; a test that failed before has left nothing behind.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn two_threads() -> ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    pool.unwrap()
}

/// The most bytes held at once while `work` ran on two threads.
fn peak(work: impl FnOnce() + Send) -> usize {
    two_threads().install(|| {
        let held = HELD.load(Ordering::SeqCst);
        PEAK.store(held, Ordering::SeqCst);
        work();
        PEAK.load(Ordering::SeqCst) - held
    })
}

/// The bytes that `work` asks for on two threads every time: the least of several times, because what a thread of the
/// pool or of the tests needs for itself comes only once.
fn asked(mut work: impl FnMut() + Send) -> usize {
    two_threads().install(|| {
        let mut times = (0..10).map(|_| {
            let before = ASKED.load(Ordering::SeqCst);
            work();
            ASKED.load(Ordering::SeqCst) - before
        });
        let first = times.next().unwrap();
        times.fold(first, usize::min)
    })
}

fn random(seed: u64, shape: &[usize]) -> Tensor {
    let key = Key::new(seed);
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..count).map(|i| key.normal(i)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

#[test]
fn attention_grows_linearly_with_length() {
    let _turn = turn();
    let heads = Heads {
        heads: 4,
        kv_heads: 4,
        head_size: 16,
    };
    let dropped = Dropout {
        probability: 0.1,
        key: Key::new(1),
    };
    for mask in [Mask::Causal, Mask::Bidirectional] {
        for dropout in [None, Some(&dropped)] {
            let of_length = |tokens: usize| {
                let sequences = Sequences::single(tokens);
                let qkv = random(1, &[tokens, heads.columns()]);
                let dy = random(2, &[tokens, heads.heads * heads.head_size]);
                let ws = Workspace::new();
                peak(|| {
                    let (out, saved) =
                        attention::forward(&ws, &qkv, &sequences, heads, mask, dropout).unwrap();
                    attention::backward(
                        &ws, &dy, &qkv, &out, &saved, &sequences, heads, mask, dropout,
                    )
                    .unwrap();
                })
            };
            let peaks = [1024, 2048, 4096].map(of_length);
            for pair in peaks.windows(2) {
                assert!(pair[1] * 10 < pair[0] * 21, "{mask:?}: {peaks:?} bytes");
            }
            // Less than one matrix of scores for one head.
            assert!(peaks[2] < 4096 * 4096 * 4 / 2, "{mask:?}: {peaks:?} bytes");
        }
    }
}

#[test]
fn a_head_never_holds_all_logits() {
    let _turn = turn();
    let (tokens, vocabulary, width) = (4096, 8192, 16);
    let (hidden, weight) = (random(1, &[tokens, width]), random(2, &[vocabulary, width]));
    let gradient = random(3, &[vocabulary, width]);
    let targets: Vec<i32> = (0..tokens as i32).collect();
    let peak = peak(|| {
        linear_cross_entropy::forward_backward(
            &Workspace::new(),
            &hidden,
            &weight,
            None,
            &targets,
            1.0,
            Some(&gradient),
            None,
        )
        .unwrap();
    });
    // Logits of 512 rows at a time, and the packed operands of their products.
    assert!(peak < tokens * vocabulary * 4 / 6, "{peak} bytes");
}

#[test]
fn a_frozen_weight_asks_for_nothing() {
    let _turn = turn();
    let (x, dy) = (random(1, &[2048, 64]), random(2, &[2048, 64]));
    let ws = Workspace::new();
    let asked = asked(|| {
        linear::backward_weight(&ws, &dy, &x, None, None, Orientation::OutIn).unwrap();
    });
    assert_eq!(asked, 0);
}
