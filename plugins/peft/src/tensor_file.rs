//! A safetensors file, one tensor at a time: what is read of a large model need not be in memory twice.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use codex_plugin_api::{Error, Result};
use safetensors::tensor::{Metadata, TensorView};

/// An open file whose header has been checked.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    /// Where the tensors begin.
    start: u64,
    metadata: Metadata,
}

pub(crate) fn not_whole(path: &Path) -> Error {
    Error::data(format!(
        "{} is not a whole safetensors file",
        path.display()
    ))
    .hint("the file is truncated or damaged; copy it again")
}

fn unreadable(path: &Path, cause: &std::io::Error) -> Error {
    Error::data(format!("cannot read {}", path.display()))
        .because(cause)
        .hint("the folder is incomplete; copy it again")
}

impl TensorFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when the file is missing, not whole, or no safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(|cause| unreadable(path, &cause))?;
        let size = file
            .metadata()
            .map_err(|cause| unreadable(path, &cause))?
            .len();
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(|_| not_whole(path))?;
        let length = u64::from_le_bytes(length);
        if length > size {
            return Err(not_whole(path));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(|_| not_whole(path))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|cause| not_whole(path).because(&cause))?;
        let start = 8 + length;
        if start + metadata.data_len() as u64 != size {
            return Err(not_whole(path));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            start,
            metadata,
        })
    }

    /// The names of all tensors, in their order as text.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort();
        names
    }

    /// One tensor, whose bytes are read to `buffer`.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when there is no such tensor, or it cannot be read any more.
    pub fn read<'a>(&mut self, name: &str, buffer: &'a mut Vec<u8>) -> Result<TensorView<'a>> {
        let path = &self.path;
        let info = self
            .metadata
            .info(name)
            .ok_or_else(|| Error::data(format!("{}: there is no tensor {name}", path.display())))?;
        let (first, end) = info.data_offsets;
        if buffer.capacity() < end - first {
            // Growing would hold the old bytes beside the new ones.
            *buffer = Vec::new();
            buffer.reserve_exact(end - first);
        }
        buffer.resize(end - first, 0);
        self.file
            .seek(SeekFrom::Start(self.start + first as u64))
            .and_then(|_| self.file.read_exact(buffer))
            .map_err(|cause| unreadable(path, &cause))?;
        TensorView::new(info.dtype, info.shape.clone(), buffer)
            .map_err(|cause| not_whole(path).because(&cause))
    }
}
