use super::*;
use crate::lines::LIMIT;

fn check(bytes: &[u8], more: Value, expected: &[&str]) {
    let folder = Folder::new([("a.txt", bytes)]);
    let dataset = open(&folder.path("a.txt"), more.clone()).unwrap();
    assert_eq!(texts(&dataset), expected, "{more} {bytes:?}");
    same_in_any_chunking(&dataset);
    assert_eq!(dataset.info().unwrap().text_column.as_deref(), Some("text"));
}

#[test]
fn paragraphs_lines_and_files() {
    let text = b"\n  \nfirst line\nsecond line  \n\n\t\n  indented\n\n\n\nlast";
    check(
        text,
        json!({}),
        &["first line\nsecond line", "  indented", "last"],
    );
    check(
        text,
        json!({ "document": "line" }),
        &["first line", "second line", "  indented", "last"],
    );
    check(
        text,
        json!({ "document": "file" }),
        &["\n  \nfirst line\nsecond line  \n\n\t\n  indented\n\n\n\nlast"],
    );
    check(b"no line end", json!({}), &["no line end"]);
}

#[test]
fn line_ends_become_line_feeds() {
    let text = b"one\r\ntwo\r\n\r\n \r\nthree\r\n";
    check(text, json!({}), &["one\ntwo", "three"]);
    check(
        text,
        json!({ "document": "line" }),
        &["one", "two", "three"],
    );
    check(
        text,
        json!({ "document": "file" }),
        &["one\ntwo\n\n \nthree"],
    );
}

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let order = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    text.encode_utf16().flat_map(order).collect()
}

#[test]
fn encodings() {
    let text = "čeština\n\n日本語 🦀\nend";
    let expected = ["čeština", "日本語 🦀\nend"];
    check(text.as_bytes(), json!({}), &expected);
    check(
        &[b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        json!({}),
        &expected,
    );
    check(
        &[b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        json!({ "encoding": "utf-8" }),
        &expected,
    );
    for big in [false, true] {
        let mark: &[u8] = if big { b"\xFE\xFF" } else { b"\xFF\xFE" };
        check(&[mark, &utf16(text, big)].concat(), json!({}), &expected);
        check(
            &[mark, &utf16(text, big)].concat(),
            json!({ "encoding": "utf-16" }),
            &expected,
        );
        let named = if big { "utf-16be" } else { "utf-16le" };
        check(&utf16(text, big), json!({ "encoding": named }), &expected);
    }
    check(
        b"caf\xE9 \x80\n",
        json!({ "encoding": "windows-1252" }),
        &["café €"],
    );
    check(
        b"\x93\xFA\x96{\x8C\xEA\n\n\x83\\",
        json!({ "encoding": "shift_jis" }),
        &["日本語", "ソ"],
    );
}

#[test]
fn broken_utf8_is_replaced_with_a_warning_that_says_where() {
    let folder = Folder::new([(
        "a.txt",
        b"good\n\nbad \xFF\xFE and \xE2\x82 here\n\ncut \xE2\x82".as_slice(),
    )]);
    let (dataset, log) = open_recording(&folder.path("a.txt"), json!({}));
    let dataset = dataset.unwrap();
    assert_eq!(
        texts(&dataset),
        [
            "good",
            "bad \u{FFFD}\u{FFFD} and \u{FFFD} here",
            "cut \u{FFFD}"
        ]
    );
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].0, LogLevel::Warning);
    for part in [
        "a.txt",
        "4 byte sequences are not UTF-8",
        "first at byte 10",
        "data.encoding",
    ] {
        assert!(log[0].1.contains(part), "{part}: {}", log[0].1);
    }
    // A character that lies across the border of two blocks is not broken.
    let mut long = vec![b' '; (1 << 20) - 2];
    long.extend("🦀\n\nend".as_bytes());
    let folder = Folder::new([("a.txt", long)]);
    let (dataset, log) = open_recording(&folder.path("a.txt"), json!({}));
    assert_eq!(texts(&dataset.unwrap()).last().unwrap(), "end");
    assert_eq!(log, []);
}

#[test]
fn strict_utf8_names_line_and_byte() {
    let folder = Folder::new([("a.txt", b"good\ngood\nb\xE9d\n".as_slice())]);
    let error = refused(&folder.path("a.txt"), json!({ "encoding": "utf-8" }));
    assert!(
        error
            .message()
            .ends_with("a.txt, line 3: byte 11 is not UTF-8"),
        "{error}"
    );
}

#[test]
fn long_pieces_are_cut_and_nothing_is_lost() {
    let mut words = String::new();
    for n in 0..20_000 {
        words.push_str("word");
        words.push_str(&n.to_string());
        words.push(if n % 11 == 0 { '\n' } else { ' ' });
    }
    let unbroken = "日本語".repeat(5_000);
    let one_line = words.replace('\n', " ");
    for text in [
        &words,
        &unbroken,
        &one_line,
        &format!("{words}\n\n{unbroken} {words}"),
    ] {
        for (document, encoding) in [
            ("paragraph", "auto"),
            ("line", "auto"),
            ("paragraph", "utf-16le"),
        ] {
            let bytes = if encoding == "auto" {
                text.as_bytes().to_vec()
            } else {
                utf16(text, false)
            };
            let folder = Folder::new([("a.txt", bytes)]);
            let dataset = open(
                &folder.path("a.txt"),
                json!({ "document": document, "encoding": encoding }),
            )
            .unwrap();
            let pieces = texts(&dataset);
            for piece in &pieces {
                let units = if encoding == "auto" {
                    piece.len()
                } else {
                    piece.encode_utf16().count()
                };
                assert!(units <= LIMIT && units > 0, "{units}");
                assert!(!piece.contains('\u{FFFD}'));
            }
            let letters = |text: &str| {
                text.chars()
                    .filter(|c| !c.is_whitespace())
                    .collect::<String>()
            };
            assert_eq!(letters(&pieces.concat()), letters(text));
            // Words stay whole.
            if text.starts_with("word0") && !text.contains('日') {
                assert!(
                    pieces.iter().all(|piece| piece.starts_with("word")),
                    "{document}"
                );
            }
        }
    }
}

#[test]
fn pieces_do_not_depend_on_where_blocks_end() {
    // Paragraphs of all lengths around the limit, so that cuts and blank lines fall on every side of block borders.
    let mut text = String::new();
    for length in 0..400 {
        text.push_str(&"abc de\n".repeat(length * 7 % 1500));
        text.push_str(if length % 3 == 0 { "\n \n" } else { "\n" });
    }
    assert!(text.len() > 1 << 20);
    let shifted = format!("{}\n\n{text}", "x".repeat(4321));
    let read = |text: &str| {
        let folder = Folder::new([("a.txt", text)]);
        texts(&open(&folder.path("a.txt"), json!({})).unwrap())
    };
    assert_eq!(read(&shifted)[1..], read(&text));
}
