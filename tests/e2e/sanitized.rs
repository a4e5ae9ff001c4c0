//! What sanitizers keep out of runs, answers and errors, through the real binary and the sanitizer that comes along.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::bench::{Bench, Ran, root};
use crate::first_steps::events;

#[derive(Deserialize)]
struct RuleFile {
    rules: Vec<RuleEntry>,
}

#[derive(Deserialize)]
struct RuleEntry {
    id: String,
    #[serde(default)]
    examples: Vec<String>,
}

/// Something that must be seen nowhere.
struct Planted {
    /// What it is, for messages.
    id: String,
    /// The text that holds it.
    text: String,
    /// The part that nothing may repeat.
    value: String,
}

/// One secret of every kind that our rules name, by the rules' own examples, and some personal data.
fn planted() -> Vec<Planted> {
    let mut planted = Vec::new();
    let mut files: Vec<_> = fs::read_dir(root().join("plugins/sanitizer-default/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_stem().unwrap().to_string_lossy();
            !["personal", "national", "prompt"].contains(&name.as_ref())
        })
        .collect();
    files.sort();
    for file in files {
        let rules: RuleFile = toml::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        for rule in rules.rules {
            let Some(text) = rule.examples.into_iter().next() else {
                continue;
            };
            if let Some(value) = longest_token(&text) {
                planted.push(Planted {
                    id: rule.id,
                    value,
                    text,
                });
            }
        }
    }
    let personal = [
        (
            "e-mail",
            "write to",
            "annelore.brockmeier@mailbox-hinterland.de",
        ),
        ("card", "my card is", "4539578763621486"),
        ("iban", "the account", "DE75512108001245126199"),
    ];
    planted.extend(personal.map(|(id, before, value)| Planted {
        id: id.to_owned(),
        text: format!("{before} {value} today"),
        value: value.to_owned(),
    }));
    let mut seen = BTreeSet::new();
    planted.retain(|one| seen.insert(one.value.clone()));
    planted
}

/// The longest run of characters that keys are made of.
fn longest_token(text: &str) -> Option<String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_./+=:@".contains(letter))
        .max_by_key(|token| token.len())
        .filter(|token| token.len() >= 16)
        .map(str::to_owned)
}

/// The files below a folder that hold one of the values, with what it was.
fn leaks(folder: &Path, planted: &[Planted]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leaks(&path, planted));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let held = planted.iter().filter(|one| holds(&bytes, &one.value));
        found.extend(held.map(|one| format!("{} in {}", one.id, path.display())));
    }
    found
}

fn holds(bytes: &[u8], value: &str) -> bool {
    bytes
        .windows(value.len())
        .any(|window| window == value.as_bytes())
}

#[track_caller]
fn says_none(ran: &Ran, planted: &[Planted]) {
    for one in planted {
        let said = ran.stdout.contains(&one.value) || ran.stderr.contains(&one.value);
        assert!(!said, "{} is said by codex-ml {}", one.id, ran.arguments);
    }
}

