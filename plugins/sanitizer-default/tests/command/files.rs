//! Which files are read, and how.

use std::sync::Arc;

use codex_plugin_api::serde_json::{Value, json};
use codex_plugin_api::testing::RecordingHost;
use codex_plugin_api::{ErrorKind, TextBuffer};
use codex_plugin_sanitizer_default::{Config, DefaultSanitizer};

use super::bench::{Bench, MAIL, aws, github};

/// The file's name and what the report says of its findings.
fn names(lines: &[Value]) -> Vec<String> {
    let path = |line: &Value| line["path"].as_str().unwrap().to_owned();
    let mut names: Vec<String> = lines
        .iter()
        .map(|line| path(line).rsplit('/').next().unwrap().to_owned())
        .collect();
    names.dedup();
    names
}

#[test]
fn folders_are_read_as_git_sees_them() {
    let bench = Bench::new();
    for name in [
        "in/a.txt",
        "in/b/c.txt",
        "in/left.log",
        "in/b/d.out",
        "in/.hidden/e.txt",
        "in/.git/f.txt",
    ] {
        bench.write(name, aws());
    }
    bench
        .write("in/.gitignore", "*.log\n")
        .write("in/b/.ignore", "*.out\n");
    for (arguments, expected) in [
        (json!({}), &["a.txt", "c.txt"][..]),
        (
            json!({"no-ignore": true}),
            &["a.txt", "c.txt", "d.out", "left.log"],
        ),
        (json!({"hidden": true}), &["e.txt", "a.txt", "c.txt"]),
    ] {
        let mut arguments = arguments;
        arguments["report"] = "ndjson".into();
        let ran = bench.run("in", arguments);
        let mut found = names(&ran.lines());
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_file_is_named_as_it_was_given_and_scanned_once() {
    let bench = Bench::new();
    bench.write("in/a.txt", aws());
    let (file, folder) = (bench.arg("in/a.txt"), bench.arg("in"));
    let ran = bench.run_with(json!({"path": [file, folder], "report": "ndjson"}));
    let lines = ran.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["path"], bench.arg("in/a.txt"));
}

#[test]
fn places_are_those_of_the_file_in_every_format() {
    let bench = Bench::new();
    let key = aws();
    for (name, content, line, column, pointer) in [
        ("a.txt", format!("one\r\nčtyři {key} end"), 2, 7, None),
        (
            "b.json",
            format!("{{\n \"k\\u0065y\": [0, \"a \\\"{key}\"]}}"),
            2,
            23,
            Some("/key/1"),
        ),
        (
            "c.ndjson",
            format!("{{}}\n{{\"a\": \"{key}\"}}\n"),
            2,
            8,
            Some("/a"),
        ),
        (
            "d.csv",
            format!("x,\"y\n\"\"y\"\n1,\"{key}\"\n"),
            3,
            4,
            Some("/1/1"),
        ),
        ("e.tsv", format!("x\ty\n\t{key}\n"), 2, 2, Some("/1/1")),
        ("f.txt", format!("\u{feff}{key}"), 1, 1, None),
    ] {
        bench.write(name, &content);
        let ran = bench.run(name, json!({"report": "ndjson", "only": ["secrets"]}));
        let lines = ran.lines();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        let found = &lines[0];
        assert_eq!(
            (&found["line"], &found["column"]),
            (&json!(line), &json!(column)),
            "{name}"
        );
        assert_eq!(found["pointer"].as_str(), pointer, "{name}");
        let (start, end) = (
            found["byte_start"].as_u64().unwrap() as usize,
            found["byte_end"].as_u64().unwrap() as usize,
        );
        assert_eq!(&content[start..end], key, "{name}");
        assert!(!ran.output.contains(&key), "the value is never told");
    }
}

#[test]
fn the_format_can_be_said() {
    let bench = Bench::new();
    bench.write(
        "a.log",
        format!("{{\"a\": \"{}\"}}\n", aws().replace('A', "\\u0041")),
    );
    let plain = bench.run("a.log", json!({"report": "ndjson", "only": ["secrets"]}));
    assert_eq!(plain.lines().len(), 0, "plain text has no escapes");
    let lines = bench.run(
        "a.log",
        json!({"report": "ndjson", "only": ["secrets"], "format": "ndjson"}),
    );
    assert_eq!(lines.lines().len(), 1);
}

#[test]
fn what_is_not_as_it_should_be_is_scanned_or_counted_and_said() {
    let bench = Bench::new();
    let key = aws();
    bench
        .write("in/empty.txt", "")
        .write("in/empty.json", "")
        .write("in/image.bin", b"\x89PNG\0\0")
        .write(
            "in/latin.txt",
            [b"\xe9t\xe9 \xff".as_slice(), key.as_bytes(), b"\n\xf0"].concat(),
        )
        .write("in/broken.json", format!("{{\"a\": {key}"))
        .write("in/broken.parquet", "PAR1 it is not");
    let ran = bench.run("in", json!({"report": "ndjson", "only": ["secrets"]}));
    assert_eq!(ran.error().kind(), ErrorKind::Data);
    assert!(
        ran.error().message().contains("broken.parquet"),
        "{}",
        ran.error()
    );
    let lines: Vec<Value> = ran
        .output
        .lines()
        .map(|line| codex_plugin_api::serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(names(&lines), ["broken.json", "latin.txt"]);
    // Of é, t, é, blank and a byte that is nothing each is one byte here.
    assert_eq!(
        (&lines[1]["byte_start"], &lines[1]["column"]),
        (&json!(5), &json!(6))
    );
    assert!(
        ran.logged("latin.txt: 4 bytes are not UTF-8"),
        "{:?}",
        ran.log
    );
    assert!(
        ran.logged("broken.json: 1 record is not what the format says"),
        "{:?}",
        ran.log
    );
    assert!(ran.logged("1 binary left out"), "{:?}", ran.log);
}

#[cfg(unix)]
#[test]
fn links_within_folders_are_not_followed() {
    let bench = Bench::new();
    bench
        .write("out/secret.txt", aws())
        .write("in/a.txt", "nothing");
    std::os::unix::fs::symlink(bench.path("out"), bench.path("in/folder")).unwrap();
    std::os::unix::fs::symlink(bench.path("out/secret.txt"), bench.path("in/file")).unwrap();
    let ran = bench.run("in", json!({"json": true}));
    let report = ran.json();
    assert_eq!(
        (&report["findings"], &report["links"]),
        (&json!([]), &json!(2))
    );
    // A link that was given is what the user means.
    assert_eq!(
        bench
            .run("in/file", json!({"report": "ndjson"}))
            .lines()
            .len(),
        1
    );
    let ran = bench.run("in/file", json!({"redact": true, "in-place": true}));
    assert!(
        ran.error().message().ends_with("is a link"),
        "{}",
        ran.error()
    );
}

#[test]
fn large_files_have_the_findings_of_the_whole() {
    let bench = Bench::new();
    let words = ["the ", "quick\n", "brown ", "fóx ", "jumps ", "🦀 over "];
    let (key, token) = (aws(), github());
    let mut text = String::new();
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    while text.len() < 5 << 20 {
        match next(4000) {
            0 => text += &key,
            1 => text += &token,
            2 => text += MAIL,
            _ => text += words[next(words.len())],
        }
    }
    // Over the border of two pieces, which are of a megabyte.
    for (at, value) in [(1 << 20, &token), (2 << 20, &key), (3 << 20, &token)] {
        let mut start = at - value.len() / 2;
        while !text.is_char_boundary(start) {
            start += 1;
        }
        text.insert_str(start, &format!(" {value} "));
    }
    bench.write("large.txt", &text).write("clean/.keep", "");
    let sanitizer = DefaultSanitizer::new(&Config::default()).unwrap();
    let key = codex_redaction::Key::new(&[7; 32]).unwrap();
    let policy = codex_redaction::Policy::standard().unwrap();
    let whole = codex_redaction::Sanitizers::new(
        vec![("sanitizer-default 0.1.0".into(), Arc::new(sanitizer))],
        policy,
        key,
    )
    .unwrap();
    let texts: TextBuffer = [&text].into_iter().collect();
    let stage = codex_plugin_api::Stage::Ingest;
    let path = bench.arg("large.txt");
    let cleaned = whole.clean(texts.as_texts(), stage, Some(&path)).unwrap();
    let ran = bench.run("large.txt", json!({"report": "ndjson"}));
    let found: Vec<codex_redaction::ReportedFinding> = ran
        .output
        .lines()
        .map(|line| codex_plugin_api::serde_json::from_str(line).unwrap())
        .collect();
    assert!(found.len() > 200, "{}", found.len());
    assert_eq!(found, cleaned[0].findings);
    let ran = bench.run("large.txt", json!({"redact": true, "in-place": true}));
    ran.code();
    assert!(bench.read("large.txt") == cleaned[0].text(&text).unwrap());
    // And a second time nothing changes.
    let ran = bench.run(
        "large.txt",
        json!({"redact": true, "in-place": true, "json": true}),
    );
    assert_eq!(ran.json()["changed"], 0);
}

#[test]
fn large_records_have_places_from_the_beginning_of_the_file() {
    let bench = Bench::new();
    let line = format!("{{\"text\": \"{}\"}}\n", "word ".repeat(200));
    let count = (3 << 20) / line.len();
    let found = format!("{{\"text\": \"{}\"}}\n", aws());
    bench.write("a.ndjson", format!("{}{found}", line.repeat(count)));
    let lines = bench.run("a.ndjson", json!({"report": "ndjson"})).lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["line"], &lines[0]["pointer"]),
        (&json!(count + 1), &json!("/text"))
    );
    let row = format!("1,\"{}\n\"\n", "word ".repeat(200));
    bench.write("a.csv", format!("{}2,{}\n", row.repeat(count), aws()));
    let lines = bench
        .run("a.csv", json!({"report": "ndjson", "only": ["secrets"]}))
        .lines();
    assert_eq!(lines.len(), 1);
    let pointer = format!("/{count}/1");
    assert_eq!(
        (&lines[0]["line"], &lines[0]["pointer"]),
        (&json!(2 * count + 1), &json!(pointer))
    );
}

