//! Each call is made twice, on the component itself and on the same component behind its object: the answers are equal.

use std::sync::{Arc, Mutex};

use codex_plugin_api::abi::v1;
use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::*;

use crate::components::Fault;
use crate::components::bigram::Bigram;
use crate::components::bytes::Bytes;
use crate::components::loss::MeanLoss;
use crate::components::numbers::Numbers;
use crate::components::small::{Echo, Fours, Lines, Shift};

/// Both answers, errors too.
fn same<T: PartialEq + std::fmt::Debug>(direct: Result<T>, behind: Result<T>) {
    assert_eq!(direct, behind);
}

const HONEST: Fault = Fault("");

#[test]
fn tokenizers() {
    let mut direct = Bytes::new(HONEST, None).unwrap();
    let mut behind = v1::AbiTokenizer::export(Box::new(Bytes::new(HONEST, None).unwrap()), None)
        .import()
        .unwrap();
    same(direct.vocabulary(), behind.vocabulary());
    let texts: TextBuffer = ["ab", "", "č🦀"].into_iter().collect();
    let none = TextBuffer::new();
    for texts in [&texts, &none] {
        same(direct.feed(texts.as_texts()), behind.feed(texts.as_texts()));
    }
    same(direct.finish_training(), behind.finish_training());
    same(direct.vocabulary(), behind.vocabulary());
    for byte_offsets in [false, true] {
        for texts in [&texts, &none] {
            let options = EncodeOptions {
                byte_offsets,
                add_special_tokens: true,
                parse_special_tokens: !byte_offsets,
                max_length: 3,
            };
            same(
                direct.encode(texts.as_texts(), options),
                behind.encode(texts.as_texts(), options),
            );
        }
    }
    let ids = Ids::new(&[97, 256, 98, 196], &[0, 2, 2, 4]).unwrap();
    for skip in [false, true] {
        same(direct.decode(ids, skip), behind.decode(ids, skip));
    }
    same(
        direct.decode(Ids::new(&[999], &[0, 1]).unwrap(), true),
        behind.decode(Ids::new(&[999], &[0, 1]).unwrap(), true),
    );
    for id in [97, 256, 999] {
        same(direct.token_bytes(id), behind.token_bytes(id));
        same(direct.token_text(id), behind.token_text(id));
    }
    for token in ["<97>", "č", ""] {
        same(direct.token_id(token), behind.token_id(token));
    }
    same(
        direct.save("/no/such/folder"),
        behind.save("/no/such/folder"),
    );
}

