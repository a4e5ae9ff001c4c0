//! A component that panics in every method: each call answers an error of kind `Panic` that says what and where, the next
//! call does not enter the instance, and dropping it is survived.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use codex_plugin_api::abi::v1;
use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::*;

/// Panics wherever it can, and counts how often it was entered.
struct Wild(Arc<AtomicU64>);

impl Wild {
    fn panic(&self) -> ! {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("wild\nand {}", "woolly")
    }
}

impl Drop for Wild {
    fn drop(&mut self) {
        self.panic()
    }
}

macro_rules! wild {
    ($trait:ident { $($(#[$mutable:ident])? fn $name:ident($($type:ty),*) -> $answer:ty;)* }) => {
        impl $trait for Wild {
            $(wild!(@ $($mutable)? $name ($($type),*) $answer);)*
        }
    };
    (@ mutable $name:ident () $answer:ty) => { fn $name(&mut self) -> $answer { self.panic() } };
    (@ mutable $name:ident ($a:ty) $answer:ty) => { fn $name(&mut self, _: $a) -> $answer { self.panic() } };
    (@ mutable $name:ident ($a:ty, $b:ty) $answer:ty) => { fn $name(&mut self, _: $a, _: $b) -> $answer { self.panic() } };
    (@ $name:ident () $answer:ty) => { fn $name(&self) -> $answer { self.panic() } };
    (@ $name:ident ($a:ty) $answer:ty) => { fn $name(&self, _: $a) -> $answer { self.panic() } };
    (@ $name:ident ($a:ty, $b:ty) $answer:ty) => { fn $name(&self, _: $a, _: $b) -> $answer { self.panic() } };
}

wild! { Tokenizer {
    fn vocabulary() -> Result<Vocabulary>;
    fn encode(Texts<'_>, EncodeOptions) -> Result<Encoding>;
    fn decode(Ids<'_>, bool) -> Result<TextBuffer>;
    fn token_bytes(u32) -> Result<Vec<u8>>;
    fn token_text(u32) -> Result<Option<String>>;
    fn token_id(&str) -> Result<Option<u32>>;
    fn save(&str) -> Result<()>;
    #[mutable] fn feed(Texts<'_>) -> Result<()>;
    #[mutable] fn finish_training() -> Result<()>;
} }

wild! { Model {
    fn info() -> Result<ModelInfo>;
    fn parameters() -> Result<Vec<Parameter>>;
    #[mutable] fn score(&TokenBatch<'_>, ScoreRequest) -> Result<Scores>;
    fn save(&str) -> Result<()>;
    #[mutable] fn begin_training(&TrainingSettings) -> Result<()>;
    #[mutable] fn forward_backward(&TokenBatch<'_>, &TrainingPass) -> Result<Loss>;
    #[mutable] fn gradients() -> Result<Vec<GradientSummary>>;
    #[mutable] fn optimizer_step(&OptimizerStep) -> Result<f64>;
    #[mutable] fn lend_gradients() -> Result<Vec<GradientBuffer>>;
    fn export_state(&str) -> Result<()>;
    #[mutable] fn import_state(&str) -> Result<()>;
    #[mutable] fn embed(Ids<'_>) -> Result<Vec<f32>>;
    #[mutable] fn open_session() -> Result<u64>;
    #[mutable] fn extend_sessions(&[u64], Ids<'_>) -> Result<Vec<f32>>;
    #[mutable] fn truncate_session(u64, u64) -> Result<()>;
    #[mutable] fn close_session(u64) -> Result<()>;
    fn sites() -> Result<Vec<Site>>;
    #[mutable] fn add_adapter(&str, &AdapterPlan) -> Result<()>;
    #[mutable] fn load_adapter(&str, &str) -> Result<()>;
    fn save_adapter(&str, &str) -> Result<()>;
    #[mutable] fn activate_adapters(&[String], &[f32]) -> Result<()>;
    #[mutable] fn merge_adapter(&str, bool) -> Result<f64>;
} }

wild! { Dataset {
    fn info() -> Result<DatasetInfo>;
    fn read(u64, u64) -> Result<Batch>;
} }

wild! { Tracker {
    #[mutable] fn start(&RunInfo) -> Result<()>;
    #[mutable] fn events(&str) -> Result<()>;
    #[mutable] fn finish() -> Result<()>;
} }

wild! { Adapter { fn plan(&[Site]) -> Result<AdapterPlan>; } }

wild! { Command { #[mutable] fn run(&Arguments, &HostRef) -> Result<i32>; } }

/// `needs` and `max_span` are read when the object is imported, so these answer.
impl Metric for Wild {
    fn needs(&self) -> Needs {
        Needs::default()
    }
    fn update(&mut self, _: &Samples<'_>) -> Result<()> {
        self.panic()
    }
    fn state(&self) -> Result<Vec<u8>> {
        self.panic()
    }
    fn merge(&mut self, _: &[u8]) -> Result<()> {
        self.panic()
    }
    fn compute(&self) -> Result<Vec<Score>> {
        self.panic()
    }
}

impl Sanitizer for Wild {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(Vec::new())
    }
    fn max_span(&self) -> u32 {
        1
    }
    fn scan(&self, _: Texts<'_>, _: Stage) -> Result<Vec<Finding>> {
        self.panic()
    }
}

/// Makes the call on a new instance of the kind, twice.
macro_rules! each {
    ($object:ident: $($call:expr),* $(,)?) => {$({
        let entered = Arc::new(AtomicU64::new(0));
        let host = Arc::new(RecordingHost::default());
        let wild = Box::new(Wild(Arc::clone(&entered)));
        let mut behind = v1::$object::export(wild, Some(Arc::clone(&host) as HostRef)).import().unwrap();
        let place = stringify!($call);
        let mut call = || $call(&mut *behind).map(drop).unwrap_err();
        let error = call();
        assert_eq!(error.kind(), ErrorKind::Panic, "{place}");
        assert!(error.message().starts_with("wild, and woolly (at "), "{place}: {error}");
        assert!(error.message().contains("panics.rs:"), "{place}: {error}");
        assert_eq!(entered.load(Ordering::SeqCst), 1);
        let error = call();
        assert_eq!(error.message(), "not called again after it panicked", "{place}");
        assert_eq!(entered.load(Ordering::SeqCst), 1, "{place} entered the instance again");
        drop(behind);
        assert_eq!(entered.load(Ordering::SeqCst), 2, "{place}: dropped once");
        let log = host.lines();
        assert!(log[0].1.contains("while an instance was dropped: wild"), "{log:?}");
    })*};
}

#[test]
fn in_every_method() {
    let (batch, ids, texts) = (TokenBatch::default(), Ids::default(), Texts::default());
    let none = RunInfo {
        name: String::new(),
        folder: String::new(),
        resumed: false,
        config: serde_json::Value::Null,
    };
    each! { AbiTokenizer:
        |it: &mut dyn Tokenizer| it.vocabulary(),
        |it: &mut dyn Tokenizer| it.encode(texts, EncodeOptions::default()),
        |it: &mut dyn Tokenizer| it.decode(ids, true),
        |it: &mut dyn Tokenizer| it.token_bytes(1),
        |it: &mut dyn Tokenizer| it.token_text(1),
        |it: &mut dyn Tokenizer| it.token_id("a"),
        |it: &mut dyn Tokenizer| it.save("a"),
        |it: &mut dyn Tokenizer| it.feed(texts),
        |it: &mut dyn Tokenizer| it.finish_training(),
    }
    each! { AbiModel:
        |it: &mut dyn Model| it.info(),
        |it: &mut dyn Model| it.parameters(),
        |it: &mut dyn Model| it.score(&batch, ScoreRequest::default()),
        |it: &mut dyn Model| it.save("a"),
        |it: &mut dyn Model| it.begin_training(&TrainingSettings::default()),
        |it: &mut dyn Model| it.forward_backward(&batch, &TrainingPass::default()),
        |it: &mut dyn Model| it.gradients(),
        |it: &mut dyn Model| it.optimizer_step(&OptimizerStep::default()),
        |it: &mut dyn Model| it.lend_gradients(),
        |it: &mut dyn Model| it.export_state("a"),
        |it: &mut dyn Model| it.import_state("a"),
        |it: &mut dyn Model| it.embed(ids),
        |it: &mut dyn Model| it.open_session(),
        |it: &mut dyn Model| it.extend_sessions(&[], ids),
        |it: &mut dyn Model| it.truncate_session(1, 1),
        |it: &mut dyn Model| it.close_session(1),
        |it: &mut dyn Model| it.sites(),
        |it: &mut dyn Model| it.add_adapter("a", &AdapterPlan::default()),
        |it: &mut dyn Model| it.load_adapter("a", "b"),
        |it: &mut dyn Model| it.save_adapter("a", "b"),
        |it: &mut dyn Model| it.activate_adapters(&[], &[]),
        |it: &mut dyn Model| it.merge_adapter("a", true),
    }
    each! { AbiDataset:
        |it: &mut dyn Dataset| it.info(),
        |it: &mut dyn Dataset| it.read(0, 1),
    }
    each! { AbiMetric:
        |it: &mut dyn Metric| it.update(&Samples::default()),
        |it: &mut dyn Metric| it.state(),
        |it: &mut dyn Metric| it.merge(&[]),
        |it: &mut dyn Metric| it.compute(),
    }
    each! { AbiTracker:
        |it: &mut dyn Tracker| it.start(&none),
        |it: &mut dyn Tracker| it.events(""),
        |it: &mut dyn Tracker| it.finish(),
    }
    each! { AbiSanitizer: |it: &mut dyn Sanitizer| it.scan(texts, Stage::Log) }
    each! { AbiAdapter: |it: &mut dyn Adapter| it.plan(&[]) }
    each! { AbiCommand: |it: &mut dyn Command| it.run(&Arguments::default(), &NoHost::shared()) }
}

/// A host that panics is the plugin's error of another kind: the plugin did nothing wrong.
#[test]
fn in_the_host() {
    struct WildHost;
    impl Host for WildHost {
        fn log(&self, _: LogLevel, _: &str) {
            panic!("log")
        }
        fn progress(&self, _: &str, _: u64, _: u64) {
            panic!("progress")
        }
        fn threads(&self) -> usize {
            panic!("threads")
        }
        fn interrupted(&self) -> bool {
            panic!("interrupted")
        }
        fn print(&self, _: &str) -> Result<()> {
            panic!("print")
        }
        fn read_file(&self, _: &str, _: u64, _: u64) -> Result<Vec<u8>> {
            panic!("read_file")
        }
        fn create_tokenizer(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Tokenizer>> {
            panic!("create")
        }
        fn create_model(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Model>> {
            panic!("create")
        }
        fn create_dataset(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Dataset>> {
            panic!("create")
        }
        fn create_metric(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Metric>> {
            panic!("create")
        }
        fn create_sanitizer(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Sanitizer>> {
            panic!("create")
        }
        fn create_adapter(&self, _: &str, _: &serde_json::Value) -> Result<Box<dyn Adapter>> {
            panic!("create")
        }
    }
    let host = v1::AbiHost::export(Arc::new(WildHost)).import();
    host.log(LogLevel::Error, "x");
    host.progress("x", 1, 2);
    assert_eq!(host.threads(), 1);
    assert!(!host.interrupted());
    let error = host.print("x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panic);
}
