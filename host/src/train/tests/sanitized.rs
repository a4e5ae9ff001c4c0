//! Runs whose data and records are sanitized.

use std::fs;

use serde_json::Value;

use super::{Bench, events, resume};

fn sanitized(bench: &Bench, run: &str) -> Value {
    let run = bench.root.path().join("runs").join(run);
    let events = events(&run);
    let found = events.iter().find(|event| event["event"] == "sanitized");
    found.cloned().unwrap()
}

#[test]
fn findings_are_counted_once_and_known_when_the_store_is_there_already() {
    let bench = Bench::new();
    bench.start(&["sanitizers=[pets]"]).unwrap();
    let first = sanitized(&bench, "r");
    let count = &first["counts"][0];
    assert_eq!(
        (&count["rule"], &count["action"]),
        (&"word".into(), &"redact".into())
    );
    assert!(count["count"].as_u64().unwrap() > 5, "{first}");
    assert_eq!(first["not_scanned"], 0);
    bench.start(&["sanitizers=[pets]", "run.name=s"]).unwrap();
    assert_eq!(sanitized(&bench, "s")["counts"], first["counts"]);
}

#[test]
fn a_sanitized_run_has_other_data_and_says_so() {
    let (plain, clean) = (Bench::new(), Bench::new());
    plain.start(&[]).unwrap();
    clean.start(&["sanitizers=[pets]"]).unwrap();
    let data = |bench: &Bench| -> Value {
        let text = fs::read(bench.run().join("environment.json")).unwrap();
        let environment: Value = serde_json::from_slice(&text).unwrap();
        environment["data"].clone()
    };
    let (plain, clean) = (data(&plain), data(&clean));
    assert_eq!(plain["sanitizers"], Value::Null);
    assert_eq!(clean["sanitizers"].as_str().unwrap().len(), 64);
    for key in ["train_fingerprint", "token_store", "validation_fingerprint"] {
        assert_ne!(plain[key], clean[key], "{key}");
    }
}

#[test]
fn nothing_of_a_finding_is_written_into_the_run_or_told_to_a_tracker() {
    let bench = Bench::new();
    let settings = ["sanitizers=[pets]", "trackers=[list]", "run.name=a-cat"];
    bench.start(&settings).unwrap();
    let heard = bench.fakes.heard.lock().unwrap().join("\n");
    assert!(
        heard.contains("a-[SECRET]") && !heard.contains("a-cat\""),
        "{heard}"
    );
    let run = bench.root.path().join("runs/a-cat");
    for file in ["config.yaml", "events.ndjson", "environment.json"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        assert!(!text.contains("a-cat"), "{file}: {text}");
    }
}

#[test]
fn a_sanitized_run_can_be_taken_up_again() {
    let bench = Bench::new();
    let settings = ["sanitizers=[pets]", "model.fault=interrupt", "model.at=5"];
    bench.start(&settings).unwrap();
    bench.calm().resume().unwrap();
}

#[test]
fn what_was_redacted_in_the_configuration_is_given_again_to_go_on() {
    let bench = Bench::new();
    let trackers = "trackers=[{name: list, owner: a-cat}]";
    let settings = [
        "sanitizers=[pets]",
        trackers,
        "model.fault=interrupt",
        "model.at=5",
    ];
    bench.start(&settings).unwrap();
    let bench = bench.calm();
    let config = fs::read_to_string(bench.run().join("config.yaml")).unwrap();
    assert!(
        !config.contains("a-cat") && config.contains("a-[SECRET]"),
        "{config}"
    );

    let again = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(|&it| it.to_owned()).collect();
        resume(&bench.run(), None, &overrides, &bench.fakes, &bench.app)
    };
    let error = again(&[]).unwrap_err();
    assert!(
        error.message().ends_with("they were redacted: trackers"),
        "{error}"
    );
    assert!(
        error.hint_text().unwrap().contains("trackers=VALUE"),
        "{error:?}"
    );
    assert!(again(&["trackers=[{name: list, owner: a-dog}]"]).is_err());
    assert!(again(&[trackers, "seed=5"]).is_err());
    again(&[trackers]).unwrap();
}