#[test]
fn models() {
    let mut direct = Bigram::new(HONEST, None).unwrap();
    let mut behind = v1::AbiModel::export(Box::new(Bigram::new(HONEST, None).unwrap()), None)
        .import()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let ids = Ids::new(&[1, 2, 3, 4, 5, 6], &[0, 3, 3, 6]).unwrap();
    let labels = [1, 2, IGNORE_LABEL, 4, 5, 6];
    let (types, values) = ([0, 0, 0, 1, 1, 1], [0.5, 1.5, f32::NAN]);
    let batch = TokenBatch {
        labels: Some(&labels),
        token_types: Some(&types),
        sequence_labels: Some(&values),
        ..TokenBatch::new(ids)
    };
    let request = ScoreRequest {
        log_probabilities: true,
        ranks: true,
        sequence_outputs: false,
    };
    let settings = TrainingSettings {
        betas: (0.1 + 0.2, 1e-300),
        extra: serde_json::json!({"deep": [1, null]}),
        ..TrainingSettings::default()
    };
    let pass = TrainingPass {
        step: 1,
        accumulation: 0,
        loss_scale: 1.0 / 3.0,
    };
    let step = OptimizerStep {
        learning_rate: 1e-3,
        max_grad_norm: 0.0,
    };

    same(direct.info(), behind.info());
    same(direct.parameters(), behind.parameters());
    same(direct.score(&batch, request), behind.score(&batch, request));
    let beyond = TokenBatch::new(Ids::new(&[99], &[0, 1]).unwrap());
    same(
        direct.score(&beyond, request),
        behind.score(&beyond, request),
    );
    same(
        direct.forward_backward(&batch, &pass),
        behind.forward_backward(&batch, &pass),
    );
    same(
        direct.begin_training(&settings),
        behind.begin_training(&settings),
    );
    same(
        direct.forward_backward(&batch, &pass),
        behind.forward_backward(&batch, &pass),
    );
    same(direct.gradients(), behind.gradients());
    let (lent, other) = (
        direct.lend_gradients().unwrap(),
        behind.lend_gradients().unwrap(),
    );
    assert_eq!(
        (lent[0].length, &lent[0].dtype),
        (other[0].length, &other[0].dtype)
    );
    assert_eq!(
        (lent[0].device, lent[0].ordinal),
        (other[0].device, other[0].ordinal)
    );
    same(direct.optimizer_step(&step), behind.optimizer_step(&step));
    for path in ["/no/such/folder", path] {
        same(direct.save(path), behind.save(path));
        same(direct.export_state(path), behind.export_state(path));
        same(direct.import_state(path), behind.import_state(path));
    }
    same(direct.embed(ids), behind.embed(ids));
    let full = Ids::new(&[1, 2, 3], &[0, 1, 3]).unwrap();
    same(direct.embed(full), behind.embed(full));
    same(direct.open_session(), behind.open_session());
    same(direct.open_session(), behind.open_session());
    same(
        direct.extend_sessions(&[1, 2], full),
        behind.extend_sessions(&[1, 2], full),
    );
    same(direct.truncate_session(2, 1), behind.truncate_session(2, 1));
    same(direct.truncate_session(2, 9), behind.truncate_session(2, 9));
    same(direct.close_session(1), behind.close_session(1));
    same(direct.close_session(1), behind.close_session(1));
    same(direct.sites(), behind.sites());
    let plan = AdapterPlan {
        operations: vec![SiteOperation {
            site: "table".into(),
            operation: Operation::LowRank {
                rank: 4,
                scale: 0.1,
                dropout: 0.05,
                a: Init::KaimingUniform,
                b: Init::Values {
                    offset: 0,
                    length: 2,
                },
                train: true,
                shared: Some("all".into()),
                rank_scale: None,
                output_scale: Some(Init::Constant {
                    value: f32::MIN_POSITIVE,
                }),
            },
        }],
        values: vec![1.0, f32::NAN],
        ..AdapterPlan::default()
    };
    same(
        direct.add_adapter("a", &plan),
        behind.add_adapter("a", &plan),
    );
    same(
        direct.load_adapter("b", path),
        behind.load_adapter("b", path),
    );
    let names = ["a".to_owned(), "b".to_owned()];
    same(
        direct.activate_adapters(&names, &[1.0, 0.5]),
        behind.activate_adapters(&names, &[1.0, 0.5]),
    );
    same(
        direct.merge_adapter("a", true),
        behind.merge_adapter("a", true),
    );
    // Its error lists everything that arrived in the calls before.
    same(
        direct.save_adapter("a", path),
        behind.save_adapter("a", path),
    );
}

/// What a model does not offer is unsupported on both sides.
#[test]
fn defaults() {
    struct Least;
    impl Model for Least {
        fn info(&self) -> Result<ModelInfo> {
            Err(Error::failed("nothing to say"))
        }
        fn parameters(&self) -> Result<Vec<Parameter>> {
            Ok(Vec::new())
        }
        fn score(&mut self, _: &TokenBatch<'_>, _: ScoreRequest) -> Result<Scores> {
            Ok(Scores {
                target_offsets: vec![0],
                ..Scores::default()
            })
        }
        fn save(&self, _: &str) -> Result<()> {
            Ok(())
        }
    }
    let mut behind = v1::AbiModel::export(Box::new(Least), None)
        .import()
        .unwrap();
    same(Least.embed(Ids::default()), behind.embed(Ids::default()));
    same(Least.sites(), behind.sites());
    same(Least.open_session(), behind.open_session());
    same(
        Least.score(&TokenBatch::default(), ScoreRequest::default()),
        behind.score(&TokenBatch::default(), ScoreRequest::default()),
    );
}

#[test]
fn metrics() {
    let mut direct = MeanLoss::default();
    let mut behind = v1::AbiMetric::export(Box::new(MeanLoss::default()), None)
        .import()
        .unwrap();
    assert_eq!(direct.needs(), behind.needs());
    // NaN in a score is a value like others.
    assert!(behind.compute().unwrap()[0].value.is_nan());
    let samples = Samples {
        count: 2,
        log_probabilities: &[-0.5, -1.5, f32::NEG_INFINITY],
        targets: Ids::new(&[1, 2, 3], &[0, 1, 3]).unwrap(),
        ..Samples::default()
    };
    same(direct.update(&samples), behind.update(&samples));
    same(direct.state(), behind.state());
    let state = direct.state().unwrap();
    same(direct.merge(&state), behind.merge(&state));
    same(direct.merge(&state[1..]), behind.merge(&state[1..]));
    same(direct.compute(), behind.compute());
}

