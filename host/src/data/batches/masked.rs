//! Windows with hidden tokens, for masked language models (Devlin et al. 2018). Which tokens are hidden is drawn anew
//! for every batch, from counters: it is a function of the seed, the batch and the place in it.

use codex_plugin_api::{Error, IGNORE_LABEL, Result, Vocabulary};

use super::{Batch, Windows};
use crate::config::Masking;
use crate::random;

/// How often a random token is drawn again because it was a special one.
const DRAWS: u64 = 8;

/// Hides tokens.
#[derive(Clone, Debug)]
pub struct Masker {
    masking: Masking,
    mask: u32,
    vocabulary: u32,
    special: Vec<u32>,
    seed: u64,
}

impl Masker {
    /// Hides tokens of a vocabulary; special ones are never hidden, and never stand in a hidden one's place.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when the tokenizer has no mask token.
    pub fn new(masking: Masking, vocabulary: &Vocabulary, seed: u64) -> Result<Self> {
        let special = vocabulary.special;
        let mask = special.mask.ok_or_else(|| {
            Error::config("the tokenizer has no mask token, which masked-lm needs").hint(
                "use one that has: tokenizer=wordpiece-8k, or tokenizer.path of an encoder such as BERT",
            )
        })?;
        let all = [
            special.bos,
            special.eos,
            special.pad,
            special.unk,
            special.cls,
            special.sep,
            special.mask,
        ];
        Ok(Self {
            masking,
            mask,
            vocabulary: vocabulary.size,
            special: all.into_iter().flatten().collect(),
            seed,
        })
    }

    /// Hides some of `ids`, which stand at `counter` (a batch, a document); gives one label an id, of which those that
    /// are no target are [`IGNORE_LABEL`], and the number of targets. With `at_least_one` there is a target wherever
    /// there is a token that may be one.
    pub fn mask(&self, counter: u64, ids: &mut [u32], at_least_one: bool) -> (Vec<i64>, u64) {
        let draw =
            |purpose, place: usize| random::unit(self.seed, purpose, &[counter, place as u64]);
        let mut labels = vec![IGNORE_LABEL; ids.len()];
        let mut targets = 0;
        let mut nearest: Option<(f64, usize)> = None;
        for place in 0..ids.len() {
            if self.special.contains(&ids[place]) {
                continue;
            }
            let chance = draw("masked", place);
            if chance < self.masking.probability {
                self.hide(counter, place, ids, &mut labels);
                targets += 1;
            } else if nearest.is_none_or(|(least, _)| chance < least) {
                nearest = Some((chance, place));
            }
        }
        if let Some((_, place)) = nearest.filter(|_| at_least_one && targets == 0) {
            self.hide(counter, place, ids, &mut labels);
            targets = 1;
        }
        (labels, targets)
    }

    fn hide(&self, counter: u64, place: usize, ids: &mut [u32], labels: &mut [i64]) {
        labels[place] = i64::from(ids[place]);
        let counters = [counter, place as u64];
        let kind = random::unit(self.seed, "masked by", &counters);
        if kind < self.masking.mask_fraction {
            ids[place] = self.mask;
        } else if kind < self.masking.mask_fraction + self.masking.random_fraction {
            let drawn = (0..DRAWS)
                .map(|again| {
                    let bits = random::bits(
                        self.seed,
                        "masking token",
                        &[counters[0], counters[1], again],
                    );
                    ((u128::from(bits) * u128::from(self.vocabulary)) >> 64) as u32
                })
                .find(|id| !self.special.contains(id));
            ids[place] = drawn.unwrap_or(ids[place]);
        }
    }
}

/// Windows of which a masker hides some tokens.
#[derive(Clone, Debug)]
pub struct MaskedWindows {
    windows: Windows,
    masker: Masker,
}

impl MaskedWindows {
    /// Hides tokens of `windows`, none of whose ids is only read.
    pub fn new(windows: Windows, masker: Masker) -> Self {
        Self { windows, masker }
    }

    /// How many batches make an epoch.
    pub fn per_epoch(&self) -> u64 {
        self.windows.per_epoch()
    }

