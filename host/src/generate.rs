//! Text from a model: prompts in, continuations out, several prompts in one pass.
//!
//! The model gives logits, the tokenizer bytes; choosing a token, stopping and turning bytes into text that can be shown
//! are this room's.

mod blocked;
mod passed;
mod sampling;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::automaton::StateID;
use codex_plugin_api::{EncodeOptions, Error, ErrorKind, Ids, Model, Result, Texts, Tokenizer};
use serde::Serialize;

use self::blocked::Blocked;
use self::passed::Passed;
pub use self::sampling::Sampling;
use self::sampling::penalise;
use self::text::TextStream;
use crate::app::App;
use crate::data::Framing;
use crate::model_folder::foreign_id;
use crate::random;

/// So many prompts go through the model together: each holds a cache of its own.
const TOGETHER: usize = 16;

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How a token is chosen.
    pub sampling: Sampling,
    /// At most so many tokens a prompt.
    pub max_new_tokens: u64,
    /// Texts at which to stop; they do not belong to the continuation.
    pub stop: Vec<String>,
    /// Tokens that end a text.
    pub end_tokens: Vec<u32>,
    /// Texts that are never generated.
    pub blocked: Vec<String>,
    /// Whether ASCII letters in them stand for both cases.
    pub blocked_ignore_case: bool,
}

/// Why a continuation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended the text.
    Eos,
    /// As many tokens as asked for, or as the model can hold.
    Length,
    /// A stop text came, or the sanitizers' policy ended the text.
    Stop,
    /// Every token would have completed a blocked text.
    Blocked,
}

/// What was generated for one prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The continuation alone.
    pub text: String,
    /// How many tokens were generated, without the one that ends a text.
    pub tokens: u64,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// A prompt's ids. With `post_process` the tokenizer adds what its own configuration says, as Transformers does; else
/// the prompt begins as the documents of a training run do.
///
/// # Errors
/// The tokenizer's, and [`ErrorKind::Config`] for an empty prompt where there is no token to begin with.
pub fn prompt_ids(tokenizer: &dyn Tokenizer, prompt: &str, post_process: bool) -> Result<Vec<u32>> {
    let special = tokenizer.vocabulary()?.special;
    let before = Framing::of(&special).before;
    let offsets = [0, prompt.len() as u64];
    let options = EncodeOptions {
        add_special_tokens: post_process,
        ..EncodeOptions::default()
    };
    let encoding = tokenizer.encode(Texts::new(prompt.as_bytes(), &offsets)?, options)?;
    let mut ids = encoding.ids;
    if post_process {
        // Some post-processors also end the text, and there is nothing to continue behind an end.
        let end = [special.eos, special.sep];
        while ids.len() > 1 && end.contains(&ids.last().copied()) {
            ids.pop();
        }
        if ids.is_empty() {
            ids.extend(before);
        }
    } else {
        ids.splice(0..0, before);
    }
    if ids.is_empty() {
        return Err(Error::config(
            "the prompt is empty and the tokenizer has no token to begin a text with",
        )
        .hint("give at least one character: --prompt TEXT"));
    }
    Ok(ids)
}