#[test]
fn all_parts_of_samples() {
    /// Keeps what it saw as text.
    #[derive(Default)]
    struct Seen(String);
    impl Metric for Seen {
        fn needs(&self) -> Needs {
            Needs {
                ids: true,
                embeddings: true,
                predictions: true,
                ..Needs::default()
            }
        }
        fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
            self.0 = format!("{samples:?}");
            Ok(())
        }
        fn state(&self) -> Result<Vec<u8>> {
            Ok(self.0.clone().into_bytes())
        }
        fn merge(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }
        fn compute(&self) -> Result<Vec<Score>> {
            Ok(vec![
                Score::higher("a", 0.1 + 0.2),
                Score::lower("b", f64::NEG_INFINITY),
            ])
        }
    }
    let (a, b): (TextBuffer, TextBuffer) = (
        ["x", "č"].into_iter().collect(),
        ["", "🦀y"].into_iter().collect(),
    );
    let samples = Samples {
        count: 2,
        byte_lengths: &[1, 2],
        targets: Ids::new(&[7, 8], &[0, 0, 2]).unwrap(),
        log_probabilities: &[-1.0, -2.0],
        ranks: &[0, 9],
        texts: a.as_texts(),
        predictions: b.as_texts(),
        references: a.as_texts(),
        labels: &[1.0, 0.0],
        predicted_labels: &[0.5, 0.25],
        embeddings: &[0.0, 1.0, 2.0, 3.0],
        dimensions: 2,
    };
    let mut direct = Seen::default();
    let mut behind = v1::AbiMetric::export(Box::new(Seen::default()), None)
        .import()
        .unwrap();
    assert_eq!(direct.needs(), behind.needs());
    same(direct.update(&samples), behind.update(&samples));
    same(direct.state(), behind.state());
    same(direct.compute(), behind.compute());
}

#[test]
fn datasets() {
    let direct = Numbers::default();
    let behind = v1::AbiDataset::export(Box::new(Numbers::default()), None)
        .import()
        .unwrap();
    same(direct.info(), behind.info());
    for (start, count) in [
        (0, 60),
        (7, 9),
        (0, 1),
        (59, 5),
        (60, 5),
        (u64::MAX, 1),
        (3, 0),
    ] {
        same(direct.read(start, count), behind.read(start, count));
    }
}

#[test]
fn trackers() {
    let mut direct = Lines::default();
    let mut behind = v1::AbiTracker::export(Box::new(Lines::default()), None)
        .import()
        .unwrap();
    same(direct.events("{}\n"), behind.events("{}\n"));
    let run = RunInfo {
        name: "r".into(),
        folder: "f č".into(),
        resumed: true,
        config: serde_json::json!({"a": 1e-7}),
    };
    same(direct.start(&run), behind.start(&run));
    same(direct.events("{}\n{}\n"), behind.events("{}\n{}\n"));
    same(direct.finish(), behind.finish());
}

#[test]
fn sanitizers() {
    let direct = Fours::default();
    let behind = v1::AbiSanitizer::export(Box::new(Fours::default()), None)
        .import()
        .unwrap();
    same(direct.rules(), behind.rules());
    assert_eq!(direct.max_span(), behind.max_span());
    let texts: TextBuffer = ["4č4", "", "č"].into_iter().collect();
    for stage in [Stage::Ingest, Stage::Prompt, Stage::Output, Stage::Log] {
        same(
            direct.scan(texts.as_texts(), stage),
            behind.scan(texts.as_texts(), stage),
        );
    }
}

#[test]
fn adapters() {
    let direct = Shift::default();
    let behind = v1::AbiAdapter::export(Box::new(Shift::default()), None)
        .import()
        .unwrap();
    let sites = Bigram::new(HONEST, None).unwrap().sites().unwrap();
    same(direct.plan(&sites), behind.plan(&sites));
    let sites = [Site {
        name: "a.c_proj".into(),
        layer: Some(3),
        ..sites[0].clone()
    }];
    same(direct.plan(&sites), behind.plan(&sites));
}

/// A host that answers everything and remembers what it was asked.
#[derive(Default)]
struct Full {
    recording: RecordingHost,
    asked: Mutex<Vec<String>>,
}

impl Full {
    fn asked<T>(&self, what: String, answer: T) -> Result<T> {
        self.asked.lock().unwrap().push(what);
        Ok(answer)
    }
}

