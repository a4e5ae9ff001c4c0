//! A plugin that panics in every method of every kind: the host names it, drops it where it can, and never crashes.

use std::fs;

use codex_plugin_api::{
    AdapterPlan, Arguments, EncodeOptions, Error, ErrorKind, Ids, Model, NoHost, OptimizerStep,
    RunInfo, Samples, ScoreRequest, Stage, TextBuffer, TokenBatch, TrainingPass, TrainingSettings,
};
use serde_json::{Value, json};

use super::broken;
use crate::bench::Bench;
use crate::first_steps::quick;
use crate::third_party::registry;

/// Asserts that a call ended in a panic that the plugin caught and the host put a name on.
#[track_caller]
fn panicked<T>(result: codex_plugin_api::Result<T>, kind: &str, call: &str) {
    let error: Error = result
        .err()
        .unwrap_or_else(|| panic!("{kind}, {call}: nothing happened"));
    let start =
        format!("plugin panics 0.1.0 panicked in {kind} panics, {call}: {call} went, wrong (at ");
    assert!(
        error.message().starts_with(&start),
        "{error} does not begin with {start:?}"
    );
    assert_eq!(error.kind(), ErrorKind::Panic);
    assert!(error.hint_text().is_some());
}

/// A bench with the plugin that panics everywhere.
fn with_panics() -> Bench {
    let bench = Bench::new();
    bench
        .run(&["plugin", "install", broken("panics").to_str().unwrap()])
        .ok();
    assert_eq!(
        bench.run(&["plugin", "doctor", "--json"]).ok().json(),
        json!([])
    );
    bench
}

#[test]
fn a_panic_in_any_method_is_an_error_that_names_plugin_component_and_call() {
    let bench = with_panics();
    let registry = registry(&bench, &[]);
    let all = Value::Null;
    let at = |call: &str| json!({ "at": call });
    let folder = bench.work();
    let folder = folder.to_str().unwrap();
    let texts: TextBuffer = ["one", "two"].iter().collect();
    let texts = texts.as_texts();
    let ids = Ids::new(&[1, 2, 3], &[0, 3]).unwrap();

    panicked(
        registry.create_tokenizer("panics", &at("create")),
        "tokenizer",
        "create",
    );
    panicked(
        registry.create_model("panics", &at("create")),
        "model",
        "create",
    );
    panicked(
        registry.create_dataset("panics", &at("create")),
        "dataset",
        "create",
    );
    panicked(
        registry.create_metric("panics", &at("create")),
        "metric",
        "create",
    );
    panicked(
        registry.create_tracker("panics", &at("create")),
        "tracker",
        "create",
    );
    panicked(
        registry.create_sanitizer("panics", &at("create")),
        "sanitizer",
        "create",
    );
    panicked(
        registry.create_adapter("panics", &at("create")),
        "adapter",
        "create",
    );

    // After a panic nobody enters the instance again, so every call gets one of its own.
    let tokenizer = |call: &str| registry.create_tokenizer("panics", &at(call)).unwrap();
    panicked(
        tokenizer("vocabulary").vocabulary(),
        "tokenizer",
        "vocabulary",
    );
    panicked(
        tokenizer("encode").encode(texts, EncodeOptions::default()),
        "tokenizer",
        "encode",
    );
    panicked(
        tokenizer("decode").decode(ids, false),
        "tokenizer",
        "decode",
    );
    panicked(
        tokenizer("token_bytes").token_bytes(0),
        "tokenizer",
        "token_bytes",
    );
    panicked(
        tokenizer("token_text").token_text(0),
        "tokenizer",
        "token_text",
    );
    panicked(tokenizer("token_id").token_id("x"), "tokenizer", "token_id");
    panicked(tokenizer("save").save(folder), "tokenizer", "save");
    panicked(tokenizer("feed").feed(texts), "tokenizer", "feed");
    panicked(
        tokenizer("finish_training").finish_training(),
        "tokenizer",
        "finish_training",
    );

    every_method_of_a_model(
        &|call| registry.create_model("panics", &at(call)).unwrap(),
        ids,
        folder,
    );

    let dataset = |call: &str| registry.create_dataset("panics", &at(call)).unwrap();
    panicked(dataset("info").info(), "dataset", "info");
    panicked(dataset("read").read(0, 1), "dataset", "read");

    // What a metric needs and which rules a sanitizer has is asked when they are made.
    for (call, error) in [
        (
            "needs",
            registry
                .create_metric("panics", &at("needs"))
                .err()
                .unwrap(),
        ),
        (
            "rules",
            registry
                .create_sanitizer("panics", &at("rules"))
                .err()
                .unwrap(),
        ),
        (
            "max_span",
            registry
                .create_sanitizer("panics", &at("max_span"))
                .err()
                .unwrap(),
        ),
    ] {
        assert!(
            error.kind() == ErrorKind::Panic
                && error.message().contains(&format!("{call} went, wrong")),
            "{error}"
        );
    }
    let metric = |call: &str| registry.create_metric("panics", &at(call)).unwrap();
    panicked(
        metric("update").update(&Samples::default()),
        "metric",
        "update",
    );
    panicked(metric("state").state(), "metric", "state");
    panicked(metric("merge").merge(&[]), "metric", "merge");
    panicked(metric("compute").compute(), "metric", "compute");

    let tracker = |call: &str| registry.create_tracker("panics", &at(call)).unwrap();
    let run = RunInfo {
        name: "r".into(),
        folder: folder.into(),
        resumed: false,
        config: Value::Null,
    };
    panicked(tracker("start").start(&run), "tracker", "start");
    panicked(tracker("events").events("{}\n"), "tracker", "events");
    panicked(tracker("finish").finish(), "tracker", "finish");

    let sanitizer = registry.create_sanitizer("panics", &at("scan")).unwrap();
    panicked(sanitizer.scan(texts, Stage::Prompt), "sanitizer", "scan");
    panicked(
        registry.create_adapter("panics", &all).unwrap().plan(&[]),
        "adapter",
        "plan",
    );
    let mut command = registry.create_command("panic", &all).unwrap();
    let host: codex_plugin_api::HostRef = std::sync::Arc::new(NoHost);
    let error = command.run(&Arguments::default(), &host).unwrap_err();
    assert!(
        error
            .message()
            .contains("panicked in command panic, run: run went, wrong"),
        "{error}"
    );

    // With no method named all of them panic, and what panicked once is not entered again.
    let whole = registry.create_tokenizer("panics", &all).unwrap();
    panicked(whole.token_bytes(0), "tokenizer", "token_bytes");
    let error = whole.token_bytes(0).unwrap_err();
    assert!(
        error
            .message()
            .contains("panicked (plugin panics 0.1.0, tokenizer panics, token_bytes)"),
        "{error}"
    );
    assert_eq!(metric("update").compute().unwrap()[0].name, "panics");
}

