//! Our side of `tests/benchmarks/peers.py`: jobs that stay ready between turns, so that both sides can take turns while they
//! are warm. Reads one JSON object a line, answers each with one: `{"do": "open", "job": "step", …}`, then `{"do": "run"}`.
//!
//! `step`: a training step of a model of `settings`, called directly or `through` the ABI, of an `adapter` alone where one is
//! asked for. `embed`: texts through the tokenizer and the model in `path`, as `codex-ml embed` does it. `generate`: greedy
//! ids after a prompt, from the cache. `adapter`: loading one from a folder and merging it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark program"
)]

#[path = "our_jobs/adapter.rs"]
mod adapter;

use std::io::BufRead;
use std::time::Instant;

use adapter::Adapter;
use codex_ml::app::App;
use codex_ml::embed::{Embedder, Options};
use codex_ml::interrupt::Interrupt;
use codex_ml::output::{Color, Output};
use codex_plugin_api::{
    Ids, Model, OptimizerStep, TextBuffer, TokenBatch, Tokenizer, TrainingPass, TrainingSettings,
};
use codex_plugin_model_minilm::{MiniLm, Settings};
use serde_json::{Value, json};

fn main() {
    let mut job: Option<Box<dyn Job>> = None;
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match request["do"].as_str().unwrap() {
            "open" => {
                let opened = open(&request);
                let answer = opened.describe();
                job = Some(opened);
                answer
            }
            "run" => {
                let job = job.as_mut().expect("open comes before run");
                let begun = Instant::now();
                let mut answer = json!({});
                let repeat = request["repeat"].as_u64().unwrap_or(1);
                for _ in 0..repeat {
                    answer = job.run();
                }
                answer["seconds"] = json!(begun.elapsed().as_secs_f64() / repeat as f64);
                answer
            }
            "save" => {
                let folder = request["folder"].as_str().unwrap();
                job.as_ref().expect("open comes before save").save(folder);
                json!({})
            }
            "save-adapter" => {
                let folder = request["folder"].as_str().unwrap();
                let job = job.as_ref().expect("open comes before save-adapter");
                job.save_adapter(folder);
                json!({})
            }
            other => panic!("nothing is called {other:?}"),
        };
        println!("{answer}");
    }
}

trait Job {
    fn describe(&self) -> Value;
    fn run(&mut self) -> Value;
    fn save(&self, _folder: &str) {}
    fn save_adapter(&self, _folder: &str) {}
}

fn open(request: &Value) -> Box<dyn Job> {
    let threads = request["threads"].as_u64().unwrap_or(2) as usize;
    match request["job"].as_str().unwrap() {
        "step" => Box::new(Step::open(request, threads)),
        "embed" => Box::new(Embed::open(request, threads)),
        "generate" => Box::new(Generate::open(request, threads)),
        "adapter" => Box::new(Adapter::open(request, threads)),
        other => panic!("no job is called {other:?}"),
    }
}

/// The built plugins, as the binary finds them.
fn app(request: &Value, threads: usize) -> App {
    App::new(
        Output::new(false, true, 0, Color::Never),
        Interrupt::default(),
        vec![request["plugins"].as_str().unwrap().into()],
        threads,
    )
}

fn model(request: &Value, threads: usize) -> Box<dyn Model> {
    let settings = &request["settings"];
    if request["through"] == "abi" {
        let registry = app(request, threads).registry().unwrap();
        return registry.create_model("minilm", settings).unwrap();
    }
    let settings: Settings = serde_json::from_value(settings.clone()).unwrap();
    Box::new(MiniLm::new(&settings, threads).unwrap())
}

/// What the adapter that trains is called.
const ADAPTER: &str = "default";

struct Step {
    model: Box<dyn Model>,
    ids: Vec<u32>,
    offsets: Vec<u64>,
    /// Of pairs: 2, the anchors before the positives.
    parts: u32,
    done: u64,
}

impl Step {
    fn open(request: &Value, threads: usize) -> Self {
        let mut model = model(request, threads);
        let mut settings = TrainingSettings {
            gradient_checkpointing: request["gradient_checkpointing"] == true,
            ..TrainingSettings::default()
        };
        if let Some(task) = request["task"].as_str() {
            task.clone_into(&mut settings.task);
        }
        let adapter = &request["adapter"];
        if let Some(name) = adapter["name"].as_str() {
            let registry = app(request, threads).registry().unwrap();
            let adapter = registry.create_adapter(name, &adapter["config"]).unwrap();
            let plan = adapter.plan(&model.sites().unwrap()).unwrap();
            model.add_adapter(ADAPTER, &plan).unwrap();
        }
        model.begin_training(&settings).unwrap();
        let (sequences, length) = (
            request["sequences"].as_u64().unwrap(),
            request["length"].as_u64().unwrap(),
        );
        Self {
            model,
            // The same on the other side.
            ids: serde_json::from_value(request["ids"].clone()).unwrap(),
            offsets: (0..=sequences).map(|index| index * length).collect(),
            parts: request["parts"].as_u64().unwrap_or(0) as u32,
            done: 0,
        }
    }
}

