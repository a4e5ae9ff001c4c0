//! The threads that the host lends: a pool of that size, made when first needed, and nothing of rayon's global one.

use std::sync::OnceLock;

use codex_plugin_api::{Error, Result};
use rayon::ThreadPool;
use rayon::prelude::*;

/// Less work than this many bytes is not worth waking another thread.
const MIN_PARALLEL_BYTES: usize = 16 << 10;

pub(crate) struct Threads {
    count: usize,
    pool: OnceLock<ThreadPool>,
}

impl Threads {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count: count.max(1),
            pool: OnceLock::new(),
        }
    }

    /// `work` of every item, in order; the first error in that order. `bytes` says how much work an item is.
    pub(crate) fn map<T: Sync, R: Send>(
        &self,
        items: &[T],
        bytes: impl Fn(&T) -> usize,
        work: impl Fn(&T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let total: usize = items.iter().map(&bytes).sum();
        if self.count == 1 || items.len() < 2 || total < MIN_PARALLEL_BYTES {
            return items.iter().map(work).collect();
        }
        // Neighbours go to one thread together, so that many tiny items do not cost a task each.
        let share = (total / (self.count * 8)).max(1);
        let mut ranges = Vec::new();
        let (mut start, mut held) = (0, 0);
        for (index, item) in items.iter().enumerate() {
            held += bytes(item);
            if held >= share || index + 1 == items.len() {
                ranges.push(start..index + 1);
                (start, held) = (index + 1, 0);
            }
        }
        let parts: Vec<Result<Vec<R>>> = self.pool()?.install(|| {
            ranges
                .into_par_iter()
                .map(|range| items[range].iter().map(&work).collect())
                .collect()
        });
        let mut all = Vec::with_capacity(items.len());
        for part in parts {
            all.extend(part?);
        }
        Ok(all)
    }

    fn pool(&self) -> Result<&ThreadPool> {
        if let Some(pool) = self.pool.get() {
            return Ok(pool);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.count)
            .thread_name(|index| format!("tokenizer-{index}"))
            .build()
            .map_err(|error| {
                Error::failed(format!("{} threads cannot be started: {error}", self.count))
            })?;
        Ok(self.pool.get_or_init(|| pool))
    }
}