    /// Batch `index`, counted over all epochs; at least one token is hidden where one may be.
    ///
    /// # Errors
    /// As [`Windows::batch`].
    pub fn batch(&self, index: u64) -> Result<Batch> {
        let mut batch = self.windows.batch(index)?;
        let (labels, targets) = self.masker.mask(index, &mut batch.ids, true);
        batch.labels = Some(labels);
        batch.targets = targets;
        Ok(batch)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{SpecialTokens, Tokenizer};

    use super::*;
    use crate::data::{Framing, TokenStore};
    use crate::testing::{ByteTokenizer, EncoderTokenizer, app, documents};

    fn masker(masking: Masking) -> Masker {
        Masker::new(masking, &EncoderTokenizer.vocabulary().unwrap(), 3).unwrap()
    }

    #[test]
    fn shares_are_those_of_the_settings() {
        let masker = masker(Masking::default());
        let special = masker.special.clone();
        let original: Vec<u32> = (0..40_000).map(|n| n % 260).collect();
        let mut ids = original.clone();
        let (labels, targets) = masker.mask(7, &mut ids, true);
        let hidden: Vec<usize> = (0..ids.len()).filter(|&at| labels[at] >= 0).collect();
        assert_eq!(hidden.len() as u64, targets);
        let may = original.iter().filter(|id| !special.contains(id)).count() as f64;
        let share = |count: usize, of: f64| count as f64 / of;
        // Standard deviations: 0.002 of the first, 0.005 of the others.
        assert!((share(hidden.len(), may) - 0.15).abs() < 0.01);
        let count = |test: &dyn Fn(usize) -> bool| hidden.iter().filter(|&&at| test(at)).count();
        let of = hidden.len() as f64;
        let masked = count(&|at| ids[at] == masker.mask);
        let kept = count(&|at| ids[at] == original[at]);
        assert!((share(masked, of) - 0.8).abs() < 0.025, "{masked} of {of}");
        assert!((share(kept, of) - 0.1).abs() < 0.025, "{kept} of {of}");
        for at in 0..ids.len() {
            match labels[at] {
                IGNORE_LABEL => assert_eq!(ids[at], original[at]),
                label => assert_eq!(label, i64::from(original[at])),
            }
            if special.contains(&original[at]) {
                assert_eq!((labels[at], ids[at]), (IGNORE_LABEL, original[at]));
            } else {
                assert!(ids[at] == masker.mask || !special.contains(&ids[at]));
            }
        }
    }

    #[test]
    fn what_is_hidden_is_a_function_of_the_place() {
        let masker = masker(Masking::default());
        let hidden = |counter| {
            let mut ids: Vec<u32> = (0..500).map(|n| n % 250).collect();
            let labels = masker.mask(counter, &mut ids, true).0;
            (ids, labels)
        };
        assert_eq!(hidden(4), hidden(4));
        assert_ne!(hidden(4), hidden(5));
    }

    #[test]
    fn something_is_hidden_even_in_the_shortest_text() {
        let rare = Masking {
            probability: 1e-9,
            ..Masking::default()
        };
        let masker = masker(rare);
        let mut ids = [256, 97, 98, 257];
        assert_eq!(masker.mask(0, &mut ids.clone(), false).1, 0);
        let (labels, targets) = masker.mask(0, &mut ids, true);
        assert_eq!(targets, 1);
        assert_eq!((labels[0], labels[3]), (IGNORE_LABEL, IGNORE_LABEL));
        assert_eq!(masker.mask(0, &mut [256, 257], true).1, 0);
    }

    #[test]
    fn a_tokenizer_without_a_mask_token_is_refused() {
        let vocabulary = ByteTokenizer.vocabulary().unwrap();
        let error = Masker::new(Masking::default(), &vocabulary, 0).unwrap_err();
        assert!(error.message().contains("no mask token"), "{error}");
        assert!(error.hint_text().unwrap().contains("wordpiece"));
    }

    #[test]
    fn an_epoch_shows_every_token_and_hides_others_each_time() {
        let texts = (0..60).map(|n| "abcdefghij"[..=(n % 10)].to_owned());
        let cache = tempfile::tempdir().unwrap();
        let framing = Framing::of_encoder(&SpecialTokens {
            cls: Some(256),
            sep: Some(257),
            ..SpecialTokens::default()
        });
        let store = TokenStore::open_or_build(
            cache.path(),
            &documents(texts),
            &EncoderTokenizer,
            framing,
            &app(),
        )
        .unwrap();
        let tokens = store.tokens();
        let batches = MaskedWindows::new(
            Windows::whole(store, 16, 4, 5).unwrap(),
            masker(Masking::default()),
        );
        let epoch = |number: u64| -> Vec<Batch> {
            let first = number * batches.per_epoch();
            (first..first + batches.per_epoch())
                .map(|index| batches.batch(index).unwrap())
                .collect()
        };
        for batch in epoch(0) {
            let tokens = batch.as_batch().unwrap();
            tokens.check().unwrap();
            assert!(batch.targets > 0);
            let labels = batch.labels.as_deref().unwrap();
            let found = labels.iter().filter(|&&label| label != IGNORE_LABEL);
            assert_eq!(found.count() as u64, batch.targets);
            for ids in tokens.sequences.iter() {
                assert!((2..=16).contains(&ids.len()));
                // A text begins nowhere but at a sequence's beginning.
                assert!(ids[1..].iter().all(|&id| id != 256));
            }
        }
        let seen: usize = epoch(0).iter().map(|batch| batch.ids.len()).sum();
        // Single ids at a window's border are left out; filling up repeats less than a batch and a window.
        let (least, most) = (tokens as usize * 9 / 10, tokens as usize + 5 * 16);
        assert!((least..most).contains(&seen), "{seen} of {tokens}");
        assert_ne!(epoch(0)[0], epoch(1)[0]);
        assert_eq!(epoch(1)[1], batches.batch(batches.per_epoch() + 1).unwrap());
    }
}
