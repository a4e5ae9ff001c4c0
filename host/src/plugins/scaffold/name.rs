//! Which names a new plugin may have, and what its type is called.

use codex_plugin_api::{Error, Kind, Result};

use super::Form;
use crate::plugins::discover::{Catalog, RESERVED_COMMANDS};

/// What cargo or the language refuses as the name of a crate that is a plugin's library.
const NO_CRATES: [&str; 59] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "where",
    "while",
];

/// Refuses a name that is none, that the language cannot take, or that is taken.
pub(super) fn check(name: &str, kind: Kind, form: Form, catalog: &Catalog) -> Result<()> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(good)
        || name.ends_with('-')
        || name.len() > 64
    {
        let error = Error::config(format!("{name:?} is no name of a plugin"));
        let hint = "a name has lower-case letters, digits and hyphens, begins with a letter and has at most 64";
        return Err(match suggestion(name) {
            Some(better) => error.hint(format!("{hint}: {better}")),
            None => error.hint(hint),
        });
    }
    if matches!(form, Form::Native | Form::Rust)
        && (NO_CRATES.contains(&name) || name == "codex-plugin-api" || name == "wit-bindgen")
    {
        return Err(
            Error::config(format!("{name:?} cannot be the name of a crate in Rust"))
                .hint(format!("give another: {name}-{kind}")),
        );
    }
    if kind == Kind::Command && RESERVED_COMMANDS.contains(&name) {
        return Err(
            Error::config(format!("{name:?} is a command of codex-ml's own"))
                .hint(format!("give another name: my-{name}")),
        );
    }
    let mut plugins = catalog.plugins.iter().chain(&catalog.shadowed);
    let taken = plugins
        .find(|plugin| plugin.id() == name || plugin.manifest.component(kind, name).is_some());
    if let Some(plugin) = taken {
        let what = if plugin.id() == name {
            "a plugin".to_owned()
        } else {
            format!("a {kind}")
        };
        let message = format!(
            "there is {what} {name:?} already: {} ({})",
            plugin.title(),
            plugin.path.display()
        );
        return Err(Error::config(message).hint("give another name"));
    }
    Ok(())
}

/// The nearest name that would do.
fn suggestion(name: &str) -> Option<String> {
    let kept: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let words: Vec<&str> = kept.split('-').filter(|word| !word.is_empty()).collect();
    let better = words.join("-");
    let better = better.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    (!better.is_empty() && better.len() <= 64).then(|| better.to_owned())
}

/// The name of a Rust type: `word-rate` becomes `WordRatePlugin`. No other type of the templates ends in that word.
pub(super) fn type_name(name: &str) -> String {
    let mut made = String::new();
    for word in name.split('-') {
        let mut characters = word.chars();
        made.extend(characters.next().map(|c| c.to_ascii_uppercase()));
        made.extend(characters);
    }
    made.push_str("Plugin");
    made
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::plugins::discover::tests::plugin;

    fn refused(name: &str, kind: Kind, form: Form) -> Option<(String, String)> {
        let catalog = Catalog {
            plugins: vec![plugin("metric-lm", &[(Kind::Metric, "lm")], "there/lm.so")],
            ..Catalog::default()
        };
        let error = check(name, kind, form, &catalog).err()?;
        Some((
            error.message().to_owned(),
            error.hint_text().unwrap().to_owned(),
        ))
    }

    #[test]
    fn names_that_cannot_be_are_refused_with_one_that_can() {
        for (name, kind, form, message, hint) in [
            (
                "Word Rate",
                Kind::Metric,
                Form::Rust,
                "is no name",
                "word-rate",
            ),
            ("9lives", Kind::Metric, Form::Python, "is no name", "lives"),
            ("", Kind::Metric, Form::C, "\"\" is no name", "64"),
            ("a/../b", Kind::Metric, Form::C, "is no name", "a-b"),
            ("rate-", Kind::Metric, Form::Rust, "is no name", "rate"),
            (
                "test",
                Kind::Metric,
                Form::Rust,
                "name of a crate",
                "test-metric",
            ),
            (
                "train",
                Kind::Command,
                Form::Python,
                "codex-ml's own",
                "my-train",
            ),
            (
                "lm",
                Kind::Metric,
                Form::Python,
                "a metric \"lm\" already: metric-lm 0.1.0 (there",
                "another",
            ),
            (
                "metric-lm",
                Kind::Model,
                Form::Python,
                "a plugin \"metric-lm\" already",
                "another",
            ),
        ] {
            let (found, mend) = refused(name, kind, form).unwrap();
            assert!(found.contains(message), "{found} lacks {message}");
            assert!(mend.contains(hint), "{mend} lacks {hint}");
        }
        for (name, kind, form) in [
            ("lm", Kind::Dataset, Form::Rust),
            ("test", Kind::Metric, Form::Python),
            ("train", Kind::Metric, Form::Python),
            ("word-rate2", Kind::Metric, Form::Native),
        ] {
            assert_eq!(refused(name, kind, form), None, "{name}");
        }
    }

    #[test]
    fn types_are_named_after_the_plugin() {
        assert_eq!(type_name("word-rate2"), "WordRate2Plugin");
        assert_eq!(type_name("error"), "ErrorPlugin");
    }
}
