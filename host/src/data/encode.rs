//! Documents to framed ids: read in batches of bounded size, cut where a single text is huge, encoded, and framed by
//! the tokens that begin and end a text.

use codex_plugin_api::{
    EncodeOptions, Encoding, Error, ErrorKind, Result, SpecialTokens, TextBuffer, Tokenizer,
};

use super::documents::{Document, Documents};

/// Texts longer than this are encoded in pieces, so that one enormous document does not need enormous memory.
const PIECE_BYTES: usize = 1 << 20;

/// After so many bytes of text the tokenizer is called, even within a document.
const CALL_BYTES: usize = 4 << 20;

/// The tokens around every document: a causal model predicts a text's first token from `before` and learns to stop
/// from `after`; a masked one is shown where a text begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// Stands before every text.
    pub before: Option<u32>,
    /// Stands after every text.
    pub after: Option<u32>,
}

impl Framing {
    /// What a causal model's texts are framed by, as far as a tokenizer's special tokens allow.
    pub fn of(special: &SpecialTokens) -> Self {
        Self {
            before: special.bos.or(special.eos),
            after: special.eos,
        }
    }

    /// What an encoder's texts are framed by: `[CLS]` and `[SEP]` where the tokenizer has them.
    pub fn of_encoder(special: &SpecialTokens) -> Self {
        Self {
            before: special.cls.or(special.bos),
            after: special.sep.or(special.eos),
        }
    }
}

/// Framed ids of some documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framed {
    pub(crate) ids: Vec<u32>,
    /// One more than there are documents. An empty text has an empty range: it is not framed.
    pub(crate) offsets: Vec<u64>,
}

impl Framed {
    /// The ids of each document.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.offsets
            .windows(2)
            .map(|pair| &self.ids[pair[0] as usize..pair[1] as usize])
    }
}

/// Encodes and frames documents.
///
/// # Errors
/// The tokenizer's own, or [`ErrorKind::Plugin`] when it gives another number of sequences than there were texts.
pub(crate) fn encode_documents(
    tokenizer: &dyn Tokenizer,
    framing: Framing,
    documents: &[Document],
) -> Result<Framed> {
    let mut framed = Framed {
        ids: Vec::new(),
        offsets: vec![0],
    };
    let mut call = Call::default();
    for document in documents {
        let length = document.text.len();
        let mut at = 0;
        for piece in cut(&document.text, PIECE_BYTES) {
            let begins = at == 0;
            at += piece.len();
            call.texts.push(piece);
            call.pieces.push((begins, at == length));
            call.bytes += piece.len();
            if call.bytes >= CALL_BYTES {
                std::mem::take(&mut call).encode(tokenizer, framing, &mut framed)?;
            }
        }
        if length == 0 {
            // Its place in the order is behind what waits.
            call.texts.push("");
            call.pieces.push((false, true));
        }
    }
    call.encode(tokenizer, framing, &mut framed)?;
    Ok(framed)
}

/// Encodes texts without special tokens.
///
/// # Errors
/// The tokenizer's own, or [`ErrorKind::Plugin`] when it gives another number of sequences than there were texts.
pub(crate) fn encode_texts(tokenizer: &dyn Tokenizer, texts: &TextBuffer) -> Result<Encoding> {
    let encoding = tokenizer.encode(texts.as_texts(), EncodeOptions::default())?;
    let found = encoding.sequences()?.len();
    if found != texts.len() {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!(
                "the tokenizer gave {found} sequences for {} texts",
                texts.len()
            ),
        ));
    }
    Ok(encoding)
}

/// What one call of the tokenizer gets.
#[derive(Default)]
struct Call {
    texts: TextBuffer,
    /// Of each text, whether it begins and whether it ends a document; an empty document only ends.
    pieces: Vec<(bool, bool)>,
    bytes: usize,
}

impl Call {
    fn encode(
        self,
        tokenizer: &dyn Tokenizer,
        framing: Framing,
        framed: &mut Framed,
    ) -> Result<()> {
        let encoding = encode_texts(tokenizer, &self.texts)?;
        let sequences = encoding.sequences()?;
        let texts = self.texts.as_texts();
        for ((sequence, text), (begins, ends)) in
            sequences.iter().zip(texts.iter()).zip(self.pieces)
        {
            if begins {
                framed.ids.extend(framing.before);
            }
            if !text.is_empty() {
                framed.ids.extend_from_slice(sequence);
                if ends {
                    framed.ids.extend(framing.after);
                }
            }
            if ends {
                framed.offsets.push(framed.ids.len() as u64);
            }
        }
        Ok(())
    }
}

