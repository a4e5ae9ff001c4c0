//! The tokenizer `{{name}}`: one token a byte, and one that ends a text. Nothing to train, and every text comes back.

use std::fs;

use codex_plugin_api::schemars::JsonSchema;
use codex_plugin_api::serde::Deserialize;
use codex_plugin_api::serde_json::{Map, Value, from_str, json};
use codex_plugin_api::{
    Context, EncodeOptions, Encoding, Error, FromConfig, HostRef, Ids, Result, SpecialTokens, TextBuffer, Texts,
    Tokenizer, Vocabulary,
};

/// The id of the token that ends a text, and how it is written.
const END: u32 = 256;
const END_TEXT: &str = "<|endoftext|>";

#[derive(Default, Deserialize, JsonSchema)]
#[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
#[schemars(crate = "codex_plugin_api::schemars")]
struct Config {
    /// A folder that this tokenizer saved.
    path: Option<String>,
}

struct {{Type}};

impl FromConfig for {{Type}} {
    type Config = Config;
    fn from_config(config: Config, _host: HostRef) -> Result<Self> {
        if let Some(path) = config.path {
            let file = format!("{path}/tokenizer.json");
            let text = fs::read_to_string(&file).or_error(|| Error::data(format!("cannot read {file}")))?;
            if from_str::<Value>(&text).ok() != Some(tokenizer_json()) {
                return Err(Error::data(format!("{file} is another tokenizer's")).hint("leave tokenizer.path out"));
            }
        }
        Ok(Self)
    }
}

/// The tokens of a text, each with the bytes that it stands for.
fn tokens(text: &str, parse: bool) -> Vec<(u32, usize, usize)> {
    let (bytes, mut tokens, mut at) = (text.as_bytes(), Vec::with_capacity(text.len()), 0);
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

impl Tokenizer for {{Type}} {
    fn vocabulary(&self) -> Result<Vocabulary> {
        let special = SpecialTokens { bos: Some(END), eos: Some(END), ..SpecialTokens::default() };
        Ok(Vocabulary { size: END + 1, special, lossless: true, fingerprint: "{{name}}-1".into() })
    }
    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let mut encoding = Encoding { sequence_offsets: vec![0], ..Encoding::default() };
        let most = if options.max_length == 0 { usize::MAX } else { options.max_length as usize };
        for text in texts.iter() {
            for (id, start, end) in tokens(text, options.parse_special_tokens).into_iter().take(most) {
                encoding.ids.push(id);
                if options.byte_offsets {
                    encoding.byte_offsets.extend([start as u32, end as u32]);
                }
            }
            encoding.sequence_offsets.push(encoding.ids.len() as u64);
        }
        Ok(encoding)
    }
    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        let mut texts = Vec::new();
        for ids in sequences.iter() {
            let mut bytes = Vec::new();
            for &id in ids {
                match id == END && !skip_special_tokens {
                    true => bytes.extend(END_TEXT.bytes()),
                    false => bytes.extend(self.token_bytes(id)?),
                }
            }
            texts.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        Ok(texts.into_iter().collect())
    }
    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        match u8::try_from(id) {
            Ok(byte) => Ok(vec![byte]),
            Err(_) if id == END => Ok(Vec::new()),
            Err(_) => Err(Error::data(format!("id {id} is not in the vocabulary of {}", END + 1))),
        }
    }
    fn token_text(&self, id: u32) -> Result<Option<String>> {
        let end = (id == END).then(|| END_TEXT.to_owned());
        Ok(u8::try_from(id).ok().map(|byte| visible(byte).into()).or(end))
    }
    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        let byte = (0..=255_u8).find(|&byte| token.chars().eq([visible(byte)]));
        Ok(byte.map(u32::from).or((token == END_TEXT).then_some(END)))
    }
    fn save(&self, folder: &str) -> Result<()> {
        let file = format!("{folder}/tokenizer.json");
        fs::write(&file, tokenizer_json().to_string()).or_error(|| Error::failed(format!("cannot write {file}")))
    }
}

codex_plugin_api::plugin! { tokenizer "{{name}}" => {{Type}} }

#[cfg(test)]
mod tests {
    use super::*;
    use codex_plugin_api::testing;

    #[test]
    fn it_keeps_the_contract_of_a_tokenizer() {
        testing::check_tokenizer::<{{Type}}>(json!({}));
    }

    #[test]
    fn the_end_is_read_only_where_asked_for() {
        assert_eq!(tokens("a<|endoftext|>", true), [(97, 0, 1), (END, 1, 14)]);
        assert_eq!(tokens("<|endoftext|>", false).len(), 13);
    }
}
