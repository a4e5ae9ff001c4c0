//! From texts to a vocabulary: counts words as texts come, then learns tokens from the counts.

mod alphabet;
mod merges;
mod unigram;
mod words;

use std::collections::HashMap;

use codex_plugin_api::{Error, HostRef, LogLevel, Result, Texts};
use tokenizers::Tokenizer;

use crate::bytes;
use crate::config::{Algorithm, HfConfig};
use crate::layout::{self, Model};
use crate::threads::Threads;
use merges::{Goal, Word};
use words::WordCounts;

/// A tokenizer that is still learning.
pub(crate) struct Training {
    config: HfConfig,
    divider: Tokenizer,
    words: WordCounts,
}

impl Training {
    pub(crate) fn new(config: HfConfig) -> Result<Self> {
        config.check()?;
        let divider = layout::untrained(&config)
            .map_err(|error| Error::failed(format!("the tokenizer cannot be set up: {error}")))?;
        Ok(Self {
            config,
            divider,
            words: WordCounts::default(),
        })
    }

    pub(crate) fn config(&self) -> &HfConfig {
        &self.config
    }

    pub(crate) fn feed(
        &mut self,
        texts: Texts<'_>,
        threads: &Threads,
        host: &HostRef,
    ) -> Result<()> {
        self.words
            .feed(texts, &self.divider, threads, || host.interrupted())
    }

    /// Learns from the words counted so far, which are used up unless there are none.
    pub(crate) fn finish(&mut self, host: &HostRef) -> Result<Tokenizer> {
        if self.words.is_empty() {
            return Err(Error::data("the tokenizer was fed no text to learn from")
                .hint("check that the dataset's text column is not empty"));
        }
        let words = std::mem::take(&mut self.words);
        if words.forgotten_below > 0 {
            host.log(
                LogLevel::Info,
                &format!(
                    "words met fewer than {} times were forgotten to bound memory",
                    words.forgotten_below
                ),
            );
        }
        let model = self.learn(words.into_sorted(), host)?;
        let learned = match &model {
            Model::Merges { tokens, .. } => tokens.len(),
            Model::Pieces(pieces) => pieces.len(),
        };
        if learned < self.config.vocab_size as usize {
            host.log(
                LogLevel::Info,
                &format!(
                    "the texts give {learned} tokens where vocab_size asks for {}",
                    self.config.vocab_size
                ),
            );
        }
        layout::tokenizer(&self.config, &model).map_err(|error| {
            Error::failed(format!("the learned tokenizer cannot be set up: {error}"))
        })
    }

    fn learn(&self, words: Vec<(String, u64)>, host: &HostRef) -> Result<Model> {
        let size = self.config.vocab_size;
        let mut tokens = self.config.all_special_tokens();
        let room = size as usize - tokens.len() - self.config.algorithm.bytes();
        match self.config.algorithm {
            Algorithm::ByteLevelBpe => {
                let reserved = tokens.len();
                let mut alphabet = bytes::alphabet();
                alphabet.sort_unstable();
                tokens.extend(alphabet.map(String::from));
                self.merge(&words, tokens, reserved, "", host)
            }
            Algorithm::MetaspaceBpe => {
                let alphabet = alphabet::choose(&words, room, size)?;
                let words = alphabet::known_parts(words, &alphabet);
                tokens.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>")));
                let reserved = tokens.len();
                tokens.extend(alphabet.into_iter().map(String::from));
                self.merge(&words, tokens, reserved, "", host)
            }
            Algorithm::Wordpiece => {
                // Every character can begin a word and continue one.
                let alphabet = alphabet::choose(&words, room / 2, size)?;
                let reserved = tokens.len();
                // BERT gives up on a whole word when it lacks one of its characters.
                let words: Vec<_> = words
                    .into_iter()
                    .filter(|(word, _)| word.chars().all(|c| alphabet.contains(&c)))
                    .collect();
                tokens.extend(alphabet.iter().map(|&c| c.to_string()));
                tokens.extend(alphabet.iter().map(|c| format!("##{c}")));
                self.merge(&words, tokens, reserved, "##", host)
            }
            Algorithm::Unigram => {
                let alphabet = alphabet::choose(&words, room, size)?;
                let words = alphabet::known_parts(words, &alphabet);
                refuse_twice(&tokens, |token| {
                    let mut characters = token.chars();
                    let first = characters.next();
                    characters.next().is_none() && first.is_some_and(|c| alphabet.contains(&c))
                })?;
                host.progress("learning pieces", 0, 0);
                Ok(Model::Pieces(unigram::learn(words, &tokens, size)?))
            }
        }
    }

    fn merge(
        &self,
        words: &[(String, u64)],
        mut tokens: Vec<String>,
        reserved: usize,
        prefix: &str,
        host: &HostRef,
    ) -> Result<Model> {
        let ids: HashMap<&str, u32> = tokens
            .iter()
            .enumerate()
            .skip(reserved)
            .map(|(id, token)| (token.as_str(), id as u32))
            .collect();
        refuse_twice(&tokens[..reserved], |token| ids.contains_key(token))?;
        let symbols = |word: &str| -> Vec<u32> {
            let marked = word
                .char_indices()
                .map(|(at, c)| format!("{}{c}", if at > 0 { prefix } else { "" }));
            marked
                .filter_map(|symbol| ids.get(symbol.as_str()).copied())
                .collect()
        };
        let words = words
            .iter()
            .map(|(word, count)| Word {
                symbols: symbols(word),
                count: *count,
            })
            .collect();
        let goal = Goal {
            vocab_size: self.config.vocab_size as usize,
            min_frequency: self.config.min_frequency,
            prefix,
            reserved,
        };
        let total = u64::from(self.config.vocab_size);
        let merges = merges::learn(words, &mut tokens, &goal, |done| {
            host.progress("learning tokens", done as u64, total);
            if host.interrupted() {
                Err(Error::interrupted())
            } else {
                Ok(())
            }
        })?;
        Ok(Model::Merges { tokens, merges })
    }
}

/// A special token must not be what the algorithm itself calls a character or a byte.
fn refuse_twice(special: &[String], taken: impl Fn(&str) -> bool) -> Result<()> {
    match special.iter().find(|token| taken(token)) {
        None => Ok(()),
        Some(token) => Err(Error::config(format!(
            "special token {token:?} is also the token of a character"
        ))
        .hint("give special tokens names that no text holds, such as <|name|>")),
    }
}
