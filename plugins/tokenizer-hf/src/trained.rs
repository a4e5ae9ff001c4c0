//! A tokenizer that encodes: batches on all threads, exact byte spans, decoding, bytes of tokens.

use std::fmt::Write as _;

use codex_plugin_api::serde_json::{self, Map, Value};
use codex_plugin_api::{
    EncodeOptions, Encoding, Error, Ids, Result, TextBuffer, Texts, Vocabulary,
};
use sha2::{Digest, Sha256};
use tokenizers::{ModelWrapper, PostProcessor, Tokenizer};

use crate::bytes::{TokenBytes, is_divisible, is_lossless};
use crate::literal::literal;
use crate::pieces::{Piece, border, pieces};
use crate::roles::Roles;
use crate::threads::Threads;

/// A text of a divisible tokenizer is encoded in parts of about this size.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) struct Trained {
    tokenizer: Tokenizer,
    /// The same, but special tokens that are written in a text are text.
    literal: Tokenizer,
    roles: Roles,
    /// `tokenizer_config.json` as it was found, or empty.
    settings: Map<String, Value>,
    vocabulary: Vocabulary,
    tokens: TokenBytes,
    divisible: bool,
    longest_token: usize,
}

/// The ids of one piece and, where asked for, their spans within it.
#[derive(Default)]
struct Encoded {
    ids: Vec<u32>,
    spans: Vec<usize>,
}

