//! A regular expression that is compiled when it is first needed.

use std::sync::OnceLock;

use regex_automata::MatchKind;
use regex_automata::meta;
use regex_automata::util::syntax;
use regex_syntax::hir::{Hir, Look};

use super::{required, translate};

/// The compiled form may take this many bytes: long repetitions of wide classes are ordinary in rules.
const SIZE_LIMIT: usize = 64 << 20;

/// Matches are searched as bytes, so that any text can be scanned; `\w`, `\d`, `\s` and `\b` are ASCII, as in Go.
fn syntax_config(unicode: bool) -> syntax::Config {
    syntax::Config::new()
        .unicode(unicode)
        .utf8(false)
        .nest_limit(200)
}

/// Reads an expression in Go's syntax.
pub(crate) fn parse(pattern: &str) -> Result<Hir, String> {
    let pattern = translate::from_go(pattern);
    let read = |unicode| {
        syntax::parse_with(&pattern, &syntax_config(unicode))
            .map_err(|error| reason(&error.to_string()))
    };
    if let Ok(hir) = read(false) {
        return Ok(hir);
    }
    // Characters beyond ASCII in a class need Unicode; the ASCII meaning of `\w` is then given up.
    read(true)
}

/// The last line of a syntax error is its reason; the lines before draw the place.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or(message);
    last.trim_start_matches("error: ").to_owned()
}

/// An expression, and what its compiled form is known to do.
#[derive(Debug)]
pub struct Compiled {
    /// The program.
    pub regex: meta::Regex,
    /// No match is longer than this; nothing when there is no bound.
    pub longest: Option<usize>,
    /// See [`Pattern::new`]: how many bytes of a match can come before its keyword.
    pub before: Option<usize>,
}

/// An expression in Go's syntax, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    source: String,
    keywords: Vec<String>,
    ends_word: bool,
    compiled: OnceLock<Result<Compiled, String>>,
}

impl Pattern {
    /// An expression whose matches may hold one of `keywords` (in lower case).
    pub fn new(source: impl Into<String>, keywords: &[String]) -> Self {
        Self {
            source: source.into(),
            keywords: keywords.to_vec(),
            ends_word: false,
            compiled: OnceLock::new(),
        }
    }

    /// An expression whose matches end where a word ends, so that of several readings the one that reaches the border
    /// is taken.
    pub fn to_word_end(source: impl Into<String>) -> Self {
        Self {
            ends_word: true,
            ..Self::new(source, &[])
        }
    }

    /// The expression, read.
    ///
    /// # Errors
    /// The reason why it is wrong.
    pub(crate) fn hir(&self) -> Result<Hir, String> {
        let hir = parse(&self.source)?;
        Ok(if self.ends_word {
            Hir::concat(vec![hir, Hir::look(Look::WordEndHalfAscii)])
        } else {
            hir
        })
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The compiled form.
    ///
    /// # Errors
    /// The reason why the expression is wrong or too large.
    pub fn compiled(&self) -> Result<&Compiled, String> {
        self.compiled
            .get_or_init(|| {
                let hir = self.hir()?;
                Ok(Compiled {
                    longest: hir.properties().maximum_len(),
                    before: required::bytes_before(&hir, &self.keywords),
                    regex: build(&[hir], MatchKind::LeftmostFirst)?,
                })
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> Result<bool, String> {
        Ok(self.compiled()?.regex.is_match(text))
    }
}

/// One program for several expressions, told apart by their place: with [`MatchKind::All`], all that match are told;
/// with the other kind the first that matches ends the search.
pub(crate) fn build(hirs: &[Hir], kind: MatchKind) -> Result<meta::Regex, String> {
    meta::Builder::new()
        .configure(
            meta::Config::new()
                .match_kind(kind)
                .utf8_empty(false)
                .nfa_size_limit(Some(SIZE_LIMIT))
                .hybrid_cache_capacity(4 << 20),
        )
        .build_many_from_hir(hirs)
        .map_err(|error| {
            error.size_limit().map_or_else(
                || error.to_string(),
                |limit| format!("its program is larger than {limit} bytes"),
            )
        })
}
