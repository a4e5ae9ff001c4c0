//! Installed versions: `<data>/store/<name>/<version>-<first digits of the archive's SHA-256>/`, the unpacked archive with
//! its receipt. A folder appears whole or not at all and is never changed, so what is active is decided by locks alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use codex_plugin_api::{Context, Error, Result};
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::archive::{FORMAT, LIST};
use crate::digest::HashingReader;
use crate::durable::{self, Turn, UNFINISHED, flush_folder, io_error};
use crate::entry::FileDigest;
use crate::names;

/// What lies beside the archive's files.
const RECEIPT: &str = "receipt.json";

/// The list of an archive's files is no longer than this, in bytes.
const MAX_LIST: u64 = 16 << 20;

/// The store of a data folder; it need not be there yet.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store of a data folder.
    pub fn new(data: &Path) -> Self {
        Self {
            root: data.join("store"),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of a version, whether it is there or not. Name and digest must have been checked.
    pub fn folder(&self, name: &str, version: &Version, archive_sha256: &str) -> PathBuf {
        let digits = archive_sha256.get(..16).unwrap_or(archive_sha256);
        self.root.join(name).join(format!("{version}-{digits}"))
    }

    /// Waits for the turn to change what is installed, and clears away what a killed process left.
    ///
    /// # Errors
    /// When the store's folder cannot be written.
    pub fn turn(&self, waiting: impl FnOnce()) -> Result<Turn> {
        let turn = Turn::take(&self.root.join(".lock"), waiting)?;
        self.tidy();
        Ok(turn)
    }

    /// Whoever has the turn is alone: what is unfinished now is nobody's work.
    fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // What cannot be removed now is hidden and may stay.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Puts a version in place: `fill` unpacks it into an empty folder, which then gets its name in one step. What stood
    /// there before, damaged, is replaced. The caller has the turn.
    ///
    /// # Errors
    /// Those of `fill`, and when the folder cannot be written. The store is as it was then.
    pub fn place(&self, folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let failed = |error: &io::Error| io_error("write", folder, error);
        let parent = folder.parent().unwrap_or(&self.root);
        let staged = Staged::new(&self.root).map_err(|error| failed(&error))?;
        fill(&staged.path)?;
        let moved = || {
            flush_folders(&staged.path)?;
            durable::step("create", parent)?;
            fs::create_dir_all(parent)?;
            flush_folder(&self.root)?;
            if folder.exists() {
                // Not beside it: a half-removed folder must not be found under the plugin's name.
                durable::step("rename", folder)?;
                fs::rename(folder, unfinished(&self.root))?;
            }
            durable::step("rename", folder)?;
            fs::rename(&staged.path, folder)?;
            flush_folder(parent)
        };
        moved().map_err(|error| failed(&error))?;
        self.tidy();
        Ok(())
    }

    /// Every version in the store, by name.
    ///
    /// # Errors
    /// When the store's folder cannot be read.
    pub fn versions(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for (name, path) in folders(&self.root)? {
            if names::check(&name).is_ok() {
                found.extend(
                    folders(&path)?
                        .into_iter()
                        .map(|(_, path)| (name.clone(), path)),
                );
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes a version: first out of sight in one step, then from the disk. Gives the bytes that were freed.
    ///
    /// # Errors
    /// When it cannot be moved away.
    pub fn remove(&self, folder: &Path) -> Result<u64> {
        let size = size_of(folder);
        let gone = unfinished(&self.root);
        durable::step("rename", folder)
            .and_then(|()| fs::rename(folder, &gone))
            .map_err(|error| io_error("remove", folder, &error))?;
        // What is left, a library that is open on Windows, say, is hidden, and goes at the next change.
        let _ = fs::remove_dir_all(&gone);
        if let Some(parent) = folder.parent() {
            // Only an empty folder goes.
            let _ = fs::remove_dir(parent);
        }
        Ok(size)
    }
}

/// What is wrong with an unpacked version, one line each; nothing where every file is as its archive listed it.
///
/// # Errors
/// When the folder's list cannot be read, which says that the folder is damaged as a whole.
pub fn damages(folder: &Path) -> Result<Vec<String>> {
    let listed = listed(folder)?;
    let mut wrong = Vec::new();
    for (path, expected) in &listed {
        match digest(&folder.join(path)) {
            Ok(found) if found == *expected => {}
            Ok(found) if found.size != expected.size => {
                wrong.push(format!(
                    "{path} has {} bytes, not {}",
                    found.size, expected.size
                ));
            }
            Ok(_) => wrong.push(format!("{path} was changed")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                wrong.push(format!("{path} is missing"));
            }
            Err(error) => wrong.push(format!("{path} cannot be read: {error}")),
        }
    }
    let mut there = Vec::new();
    files_below(folder, "", &mut there);
    for path in there {
        if ![RECEIPT, LIST].contains(&path.as_str()) && !listed.contains_key(&path) {
            wrong.push(format!("{path} does not belong to it"));
        }
    }
    Ok(wrong)
}

/// Writes the list of what was unpacked into a folder, as its archive had it.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_list(folder: &Path, files: &BTreeMap<String, FileDigest>) -> Result<()> {
    let listed = |(path, digest): (&String, &FileDigest)| Listed {
        path: path.clone(),
        digest: digest.clone(),
    };
    let list = List {
        format: FORMAT,
        files: files.iter().map(listed).collect(),
    };
    let text =
        serde_json::to_vec(&list).or_error(|| Error::failed("cannot write the list of files"))?;
    durable::write_file(&folder.join(LIST), &text)
}

#[derive(Serialize, Deserialize)]
struct List {
    format: u32,
    files: Vec<Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    path: String,
    #[serde(flatten)]
    digest: FileDigest,
}

/// The files that an unpacked archive's own list names.
fn listed(folder: &Path) -> Result<BTreeMap<String, FileDigest>> {
    let path = folder.join(LIST);
    let damaged = || {
        Error::data(format!("{} cannot be read", path.display()))
            .hint("codex-ml plugin sync installs it again")
    };
    let size = fs::metadata(&path).or_error(damaged)?.len();
    if size > MAX_LIST {
        return Err(damaged());
    }
    let list: List =
        serde_json::from_slice(&fs::read(&path).or_error(damaged)?).or_error(damaged)?;
    for file in &list.files {
        names::check_path(&file.path, 1 << 10)?;
    }
    Ok(list
        .files
        .into_iter()
        .map(|file| (file.path, file.digest))
        .collect())
}

fn digest(path: &Path) -> io::Result<FileDigest> {
    // A link could lead to a whole file that somebody changes later.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut reader = HashingReader::new(File::open(path)?);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.finish())
}

fn files_below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&entry.path(), &format!("{name}/"), found),
            _ => found.push(name),
        }
    }
}

/// The folders in a folder that may not be there, hidden ones aside.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("read", folder, &error)),
    };
    Ok(entries
        .flatten()
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .filter(|(name, path)| !name.starts_with('.') && path.is_dir())
        .collect())
}

pub(crate) fn size_of(folder: &Path) -> u64 {
    let mut files = Vec::new();
    files_below(folder, "", &mut files);
    let size = |name: &String| fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
    files.iter().map(size).sum()
}

/// A name in the store that searches pass over and nobody else uses.
fn unfinished(root: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    root.join(format!("{UNFINISHED}{}-{count}", std::process::id()))
}

/// A folder in the making: gone when dropped, unless it was moved away.
struct Staged {
    path: PathBuf,
}

impl Staged {
    fn new(root: &Path) -> io::Result<Self> {
        durable::step("create", root)?;
        fs::create_dir_all(root)?;
        let path = unfinished(root);
        durable::step("create", &path)?;
        // A killed process of the same number may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        #[cfg(test)]
        if durable::faults::is_dead() {
            return;
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes the names in a folder and below durable; the files' content already is.
fn flush_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            flush_folders(&entry.path())?;
        }
    }
    flush_folder(folder)
}

#[cfg(test)]
mod tests;