/// Continues every prompt. `show` is called once a token, with the number of its prompt and the text that may be shown by
/// now: whole characters that cannot belong to a stop text and that the sanitizers let pass. That may be none.
///
/// # Errors
/// [`ErrorKind::Config`] for settings that make no sense or a prompt that is longer than the model reads,
/// [`ErrorKind::Interrupted`], [`ErrorKind::Plugin`] for logits that are not numbers, [`ErrorKind::Data`] for text that
/// the sanitizers' policy blocks, and what model, tokenizer and `show` say.
pub fn generate(
    model: &mut dyn Model,
    tokenizer: &dyn Tokenizer,
    prompts: &[Vec<u32>],
    settings: &Settings,
    app: &App,
    show: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<Vec<Completion>> {
    settings.check()?;
    let info = model.info()?;
    let longest = info.max_sequence_length as usize;
    let vocab_size = info.vocab_size as usize;
    for (index, prompt) in prompts.iter().enumerate() {
        if prompt.len() > longest {
            return Err(Error::config(format!(
                "prompt {} has {} tokens, and the model reads {longest} at most",
                index + 1,
                prompt.len()
            ))
            .hint("shorten the prompt, or train a model with a larger model.sequence_length"));
        }
        if let Some(id) = prompt.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(foreign_id(*id, info.vocab_size));
        }
    }
    let draws = draws(prompts);
    // A model's vocabulary may be padded with ids that the tokenizer does not know.
    let known = vocab_size.min(tokenizer.vocabulary()?.size as usize);
    let blocked = Blocked::new(
        &settings.blocked,
        settings.blocked_ignore_case,
        tokenizer,
        known,
    )?;
    let mut completions = Vec::with_capacity(prompts.len());
    for (group, prompts) in prompts.chunks(TOGETHER).enumerate() {
        let mut sessions = Vec::with_capacity(prompts.len());
        let outcome = (|| {
            for _ in prompts {
                sessions.push(model.open_session()?);
            }
            let run = Run {
                tokenizer,
                settings,
                blocked: blocked.as_ref(),
                app,
                vocab_size,
                known,
                longest,
                first_prompt: group * TOGETHER,
            };
            let draws = &draws[group * TOGETHER..];
            run.continue_all(model, &sessions, prompts, draws, show)
        })();
        for session in sessions {
            // The first failure is the one to tell.
            let _ = model.close_session(session);
        }
        completions.extend(outcome?);
    }
    Ok(completions)
}

/// What the draws for each prompt depend on besides seed and position: the prompt itself, and how often it came before.
/// So a prompt is continued alike alone and among others, and one that is given twice is continued in two ways.
fn draws(prompts: &[Vec<u32>]) -> Vec<[u64; 2]> {
    let mut seen = BTreeMap::new();
    let draw = |prompt: &Vec<u32>| {
        let times: &mut u64 = seen.entry(prompt.clone()).or_default();
        *times += 1;
        let ids: Vec<u64> = prompt.iter().map(|&id| u64::from(id)).collect();
        [random::bits(0, "prompt", &ids), *times]
    };
    prompts.iter().map(draw).collect()
}

impl Settings {
    fn check(&self) -> Result<()> {
        self.sampling.check()?;
        if self.max_new_tokens == 0 {
            return Err(Error::config(
                "--max-new-tokens is 0, it must be at least 1",
            ));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(Error::config("a stop text is empty")
                .hint("an empty text is everywhere: leave the --stop out"));
        }
        Ok(())
    }
}

/// One group of prompts on its way.
struct Run<'a> {
    tokenizer: &'a dyn Tokenizer,
    settings: &'a Settings,
    blocked: Option<&'a Blocked>,
    app: &'a App,
    vocab_size: usize,
    known: usize,
    longest: usize,
    first_prompt: usize,
}

/// Where one prompt stands.
struct Progress {
    /// What the session has not read yet.
    unread: Vec<u32>,
    read: usize,
    generated: u64,
    /// The tokens of prompt and continuation, where a penalty needs them.
    seen: BTreeSet<u32>,
    /// What its draws depend on.
    draw: [u64; 2],
    text: TextStream,
    /// How much of a blocked text it ends with, where any is blocked.
    blocked: Option<StateID>,
    /// What of it may be shown.
    passed: Passed,
    finished: Option<FinishReason>,
}

