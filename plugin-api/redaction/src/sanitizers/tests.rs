//! Texts through sanitizers, policy and modes.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Severity;

use super::*;
use crate::Delimiter;
use crate::testing::{Random, Toy, key, toys};

const REDACT_ALL: &str = "version: 1\nextends: none\n";

fn with_mode(mode: &str) -> Sanitizers {
    toys(&format!("version: 1\nextends: none\nmode: {mode}\n"))
}

fn clean(sanitizers: &Sanitizers, text: &str, format: Format) -> Cleaned {
    let texts: TextBuffer = [text].into_iter().collect();
    let mut cleaned = sanitizers
        .clean_as(texts.as_texts(), format, Stage::Ingest, Some("a.txt"))
        .unwrap();
    cleaned.pop().unwrap()
}

fn passed(sanitizers: &Sanitizers, text: &str, format: Format) -> String {
    clean(sanitizers, text, format)
        .text(text)
        .unwrap_or("DROPPED")
        .to_owned()
}

#[test]
fn findings_are_replaced_and_reported_without_their_values() {
    let sanitizers = toys(REDACT_ALL);
    let text = "žluť\nask joe@example.org or sk-abc123def, +420777123456";
    let cleaned = clean(&sanitizers, text, Format::Plain);
    assert_eq!(
        cleaned.text(text),
        Some("žluť\nask [EMAIL_ADDRESS] or [SECRET], [PHONE_NUMBER]")
    );
    let found = &cleaned.findings[1];
    assert_eq!((found.line, found.column, found.end_column), (2, 24, 36));
    assert_eq!(
        (found.rule.as_str(), found.plugin.as_str()),
        ("token", "toy-secrets")
    );
    assert_eq!(
        &text[found.byte_start as usize..found.byte_end as usize],
        "sk-abc123def"
    );
    assert_eq!(found.value_hmac, key().name_of("sk-abc123def"));
    let told = serde_json::to_string(&cleaned.findings).unwrap();
    for value in ["joe@", "sk-abc", "777123"] {
        assert!(!told.contains(value), "{told}");
    }
}

#[test]
fn every_mode_keeps_its_promise_and_twice_is_once() {
    for (mode, text, expected) in [
        ("mask", "a joe@example.org b", "a ***@*******.*** b"),
        ("remove", "a joe@example.org b", "a  b"),
        ("placeholder", "a joe@example.org b", "a [EMAIL_ADDRESS] b"),
    ] {
        assert_eq!(passed(&with_mode(mode), text, Format::Plain), expected);
    }
    for mode in ["placeholder", "mask", "remove", "pseudonym", "fake"] {
        let sanitizers = with_mode(mode);
        for seed in 0..200 {
            let text = Random::new(seed).text(12);
            let once = passed(&sanitizers, &text, Format::Plain);
            let twice = passed(&sanitizers, &once, Format::Plain);
            assert_eq!(once, twice, "{mode}, seed {seed}: {text:?}");
        }
    }
}

#[test]
fn the_documents_text_outside_of_findings_stays_byte_for_byte() {
    let sanitizers = toys(REDACT_ALL);
    let source = "{ \"a\\u0062\": \"x sk-abc123def\\n\\u017e\",\t\"password\": \"hunter22\",\n\
                  \"n\": 4111111111111111, \"f\": 1.50, \"joe@example.org\": [\"\\u0073k-abc123def\"] }";
    let expected = "{ \"a\\u0062\": \"x [SECRET]\\n\\u017e\",\t\"password\": \"hunter22\",\n\
                    \"n\": \"[CREDIT_CARD]\", \"f\": 1.50, \"[EMAIL_ADDRESS]\": [\"[SECRET]\"] }";
    let cleaned = clean(&sanitizers, source, Format::Json);
    assert_eq!(cleaned.text(source), Some(expected));
    serde_json::from_str::<serde_json::Value>(expected).unwrap();
    let pointers: Vec<_> = cleaned
        .findings
        .iter()
        .map(|finding| finding.pointer.as_deref().unwrap())
        .collect();
    assert_eq!(
        pointers,
        ["/ab", "/n", "/joe@example.org", "/joe@example.org/0"]
    );
    let escaped = &cleaned.findings[3];
    let place = escaped.byte_start as usize..escaped.byte_end as usize;
    assert_eq!(&source[place], "\\u0073k-abc123def");
    assert_eq!(escaped.value_hmac, key().name_of("sk-abc123def"));
    assert_eq!(passed(&sanitizers, expected, Format::Json), expected);
    let numbers_kept = passed(&sanitizers, source, Format::JsonStrings);
    assert!(numbers_kept.contains("4111111111111111"));
}

