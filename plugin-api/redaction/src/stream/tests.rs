//! Streams: any pieces give the same, the whole gives the same, nothing is shown too early, memory is bounded.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::Texts;

use super::*;
use crate::testing::{LONGEST, Random, toys};

fn options(step: usize) -> StreamOptions {
    StreamOptions {
        context: 64,
        step,
        invalid_utf8: InvalidUtf8::Replace,
    }
}

fn by_pieces(
    sanitizers: &Arc<Sanitizers>,
    bytes: &[u8],
    step: usize,
    mut size: impl FnMut() -> usize,
) -> (String, Vec<ReportedFinding>) {
    let mut stream = Stream::new(
        Arc::clone(sanitizers),
        Stage::Ingest,
        Some("a"),
        options(step),
    );
    let mut out = String::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        stream.push(piece, &mut out).unwrap();
        rest = after;
    }
    stream.finish(&mut out).unwrap();
    let mut findings = stream.take_findings();
    findings.sort_by_key(|finding| finding.byte_start);
    (out, findings)
}

fn whole(sanitizers: &Sanitizers, text: &str) -> (String, Vec<ReportedFinding>) {
    let offsets = [0, text.len() as u64];
    let texts = Texts::new(text.as_bytes(), &offsets).unwrap();
    let mut cleaned = sanitizers.clean(texts, Stage::Ingest, Some("a")).unwrap();
    let cleaned = cleaned.pop().unwrap();
    (cleaned.text(text).unwrap().to_owned(), cleaned.findings)
}

const POLICIES: [&str; 4] = [
    "version: 1\n",
    "version: 1\nextends: none\nactions: [{entities: [email-address, prompt-attack], action: warn}]\n",
    "version: 1\nextends: none\nmode: remove\n",
    "version: 1\nextends: none\nmode: fake\nactions: [{rules: [assigned], action: redact, mode: mask}]\n",
];

