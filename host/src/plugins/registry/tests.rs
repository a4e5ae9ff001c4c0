//! The registry over plugins that need no file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Mutex;

use codex_plugin_api::{Needs, Samples, Score};
use serde_json::json;

use super::super::discover::tests::plugin;
use super::super::refusal::Step;
use super::super::runtime::ComponentInfo;
use super::*;
use crate::output::Color;

/// Counts nothing, and says in `compute` with which configuration it was made.
struct Echo(Value);

impl Metric for Echo {
    fn needs(&self) -> Needs {
        Needs::default()
    }
    fn update(&mut self, _samples: &Samples<'_>) -> Result<()> {
        Err(Error::failed("no luck"))
    }
    fn state(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn merge(&mut self, _state: &[u8]) -> Result<()> {
        Ok(())
    }
    fn compute(&self) -> Result<Vec<Score>> {
        Ok(vec![Score::higher(self.0.to_string(), 1.0)])
    }
}

struct Fake(Vec<(Kind, &'static str)>);

macro_rules! nothing {
    ($($function:ident -> $kind:ident),*) => {$(
        fn $function(&self, name: &str, _config: &Value, _host: HostRef) -> Result<Box<dyn $kind>> {
            Err(Error::unsupported(name))
        }
    )*};
}

impl Runtime for Fake {
    fn components(&self) -> Vec<ComponentInfo> {
        let schema =
            json!({"type": "object", "properties": {"rate": {"type": "integer", "default": 3}}});
        let info = |&(kind, name): &(Kind, &str)| ComponentInfo {
            kind,
            name: name.into(),
            schema: schema.clone(),
        };
        self.0.iter().map(info).collect()
    }
    fn create_metric(&self, name: &str, config: &Value, host: HostRef) -> Result<Box<dyn Metric>> {
        if name == "outer" {
            return host.create_metric("x", &json!({"rate": 9}));
        }
        Ok(Box::new(Echo(config.clone())))
    }
    nothing! {
        create_tokenizer -> Tokenizer, create_model -> Model, create_dataset -> Dataset, create_tracker -> Tracker,
        create_sanitizer -> Sanitizer, create_adapter -> Adapter, create_command -> Command
    }
}

/// A registry and the ids of the plugins that it opened.
fn registry() -> (Arc<Registry>, Arc<Mutex<Vec<String>>>) {
    let metrics = &[(Kind::Metric, "x"), (Kind::Metric, "outer")];
    let old = plugin("old", &[(Kind::Metric, "ancient")], "old.so");
    let catalog = Catalog {
        plugins: vec![
            plugin("good", metrics, "good.so"),
            plugin("lies", &[(Kind::Model, "m")], "lies.so"),
        ],
        refused: vec![Stopped {
            refusal: Refusal::new(
                Path::new("old.so"),
                Step::Api,
                "built for API 2",
                "rebuild it",
            ),
            manifest: Some(Box::new(old.manifest)),
        }],
        ..Catalog::default()
    };
    let app = App::new(
        Output::new(false, true, 0, Color::Never),
        Interrupt::default(),
        Vec::new(),
        2,
    );
    let opened = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&opened);
    let open = move |plugin: &Plugin| -> std::result::Result<Box<dyn Runtime>, Refusal> {
        log.lock().unwrap().push(plugin.id().to_owned());
        Ok(Box::new(Fake(match plugin.id() {
            "good" => vec![(Kind::Metric, "x"), (Kind::Metric, "outer")],
            _ => vec![(Kind::Model, "other")],
        })))
    };
    (Registry::with(catalog, &app, Box::new(open)), opened)
}

#[test]
fn plugins_load_once_and_on_first_use() {
    let (registry, opened) = registry();
    assert_eq!(registry.names(Kind::Metric), ["outer", "x"]);
    assert!(opened.lock().unwrap().is_empty());
    for _ in 0..3 {
        registry.create_metric("x", &Value::Null).unwrap();
    }
    assert_eq!(*opened.lock().unwrap(), ["good"]);
    assert_eq!(
        registry.in_use().map(Plugin::id).collect::<Vec<_>>(),
        ["good"]
    );
}

#[test]
fn configuration_is_checked_filled_and_passed_through_the_host_context() {
    let (registry, _) = registry();
    let made = |name: &str| {
        registry
            .create_metric(name, &json!({}))
            .unwrap()
            .compute()
            .unwrap()[0]
            .name
            .clone()
    };
    assert_eq!(made("x"), r#"{"rate":3}"#);
    assert_eq!(made("outer"), r#"{"rate":9}"#);
    let error = registry
        .create_metric("x", &json!({"rat": 1}))
        .map(drop)
        .unwrap_err();
    assert_eq!(
        (error.message(), error.hint_text()),
        ("unknown key x.rat", Some("did you mean x.rate?"))
    );
    assert_eq!(
        registry
            .check_config(Kind::Metric, "x", &json!({}), "metrics.0")
            .unwrap(),
        json!({"rate": 3})
    );
}

#[test]
fn errors_of_a_component_name_its_plugin() {
    let mut metric = registry().0.create_metric("x", &Value::Null).unwrap();
    let error = metric.update(&Samples::default()).unwrap_err();
    assert_eq!(
        error.message(),
        "no luck (plugin good 0.1.0, metric x, update)"
    );
    assert_eq!(error.kind(), ErrorKind::Plugin);
}

#[test]
fn what_is_missing_is_explained() {
    let (registry, _) = registry();
    for (kind, name, fault, message, hint) in [
        (
            Kind::Metric,
            "outter",
            ErrorKind::Config,
            "there is no metric \"outter\"",
            "did you mean outer?",
        ),
        (
            Kind::Metric,
            "zzz",
            ErrorKind::Config,
            "there is no metric \"zzz\"",
            "installed are outer, x",
        ),
        (
            Kind::Metric,
            "ancient",
            ErrorKind::Plugin,
            "old.so is refused at step api: built for API 2",
            "rebuild it",
        ),
        (
            Kind::Dataset,
            "d",
            ErrorKind::Config,
            "there is no dataset \"d\"",
            "plugin doctor says why",
        ),
        (
            Kind::Model,
            "m",
            ErrorKind::Plugin,
            "plugin lies 0.1.0 failed at step components",
            "name it in plugin!",
        ),
    ] {
        let error = registry.schema(kind, name).unwrap_err();
        assert_eq!(error.kind(), fault);
        assert!(error.message().contains(message), "{error}");
        assert!(
            error.hint_text().unwrap_or_default().contains(hint),
            "{:?}",
            error.hint_text()
        );
    }
}
