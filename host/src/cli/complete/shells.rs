//! The shells: the script that each reads once, how it hands over a line, and how it wants its answer.

use std::ffi::OsString;

use clap_complete::engine::CompletionCandidate;

use super::Line;
use crate::output::plain;

/// A shell whose script asks this executable at every key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The script that asks.
pub(in crate::cli) fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("scripts/bash"),
        Shell::Zsh => include_str!("scripts/zsh"),
        Shell::Fish => include_str!("scripts/fish"),
    }
}

/// What bash takes for words of their own, though they stand within one.
const BREAKS: [u8; 2] = [b'=', b':'];

impl Shell {
    pub(super) fn of_word(word: &str) -> Option<Self> {
        match word {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }

    /// The line that a shell means.
    pub(super) fn line(self, words: &[OsString], index: usize) -> Line {
        let mut words = words.to_vec();
        // At the end of a line some shells leave the empty word out.
        while words.len() <= index && words.len() < index.saturating_add(1).min(1 << 16) {
            words.push(OsString::new());
        }
        if self == Self::Bash {
            joined(&words, index)
        } else {
            Line {
                words,
                index,
                before: 0,
            }
        }
    }

    /// A candidate as a line of the answer; none where the shell could not insert it.
    pub(super) fn show(self, candidate: &CompletionCandidate, line: &Line) -> Option<String> {
        let value = candidate.get_value().to_str()?;
        if value.is_empty() || value.chars().any(char::is_control) {
            return None;
        }
        if self == Self::Bash {
            return Some(format!("{}\n", escaped(value.get(line.before..)?)));
        }
        let about = candidate.get_help().map(|help| plain(&help.to_string()));
        let about = about.as_deref().and_then(|about| about.lines().next());
        Some(match about {
            Some(about) if !about.is_empty() => format!("{value}\t{about}\n"),
            _ => format!("{value}\n"),
        })
    }
}

/// Joins what bash broke: `--color`, `=`, `al` are one word, of which bash completes the last part.
fn joined(words: &[OsString], index: usize) -> Line {
    let is_break = |word: &OsString| {
        let bytes = word.as_encoded_bytes();
        !bytes.is_empty() && bytes.iter().all(|byte| BREAKS.contains(byte))
    };
    let mut line = Line {
        words: Vec::new(),
        index: 0,
        before: 0,
    };
    for (at, word) in words.iter().enumerate() {
        let continues = at > 1 && (is_break(word) || is_break(&words[at - 1]));
        let before = match line.words.last_mut() {
            Some(last) if continues => {
                let before = last.len();
                last.push(word);
                before
            }
            _ => {
                line.words.push(word.clone());
                0
            }
        };
        if at == index {
            line.index = line.words.len() - 1;
            // At a break itself, what follows it is completed.
            line.before = if is_break(word) {
                before + word.len()
            } else {
                before
            };
            // What follows the cursor is not looked at.
            break;
        }
    }
    line
}

/// A value as bash would have to read it.
fn escaped(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%^~".contains(c);
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if !plain(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_bash_broke_is_one_word_again() {
        for (broken, index, whole, at, before) in [
            ("codex-ml tr", 1, "codex-ml tr", 1, 0),
            ("codex-ml --color = al", 3, "codex-ml --color=al", 1, 8),
            ("codex-ml --color =", 2, "codex-ml --color=", 1, 8),
            (
                "codex-ml plugin run g : gr",
                5,
                "codex-ml plugin run g:gr",
                3,
                2,
            ),
            ("codex-ml a = b --met", 4, "codex-ml a=b --met", 2, 0),
        ] {
            let line = Shell::Bash.line(&words(broken), index);
            assert_eq!(line.words, words(whole), "{broken}");
            assert_eq!((line.index, line.before), (at, before), "{broken}");
        }
        let line = Shell::Fish.line(&words("codex-ml --color=al"), 2);
        assert_eq!((line.words.len(), line.index, line.before), (3, 2, 0));
    }

    #[test]
    fn answers_are_safe_to_insert() {
        let line = Shell::Bash.line(&words("codex-ml x"), 1);
        let show = |shell: Shell, value: &str| {
            let candidate = CompletionCandidate::new(value).help(Some("two\nlines".into()));
            shell.show(&candidate, &line)
        };
        assert_eq!(
            show(Shell::Bash, "a b$(c).txt").as_deref(),
            Some("a\\ b\\$\\(c\\).txt\n")
        );
        assert_eq!(show(Shell::Zsh, "a b").as_deref(), Some("a b\ttwo\n"));
        assert_eq!(show(Shell::Fish, "a\u{1b}[2J"), None);
        assert_eq!(show(Shell::Bash, ""), None);
    }
}
