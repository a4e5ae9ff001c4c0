//! What holds for any text: order, borders, length, and that nothing panics.

#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_sanitizer_default::rules::builtin::load;
use codex_plugin_sanitizer_default::scan::Engine;

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

/// Pieces of examples, signs and letters of several lengths, in any order.
fn text(random: &mut Random, pieces: &[String]) -> String {
    const SIGNS: &[&str] = &[
        " ",
        "\n",
        "=",
        ":",
        "\"",
        "'",
        "`",
        "\\",
        "\\\"",
        "<",
        ">",
        "@",
        "é",
        "č",
        "🦀",
        "\u{200b}",
        "а",
        "ｐ",
        "\u{e0041}",
        "::",
        ".",
        "-",
        "(",
        "&quot;",
        "${",
        "\0",
        "password",
        "token=",
        "Bearer ",
        "0",
        "123456789",
        "4111 1111 1111 1111",
    ];
    let mut text = String::new();
    for _ in 0..random.below(12) {
        let piece = if random.below(2) == 0 {
            SIGNS[random.below(SIGNS.len())]
        } else {
            let piece = &pieces[random.below(pieces.len())];
            let (mut start, mut end) =
                (random.below(piece.len() + 1), random.below(piece.len() + 1));
            if random.below(2) == 0 {
                (start, end) = (0, piece.len());
            }
            if start > end {
                (start, end) = (end, start);
            }
            while !piece.is_char_boundary(start) {
                start -= 1;
            }
            while !piece.is_char_boundary(end) {
                end += 1;
            }
            &piece[start..end]
        };
        text.push_str(piece);
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
