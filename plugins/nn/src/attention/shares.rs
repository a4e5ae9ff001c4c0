//! How attention's work is cut and handed out, so that a long sequence beside many short ones leaves no thread idle.
//! What is cut depends on the lengths alone, never on the number of threads. The arithmetic is left to the callers.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{BLOCK, Heads, Mask};
use crate::Sequences;

/// Query rows of one sequence, for one key head and the query heads that share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) sequence: usize,
    pub(super) kv_head: usize,
    /// Query rows within the sequence; begins at a multiple of [`BLOCK`].
    pub(super) queries: Range<usize>,
    /// Whether they are all of the sequence's rows.
    pub(super) whole: bool,
    cost: usize,
}

/// What rows up to `rows` of a sequence cost: scores, and something for each row.
fn cost(rows: usize, length: usize, mask: Mask) -> usize {
    let scores = match mask {
        Mask::Causal => rows * (rows + BLOCK) / 2,
        Mask::Bidirectional => rows * length,
    };
    scores + 16 * rows
}

/// The items of a batch, the dearest first; a head of a sequence that costs more than `1 / share` of the whole batch is
/// cut into items that do not, but not below `least` rows.
pub(super) fn items(
    sequences: &Sequences,
    heads: Heads,
    mask: Mask,
    share: usize,
    least: usize,
) -> Vec<Item> {
    let whole: usize = sequences
        .ranges()
        .map(|range| cost(range.len(), range.len(), mask))
        .sum();
    let most = (whole * heads.kv_heads / share).max(1);
    let mut items = Vec::with_capacity(sequences.count() * heads.kv_heads);
    for (sequence, length) in sequences.ranges().map(|range| range.len()).enumerate() {
        if length == 0 {
            continue;
        }
        let all = cost(length, length, mask);
        let parts = all.div_ceil(most).min(length / least).max(1);
        let mut start = 0;
        for part in 1..=parts {
            // The first row behind the part: where its share of the cost ends, at the end of a block.
            let end = (start..length)
                .step_by(BLOCK)
                .map(|row| (row + BLOCK).min(length))
                .find(|&end| part < parts && cost(end, length, mask) >= all * part / parts)
                .unwrap_or(length);
            if start == end {
                continue;
            }
            for kv_head in 0..heads.kv_heads {
                items.push(Item {
                    sequence,
                    kv_head,
                    queries: start..end,
                    whole: start == 0 && end == length,
                    cost: cost(end, length, mask) - cost(start, length, mask),
                });
            }
            start = end;
        }
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.cost));
    items
}

/// Runs `work` once for each item: every thread of the pool takes the next one when it is done with the last, so that
/// none waits while there are any. `start` makes what one thread keeps between items.
pub(super) fn hand_out<S>(
    items: &[Item],
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize, &Item) + Sync,
) {
    let next = AtomicUsize::new(0);
    let threads = rayon::current_num_threads().min(items.len());
    (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .for_each(|_thread| {
            let mut state = start();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else {
                    break;
                };
                work(&mut state, index, item);
            }
        });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn items_cover_every_row_once_and_none_holds_much_of_the_batch() {
        // One sequence of 2,000 tokens among a hundred of twenty, and one alone.
        let mut mixed = vec![0, 700, 2700];
        mixed.extend((1..=100).map(|i| 2700 + 20 * i));
        for offsets in [mixed, vec![0, 2048], vec![0, 0, 5], vec![0, 64, 128]] {
            let sequences = Sequences::new(offsets).unwrap();
            for (mask, kv_heads) in [
                (Mask::Causal, 1),
                (Mask::Causal, 12),
                (Mask::Bidirectional, 3),
            ] {
                let heads = Heads {
                    heads: 12,
                    kv_heads,
                    head_size: 32,
                };
                let items = items(&sequences, heads, mask, 16, BLOCK);
                let total: usize = items.iter().map(|item| item.cost).sum();
                for item in &items {
                    // A block is not cut.
                    let block = cost(2048, 2048, mask) - cost(2048 - BLOCK, 2048, mask);
                    assert!(item.cost <= total / 16 + block, "{item:?} of {total}");
                    assert!(item.queries.start.is_multiple_of(BLOCK));
                }
                let mut rows = vec![0; sequences.tokens() * kv_heads];
                for item in &items {
                    let first = sequences.range(item.sequence).start;
                    for row in item.queries.clone() {
                        rows[(first + row) * kv_heads + item.kv_head] += 1;
                    }
                }
                assert!(rows.iter().all(|&times| times == 1));
            }
        }
    }
}
