//! `codex-ml sanitize` as a user has it: exit codes, reports, clean copies, baselines, a hook of git.

use std::fs;
use std::process::Command;

use crate::bench::{Bench, Ran, built};

/// An access key of Amazon's form, put together here so that no tool takes this file for a leak.
fn aws() -> String {
    ["AK", "IA", "Z2XK7QLM", "4RT5WN3P"].concat()
}

#[test]
fn a_folder_is_scanned_and_the_exit_code_is_what_was_asked_for() {
    let bench = Bench::new();
    bench.write("in/a.txt", format!("key {}\n", aws()));
    bench.write("in/left.log", aws());
    bench.write("in/.gitignore", "*.log\n");
    bench.run(&["sanitize", "in"]).ok().shows(&[
        "in/a.txt:1:5",
        "critical",
        "1 finding (1 critical) in 1 file",
    ]);
    bench.run(&["sanitize", "in", "--fail-on", "high"]).code(1);
    let report = bench.run(&["sanitize", "in", "--json"]).ok();
    assert!(!report.stdout.contains(&aws()));
    let report = report.json();
    assert_eq!(report["findings"][0]["path"], "in/a.txt");
    assert_eq!(report["findings"][0]["line"], 1);
    let sarif = bench
        .run(&["sanitize", "in", "--report", "sarif"])
        .ok()
        .json();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 1);
    bench.run(&["sanitize"]).fails(2, &["no path is given"]);
    bench
        .run(&["sanitize", "nowhere"])
        .fails(2, &["cannot read nowhere"]);
    bench
        .run(&["sanitize", "in", "--disable", "github-tokn"])
        .fails(2, &["github-tokn"])
        .tells(&["did you mean"]);
}

#[test]
fn text_is_cleaned_in_files_and_on_its_way() {
    let bench = Bench::new();
    bench.write("in/a.txt", format!("key {}\n", aws()));
    bench
        .run(&["sanitize", "in", "--redact", "--output-dir", "out"])
        .ok();
    assert_eq!(bench.read("out/in/a.txt"), "key [SECRET]\n");
    bench
        .run(&[
            "sanitize",
            "in/a.txt",
            "--redact",
            "--in-place",
            "--mode",
            "remove",
        ])
        .ok();
    assert!(!bench.read("in/a.txt").contains(&aws()));
    let input = format!("{{\"a\": \"{}\"}}\n{{\"a\": \"čtyři\"}}\n", aws());
    let ran = bench
        .run_with_input(
            &["sanitize", "-", "--redact", "--format", "ndjson"],
            input.as_bytes(),
        )
        .ok();
    assert_eq!(ran.stdout, "{\"a\": \"[SECRET]\"}\n{\"a\": \"čtyři\"}\n");
    // More than one piece. From a file: who fills a pipe and does not read the other one waits for ever.
    let long = format!("{} {} end\n", "words and ".repeat(300_000), aws());
    let input = fs::File::open(bench.write("long.txt", &long)).unwrap();
    let arguments = ["sanitize", "-", "--redact"];
    let output = bench.command(&arguments).stdin(input).output().unwrap();
    let ran = Ran::new(&arguments, output).ok();
    assert_eq!(ran.stdout, long.replace(&aws(), "[SECRET]"));
    bench
        .run(&["sanitize", "in", "--redact"])
        .fails(2, &["--redact does not say where to write"]);
}

#[test]
fn the_switch_does_not_hold_for_who_asks() {
    let bench = Bench::new();
    bench.write("a.txt", aws());
    let arguments = ["sanitize", "a.txt", "--fail-on", "low"];
    let output = bench
        .command(&arguments)
        .env("CODEX_ML_SANITIZE", "off")
        .output()
        .unwrap();
    Ran::new(&arguments, output)
        .code(1)
        .tells(&["CODEX_ML_SANITIZE=off does not hold for sanitize"]);
}

#[test]
fn rules_and_policies_are_explained_and_tested() {
    let bench = Bench::new();
    bench
        .run(&["sanitize", "rules", "list", "--kind", "personal"])
        .ok()
        .shows(&["email-address"]);
    bench
        .run(&["sanitize", "rules", "explain", "email-address"])
        .ok()
        .shows(&["confidence", "what to do"]);
    bench
        .run(&["sanitize", "rules", "explain", "email-adress"])
        .fails(2, &["email-adress"])
        .tells(&["did you mean email-address?"]);
    bench
        .run(&["sanitize", "rules", "test"])
        .ok()
        .shows(&[" 0 failures"]);
    bench.run(&["sanitize", "rules"]).code(2);
    bench.write(
        "p.yaml",
        "version: 1\nactions:\n- {entities: [secret], action: block}\n",
    );
    bench
        .run(&["sanitize", "policy", "check", "p.yaml"])
        .ok()
        .shows(&["is a policy", "block"]);
    bench.write("p.yaml", "version: 1\nactons: []\n");
    bench
        .run(&["sanitize", "policy", "check", "p.yaml"])
        .fails(2, &["p.yaml", "actons"]);
    for help in [
        &["sanitize", "--help"][..],
        &["sanitize", "rules", "--help"],
        &["sanitize", "rules", "explain", "--help"],
    ] {
        bench.run(help).ok().shows(&["Usage:"]);
    }
}

#[test]
fn a_hook_keeps_secrets_out_of_commits() {
    if Command::new("git").arg("--version").output().is_err() {
        println!("git is not here: nothing was tried");
        return;
    }
    let bench = Bench::new();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        bench.prepare(&mut command);
        let path = std::env::var("PATH").unwrap_or_default();
        let output = command
            .env("PATH", format!("{}:{path}", built().display()))
            .args(["-c", "user.name=n", "-c", "user.email=n@example.org"])
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        )
    };
    assert!(git(&["init", "--quiet"]).0);
    bench.write("old.txt", format!("{}\n", aws()));
    let known = ".sanitize-baseline.json";
    bench
        .run(&["sanitize", ".", "--write-baseline", known])
        .ok();
    let hook = bench.write(
        ".git/hooks/pre-commit",
        format!("#!/bin/sh\nexec codex-ml sanitize --staged --baseline {known} --fail-on high\n"),
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert!(git(&["add", "."]).0);
    let (committed, told) = git(&["commit", "--quiet", "-m", "what is known"]);
    assert!(committed, "{told}");
    bench.write("new.txt", format!("a\nb {}\n", aws()));
    assert!(git(&["add", "."]).0);
    // The folder is clean by now; what is staged is not.
    bench.write("new.txt", "nothing");
    let (committed, told) = git(&["commit", "--quiet", "-m", "a leak"]);
    assert!(!committed && told.contains("new.txt:2:3"), "{told}");
    assert!(git(&["add", "."]).0);
    let (committed, told) = git(&["commit", "--quiet", "-m", "clean"]);
    assert!(committed, "{told}");
}
