//! A tokenizer: one token a byte, an end token, and a fingerprint that stands for what it learned.

use codex_plugin_api::{
    Context, EncodeOptions, Encoding, Error, Ids, Result, SpecialTokens, TextBuffer, Texts,
    Tokenizer, Vocabulary,
};

use super::{Fault, fresh, main_thread};

const END: u32 = 256;

#[derive(Default)]
pub(crate) struct Bytes {
    pub(crate) fault: Fault,
    /// Bytes that it learned from; nothing until trained.
    learned: Option<u64>,
    fed: u64,
}

impl Bytes {
    pub(crate) fn new(fault: Fault, folder: Option<&str>) -> Result<Self> {
        let mut learned = None;
        if let Some(folder) = folder {
            let path = format!("{folder}/tokenizer.json");
            let text = std::fs::read_to_string(&path)
                .or_error(|| Error::data(format!("cannot read {path}")))?;
            learned = Some(text.parse().or_error(|| Error::data("no number"))?);
        }
        Ok(Self {
            fault,
            learned,
            fed: 0,
        })
    }

    pub(crate) fn trained(fault: Fault) -> Self {
        Self {
            fault,
            learned: Some(1),
            fed: 0,
        }
    }

    fn ready(&self) -> Result<u64> {
        self.learned.ok_or_else(|| {
            if self.fault.is("untrained") {
                Error::data("not trained")
            } else {
                Error::failed("not trained")
            }
        })
    }

    fn known(&self, id: u32) -> Result<()> {
        if id <= END || self.fault.is("unknown ids") {
            return Ok(());
        }
        Err(Error::data(format!("id {id} is not in the vocabulary")))
    }
}

impl Tokenizer for Bytes {
    fn vocabulary(&self) -> Result<Vocabulary> {
        let learned = self.ready()?;
        let changing = if self.fault.is("fixed vocabulary") {
            fresh()
        } else {
            learned
        };
        Ok(Vocabulary {
            size: if self.fault.is("ids in vocabulary") {
                60
            } else {
                257
            },
            special: SpecialTokens {
                eos: Some(if self.fault.is("special tokens") {
                    900
                } else {
                    END
                }),
                ..SpecialTokens::default()
            },
            lossless: true,
            fingerprint: format!("bytes-{changing}"),
        })
    }

    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        self.ready()?;
        let mut encoding = Encoding {
            sequence_offsets: vec![0],
            ..Encoding::default()
        };
        for (index, text) in texts.iter().enumerate() {
            let mut bytes: Vec<u32> = text.bytes().map(u32::from).collect();
            if (self.fault.is("neighbours") && index > 0)
                || (self.fault.is("threads") && !main_thread())
            {
                bytes.reverse();
            }
            if self.fault.is("lossless") {
                bytes.retain(|&byte| byte != 32);
            }
            if options.max_length > 0 && !self.fault.is("max_length") {
                bytes.truncate(options.max_length as usize);
            }
            for (at, &byte) in bytes.iter().enumerate() {
                encoding.ids.push(byte);
                if options.byte_offsets {
                    let at = if self.fault.is("byte offsets") {
                        0
                    } else {
                        at as u32
                    };
                    let end = (at + 1).min(text.len() as u32);
                    encoding.byte_offsets.extend([at.min(end), end]);
                }
            }
            if options.add_special_tokens {
                encoding.ids.push(END);
                if options.byte_offsets {
                    encoding.byte_offsets.extend([text.len() as u32; 2]);
                }
            }
            encoding.sequence_offsets.push(encoding.ids.len() as u64);
        }
        Ok(encoding)
    }

    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        self.ready()?;
        sequences.ids().iter().try_for_each(|&id| self.known(id))?;
        Ok(sequences
            .iter()
            .map(|ids| {
                let bytes: Vec<u8> = ids.iter().filter_map(|&id| u8::try_from(id).ok()).collect();
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                let keep = !skip_special_tokens || self.fault.is("skipping");
                if keep && ids.last() == Some(&END) {
                    text.push_str("<end>");
                }
                text
            })
            .collect())
    }

    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        self.known(id)?;
        Ok(u8::try_from(id).into_iter().collect())
    }

    fn token_text(&self, id: u32) -> Result<Option<String>> {
        let name = if self.fault.is("token names") {
            "<byte>".to_owned()
        } else {
            format!("<{id}>")
        };
        Ok((id <= END).then_some(name))
    }

    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        let inner = token
            .strip_prefix('<')
            .and_then(|token| token.strip_suffix('>'));
        Ok(inner.and_then(|inner| inner.parse().ok()))
    }

    fn save(&self, folder: &str) -> Result<()> {
        let learned = self.ready()? + u64::from(self.fault.is("saving"));
        std::fs::write(format!("{folder}/tokenizer.json"), learned.to_string())
            .or_error(|| Error::failed(format!("cannot write {folder}/tokenizer.json")))
    }

    fn feed(&mut self, texts: Texts<'_>) -> Result<()> {
        let calls = u64::from(self.fault.is("feeding"));
        self.fed += texts.bytes().len() as u64 + calls;
        Ok(())
    }

    fn finish_training(&mut self) -> Result<()> {
        self.learned = Some(self.fed);
        Ok(())
    }
}
