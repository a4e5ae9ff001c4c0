//! Embedding with models that say what they were given: order, batches, cutting, dimensions.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::{
    EncodeOptions, Encoding, ModelInfo, Parameter, ScoreRequest, Scores, SpecialTokens, Texts,
    TokenBatch, Vocabulary,
};

use super::*;
use crate::testing::{BigramModel, ByteTokenizer};

/// Embeds a sequence as its length, its first and last id, and a number that makes rows of unequal length.
struct Telling {
    longest: u32,
    tasks: Vec<String>,
    batches: Vec<Vec<usize>>,
}

fn telling(longest: u32) -> Telling {
    Telling {
        longest,
        tasks: vec!["embedding".into()],
        batches: Vec::new(),
    }
}

impl Model for Telling {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            max_sequence_length: self.longest,
            hidden_size: 4,
            tasks: self.tasks.clone(),
            ..BigramModel::uniform(300).info()?
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, _batch: &TokenBatch<'_>, _request: ScoreRequest) -> Result<Scores> {
        Err(Error::unsupported("scoring"))
    }
    fn save(&self, _folder: &str) -> Result<()> {
        Ok(())
    }
    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        self.batches
            .push(sequences.iter().map(<[u32]>::len).collect());
        let row = |ids: &[u32]| {
            [
                ids.len() as f32,
                ids[0] as f32,
                ids[ids.len() - 1] as f32,
                9.0,
            ]
        };
        Ok(sequences.iter().flat_map(row).collect())
    }
}

/// Bytes between 257 and 258, as an encoder's tokenizer frames a text.
struct Framed;

impl Tokenizer for Framed {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(Vocabulary {
            size: 259,
            special: SpecialTokens {
                cls: Some(257),
                sep: Some(258),
                ..SpecialTokens::default()
            },
            ..ByteTokenizer.vocabulary()?
        })
    }
    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        assert!(options.add_special_tokens && !options.parse_special_tokens);
        let mut encoding = Encoding {
            sequence_offsets: vec![0],
            ..Encoding::default()
        };
        for text in texts.iter() {
            let room = options.max_length as usize - 2;
            encoding.ids.push(257);
            encoding.ids.extend(text.bytes().take(room).map(u32::from));
            encoding.ids.push(258);
            encoding.sequence_offsets.push(encoding.ids.len() as u64);
        }
        Ok(encoding)
    }
    fn decode(&self, _: Ids<'_>, _: bool) -> Result<TextBuffer> {
        Err(Error::unsupported("decoding"))
    }
    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        ByteTokenizer.token_bytes(id)
    }
    fn token_text(&self, id: u32) -> Result<Option<String>> {
        ByteTokenizer.token_text(id)
    }
    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        ByteTokenizer.token_id(token)
    }
    fn save(&self, folder: &str) -> Result<()> {
        ByteTokenizer.save(folder)
    }
}

const OPTIONS: Options = Options {
    dimensions: None,
    max_length: None,
    batch_tokens: 20,
};

fn embed(embedder: &mut Embedder<'_>, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    let texts: TextBuffer = texts.iter().collect();
    let values = embedder.embed(&texts, &Interrupt::default())?;
    Ok(values
        .chunks(embedder.dimensions())
        .map(<[f32]>::to_vec)
        .collect())
}

#[test]
fn rows_keep_the_texts_order_whatever_is_computed_together() {
    let mut model = telling(100);
    let texts = [
        "abcdefgh",
        "a",
        "",
        "xyz",
        "ab",
        "0123456789012345678901234567",
        "b",
    ];
    let mut embedder = Embedder::new(&mut model, &Framed, OPTIONS).unwrap();
    let rows = embed(&mut embedder, &texts).unwrap();
    for (text, row) in texts.iter().zip(&rows) {
        assert_eq!(row, &[text.len() as f32 + 2.0, 257.0, 258.0, 9.0], "{text}");
    }
    assert_eq!(
        (embedder.texts, embedder.tokens, embedder.truncated),
        (7, 43 + 14, 0)
    );
    // Ascending, none above twenty tokens unless it is alone.
    assert_eq!(model.batches, [vec![2, 3, 3, 4], vec![5, 10], vec![30]]);
}

