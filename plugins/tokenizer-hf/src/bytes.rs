//! Which bytes a token stands for, and whether a tokenizer gives every text back.

use codex_plugin_api::serde_json::{self, Value};
use tokenizers::{Model, ModelWrapper, Tokenizer};

/// GPT-2's visible character for every byte (Radford et al. 2019, `bytes_to_unicode`).
pub(crate) fn alphabet() -> [char; 256] {
    let mut next = 256;
    std::array::from_fn(|byte| {
        let visible = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if visible { byte as u32 } else { next };
        next += u32::from(!visible);
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    })
}

/// The bytes of every token by id; `None` for ids that do not exist.
pub(crate) struct TokenBytes {
    bytes: Vec<u8>,
    /// Where each token starts; the end is the next one's start.
    starts: Vec<usize>,
    known: Vec<bool>,
    special: Vec<bool>,
}

impl TokenBytes {
    pub(crate) fn of(tokenizer: &Tokenizer) -> Self {
        let vocabulary = tokenizer.get_vocab(true);
        let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
        let mut by_id: Vec<Option<&str>> = vec![None; size];
        for (token, &id) in &vocabulary {
            by_id[id as usize] = Some(token);
        }
        let added = tokenizer.get_added_vocabulary();
        let steps = steps(tokenizer);
        let mut table = Self {
            bytes: Vec::new(),
            starts: Vec::with_capacity(size + 1),
            known: by_id.iter().map(Option::is_some).collect(),
            special: by_id
                .iter()
                .map(|token| token.is_some_and(|token| added.is_special_token(token)))
                .collect(),
        };
        for (id, token) in by_id.iter().enumerate() {
            table.starts.push(table.bytes.len());
            let Some(token) = token else { continue };
            match added.get_added_tokens_decoder().get(&(id as u32)) {
                Some(entry) => table.bytes.extend(entry.content.as_bytes()),
                None => table.bytes.extend(token_bytes(token, &steps)),
            }
        }
        table.starts.push(table.bytes.len());
        table
    }

    /// One more than the highest id.
    pub(crate) fn size(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn is_known(&self, id: u32) -> bool {
        self.known.get(id as usize) == Some(&true)
    }

    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize) == Some(&true)
    }

    /// What the token is written as in a text, special tokens too; empty for an id that does not exist.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match (self.starts.get(id), self.starts.get(id + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start..end],
            _ => &[],
        }
    }

    /// The most bytes that one token stands for.
    pub(crate) fn longest(&self) -> usize {
        self.starts
            .windows(2)
            .map(|two| two[1] - two[0])
            .max()
            .unwrap_or(0)
    }
}

/// What a decoder does to a single token.
enum Step {
    ByteLevel,
    Replace(String, String),
    ByteFallback,
    Prefix(String),
}

fn steps(tokenizer: &Tokenizer) -> Vec<Step> {
    let mut steps = Vec::new();
    collect_steps(&as_json(tokenizer.get_decoder()), &mut steps);
    steps
}

fn collect_steps(decoder: &Value, steps: &mut Vec<Step>) {
    let text = |key: &str| decoder[key].as_str().unwrap_or_default().to_owned();
    match decoder["type"].as_str().unwrap_or_default() {
        "ByteLevel" => steps.push(Step::ByteLevel),
        "ByteFallback" => steps.push(Step::ByteFallback),
        "WordPiece" => steps.push(Step::Prefix(text("prefix"))),
        "Metaspace" => steps.push(Step::Replace(text("replacement"), " ".into())),
        "BPEDecoder" => steps.push(Step::Replace(text("suffix"), " ".into())),
        "Replace" => {
            if let Some(pattern) = decoder["pattern"]["String"].as_str() {
                steps.push(Step::Replace(pattern.to_owned(), text("content")));
            }
        }
        "Sequence" => {
            for inner in decoder["decoders"].as_array().into_iter().flatten() {
                collect_steps(inner, steps);
            }
        }
        // `Fuse` joins tokens and `Strip` trims a whole text: neither changes what one token stands for.
        _ => {}
    }
}

