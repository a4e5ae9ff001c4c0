//! What holds for any text: order, borders, length, and that nothing panics.

#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_sanitizer_default::rules::builtin::load;
use codex_plugin_sanitizer_default::scan::{Engine, Span, Stream};

/// SplitMix64: the same texts in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Divided by `|`: what begins and ends names and values, letters of several lengths, numbers.
const SIGNS: &str = " |\n|=|:|\"|'|`|\\|\\\"|<|>|@|é|č|🦀|\u{200b}|а|ｐ|\u{e0041}|::|.|-|(|&quot;|${|\0|password|token=|Bearer |0|123456789|4111 1111 1111 1111";

/// A part of `piece`, or all of it.
fn part<'a>(random: &mut Random, piece: &'a str) -> &'a str {
    if random.below(2) == 0 {
        return piece;
    }
    let (one, other) = (random.below(piece.len() + 1), random.below(piece.len() + 1));
    let start = piece.floor_char_boundary(one.min(other));
    &piece[start..piece.ceil_char_boundary(one.max(other))]
}

/// Pieces of examples and signs in any order.
fn text(random: &mut Random, pieces: &[String]) -> String {
    let signs: Vec<&str> = SIGNS.split('|').collect();
    let mut text = String::new();
    for _ in 0..random.below(12) {
        if random.below(2) == 0 {
            text.push_str(signs[random.below(signs.len())]);
        } else {
            let piece = &pieces[random.below(pieces.len())];
            text.push_str(part(random, piece));
        }
    }
    text
}

fn check(engine: &Engine, text: &str) {
    let spans = engine.scan(text, None).unwrap();
    let most = engine.max_span();
    for pair in spans.windows(2) {
        assert!(
            (pair[0].start, pair[0].end) <= (pair[1].start, pair[1].end),
            "{text:?}: {pair:?}"
        );
    }
    for span in &spans {
        assert!(
            span.start < span.end && span.end <= text.len(),
            "{text:?}: {span:?}"
        );
        assert!(
            text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
            "{text:?}: {span:?}"
        );
        assert!(span.end - span.start <= most, "{text:?}: {span:?}");
        assert!((0.0..=1.0).contains(&span.confidence), "{text:?}: {span:?}");
    }
    assert_eq!(spans, engine.scan(text, None).unwrap());
}

#[test]
fn spans_are_ordered_bounded_and_on_characters() {
    let set = load().unwrap();
    let pieces: Vec<String> = set
        .rules
        .iter()
        .flat_map(|rule| rule.examples.iter().chain(&rule.negative_examples))
        .cloned()
        .collect();
    let engine = Engine::new(set);
    let mut random = Random(7);
    for _ in 0..4000 {
        check(&engine, &text(&mut random, &pieces));
    }
}

#[test]
fn a_finding_depends_on_its_neighbourhood_alone() {
    let set = load().unwrap();
    let examples: Vec<String> = set
        .rules
        .iter()
        .flat_map(|rule| rule.examples.iter().cloned())
        .collect();
    let engine = Engine::new(set);
    let far = "Nothing of interest is said in this line of the text.\n".repeat(40);
    for example in &examples {
        let near = format!("{far}\n{example}\n{far}");
        let lead = far.len() + 1;
        let moved: Vec<_> = engine
            .scan(&near, None)
            .unwrap()
            .into_iter()
            .map(|span| {
                (
                    span.start - lead,
                    span.end - lead,
                    span.rule,
                    span.confidence,
                )
            })
            .collect();
        let wrapped =
            format!("text.\n\n{example}\nNothing of interest is said in this line of the text.\n");
        let alone: Vec<_> = engine
            .scan(&wrapped, None)
            .unwrap()
            .into_iter()
            .map(|span| (span.start - 7, span.end - 7, span.rule, span.confidence))
            .collect();
        assert_eq!(moved, alone, "{example:?}");
    }
}

/// Scans in pieces of at most `piece` bytes, in blocks of `block`.
fn streamed(engine: &Engine, text: &str, piece: usize, block: usize) -> Vec<Span> {
    let mut found = Vec::new();
    let mut stream = Stream::with_block(engine, None, block);
    let mut rest = text;
    while !rest.is_empty() {
        let mut length = rest.len().min(piece);
        while !rest.is_char_boundary(length) {
            length += 1;
        }
        let (next, after) = rest.split_at(length);
        stream.push(next, &mut found).unwrap();
        rest = after;
    }
    stream.finish(&mut found).unwrap();
    found
}

/// Examples of all rules within prose of several scripts, so that findings lie over the borders of blocks.
fn long_text(random: &mut Random, pieces: &[String], length: usize) -> String {
    let mut long = String::new();
    while long.len() < length {
        for _ in 0..random.below(30) {
            long.push_str(
                [
                    "Nothing to see here, ",
                    "nichts für ungut; ",
                    "тишина. ",
                    "\n",
                ][random.below(4)],
            );
        }
        long.push_str(&text(random, pieces));
        long.push('\n');
    }
    long
}

#[test]
fn pieces_of_any_size_give_the_findings_of_the_whole() {
    let set = load().unwrap();
    let pieces: Vec<String> = set
        .rules
        .iter()
        .flat_map(|rule| rule.examples.iter().cloned())
        .collect();
    let engine = Engine::new(set);
    let mut random = Random(11);
    for round in 0..6 {
        let text = long_text(&mut random, &pieces, 60_000);
        let whole = engine.scan(&text, None).unwrap();
        assert!(whole.len() > 100, "{}", whole.len());
        let block = [500, 4096, 30_000][round % 3];
        for piece in [1, 7, 1000, 65_536, 1 << 20] {
            let found = streamed(&engine, &text, piece, block);
            assert_eq!(found, whole, "pieces of {piece}, blocks of {block}");
        }
    }
    // The blocks that files are read in, over a text of several of them.
    let text = long_text(&mut random, &pieces, 700_000);
    let whole = engine.scan(&text, None).unwrap();
    for piece in [333, 1 << 20] {
        assert_eq!(
            streamed(&engine, &text, piece, 256 << 10),
            whole,
            "pieces of {piece}"
        );
    }
}
