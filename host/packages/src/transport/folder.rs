//! A registry in a folder: of this machine, or of a network drive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use codex_plugin_api::{Context, Error, Result};

use super::{Answer, Request, Transport};

/// Reads files below a folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A registry in `root`; whether it is there is seen when something is fetched.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Transport for Folder {
    fn get(&self, request: Request<'_>, into: &mut dyn Write) -> Result<Answer> {
        let path = self.root.join(request.path);
        let failed = || Error::failed(format!("cannot read {}", path.display()));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Answer::Missing);
            }
            Err(error) => return Err(failed().because(&error)),
        };
        let size = file.metadata().or_error(failed)?.len();
        if size > request.limit {
            return Err(Error::data(format!(
                "{} has {size} bytes, and {} are expected at most",
                path.display(),
                request.limit
            )));
        }
        io::copy(&mut file.take(request.limit), into).or_error(failed)?;
        Ok(Answer::Body { etag: None })
    }
}
