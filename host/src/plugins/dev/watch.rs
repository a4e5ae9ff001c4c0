//! Which of a project's sources changed. It looks again and again: that works on every file system and needs no limits of
//! the system raised, and a project has a handful of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What sources end in. What a build or a run leaves in the folder must not start another one.
const SOURCES: [&str; 6] = ["rs", "toml", "c", "h", "py", "wit"];

/// Folders that hold no sources.
const OTHERS: [&str; 4] = ["target", "runs", "__pycache__", "node_modules"];

/// Folders below folders are looked into so far.
const DEPTH: usize = 12;

/// Time and size of every source.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// The sources of a folder as they were when it last said that they changed.
#[derive(Debug)]
pub(crate) struct Watch {
    folder: PathBuf,
    seen: Seen,
}

impl Watch {
    /// Takes the sources as they are.
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: look(folder),
        }
    }

    /// Whether anything is not as it was; says so until [`Self::take`].
    pub(crate) fn differs(&self) -> bool {
        look(&self.folder) != self.seen
    }

    /// Takes the sources as they are now; gives the names of those that changed.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let now = look(&self.folder);
        let both = now.keys().chain(self.seen.keys());
        let mut changed: Vec<&PathBuf> = both
            .filter(|path| now.get(*path) != self.seen.get(*path))
            .collect();
        changed.sort();
        changed.dedup();
        let names = changed
            .into_iter()
            .map(|path| {
                let name = path.strip_prefix(&self.folder).unwrap_or(path);
                name.display().to_string()
            })
            .collect();
        self.seen = now;
        names
    }
}

fn look(folder: &Path) -> Seen {
    let mut seen = Seen::new();
    add(folder, DEPTH, &mut seen);
    seen
}

fn add(folder: &Path, depth: usize, seen: &mut Seen) {
    // A folder that vanishes while one looks has no sources.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() {
            if depth > 0 && !OTHERS.contains(&&*name) {
                add(&path, depth - 1, seen);
            }
            continue;
        }
        let is_source = path
            .extension()
            .and_then(|end| end.to_str())
            .is_some_and(|end| SOURCES.contains(&end));
        if is_source && let Ok(metadata) = fs::metadata(&path) {
            seen.insert(path, (metadata.modified().ok(), metadata.len()));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sources_are_seen_and_what_a_build_leaves_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "one");
        write("plugin.toml", "one");
        let mut watch = Watch::new(folder.path());
        assert!(!watch.differs());
        for name in [
            "target/release/build/x.rs",
            "x.wasm",
            "libx.so",
            ".hidden/x.py",
            "runs/first/notes.toml",
            "Cargo.lock",
            "__pycache__/app.py",
        ] {
            write(name, "made");
            assert!(!watch.differs(), "{name}");
        }
        write("src/lib.rs", "two or more");
        write("src/deep/er.rs", "new");
        fs::remove_file(folder.path().join("plugin.toml")).unwrap();
        assert!(watch.differs() && watch.differs());
        let names = watch.take();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.contains(&"plugin.toml".to_owned()), "{names:?}");
        assert!(!watch.differs());
        fs::remove_dir_all(folder.path().join("src")).unwrap();
        assert!(watch.differs());
    }
}
