//! `rules list|explain|test`, `policy check`, and what a shell is proposed.

use codex_plugin_api::serde_json::{Value, json};
use codex_plugin_api::{Completing, Manifest};

use super::bench::Bench;

#[test]
fn rules_are_listed_by_what_they_find() {
    let bench = Bench::new();
    let list = |arguments: Value| -> Vec<Value> {
        let mut arguments = arguments;
        arguments["subcommand"] = "rules list".into();
        arguments["json"] = true.into();
        bench.run_with(arguments).json().as_array().unwrap().clone()
    };
    let all = list(json!({})).len();
    assert!(all > 400, "{all}");
    for (arguments, key, value) in [
        (json!({"kind": "personal"}), "kind", "personal"),
        (
            json!({"entity": "email-address"}),
            "entity",
            "email-address",
        ),
        (json!({"severity": "critical"}), "severity", "critical"),
    ] {
        let some = list(arguments);
        assert!(!some.is_empty() && some.len() < all);
        assert!(some.iter().all(|rule| rule[key] == value), "{some:?}");
    }
    let ran = bench.run_with(json!({"subcommand": "rules list", "entity": "email-address"}));
    assert!(
        ran.output.starts_with("rule ") && ran.output.ends_with("1 rules\n"),
        "{}",
        ran.output
    );
    let ran = bench.run_with(json!({"subcommand": "rules list", "entity": "email"}));
    assert_eq!(ran.error().hint_text(), Some("did you mean email-address?"));
}

#[test]
fn a_rule_is_explained_without_telling_its_examples() {
    let bench = Bench::new();
    let explain = |rule: &str| bench.run_with(json!({"subcommand": "rules explain", "rule": rule}));
    let set = codex_plugin_sanitizer_default::rules::builtin::load().unwrap();
    for rule in &set.rules {
        let ran = explain(&rule.id);
        ran.code();
        for words in [&rule.id, &rule.entity, "what to do", "confidence"] {
            assert!(ran.output.contains(words), "{} lacks {words}", ran.output);
        }
        // A pattern that is the beginning of every value holds what an example may be.
        let pattern = rule.pattern.as_ref().map_or("", |pattern| pattern.source());
        let told = ["secret", "bank-account", "payment-card", "tax-id"];
        let secrets = rule.examples.iter();
        let secrets = secrets.filter(|_| told.contains(&rule.entity.as_str()));
        for example in secrets.filter(|example| !pattern.contains(*example)) {
            assert!(
                !ran.output.contains(example),
                "{} shows its example",
                rule.id
            );
        }
    }
    let near = &set.rules[0].id;
    let ran = explain(&format!("{near}x"));
    assert_eq!(
        ran.error().hint_text(),
        Some(format!("did you mean {near}?").as_str())
    );
    let json = bench
        .run_with(json!({"subcommand": "rules explain", "rule": near, "json": true}))
        .json();
    assert_eq!(json["rule"], near.as_str());
}

#[test]
fn rules_are_tried_on_their_examples() {
    let bench = Bench::new();
    let test = |arguments: Value| {
        let mut arguments = arguments;
        arguments["subcommand"] = "rules test".into();
        bench.run_with(arguments)
    };
    let own = test(json!({}));
    assert_eq!(own.code(), 0, "{}", own.output);
    let good = "[[rules]]\nid = \"box\"\nregex = 'box_[0-9]{4}'\nkeywords = [\"box_\"]\nexamples = [\"box_1234\"]\n\
                negative_examples = [\"box_12\"]\n[[rules]]\nid = \"bare\"\nregex = 'x{9}'\n";
    bench.write("good.toml", good);
    let ran = test(json!({"file": bench.arg("good.toml"), "json": true}));
    assert_eq!(
        ran.json(),
        json!({"rules": 2, "examples": 2, "without_examples": 1, "failures": []})
    );
    bench.write(
        "bad.toml",
        good.replace("box_1234", "box_123")
            .replace("box_12\"", "box_9999\""),
    );
    let ran = test(json!({"file": bench.arg("bad.toml")}));
    assert_eq!(ran.code(), 1);
    for words in [
        "box: does not find its example 1",
        "box: finds its negative example 1",
        "2 failures",
    ] {
        assert!(ran.output.contains(words), "{} lacks {words}", ran.output);
    }
    bench.write("wrong.toml", "[[rules]]\nid = \"x\"\nregex = '('\n");
    let ran = test(json!({"file": bench.arg("wrong.toml")}));
    assert!(
        ran.error()
            .message()
            .contains("wrong.toml line 3, rule \"x\""),
        "{}",
        ran.error()
    );
}

#[test]
fn a_policy_is_checked_and_summed_up() {
    let bench = Bench::new();
    let check = |text: &str, json: bool| {
        bench.write("p.yaml", text);
        bench.run_with(
            json!({"subcommand": "policy check", "policy-file": bench.arg("p.yaml"), "json": json}),
        )
    };
    let text = "version: 1\nactions:\n- {entities: [secret], stages: [prompt], action: block}\n";
    let ran = check(text, true);
    let secret = &ran.json()["entities"]["secret"];
    assert_eq!(
        secret,
        &json!({"ingest": "redact", "prompt": "block", "output": "redact", "log": "redact"})
    );
    let ran = check(text, false);
    assert!(ran.output.contains("email-address"), "{}", ran.output);
    let ran = check("version: 1\nactions:\n- {acton: block}\n", false);
    assert!(ran.error().message().contains("p.yaml"), "{}", ran.error());
    assert!(ran.error().hint_text().is_some());
}

#[test]
fn ids_are_proposed_and_the_manifest_declares_what_is_read() {
    let bench = Bench::new();
    let ran = bench.run_with(json!({Completing::KEY: {"argument": "rule", "prefix": "github-"}}));
    assert_eq!(ran.code(), 0);
    assert!(ran.output.lines().count() > 1);
    assert!(
        ran.output.lines().all(|line| line.starts_with("github-")),
        "{}",
        ran.output
    );
    let manifest = Manifest::parse(include_str!("../../plugin.toml"), "plugin.toml").unwrap();
    let entry = manifest
        .component(codex_plugin_api::Kind::Command, "sanitize")
        .unwrap();
    let words: Vec<String> = entry
        .subcommands
        .iter()
        .flat_map(|outer| {
            outer
                .subcommands
                .iter()
                .map(move |inner| format!("{} {}", outer.name, inner.name))
        })
        .collect();
    assert_eq!(
        words,
        ["rules list", "rules explain", "rules test", "policy check"]
    );
}
