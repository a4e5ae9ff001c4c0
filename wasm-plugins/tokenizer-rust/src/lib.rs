//! The tokenizer `bytes`: one token a byte, and one that ends a text. There is nothing to train, and every text comes back
//! as it was.
//!
//! What crosses the border is here, encoding and decoding are in `bytes.rs`, the saved files in `folder.rs`.

mod bytes;
mod folder;

use codex_guest::types::{
    EncodeOptions, Encoding, Error, File, Ids, SpecialTokens, Texts, VocabularyInfo,
};
use codex_guest::{Component, TextsBuilder, pack, sequences, texts, unpack};

use bytes::{Bytes, END, SIZE};
use exports::codex::plugin::tokenizer::Guest;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "tokenizer-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static TOKENIZER: Component<Bytes> = Component::new();

/// The configuration; the host checked it against the manifest's schema and filled in the default.
#[derive(serde::Deserialize)]
struct Config {
    /// The folder itself comes as files.
    path: Option<String>,
    end_of_text: String,
}

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(name: String, config: String, files: Vec<File>) -> Result<(), Error> {
        let config: Config = serde_json::from_str(&config)
            .map_err(|why| Error::config(format!("configuration of {name} is wrong: {why}")))?;
        TOKENIZER.set(match config.path {
            Some(path) => folder::open(&path, &files)?,
            // An empty one would be found everywhere.
            None if config.end_of_text.is_empty() => {
                return Err(Error::config("end_of_text is empty")
                    .with_hint("leave tokenizer.end_of_text out, or write the token"));
            }
            None => Bytes::new(config.end_of_text),
        });
        Ok(())
    }

    fn vocabulary() -> Result<VocabularyInfo, Error> {
        TOKENIZER.with(|tokenizer| {
            Ok(VocabularyInfo {
                size: SIZE,
                special: SpecialTokens {
                    bos: Some(END),
                    eos: Some(END),
                    pad: None,
                    unk: None,
                    cls: None,
                    sep: None,
                    mask: None,
                },
                lossless: true,
                fingerprint: tokenizer.fingerprint(),
            })
        })
    }

    fn encode(given: Texts, options: EncodeOptions) -> Result<Encoding, Error> {
        TOKENIZER.with(|tokenizer| {
            let (mut ids, mut spans, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
            for text in texts(&given)? {
                let tokens = tokenizer.tokens(text, options.parse_special_tokens);
                let most = match options.max_length {
                    0 => usize::MAX,
                    most => most as usize,
                };
                for (id, span) in tokens.take(most) {
                    ids.push(id);
                    if options.byte_offsets {
                        spans.extend([span.start as u32, span.end as u32]);
                    }
                }
                offsets.push(ids.len() as u64);
            }
            Ok(Encoding {
                sequences: Ids {
                    ids: pack(ids),
                    offsets: pack(offsets),
                },
                byte_offsets: pack(spans),
            })
        })
    }

    fn decode(given: Ids, skip_special_tokens: bool) -> Result<Texts, Error> {
        TOKENIZER.with(|tokenizer| {
            let mut decoded = TextsBuilder::new();
            for ids in sequences(&given)? {
                decoded.push(tokenizer.text(&ids, skip_special_tokens)?);
            }
            Ok(decoded.build())
        })
    }

    fn token_bytes(ids: Vec<u8>) -> Result<Texts, Error> {
        TOKENIZER.with(|_| {
            let mut all = TextsBuilder::new();
            for id in unpack::<u32>("ids", &ids)? {
                all.push(bytes::byte(id)?.as_slice());
            }
            Ok(all.build())
        })
    }

    fn token_texts(ids: Vec<u8>) -> Result<Vec<Option<String>>, Error> {
        TOKENIZER.with(|tokenizer| {
            let ids = unpack::<u32>("ids", &ids)?;
            Ok(ids.map(|id| tokenizer.token_text(id)).collect())
        })
    }

    fn token_id(token: String) -> Result<Option<u32>, Error> {
        TOKENIZER.with(|tokenizer| Ok(tokenizer.token_id(&token)))
    }

    fn save() -> Result<Vec<File>, Error> {
        TOKENIZER.with(|tokenizer| Ok(folder::files(tokenizer)))
    }

    fn feed(_texts: Texts) -> Result<(), Error> {
        Err(Error::unsupported("training a tokenizer"))
    }

    fn finish_training() -> Result<(), Error> {
        Err(Error::unsupported("training a tokenizer"))
    }
}
