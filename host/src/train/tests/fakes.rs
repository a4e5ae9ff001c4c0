//! Components in the process for tests of training: a table model that learns, with faults to order.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use codex_plugin_api::{
    Dataset, Error, GradientSummary, Kind, Loss, Metric, Model, ModelInfo, Needs, OptimizerStep,
    Parameter, Result, RunInfo, Samples, Score, ScoreRequest, Scores, TokenBatch, Tokenizer,
    Tracker, TrainingPass, TrainingSettings, counters,
};
use serde_json::{Value, json};

use crate::interrupt::Interrupt;
use crate::random;
use crate::testing::{ByteTokenizer, MemoryDataset};
use crate::train::Components;

const CONTEXTS: usize = 8;
const IDS: usize = 257;

/// What the fake plugins offer: dataset `memory`, tokenizer `bytes`, model `table`, metric `lm`, trackers `list`, `bad`.
#[derive(Clone, Default)]
pub(super) struct Fakes {
    pub(super) interrupt: Interrupt,
    /// What the tracker `list` was told.
    pub(super) heard: Arc<Mutex<Vec<String>>>,
    /// Appended to every document: a dataset that changed.
    pub(super) suffix: String,
    /// Whether models leave out the faults that their configuration orders.
    pub(super) calm: bool,
}

