//! What is told, exit codes, baselines, and which sanitizers and policies hold.

use std::sync::Arc;

use codex_plugin_api::serde_json::{self, Value, json};
use codex_plugin_api::{
    Adapter, Dataset, Error, ErrorKind, Finding, Host, HostRef, LogLevel, Metric, Model, NoHost,
    Result, Rule, Sanitizer, Severity, Stage, Texts, Tokenizer,
};

use super::bench::{Bench, MAIL, aws, github, run};

#[test]
fn the_exit_code_is_1_only_where_that_was_asked_for() {
    let bench = Bench::new();
    bench
        .write("secret.txt", aws())
        .write("mail.txt", MAIL)
        .write("none.txt", "nothing");
    for (name, fail_on, code) in [
        ("secret.txt", "never", 0),
        ("secret.txt", "low", 1),
        ("secret.txt", "critical", 1),
        ("mail.txt", "medium", 1),
        ("mail.txt", "critical", 0),
        ("none.txt", "low", 0),
    ] {
        let ran = bench.run(name, json!({"fail-on": fail_on}));
        assert_eq!(ran.code(), code, "{name} {fail_on}: {}", ran.output);
    }
}

#[test]
fn the_table_names_places_and_counts() {
    let bench = Bench::new();
    bench
        .write("in/a.txt", format!("x {}\n", aws()))
        .write("in/b.txt", "nothing")
        .write("in/c", b"\0");
    let ran = bench.run("in", json!({}));
    ran.code();
    for words in [
        "place",
        "severity",
        "a.txt:1:3",
        "redact",
        "1 finding (",
        " in 2 files, 1 binary left out",
    ] {
        assert!(ran.output.contains(words), "{} lacks {words}", ran.output);
    }
    assert!(!ran.output.contains(&aws()));
    // Nothing found is said in one line.
    assert_eq!(
        bench.run("in/b.txt", json!({})).output,
        "0 findings in 1 file\n"
    );
}

#[test]
fn reports_go_where_they_are_told() {
    let bench = Bench::new();
    bench.write("a.txt", aws());
    let ran = bench.run(
        "a.txt",
        json!({"report": "sarif", "output": bench.arg("r.sarif")}),
    );
    ran.code();
    assert_eq!(ran.output, "");
    let log: Value = serde_json::from_str(&bench.read("r.sarif")).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let result = &log["runs"][0]["results"][0];
    assert!(
        result["ruleId"]
            .as_str()
            .unwrap()
            .starts_with("sanitizer-default 0.1.0/"),
        "{result}"
    );
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap();
    assert_eq!(
        rules[result["ruleIndex"].as_u64().unwrap() as usize]["id"],
        result["ruleId"]
    );
    let ran = bench.run(
        "a.txt",
        json!({"json": true, "output": bench.arg("r.json")}),
    );
    let document: Value = serde_json::from_str(&bench.read("r.json")).unwrap();
    assert_eq!(document, ran.json());
    assert_eq!(document["findings"][0]["severity"], "critical");
    let ran = bench.run("a.txt", json!({"output": bench.arg("r.txt")}));
    assert!(bench.read("r.txt").contains("a.txt:1:1") && ran.output.starts_with("1 finding"));
}

#[test]
fn known_findings_do_not_count_and_new_ones_do() {
    let bench = Bench::new();
    bench.write("a.txt", format!("{}\n", aws()));
    let file = bench.arg("known.json");
    let ran = bench.run("a.txt", json!({"write-baseline": file, "fail-on": "low"}));
    assert_eq!(ran.code(), 0, "what is written down is known");
    assert!(!bench.read("known.json").contains(&aws()));
    // The lines move, and another machine has another key.
    bench.write("a.txt", format!("\n\n{}\n", aws()));
    let with = |fail_on: &str| {
        bench.write("elsewhere", [1; 32]);
        bench.run("a.txt", json!({"baseline": file, "fail-on": fail_on, "key": bench.arg("elsewhere"), "json": true}))
    };
    let report = with("low");
    assert_eq!((report.code(), &report.json()["known"]), (0, &json!(1)));
    bench.write("a.txt", format!("{}\n{}\n", aws(), github()));
    let report = with("low");
    assert_eq!(
        (
            report.code(),
            report.json()["findings"].as_array().unwrap().len()
        ),
        (1, 1)
    );
    // Written anew it keeps its salt, so that only what is new is new in the file.
    let salt =
        |text: &str| -> Value { serde_json::from_str::<Value>(text).unwrap()["salt"].clone() };
    let before = salt(&bench.read("known.json"));
    bench.run("a.txt", json!({"write-baseline": file})).code();
    assert_eq!(salt(&bench.read("known.json")), before);
    assert_eq!(with("low").code(), 0);
    for (arguments, word) in [
        (
            json!({"baseline": file, "redact": true, "in-place": true}),
            "exclude each other",
        ),
        (
            json!({"baseline": bench.arg("none.json")}),
            "cannot read the baseline",
        ),
        (json!({"baseline": bench.arg("a.txt")}), "is no baseline"),
    ] {
        let ran = bench.run("a.txt", arguments);
        assert!(ran.error().message().contains(word), "{}", ran.error());
    }
}

