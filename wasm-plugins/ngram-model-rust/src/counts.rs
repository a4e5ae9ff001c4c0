//! How often which token followed which others, and the probabilities that follow from it.

use std::collections::HashMap;

/// A tree of contexts: the root is the empty one, a child knows one more token further back. So what a context's shorter
/// forms say lies on the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    order: usize,
    nodes: Vec<Node>,
    /// From a node and the token before its context to the longer context.
    children: HashMap<(u32, u32), u32>,
}

/// A context and what followed it.
#[derive(Clone, Debug)]
struct Node {
    parent: u32,
    /// The token that the context has before its parent's.
    id: u32,
    depth: u32,
    total: u64,
    /// Tokens that followed, by id, and how often.
    followers: Vec<(u32, u32)>,
}

impl Node {
    fn add(&mut self, id: u32, count: u32) {
        self.total += u64::from(count);
        match self
            .followers
            .binary_search_by_key(&id, |follower| follower.0)
        {
            Ok(at) => self.followers[at].1 = self.followers[at].1.saturating_add(count),
            Err(at) => self.followers.insert(at, (id, count)),
        }
    }

    /// What is left of a count, as a share of all.
    fn share(&self, count: u32, discount: f64) -> f64 {
        (f64::from(count) - discount) / self.total as f64
    }

    /// What all counts together gave to the shorter context.
    fn rest(&self, discount: f64) -> f64 {
        discount * self.followers.len() as f64 / self.total as f64
    }
}

impl Counts {
    /// Nothing was counted; n-grams of up to `order` tokens can be.
    pub(crate) fn new(order: usize) -> Self {
        let root = Node {
            parent: 0,
            id: 0,
            depth: 0,
            total: 0,
            followers: Vec::new(),
        };
        Self {
            order,
            nodes: vec![root],
            children: HashMap::new(),
        }
    }

    /// Counts one token and what came before it, in n-grams of every length.
    pub(crate) fn add(&mut self, before: &[u32], id: u32) {
        let mut node = 0;
        self.nodes[node as usize].add(id, 1);
        for &token in before.iter().rev().take(self.order - 1) {
            node = self.child(node, token);
            self.nodes[node as usize].add(id, 1);
        }
    }

    /// Counts an n-gram of one length `count` times.
    pub(crate) fn add_one(&mut self, ngram: &[u32], count: u32) {
        let Some((&id, before)) = ngram.split_last() else {
            return;
        };
        let node = before
            .iter()
            .rev()
            .fold(0, |node, &token| self.child(node, token));
        self.nodes[node as usize].add(id, count);
    }

    /// Adds the n-grams of those lengths for which `takes` says so.
    pub(crate) fn merge(&mut self, other: &Self, takes: impl Fn(usize) -> bool) {
        // A parent stands before its children.
        let mut places = Vec::with_capacity(other.nodes.len());
        for (index, node) in other.nodes.iter().enumerate() {
            let place = match index {
                0 => 0,
                _ => self.child(places[node.parent as usize], node.id),
            };
            places.push(place);
            if takes(node.depth as usize + 1) {
                for &(id, count) in &node.followers {
                    self.nodes[place as usize].add(id, count);
                }
            }
        }
    }

    fn child(&mut self, parent: u32, id: u32) -> u32 {
        let next = self.nodes.len() as u32;
        let place = *self.children.entry((parent, id)).or_insert(next);
        if place == next {
            self.nodes.push(Node {
                parent,
                id,
                depth: self.nodes[parent as usize].depth + 1,
                total: 0,
                followers: Vec::new(),
            });
        }
        place
    }

    /// The contexts that were seen, from the empty one to the longest.
    fn path<'a>(&'a self, before: &'a [u32]) -> impl Iterator<Item = &'a Node> {
        let mut node = Some(0);
        let mut rest = before.iter().rev().take(self.order - 1);
        std::iter::from_fn(move || {
            let this = node?;
            node = rest
                .next()
                .and_then(|&token| self.children.get(&(this, token)).copied());
            Some(&self.nodes[this as usize])
        })
        .filter(|node| node.total > 0)
    }

    /// The probability of a token: each context's discounted share, and what it discounted spread as the shorter context
    /// has it; in the end all `vocab_size` tokens are alike.
    pub(crate) fn probability(
        &self,
        before: &[u32],
        id: u32,
        vocab_size: u32,
        discount: f64,
    ) -> f64 {
        let all_alike = 1.0 / f64::from(vocab_size);
        self.path(before).fold(all_alike, |shorter, node| {
            let found = node
                .followers
                .binary_search_by_key(&id, |follower| follower.0);
            let share = found.map_or(0.0, |at| node.share(node.followers[at].1, discount));
            node.rest(discount) * shorter + share
        })
    }

    /// The same for all tokens, to the last bit.
    pub(crate) fn distribution(&self, before: &[u32], discount: f64, probabilities: &mut [f64]) {
        probabilities.fill(1.0 / f64::from(probabilities.len() as u32));
        for node in self.path(before) {
            let rest = node.rest(discount);
            for probability in probabilities.iter_mut() {
                *probability *= rest;
            }
            for &(id, count) in &node.followers {
                probabilities[id as usize] += node.share(count, discount);
            }
        }
    }

