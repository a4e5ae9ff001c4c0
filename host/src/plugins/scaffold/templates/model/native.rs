//! The model `{{name}}`: a bigram model. It trains through the host's loop like any other.
//!
//! What a gradient is to a network, the counts of a batch are to it: a backward pass counts, an optimizer step adds the counts. So
//! the learning rate changes nothing, and one pass over the data (`training.epochs=1`) is all there is to learn. What the host
//! calls is here; the counts are in `bigram.rs`.

mod bigram;

use std::collections::BTreeMap;
use std::fs;

use bigram::Counts;
use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::{Deserialize, Serialize};
use codex_plugin_api::serde_json::{from_str, json};
use codex_plugin_api::{
    Context, Error, FromConfig, GradientSummary, HostRef, IGNORE_LABEL, Ids, Loss, Model, ModelInfo, OptimizerStep,
    Parameter, Result, ScoreRequest, Scores, TokenBatch, TrainingPass, TrainingSettings,
};

#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default)]
#[schemars(crate = "codex_plugin_api::schemars", deny_unknown_fields)]
struct Config {
    /// A folder that this model saved; it then decides about everything below.
    path: Option<String>,
    /// Number of ids; the host sets it to the tokenizer's.
    #[schemars(range(min = 1))]
    vocab_size: u32,
    /// Longest sequence in tokens.
    #[schemars(range(min = 2))]
    sequence_length: u32,
    /// What is added to every count, so that nothing is impossible.
    smoothing: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: None, vocab_size: 1024, sequence_length: 256, smoothing: 0.1 }
    }
}

struct {{Type}} {
    config: Config,
    counts: Counts,
    /// What was counted since the last optimizer step, and the scale of the loss; nothing before training.
    fresh: Option<(Counts, f64)>,
    sessions: BTreeMap<u64, Vec<u32>>,
    opened: u64,
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).or_error(|| Error::data(format!("cannot read {file}")))
}

fn write(file: String, text: String) -> Result<()> {
    fs::write(&file, text).or_error(|| Error::failed(format!("cannot write {file}")))
}

fn read_counts(folder: &str, vocab_size: u32) -> Result<Counts> {
    let file = format!("{folder}/counts.txt");
    Counts::from_text(&read(&file)?, vocab_size)
        .map_err(|line| Error::data(format!("line {line} of {file} is no pair of ids below {vocab_size}")))
}

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(mut config: Config, _host: HostRef) -> Result<Self> {
        let mut counts = Counts::default();
        if let Some(path) = config.path.take() {
            let file = format!("{path}/config.json");
            config = from_str(&read(&file)?).or_error(|| Error::data(format!("{file} is no model of this plugin")))?;
            counts = read_counts(&path, config.vocab_size)?;
        }
        Ok(Self { config, counts, fresh: None, sessions: BTreeMap::new(), opened: 0 })
    }
}

fn not_begun() -> Error {
    Error::failed("training has not begun")
}

impl {{Type}} {
    fn check(&self, ids: &[u32], read: usize) -> Result<()> {
        let (size, most) = (self.config.vocab_size, self.config.sequence_length as usize);
        if let Some(id) = ids.iter().find(|&&id| id >= size) {
            return Err(Error::data(format!("id {id} is not in the vocabulary of {size}")));
        }
        if read + ids.len() > most {
            return Err(Error::data(format!("a sequence has {} tokens, and {most} are the most", read + ids.len())));
        }
        Ok(())
    }

    /// The targets of each sequence, with the id before each.
    fn targets(&self, batch: &TokenBatch<'_>) -> Result<Vec<Vec<(u32, u32)>>> {
        let (mut all, mut first) = (Vec::new(), 0);
        for ids in batch.sequences.iter() {
            self.check(ids, 0)?;
            let mut targets = Vec::new();
            for at in 1..ids.len() {
                let label = batch.labels.map_or(i64::from(ids[at]), |labels| labels[first + at]);
                if label != IGNORE_LABEL {
                    let label = u32::try_from(label).or_error(|| Error::data(format!("{label} is no label")))?;
                    self.check(&[label], 0)?;
                    targets.push((ids[at - 1], label));
                }
            }
            first += ids.len();
            all.push(targets);
        }
        Ok(all)
    }