#[test]
fn long_texts_lose_their_end_but_not_what_the_tokenizer_adds() {
    for (longest, max_length, lengths, truncated) in [
        (6, None, [6.0, 6.0, 5.0], 1),
        (100, Some(6), [6.0, 6.0, 5.0], 1),
        (100, Some(3), [3.0, 3.0, 3.0], 3),
        (7, None, [7.0, 6.0, 5.0], 0),
    ] {
        let mut model = telling(longest);
        let options = Options {
            max_length,
            ..OPTIONS
        };
        let mut embedder = Embedder::new(&mut model, &Framed, options).unwrap();
        let rows = embed(&mut embedder, &["abcde", "abcd", "abc"]).unwrap();
        let found: Vec<f32> = rows.iter().map(|row| row[0]).collect();
        assert_eq!(
            (found.as_slice(), embedder.truncated),
            (&lengths[..], truncated)
        );
        assert!(
            rows.iter().all(|row| row[1..3] == [257.0, 258.0]),
            "{rows:?}"
        );
    }
}

#[test]
fn a_tokenizer_that_adds_nothing_needs_a_token_for_nothing() {
    let mut model = telling(3);
    let mut embedder = Embedder::new(&mut model, &ByteTokenizer, OPTIONS).unwrap();
    let rows = embed(&mut embedder, &["", "abcd"]).unwrap();
    assert_eq!(rows[0][..3], [1.0, 256.0, 256.0]);
    assert_eq!(rows[1][..3], [3.0, 97.0, 99.0]);
    assert_eq!(embedder.truncated, 1);
}

#[test]
fn fewer_dimensions_are_normalised_again() {
    let mut model = telling(100);
    let options = Options {
        dimensions: Some(2),
        ..OPTIONS
    };
    let mut embedder = Embedder::new(&mut model, &Framed, options).unwrap();
    let row = &embed(&mut embedder, &["ab"]).unwrap()[0];
    let length = (4.0_f32 * 4.0 + 257.0 * 257.0).sqrt();
    assert!((row[0] - 4.0 / length).abs() < 1e-6 && (row[1] - 257.0 / length).abs() < 1e-6);

    let mut zeros = [0.0, 0.0];
    normalise(&mut zeros);
    assert_eq!(zeros, [0.0, 0.0]);
}

#[test]
fn no_texts_are_no_rows() {
    let mut model = telling(100);
    let mut embedder = Embedder::new(&mut model, &Framed, OPTIONS).unwrap();
    assert!(embed(&mut embedder, &[]).unwrap().is_empty());
    assert_eq!(embedder.texts, 0);
}

#[test]
fn what_cannot_be_is_told_before_a_text_is_read() {
    for (options, message) in [
        (
            Options {
                dimensions: Some(5),
                ..OPTIONS
            },
            "--dimensions is 5, and the model's embeddings have 4",
        ),
        (
            Options {
                max_length: Some(101),
                ..OPTIONS
            },
            "--max-length is 101, and the model reads 100 tokens at most",
        ),
        (
            Options {
                max_length: Some(2),
                ..OPTIONS
            },
            "--max-length is 2, and the tokenizer itself adds 2 tokens to a text",
        ),
    ] {
        let mut model = telling(100);
        let error = Embedder::new(&mut model, &Framed, options).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Config, message)
        );
    }
    let mut model = BigramModel::uniform(300);
    let error = Embedder::new(&mut model, &Framed, OPTIONS).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Unsupported,
            "the model (bigram) gives no embeddings"
        )
    );
}

#[test]
fn a_stop_between_batches_and_numbers_that_are_none_are_errors() {
    let mut model = telling(100);
    let mut embedder = Embedder::new(&mut model, &Framed, OPTIONS).unwrap();
    embedder.dimensions = 3;
    embedder.width = 3;
    let error = embed(&mut embedder, &["a"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    let mut embedder = Embedder::new(&mut model, &Framed, OPTIONS).unwrap();
    let interrupt = Interrupt::default();
    interrupt.request();
    let texts: TextBuffer = ["a"].into_iter().collect();
    let error = embedder.embed(&texts, &interrupt).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}
