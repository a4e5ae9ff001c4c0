#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::manifest::Reason;

use super::*;

fn policy(files: &[&str]) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let path = folder.path().join(format!("{number}.toml"));
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    Policy::read(&paths).unwrap()
}

fn source() -> Source {
    Source {
        registry: "main".into(),
        url: "https://plugins.example.org/".into(),
    }
}

#[test]
fn each_rule_refuses_and_says_which_line() {
    let clock = Permissions {
        clock: Some(Reason { reason: "r".into() }),
        ..Permissions::default()
    };
    let source = source();
    let subject = Subject {
        name: "acme-words",
        level: Level::PinnedKey,
        native: true,
        permissions: &clock,
        origin: Some((&source, "RWkey")),
    };
    for (text, words) in [
        ("", None),
        ("minimum-level = \"pinned-key\"", None),
        (
            "minimum-level = \"registry-signed\"",
            Some("below minimum-level = \"registry-signed\""),
        ),
        ("native = \"deny\"", Some("is native code")),
        ("native = \"listed\"", Some("not in native-plugins")),
        ("native = \"listed\"\nnative-plugins = [\"acme-*\"]", None),
        ("registries = []", Some("which is not in registries")),
        ("registries = [\"https://plugins.example.org\"]", None),
        (
            "denied-permissions = [\"clock\"]",
            Some("asks for clock, which is in denied-permissions"),
        ),
        ("denied-permissions = [\"network\"]", None),
        ("local = false", None),
        ("[keys]\n\"acme-*\" = [\"RWkey\"]", None),
        (
            "[keys]\n\"acme-*\" = [\"RWother\"]",
            Some("keys.\"acme-*\""),
        ),
        (
            "[keys]\n\"acme-*\" = [\"RWkey\"]\nacme-words = []",
            Some("keys.\"acme-words\""),
        ),
        ("[keys]\nother = []", None),
    ] {
        let outcome = policy(&[text]).check(&subject);
        match (words, outcome) {
            (None, outcome) => assert_eq!(outcome, Ok(()), "{text}"),
            (Some(words), outcome) => {
                let error = outcome.unwrap_err();
                assert!(error.message().contains(words), "{error} lacks {words}");
                assert!(error.message().contains("0.toml"), "{error}");
            }
        }
        let built_in = Subject {
            level: Level::BuiltIn,
            ..subject
        };
        assert_eq!(policy(&[text]).check(&built_in), Ok(()), "{text}");
    }
    let local = Subject {
        level: Level::Local,
        origin: None,
        ..subject
    };
    assert!(policy(&["local = false"]).check(&local).is_err());
}

#[test]
fn the_stricter_of_two_wins_in_either_order() {
    let (strict, loose) = (
        "minimum-level = \"registry-signed\"\nnative = \"deny\"\nregistries = [\"a\"]\nlocal = false\n\
         denied-permissions = [\"network\"]\n[keys]\nx = [\"RW1\"]",
        "minimum-level = \"local\"\nnative = \"allow\"\nregistries = [\"a\", \"b\"]\nlocal = true\n\
         denied-permissions = [\"clock\"]\n[keys]\nx = [\"RW1\", \"RW2\"]\ny = [\"RW3\"]",
    );
    let one = policy(&[strict, loose]).merged();
    assert_eq!(one, policy(&[loose, strict]).merged());
    assert_eq!(one.minimum_level, Level::RegistrySigned);
    assert_eq!((one.native, one.local), (Native::Deny, false));
    assert_eq!(one.registries, Some(vec!["a".to_owned()]));
    assert_eq!(one.denied_permissions, [Denied::Network, Denied::Clock]);
    assert_eq!((one.keys["x"].len(), one.keys["y"].len()), (1, 1));
    let listed = [
        "native = \"listed\"\nnative-plugins = [\"a\", \"b\"]",
        "native = \"listed\"\nnative-plugins = [\"b\", \"c\"]",
        "native = \"allow\"",
    ];
    assert_eq!(policy(&listed).merged().native_plugins, ["b"]);
}

#[test]
fn what_cannot_be_understood_stops_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    for (text, words) in [
        ("natve = \"deny\"", "line 1: unknown field `natve`"),
        ("\nnative = \"never\"", "line 2: unknown variant `never`"),
        ("native = ", "line 1: "),
        ("native-plugins = [\"A*\"]", "\"A*\" is no name"),
        ("[keys]\n\"a*b\" = []", "\"a*b\" is no name"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Policy::read(std::slice::from_ref(&path)).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    std::fs::remove_file(&path).unwrap();
    assert!(
        Policy::read(std::slice::from_ref(&path))
            .unwrap()
            .files()
            .is_empty()
    );
    std::fs::create_dir(&path).unwrap();
    let error = Policy::read(&[path]).unwrap_err();
    assert!(error.message().ends_with("cannot be read"), "{error}");
}