impl Run<'_> {
    fn continue_all(
        &self,
        model: &mut dyn Model,
        sessions: &[u64],
        prompts: &[Vec<u32>],
        draws: &[[u64; 2]],
        show: &mut dyn FnMut(usize, &str) -> Result<()>,
    ) -> Result<Vec<Completion>> {
        let mut all = prompts
            .iter()
            .zip(draws)
            .map(|(prompt, &draw)| self.begin(prompt, draw))
            .collect::<Result<Vec<_>>>()?;
        loop {
            let active: Vec<usize> = (0..all.len())
                .filter(|&index| all[index].finished.is_none())
                .collect();
            if active.is_empty() {
                break;
            }
            if self.app.interrupt.requested() {
                return Err(Error::interrupted());
            }
            let mut logits = self.extend(model, sessions, &active, &mut all)?;
            for (row, &index) in logits.chunks_exact_mut(self.vocab_size).zip(&active) {
                let prompt = self.first_prompt + index;
                let progress = &mut all[index];
                self.advance(progress, prompt, row)?;
                let text = if progress.finished.is_some() {
                    progress.text.rest()
                } else {
                    progress.text.ready()
                };
                let last = progress.finished.is_some();
                let (text, checked) = progress.passed.push(text, last);
                show(prompt, &text)?;
                checked?;
                if progress.passed.has_ended() && !last {
                    // The policy drops what would come.
                    progress.finished = Some(FinishReason::Stop);
                }
            }
        }
        Ok(all
            .into_iter()
            .map(|progress| Completion {
                text: progress.passed.into_text(),
                tokens: progress.generated,
                finish_reason: progress.finished.unwrap_or(FinishReason::Length),
            })
            .collect())
    }

    fn begin(&self, prompt: &[u32], draw: [u64; 2]) -> Result<Progress> {
        let mut bytes = Vec::new();
        for &id in prompt {
            bytes.extend(self.tokenizer.token_bytes(id)?);
        }
        Ok(Progress {
            unread: prompt.to_vec(),
            read: 0,
            generated: 0,
            seen: if self.penalises() {
                prompt.iter().copied().collect()
            } else {
                BTreeSet::new()
            },
            draw,
            text: TextStream::new(&self.settings.stop),
            blocked: self.blocked.map(|blocked| blocked.begin(&bytes)),
            passed: Passed::new(self.app.output.sanitizers(), &bytes)?,
            finished: None,
        })
    }

    fn penalises(&self) -> bool {
        self.settings.sampling.repetition_penalty != 1.0
    }

    /// One pass of the model for all prompts that are not finished; gives a row of logits each.
    fn extend(
        &self,
        model: &mut dyn Model,
        sessions: &[u64],
        active: &[usize],
        all: &mut [Progress],
    ) -> Result<Vec<f32>> {
        let (mut ids, mut offsets) = (Vec::new(), vec![0]);
        for &index in active {
            let progress = &mut all[index];
            progress.read += progress.unread.len();
            ids.append(&mut progress.unread);
            offsets.push(ids.len() as u64);
        }
        let sessions: Vec<u64> = active.iter().map(|&index| sessions[index]).collect();
        let logits = model.extend_sessions(&sessions, Ids::new(&ids, &offsets)?)?;
        if logits.len() != sessions.len() * self.vocab_size {
            return Err(Error::new(
                ErrorKind::Plugin,
                format!(
                    "the model gave {} logits for {} prompts and {} vocabulary entries",
                    logits.len(),
                    sessions.len(),
                    self.vocab_size
                ),
            ));
        }
        Ok(logits)
    }

    /// Chooses a prompt's next token and sees whether it was the last.
    fn advance(&self, progress: &mut Progress, prompt: usize, logits: &mut [f32]) -> Result<()> {
        let sampling = &self.settings.sampling;
        let logits = &mut logits[..self.known];
        penalise(logits, &progress.seen, sampling.repetition_penalty);
        if let (Some(blocked), Some(state)) = (self.blocked, progress.blocked)
            && !blocked.mask(state, logits)
        {
            progress.finished = Some(FinishReason::Blocked);
            return Ok(());
        }
        let token = sampling
            .choose(logits, &progress.draw, progress.generated)
            .map_err(|error| {
                error.context(format!(
                    "no token can be chosen for prompt {} after {} tokens",
                    prompt + 1,
                    progress.read
                ))
            })?;
        if self.settings.end_tokens.contains(&token) {
            progress.finished = Some(FinishReason::Eos);
            return Ok(());
        }
        progress.generated += 1;
        if self.penalises() {
            progress.seen.insert(token);
        }
        let bytes = self.tokenizer.token_bytes(token)?;
        if let (Some(blocked), Some(state)) = (self.blocked, &mut progress.blocked) {
            *state = blocked.step(*state, &bytes);
        }
        let stopped = progress.text.push(&bytes);
        progress.finished = if stopped {
            Some(FinishReason::Stop)
        } else if progress.generated >= self.settings.max_new_tokens
            || progress.read >= self.longest
        {
            Some(FinishReason::Length)
        } else {
            progress.unread.push(token);
            None
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
