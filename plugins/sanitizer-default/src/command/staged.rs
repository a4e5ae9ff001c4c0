//! What git has staged for the next commit, by the program git: names and contents as they will be committed, whatever
//! the files of the working folder hold by now.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use codex_plugin_api::{Context, Error, Result};

use super::settings::FileFormat;
use super::sources::{Content, Source, format_of};

const FILE: &str = "100";

/// Files that the next commit adds or changes, below `paths` where there are any.
pub(super) fn list(paths: &[String], format: Option<FileFormat>) -> Result<Vec<Source>> {
    // `--raw` names contents by their objects, so that no name of a file is ever part of a command.
    let output = Command::new("git")
        .args(["diff", "--cached", "--raw", "--no-abbrev", "--no-renames"])
        .args(["--diff-filter=ACMT", "-z", "--"])
        .args(paths)
        .stdin(Stdio::null())
        .output()
        .or_error(|| Error::failed("cannot run git").hint("--staged needs git on the PATH"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.lines().next().unwrap_or("git diff failed").to_owned();
        return Err(
            Error::config(format!("git cannot say what is staged: {told}"))
                .hint("--staged is for a folder of a git repository"),
        );
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts = text.split('\0');
    let mut list = Vec::new();
    // `:old-mode new-mode old-object new-object status`, then the name.
    while let (Some(change), Some(name)) = (parts.next(), parts.next()) {
        let words: Vec<&str> = change.split(' ').collect();
        if let [_, mode, _, object, _] = words[..]
            && mode.starts_with(FILE)
        {
            list.push(Source {
                content: Content::Blob(object.to_owned()),
                name: name.to_owned(),
                place: PathBuf::new(),
                size: 0,
                stamp: None,
                format: format.unwrap_or_else(|| format_of(Path::new(name))),
            });
        }
    }
    Ok(list)
}

/// The content of an object.
pub(super) fn open(object: &str) -> io::Result<Blob> {
    let child = Command::new("git")
        .args(["cat-file", "blob", object])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Blob(child))
}

/// Content on its way from git.
pub(super) struct Blob(Child);

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.0.stdout {
            Some(output) => output.read(buffer)?,
            None => 0,
        };
        if read == 0 && !buffer.is_empty() && !self.0.wait()?.success() {
            return Err(io::Error::other("git cannot give its content"));
        }
        Ok(read)
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        // Whoever stops reading early leaves git waiting at a full pipe.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
