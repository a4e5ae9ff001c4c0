//! The token store: every document's ids in one file, made once and memory-mapped ever after.
//!
//! The file lies at `<cache>/tokens/<key>/tokens.bin`; the key is a digest of everything that changes its content. It is
//! only ever put in place whole, by rename, so several processes may build the same store at once. What is wrong with a
//! file that is there (truncated, another version, a flipped bit in the header) is told in a note, and it is built anew.

mod build;
mod format;
mod map;
mod records;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_plugin_api::{Result, Tokenizer};
use sha2::{Digest, Sha256};

use self::format::Header;
use self::map::Mapped;
use super::documents::Documents;
use super::encode::Framing;
use super::hex;
use crate::app::App;

pub use self::records::RecordStore;

/// All ids of some documents, one stream. Clones are cheap and share the mapping.
#[derive(Clone, Debug)]
pub struct TokenStore {
    file: Arc<Mapped>,
    header: Header,
    fingerprint: String,
    path: PathBuf,
}

impl TokenStore {
    /// Opens the store of these documents, framed, and this tokenizer below `cache`, or builds it.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when no document holds text, [`codex_plugin_api::ErrorKind::Interrupted`],
    /// [`codex_plugin_api::ErrorKind::Failed`] naming a file that cannot be written, and what dataset and tokenizer say.
    pub fn open_or_build(
        cache: &Path,
        documents: &Documents,
        tokenizer: &dyn Tokenizer,
        framing: Framing,
        app: &App,
    ) -> Result<Self> {
        let vocabulary = tokenizer.vocabulary()?;
        let key = key(&documents.fingerprint(), &vocabulary.fingerprint, framing);
        Self::open_or(cache, &key, app, |path| {
            build::build(path, &key, documents, tokenizer, framing, app)
        })
    }

    /// Opens the store of a key below `cache`; where it is not there or damaged, `build` must write it to the path.
    fn open_or(
        cache: &Path,
        key: &[u8; 32],
        app: &App,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let folder = cache.join("tokens").join(hex(key));
        let path = folder.join("tokens.bin");
        if path.exists() {
            match Self::open(&path, key) {
                Ok(store) => return Ok(store),
                Err(why) => app.output.note(format!(
                    "token store {} {why}; building it again",
                    path.display()
                )),
            }
        }
        build(&path)?;
        Self::open(&path, key).map_err(|why| {
            codex_plugin_api::Error::failed(format!(
                "token store {} {why} right after it was built",
                path.display()
            ))
            .hint("is the disk full or failing?")
        })
    }

    /// Opens a file and checks header and size; the error says what is wrong, to be read after the file's name.
    fn open(path: &Path, key: &[u8; 32]) -> Result<Self, String> {
        let file = Mapped::open(path).map_err(|error| format!("cannot be opened ({error})"))?;
        let header = Header::parse(file.bytes())?;
        if header.key != *key {
            return Err("belongs to other data".into());
        }
        Ok(Self {
            fingerprint: hex(&header.content),
            file: Arc::new(file),
            header,
            path: path.to_owned(),
        })
    }

    /// How many ids there are, those that frame documents included.
    pub fn tokens(&self) -> u64 {
        self.header.tokens
    }

    /// How many documents there are that hold text.
    pub fn documents(&self) -> u64 {
        self.header.documents
    }

    /// How many documents were left out because they are empty.
    pub fn empty_documents(&self) -> u64 {
        self.header.empty_documents
    }

    /// How many bytes of text the ids stand for.
    pub fn bytes(&self) -> u64 {
        self.header.bytes
    }

    /// The largest id: a model's vocabulary must be larger.
    pub fn largest_id(&self) -> u32 {
        self.header.largest_id
    }

    /// SHA-256 of the ids and document borders, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ids of a range of the stream, which must lie inside it.
    pub(crate) fn ids(&self, range: Range<u64>) -> impl ExactSizeIterator<Item = u32> {
        let bytes = &self.file.bytes()[self.header.ids(&range)];
        bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|chunk| u32::from_le_bytes(*chunk))
    }

    /// Where document `index` lies in the stream, which must be below their number.
    pub(crate) fn document(&self, index: u64) -> Range<u64> {
        let starts = self.file.bytes()[self.header.starts()].as_chunks::<8>().0;
        let end = starts.get(index as usize + 1);
        u64::from_le_bytes(starts[index as usize])
            ..end.map_or(self.tokens(), |next| u64::from_le_bytes(*next))
    }

    /// Where documents begin within a range of the stream.
    pub(crate) fn document_starts(&self, range: Range<u64>) -> impl Iterator<Item = u64> {
        let starts = self.file.bytes()[self.header.starts()].as_chunks::<8>().0;
        let first = starts.partition_point(|chunk| u64::from_le_bytes(*chunk) < range.start);
        starts[first..]
            .iter()
            .map(|chunk| u64::from_le_bytes(*chunk))
            .take_while(move |&start| start < range.end)
    }
}

/// Everything that changes a store's content.
fn key(documents: &str, tokenizer: &str, framing: Framing) -> [u8; 32] {
    let parts = serde_json::json!({
        "format": format::VERSION,
        "documents": documents,
        "tokenizer": tokenizer,
        // The digest of the rules that cleaned the texts, once sanitizers run at ingest.
        "sanitizer": null,
        "before": framing.before,
        "after": framing.after,
    });
    Sha256::digest(parts.to_string()).into()
}

#[cfg(test)]
mod tests;
