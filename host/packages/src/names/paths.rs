//! Paths of files in a package: relative, plain, and the same file on every system.

use std::collections::BTreeMap;

use codex_plugin_api::{Error, Result};
use unicode_normalization::UnicodeNormalization;

/// Names that Windows keeps for devices, whatever their extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Checks a path: `/` between its parts, no way out of the folder, nothing that a file system or a terminal would read
/// otherwise, at most `longest` bytes.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] naming the path and what is wrong with it.
pub fn check_path(path: &str, longest: usize) -> Result<()> {
    let shown: String = path
        .chars()
        .take(100)
        .flat_map(char::escape_default)
        .collect();
    let wrong = |why: &str| Err(Error::data(format!("path \"{shown}\" {why}")));
    if path.len() > longest {
        return wrong(&format!(
            "has {} bytes, and {longest} are allowed",
            path.len()
        ));
    }
    if path.starts_with('/') {
        return wrong("is absolute");
    }
    if path.chars().any(|c| c.is_control() || is_invisible(c)) {
        return wrong("holds a control character or an invisible one");
    }
    if let Some(bad) = path.chars().find(|c| "\\:*?\"<>|".contains(*c)) {
        return wrong(&format!("holds {bad:?}"));
    }
    for part in path.split('/') {
        let stem = part
            .split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match part {
            "" => return wrong("has an empty part"),
            "." | ".." => return wrong("climbs: it has a part of dots only"),
            _ if part.ends_with(['.', ' ']) || part.starts_with(' ') => {
                return wrong("has a part that begins or ends with a space, or ends with a dot");
            }
            _ if DEVICES.contains(&stem.as_str()) => {
                return wrong("has the name of a device on Windows");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Characters that are not drawn or turn the direction of writing, so that two paths could look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Paths none of which is another's on a file system that ignores case or normalises Unicode, or lies inside another.
#[derive(Debug, Default)]
pub struct PathSet {
    /// By the spelling that such a file system would compare: the spelling given, and whether it is a file.
    known: BTreeMap<String, (String, bool)>,
}

impl PathSet {
    /// Adds the path of a file.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] naming both paths when they collide.
    pub fn insert(&mut self, path: &str) -> Result<()> {
        let ends = path
            .match_indices('/')
            .map(|(end, _)| (end, false))
            .chain([(path.len(), true)]);
        for (end, is_file) in ends {
            let part = &path[..end];
            let key = folded(part);
            match self.known.get(&key) {
                None => {
                    self.known.insert(key, (part.to_owned(), is_file));
                }
                Some((other, false)) if !is_file && other == part => {}
                Some((other, _)) => {
                    let what = if other == path {
                        "is there twice"
                    } else {
                        "collides with"
                    };
                    let other = if other == path {
                        String::new()
                    } else {
                        format!(" {other:?}")
                    };
                    return Err(Error::data(format!("path {path:?} {what}{other}")));
                }
            }
        }
        Ok(())
    }
}

fn folded(path: &str) -> String {
    let lower: String = path.nfkc().flat_map(char::to_lowercase).collect();
    // Upper case first joins letters that have several lower-case forms (ſ and s, ς and σ).
    let upper: String = lower.chars().flat_map(char::to_uppercase).collect();
    upper.nfkc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_and_mean_the_same_everywhere() {
        for good in [
            "plugin.toml",
            "artifacts/x86_64-unknown-linux-gnu/libx.so",
            "schemas/metric-a.json",
            "LICENSE-MIT",
            "ärger.md",
        ] {
            check_path(good, 200).unwrap();
        }
        for (bad, words) in [
            ("", "an empty part"),
            ("/etc/passwd", "is absolute"),
            ("a//b", "an empty part"),
            ("a/", "an empty part"),
            ("../up", "climbs"),
            ("a/../../up", "climbs"),
            ("./a", "climbs"),
            ("a\\b", "holds '\\\\'"),
            ("C:a", "holds ':'"),
            ("a\0b", "control character"),
            ("a\nb", "control character"),
            ("a\u{202e}b", "invisible"),
            ("a.", "ends with a dot"),
            ("a /b", "ends with a space"),
            ("x/NUL.txt", "device on Windows"),
            (&"a".repeat(201), "has 201 bytes"),
        ] {
            let error = check_path(bad, 200).unwrap_err();
            assert!(error.message().contains(words), "{error} lacks {words}");
            assert!(!error.message().chars().any(char::is_control));
        }
    }

    #[test]
    fn paths_that_some_file_system_takes_for_one_collide() {
        let collide = |first: &str, second: &str| {
            let mut paths = PathSet::default();
            paths.insert(first).unwrap();
            paths.insert(second)
        };
        for (first, second) in [
            ("a", "a"),
            ("README.md", "readme.MD"),
            ("\u{e9}", "e\u{301}"),
            ("\u{212a}", "k"),
            ("ſ", "s"),
            ("a", "a/b"),
            ("a/b", "A"),
            ("a/b", "A/c"),
            ("ﬁ", "fi"),
        ] {
            assert!(collide(first, second).is_err(), "{first} {second}");
        }
        for (first, second) in [("a/b", "a/c"), ("a", "b"), ("a/b/c", "a/b/d")] {
            collide(first, second).unwrap();
        }
    }
}
