//! The token store of records: each record is as many documents as it has texts, unframed, and where there is a label one
//! document more that stands before them and holds a single word: the class's number in order of first appearance, or
//! the bits of the value. The names of classes lie beside it in `classes.json`, which is written first.

use std::collections::HashMap;
use std::path::Path;

use codex_plugin_api::{Context, Error, Result, TextBuffer, Tokenizer};
use sha2::{Digest, Sha256};

use super::TokenStore;
use super::build::{Writer, cannot_write};
use crate::app::App;
use crate::data::encode::encode_texts;
use crate::data::records::{Label, Record, Records};

const CLASSES: &str = "classes.json";

/// Records that are read and encoded at once.
const CHUNK: u64 = 2048;

/// All ids and labels of some records. Clones are cheap and share the mapping.
#[derive(Clone, Debug)]
pub struct RecordStore {
    tokens: TokenStore,
    texts: u64,
    labelled: bool,
    classes: Vec<String>,
}

impl RecordStore {
    /// Opens the store of these records and this tokenizer below `cache`, or builds it. Records without one of their
    /// texts or their label are left out.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Data`] when no record is whole, and as [`TokenStore::open_or_build`].
    pub fn open_or_build(
        cache: &Path,
        records: &Records,
        tokenizer: &dyn Tokenizer,
        app: &App,
    ) -> Result<Self> {
        let key = key(&records.fingerprint(), &tokenizer.vocabulary()?.fingerprint);
        let open = || {
            TokenStore::open_or(cache, &key, app, |path| {
                build(path, &key, records, tokenizer, app)
            })
        };
        let mut tokens = open()?;
        let file = tokens.path.with_file_name(CLASSES);
        let classes = if let Ok(classes) = read_classes(&file) {
            classes
        } else {
            build(&tokens.path.clone(), &key, records, tokenizer, app)?;
            tokens = open()?;
            read_classes(&file)?
        };
        Ok(Self {
            tokens,
            texts: records.text_columns().len() as u64,
            labelled: records.label_column().is_some(),
            classes,
        })
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.tokens.documents() / self.documents_each()
    }

    /// Whether there is none; never after [`Self::open_or_build`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many texts a record has.
    pub fn texts(&self) -> usize {
        self.texts as usize
    }

    /// How many records were left out because a text or the label is missing.
    pub fn left_out(&self) -> u64 {
        self.tokens.empty_documents()
    }

    /// How many tokens the texts have, special ones not counted.
    pub fn tokens(&self) -> u64 {
        self.tokens.tokens() - if self.labelled { self.len() } else { 0 }
    }

    /// The names of the classes in order of first appearance.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The store below: its path, fingerprint, bytes and largest id.
    pub fn store(&self) -> &TokenStore {
        &self.tokens
    }

    /// The class of record `index`: its place in [`Self::classes`].
    pub(crate) fn class(&self, index: u64) -> Option<usize> {
        self.word(index).map(|word| word as usize)
    }

    /// The value of record `index`.
    pub(crate) fn value(&self, index: u64) -> Option<f32> {
        self.word(index).map(f32::from_bits)
    }

    /// The ids of text `number` of record `index`.
    pub(crate) fn text(&self, index: u64, number: usize) -> Vec<u32> {
        let first = index * self.documents_each() + u64::from(self.labelled);
        let range = self.tokens.document(first + number as u64);
        self.tokens.ids(range).collect()
    }

    fn word(&self, index: u64) -> Option<u32> {
        let range = self.tokens.document(index * self.documents_each());
        self.tokens.ids(range).next().filter(|_| self.labelled)
    }

    fn documents_each(&self) -> u64 {
        self.texts + u64::from(self.labelled)
    }
}

/// Everything that changes a store's content.
fn key(records: &str, tokenizer: &str) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update("codex-ml records 1\0");
    for part in [records, tokenizer] {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().into()
}

fn read_classes(file: &Path) -> Result<Vec<String>> {
    let failed = || Error::failed(format!("cannot read {}", file.display()));
    let text = std::fs::read(file).or_error(failed)?;
    serde_json::from_slice(&text).or_error(failed)
}

fn build(
    path: &Path,
    key: &[u8; 32],
    records: &Records,
    tokenizer: &dyn Tokenizer,
    app: &App,
) -> Result<()> {
    let mut writer = Writer::create(path)?;
    let mut classes = Classes::default();
    let bar = app.output.bar(
        records.len(),
        "tokenizing {wide_bar} {human_pos}/{human_len} records, {eta} left",
    );
    let mut start = 0;
    while start < records.len() {
        if app.interrupt.requested() {
            return Err(Error::interrupted());
        }
        let chunk = records.read(start, CHUNK)?;
        start += CHUNK;
        bar.inc(chunk.len() as u64);
        let (whole, empty): (Vec<_>, Vec<_>) = chunk.into_iter().partition(Option::is_some);
        writer.header.empty_documents += empty.len() as u64;
        let whole: Vec<Record> = whole.into_iter().flatten().collect();
        let texts: TextBuffer = whole.iter().flat_map(|record| &record.texts).collect();
        let encoding = encode_texts(tokenizer, &texts)?;
        let mut encoded = encoding.sequences()?.iter();
        for record in &whole {
            let ids: Vec<&[u32]> = encoded.by_ref().take(record.texts.len()).collect();
            if ids.iter().any(|ids| ids.is_empty()) {
                // Text of which the tokenizer leaves nothing.
                writer.header.empty_documents += 1;
                continue;
            }
            let label = match &record.label {
                Label::None => None,
                Label::Class(name) => Some(classes.number(name)),
                Label::Value(value) => Some(value.to_bits()),
            };
            let written = label
                .map_or(Ok(()), |word| writer.push_words(&[word]))
                .and_then(|()| {
                    let mut texts = ids.iter().zip(&record.texts);
                    texts.try_for_each(|(ids, text)| writer.push(ids, text.len() as u64))
                });
            written.or_error(|| cannot_write(path))?;
        }
    }
    bar.finish_and_clear();
    if writer.header.documents == 0 {
        let columns = records.text_columns().iter().map(String::as_str);
        let columns: Vec<&str> = columns.chain(records.label_column()).collect();
        return Err(Error::data(format!(
            "none of the {} rows has something in each of the columns {}",
            records.len(),
            columns.join(", ")
        ))
        .hint("`codex-ml data inspect` shows the columns and the first rows"));
    }
    write_classes(&path.with_file_name(CLASSES), &classes.names)?;
    writer.place(path, *key)
}

fn write_classes(file: &Path, names: &[String]) -> Result<()> {
    let failed = || cannot_write(file);
    let folder = file.parent().unwrap_or(Path::new("."));
    let text = serde_json::to_vec(names).or_error(failed)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder).or_error(failed)?;
    std::io::Write::write_all(&mut temporary, &text).or_error(failed)?;
    temporary.as_file().sync_all().or_error(failed)?;
    match temporary.persist(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(failed().because(&error.error)),
    }
}

/// Numbers names in order of first appearance.
#[derive(Default)]
struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Classes {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}
