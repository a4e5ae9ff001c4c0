//! The tokenizer `{{name}}`: one token a byte, and one that ends a text. Nothing to train, and every text comes back.
//!
//! It never sees a path: the host reads and writes its files. Numbers cross packed, little-endian, one behind the other.

wit_bindgen::generate!({ path: "wit", world: "tokenizer-plugin" });

use codex::plugin::types::{
    EncodeOptions, Encoding, Error, ErrorKind, File, Ids, SpecialTokens, Texts, VocabularyInfo,
};
use exports::codex::plugin::tokenizer::Guest;
use serde_json::{Map, Value, json};

/// The id of the token that ends a text, and how it is written.
const END: u32 = 256;
const END_TEXT: &str = "<|endoftext|>";

struct {{Type}};

fn error(kind: ErrorKind, message: String) -> Error {
    Error { kind, message, hint: None, causes: vec![] }
}

/// The parts between offsets.
fn parts<'a>(bytes: &'a [u8], offsets: &[u8], width: usize) -> Vec<&'a [u8]> {
    let offsets: Vec<usize> = offsets
        .chunks_exact(8)
        .map(|offset| <[u8; 8]>::try_from(offset).map_or(0, u64::from_le_bytes) as usize * width)
        .collect();
    offsets.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn ids(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|id| <[u8; 4]>::try_from(id).map_or(0, u32::from_le_bytes))
}

fn pack(parts: &[Vec<u8>]) -> Texts {
    let (mut bytes, mut offsets) = (vec![], 0_u64.to_le_bytes().to_vec());
    for part in parts {
        bytes.extend(part);
        offsets.extend((bytes.len() as u64).to_le_bytes());
    }
    Texts { bytes, offsets }
}

/// The tokens of a text, each with the bytes that it stands for.
fn tokens(bytes: &[u8], parse: bool) -> Vec<(u32, usize, usize)> {
    let (mut tokens, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let (id, end) = match parse && bytes[at..].starts_with(END_TEXT.as_bytes()) {
            true => (END, at + END_TEXT.len()),
            false => (bytes[at].into(), at + 1),
        };
        tokens.push((id, at, end));
        at = end;
    }
    tokens
}

/// The bytes that a token stands for: one, or none for the token that ends a text.
fn token_bytes(id: u32) -> Result<Vec<u8>, Error> {
    match u8::try_from(id) {
        Ok(byte) => Ok(vec![byte]),
        Err(_) if id == END => Ok(vec![]),
        Err(_) => Err(error(ErrorKind::Data, format!("id {id} is not in the vocabulary of {}", END + 1))),
    }
}

/// The character that byte-level vocabularies write a byte as: itself where it can be seen, else one from U+0100 on.
fn visible(byte: u8) -> char {
    let seen = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match seen(&byte) {
        true => byte.into(),
        false => char::from_u32(0x100 + (0..byte).filter(|other| !seen(other)).count() as u32).unwrap_or('?'),
    }
}

/// What Hugging Face's readers open as the very same tokenizer: a byte-level BPE without merges.
fn tokenizer_json() -> Value {
    let vocabulary: Map<String, Value> = (0..=255).map(|byte| (visible(byte).into(), byte.into())).collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    let end = json!({"id": END, "content": END_TEXT, "single_word": false, "lstrip": false, "rstrip": false,
                     "normalized": false, "special": true});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [end], "normalizer": null,
           "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
           "model": {"type": "BPE", "vocab": vocabulary, "merges": []}})
}

impl Guest for {{Type}} {
    /// `files` are those of the folder that the configuration's `path` names; none without one.
    fn create(_name: String, config: String, files: Vec<File>) -> Result<(), Error> {
        let config: Value = serde_json::from_str(&config).unwrap_or_default();
        if let Some(path) = config["path"].as_str() {
            let file = files.iter().find(|file| file.name == "tokenizer.json");
            let saved = file.and_then(|file| serde_json::from_slice(&file.content).ok());
            if saved != Some(tokenizer_json()) {
                return Err(error(ErrorKind::Data, format!("{path} holds no tokenizer.json of this tokenizer")));
            }
        }
        Ok(())
    }
    fn vocabulary() -> Result<VocabularyInfo, Error> {
        let (end, none) = (Some(END), None);
        let special = SpecialTokens { bos: end, eos: end, pad: none, unk: none, cls: none, sep: none, mask: none };
        Ok(VocabularyInfo { size: END + 1, special, lossless: true, fingerprint: "{{name}}-1".into() })
    }
    fn encode(texts: Texts, options: EncodeOptions) -> Result<Encoding, Error> {
        let (mut ids, mut byte_offsets, mut count) = (vec![], vec![], 0_u64);
        let mut offsets = count.to_le_bytes().to_vec();
        let most = if options.max_length == 0 { usize::MAX } else { options.max_length as usize };
        for text in parts(&texts.bytes, &texts.offsets, 1) {
            for (id, start, end) in tokens(text, options.parse_special_tokens).into_iter().take(most) {
                ids.extend(id.to_le_bytes());
                count += 1;
                if options.byte_offsets {
                    byte_offsets.extend((start as u32).to_le_bytes());
                    byte_offsets.extend((end as u32).to_le_bytes());
                }
            }
            offsets.extend(count.to_le_bytes());
        }
        Ok(Encoding { sequences: Ids { ids, offsets }, byte_offsets })
    }
    fn decode(sequences: Ids, skip_special_tokens: bool) -> Result<Texts, Error> {
        let mut texts = vec![];
        for sequence in parts(&sequences.ids, &sequences.offsets, 4) {
            let mut bytes = vec![];
            for id in ids(sequence) {
                match id == END && !skip_special_tokens {
                    true => bytes.extend(END_TEXT.bytes()),
                    false => bytes.extend(token_bytes(id)?),
                }
            }
            texts.push(String::from_utf8_lossy(&bytes).into_owned().into_bytes());
        }
        Ok(pack(&texts))
    }
    fn token_bytes(all: Vec<u8>) -> Result<Texts, Error> {
        Ok(pack(&ids(&all).map(token_bytes).collect::<Result<Vec<_>, _>>()?))
    }
    fn token_texts(all: Vec<u8>) -> Result<Vec<Option<String>>, Error> {
        let text = |id| match u8::try_from(id) {
            Ok(byte) => Some(visible(byte).into()),
            Err(_) => (id == END).then(|| END_TEXT.to_owned()),
        };
        Ok(ids(&all).map(text).collect())
    }
    fn token_id(token: String) -> Result<Option<u32>, Error> {
        let byte = (0..=255_u8).find(|&byte| token.chars().eq([visible(byte)]));
        Ok(byte.map(u32::from).or((token == END_TEXT).then_some(END)))
    }
    fn save() -> Result<Vec<File>, Error> {
        Ok(vec![File { name: "tokenizer.json".into(), content: tokenizer_json().to_string().into_bytes() }])
    }
    fn feed(_texts: Texts) -> Result<(), Error> {
        Err(error(ErrorKind::Unsupported, "{{name}} has nothing to learn".into()))
    }
    fn finish_training() -> Result<(), Error> {
        Err(error(ErrorKind::Unsupported, "{{name}} has nothing to learn".into()))
    }
}

export!({{Type}});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read_only_where_asked_for() {
        assert_eq!(tokens(b"a<|endoftext|>", true), [(97, 0, 1), (END, 1, 14)]);
        assert_eq!(tokens(b"<|endoftext|>", false).len(), 13);
    }
}