impl Job for Step {
    fn describe(&self) -> Value {
        let info = self.model.info().unwrap();
        let parameters = self.model.parameters().unwrap();
        let trained = parameters.iter().filter(|parameter| parameter.trainable);
        let trained: u64 = trained
            .map(|parameter| parameter.shape.iter().product::<u64>())
            .sum();
        json!({
            "parameters": info.parameters, "trained": trained, "tokens": self.ids.len(),
            "precision": info.precision, "device": info.device,
        })
    }

    fn run(&mut self) -> Value {
        self.done += 1;
        let mut batch = TokenBatch::new(Ids::new(&self.ids, &self.offsets).unwrap());
        batch.parts = self.parts;
        let targets = match self.parts {
            0 => batch.causal_targets(),
            parts => (self.offsets.len() as u64 - 1) / u64::from(parts),
        };
        let loss_scale = 1.0 / targets as f64;
        let pass = TrainingPass {
            step: self.done,
            accumulation: 0,
            loss_scale,
        };
        let loss = self.model.forward_backward(&batch, &pass).unwrap();
        let step = OptimizerStep {
            learning_rate: 1e-4,
            max_grad_norm: 1.0,
        };
        self.model.optimizer_step(&step).unwrap();
        json!({"loss": loss.sum * loss_scale})
    }

    fn save(&self, folder: &str) {
        self.model.save(folder).unwrap();
    }

    fn save_adapter(&self, folder: &str) {
        self.model.save_adapter(ADAPTER, folder).unwrap();
    }
}

struct Embed {
    model: Box<dyn Model>,
    tokenizer: Box<dyn Tokenizer>,
    texts: TextBuffer,
    batch_tokens: usize,
}

impl Embed {
    fn open(request: &Value, threads: usize) -> Self {
        let registry = app(request, threads).registry().unwrap();
        let path = json!({"path": request["settings"]["path"]});
        let texts: Vec<String> = serde_json::from_value(request["texts"].clone()).unwrap();
        Self {
            model: registry
                .create_model("minilm", &request["settings"])
                .unwrap(),
            tokenizer: registry.create_tokenizer("hf", &path).unwrap(),
            texts: texts.iter().collect(),
            batch_tokens: request["batch_tokens"].as_u64().unwrap_or(4096) as usize,
        }
    }
}

impl Job for Embed {
    fn describe(&self) -> Value {
        let info = self.model.info().unwrap();
        json!({"texts": self.texts.len(), "precision": info.precision, "device": info.device})
    }

    fn run(&mut self) -> Value {
        let options = Options {
            batch_tokens: self.batch_tokens,
            ..Options::default()
        };
        let mut embedder = Embedder::new(&mut *self.model, &*self.tokenizer, options).unwrap();
        let rows = embedder.embed(&self.texts, &Interrupt::default()).unwrap();
        let (tokens, dimensions) = (embedder.tokens, embedder.dimensions());
        json!({"tokens": tokens, "first": rows[..dimensions]})
    }
}

struct Generate {
    model: Box<dyn Model>,
    prompt: Vec<u32>,
    tokens: u64,
}

impl Generate {
    fn open(request: &Value, threads: usize) -> Self {
        Self {
            model: model(request, threads),
            prompt: serde_json::from_value(request["prompt"].clone()).unwrap(),
            tokens: request["tokens"].as_u64().unwrap(),
        }
    }
}

impl Job for Generate {
    fn describe(&self) -> Value {
        let info = self.model.info().unwrap();
        json!({"parameters": info.parameters, "precision": info.precision, "device": info.device})
    }

    fn run(&mut self) -> Value {
        let session = self.model.open_session().unwrap();
        let mut unread = self.prompt.clone();
        let mut ids = Vec::new();
        for _ in 0..self.tokens {
            let offsets = [0, unread.len() as u64];
            let unread_ids = Ids::new(&unread, &offsets).unwrap();
            let logits = self.model.extend_sessions(&[session], unread_ids).unwrap();
            // The first of equals, as argmax everywhere.
            let mut best = 0;
            for (id, &logit) in logits.iter().enumerate() {
                if logit > logits[best] {
                    best = id;
                }
            }
            ids.push(best as u32);
            unread = vec![best as u32];
        }
        self.model.close_session(session).unwrap();
        json!({"ids": ids})
    }

    fn save(&self, folder: &str) {
        self.model.save(folder).unwrap();
    }
}