fn every_method_of_a_model(model: &dyn Fn(&str) -> Box<dyn Model>, ids: Ids<'_>, folder: &str) {
    let batch = TokenBatch::new(ids);
    panicked(model("info").info(), "model", "info");
    panicked(model("parameters").parameters(), "model", "parameters");
    panicked(
        model("score").score(&batch, ScoreRequest::default()),
        "model",
        "score",
    );
    panicked(model("save").save(folder), "model", "save");
    panicked(
        model("begin_training").begin_training(&TrainingSettings::default()),
        "model",
        "begin_training",
    );
    panicked(
        model("forward_backward").forward_backward(&batch, &TrainingPass::default()),
        "model",
        "forward_backward",
    );
    panicked(model("gradients").gradients(), "model", "gradients");
    panicked(
        model("optimizer_step").optimizer_step(&OptimizerStep::default()),
        "model",
        "optimizer_step",
    );
    panicked(
        model("lend_gradients").lend_gradients(),
        "model",
        "lend_gradients",
    );
    panicked(
        model("export_state").export_state(folder),
        "model",
        "export_state",
    );
    panicked(
        model("import_state").import_state(folder),
        "model",
        "import_state",
    );
    panicked(model("embed").embed(ids), "model", "embed");
    panicked(
        model("open_session").open_session(),
        "model",
        "open_session",
    );
    panicked(
        model("extend_sessions").extend_sessions(&[1], ids),
        "model",
        "extend_sessions",
    );
    panicked(
        model("truncate_session").truncate_session(1, 0),
        "model",
        "truncate_session",
    );
    panicked(
        model("close_session").close_session(1),
        "model",
        "close_session",
    );
    panicked(model("sites").sites(), "model", "sites");
    panicked(
        model("add_adapter").add_adapter("a", &AdapterPlan::default()),
        "model",
        "add_adapter",
    );
    panicked(
        model("load_adapter").load_adapter("a", folder),
        "model",
        "load_adapter",
    );
    panicked(
        model("save_adapter").save_adapter("a", folder),
        "model",
        "save_adapter",
    );
    panicked(
        model("activate_adapters").activate_adapters(&["a".into()], &[1.0]),
        "model",
        "activate_adapters",
    );
    panicked(
        model("merge_adapter").merge_adapter("a", true),
        "model",
        "merge_adapter",
    );
}

