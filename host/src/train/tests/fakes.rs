//! Components in the process for tests of training: a table model that learns, with faults to order.

pub(super) mod adapted;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use codex_plugin_api::{
    Adapter, Column, Dataset, Error, GradientSummary, IGNORE_LABEL, Ids, Kind, Loss, Metric, Model,
    ModelInfo, Needs, OptimizerStep, Parameter, Result, RunInfo, Samples, Sanitizer, Score,
    ScoreRequest, Scores, TokenBatch, Tokenizer, Tracker, TrainingPass, TrainingSettings, Values,
    counters,
};
use serde_json::{Value, json};

use self::adapted::{Adapted, BiasAdapter};
use crate::interrupt::Interrupt;
use crate::random;
use crate::task::Task;
use crate::testing::{ByteTokenizer, EncoderTokenizer, Finds, MemoryDataset, RowsDataset};
use crate::train::Components;

const CONTEXTS: usize = 8;
const IDS: usize = 257;

/// What the fake plugins offer: datasets `memory` and `table` (pairs with labels), tokenizers `bytes`, `encoder` and
/// `ready` (which takes no path), model `table` for every task, model `adapted` on the weights of a table with the adapter
/// `bias`, a metric of every task, trackers `list`, `bad`, and the sanitizer `pets`.
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
    fn dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        let rows = config["rows"].as_u64().unwrap_or(40);
        let text = |row: u64| {
            let words = ["the", "cat", "sat", "on", "a", "mat", "and", "slept"];
            let pick = |at: u64| words[random::bits(1, "word", &[row, at]) as usize % words.len()];
            let count = 3 + row % 5;
            let text: Vec<&str> = (0..count).map(pick).collect();
            format!("{}{}", text.join(" "), self.suffix)
        };
        if name == "table" {
            let kind = |row: u64| ["no", "yes"][row as usize % 2];
            return Ok(Box::new(RowsDataset::new(vec![
                Column::text("anchor", (0..rows).map(text)),
                Column::text("positive", (0..rows).map(|row| text(row).to_uppercase())),
                Column::text("label", (0..rows).map(kind)),
                Column::new(
                    "score",
                    Values::F64((0..rows).map(|row| row as f64 % 5.0).collect()),
                ),
            ])));
        }
        Ok(Box::new(MemoryDataset::new((0..rows).map(text))))
    }
    fn tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        match name {
            "bytes" => Ok(Box::new(ByteTokenizer)),
            "ready" if config.get("path").is_some() => {
                Err(Error::config("there is no key \"path\" here"))
            }
            "encoder" | "ready" => Ok(Box::new(EncoderTokenizer)),
            _ => Err(Error::config(format!("there is no tokenizer {name:?}"))),
        }
    }
    fn model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        let table = Table {
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
            task: serde_json::from_value(config["task"].clone()).unwrap_or_default(),
            labels: config["labels"].as_u64().unwrap_or(1) as usize,
            label_names: config["label_names"].clone(),
            causal_only: config["causal_only"] == true,
        };
        Ok(match (name, config["path"].as_str()) {
            ("adapted", Some(path)) => Box::new(Adapted::new(table, path)),
            _ => Box::new(table),
        })
    }
    fn adapter(&self, _name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        Ok(Box::new(BiasAdapter(config.clone())))
    }
    fn sanitizer(&self, name: &str, _config: &Value) -> Result<(String, Box<dyn Sanitizer>)> {
        match name {
            "pets" => Ok(("fakes 1".into(), Box::new(Finds("cat")))),
            _ => Err(Error::config(format!("there is no sanitizer {name:?}"))),
        }
    }
    fn has_sanitizer(&self, _name: &str) -> bool {
        false
    }
    fn metric(&self, name: &str, _config: &Value) -> Result<Box<dyn Metric>> {
        Ok(Box::new(Mean {
            name: if name == "other" { "other" } else { "loss" },
            of: name.to_owned(),
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
            "ready" => {
                Ok(json!({"type": "object", "properties": {}, "additionalProperties": false}))
            }
            "bias" => Ok(
                json!({"type": "object", "properties": {"targets": {"type": "array"}}, "additionalProperties": false}),
            ),
            "table" | "adapted" => {
                let keys = [
                    "task",
                    "labels",
                    "label_names",
                    "path",
                    "noise",
                    "fault",
                    "at",
                    "causal_only",
                    "rows",
                ]
                .map(|key| (key.to_owned(), json!({})));
                let keys: serde_json::Map<String, Value> = keys.into_iter().collect();
                Ok(json!({"type": "object", "properties": keys}))
            }
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
    task: Task,
    labels: usize,
    label_names: Value,
    causal_only: bool,
}

/// The sum of a sequence's ids: all that the table knows of it.
fn sum(ids: &[u32]) -> u32 {
    ids.iter().sum()
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

impl Table {
    /// What is predicted from what, for each sequence.
    fn targets(&self, batch: &TokenBatch<'_>) -> Vec<Vec<(u32, usize)>> {
        batch.check().unwrap();
        let sequences: Vec<&[u32]> = batch.sequences.iter().collect();
        let labels = batch.sequence_labels.unwrap_or_default();
        let offsets = batch.sequences.sequence_offsets();
        let count = sequences.len() / batch.parts.max(1) as usize;
        let of = |at: usize| -> Vec<(u32, usize)> {
            let ids = sequences[at];
            match self.task {
                Task::CausalLm => {
                    let pairs = ids.windows(2);
                    pairs.map(|pair| (pair[0], pair[1] as usize)).collect()
                }
                Task::MaskedLm => {
                    let range = offsets[at] as usize..offsets[at + 1] as usize;
                    let labels = &batch.labels.unwrap()[range];
                    let hidden = (0..ids.len()).filter(|&place| labels[place] != IGNORE_LABEL);
                    hidden
                        .map(|place| (ids[place.saturating_sub(1)], labels[place] as usize))
                        .collect()
                }
                Task::Embedding if at >= count => Vec::new(),
                Task::Embedding => {
                    let others = (1..batch.parts as usize).map(|part| sequences[part * count + at]);
                    vec![(sum(ids), others.map(sum).sum::<u32>() as usize)]
                }
                Task::Classification => vec![(sum(ids), labels[at] as usize)],
                Task::Regression => vec![(sum(ids), (labels[at] * 7.0) as usize)],
            }
        };
        (0..sequences.len()).map(of).collect()
    }
}

impl Model for Table {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "table".into(),
            parameters: (CONTEXTS * IDS) as u64,
            vocab_size: 260,
            max_sequence_length: 1 << 20,
            hidden_size: 0,
            tasks: Task::ALL[..if self.causal_only { 1 } else { 5 }]
                .iter()
                .map(|task| task.word().to_owned())
                .collect(),
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
    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        let mut scores = Scores {
            target_offsets: vec![0],
            ..Scores::default()
        };
        for (ids, targets) in batch.sequences.iter().zip(self.targets(batch)) {
            if request.sequence_outputs {
                let row = sum(ids) as usize % CONTEXTS * IDS;
                let outputs = &self.weights[row..row + self.labels];
                scores
                    .sequence_outputs
                    .extend(outputs.iter().map(|&value| value as f32));
            }
            for (context, target) in targets {
                let value = self.log_probabilities(context)[target % IDS];
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
        let names = self
            .label_names
            .as_array()
            .into_iter()
            .flatten()
            .enumerate();
        let names: serde_json::Map<String, Value> = names
            .map(|(number, name)| (number.to_string(), name.clone()))
            .collect();
        let config = if names.is_empty() {
            json!({})
        } else {
            json!({"architectures": ["TableForSequenceClassification"], "id2label": names})
        };
        fs::write(format!("{folder}/config.json"), config.to_string()).unwrap();
        fs::write(format!("{folder}/weights"), bytes(&self.weights)).unwrap();
        Ok(())
    }
    fn begin_training(&mut self, settings: &TrainingSettings) -> Result<()> {
        assert_eq!(settings.task, self.task.word());
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
        for (context, target) in self.targets(batch).into_iter().flatten() {
            let row = context as usize % CONTEXTS * IDS;
            let values = self.log_probabilities(context);
            loss.sum -= values[target % IDS];
            loss.targets += 1;
            for (at, value) in values.iter().enumerate() {
                let hit = f64::from(u8::from(at == target % IDS));
                self.gradient[row + at] += pass.loss_scale * (value.exp() - hit);
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
    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        let one = |ids: &[u32]| [sum(ids) as f32, ids.len() as f32];
        Ok(sequences.iter().flat_map(one).collect())
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

/// The mean loss of all targets; the squared error of the metric `regression`. Each checks that it is given what it needs.
#[derive(Default)]
struct Mean {
    name: &'static str,
    of: String,
    nats: f64,
    targets: u64,
}

impl Metric for Mean {
    fn needs(&self) -> Needs {
        let of = self.of.as_str();
        Needs {
            log_probabilities: of != "regression",
            labels: matches!(of, "regression" | "classification" | "retrieval"),
            embeddings: of == "retrieval",
            ..Needs::default()
        }
    }
    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let (labels, predicted) = (samples.labels, samples.predicted_labels);
        match self.of.as_str() {
            "regression" => {
                assert_eq!(
                    (labels.len(), predicted.len()),
                    (samples.count, samples.count)
                );
                let errors = labels.iter().zip(predicted).map(|(a, b)| f64::from(a - b));
                self.nats += errors.map(|error| error * error).sum::<f64>();
                self.targets += samples.count as u64;
            }
            "classification" => {
                assert_eq!(
                    (labels.len(), predicted.len()),
                    (samples.count, samples.count)
                );
                assert_eq!(samples.log_probabilities.len(), samples.count);
            }
            "retrieval" => {
                assert_eq!(samples.log_probabilities.len() * 2, samples.count);
                assert_eq!((labels.len(), samples.dimensions), (samples.count, 2));
                assert_eq!(samples.embeddings.len(), 2 * samples.count);
                assert!(labels.chunks(2).all(|pair| pair[0] == pair[1]));
            }
            _ => {}
        }
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
