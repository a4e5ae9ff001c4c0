//! What the gates said last time, so that later starts only look at sizes and times. A cache and nothing more: a missing,
//! old or damaged index is built again, and one that cannot be written costs only time.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_plugin_api::API_VERSION;
use serde::{Deserialize, Serialize};

use super::gates::{self, Passed, Stopped, Verdict};
use super::search::Candidate;

const FILE: &str = "plugins.json";

/// A file that changed within this time of being looked at may change again without a new time stamp.
const SETTLE: Duration = Duration::from_secs(2);

/// Entries of other search paths are kept up to this number.
const MAX_ENTRIES: usize = 4096;

/// One file as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    path: PathBuf,
    size: u64,
    modified: u64,
    /// On Unix also the time of the last change of any kind, and the inode: a replaced file is another file.
    changed: u64,
    inode: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    files: Vec<Print>,
    outcome: Outcome,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Passed(Box<Passed>),
    Stopped(Box<Stopped>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    /// The host that wrote it: another build may judge otherwise.
    host: String,
    entries: HashMap<PathBuf, Entry>,
}

/// The index of one start.
#[derive(Debug)]
pub(super) struct Index {
    file: Option<PathBuf>,
    document: Document,
    changed: bool,
    now: SystemTime,
}

impl Index {
    /// Reads the index of a cache folder; an empty one when there is none that can be used.
    pub(super) fn open(cache: Option<&Path>) -> Self {
        let file = cache.map(|cache| cache.join(FILE));
        let host = host();
        let document = file
            .as_deref()
            .and_then(|file| fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice::<Document>(&bytes).ok())
            .filter(|document| document.host == host)
            .unwrap_or_else(|| Document {
                host,
                entries: HashMap::new(),
            });
        Self {
            file,
            document,
            changed: false,
            now: SystemTime::now(),
        }
    }

    /// What the gates say about a candidate, from the index where nothing changed.
    pub(super) fn examine(&mut self, candidate: &Candidate) -> Result<Passed, Stopped> {
        if let Some(entry) = self.document.entries.get(&candidate.path)
            && entry
                .files
                .first()
                .is_some_and(|first| first.path == candidate.path)
            && entry
                .files
                .iter()
                .all(|file| print(&file.path).as_ref() == Some(file))
        {
            return match &entry.outcome {
                Outcome::Passed(passed) => Ok((**passed).clone()),
                Outcome::Stopped(stopped) => Err((**stopped).clone()),
            };
        }
        // Sizes and times are taken before the content: a change in between is then seen next time.
        let before = print(&candidate.path);
        let Verdict { files, outcome } = gates::examine(candidate);
        let prints: Option<Vec<Print>> = files.iter().map(|file| print(file)).collect();
        let entry = prints
            .filter(|prints| prints.first() == before.as_ref() && self.settled(prints))
            .map(|files| Entry {
                files,
                outcome: match &outcome {
                    Ok(passed) => Outcome::Passed(Box::new(passed.clone())),
                    Err(stopped) => Outcome::Stopped(Box::new(stopped.clone())),
                },
            });
        let old = match entry {
            Some(entry) => {
                self.changed = true;
                self.document.entries.insert(candidate.path.clone(), entry)
            }
            None => self.document.entries.remove(&candidate.path),
        };
        self.changed |= old.is_some();
        outcome
    }

    /// Writes the index when something changed. Several hosts may do so at once: each writes a whole file.
    pub(super) fn close(mut self) {
        let Some(file) = self.file.take().filter(|_| self.changed) else {
            return;
        };
        self.document.entries.retain(|path, _| path.exists());
        if self.document.entries.len() > MAX_ENTRIES {
            return;
        }
        // Failing to write it is no failure: the next start does the work again.
        let _ = self.write(&file);
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut staged = tempfile::NamedTempFile::new_in(folder)?;
        staged.write_all(&serde_json::to_vec(&self.document)?)?;
        staged.persist(file)?;
        Ok(())
    }

    fn settled(&self, prints: &[Print]) -> bool {
        let now = nanoseconds(self.now);
        prints
            .iter()
            .all(|print| print.modified.max(print.changed) + SETTLE.as_nanos() as u64 <= now)
    }
}

fn host() -> String {
    let executable = std::env::current_exe().ok().and_then(|path| print(&path));
    let build = executable.map_or((0, 0), |print| (print.size, print.modified));
    format!(
        "{} api {API_VERSION} build {} {}",
        env!("CARGO_PKG_VERSION"),
        build.0,
        build.1
    )
}

/// Since 1970; enough until the year 2554.
fn nanoseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn print(path: &Path) -> Option<Print> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let (changed, inode) = {
        use std::os::unix::fs::MetadataExt;
        let nanoseconds = metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec());
        (u64::try_from(nanoseconds).unwrap_or(0), metadata.ino())
    };
    #[cfg(not(unix))]
    let (changed, inode) = (0, 0);
    Some(Print {
        path: path.to_owned(),
        size: metadata.len(),
        modified: metadata.modified().map_or(0, nanoseconds),
        changed,
        inode,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::search::Origin;
    use super::*;

    fn candidate(path: &Path) -> Candidate {
        Candidate {
            path: path.to_owned(),
            is_folder: false,
            origin: Origin::User,
        }
    }

    /// An index that believes a day has passed since the files were written.
    fn later(cache: &Path) -> Index {
        Index {
            now: SystemTime::now() + Duration::from_hours(24),
            ..Index::open(Some(cache))
        }
    }

    #[test]
    fn a_second_start_takes_the_answer_from_the_index_until_the_file_changes() {
        let root = tempfile::tempdir().unwrap();
        let (cache, library) = (root.path().join("cache"), root.path().join("a.so"));
        fs::write(&library, "some text").unwrap();
        let mut index = later(&cache);
        let first = index.examine(&candidate(&library)).unwrap_err();
        assert!(first.refusal.reason.contains("text file"), "{first:?}");
        index.close();
        let mut index = later(&cache);
        assert_eq!(index.examine(&candidate(&library)).unwrap_err(), first);
        assert!(!index.changed, "nothing was looked at again");
        fs::write(&library, "").unwrap();
        assert!(
            index
                .examine(&candidate(&library))
                .unwrap_err()
                .refusal
                .reason
                .contains("empty")
        );
        assert!(index.changed);
    }

    #[test]
    fn fresh_files_are_not_trusted_to_stay() {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("a.so");
        fs::write(&library, "x").unwrap();
        let mut index = Index::open(Some(root.path()));
        index.examine(&candidate(&library)).unwrap_err();
        assert!(index.document.entries.is_empty());
    }

    #[test]
    fn a_damaged_index_is_built_again_and_an_unwritable_one_is_no_failure() {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("a.so");
        fs::write(&library, "x").unwrap();
        fs::write(root.path().join(FILE), "{\"host\": 7, ").unwrap();
        let mut index = later(root.path());
        index.examine(&candidate(&library)).unwrap_err();
        index.close();
        assert_eq!(Index::open(Some(root.path())).document.entries.len(), 1);
        let mut nowhere = later(&library.join("below a file"));
        nowhere.examine(&candidate(&library)).unwrap_err();
        nowhere.close();
    }
}
