//! A trap in every export of every kind. Which exports there are is read from the WIT, so none can be forgotten: one that
//! this file does not know fails the test.

use std::fs;

use codex_ml::plugins::Registry;
use codex_plugin_api::{
    AdapterPlan, Arguments, EncodeOptions, HostRef, Ids, NoHost, OptimizerStep, Result, RunInfo,
    Samples, ScoreRequest, Site, Stage, TextBuffer, TokenBatch, TrainingPass, TrainingSettings,
};
use serde_json::{Value, json};
use wit_parser::{Resolve, WorldItem};

use super::{Cage, deed, is_plugins_fault, names};
use crate::bench::{Bench, root};

/// Every kind with its exports, as `plugin-api/wit/v1` has them.
pub(super) fn exports() -> Vec<(String, Vec<String>)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("plugin-api/wit/v1")).unwrap();
    let world = resolve.select_world(&[package], Some("all-kinds")).unwrap();
    let items = resolve.worlds[world].exports.values();
    items
        .map(|item| {
            let WorldItem::Interface { id, .. } = item else {
                panic!("{item:?} is exported without an interface")
            };
            let interface = &resolve.interfaces[*id];
            let functions = interface.functions.keys().cloned().collect();
            (interface.name.clone().unwrap(), functions)
        })
        .collect()
}

/// Makes a call, and after one that failed another: the guest must not be entered again.
fn call<T>(mut call: impl FnMut() -> Result<T>) -> Result<()> {
    let first = call().map(drop);
    if first.is_err() {
        let second = call().map(drop).unwrap_err();
        names(&second, &["it was stopped before"]);
    }
    first
}

/// What calls are made with.
struct Given {
    folder: String,
    texts: TextBuffer,
}

impl Given {
    fn new(bench: &Bench) -> Self {
        let folder = bench.work().join("given");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("state.bin"), "state").unwrap();
        Self {
            folder: folder.to_str().unwrap().to_owned(),
            texts: ["one", "two"].into_iter().collect(),
        }
    }
}

/// Makes the call behind an export of a component with this configuration; `None` for an export that nobody knows.
fn try_export(
    registry: &Registry,
    kind: &str,
    export: &str,
    config: &Value,
    given: &Given,
) -> Option<Result<()>> {
    match kind {
        "metric" => metric(registry, export, config),
        "tracker" => tracker(registry, export, config, given),
        "dataset" => dataset(registry, export, config),
        "sanitizer" => sanitizer(registry, export, config, given),
        "tokenizer" => tokenizer(registry, export, config, given),
        "model" => model(registry, export, config, given),
        "adapter" => adapter(registry, export, config),
        "command" => command(registry, export, config),
        _ => None,
    }
}

/// The component, or the error of creating it.
macro_rules! created {
    ($created:expr) => {
        match $created {
            Ok(component) => component,
            Err(error) => return Some(Err(error)),
        }
    };
}

fn metric(registry: &Registry, export: &str, config: &Value) -> Option<Result<()>> {
    let mut metric = created!(registry.create_metric("hostile", config));
    Some(match export {
        // What it needs is asked when it is created.
        "create" | "needs" => Ok(()),
        "update" => call(|| metric.update(&Samples::default())),
        "state" => call(|| metric.state()),
        "merge" => call(|| metric.merge(b"x")),
        "compute" => call(|| metric.compute()),
        _ => return None,
    })
}

fn tracker(registry: &Registry, export: &str, config: &Value, given: &Given) -> Option<Result<()>> {
    let mut tracker = created!(registry.create_tracker("hostile", config));
    let run = RunInfo {
        name: "r".into(),
        folder: given.folder.clone(),
        resumed: false,
        config: json!({}),
    };
    Some(match export {
        "create" => Ok(()),
        "start" => call(|| tracker.start(&run)),
        "events" => call(|| tracker.events("{}\n")),
        "finish" => call(|| tracker.finish()),
        _ => return None,
    })
}

fn dataset(registry: &Registry, export: &str, config: &Value) -> Option<Result<()>> {
    let dataset = created!(registry.create_dataset("hostile", config));
    Some(match export {
        "create" => Ok(()),
        "info" => call(|| dataset.info()),
        "read" => call(|| dataset.read(0, 2)),
        _ => return None,
    })
}

fn sanitizer(
    registry: &Registry,
    export: &str,
    config: &Value,
    given: &Given,
) -> Option<Result<()>> {
    let sanitizer = created!(registry.create_sanitizer("hostile", config));
    Some(match export {
        "create" | "rules" | "max-span" => Ok(()),
        "scan" => call(|| sanitizer.scan(given.texts.as_texts(), Stage::Prompt)),
        _ => return None,
    })
}

