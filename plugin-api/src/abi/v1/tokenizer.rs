//! Tokenizers across the border.

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RStr, RString, RVec};

use super::buffers::{
    AbiIds, AbiTextBuffer, AbiTexts, bits, check_length, check_offsets, flags, from_json,
    owned_text, text, to_json,
};
use super::error::{AbiResult, broken};
use super::guard::guard;
use super::object::{Proxy, exclusive, object, release, shared, table};
use crate::{EncodeOptions, Encoding, Ids, Result, TextBuffer, Texts, Tokenizer, Vocabulary};

/// [`EncodeOptions`]: bit 0 of `flags` adds special tokens, bit 1 asks for byte offsets, bit 2 reads special tokens that are
/// written in the text.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiEncodeOptions {
    flags: u64,
    max_length: u32,
}

impl AbiEncodeOptions {
    fn new(options: EncodeOptions) -> Self {
        Self {
            flags: bits(&[
                options.add_special_tokens,
                options.byte_offsets,
                options.parse_special_tokens,
            ]),
            max_length: options.max_length,
        }
    }

    fn read(self) -> Result<EncodeOptions> {
        let [add_special_tokens, byte_offsets, parse_special_tokens] =
            flags(self.flags, "encoding")?;
        Ok(EncodeOptions {
            add_special_tokens,
            byte_offsets,
            parse_special_tokens,
            max_length: self.max_length,
        })
    }
}

/// [`Encoding`].
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiEncoding {
    ids: RVec<u32>,
    sequence_offsets: RVec<u64>,
    byte_offsets: RVec<u32>,
}

impl AbiEncoding {
    fn read(self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let encoding = Encoding {
            ids: self.ids.into_vec(),
            sequence_offsets: self.sequence_offsets.into_vec(),
            byte_offsets: self.byte_offsets.into_vec(),
        };
        let offsets = &encoding.sequence_offsets;
        check_offsets(offsets, texts.len(), encoding.ids.len(), "texts")?;
        if !options.byte_offsets && encoding.byte_offsets.is_empty() {
            return Ok(encoding);
        }
        let (spans, _) = encoding.byte_offsets.as_chunks::<2>();
        check_length(
            encoding.byte_offsets.len(),
            2 * encoding.ids.len(),
            "byte offsets",
        )?;
        for (index, (text, at)) in texts.iter().zip(offsets.windows(2)).enumerate() {
            for &[start, end] in &spans[at[0] as usize..at[1] as usize] {
                if start > end || end as usize > text.len() {
                    return Err(broken(format!(
                        "the byte span {start}..{end} in text {index} of {} bytes",
                        text.len()
                    )));
                }
            }
        }
        Ok(encoding)
    }
}