    /// The natural logarithm of a probability.
    fn score_one(&self, before: u32, id: u32) -> f64 {
        self.counts.probability(before, id, self.config.vocab_size, self.config.smoothing).ln()
    }

    fn session(&mut self, number: u64) -> Result<&mut Vec<u32>> {
        self.sessions.get_mut(&number).ok_or_else(|| Error::failed(format!("there is no session {number}")))
    }
}

impl Model for {{Type}} {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "bigram".into(),
            parameters: self.counts.distinct(),
            vocab_size: self.config.vocab_size,
            max_sequence_length: self.config.sequence_length,
            hidden_size: 0,
            tasks: vec!["causal-lm".into()],
            device: "cpu".into(),
            precision: "f64".into(),
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        let shape = vec![self.counts.distinct()];
        Ok(vec![Parameter { name: "counts".into(), shape, dtype: "u64".into(), trainable: true }])
    }
    fn score(&mut self, batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
        let mut scores = Scores { target_offsets: vec![0], ..Scores::default() };
        for targets in self.targets(batch)? {
            for (before, id) in targets {
                let score = self.score_one(before, id);
                scores.log_probabilities.push(score as f32);
                scores.ranks.push(self.counts.rank(before, id));
                scores.loss.sum -= score;
                scores.loss.targets += 1;
            }
            scores.target_offsets.push(scores.loss.targets);
        }
        Ok(scores)
    }
    fn save(&self, folder: &str) -> Result<()> {
        let mut config = json!(self.config);
        config["model_type"] = "{{name}}".into();
        write(format!("{folder}/config.json"), format!("{config:#}\n"))?;
        self.export_state(folder)
    }

    fn begin_training(&mut self, _settings: &TrainingSettings) -> Result<()> {
        self.fresh = Some((Counts::default(), 0.0));
        Ok(())
    }
    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let mut loss = Loss::default();
        for (before, id) in self.targets(batch)?.into_iter().flatten() {
            loss.sum -= self.score_one(before, id);
            loss.targets += 1;
            self.fresh.as_mut().ok_or_else(not_begun)?.0.add(before, id, 1);
        }
        // All passes of a step have the same scale.
        self.fresh.as_mut().ok_or_else(not_begun)?.1 = pass.loss_scale;
        Ok(loss)
    }
    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        let (fresh, scale) = self.fresh.as_ref().ok_or_else(not_begun)?;
        Ok(vec![GradientSummary { name: "counts".into(), norm: scale * fresh.norm(), received: fresh.distinct() > 0 }])
    }
    fn optimizer_step(&mut self, _step: &OptimizerStep) -> Result<f64> {
        let (fresh, scale) = self.fresh.replace((Counts::default(), 0.0)).ok_or_else(not_begun)?;
        self.counts.merge(&fresh);
        Ok(scale * fresh.norm())
    }
    fn export_state(&self, folder: &str) -> Result<()> {
        write(format!("{folder}/counts.txt"), self.counts.to_text())
    }
    fn import_state(&mut self, folder: &str) -> Result<()> {
        self.counts = read_counts(folder, self.config.vocab_size)?;
        Ok(())
    }

    fn open_session(&mut self) -> Result<u64> {
        self.opened += 1;
        self.sessions.insert(self.opened, Vec::new());
        Ok(self.opened)
    }
    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        for (&number, new) in sessions.iter().zip(ids.iter()) {
            let read = self.session(number)?.len();
            self.check(new, read)?;
            self.session(number)?.extend(new);
            let before = *new.last().ok_or_else(|| Error::data("a session is given no ids"))?;
            logits.extend((0..self.config.vocab_size).map(|id| self.score_one(before, id) as f32));
        }
        Ok(logits)
    }
    fn truncate_session(&mut self, session: u64, length: u64) -> Result<()> {
        let read = self.session(session)?;
        if length > read.len() as u64 {
            return Err(Error::data(format!("session {session} has only {} ids", read.len())));
        }
        read.truncate(length as usize);
        Ok(())
    }
    fn close_session(&mut self, session: u64) -> Result<()> {
        self.session(session)?;
        self.sessions.remove(&session);
        Ok(())
    }
}

codex_plugin_api::plugin! { model "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_contract_of_a_model() {
        codex_plugin_api::testing::check_model::<{{Type}}>(json!({"vocab_size": 11, "sequence_length": 16}));
    }
}