#[test]
fn the_policy_decides_and_may_allow_by_path() {
    let bench = Bench::new();
    bench
        .write("in/tests/a.txt", aws())
        .write("in/b.txt", aws());
    bench.write(
        "p.yaml",
        format!(
            "version: 1\nallow:\n- {{paths: [\"tests/**\"], literals: [{}]}}\n",
            aws()
        ),
    );
    let ran = bench.run(
        "in",
        json!({"policy": bench.arg("p.yaml"), "json": true, "fail-on": "low"}),
    );
    let report = ran.json();
    assert_eq!(report["allowed"], 1);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
    bench.write(
        "p.yaml",
        "version: 1\nactions:\n- {stages: [prompt], action: allow}\n",
    );
    for (stage, count) in [("ingest", 2), ("prompt", 0)] {
        let ran = bench.run(
            "in",
            json!({"policy": bench.arg("p.yaml"), "report": "ndjson", "stage": stage}),
        );
        assert_eq!(ran.lines().len(), count, "{stage}");
    }
}

#[test]
fn rules_can_be_chosen_and_added() {
    let bench = Bench::new();
    let box_token = ["box", "_8f4b2c1d9e7a6b5c3f2e"].concat();
    bench.write("in/a.txt", format!("{}\n{MAIL}\n{box_token}\n", aws()));
    bench.write("in/left.txt", &box_token);
    bench.write(
        "rules.toml",
        "[[rules]]\nid = \"box-token\"\nregex = '\\b(box_[a-z0-9]{20})\\b'\nkeywords = [\"box_\"]\n\
         [[rules.allowlists]]\npaths = ['left\\.txt$']\n",
    );
    let found = |arguments: Value| -> Vec<String> {
        let mut arguments = arguments;
        arguments["report"] = "ndjson".into();
        let lines = bench.run("in", arguments).lines();
        lines
            .iter()
            .map(|line| line["rule"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found(json!({"only": ["personal"]})), ["email-address"]);
    let secrets = found(json!({"only": ["secrets"]}));
    assert_eq!(secrets.len(), 1);
    let rules = json!([bench.arg("rules.toml")]);
    assert_eq!(
        found(json!({"only": ["secrets"], "rules": rules, "disable": [secrets[0]]})),
        ["box-token"],
        "the file's list of paths holds"
    );
    assert_eq!(
        found(json!({"least-confidence": 1.0})),
        Vec::<String>::new()
    );
}

/// Finds the word `hunter2`, as a plugin of somebody else's.
struct Hunter;

impl Sanitizer for Hunter {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(vec![Rule {
            id: "hunter".into(),
            entity: "secret".into(),
            severity: Severity::Low,
            description: "a well-known password".into(),
        }])
    }
    fn max_span(&self) -> u32 {
        7
    }
    fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            if text.contains("panic") {
                return Err(Error::failed("no more"));
            }
            for (at, _) in text.match_indices("hunter2") {
                found.push(Finding {
                    start: at as u64,
                    end: at as u64 + 7,
                    text: number as u32,
                    rule: 0,
                    confidence: 1.0,
                });
            }
        }
        Ok(found)
    }
}

/// A host with that sanitizer.
#[derive(Default)]
struct WithHunter {
    output: std::sync::Mutex<String>,
}

impl Host for WithHunter {
    fn log(&self, _level: LogLevel, _message: &str) {}
    fn progress(&self, _label: &str, _done: u64, _total: u64) {}
    fn threads(&self) -> usize {
        3
    }
    fn interrupted(&self) -> bool {
        false
    }
    fn print(&self, text: &str) -> Result<()> {
        self.output.lock().unwrap().push_str(text);
        Ok(())
    }
    fn read_file(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        NoHost.read_file(path, offset, length)
    }
    fn create_tokenizer(&self, name: &str, config: &Value) -> Result<Box<dyn Tokenizer>> {
        NoHost.create_tokenizer(name, config)
    }
    fn create_model(&self, name: &str, config: &Value) -> Result<Box<dyn Model>> {
        NoHost.create_model(name, config)
    }
    fn create_dataset(&self, name: &str, config: &Value) -> Result<Box<dyn Dataset>> {
        NoHost.create_dataset(name, config)
    }
    fn create_metric(&self, name: &str, config: &Value) -> Result<Box<dyn Metric>> {
        NoHost.create_metric(name, config)
    }
    fn create_sanitizer(&self, name: &str, config: &Value) -> Result<Box<dyn Sanitizer>> {
        match name {
            "hunter" => Ok(Box::new(Hunter)),
            _ => NoHost.create_sanitizer(name, config),
        }
    }
    fn create_adapter(&self, name: &str, config: &Value) -> Result<Box<dyn Adapter>> {
        NoHost.create_adapter(name, config)
    }
}

#[test]
fn other_plugins_sanitizers_are_asked_by_name() {
    let bench = Bench::new();
    bench
        .write("a.txt", format!("hunter2 {}", aws()))
        .write("key", [7; 32]);
    let plugins = |names: Value| -> Vec<String> {
        let host = Arc::new(WithHunter::default());
        let held: HostRef = Arc::clone(&host) as HostRef;
        let arguments = json!({
            "path": [bench.arg("a.txt")], "sanitizer": names, "report": "ndjson", "key": bench.arg("key")
        });
        assert_eq!(run(arguments, &held).unwrap(), 0);
        let output = host.output.lock().unwrap().clone();
        let lines = output
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| line["plugin"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(plugins(json!(["hunter"])), ["hunter"]);
    assert_eq!(
        plugins(json!(["default", "hunter"])),
        ["hunter", "sanitizer-default 0.1.0"]
    );
    // One that fails ends it: going on would call a text clean that nobody looked at.
    bench.write("a.txt", "panic");
    let host: HostRef = Arc::new(WithHunter::default());
    let arguments =
        json!({"path": [bench.arg("a.txt")], "sanitizer": ["hunter"], "key": bench.arg("key")});
    let error = run(arguments, &host).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(
        error.message().contains("sanitizer hunter failed"),
        "{error}"
    );
}
