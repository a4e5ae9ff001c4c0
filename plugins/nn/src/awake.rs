//! Keeps a pool's threads awake during a short pass. Between two products of a pass over a few tokens lie some
//! microseconds; a thread that goes to sleep in them must be woken by the system, which costs as much again. What the
//! pass computes is left to the caller.

use std::sync::atomic::{AtomicBool, Ordering};

/// Looks at the pool without finding work after which a thread lets others of the system run once.
const PATIENCE: u32 = 200;

/// Runs `work` on the calling thread of a pool while the pool's other threads look for work all the time. Meant for a
/// pass of a few milliseconds: the threads take processor time even where nothing is shared out.
///
/// Outside a pool, or in a pool of one thread, this only runs `work`.
pub fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let Some(own) = rayon::current_thread_index() else {
        return work();
    };
    if rayon::current_num_threads() < 2 {
        return work();
    }
    let done = AtomicBool::new(false);
    let done = &done;
    rayon::scope(|scope| {
        scope.spawn_broadcast(move |_, thread| {
            // The caller's own share of the broadcast would wait for itself.
            if thread.index() != own {
                look_for_work(done);
            }
        });
        let _end = Ends(done);
        work()
    })
}

/// Says that the pass is over even if it panics: the others would look forever.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn look_for_work(done: &AtomicBool) {
    let mut misses = 0;
    while !done.load(Ordering::Acquire) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            misses = 0;
            continue;
        }
        misses += 1;
        if misses % PATIENCE == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    }

    #[test]
    fn work_is_shared_out_as_before() {
        for threads in [1, 2, 3] {
            let sum: u64 = pool(threads).install(|| {
                awake(|| {
                    (0..50)
                        .map(|_| (0..1000_u64).into_par_iter().sum::<u64>())
                        .sum()
                })
            });
            assert_eq!(sum, 50 * 499_500);
        }
        assert_eq!(awake(|| 7), 7);
    }

    #[test]
    fn a_panic_lets_the_others_go() {
        let pool = pool(2);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.install(|| awake(|| panic!("in the middle")))
        }));
        assert!(caught.is_err());
        assert_eq!(
            pool.install(|| (0..10).into_par_iter().map(|i: i32| i).sum::<i32>()),
            45
        );
    }

    #[test]
    fn passes_within_passes_end() {
        let total = pool(3).install(|| awake(|| awake(|| rayon::join(|| 1, || 2))));
        assert_eq!(total, (1, 2));
    }
}