#[test]
fn pieces_of_any_size_give_what_the_whole_gives() {
    for policy in POLICIES {
        let sanitizers = Arc::new(toys(policy));
        for seed in 0..12 {
            let mut random = Random::new(seed);
            let text = random.text(150);
            let expected = whole(&sanitizers, &text);
            for (step, size) in [(1, 1), (64, 1), (64, 3), (64, 1 << 20), (5000, 17), (1, 5)] {
                if step == 1 && seed > 0 {
                    continue;
                }
                let found = by_pieces(&sanitizers, text.as_bytes(), step, || size);
                assert_eq!(found.0, expected.0, "seed {seed}, step {step}, size {size}");
                assert_eq!(found.1, expected.1, "seed {seed}, step {step}, size {size}");
            }
            let found = by_pieces(&sanitizers, text.as_bytes(), 64, || 1 + random.below(90));
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

#[test]
fn a_megabyte_in_one_piece_is_a_megabyte_in_many() {
    let sanitizers = Arc::new(toys(POLICIES[0]));
    let text = Random::new(9).text(150_000);
    assert!(text.len() > 1 << 20, "{}", text.len());
    let one = by_pieces(&sanitizers, text.as_bytes(), 1 << 16, || 1 << 20);
    assert!(one.1.len() > 10_000, "{}", one.1.len());
    let many = by_pieces(&sanitizers, text.as_bytes(), 1 << 16, || 1000);
    assert!(one == many && one == whole(&sanitizers, &text));
}

#[test]
fn invalid_bytes_between_findings_change_nothing_about_pieces() {
    let sanitizers = Arc::new(toys(POLICIES[0]));
    let mut bytes = Vec::new();
    for _ in 0..50 {
        bytes.extend_from_slice(b"\xf0\x9f sk-abc123def \xff\xc5");
    }
    let expected = whole(&sanitizers, &String::from_utf8_lossy(&bytes));
    for size in [1, 2, 7, 100_000] {
        assert_eq!(by_pieces(&sanitizers, &bytes, 64, || size), expected);
    }
}

/// Byte by byte, what was shown is at any time the beginning of what is right: no finding, and nothing behind one
/// that is not decided.
#[test]
fn nothing_is_shown_before_it_is_decided() {
    let sanitizers = Arc::new(toys("version: 1\nextends: none\n"));
    for seed in 0..4 {
        let text = Random::new(seed).text(60);
        let (expected, _) = whole(&sanitizers, &text);
        let mut stream = Stream::new(Arc::clone(&sanitizers), Stage::Output, None, options(1));
        let mut out = String::new();
        for byte in text.bytes() {
            stream.push(&[byte], &mut out).unwrap();
            assert!(expected.starts_with(&out), "seed {seed}: {out:?}");
        }
        stream.finish(&mut out).unwrap();
        assert_eq!(out, expected);
    }
}

#[test]
fn a_blocked_finding_ends_the_stream_where_it_begins() {
    let sanitizers = Arc::new(toys(
        "version: 1\nactions: [{rules: [token], action: block}]\n",
    ));
    let text = format!(
        "first line\nthen {} sk-abc123def and {}",
        "x ".repeat(80),
        "y ".repeat(900)
    );
    for size in [1, 50, 100_000] {
        let mut stream = Stream::new(Arc::clone(&sanitizers), Stage::Output, None, options(8));
        let mut out = String::new();
        let error = text
            .as_bytes()
            .chunks(size)
            .find_map(|piece| stream.push(piece, &mut out).err())
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains("line 2, column 167"), "{error}");
        assert!(
            error.message().contains("rule token of toy-secrets"),
            "{error}"
        );
        assert_eq!(out, text[..text.find("sk-").unwrap()]);
        assert!(stream.has_ended());
        stream.push(b"more", &mut out).unwrap();
        stream.finish(&mut out).unwrap();
        assert!(out.ends_with("x  "), "nothing comes after an error");
    }
}

#[test]
fn a_dropped_finding_ends_the_text_quietly() {
    let sanitizers = Arc::new(toys(
        "version: 1\nactions: [{rules: [token], action: drop}]\n",
    ));
    let (out, findings) = by_pieces(&sanitizers, b"before sk-abc123def behind", 8, || 3);
    assert_eq!((out.as_str(), findings.len()), ("before ", 1));
}

#[test]
fn what_cannot_be_scanned_is_withheld_or_an_error() {
    let sanitizers = Arc::new(toys("version: 1\n"));
    let text = "this cannot be scanned at all".as_bytes();
    let mut out = String::new();
    let mut closed = Stream::new(Arc::clone(&sanitizers), Stage::Output, None, options(8));
    closed.push(text, &mut out).unwrap();
    let error = closed.finish(&mut out).unwrap_err();
    assert_eq!((error.kind(), out.as_str()), (ErrorKind::Plugin, ""));
    let mut log = Stream::new(Arc::clone(&sanitizers), Stage::Log, None, options(8));
    log.push(text, &mut out).unwrap();
    log.finish(&mut out).unwrap();
    assert_eq!(out, WITHHELD);
    assert_eq!(sanitizers.counts().not_scanned, 1);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let sanitizers = Arc::new(toys("version: 1\nextends: none\n"));
    let mut stream = Stream::new(Arc::clone(&sanitizers), Stage::Ingest, None, options(256));
    let limit = stream.held_back() + 256 + 2 * (64 + LONGEST as usize) + 4;
    let mut out = String::new();
    for piece in [
        "sk-abc123def ",
        "no space at all",
        "\u{200b}",
        "a=sk-aaaaaa=bbbbbb=",
    ] {
        for _ in 0..2000 {
            stream.push(piece.as_bytes(), &mut out).unwrap();
            assert!(stream.buffer.len() <= limit, "{}", stream.buffer.len());
            out.clear();
        }
    }
}