impl Components for Fakes {
    fn dataset(&self, _name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        let rows = config["rows"].as_u64().unwrap_or(40);
        let text = |row: u64| {
            let words = ["the", "cat", "sat", "on", "a", "mat", "and", "slept"];
            let pick = |at: u64| words[random::bits(1, "word", &[row, at]) as usize % words.len()];
            let count = 3 + row % 5;
            let text: Vec<&str> = (0..count).map(pick).collect();
            format!("{}{}", text.join(" "), self.suffix)
        };
        Ok(Box::new(MemoryDataset::new((0..rows).map(text))))
    }
    fn tokenizer(&self, name: &str, _config: &Value) -> Result<Box<dyn Tokenizer>> {
        match name {
            "bytes" => Ok(Box::new(ByteTokenizer)),
            _ => Err(Error::config(format!("there is no tokenizer {name:?}"))),
        }
    }
    fn model(&self, _name: &str, config: &Value) -> Result<Box<dyn Model>> {
        Ok(Box::new(Table {
            weights: vec![0.0; CONTEXTS * IDS],
            momentum: vec![0.0; CONTEXTS * IDS],
            gradient: vec![0.0; CONTEXTS * IDS],
            noise: config["noise"].as_f64().unwrap_or(0.0),
            fault: config["fault"]
                .as_str()
                .filter(|_| !self.calm)
                .unwrap_or("")
                .to_owned(),
            at: config["at"].as_u64().unwrap_or(u64::MAX),
            interrupt: self.interrupt.clone(),
            seed: 0,
            steps: 0,
        }))
    }
    fn metric(&self, name: &str, _config: &Value) -> Result<Box<dyn Metric>> {
        Ok(Box::new(Mean {
            name: if name == "lm" { "loss" } else { "other" },
            ..Mean::default()
        }))
    }
    fn tracker(&self, name: &str, _config: &Value) -> Result<Box<dyn Tracker>> {
        Ok(Box::new(List {
            heard: Arc::clone(&self.heard),
            bad: name == "bad",
        }))
    }
    fn schema(&self, _kind: Kind, name: &str) -> Result<Value> {
        match name {
            "memory" => Ok(
                json!({"type": "object", "properties": {"rows": {"type": "integer"}}, "additionalProperties": false}),
            ),
            "unknown" => {
                Err(Error::config("there is no dataset \"unknown\"").hint("did you mean memory?"))
            }
            _ => Ok(json!({"type": "object"})),
        }
    }
    fn in_use(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Logits of the next id from the last one's remainder; learns with momentum, so that optimizer state matters.
struct Table {
    weights: Vec<f64>,
    momentum: Vec<f64>,
    gradient: Vec<f64>,
    /// How much of each pass's randomness goes into the gradient.
    noise: f64,
    fault: String,
    at: u64,
    interrupt: Interrupt,
    seed: u64,
    /// Optimizer steps of this process.
    steps: u64,
}

impl Table {
    fn log_probabilities(&self, last: u32) -> Vec<f64> {
        let row = last as usize % CONTEXTS * IDS;
        let logits = &self.weights[row..row + IDS];
        let highest = logits.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        logits
            .iter()
            .map(|logit| logit - highest - total.ln())
            .collect()
    }
}

impl Model for Table {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "table".into(),
            parameters: (CONTEXTS * IDS) as u64,
            vocab_size: IDS as u32,
            max_sequence_length: 1 << 20,
            hidden_size: 0,
            tasks: vec!["causal-lm".into()],
            device: "cpu".into(),
            precision: "f64".into(),
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        let parameter = |name: &str, trainable| Parameter {
            name: name.into(),
            shape: vec![1],
            dtype: "f64".into(),
            trainable,
        };
        Ok(vec![
            parameter("table", true),
            parameter("extra.a", self.fault == "no-gradient"),
            parameter("extra.b", self.fault == "no-gradient"),
        ])
    }
    fn score(&mut self, batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
        let mut scores = Scores {
            target_offsets: vec![0],
            ..Scores::default()
        };
        for ids in batch.sequences.iter() {
            for pair in ids.windows(2) {
                let value = self.log_probabilities(pair[0])[pair[1] as usize];
                scores.loss.sum -= value;
                scores.loss.targets += 1;
                scores.log_probabilities.push(value as f32);
                scores.ranks.push(0);
            }
            scores.target_offsets.push(scores.loss.targets);
        }
        Ok(scores)
    }
    fn save(&self, folder: &str) -> Result<()> {
        fs::write(format!("{folder}/config.json"), "{}").unwrap();
        fs::write(format!("{folder}/weights"), bytes(&self.weights)).unwrap();
        Ok(())
    }
    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        self.seed = settings.seed;
        Ok(())
    }
    fn forward_backward(&mut self, batch: &TokenBatch<'_>, pass: &TrainingPass) -> Result<Loss> {
        let faulty = pass.step == self.at;
        if faulty && self.fault == "interrupt" {
            self.interrupt.request();
        }
        if faulty && self.fault == "interrupted" && !self.interrupt.requested() {
            self.interrupt.request();
            return Err(Error::interrupted());
        }
        if faulty && self.fault == "error" {
            return Err(Error::failed("the machine is on fire"));
        }
        let mut loss = Loss::default();
        for ids in batch.sequences.iter() {
            for pair in ids.windows(2) {
                let row = pair[0] as usize % CONTEXTS * IDS;
                let values = self.log_probabilities(pair[0]);
                loss.sum -= values[pair[1] as usize];
                loss.targets += 1;
                for (at, value) in values.iter().enumerate() {
                    let hit = f64::from(u8::from(at == pair[1] as usize));
                    self.gradient[row + at] += pass.loss_scale * (value.exp() - hit);
                }
            }
        }
        if self.noise > 0.0 {
            let counters = [pass.step, u64::from(pass.accumulation)];
            self.gradient[3] += self.noise * random::unit(self.seed, "noise", &counters);
        }
        match self.fault.as_str() {
            "nan" if faulty => loss.sum = f64::NAN,
            "bad-gradient" => self.gradient[0] = f64::INFINITY,
            "bad-norm" if faulty => self.gradient[0] = f64::NAN,
            _ => {}
        }
        Ok(loss)
    }
    fn gradients(&mut self) -> Result<Vec<GradientSummary>> {
        let summary = |name: &str, norm, received| GradientSummary {
            name: name.into(),
            norm,
            received,
        };
        let norm = self
            .gradient
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt();
        Ok(vec![
            summary("table", norm, true),
            summary("extra.a", 0.0, false),
        ])
    }
    fn optimizer_step(&mut self, step: &OptimizerStep) -> Result<f64> {
        self.steps += 1;
        let norm = self
            .gradient
            .iter()
            .map(|value| value * value)
            .sum::<f64>()
            .sqrt();
        let clip = if step.max_grad_norm > 0.0 {
            (step.max_grad_norm / norm).min(1.0)
        } else {
            1.0
        };
        for at in 0..self.weights.len() {
            self.momentum[at] = 0.9 * self.momentum[at] + clip * self.gradient[at];
            self.weights[at] -= step.learning_rate * self.momentum[at];
            self.gradient[at] = 0.0;
        }
        Ok(norm)
    }
    fn export_state(&self, folder: &str) -> Result<()> {
        if self.fault == "full" && self.steps == self.at {
            return Err(Error::failed(format!("cannot write {folder}/model.bin")));
        }
        fs::write(format!("{folder}/model.bin"), bytes(&self.weights)).unwrap();
        super::super::durable::probe();
        fs::write(format!("{folder}/optimizer.bin"), bytes(&self.momentum)).unwrap();
        Ok(())
    }
    fn import_state(&mut self, folder: &str) -> Result<()> {
        self.weights = numbers(Path::new(folder).join("model.bin").as_path());
        self.momentum = numbers(Path::new(folder).join("optimizer.bin").as_path());
        Ok(())
    }
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

pub(super) fn numbers(path: &Path) -> Vec<f64> {
    let content = fs::read(path).unwrap();
    let (chunks, rest) = content.as_chunks::<8>();
    assert!(rest.is_empty());
    chunks
        .iter()
        .map(|chunk| f64::from_le_bytes(*chunk))
        .collect()
}

/// The mean loss of all targets.
#[derive(Default)]
struct Mean {
    name: &'static str,
    nats: f64,
    targets: u64,
}

impl Metric for Mean {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            ..Needs::default()
        }
    }
    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        self.nats -= samples
            .log_probabilities
            .iter()
            .map(|&value| f64::from(value))
            .sum::<f64>();
        self.targets += samples.log_probabilities.len() as u64;
        Ok(())
    }
    fn state(&self) -> Result<Vec<u8>> {
        Ok([
            self.nats.to_bits().to_le_bytes(),
            self.targets.to_le_bytes(),
        ]
        .concat())
    }
    fn merge(&mut self, state: &[u8]) -> Result<()> {
        let [nats, targets] = counters(state)?;
        self.nats += f64::from_bits(nats);
        self.targets += targets;
        Ok(())
    }
    fn compute(&self) -> Result<Vec<Score>> {
        Ok(vec![Score::lower(
            self.name,
            self.nats / self.targets as f64,
        )])
    }
}

/// Writes down what it hears, or fails at once.
struct List {
    heard: Arc<Mutex<Vec<String>>>,
    bad: bool,
}

impl Tracker for List {
    fn start(&mut self, run: &RunInfo) -> Result<()> {
        self.note(&format!("start {} {}", run.name, run.resumed));
        Ok(())
    }
    fn events(&mut self, ndjson: &str) -> Result<()> {
        if self.bad {
            return Err(Error::failed("no connection"));
        }
        assert!(ndjson.ends_with('\n'));
        for line in ndjson.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            self.note(event["event"].as_str().unwrap());
        }
        Ok(())
    }
    fn finish(&mut self) -> Result<()> {
        self.note("finish");
        Ok(())
    }
}

impl List {
    fn note(&self, text: &str) {
        let who = if self.bad { "bad " } else { "" };
        self.heard.lock().unwrap().push(format!("{who}{text}"));
    }
}
