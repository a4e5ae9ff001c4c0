//! Tokenizers in WebAssembly.

use std::sync::OnceLock;

use codex_plugin_api::{
    EncodeOptions, Encoding, Error, Ids, Result, TextBuffer, Texts, Tokenizer, Vocabulary,
};
use serde_json::Value;

use super::bindings::exports::codex::plugin::tokenizer::{Guest as Calls, GuestIndices};
use super::guest::Guest;
use super::{convert, files};

pub(super) type Exports = GuestIndices;

/// Tokens whose bytes are asked for at once.
const CHUNK: u32 = 1 << 16;

struct WasmTokenizer {
    guest: Guest,
    calls: Calls,
    /// The bytes of all tokens with the offsets between them, asked for once: callers want one token at a time.
    bytes: OnceLock<(Vec<u8>, Vec<u64>)>,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Tokenizer + use<>> {
    let files = files::of_config(config)?;
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string(), &files))?;
    Ok(WasmTokenizer {
        guest,
        calls,
        bytes: OnceLock::new(),
    })
}

impl WasmTokenizer {
    fn all_bytes(&self) -> Result<&(Vec<u8>, Vec<u64>)> {
        if let Some(found) = self.bytes.get() {
            return Ok(found);
        }
        let size = self.vocabulary()?.size;
        let (mut bytes, mut offsets) = (Vec::new(), vec![0]);
        for first in (0..size).step_by(CHUNK as usize) {
            let ids: Vec<u32> = (first..size.min(first.saturating_add(CHUNK))).collect();
            let packed = convert::pack(&ids);
            let found = self
                .guest
                .call(|store| self.calls.call_token_bytes(store, &packed))?;
            let (more, ends) = convert::byte_strings(found, "bytes of tokens")?;
            if ends.len() != ids.len() + 1 {
                let message = format!("bytes came for {} of {} tokens", ends.len() - 1, ids.len());
                return Err(Error::data(message));
            }
            offsets.extend(ends[1..].iter().map(|end| end + bytes.len() as u64));
            bytes.extend(more);
        }
        Ok(self.bytes.get_or_init(|| (bytes, offsets)))
    }
}

impl Tokenizer for WasmTokenizer {
    fn vocabulary(&self) -> Result<Vocabulary> {
        let found = self.guest.call(|store| self.calls.call_vocabulary(store))?;
        Ok(convert::vocabulary(found))
    }

    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let given = convert::texts_to(texts);
        let found = self.guest.call(|store| {
            self.calls
                .call_encode(store, &given, convert::encode_options_to(options))
        })?;
        convert::encoding(found, texts.len(), options.byte_offsets)
    }

    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        let given = convert::ids_to(sequences);
        let found = self
            .guest
            .call(|store| self.calls.call_decode(store, &given, skip_special_tokens))?;
        convert::texts_exactly(found, sequences.len(), "texts")
    }

    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        let (bytes, offsets) = self.all_bytes()?;
        match offsets.get(id as usize..id as usize + 2) {
            Some(&[start, end]) => Ok(bytes[start as usize..end as usize].to_vec()),
            _ => Err(Error::data(format!(
                "id {id} is not in the vocabulary of {}",
                offsets.len() - 1
            ))),
        }
    }

    fn token_text(&self, id: u32) -> Result<Option<String>> {
        let ids = convert::pack(&[id]);
        let mut found = self
            .guest
            .call(|store| self.calls.call_token_texts(store, &ids))?;
        match (found.pop(), found.is_empty()) {
            (Some(text), true) => Ok(text),
            _ => Err(Error::data(
                "texts came for another number of tokens than 1",
            )),
        }
    }

    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        self.guest
            .call(|store| self.calls.call_token_id(store, token))
    }

    fn save(&self, folder: &str) -> Result<()> {
        let found = self.guest.call(|store| self.calls.call_save(store))?;
        files::write(folder, &found)
    }

    fn feed(&mut self, texts: Texts<'_>) -> Result<()> {
        let texts = convert::texts_to(texts);
        self.guest.call(|store| self.calls.call_feed(store, &texts))
    }

    fn finish_training(&mut self) -> Result<()> {
        self.bytes = OnceLock::new();
        self.guest
            .call(|store| self.calls.call_finish_training(store))
    }
}