/// Any document stays a document of the same shape, and no value of a finding is left in it.
#[test]
fn documents_stay_documents() {
    for mode in ["placeholder", "mask", "remove", "pseudonym", "fake"] {
        let sanitizers = with_mode(mode);
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let strings: Vec<String> = (0..5).map(|_| random.text(4)).collect();
            let document = serde_json::json!({"list": strings, strings[0].clone(): {"n": 4111111111111111u64}});
            let source = document.to_string();
            let once = passed(&sanitizers, &source, Format::Json);
            let parsed: serde_json::Value = serde_json::from_str(&once).unwrap();
            assert_eq!(parsed["list"].as_array().unwrap().len(), 5);
            assert!(!once.contains(":4111111111111111"), "{once}");
            assert_eq!(
                passed(&sanitizers, &once, Format::Json),
                once,
                "{mode} {seed}"
            );
        }
    }
}

#[test]
fn lines_are_records_and_are_dropped_alone() {
    let sanitizers = toys(
        "version: 1\nextends: none\nactions: [{rules: [token], action: drop}, {action: redact}]\n",
    );
    let source = "{\"a\": \"sk-abc123def\"}\r\n{\"b\": \"joe@example.org\"}\nnot JSON ann@ex.cz\n";
    let cleaned = clean(&sanitizers, source, Format::Ndjson);
    assert_eq!(
        cleaned.text(source),
        Some("{\"b\": \"[EMAIL_ADDRESS]\"}\nnot JSON [EMAIL_ADDRESS]\n")
    );
    let places: Vec<_> = cleaned
        .findings
        .iter()
        .map(|finding| (finding.line, finding.column, finding.action))
        .collect();
    assert_eq!(
        places,
        [
            (1, 8, Action::Drop),
            (2, 8, Action::Redact),
            (3, 10, Action::Redact)
        ]
    );
    assert_eq!(cleaned.notes.len(), 1);
    assert!(cleaned.notes[0].starts_with("record 3 is read as plain text"));
    let whole = clean(&sanitizers, "x sk-abc123def", Format::Plain);
    assert_eq!(whole.outcome, Outcome::Dropped);
    let csv = Format::Csv {
        delimiter: Delimiter::Comma,
    };
    let table = "name,note\njoe@example.org,\"say \"\"sk-ab\"\"\"\nx,sk-abc123def\n";
    assert_eq!(
        passed(&sanitizers, table, csv),
        "name,note\n[EMAIL_ADDRESS],\"say \"\"sk-ab\"\"\"\n"
    );
}