fn token_bytes(token: &str, steps: &[Step]) -> Vec<u8> {
    let mut text = token.to_owned();
    for step in steps {
        match step {
            Step::ByteLevel => return byte_level(&text).unwrap_or_else(|| text.into_bytes()),
            Step::Replace(from, to) if !from.is_empty() => text = text.replace(from, to),
            Step::Replace(..) => {}
            Step::ByteFallback => {
                let digits = text
                    .strip_prefix("<0x")
                    .and_then(|rest| rest.strip_suffix('>'));
                if let Some(Ok(byte)) = digits
                    .filter(|d| d.len() == 2)
                    .map(|d| u8::from_str_radix(d, 16))
                {
                    return vec![byte];
                }
            }
            Step::Prefix(prefix) => {
                if let Some(rest) = text.strip_prefix(prefix.as_str()) {
                    text = String::from(rest);
                }
            }
        }
    }
    text.into_bytes()
}

/// The bytes of a token in GPT-2's alphabet; `None` when it holds another character.
fn byte_level(token: &str) -> Option<Vec<u8>> {
    token
        .chars()
        .map(|c| match c as u32 {
            code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
            code @ 0x100..=0x120 => Some((code - 0x100) as u8),
            code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
            0x143 => Some(0xad),
            _ => None,
        })
        .collect()
}

/// Whether every text decodes to itself: bytes in, bytes out, and nothing that changes or drops any.
pub(crate) fn is_lossless(tokenizer: &Tokenizer) -> bool {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else {
        return false;
    };
    let absent = |affix: &Option<String>| affix.as_deref().unwrap_or_default().is_empty();
    let whole_alphabet = alphabet()
        .iter()
        .all(|c| model.token_to_id(&c.to_string()).is_some());
    let normalizer = as_json(tokenizer.get_normalizer());
    let identity = normalizer.is_null()
        || normalizer["normalizers"]
            .as_array()
            .is_some_and(Vec::is_empty);
    let decoder = as_json(tokenizer.get_decoder());
    let added = tokenizer.get_added_vocabulary().get_added_tokens_decoder();
    whole_alphabet
        && identity
        && absent(&model.continuing_subword_prefix)
        && absent(&model.end_of_word_suffix)
        && decoder["type"] == "ByteLevel"
        && keeps_bytes(&as_json(tokenizer.get_pre_tokenizer()))
        && added.values().all(|token| {
            let decoded = byte_level(&token.content);
            !token.lstrip
                && !token.rstrip
                && decoded.is_none_or(|bytes| bytes == token.content.as_bytes())
        })
}

/// Whether a long text may be divided at the borders that [`crate::pieces::border`] finds: it must be lossless.
pub(crate) fn is_divisible(tokenizer: &Tokenizer) -> bool {
    let pre_tokenizer = as_json(tokenizer.get_pre_tokenizer());
    let added = tokenizer.get_added_vocabulary().get_vocab();
    pre_tokenizer["type"] == "ByteLevel"
        && pre_tokenizer["use_regex"] == true
        && added.keys().all(|token| !token.contains(' '))
}

fn keeps_bytes(pre_tokenizer: &Value) -> bool {
    match pre_tokenizer["type"].as_str().unwrap_or_default() {
        "ByteLevel" => pre_tokenizer["add_prefix_space"] == false,
        "Sequence" => {
            let parts = pre_tokenizer["pretokenizers"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            let Some((last, before)) = parts.split_last() else {
                return false;
            };
            let divides = |part: &Value| match part["type"].as_str().unwrap_or_default() {
                "Split" => part["behavior"] != "Removed",
                "Digits" => true,
                _ => false,
            };
            last["type"] == "ByteLevel" && keeps_bytes(last) && before.iter().all(divides)
        }
        _ => false,
    }
}

fn as_json<T: codex_plugin_api::serde::Serialize>(part: Option<&T>) -> Value {
    part.and_then(|part| serde_json::to_value(part).ok())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_reversed_exactly() {
        for (byte, c) in alphabet().into_iter().enumerate() {
            assert_eq!(byte_level(&c.to_string()).unwrap(), [byte as u8], "{c}");
        }
        assert_eq!(alphabet()[b' ' as usize], 'Ġ');
        assert_eq!(alphabet()[b'\n' as usize], 'Ċ');
        assert_eq!(byte_level("▁"), None);
    }
}
