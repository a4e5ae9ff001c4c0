//! The first-party sanitizer over any rules and any text: what the host relies on holds, and nothing panics.

use std::sync::LazyLock;

use codex_plugin_sanitizer_default::rules::{builtin, from_text};
use codex_plugin_sanitizer_default::scan::{Engine, Stream};

/// What stands before this line is a user's rule file; without it, the rules are those that come with the plugin.
const BORDER: &str = "\n====\n";

static BUILTIN: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(builtin::load().expect("the rules that come with the plugin are right"))
});

pub fn sanitizer(given: &str) {
    match given.split_once(BORDER) {
        None => check(&BUILTIN, given),
        Some((rules, text)) => {
            if let Ok(set) = from_text("fuzz.toml", rules, true) {
                check(&Engine::new(set), text);
            }
        }
    }
}

fn check(engine: &Engine, text: &str) {
    // An expression may be too large to compile; the scan then says so.
    let Ok(spans) = engine.scan(text, None) else {
        return;
    };
    let mut last = 0;
    for span in &spans {
        assert!(
            last <= span.start && span.start < span.end && span.end <= text.len(),
            "{span:?}"
        );
        assert!(
            text.is_char_boundary(span.start) && text.is_char_boundary(span.end),
            "{span:?}"
        );
        assert!(span.end - span.start <= engine.max_span(), "{span:?}");
        assert!(span.rule < engine.rules().len(), "{span:?}");
        assert!((0.0..=1.0).contains(&span.confidence), "{span:?}");
        last = span.start;
    }
    assert_eq!(engine.scan(text, None).ok().as_ref(), Some(&spans));
    let mut found = Vec::new();
    let mut stream = Stream::new(engine, None);
    let pushed = stream.push(text, &mut found);
    let ended = pushed.and_then(|()| stream.finish(&mut found));
    assert!(
        ended.is_ok() && found == spans,
        "the stream finds {found:?}, the scan {spans:?}"
    );
}