#[test]
fn wrong_calls_say_what_to_do() {
    let bench = Bench::new();
    bench.write("a.txt", "").write("full/x", "");
    let a = bench.arg("a.txt");
    for (arguments, message, hint) in [
        (
            json!({"path": []}),
            "no path is given",
            "codex-ml sanitize .",
        ),
        (
            json!({"path": ["nowhere.txt"]}),
            "cannot read nowhere.txt",
            "standard input",
        ),
        (
            json!({"path": [a, "-"]}),
            "standard input is one source",
            "own",
        ),
        (
            json!({"path": [a], "redact": true}),
            "does not say where",
            "--in-place",
        ),
        (
            json!({"path": [a], "in-place": true}),
            "say where --redact writes",
            "add --redact",
        ),
        (
            json!({"path": [a], "mode": "mask"}),
            "--mode without --redact",
            "--redact",
        ),
        (
            json!({"path": [a], "redact": true, "in-place": true, "output-dir": "x"}),
            "exclude each other",
            "keep one",
        ),
        (
            json!({"path": [a], "redact": true, "output-dir": bench.arg("full")}),
            "is not empty",
            "new folder",
        ),
        (
            json!({"path": ["-"], "redact": true, "in-place": true}),
            "no place to write",
            "standard output",
        ),
        (
            json!({"path": [], "staged": true, "redact": true, "in-place": true}),
            "staged",
            "stage them again",
        ),
        (
            json!({"path": [a], "disable": ["github-tokn"]}),
            "\"github-tokn\", which is no rule",
            "did you mean",
        ),
        (
            json!({"path": [a], "least-confidence": 2.0}),
            "--least-confidence is 2",
            "0 to 1",
        ),
        (
            json!({"path": [a], "key": bench.arg("nokey")}),
            "cannot read the key",
            "urandom",
        ),
        (
            json!({"path": [a], "policy": bench.arg("no.yaml")}),
            "cannot read the policy",
            "YAML",
        ),
        (
            json!({"path": [a], "rules": [bench.arg("no.toml")]}),
            "cannot read rule file",
            "gitleaks",
        ),
        (
            json!({"subcommand": "rule"}),
            "no subcommand \"rule\"",
            "rules list",
        ),
    ] {
        let ran = bench.run_with(arguments.clone());
        let error = ran.error();
        assert_eq!(error.kind(), ErrorKind::Config, "{arguments}");
        assert!(error.message().contains(message), "{error} lacks {message}");
        let told = error.hint_text().unwrap_or_default();
        assert!(told.contains(hint), "{told} lacks {hint}");
    }
}

#[test]
fn an_interruption_ends_it_and_leaves_nothing() {
    let bench = Bench::new();
    bench.write("in/a.txt", aws());
    for arguments in [
        json!({"path": [bench.arg("in")]}),
        json!({"path": [bench.arg("in")], "redact": true, "output-dir": bench.arg("out")}),
        json!({"path": [bench.arg("in")], "redact": true, "in-place": true}),
        json!({"subcommand": "rules test"}),
    ] {
        let host = Arc::new(RecordingHost::default());
        host.interrupt();
        let ran = bench.run_on(&host, arguments);
        assert_eq!(ran.error().kind(), ErrorKind::Interrupted);
        assert_eq!(ran.output, "");
    }
    assert_eq!(bench.files("in"), ["a.txt"]);
    assert!(!bench.path("out").exists());
    assert_eq!(bench.read("in/a.txt"), aws());
}
