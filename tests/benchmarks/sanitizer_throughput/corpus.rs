//! The texts that are scanned: files of folders, one behind the other.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Texts of one kind.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) text: String,
    pub(crate) files: usize,
}

/// Which files are of a kind, by the ends of their names in lower case, or by their beginnings.
type Names = (&'static [&'static str], &'static [&'static str]);

/// Not `.txt`, which in source trees is as often a table of numbers.
const PROSE: Names = (
    &[".md", ".rst"],
    &["readme", "license", "copying", "copyright", "changelog"],
);
const CODE: Names = (
    &[
        ".rs", ".c", ".h", ".cc", ".cpp", ".go", ".py", ".js", ".ts", ".java", ".sh", ".toml",
    ],
    &[],
);

/// Longer files are data, not texts that somebody wrote.
const LONGEST_FILE: u64 = 2 << 20;

impl Corpus {
    /// English prose in `paths`, which are folders, or files of any name.
    pub(crate) fn prose(paths: &[PathBuf], most: usize) -> Result<Self, String> {
        Self::read("prose", PROSE, paths, most)
    }

    /// Source code in `paths`.
    pub(crate) fn code(paths: &[PathBuf], most: usize) -> Result<Self, String> {
        Self::read("code", CODE, paths, most)
    }

    /// Reads until there are `most` bytes; a file that was read before (a licence) is not read again.
    fn read(
        name: &'static str,
        names: Names,
        paths: &[PathBuf],
        most: usize,
    ) -> Result<Self, String> {
        let mut corpus = Self {
            name,
            text: String::new(),
            files: 0,
        };
        let mut known = HashSet::new();
        // Taken from the end.
        let mut open: Vec<PathBuf> = paths.iter().rev().cloned().collect();
        while let Some(path) = open.pop() {
            if corpus.text.len() >= most {
                break;
            }
            let given = paths.contains(&path);
            let facts = fs::symlink_metadata(&path).map_err(|error| told(&path, &error))?;
            if facts.is_dir() {
                open.extend(entries(&path));
            } else if facts.is_file()
                && (given || (facts.len() <= LONGEST_FILE && is_named(&path, names)))
            {
                corpus.add(&path, given, &mut known);
            }
        }
        if corpus.text.is_empty() {
            return Err(format!("there is no {name} in the paths that were given"));
        }
        if corpus.text.len() < most {
            eprintln!(
                "{name}: only {:.1} MB were found; name more folders",
                corpus.text.len() as f64 / 1e6
            );
        }
        Ok(corpus)
    }

    /// Adds a file; one that was only met in a folder is left out when it is no UTF-8.
    fn add(&mut self, path: &Path, given: bool, known: &mut HashSet<u64>) {
        let bytes = fs::read(path).unwrap_or_default();
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if given => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Err(_) => return,
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        if known.insert(hasher.finish()) {
            self.text.push_str(&text);
            self.text.push('\n');
            self.files += 1;
        }
    }
}

/// The files of a folder in reverse order, so that the first is the last; none where it may not be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort_by(|a, b| b.cmp(a));
    entries
}

fn is_named(path: &Path, (ends, starts): Names) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    ends.iter().any(|end| name.ends_with(end)) || starts.iter().any(|start| name.starts_with(start))
}

fn told(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