/// Cuts a text into pieces of about `limit` bytes, in front of the blank before a word: there every usual pre-tokenizer
/// divides anyway, so the ids are those of the whole text. An empty text has no piece.
fn cut(text: &str, limit: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = if rest.len() <= limit {
            rest.len()
        } else {
            cut_position(rest, limit)
        };
        let (piece, after) = rest.split_at(at);
        rest = after;
        Some(piece)
    })
}

fn cut_position(text: &str, limit: usize) -> usize {
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut next = None;
    for (at, character) in text[..end].char_indices().rev() {
        if at == 0 {
            break;
        }
        if character.is_whitespace() && next.is_some_and(|next: char| !next.is_whitespace()) {
            return at;
        }
        next = Some(character);
    }
    end
}

/// Reads documents in batches of about `bytes` bytes of text, however long or short they are.
#[derive(Debug)]
pub struct DocumentReader<'a> {
    documents: &'a Documents,
    next: u64,
    end: u64,
    bytes: u64,
    count: u64,
}

impl<'a> DocumentReader<'a> {
    /// A reader of the first `limit` documents, or all.
    pub fn new(documents: &'a Documents, limit: Option<u64>, bytes: u64) -> Self {
        Self {
            documents,
            next: 0,
            end: limit.unwrap_or(u64::MAX).min(documents.len()),
            bytes,
            count: 16,
        }
    }

    /// The next documents; `None` at the end.
    ///
    /// # Errors
    /// As [`Documents::read`].
    pub fn read(&mut self) -> Result<Option<Vec<Document>>> {
        if self.next >= self.end {
            return Ok(None);
        }
        let batch = self
            .documents
            .read(self.next, self.count.min(self.end - self.next))?;
        let read = batch.len() as u64;
        self.next += read;
        let bytes: u64 = batch
            .iter()
            .map(|document| document.text.len() as u64)
            .sum();
        // Lengths vary, so the next batch is at most four times as large as this one.
        let fitting = self.bytes * read / bytes.max(1);
        self.count = fitting.clamp(1, (4 * self.count).min(1 << 16));
        Ok(Some(batch))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::{ByteTokenizer, MemoryDataset};

    #[test]
    fn documents_are_framed_and_empty_ones_are_not() {
        let documents = ["ab", "", "c"].map(|text| Document {
            text: text.into(),
            log_probability: None,
        });
        let framing = Framing {
            before: Some(256),
            after: Some(257),
        };
        let framed = encode_documents(&ByteTokenizer, framing, &documents).unwrap();
        assert_eq!(
            framed.iter().collect::<Vec<_>>(),
            [&[256, 97, 98, 257][..], &[], &[256, 99, 257]]
        );
    }

    #[test]
    fn long_texts_are_cut_before_the_blank_before_a_word() {
        let check = |text: &str, limit, expected: &[&str]| {
            let pieces: Vec<&str> = cut(text, limit).collect();
            assert_eq!(pieces, expected);
            assert_eq!(pieces.concat(), text);
        };
        check("one two three", 8, &["one", " two", " three"]);
        check("one  two", 6, &["one ", " two"]);
        check("abcdefgh", 3, &["abc", "def", "gh"]);
        check("čččč", 3, &["č", "č", "č", "č"]);
        check("", 3, &[]);
    }

    #[test]
    fn a_document_in_pieces_is_framed_once() {
        let text = "word ".repeat(2 * CALL_BYTES / 5);
        let document = Document {
            text: text.clone(),
            log_probability: None,
        };
        let framing = Framing {
            before: Some(256),
            after: Some(256),
        };
        let documents = [Document::default(), document, Document::default()];
        let framed = encode_documents(&ByteTokenizer, framing, &documents).unwrap();
        let length = text.len() as u64 + 2;
        assert_eq!(framed.offsets, [0, 0, length, length]);
        let ends = |id: Option<&u32>| id == Some(&256);
        assert!(ends(framed.ids.first()) && ends(framed.ids.last()));
        assert_eq!(framed.ids.iter().filter(|&&id| id == 256).count(), 2);
    }

    #[test]
    fn the_reader_keeps_batches_near_the_asked_size() {
        let texts = (0..5000).map(|n| "x".repeat(n % 200));
        let documents = Documents::open(Box::new(MemoryDataset::new(texts)), None).unwrap();
        let mut reader = DocumentReader::new(&documents, Some(4000), 10_000);
        let (mut total, mut batches) = (0, 0);
        while let Some(batch) = reader.read().unwrap() {
            let bytes: usize = batch.iter().map(|document| document.text.len()).sum();
            assert!(bytes < 60_000, "{bytes}");
            total += batch.len();
            batches += 1;
        }
        assert_eq!(total, 4000);
        assert!(batches < 120, "{batches}");
    }
}