#[test]
fn a_run_over_planted_secrets_leaves_none_in_its_files_or_on_the_terminal() {
    let bench = Bench::new();
    let planted = planted();
    assert!(planted.len() >= 200, "{} are planted", planted.len());
    let mut rows = String::new();
    for (number, one) in planted.iter().enumerate() {
        let text = format!("{}\nThis was note {number} of the day.", one.text);
        writeln!(rows, "{}", json!({ "text": text })).unwrap();
    }
    bench.write("notes.jsonl", rows);
    // As a user of a tracker might: a setting is written down as well.
    let token = planted
        .iter()
        .find(|one| one.id.starts_with("github"))
        .unwrap();
    let tracker = format!(
        "trackers=[{{name: files, folder: \"board-{}\"}}]",
        token.value
    );
    let trained = bench
        .run(&[
            "train",
            "data.path=notes.jsonl",
            &tracker,
            "run.name=r",
            "training.steps=6",
            "training.evaluate_every=3",
            "training.checkpoint_every=3",
            "tokenizer.vocab_size=400",
            "-v",
        ])
        .ok();
    says_none(&trained, &planted);
    assert_eq!(
        leaks(&bench.work().join("runs"), &planted),
        Vec::<String>::new()
    );
    assert_eq!(leaks(&bench.data(), &planted), Vec::<String>::new());

    let events = events(&bench, "r");
    let found = events
        .iter()
        .find(|event| event["event"] == "sanitized")
        .unwrap();
    let redacted: u64 = found["counts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|count| count["action"] == "redact" && count["stage"] == "ingest")
        .map(|count| count["count"].as_u64().unwrap())
        .sum();
    // Some documents are held out; what was found in them is not counted among the training rows.
    assert!(
        redacted >= planted.len() as u64 * 9 / 10,
        "{redacted} of {}",
        planted.len()
    );

    for arguments in [
        &["evaluate", "--model", "runs/r/model", "--json"][..],
        &["data", "inspect", "notes.jsonl", "--rows", "20"],
    ] {
        says_none(&bench.run(arguments).ok(), &planted);
    }
}

#[test]
fn prompts_answers_and_errors_hold_no_secret() {
    let bench = Bench::new();
    let planted = planted();
    let token = planted
        .iter()
        .find(|one| one.id.starts_with("github"))
        .unwrap();
    bench
        .run(&[
            "train",
            "run.name=r",
            "training.steps=2",
            "data.documents=100",
        ])
        .ok();
    let prompt = format!("my key is {} and", token.value);
    let generate = [
        "generate",
        "--model",
        "runs/r/model",
        "--max-new-tokens",
        "8",
        "--prompt",
        &prompt,
    ];
    let ran = bench.run(&generate).ok();
    says_none(&ran, &planted);
    ran.shows(&["my key is [SECRET] and"])
        .tells(&["the prompt holds secret at line 1, column 11"]);

    let path = format!("data.path=/none/{}/notes.txt", token.value);
    let ran = bench.run(&["train", &path]);
    says_none(&ran, &planted);
    ran.fails(4, &["[SECRET]"]);

    let off = bench
        .command(&generate)
        .env("CODEX_ML_SANITIZE", "off")
        .output()
        .unwrap();
    let off = Ran::new(&generate, off).ok();
    assert!(off.stdout.contains(&token.value), "{}", off.stdout);
    off.tells(&["CODEX_ML_SANITIZE"]);
    let mistyped = bench
        .command(&generate)
        .env("CODEX_ML_SANITIZE", "of")
        .output()
        .unwrap();
    Ran::new(&generate, mistyped).fails(2, &["CODEX_ML_SANITIZE", "of"]);
}

#[test]
fn the_users_policy_decides() {
    let bench = Bench::new();
    bench
        .run(&[
            "train",
            "run.name=r",
            "training.steps=2",
            "data.documents=100",
        ])
        .ok();
    let generate = [
        "generate",
        "--model",
        "runs/r/model",
        "--max-new-tokens",
        "4",
        "--prompt",
        "write to annelore.brockmeier@mailbox-hinterland.de",
    ];
    // A prompt is what its author chose to ask: personal data is told and passes.
    bench
        .run(&generate)
        .ok()
        .shows(&["annelore.brockmeier@mailbox-hinterland.de"])
        .tells(&["the prompt holds email-address", "action warn"]);
    let policy = bench.data().join("sanitizer-policy.yaml");
    for (action, mode, shown) in [
        ("redact", "placeholder", "[EMAIL_ADDRESS]"),
        ("redact", "pseudonym", "[EMAIL_ADDRESS:"),
    ] {
        fs::write(
            &policy,
            format!("version: 1\nactions: [{{entities: [email-address], action: {action}, mode: {mode}}}]\n"),
        )
        .unwrap();
        bench.run(&generate).ok().shows(&[shown]);
    }
    fs::write(
        &policy,
        "version: 1\nactions: [{entities: [email-address], action: block}]\n",
    )
    .unwrap();
    bench
        .run(&generate)
        .fails(4, &["email-address", "line 1, column 10"]);
    fs::write(
        &policy,
        "version: 1\nactions: [{entities: [email-address], action: blok}]\n",
    )
    .unwrap();
    bench.run(&generate).fails(2, &["blok"]);
}

#[test]
fn texts_to_embed_are_prompts_and_blocked_texts_are_never_generated() {
    let bench = Bench::new();
    bench
        .run(&[
            "train",
            "run.name=r",
            "training.steps=2",
            "data.documents=100",
        ])
        .ok();
    let planted = planted();
    let token = planted
        .iter()
        .find(|one| one.id.starts_with("github"))
        .unwrap();
    let lines = format!("one\nkey {}\n", token.value);
    let ran = bench
        .run_with_input(
            &["embed", "--model", "runs/r/model", "--with-text"],
            lines.as_bytes(),
        )
        .ok();
    says_none(&ran, &planted);
    let second: Value = serde_json::from_str(ran.stdout.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["text"], "key [SECRET]");
    ran.tells(&["the texts held 1 × secret"]);

    let generate = [
        "generate",
        "--model",
        "runs/r/model",
        "--prompt",
        "The",
        "--json",
    ];
    let text = |extra: &[&str]| -> String {
        let ran = bench.run(&[&generate[..], extra].concat()).ok();
        ran.json()["text"].as_str().unwrap().to_owned()
    };
    assert!(text(&[]).contains('e'));
    assert!(!text(&["--block", "e"]).contains('e'));
    bench.write("blocked.txt", "E\nT\n");
    let without = text(&["--block-file", "blocked.txt", "--block-ignore-case"]);
    assert!(!without.contains(['e', 'E', 't', 'T']), "{without}");
    bench
        .run(&[&generate[..5], &["--block", ""]].concat())
        .fails(2, &["a blocked text is empty"]);
}
