//! Builds a token store in bounded memory: documents in batches through the tokenizer, ids straight to a temporary file,
//! document borders to a second one that is appended at the end; then sync and rename. Records are written by
//! [`super::records`] with the same writer.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use codex_plugin_api::{Context, Error, Result, Tokenizer};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::format::{HEADER, Header};
use crate::app::App;
use crate::data::documents::Documents;
use crate::data::encode::{DocumentReader, Framing, encode_documents};

/// Text that one call of the tokenizer gets: enough to keep all cores busy, little enough to hold.
const BATCH_BYTES: u64 = 2 << 20;

/// Writes the store to `path`.
pub(super) fn build(
    path: &Path,
    key: &[u8; 32],
    documents: &Documents,
    tokenizer: &dyn Tokenizer,
    framing: Framing,
    app: &App,
) -> Result<()> {
    let cannot_write = || cannot_write(path);
    let mut writer = Writer::create(path)?;

    let bar = app.output.bar(
        documents.len(),
        "tokenizing {wide_bar} {human_pos}/{human_len} documents, {eta} left",
    );
    let mut reader = DocumentReader::new(documents, None, BATCH_BYTES);
    while let Some(batch) = reader.read()? {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        let framed = encode_documents(tokenizer, framing, &batch)?;
        for (document, ids) in batch.iter().zip(framed.iter()) {
            writer
                .push(ids, document.text.len() as u64)
                .or_error(cannot_write)?;
        }
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    if writer.header.tokens == 0 {
        return Err(Error::data(format!(
            "none of the {} documents holds any text in column {:?}",
            documents.len(),
            documents.column()
        ))
        .hint("`codex-ml data inspect` shows the columns and the first rows"));
    }
    writer.place(path, *key)
}

pub(super) fn cannot_write(path: &Path) -> Error {
    Error::failed(format!("cannot write the token store {}", path.display()))
        .hint("free some space, or choose another folder for the cache")
}

pub(super) struct Writer {
    ids: BufWriter<NamedTempFile>,
    starts: BufWriter<File>,
    sha: Sha256,
    pub(super) header: Header,
}

impl Writer {
    /// A writer of the file that will be at `path`, whose folder is made.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)
            .and_then(|()| Self::new(folder))
            .or_error(|| cannot_write(path))
    }

    fn new(folder: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tokens-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any other file (the process's mask applies): a cache may be shared.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut ids = BufWriter::with_capacity(1 << 20, builder.tempfile_in(folder)?);
        ids.write_all(&[0; HEADER])?;
        let starts = BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(folder)?);
        let header = Header {
            key: [0; 32],
            tokens: 0,
            documents: 0,
            bytes: 0,
            empty_documents: 0,
            largest_id: 0,
            content: [0; 32],
        };
        Ok(Self {
            ids,
            starts,
            sha: Sha256::new(),
            header,
        })
    }

    /// Appends a document; an empty one is only counted.
    pub(super) fn push(&mut self, ids: &[u32], bytes: u64) -> io::Result<()> {
        if ids.is_empty() {
            self.header.empty_documents += 1;
            return Ok(());
        }
        self.header.largest_id = ids.iter().copied().fold(self.header.largest_id, u32::max);
        self.header.bytes += bytes;
        self.push_words(ids)
    }

    /// Appends a document of words that are no ids of the vocabulary.
    pub(super) fn push_words(&mut self, ids: &[u32]) -> io::Result<()> {
        self.starts.write_all(&self.header.tokens.to_le_bytes())?;
        let raw: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        self.write(&raw)?;
        self.header.tokens += ids.len() as u64;
        self.header.documents += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sha.update(bytes);
        self.ids.write_all(bytes)
    }

    /// Puts the file in its place, whole.
    pub(super) fn place(self, path: &Path, key: [u8; 32]) -> Result<()> {
        let file = self.finish(key).or_error(|| cannot_write(path))?;
        match file.persist(path) {
            Ok(_) => {}
            // Windows refuses to replace a file that another process has mapped; then that process built the same store.
            Err(_) if cfg!(windows) && super::TokenStore::open(path, &key).is_ok() => {}
            Err(error) => return Err(cannot_write(path).because(&error.error)),
        }
        sync_folder(path.parent().unwrap_or(Path::new(".")));
        Ok(())
    }

    /// Appends the beginnings of documents, writes the header and syncs.
    fn finish(mut self, key: [u8; 32]) -> io::Result<NamedTempFile> {
        let end = HEADER + 4 * self.header.tokens as usize;
        self.write(&[0; 8][..end.next_multiple_of(8) - end])?;
        self.starts.flush()?;
        self.starts.seek(SeekFrom::Start(0))?;
        let mut starts = BufReader::with_capacity(1 << 16, self.starts.into_inner()?);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = starts.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.sha.update(&buffer[..read]);
            self.ids.write_all(&buffer[..read])?;
        }
        self.header.key = key;
        self.header.content = self.sha.finalize().into();
        let mut file = self.ids.into_inner()?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&self.header.to_bytes())?;
        file.as_file().sync_all()?;
        Ok(file)
    }
}

/// Makes a rename durable where the system can. A failure only means that a power cut may cost the store.
fn sync_folder(folder: &Path) {
    #[cfg(unix)]
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    #[cfg(not(unix))]
    let _ = folder;
}