impl Trained {
    pub(crate) fn new(
        mut tokenizer: Tokenizer,
        roles: Roles,
        settings: Map<String, Value>,
    ) -> Result<Self> {
        let broken =
            |error: tokenizers::Error| Error::data(format!("the tokenizer is broken: {error}"));
        // Cutting and padding are the caller's, per call; a random encoding could never be repeated.
        tokenizer.with_truncation(None).map_err(broken)?;
        tokenizer.with_padding(None);
        if let ModelWrapper::BPE(model) = tokenizer.get_model()
            && model.dropout.is_some()
        {
            let mut model = model.clone();
            model.dropout = None;
            tokenizer.with_model(model);
        }
        let tokens = TokenBytes::of(&tokenizer);
        if tokens.size() == 0 {
            return Err(Error::data("the tokenizer has an empty vocabulary"));
        }
        let special = roles.ids(&tokenizer);
        let lossless = is_lossless(&tokenizer);
        let text = tokenizer.to_string(false).map_err(broken)?;
        let roles_text = serde_json::to_string(&special).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(text)
            .chain_update(roles_text)
            .finalize();
        let fingerprint = digest.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let size = tokens.size() as u32;
        let literal = literal(&tokenizer, &tokens).map_err(broken)?;
        Ok(Self {
            divisible: lossless && is_divisible(&tokenizer),
            longest_token: tokens.longest().max(1),
            vocabulary: Vocabulary {
                size,
                special,
                lossless,
                fingerprint,
            },
            tokenizer,
            literal,
            roles,
            settings,
            tokens,
        })
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    pub(crate) fn roles(&self) -> &Roles {
        &self.roles
    }

    pub(crate) fn settings(&self) -> &Map<String, Value> {
        &self.settings
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(crate) fn encode(
        &self,
        texts: Texts<'_>,
        options: EncodeOptions,
        threads: &Threads,
    ) -> Result<Encoding> {
        if options.byte_offsets
            && let Some(long) = texts.iter().find(|text| u32::try_from(text.len()).is_err())
        {
            return Err(Error::data(format!(
                "a text of {} bytes is too long for 32-bit byte offsets",
                long.len()
            )));
        }
        let adds = options.add_special_tokens
            && self
                .tokenizer
                .get_post_processor()
                .is_some_and(|processor| processor.added_tokens(false) > 0);
        let whole = !self.divisible || adds || options.max_length > 0;
        let pieces = pieces(texts, (!whole).then_some(PIECE_BYTES));
        let encoded = threads.map(
            &pieces,
            |piece| piece.text.len(),
            |piece| self.encode_piece(piece, options),
        )?;
        let total = encoded.iter().map(|part| part.ids.len()).sum();
        let mut all = Encoding {
            ids: Vec::with_capacity(total),
            sequence_offsets: Vec::with_capacity(texts.len() + 1),
            byte_offsets: Vec::with_capacity(if options.byte_offsets { 2 * total } else { 0 }),
        };
        all.sequence_offsets.push(0);
        for (piece, part) in pieces.iter().zip(encoded) {
            all.ids.extend(part.ids);
            all.byte_offsets
                .extend(part.spans.iter().map(|&at| (piece.start + at) as u32));
            if piece.last {
                all.sequence_offsets.push(all.ids.len() as u64);
            }
        }
        Ok(all)
    }

    fn encode_piece(&self, piece: &Piece<'_>, options: EncodeOptions) -> Result<Encoded> {
        let mut text = piece.text;
        if text.is_empty() && !options.add_special_tokens {
            return Ok(Encoded::default());
        }
        let most = if options.max_length == 0 {
            usize::MAX
        } else {
            options.max_length as usize
        };
        if self.divisible
            && most < text.len()
            && let Some(end) = border(text, most.saturating_mul(self.longest_token))
        {
            text = &text[..end];
        }
        let exact = self.vocabulary.lossless;
        let tokenizer = if options.parse_special_tokens {
            &self.tokenizer
        } else {
            &self.literal
        };
        let encoding = if options.byte_offsets && !exact {
            tokenizer.encode(text, options.add_special_tokens)
        } else {
            tokenizer.encode_fast(text, options.add_special_tokens)
        }
        .map_err(|error| {
            Error::data(format!(
                "a text of {} bytes cannot be encoded: {error}",
                text.len()
            ))
        })?;
        let added = encoding.get_special_tokens_mask();
        let mut room = most.saturating_sub(added.iter().map(|&mark| mark as usize).sum());
        let mut result = Encoded {
            ids: Vec::with_capacity(encoding.len().min(most)),
            spans: Vec::new(),
        };
        let mut end = 0;
        for (at, &id) in encoding.get_ids().iter().enumerate() {
            let is_added = added[at] != 0;
            if result.ids.len() == most || (!is_added && room == 0) {
                continue;
            }
            room -= usize::from(!is_added);
            result.ids.push(id);
            if options.byte_offsets {
                let span = match (is_added, exact) {
                    (true, _) => (end, end),
                    // The library gives each part of a split character the whole character's span.
                    (false, true) => (end, end + self.tokens.get(id).len()),
                    (false, false) => encoding.get_offsets()[at],
                };
                result.spans.extend([span.0, span.1]);
                end = span.1;
            }
        }
        Ok(result)
    }

    pub(crate) fn decode(
        &self,
        sequences: Ids<'_>,
        skip_special_tokens: bool,
        threads: &Threads,
    ) -> Result<TextBuffer> {
        if let Some(&id) = sequences
            .ids()
            .iter()
            .find(|&&id| !self.tokens.is_known(id))
        {
            return Err(self.unknown(id));
        }
        let sequences: Vec<&[u32]> = sequences.iter().collect();
        let texts = threads.map(
            &sequences,
            |ids| ids.len() * 4,
            |ids| {
                if self.vocabulary.lossless {
                    let kept = ids
                        .iter()
                        .filter(|&&id| !(skip_special_tokens && self.tokens.is_special(id)));
                    let bytes: Vec<u8> =
                        kept.flat_map(|&id| self.tokens.get(id)).copied().collect();
                    return Ok(String::from_utf8_lossy(&bytes).into_owned());
                }
                let skipped = |id: &u32| skip_special_tokens && self.tokens.is_special(*id);
                if ids.iter().all(skipped) {
                    return Ok(String::new());
                }
                self.tokenizer
                    .decode(ids, skip_special_tokens)
                    .map_err(|error| {
                        Error::data(format!("{} ids cannot be decoded: {error}", ids.len()))
                    })
            },
        )?;
        Ok(texts.into_iter().collect())
    }

    pub(crate) fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        match self.tokens.is_known(id) {
            true if self.tokens.is_special(id) => Ok(Vec::new()),
            true => Ok(self.tokens.get(id).to_vec()),
            false => Err(self.unknown(id)),
        }
    }

    fn unknown(&self, id: u32) -> Error {
        Error::data(format!(
            "id {id} is not in the vocabulary of {} ids",
            self.vocabulary.size
        ))
        .hint("check that the model and the tokenizer come from the same folder")
    }
}