impl Host for Full {
    fn log(&self, level: LogLevel, message: &str) {
        self.recording.log(level, message);
    }
    fn progress(&self, label: &str, done: u64, total: u64) {
        self.asked(format!("progress {label} {done} {total}"), ())
            .unwrap();
    }
    fn threads(&self) -> usize {
        5
    }
    fn interrupted(&self) -> bool {
        self.recording.interrupted()
    }
    fn print(&self, text: &str) -> Result<()> {
        self.recording.print(text)
    }
    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.asked(format!("read {path} {offset} {length}"), vec![1, 2, 3])
    }
    fn create_tokenizer(
        &self,
        name: &str,
        config: &serde_json::Value,
    ) -> Result<Box<dyn Tokenizer>> {
        self.asked(
            format!("tokenizer {name} {config}"),
            Box::new(Bytes::trained(HONEST)),
        )
    }
    fn create_model(&self, name: &str, config: &serde_json::Value) -> Result<Box<dyn Model>> {
        self.asked(
            format!("model {name} {config}"),
            Box::new(Bigram::new(HONEST, None)?),
        )
    }
    fn create_dataset(&self, name: &str, config: &serde_json::Value) -> Result<Box<dyn Dataset>> {
        self.asked(
            format!("dataset {name} {config}"),
            Box::new(Numbers::default()),
        )
    }
    fn create_metric(&self, name: &str, config: &serde_json::Value) -> Result<Box<dyn Metric>> {
        self.asked(
            format!("metric {name} {config}"),
            Box::new(MeanLoss::default()),
        )
    }
    fn create_sanitizer(
        &self,
        name: &str,
        config: &serde_json::Value,
    ) -> Result<Box<dyn Sanitizer>> {
        self.asked(
            format!("sanitizer {name} {config}"),
            Box::new(Fours::default()),
        )
    }
    fn create_adapter(&self, name: &str, config: &serde_json::Value) -> Result<Box<dyn Adapter>> {
        self.asked(format!("adapter {name} {config}"), ())?;
        Err(Error::config(format!("no adapter is called {name:?}")).hint("try shift"))
    }
}

#[test]
fn the_host() {
    let full = Arc::new(Full::default());
    let host = v1::AbiHost::export(Arc::clone(&full) as HostRef).import();
    host.log(LogLevel::Warning, "careful č");
    host.progress("reading", 3, 9);
    assert_eq!(host.threads(), 5);
    assert!(!host.interrupted());
    full.recording.interrupt();
    assert!(host.interrupted());
    host.print("out\n").unwrap();
    assert_eq!(host.read_file("a/b", 7, 9).unwrap(), [1, 2, 3]);
    let config = serde_json::json!({"k": [1.5, "č"]});
    assert_eq!(
        host.create_tokenizer("t", &config)
            .unwrap()
            .vocabulary()
            .unwrap()
            .size,
        257
    );
    assert_eq!(
        host.create_model("m", &config)
            .unwrap()
            .info()
            .unwrap()
            .architecture,
        "bigram"
    );
    assert_eq!(
        host.create_dataset("d", &config)
            .unwrap()
            .read(0, 2)
            .unwrap()
            .rows(),
        2
    );
    assert!(
        host.create_metric("x", &config)
            .unwrap()
            .needs()
            .log_probabilities
    );
    assert_eq!(host.create_sanitizer("s", &config).unwrap().max_span(), 2);
    let error = host.create_adapter("lora", &config).err().unwrap();
    assert_eq!(
        (error.kind(), error.hint_text()),
        (ErrorKind::Config, Some("try shift"))
    );
    assert_eq!(full.recording.output(), "out\n");
    assert_eq!(
        full.recording.lines(),
        [(LogLevel::Warning, "careful č".to_owned())]
    );
    let asked = full.asked.lock().unwrap();
    assert_eq!(asked[0], "progress reading 3 9");
    assert_eq!(asked[1], "read a/b 7 9");
    assert_eq!(asked[2], "tokenizer t {\"k\":[1.5,\"č\"]}");
    assert_eq!(asked.len(), 8);
}

#[test]
fn commands() {
    let full = Arc::new(Full::default());
    let mut behind = v1::AbiCommand::export(Box::new(Echo::default()), None)
        .import()
        .unwrap();
    let arguments = serde_json::json!({"text": "č", "list": ["a"], "flag": true, "n": -3});
    let arguments = Arguments(arguments.as_object().unwrap().clone());
    let host: HostRef = Arc::clone(&full) as HostRef;
    assert_eq!(behind.run(&arguments, &host).unwrap(), 7);
    assert_eq!(
        full.recording.output(),
        serde_json::to_string(&arguments.0).unwrap()
    );
    drop((behind, host));
    assert_eq!(Arc::strong_count(&full), 1, "a host was kept or leaked");
}