    fn of_length(&self, length: usize) -> impl Iterator<Item = (u32, &Node)> {
        let numbered = (0..).zip(&self.nodes);
        numbered.filter(move |(_, node)| node.depth as usize + 1 == length)
    }

    /// How many different n-grams of a length there are.
    pub(crate) fn distinct(&self, length: usize) -> u64 {
        let followers = self
            .of_length(length)
            .map(|(_, node)| node.followers.len() as u64);
        followers.sum()
    }

    /// The squares of all counts of n-grams of a length, added up.
    pub(crate) fn squares(&self, length: usize) -> f64 {
        let counts = self.of_length(length).flat_map(|(_, node)| &node.followers);
        counts
            .map(|&(_, count)| f64::from(count) * f64::from(count))
            .sum()
    }

    /// The n-grams of a length in order, each with its count.
    pub(crate) fn ngrams(&self, length: usize) -> Vec<(Vec<u32>, u32)> {
        let mut all = Vec::new();
        for (mut at, node) in self.of_length(length) {
            let mut ngram = Vec::with_capacity(length);
            while at != 0 {
                let context = &self.nodes[at as usize];
                ngram.push(context.id);
                at = context.parent;
            }
            for &(id, count) in &node.followers {
                let mut whole = ngram.clone();
                whole.push(id);
                all.push((whole, count));
            }
        }
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCAB: u32 = 5;
    const DISCOUNT: f64 = 0.75;

    fn counted(ids: &[u32]) -> Counts {
        let mut counts = Counts::new(3);
        for at in 1..ids.len() {
            counts.add(&ids[..at], ids[at]);
        }
        counts
    }

    #[test]
    fn a_probability_is_what_the_formula_gives_by_hand() {
        // After 1 came 2 twice and 3 once; alone, 2 came twice, 1 twice and 3 once.
        let counts = counted(&[1, 2, 1, 2, 1, 3]);
        let unigram = (2.0 - 0.75) / 5.0 + 0.75 * 3.0 / 5.0 * 0.2;
        let bigram = (2.0 - 0.75) / 3.0 + 0.75 * 2.0 / 3.0 * unigram;
        let found = counts.probability(&[4, 1], 2, VOCAB, DISCOUNT);
        assert!((found - bigram).abs() < 1e-12, "{found}, not {bigram}");
        assert_eq!(counts.probability(&[], 2, VOCAB, DISCOUNT), unigram);
        assert_eq!(Counts::new(3).probability(&[1], 2, VOCAB, DISCOUNT), 0.2);
    }

    #[test]
    fn distributions_add_up_to_one_and_agree_with_single_probabilities() {
        let counts = counted(&[0, 1, 2, 1, 2, 3, 4, 1, 2, 1]);
        let mut all = vec![0.0; VOCAB as usize];
        for before in [&[][..], &[1], &[1, 2], &[4, 4, 4], &[2, 1]] {
            counts.distribution(before, DISCOUNT, &mut all);
            let sum: f64 = all.iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum} behind {before:?}");
            for (id, &expected) in (0..).zip(&all) {
                assert_eq!(counts.probability(before, id, VOCAB, DISCOUNT), expected);
            }
        }
    }

    #[test]
    fn parts_that_are_merged_equal_the_whole() {
        let (mut first, second) = (counted(&[1, 2, 3, 1]), counted(&[2, 3, 1, 4]));
        let mut whole = counted(&[1, 2, 3, 1]);
        for at in 1..4 {
            whole.add(&[2, 3, 1, 4][..at], [2, 3, 1, 4][at]);
        }
        first.merge(&second, |_| true);
        for length in 1..=3 {
            assert_eq!(first.ngrams(length), whole.ngrams(length));
            assert_eq!(first.distinct(length), whole.ngrams(length).len() as u64);
        }
        assert_eq!(first.ngrams(2)[0], (vec![1, 2], 1));
        assert!(first.ngrams(2).contains(&(vec![3, 1], 2)));
        assert_eq!(first.squares(2), 1.0 + 4.0 + 4.0 + 1.0);
        let mut only = Counts::new(3);
        only.merge(&second, |length| length == 2);
        assert_eq!(
            (only.distinct(1), only.distinct(2), only.distinct(3)),
            (0, 3, 0)
        );
    }

    #[test]
    fn ngrams_that_are_listed_can_be_counted_again() {
        let counts = counted(&[1, 2, 1, 2, 1, 3, 0]);
        let mut again = Counts::new(3);
        for length in 1..=3 {
            for (ngram, count) in counts.ngrams(length) {
                again.add_one(&ngram, count);
            }
        }
        for id in 0..VOCAB {
            let of = |counts: &Counts| counts.probability(&[2, 1], id, VOCAB, DISCOUNT);
            assert_eq!(of(&again).to_bits(), of(&counts).to_bits());
        }
    }
}
