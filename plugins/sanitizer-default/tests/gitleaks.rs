//! Files of the user's, in gitleaks' format: its meaning, and the errors of wrong ones.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use codex_plugin_sanitizer_default::rules::{from_path, from_text};
use codex_plugin_sanitizer_default::scan::Engine;

fn found(file: &str, text: &str, path: Option<&str>) -> Vec<String> {
    let engine = Engine::new(from_text("test.toml", file, true).unwrap());
    engine
        .scan(text, path)
        .unwrap()
        .into_iter()
        .map(|span| {
            format!(
                "{} {}",
                engine.rules()[span.rule].id,
                &text[span.start..span.end]
            )
        })
        .collect()
}

#[test]
fn groups_entropy_keywords_and_paths_mean_what_they_mean_there() {
    let file = r"
        [[rules]]
        id = 'first-group'
        regex = '''box=(a+)?(b+)'''
        keywords = ['BOX']
        [[rules]]
        id = 'second-group'
        regex = '''(pot)=([a-z]+)'''
        secretGroup = 2
        [[rules]]
        id = 'random'
        regex = '''r-[a-z0-9]{8}'''
        entropy = 2.5
        [[rules]]
        id = 'elsewhere'
        regex = '''k[0-9]{4}'''
        keywords = ['needle']
        [[rules]]
        id = 'in-php'
        regex = '''p[0-9]{4}'''
        path = '''\.php$'''
        [[rules]]
        id = 'by-path'
        path = '''\.p12$'''
    ";
    assert_eq!(found(file, "Box=bb box=bb", None), ["first-group bb"]);
    assert_eq!(found(file, "box=aabb", None), ["first-group aa"]);
    assert_eq!(found(file, "pot=lid", None), ["second-group lid"]);
    assert_eq!(
        found(file, "r-aaaaaaaa r-a1b2c3d4", None),
        ["random r-a1b2c3d4"]
    );
    assert!(found(file, "k1234", None).is_empty());
    assert_eq!(
        found(file, "k1234 far from the needle", None),
        ["elsewhere k1234"]
    );
    assert!(found(file, "p1234", None).is_empty());
    assert_eq!(found(file, "p1234", Some("a.php")), ["in-php p1234"]);
    assert_eq!(found(file, "x", Some("a.p12")), ["by-path x"]);
    assert_eq!(found(file, "", Some("a.p12")), ["by-path "]);
}

#[test]
fn allow_lists_mean_what_they_mean_there() {
    let file = r"
        [allowlist]
        paths = ['''vendor/''']
        stopwords = ['Sample']
        [[rules]]
        id = 'one'
        regex = '''one=([a-z0-9]+)'''
        [[rules.allowlists]]
        regexes = ['''^test''']
        [[rules.allowlists]]
        condition = 'AND'
        regexTarget = 'line'
        regexes = ['''# fixture''']
        paths = ['''\.txt$''']
        [[rules.allowlists]]
        regexTarget = 'match'
        regexes = ['''^one=zero$''']
    ";
    assert_eq!(found(file, "one=abc", Some("a.txt")), ["one abc"]);
    assert!(found(file, "one=abc", Some("vendor/a.txt")).is_empty());
    assert!(found(file, "one=isasample1", None).is_empty());
    assert!(found(file, "one=test1", None).is_empty());
    assert!(found(file, "one=zero", None).is_empty());
    assert_eq!(found(file, "one=abc # fixture", Some("a.rs")), ["one abc"]);
    assert!(found(file, "one=abc # fixture", Some("a.txt")).is_empty());
}

#[test]
fn generic_findings_give_way_to_specific_ones() {
    let file = r"
        [[rules]]
        id = 'generic-key'
        regex = '''key=(\w+)'''
        [[rules]]
        id = 'special'
        regex = '''sp_\w+'''
    ";
    assert_eq!(found(file, "key=sp_abc", None), ["special sp_abc"]);
    assert_eq!(found(file, "key=abc", None), ["generic-key abc"]);
}

#[test]
fn files_extend_files_and_ours() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base.toml");
    fs::write(
        &base,
        "[[rules]]\nid = 'a'\nregex = '''aa'''\n[[rules]]\nid = 'b'\nregex = '''bb'''\n",
    )
    .unwrap();
    let own = folder.path().join("own.toml");
    fs::write(
        &own,
        "[extend]\npath = 'base.toml'\ndisabledRules = ['b']\n[[rules]]\nid = 'a'\nentropy = 9.0\n[[rules]]\nid = 'c'\nregex = '''cc'''\n",
    )
    .unwrap();
    let set = from_path(&own).unwrap();
    let ids: Vec<_> = set.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(set.rules[0].entropy, 9.0);
    assert_eq!(set.rules[0].pattern.as_ref().unwrap().source(), "aa");

    let ours = from_text(
        "x.toml",
        "[extend]\nuseDefault = true\ndisabledRules = ['jwt']\n",
        true,
    )
    .unwrap();
    assert!(
        ours.rules
            .iter()
            .any(|rule| rule.id == "github-personal-token")
    );
    assert!(ours.rules.iter().all(|rule| rule.id != "jwt"));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let cases = [
        (
            "[[rules]]\nid = 'a'\nregex = '''a(b'''\n",
            "x.toml line 3, rule \"a\", key \"regex\": unclosed group",
        ),
        (
            "[[rules]]\nid = 'a'\nregx = '''a'''\n",
            "x.toml line 3: unknown field `regx`",
        ),
        (
            "[[rules]]\nid = 'a'\n",
            "x.toml line 1, rule \"a\", key \"regex\": it is missing",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\nvalidator = 'lun'\n",
            "x.toml line 4, rule \"a\", key \"validator\": \"lun\" is no validator",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules]]\nid = 'a'\nregex = 'b'\n",
            "x.toml line 4, rule \"a\", key \"id\": another rule has the same id",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\nconfidence = 2.0\n",
            "key \"confidence\": 2 is not between 0 and 1",
        ),
        (
            "[extend]\nurl = 'https://rules.example'\n",
            "x.toml line 2, key \"extend.url\": rules are not downloaded",
        ),
        (
            "[[rules]]\nid = 'a'\nregex = 'a'\n[[rules.allowlists]]\nregexes = ['''(''']\n",
            "rule \"a\", key \"allowlists.regexes\"",
        ),
    ];
    for (file, expected) in cases {
        let error = from_text("x.toml", file, true).unwrap_err();
        assert!(
            error.message().contains(expected),
            "{}\nnot {expected}",
            error.message()
        );
        assert!(error.hint_text().is_some(), "{expected}");
    }
}

#[test]
fn long_findings_of_unbounded_rules_come_in_pieces() {
    let engine =
        Engine::new(from_text("x.toml", "[[rules]]\nid = 'a'\nregex = '''x+'''\n", true).unwrap());
    let text = "x".repeat(40_000);
    let spans = engine.scan(&text, None).unwrap();
    assert!(
        spans
            .iter()
            .all(|span| span.end - span.start <= engine.max_span())
    );
    assert_eq!(
        spans
            .iter()
            .map(|span| span.end - span.start)
            .sum::<usize>(),
        text.len()
    );
}