/// The functions of a tokenizer.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = TokenizerTable, prefix_fields = TokenizerTablePrefix)))]
pub struct TokenizerFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// [`Vocabulary`] as JSON.
    vocabulary: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    encode: unsafe extern "C" fn(*mut (), AbiTexts<'_>, AbiEncodeOptions) -> AbiResult<AbiEncoding>,
    /// The number is 1 to skip special tokens.
    decode: unsafe extern "C" fn(*mut (), AbiIds<'_>, u8) -> AbiResult<AbiTextBuffer>,
    token_bytes: unsafe extern "C" fn(*mut (), u32) -> AbiResult<RVec<u8>>,
    token_text: unsafe extern "C" fn(*mut (), u32) -> AbiResult<ROption<RString>>,
    token_id: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<ROption<u32>>,
    save: unsafe extern "C" fn(*mut (), RStr<'_>) -> AbiResult<()>,
    feed: unsafe extern "C" fn(*mut (), AbiTexts<'_>) -> AbiResult<()>,
    #[sabi(last_prefix_field)]
    finish_training: unsafe extern "C" fn(*mut ()) -> AbiResult<()>,
}

table! {
    TokenizerTable of TokenizerFunctions {
        release: release::<dyn Tokenizer>,
        vocabulary,
        encode,
        decode,
        token_bytes,
        token_text,
        token_id,
        save,
        feed,
        finish_training,
    }
}

object! {
    /// A tokenizer.
    AbiTokenizer, TokenizerTable, Tokenizer
}

// SAFETY: the trait requires it of the instance, and the table is constant.
unsafe impl Sync for AbiTokenizer {}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table; functions that
// take `&mut self` in the trait are called by one thread at a time.

unsafe extern "C" fn vocabulary(this: *mut ()) -> AbiResult<RVec<u8>> {
    guard(|| {
        // SAFETY: see above.
        let vocabulary = unsafe { shared::<dyn Tokenizer>(this) }.vocabulary()?;
        to_json(&vocabulary, "a vocabulary")
    })
}

unsafe extern "C" fn encode(
    this: *mut (),
    texts: AbiTexts<'_>,
    options: AbiEncodeOptions,
) -> AbiResult<AbiEncoding> {
    guard(|| {
        // SAFETY: see above.
        let tokenizer = unsafe { shared::<dyn Tokenizer>(this) };
        let encoding = tokenizer.encode(texts.read()?, options.read()?)?;
        Ok(AbiEncoding {
            ids: encoding.ids.into(),
            sequence_offsets: encoding.sequence_offsets.into(),
            byte_offsets: encoding.byte_offsets.into(),
        })
    })
}

unsafe extern "C" fn decode(
    this: *mut (),
    sequences: AbiIds<'_>,
    skip_special_tokens: u8,
) -> AbiResult<AbiTextBuffer> {
    guard(|| {
        // SAFETY: see above.
        let tokenizer = unsafe { shared::<dyn Tokenizer>(this) };
        tokenizer
            .decode(sequences.read()?, skip_special_tokens != 0)
            .map(AbiTextBuffer::new)
    })
}

unsafe extern "C" fn token_bytes(this: *mut (), id: u32) -> AbiResult<RVec<u8>> {
    guard(|| {
        // SAFETY: see above.
        unsafe { shared::<dyn Tokenizer>(this) }
            .token_bytes(id)
            .map(RVec::from)
    })
}

unsafe extern "C" fn token_text(this: *mut (), id: u32) -> AbiResult<ROption<RString>> {
    guard(|| {
        // SAFETY: see above.
        let token = unsafe { shared::<dyn Tokenizer>(this) }.token_text(id)?;
        Ok(token.map(RString::from).into())
    })
}

unsafe extern "C" fn token_id(this: *mut (), token: RStr<'_>) -> AbiResult<ROption<u32>> {
    guard(|| {
        // SAFETY: see above.
        let tokenizer = unsafe { shared::<dyn Tokenizer>(this) };
        Ok(tokenizer.token_id(text(token, "a token")?)?.into())
    })
}

unsafe extern "C" fn save(this: *mut (), folder: RStr<'_>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { shared::<dyn Tokenizer>(this) }.save(text(folder, "a folder")?))
}

unsafe extern "C" fn feed(this: *mut (), texts: AbiTexts<'_>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Tokenizer>(this) }.feed(texts.read()?))
}

unsafe extern "C" fn finish_training(this: *mut ()) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Tokenizer>(this) }.finish_training())
}

impl AbiTokenizer {
    /// The tokenizer as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Tokenizer>> {
        Ok(Box::new(Proxy::new(self)))
    }
}

// SAFETY of every call below: the object owns a live instance of its own table, and `&mut self` keeps others away.
impl Tokenizer for Proxy<AbiTokenizer> {
    fn vocabulary(&self) -> Result<Vocabulary> {
        // SAFETY: see above.
        let json = self.call(|it| unsafe { it.table.vocabulary()(it.this) })?;
        from_json(json, "a vocabulary")
    }

    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let (given, asked) = (AbiTexts::new(texts), AbiEncodeOptions::new(options));
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.encode()(it.this, given, asked) })?
            .read(texts, options)
    }

    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        let (given, skip) = (AbiIds::new(sequences), u8::from(skip_special_tokens));
        let texts = self
            // SAFETY: see above.
            .call(|it| unsafe { it.table.decode()(it.this, given, skip) })?
            .read("decoded texts that do not fit")?;
        check_length(texts.len(), sequences.len(), "decoded texts")?;
        Ok(texts)
    }

    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.token_bytes()(it.this, id) })
            .map(RVec::into_vec)
    }

    fn token_text(&self, id: u32) -> Result<Option<String>> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.token_text()(it.this, id) })?
            .into_option()
            .map(|token| owned_text(token, "a token"))
            .transpose()
    }

    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.token_id()(it.this, token.into()) })
            .map(ROption::into_option)
    }

    fn save(&self, folder: &str) -> Result<()> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.save()(it.this, folder.into()) })
    }

    fn feed(&mut self, texts: Texts<'_>) -> Result<()> {
        let given = AbiTexts::new(texts);
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.feed()(it.this, given) })
    }

    fn finish_training(&mut self) -> Result<()> {
        // SAFETY: see above.
        self.call(|it| unsafe { it.table.finish_training()(it.this) })
    }
}
