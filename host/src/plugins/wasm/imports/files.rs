//! Files below granted folders. A path begins with the folder's name as the manifest has it; the rest is resolved by
//! `cap-std`, which lets neither `..` nor a link lead out of the folder.

use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use codex_plugin_api::{Error, Result};

use super::State;
use super::generated::{files, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::guest::error_to;

/// Bytes that one call may read, and entries that it may list.
const MOST_BYTES: u64 = 64 << 20;
const MOST_ENTRIES: usize = 100_000;

impl State {
    /// The granted folder that a path begins with, opened, and the way below it.
    fn open<'a>(&self, path: &'a str, write: bool) -> Result<(Dir, &'a Path)> {
        let named = |name: &str| {
            path.strip_prefix(name)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // The longest name counts: `data/sub` is another folder than `data`.
        let asked = self.asked.folders.iter();
        let found = asked
            .filter_map(|folder| Some((folder.path.as_str(), named(&folder.path)?)))
            .max_by_key(|(name, _)| name.len());
        let Some((name, rest)) = found else {
            return Err(self.not_asked(&format!("a folder that holds {path:?}")));
        };
        // Asked for twice, once to write, is asked for to write.
        let mut asked = self.asked.folders.iter();
        let writable = asked.any(|folder| folder.path == name && folder.write);
        let permission = Permission::Folder {
            name: name.to_owned(),
            write: writable,
        };
        let Some(real) = self.granted.folders.get(name) else {
            let what = if writable { "read and write" } else { "read" };
            return Err(self.denied(&format!("{what} folder {name}"), &permission));
        };
        if write && !writable {
            return Err(self.not_asked(&format!("writing to folder {name}")));
        }
        let dir = Dir::open_ambient_dir(real, ambient_authority()).map_err(|error| {
            Error::data(format!(
                "folder {name} of plugin {} ({}) cannot be opened: {error}",
                self.plugin,
                real.display()
            ))
            .hint(format!(
                "codex-ml plugin grant {} {}",
                self.plugin,
                permission.argument()
            ))
        })?;
        let rest = rest.trim_start_matches('/');
        Ok((dir, Path::new(if rest.is_empty() { "." } else { rest })))
    }

    fn complaint(&self, verb: &str, path: &str, error: &std::io::Error) -> Error {
        // What leads out of the folder is refused by the operating system's word for it.
        if error.kind() == ErrorKind::PermissionDenied {
            return Error::denied(format!(
                "plugin {} cannot {verb} {path}: it leads out of its folder, or the system forbids it ({error})",
                self.plugin
            ));
        }
        Error::data(format!("cannot {verb} {path}: {error}"))
    }
}

fn entries(state: &State, path: &str) -> Result<Vec<files::Entry>> {
    let (dir, rest) = state.open(path, false)?;
    let failed = |error: &std::io::Error| state.complaint("list", path, error);
    let mut found = Vec::new();
    for entry in dir.read_dir(rest).map_err(|error| failed(&error))? {
        let entry = entry.map_err(|error| failed(&error))?;
        let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else {
            continue;
        };
        if found.len() == MOST_ENTRIES {
            return Err(Error::data(format!(
                "{path} holds more than {MOST_ENTRIES} entries"
            )));
        }
        found.push(files::Entry {
            name,
            is_folder: metadata.is_dir(),
            size: metadata.len(),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn read(state: &State, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
    let (dir, rest) = state.open(path, false)?;
    if length > MOST_BYTES {
        return Err(Error::config(format!(
            "{length} bytes of {path} in one call are more than {MOST_BYTES}"
        )));
    }
    let failed = |error: &std::io::Error| state.complaint("read", path, error);
    let metadata = dir.metadata(rest).map_err(|error| failed(&error))?;
    if !metadata.is_file() {
        // A pipe or a device could keep the call waiting for ever.
        return Err(Error::data(format!(
            "cannot read {path}: it is no regular file"
        )));
    }
    let mut file = dir.open(rest).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.take(length).read_to_end(&mut bytes))
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

fn write(state: &State, path: &str, content: &[u8], append: bool) -> Result<()> {
    let (dir, rest) = state.open(path, true)?;
    let failed = |error: &std::io::Error| state.complaint("write", path, error);
    if dir.metadata(rest).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::data(format!(
            "cannot write {path}: it is no regular file"
        )));
    }
    if append {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        return dir
            .open_with(rest, &options)
            .and_then(|mut file| file.write_all(content))
            .map_err(|error| failed(&error));
    }
    // Whole or not at all: a file beside it takes its place.
    let mut staged = rest.to_owned().into_os_string();
    staged.push(".part");
    dir.write(&staged, content)
        .and_then(|()| dir.rename(&staged, &dir, rest))
        .map_err(|error| failed(&error))
}

impl files::Host for State {
    fn entries(
        &mut self,
        path: String,
    ) -> wasmtime::Result<std::result::Result<Vec<files::Entry>, types::Error>> {
        Ok(entries(self, &path).map_err(|error| error_to(&error)))
    }

    fn size(&mut self, path: String) -> wasmtime::Result<std::result::Result<u64, types::Error>> {
        let size = self.open(&path, false).and_then(|(dir, rest)| {
            dir.metadata(rest)
                .map(|metadata| metadata.len())
                .map_err(|error| self.complaint("look at", &path, &error))
        });
        Ok(size.map_err(|error| error_to(&error)))
    }

    fn read(
        &mut self,
        path: String,
        offset: u64,
        length: u64,
    ) -> wasmtime::Result<std::result::Result<Vec<u8>, types::Error>> {
        Ok(read(self, &path, offset, length).map_err(|error| error_to(&error)))
    }

    fn write(
        &mut self,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<std::result::Result<(), types::Error>> {
        Ok(write(self, &path, &content, false).map_err(|error| error_to(&error)))
    }

    fn append(
        &mut self,
        path: String,
        content: Vec<u8>,
    ) -> wasmtime::Result<std::result::Result<(), types::Error>> {
        Ok(write(self, &path, &content, true).map_err(|error| error_to(&error)))
    }
}