#[test]
fn what_is_blocked_is_an_error_that_names_rule_and_place() {
    let sanitizers =
        toys("version: 1\nactions: [{rules: [token], stages: [prompt], action: block}]\n");
    let texts: TextBuffer = ["fine", "a\nb sk-abc123def"].into_iter().collect();
    let error = sanitizers
        .clean(texts.as_texts(), Stage::Prompt, None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(
        error.message(),
        "text 1 (prompt) holds secret at line 2, column 3, which the policy blocks (rule token of toy-secrets)"
    );
    let listed = sanitizers
        .inspect(texts.as_texts(), Format::Plain, Stage::Prompt, None)
        .unwrap();
    assert_eq!(listed[1].outcome, Outcome::Blocked);
    assert_eq!(listed[1].text("x"), None);
    assert_eq!(
        sanitizers
            .clean(texts.as_texts(), Stage::Ingest, None)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_text_that_cannot_be_scanned_does_not_pass() {
    let texts: TextBuffer = ["x joe@example.org", "cannot be scanned sk-abc123def"]
        .into_iter()
        .collect();
    let sanitizers = toys("version: 1\non_error: {output: drop}\n");
    let error = sanitizers
        .clean(texts.as_texts(), Stage::Ingest, None)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(
        error.message().starts_with("sanitizer toy-secrets failed"),
        "{error}"
    );
    let logged = sanitizers
        .clean(texts.as_texts(), Stage::Log, None)
        .unwrap();
    assert_eq!(
        logged[0].text(""),
        Some("x [EMAIL_ADDRESS]"),
        "others are not lost"
    );
    assert_eq!(logged[1].text(""), Some(WITHHELD));
    let output = sanitizers
        .clean(texts.as_texts(), Stage::Output, None)
        .unwrap();
    assert_eq!(output[1].outcome, Outcome::Dropped);
    assert_eq!(sanitizers.counts().not_scanned, 2);
}

#[test]
fn logs_always_get_an_answer() {
    let sanitizers = toys("version: 1\nactions: [{rules: [email], action: block}]\n");
    let log = |text: &str, format| sanitizers.clean_log(text, format);
    assert_eq!(log("a sk-abc123def", Format::Plain), "a [SECRET]");
    assert_eq!(log("mail joe@example.org", Format::Plain), WITHHELD);
    assert_eq!(
        log("{\"a\": \"cannot be scanned\"}", Format::Json),
        "\"[WITHHELD]\""
    );
    assert_eq!(log("nothing", Format::Plain), "nothing");
    let value =
        serde_json::json!({"n": 4111111111111111u64, "sk-abc123def": ["sk-abc123def", null]});
    assert_eq!(
        sanitizers.clean_log_value(&value),
        serde_json::json!({"n": 4111111111111111u64, "[SECRET]": ["[SECRET]", null]})
    );
    let error = Error::data("cannot read sk-abc123def")
        .hint("ask +420777123456")
        .with_causes(["met sk-abc123def".to_owned()]);
    let shown = sanitizers.clean_error(&error);
    assert_eq!(shown.kind(), ErrorKind::Data);
    assert_eq!(shown.message(), "cannot read [SECRET]");
    assert_eq!(shown.hint_text(), Some("ask [PHONE_NUMBER]"));
    assert_eq!(shown.causes(), ["met [SECRET]"]);
}

#[test]
fn warnings_pass_and_are_counted_by_stage_rule_and_action() {
    let sanitizers = toys("version: 1\n");
    let texts: TextBuffer = ["joe@example.org sk-abc123def", "ann@ex.cz"]
        .into_iter()
        .collect();
    for stage in [Stage::Prompt, Stage::Log] {
        sanitizers.clean(texts.as_texts(), stage, None).unwrap();
    }
    let counts = sanitizers.counts();
    let list: Vec<_> = counts
        .list()
        .into_iter()
        .map(|one| (one.stage, one.rule, one.action, one.count))
        .collect();
    assert_eq!(
        list,
        [
            (Stage::Prompt, "email".to_owned(), Action::Warn, 2),
            (Stage::Prompt, "token".to_owned(), Action::Redact, 1),
            (Stage::Log, "email".to_owned(), Action::Redact, 2),
            (Stage::Log, "token".to_owned(), Action::Redact, 1),
        ]
    );
    let mut twice = counts.clone();
    twice.merge(&counts);
    assert_eq!(twice.list()[0].count, 4);
}

#[test]
fn no_sanitizer_changes_nothing() {
    let none = Sanitizers::new(Vec::new(), Policy::standard().unwrap(), key()).unwrap();
    assert!(none.is_empty());
    assert_eq!(passed(&none, "sk-abc123def", Format::Plain), "sk-abc123def");
}

#[test]
fn digests_follow_plugins_rules_policy_and_key() {
    let build = |id: &str, policy: &str, key: &Key| {
        let policy = Policy::from_yaml(policy, "p").unwrap();
        let list: Vec<(String, Arc<dyn Sanitizer>)> = vec![(id.into(), Arc::new(Toy::people()))];
        Sanitizers::new(list, policy, key.clone())
            .unwrap()
            .digest()
            .to_owned()
    };
    let other_key = Key::new(b"quite another secret").unwrap();
    let plain = build("toy 1", "version: 1", &key());
    assert_eq!(
        plain,
        build("toy 1", "version: 1", &other_key),
        "no name shows in texts"
    );
    assert_ne!(plain, build("toy 2", "version: 1", &key()));
    let named = build("toy 1", "version: 1\nmode: pseudonym", &key());
    assert_ne!(plain, named);
    assert_ne!(
        named,
        build("toy 1", "version: 1\nmode: pseudonym", &other_key)
    );
}

#[test]
fn a_rule_that_cannot_be_named_is_refused() {
    let long = "e".repeat(200);
    let toy = Toy::new(&[("rule", &long, Severity::Low, "x")]);
    let list: Vec<(String, Arc<dyn Sanitizer>)> = vec![("odd".into(), Arc::new(toy))];
    let error = Sanitizers::new(list, Policy::standard().unwrap(), key())
        .err()
        .unwrap();
    assert!(error.message().contains("sanitizer odd"), "{error}");
}

/// Whatever a text holds and is read as: twice is once, and all that no finding covers stays byte for byte.
#[test]
fn any_text_in_any_format() {
    let sanitizers = toys(REDACT_ALL);
    let formats = [
        Format::Plain,
        Format::Json,
        Format::Ndjson,
        Format::Csv {
            delimiter: Delimiter::Comma,
        },
        Format::Csv {
            delimiter: Delimiter::Bar,
        },
    ];
    for seed in 0..300 {
        let text = Random::new(seed).text(14);
        for format in formats {
            let cleaned = clean(&sanitizers, &text, format);
            let once = cleaned.text(&text).unwrap();
            assert_eq!(
                passed(&sanitizers, once, format),
                once,
                "{format:?}, seed {seed}: {text:?}"
            );
            let mut rest = once;
            let mut at = 0;
            for finding in &cleaned.findings {
                let kept = &text[at..finding.byte_start as usize];
                rest = rest.strip_prefix(kept).unwrap();
                let mark = crate::placeholder(&finding.entity);
                // A number becomes a string.
                let quoted = format!("\"{mark}\"");
                let behind = rest.strip_prefix(&quoted).or(rest.strip_prefix(&mark));
                rest = behind.unwrap();
                at = finding.byte_end as usize;
            }
            assert_eq!(rest, &text[at..], "{format:?}, seed {seed}");
        }
    }
}

#[test]
fn edits_make_the_source_what_passes() {
    let sanitizers = with_mode("placeholder");
    for (text, format) in [
        ("ask joe@example.org or sk-abc123def", Format::Plain),
        (
            "{\"a\": \"sk-abc123def\\u0021\"}\n{\"b\": 1}\n",
            Format::Ndjson,
        ),
        (
            "a,\"sk-abc123def\"\n",
            Format::Csv {
                delimiter: Delimiter::Comma,
            },
        ),
        ("nothing", Format::Plain),
    ] {
        let cleaned = clean(&sanitizers, text, format);
        let mut made = String::new();
        let mut taken = 0;
        for edit in &cleaned.edits {
            made.push_str(&text[taken..edit.range.start]);
            made.push_str(&edit.replacement);
            taken = edit.range.end;
        }
        made.push_str(&text[taken..]);
        assert_eq!(cleaned.text(text), Some(made.as_str()));
    }
}

/// Finds everything in files of one name.
struct OneFile;

impl Sanitizer for OneFile {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(vec![Rule {
            id: "file".into(),
            entity: "secret".into(),
            severity: Severity::High,
            description: String::new(),
        }])
    }
    fn max_span(&self) -> u32 {
        100
    }
    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>> {
        self.scan_file(texts, stage, None)
    }
}

impl FileSanitizer for OneFile {
    fn scan_file(
        &self,
        texts: Texts<'_>,
        _stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Finding>> {
        let found = |(index, text): (usize, &str)| Finding {
            start: 0,
            end: text.len() as u64,
            text: index as u32,
            rule: 0,
            confidence: 1.0,
        };
        let all = texts.iter().enumerate().map(found);
        Ok(all.filter(|_| path == Some("a.txt")).collect())
    }
}

#[test]
fn a_sanitizer_of_files_is_told_the_path() {
    let files: Vec<(String, Arc<dyn FileSanitizer>)> = vec![("files".into(), Arc::new(OneFile))];
    let policy = Policy::standard().unwrap();
    let sanitizers = Arc::new(Sanitizers::with_files(files, Vec::new(), policy, key()).unwrap());
    assert_eq!(passed(&sanitizers, "x", Format::Plain), "[SECRET]");
    assert_eq!(
        passed(&sanitizers, "[\"x\"]", Format::Json),
        "[\"[SECRET]\"]"
    );
    let texts: TextBuffer = ["x"].into_iter().collect();
    let other = sanitizers.inspect(
        texts.as_texts(),
        Format::Plain,
        Stage::Ingest,
        Some("b.txt"),
    );
    assert_eq!(other.unwrap()[0].outcome, Outcome::Unchanged);
    let options = crate::StreamOptions::file();
    let mut stream = crate::Stream::new(
        Arc::clone(&sanitizers),
        Stage::Ingest,
        Some("a.txt"),
        options,
    );
    let mut out = String::new();
    stream.push(b"x", &mut out).unwrap();
    stream.finish(&mut out).unwrap();
    assert_eq!(out, "[SECRET]");
}
