//! Help, completion, JSON and exit codes of the command line itself.

use std::process::Command;

use crate::bench::{Bench, root};

#[test]
fn every_command_has_help() {
    let bench = Bench::new();
    let top = bench.run(&["--help"]).ok();
    for command in [
        "train",
        "evaluate",
        "generate",
        "tokenizer",
        "config",
        "plugin",
        "env",
        "completions",
    ] {
        assert!(
            top.stdout.contains(command),
            "{command} is not in --help:\n{}",
            top.stdout
        );
        let help = bench.run(&[command, "--help"]).ok();
        assert!(
            help.stdout.contains("Usage:") && help.stdout.len() > 200,
            "{command} --help:\n{}",
            help.stdout
        );
    }
    bench.run(&["--version"]).ok().shows(&["codex-ml 0."]);
}

#[test]
fn wrong_use_exits_with_2_and_suggests() {
    let bench = Bench::new();
    let ran = bench.run(&["trian"]).code(2);
    assert!(ran.stderr.contains("train"), "{}", ran.stderr);
    bench.run(&["train", "--no-such-option"]).code(2);
    bench.run(&[]).code(2);
}

#[test]
fn errors_are_json_when_asked_for() {
    let bench = Bench::new();
    let ran = bench.run(&["train", "training.stps=1", "--json"]).code(2);
    assert_eq!(ran.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(
        error["error"].as_str().unwrap().contains("training.stps") && error["hint"].is_string(),
        "{error}"
    );
}

#[test]
fn env_tells_what_this_machine_is() {
    let bench = Bench::new();
    let env = bench.run(&["env", "--json"]).ok().json();
    assert!(
        env.is_object() && env.to_string().contains(env!("CARGO_PKG_VERSION")),
        "{env}"
    );
    bench.run(&["env"]).ok().shows(&["codex-ml"]);
}

#[test]
fn completion_scripts_are_well_formed() {
    let bench = Bench::new();
    for (shell, check) in [
        ("bash", &["bash", "-n"][..]),
        ("zsh", &["zsh", "-n"]),
        ("fish", &["fish", "--no-execute"]),
    ] {
        let script = bench.run(&["completions", shell]).ok().stdout;
        assert!(
            script.contains("codex-ml") && script.contains("__complete"),
            "{shell}"
        );
        let file = bench.write(shell, script);
        match Command::new(check[0]).args(&check[1..]).arg(file).output() {
            Ok(output) => assert!(
                output.status.success(),
                "{shell}: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) => println!("{shell} is not installed ({error}): its script was not parsed"),
        }
    }
    bench.run(&["completions", "tcsh"]).code(2);
}

#[test]
fn configuration_can_be_seen_with_its_origins() {
    let bench = Bench::new();
    let shown = bench
        .run(&["config", "show", "training.learning_rate=0.002"])
        .ok()
        .stdout;
    let line = shown
        .lines()
        .find(|line| line.contains("learning_rate"))
        .unwrap();
    assert!(
        line.contains("0.002") && line.contains("command line"),
        "{line}"
    );
    let json = bench.run(&["config", "show", "--json"]).ok().json();
    assert!(json.is_object());
    let schema = bench.run(&["config", "schema"]).ok().json();
    assert!(
        schema["properties"]["training"].is_object() || schema["$defs"].is_object(),
        "{schema}"
    );
    bench
        .run(&["config", "list"])
        .ok()
        .shows(&["model", "data"]);
}

#[test]
fn tokenizer_commands_agree_with_each_other() {
    let bench = Bench::new();
    let lines: Vec<String> = (0..300)
        .map(|n| format!("Line {n} tells of a čáp and a 🦀 in the reeds."))
        .collect();
    bench.write("my.txt", lines.join("\n\n"));
    bench
        .run(&[
            "tokenizer",
            "train",
            "--data",
            "my.txt",
            "--output",
            "tok",
            "vocab_size=400",
        ])
        .ok();
    let encoded = bench
        .run(&["tokenizer", "encode", "--tokenizer", "tok", "a čáp 🦀"])
        .ok()
        .stdout;
    let ids: Vec<&str> = encoded.split_whitespace().collect();
    assert!(ids.iter().all(|id| id.parse::<u32>().is_ok()), "{encoded}");
    let decoded = bench
        .run(&[&["tokenizer", "decode", "--tokenizer", "tok"], &ids[..]].concat())
        .ok();
    assert_eq!(decoded.stdout.trim_end_matches('\n'), "a čáp 🦀");
    bench
        .run(&["tokenizer", "inspect", "--tokenizer", "tok"])
        .ok()
        .shows(&["tokens", "<|endoftext|>"]);
    bench
        .run(&[
            "tokenizer",
            "stats",
            "--tokenizer",
            "tok",
            "--data",
            "my.txt",
        ])
        .ok();
    bench
        .run(&[
            "tokenizer",
            "export",
            "--tokenizer",
            "tok",
            "--output",
            "other",
        ])
        .ok();
    assert_eq!(
        bench.read("tok/tokenizer.json"),
        bench.read("other/tokenizer.json")
    );
}

#[test]
fn the_command_of_a_plugin_merges_adapters_and_prints_json_when_asked_for() {
    let bench = Bench::new();
    let golden = |path: &str| {
        let path = root().join("tests/golden").join(path);
        path.to_str().unwrap().to_owned()
    };
    let adapter = golden("adapters/lora-gpt2/adapter");
    let model = golden("gpt2-tiny/model");
    bench
        .run(&["lora", "inspect", &adapter])
        .ok()
        .shows(&["LoRA for gpt2-tiny/model", "transformer.h.0.attn.c_attn"]);
    let said = bench.run(&["lora", "inspect", &adapter, "--json"]).ok();
    assert_eq!(said.json()["modules"].as_array().unwrap().len(), 6);

    let mut line = vec!["lora", "merge", "--model", &model, "--adapter", &adapter];
    line.extend(["--output", "merged", "--json"]);
    let said = bench.run(&line).ok().json();
    let difference = said["largest_logit_difference"].as_f64().unwrap();
    assert!(difference < 1e-5, "{said}");
    assert!(
        said["largest_weight_change"].as_f64().unwrap() > 0.01,
        "{said}"
    );
    let again = bench.run(&line).code(2);
    assert!(
        again.stderr.contains("merged is there already"),
        "{}",
        again.stderr
    );

    // The difference of the two models is the adapter again, so a lower rank than its own loses something.
    for (rank, lost) in [("4", false), ("2", true)] {
        let name = format!("rank-{rank}");
        let mut line = vec!["lora", "extract", "--base", &model, "--tuned", "merged"];
        line.extend(["--rank", rank, "--output", &name, "--json"]);
        let said = bench.run(&line).ok().json();
        assert_eq!(said["error"].as_f64().unwrap() > 1e-3, lost, "{said}");
    }
}