fn tokenizer(
    registry: &Registry,
    export: &str,
    config: &Value,
    given: &Given,
) -> Option<Result<()>> {
    let mut tokenizer = created!(registry.create_tokenizer("hostile", config));
    let ids = Ids::new(&[1, 2], &[0, 2]).unwrap();
    let texts = given.texts.as_texts();
    Some(match export {
        "create" => Ok(()),
        "vocabulary" => call(|| tokenizer.vocabulary()),
        "encode" => call(|| tokenizer.encode(texts, EncodeOptions::default())),
        "decode" => call(|| tokenizer.decode(ids, false)),
        "token-bytes" => call(|| tokenizer.token_bytes(1)),
        "token-texts" => call(|| tokenizer.token_text(1)),
        "token-id" => call(|| tokenizer.token_id("x")),
        "save" => call(|| tokenizer.save(&given.folder)),
        "feed" => call(|| tokenizer.feed(texts)),
        "finish-training" => call(|| tokenizer.finish_training()),
        _ => return None,
    })
}

fn model(registry: &Registry, export: &str, config: &Value, given: &Given) -> Option<Result<()>> {
    let mut model = created!(registry.create_model("hostile", config));
    let ids = Ids::new(&[1, 2, 1], &[0, 3]).unwrap();
    let batch = TokenBatch::new(ids);
    let folder = given.folder.as_str();
    Some(match export {
        "create" => Ok(()),
        "info" => call(|| model.info()),
        "parameters" => call(|| model.parameters()),
        "score" => call(|| model.score(&batch, ScoreRequest::default())),
        "save" => call(|| model.save(folder)),
        "begin-training" => call(|| model.begin_training(&TrainingSettings::default())),
        "forward-backward" => call(|| model.forward_backward(&batch, &TrainingPass::default())),
        "gradients" => call(|| model.gradients()),
        "do-optimizer-step" => call(|| model.optimizer_step(&OptimizerStep::default())),
        "export-state" => call(|| model.export_state(folder)),
        "import-state" => call(|| model.import_state(folder)),
        "embed" => call(|| model.embed(ids)),
        "open-session" => call(|| model.open_session()),
        "extend-sessions" => call(|| model.extend_sessions(&[0], ids)),
        "truncate-session" => call(|| model.truncate_session(0, 1)),
        "close-session" => call(|| model.close_session(0)),
        "sites" => call(|| model.sites()),
        "add-adapter" => call(|| model.add_adapter("a", &AdapterPlan::default())),
        "load-adapter" => call(|| model.load_adapter("a", folder)),
        "save-adapter" => call(|| model.save_adapter("a", folder)),
        "activate-adapters" => call(|| model.activate_adapters(&["a".into()], &[1.0])),
        "merge-adapter" => call(|| model.merge_adapter("a", true)),
        _ => return None,
    })
}

fn adapter(registry: &Registry, export: &str, config: &Value) -> Option<Result<()>> {
    let adapter = created!(registry.create_adapter("hostile", config));
    let sites: [Site; 0] = [];
    Some(match export {
        "create" => Ok(()),
        "plan" => call(|| adapter.plan(&sites)),
        _ => return None,
    })
}

fn command(registry: &Registry, export: &str, config: &Value) -> Option<Result<()>> {
    let mut command = created!(registry.create_command("hostile", config));
    let host: HostRef = std::sync::Arc::new(NoHost);
    // Where it is not told to trap it does a deed that needs no grant.
    let arguments = Arguments(json!({ "deed": "nothing" }).as_object().unwrap().clone());
    Some(match export {
        "create" => Ok(()),
        "run" => call(|| command.run(&arguments, &host)),
        _ => return None,
    })
}

/// What the engine calls the call behind an export. Exports that are asked when a component is created are part of that.
fn call_names(kind: &str, export: &str) -> Vec<String> {
    let asked =
        ["needs", "rules", "max-span"].contains(&export) || (kind, export) == ("model", "info");
    let call = match export {
        "do-optimizer-step" => "optimizer_step".to_owned(),
        "token-texts" => "token_text".to_owned(),
        other => other.replace('-', "_"),
    };
    if asked {
        vec![
            format!("{kind} hostile, create"),
            format!("asked for its {call}"),
        ]
    } else {
        vec![format!("{kind} hostile, {call}:")]
    }
}

#[test]
fn a_trap_in_every_export_of_every_kind_names_plugin_version_and_call() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let given = Given::new(&cage.bench);
    let exports = exports();
    assert_eq!(exports.len(), 8, "{exports:?}");
    for (kind, functions) in &exports {
        assert!(functions.len() >= 2, "{kind}: {functions:?}");
        for export in functions {
            let tried = |what: &str| {
                let config = deed(&format!("{export}:{what}"));
                try_export(&registry, kind, export, &config, &given)
                    .unwrap_or_else(|| panic!("{export} of {kind} is new: try it here"))
            };
            let error = tried("trap")
                .err()
                .unwrap_or_else(|| panic!("{kind}, {export}: nothing happened"));
            is_plugins_fault(&error);
            names(&error, &["it stopped itself"]);
            for name in call_names(kind, export) {
                names(&error, &[&name]);
            }
            // The host is alive, and another component of the same plugin as good as new.
            tried("nothing").unwrap_or_else(|error| panic!("{kind}, {export}: {error}"));
        }
        // What a panic says on its way out is part of the error.
        let config = deed("create:panic");
        let error = try_export(&registry, kind, "create", &config, &given)
            .unwrap()
            .unwrap_err();
        is_plugins_fault(&error);
        names(
            &error,
            &[
                "a guest lost its nerve",
                &format!("{kind} hostile, create:"),
            ],
        );
    }
}
