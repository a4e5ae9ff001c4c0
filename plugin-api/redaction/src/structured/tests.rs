//! Views of JSON and CSV: what is seen, and where it stands in the source.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::Random;

fn record(source: &str, format: Format) -> Record<'_> {
    records(source, format)[0]
}

/// The values of a document as the view shows them, with the source behind each.
fn values(source: &str, format: Format) -> Vec<(Part, String, &str)> {
    let (view, note) = View::of(record(source, format));
    assert_eq!(note, None);
    view.values
        .as_ref()
        .unwrap()
        .iter()
        .map(|value| {
            let place = view.source_of(value.range.start)..view.source_of(value.range.end);
            (
                value.part,
                view.text[value.range.clone()].to_owned(),
                &source[place],
            )
        })
        .collect()
}

#[test]
fn strings_are_seen_decoded_and_found_in_their_source() {
    let source =
        r#" {"k\u00e9y": ["a\\\"\n\ud83e\udd80b", -1234567890, 12345678, 1.5e12], "e": ""} "#;
    assert_eq!(
        values(source, Format::Json),
        [
            (Part::Key, "kéy".to_owned(), r"k\u00e9y"),
            (
                Part::String,
                "a\\\"\n🦀b".to_owned(),
                r#"a\\\"\n\ud83e\udd80b"#
            ),
            (Part::Number, "-1234567890".to_owned(), "-1234567890"),
            (Part::Key, "e".to_owned(), "e"),
            (Part::String, String::new(), ""),
        ]
    );
    assert_eq!(values(source, Format::JsonStrings).len(), 4);
    assert_eq!(
        values(r#""\ud83ex\/""#, Format::Json),
        [(Part::String, "\u{fffd}x/".to_owned(), r"\ud83ex\/")]
    );
}

#[test]
fn every_character_of_a_view_leads_back() {
    let source = r#"{"a": "x\ty\u017e\"", "b": "z"}"#;
    let (view, _) = View::of(record(source, Format::Json));
    for letter in ['x', 'y', 'z', 'a', 'b'] {
        let seen = view.text.find(letter).unwrap();
        assert_eq!(
            view.source_of(seen),
            source.find(letter).unwrap(),
            "{letter}"
        );
    }
    let escape = view.text.find('ž').unwrap();
    let place = view.source_of(escape)..view.source_of(escape + 'ž'.len_utf8());
    assert_eq!(&source[place], r"\u017e");
}

#[test]
fn findings_are_cut_to_values_and_keys_count_alone() {
    let source = r#"{"password": "hunter2", "n": 123456789}"#;
    let (view, _) = View::of(record(source, Format::Json));
    let cut = |needle: &str| -> Vec<&str> {
        let start = source.find(needle).unwrap();
        let cuts = view.cut(start..start + needle.len());
        cuts.into_iter().map(|range| &source[range]).collect()
    };
    assert_eq!(cut("unter"), ["unter"]);
    assert_eq!(cut(r#"password": "hunter2"#), ["hunter2"]);
    assert_eq!(cut("sswor"), ["sswor"]);
    assert_eq!(cut(r#"2", "n": 1234"#), ["2", "123456789"]);
    assert_eq!(cut(r#"": ""#), [] as [&str; 0]);
}

#[test]
fn pointers_are_those_of_rfc_6901() {
    let source = r#"{"a/b": [{"~": "x"}, "y"], "m\u0061": 1234567890, "": {"k": "z"}, "q": "w"}"#;
    let (view, _) = View::of(record(source, Format::Json));
    let place = |text: &str| source.find(text).unwrap();
    let places = [
        place("x"),
        place("y"),
        place("1234"),
        place("k\""),
        place("z"),
        place("w"),
    ];
    let pointers: Vec<String> = view
        .pointers(record(source, Format::Json), &places)
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert_eq!(
        pointers,
        ["/a~1b/0/~0", "/a~1b/1", "/ma", "//k", "//k", "/q"]
    );
    let parsed: serde_json::Value = serde_json::from_str(source).unwrap();
    assert_eq!(parsed.pointer(&pointers[0]).unwrap(), "x");
    assert_eq!(parsed.pointer(&pointers[4]).unwrap(), "z");
}

#[test]
fn what_is_no_json_is_plain_text_and_says_so() {
    for source in ["{\"a\": 1", "{'a': 1}", "hello", "{} {}"] {
        let (view, note) = View::of(record(source, Format::Json));
        assert!(view.values.is_none() && view.text == source);
        assert!(note.unwrap().contains("column"), "{source}");
    }
    let deep = "[".repeat(9000) + "\"x\"" + &"]".repeat(9000);
    assert_eq!(values(&deep, Format::Json).len(), 1, "no depth is too deep");
}

#[test]
fn csv_fields_are_seen_without_their_quotes() {
    let format = Format::Csv {
        delimiter: Delimiter::Semicolon,
    };
    let row = "a;\"b;\"\"c\"\"\";;\"d\"e";
    let quoted = Part::Field { quoted: true };
    let bare = Part::Field { quoted: false };
    assert_eq!(
        values(row, format),
        [
            (bare, "a".to_owned(), "a"),
            (quoted, "b;\"c\"".to_owned(), "b;\"\"c\"\""),
            (bare, String::new(), ""),
            (bare, "\"d\"e".to_owned(), "\"d\"e"),
        ]
    );
    let text = "a;b\r\n\"x\ny\";z\n\nlast";
    let rows: Vec<&str> = records(text, format)
        .iter()
        .map(|record| record.source)
        .collect();
    assert_eq!(rows, ["a;b", "\"x\ny\";z", "", "last"]);
    let open = "a;\"never closed\nb;c";
    assert_eq!(records(open, format)[0].format, Format::Plain);
    let second = records(text, format)[1];
    let (view, _) = View::of(second);
    let at = second.source.find('z').unwrap();
    assert_eq!(
        view.pointers(second, &[1, at]),
        [Some("/1/0".into()), Some("/1/1".into())]
    );
}

/// For any document that `serde_json` writes: the view's strings are the document's, in order.
#[test]
fn views_agree_with_serde_json() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let mut expected = Vec::new();
        let list: Vec<serde_json::Value> = (0..random.below(8))
            .map(|_| {
                let text = random.text(4);
                expected.push(text.clone());
                serde_json::Value::from(text)
            })
            .collect();
        let source = serde_json::to_string_pretty(&list).unwrap();
        let seen: Vec<String> = values(&source, Format::Json)
            .into_iter()
            .map(|(_, text, _)| text)
            .collect();
        assert_eq!(seen, expected);
    }
}
