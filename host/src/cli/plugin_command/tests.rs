//! From a manifest to help and to arguments, without any plugin.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Manifest;
use serde_json::json;

use super::*;

const MANIFEST: &str = r#"
[plugin]
id = "shout"
version = "0.2.0"
api = "1"
description = "d"

[[component]]
kind = "command"
name = "shout"
description = "Writes texts in capitals"
examples = ["codex-ml shout hello --times 2"]

[[component.argument]]
name = "words"
positional = true
required = true
repeatable = true
help = "What to shout"

[[component.argument]]
name = "times"
type = "integer"
short = "n"
default = 1
help = "How often"

[[component.argument]]
name = "rate"
type = "number"

[[component.argument]]
name = "style"
choices = ["loud", "louder"]
default = "loud"

[[component.argument]]
name = "softly"
type = "flag"

[[component.argument]]
name = "output"
type = "file"

[[component.argument]]
name = "level"
type = "integer"
repeatable = true
default = [1, 2]

[[component]]
kind = "command"
name = "echo"

[[component.argument]]
name = "loop"
type = "flag"

[[component.subcommand]]
name = "list"
description = "Lists echoes"

[[component.subcommand.argument]]
name = "since"

[[component]]
kind = "command"
name = "sweep"

[[component.argument]]
name = "path"
positional = true
repeatable = true

[[component.argument]]
name = "deep"
type = "flag"

[[component.subcommand]]
name = "rules"

[[component.subcommand.subcommand]]
name = "list"

[[component.subcommand.subcommand.argument]]
name = "entity"

[[component.subcommand.subcommand]]
name = "explain"

[[component.subcommand.subcommand.argument]]
name = "rule"
positional = true
required = true
"#;

fn manifest() -> Manifest {
    Manifest::parse(MANIFEST, "test").unwrap()
}

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    let manifest = manifest();
    let words: Vec<&str> = line.split_whitespace().collect();
    let entry = manifest.component(Kind::Command, words[0]).unwrap();
    let plugin =
        crate::plugins::discover::tests::plugin("shout", &[(Kind::Command, words[0])], "x");
    let command = command(&plugin, entry);
    command.clone().debug_assert();
    Ok(collect(entry, &command.try_get_matches_from(words)?))
}

#[test]
fn arguments_arrive_typed_and_with_defaults() {
    for (line, expected) in [
        (
            "shout a b -n 3 --rate -0.5 --softly --output x.txt --level 7 --level -8",
            json!({"words": ["a", "b"], "times": 3, "rate": -0.5, "style": "loud", "softly": true, "output": "x.txt",
                   "level": [7, -8]}),
        ),
        (
            "shout a --style louder",
            json!({"words": ["a"], "times": 1, "style": "louder", "softly": false, "level": [1, 2]}),
        ),
        (
            "echo --loop list --since monday",
            json!({"loop": true, "subcommand": "list", "since": "monday"}),
        ),
        (
            "sweep a b --deep ./rules list",
            json!({"path": ["a", "b", "./rules", "list"], "deep": true}),
        ),
        ("sweep", json!({"path": [], "deep": false})),
        (
            "sweep rules list --entity secret",
            json!({"path": [], "deep": false, "subcommand": "rules list", "entity": "secret"}),
        ),
        (
            "sweep rules explain luhn",
            json!({"path": [], "deep": false, "subcommand": "rules explain", "rule": "luhn"}),
        ),
    ] {
        assert_eq!(Value::Object(parse(line).unwrap().0), expected, "{line}");
    }
}

#[test]
fn wrong_arguments_are_refused_before_the_plugin_is_loaded() {
    for (line, word) in [
        ("shout", "<WORDS>..."),
        (
            "shout a --times many",
            "invalid value 'many' for '--times <N>'",
        ),
        ("shout a --rate inf", "it must be finite"),
        ("shout a --style loudest", "possible values: loud, louder"),
        ("shout a --tims 2", "'--times'"),
        ("echo lst", "'list'"),
        ("sweep rules", "Usage: sweep rules"),
        ("sweep rules lst", "'list'"),
        ("sweep rules explain", "<RULE>"),
    ] {
        let error = parse(line).map(drop).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
}

#[test]
fn help_shows_what_the_manifest_says() {
    let help = parse("shout --help").map(drop).unwrap_err().to_string();
    for part in [
        "Writes texts in capitals",
        "From plugin shout 0.1.0",
        "How often",
        "[default: 1]",
        "Examples:\n  codex-ml shout hello",
    ] {
        assert!(help.contains(part), "{help}\nlacks {part}");
    }
}
