//! What is proposed where, from manifests alone.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Manifest;

use super::*;
use crate::plugins::discover::tests::plugin;

const SHOUT: &str = r#"
[plugin]
id = "shout"
version = "0.1.0"
api = "1"
description = "d"

[[component]]
kind = "command"
name = "shout"
description = "Writes loudly"

[[component.argument]]
name = "style"
choices = ["loud", "louder"]

[[component.argument]]
name = "rows"
type = "integer"
complete = true

[[component.subcommand]]
name = "again"
description = "Once more"

[[component.subcommand.argument]]
name = "softly"
type = "flag"
"#;

fn catalog() -> Catalog {
    let mut shout = plugin("shout", &[(Kind::Command, "shout")], "x");
    shout.manifest = Manifest::parse(SHOUT, "test").unwrap();
    Catalog {
        plugins: vec![shout],
        ..Catalog::default()
    }
}

fn proposed(line: &str) -> Vec<String> {
    let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let index = words.len() - 1;
    let line = Line {
        words,
        index,
        before: 0,
    };
    let all = among(&line, &catalog(), &[]);
    let shown = all.iter().filter_map(|one| Shell::Fish.show(one, &line));
    shown.map(|text| text.trim_end().to_owned()).collect()
}

#[test]
fn commands_options_and_choices_are_proposed_from_the_manifest() {
    for (line, expected) in [
        ("codex-ml shou", vec!["shout\tWrites loudly"]),
        ("codex-ml shout ag", vec!["again\tOnce more"]),
        ("codex-ml shout --sty", vec!["--style"]),
        ("codex-ml shout --style l", vec!["loud", "louder"]),
        ("codex-ml shout --style=loude", vec!["--style=louder"]),
        ("codex-ml shout again --soft", vec!["--softly"]),
        ("codex-ml completions fi", vec!["fish"]),
    ] {
        assert_eq!(proposed(line), expected, "{line}");
    }
    assert!(proposed("codex-ml shout --sty")[0].starts_with("--style"));
    let commands = proposed("codex-ml ");
    for name in ["train", "plugin", "shout"] {
        assert!(
            commands
                .iter()
                .any(|one| one.split('\t').next() == Some(name)),
            "{commands:?}"
        );
    }
    assert!(!commands.iter().any(|one| one.starts_with("__")));
}

#[test]
fn full_names_are_those_of_every_plugin() {
    assert_eq!(qualified(&catalog()), ["shout:shout"]);
}

#[test]
fn what_was_typed_before_is_known_to_the_plugin() {
    let catalog = catalog();
    let entry = &catalog.plugins[0].manifest.components[0];
    let typed: Vec<OsString> = ["codex-ml", "--json", "shout", "--style", "loud", "--rows"]
        .map(OsString::from)
        .to_vec();
    let given = given(&catalog, entry, &typed);
    assert_eq!(given.text("style"), Some("loud"));
    assert_eq!(given.integer("rows"), None);
}