#[test]
fn a_metric_or_tracker_that_panics_is_left_out_and_the_run_goes_on() {
    let bench = with_panics();
    let trained = bench
        .run(&quick(&[
            "metrics=[lm,{name: panics, at: compute}]",
            "trackers=[files,{name: panics, at: events}]",
            "training.steps=4",
            "training.evaluate_every=2",
        ]))
        .ok()
        .tells(&[
            "warning: metric panics failed: plugin panics 0.1.0 panicked in metric panics, compute",
            "warning: tracker panics failed and hears no more of this run: plugin panics 0.1.0 panicked in tracker panics, events",
        ]);
    assert!(
        !trained.stderr.contains("panicked at"),
        "{}",
        trained.stderr
    );
    assert_eq!(
        trained.stderr.matches("tracker panics failed").count(),
        1,
        "{}",
        trained.stderr
    );
    trained.shows(&["bits_per_byte"]);

    let evaluate = |extra: &[&str]| {
        bench.run(
            &[
                &[
                    "evaluate",
                    "--model",
                    "runs/quick/model",
                    "--max-documents",
                    "10",
                    "--json",
                ],
                extra,
            ]
            .concat(),
        )
    };
    for call in ["update", "compute"] {
        let report = evaluate(&[
            "--metric",
            "lm",
            "--metric",
            "panics",
            &format!("metrics.panics.at={call}"),
        ])
        .ok();
        let named =
            format!("plugin panics 0.1.0 panicked in metric panics, {call}: {call} went, wrong");
        let report = report.tells(&["going on without it", &named]);
        assert!(!report.stderr.contains("panicked at"), "{}", report.stderr);
        assert!(
            report.json()["metrics"]["loss"].is_f64()
                && report.json()["metrics"]["panics"].is_null()
        );
    }
    let unharmed = evaluate(&["--metric", "panics", "metrics.panics.at=merge"]).ok();
    assert_eq!(unharmed.json()["metrics"]["panics"], 0.0);
    let alone = [
        "evaluate",
        "--model",
        "runs/quick/model",
        "--metric",
        "panics",
        "metrics.panics.at=update",
    ];
    bench
        .run(&alone)
        .fails(3, &["metric panics"])
        .tells(&["plugin panics 0.1.0 panicked in metric panics, update"]);
}

#[test]
fn anything_else_that_panics_stops_with_the_plugins_name() {
    let bench = with_panics();
    let evaluated = bench
        .run(&["panic"])
        .fails(3, &["plugin panics 0.1.0", "command panic", "run"]);
    assert_eq!(evaluated.stdout, "");
    for (settings, words) in [
        (
            &["data.name=panics"][..],
            &["dataset panics", "info: info went, wrong"][..],
        ),
        (
            &["data.name=panics", "data.at=read"],
            &["dataset panics", "read: read went, wrong"],
        ),
        (
            &["data.name=panics", "data.at=create"],
            &["dataset panics", "create: create went, wrong"],
        ),
        (&["tokenizer.name=panics"], &["tokenizer panics"]),
        (
            &["tokenizer.name=panics", "tokenizer.at=vocabulary"],
            &["tokenizer panics", "vocabulary"],
        ),
        (
            &["model.name=panics"],
            &["model panics", "info: info went, wrong"],
        ),
        (
            &["model.name=panics", "model.at=begin_training"],
            &["model panics", "begin_training"],
        ),
        (
            &["model.name=panics", "model.at=create"],
            &["model panics", "create"],
        ),
        (
            &["metrics=[{name: panics, at: create}]"],
            &["metric panics", "create"],
        ),
        (
            &["metrics=[{name: panics, at: needs}]"],
            &["metric panics", "needs"],
        ),
    ] {
        // The dataset that panics has no such key.
        let short: &[&str] = if settings[0].starts_with("data.") {
            &[]
        } else {
            &["data.documents=100"]
        };
        let ran = bench.run(
            &[
                &["train", "training.steps=1", "run.name=r"],
                short,
                settings,
            ]
            .concat(),
        );
        ran.fails(3, &[&["plugin panics 0.1.0"], words].concat());
        let _ = fs::remove_dir_all(bench.work().join("runs"));
    }
}
