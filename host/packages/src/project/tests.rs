#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const TEXT: &str = "# what we use\n[registries]\n# ours comes first\nours = \"../registry\"\nmain = { url = \"https://plugins.example/\", key = \"RWQ\" }\n\n[plugins]\n# for the reports\nshout = \"^1.2\" # not 2 yet\nwords = { version = \"1\", registry = \"ours\" }\n\n[pins]\nwords = \"1.0.3\"\n";

fn file(text: &str) -> Result<ProjectFile> {
    ProjectFile::parse(Path::new("codex-plugins.toml"), Some(text.into()))
}

fn wish(name: &str, versions: &str) -> Requirement {
    Requirement {
        name: name.into(),
        versions: versions.parse().unwrap(),
        registry: None,
    }
}

#[test]
fn everything_is_read_in_the_files_order() {
    let file = file(TEXT).unwrap();
    let wanted = file.wanted().unwrap();
    assert_eq!(wanted[0], wish("shout", "^1.2"));
    assert_eq!(wanted[1].registry.as_deref(), Some("ours"));
    assert_eq!(file.pins().unwrap()["words"], Version::new(1, 0, 3));
    let names: Vec<String> = file
        .registries()
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect();
    assert_eq!(names, ["ours", "main"]);
    assert!(!file.is_changed());
}

#[test]
fn comments_order_and_spelling_stay() {
    let mut file = file(TEXT).unwrap();
    file.want(&wish("shout", "^2"));
    file.want(&wish("words", "^1.1"));
    file.want(&wish("caption", "*"));
    file.pin("caption", &Version::new(1, 0, 0));
    assert!(file.unpin("words") && !file.unpin("words"));
    let text = file.text();
    for line in [
        "# what we use\n[registries]\n# ours comes first\nours = \"../registry\"\n",
        "[plugins]\ncaption = \"*\"\n# for the reports\nshout = \"^2\" # not 2 yet\nwords = { version = \"^1.1\", registry = \"ours\" }\n",
        "[pins]\ncaption = \"1.0.0\"\n",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
    assert!(file.is_changed());
    assert!(file.unwant("shout") && !file.unwant("shout"));
    assert!(!file.text().contains("shout"));
}

#[test]
fn registries_keep_the_order_in_which_they_are_asked() {
    let mut file = file("").unwrap();
    for (name, url, key) in [
        ("zebra", "a", None),
        ("ant", "b", Some("RWQ")),
        ("zebra", "c", None),
    ] {
        file.connect(&Connected {
            name: name.into(),
            url: url.into(),
            key: key.map(str::to_owned),
        });
    }
    assert_eq!(
        file.text(),
        "[registries]\nzebra = \"c\"\nant = { url = \"b\", key = \"RWQ\" }\n"
    );
    assert!(file.disconnect("zebra"));
    assert_eq!(file.registries().unwrap().len(), 1);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, word) in [
        ("[plugins]\nshout = \n", "line 2"),
        ("[plugin]\nshout = \"1\"\n", "no table [plugin]"),
        ("plugins = 3\n", "plugins is no table"),
        (
            "[plugins]\nshout = 1\n",
            "plugins.shout is neither a text nor a table",
        ),
        (
            "[plugins]\nshout = \"one\"\n",
            "plugins.shout: \"one\" is no version requirement",
        ),
        (
            "[plugins]\nshout = { verion = \"1\" }\n",
            "plugins.shout has no key verion",
        ),
        (
            "[plugins]\nshout = { version = 1 }\n",
            "plugins.shout.version is no text",
        ),
        ("[plugins]\n\"../up\" = \"1\"\n", "\"../up\""),
        (
            "[pins]\nshout = \"^1\"\n",
            "pins.shout: \"^1\" is no version",
        ),
        (
            "[registries]\nours = { key = \"x\" }\n",
            "registries.ours names no url",
        ),
    ] {
        let error = file(text).unwrap_err();
        assert!(error.message().contains(word), "{error} lacks {word}");
        assert!(error.hint_text().is_some(), "{error}");
    }
}

#[test]
fn an_absent_file_asks_for_nothing_and_is_written_when_it_asks_for_something() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("codex-plugins.toml");
    let mut file = ProjectFile::open(&path).unwrap();
    file.save().unwrap();
    assert!(!path.exists());
    file.want(&wish("shout", "1.2"));
    file.save().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "[plugins]\nshout = \"^1.2\"\n"
    );
    assert!(!file.is_changed());
}

#[test]
fn wishes_are_names_with_or_without_a_requirement() {
    assert_eq!(parse_wish("shout").unwrap(), ("shout".into(), None));
    assert_eq!(
        parse_wish("shout@=1.2.3").unwrap().1,
        Some("=1.2.3".parse().unwrap())
    );
    for text in ["Shout", "shout@", "shout@one", "../x"] {
        assert!(
            parse_wish(text).unwrap_err().hint_text().is_some(),
            "{text}"
        );
    }
}
