//! What every tokenizer promises.

use super::folder::Folder;
use super::report::{Report, ensure, refused, texts};
use crate::{
    EncodeOptions, Encoding, Error, ErrorKind, Ids, Result, TextBuffer, Tokenizer, Vocabulary,
};

type Create<'a> = dyn FnMut(Option<&str>) -> Result<Box<dyn Tokenizer>> + 'a;

const PLAIN: EncodeOptions = EncodeOptions {
    add_special_tokens: false,
    byte_offsets: false,
    parse_special_tokens: false,
    max_length: 0,
};

/// Enough text to learn from, with every kind of character that the checks use.
fn corpus() -> Vec<String> {
    let words = [
        "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "writes", "reads", "kůň",
        "漢字", "🦀", "0123", "main", "let", "of", "and", "a", "while",
    ];
    let mut next = super::report::numbers(3);
    let mut corpus = texts();
    for _ in 0..200 {
        let line: Vec<&str> = (0..4 + next() % 9)
            .map(|_| words[next() as usize % words.len()])
            .collect();
        corpus.push(line.join(" "));
    }
    corpus
}

/// A tokenizer that encodes: as created, or after it learned.
fn ready(create: &mut Create<'_>, chunk: usize) -> Result<Box<dyn Tokenizer>> {
    let mut tokenizer = create(None)?;
    if tokenizer.vocabulary().is_ok() {
        return Ok(tokenizer);
    }
    for part in corpus().chunks(chunk) {
        let part: TextBuffer = part.iter().collect();
        tokenizer.feed(part.as_texts())?;
    }
    tokenizer.finish_training()?;
    Ok(tokenizer)
}

fn encode(tokenizer: &dyn Tokenizer, texts: &[String], how: EncodeOptions) -> Result<Encoding> {
    let buffer: TextBuffer = texts.iter().collect();
    tokenizer.encode(buffer.as_texts(), how)
}

fn ids(encoding: &Encoding, index: usize) -> &[u32] {
    let offsets = &encoding.sequence_offsets;
    &encoding.ids[offsets[index] as usize..offsets[index + 1] as usize]
}

fn specials(vocabulary: &Vocabulary) -> Vec<u32> {
    let special = vocabulary.special;
    [
        special.bos,
        special.eos,
        special.pad,
        special.unk,
        special.cls,
        special.sep,
        special.mask,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Checks what `create` creates: with `None` from the author's configuration, with a folder from what was saved there.
pub fn tokenizer(create: &mut Create<'_>) -> Report {
    let mut report = Report::default();
    let texts = texts();

    report.check("an untrained tokenizer says so", || {
        let untrained = create(None)?;
        if untrained.vocabulary().is_ok() {
            return Err(Error::unsupported("being untrained"));
        }
        refused(
            untrained.vocabulary(),
            ErrorKind::Failed,
            "asking an untrained one",
        )?;
        let encoding = encode(&*untrained, &texts, PLAIN);
        refused(
            encoding,
            ErrorKind::Failed,
            "encoding with an untrained one",
        )?;
        Ok(())
    });
    report.check(
        "what it learns does not depend on how texts are divided",
        || {
            if create(None)?.vocabulary().is_ok() {
                return Err(Error::unsupported("being untrained"));
            }
            let (first, second) = (ready(create, 7)?, ready(create, 1000)?);
            let same = encode(&*first, &texts, PLAIN)? == encode(&*second, &texts, PLAIN)?
                && first.vocabulary()? == second.vocabulary()?;
            ensure(same, || {
                "two ways to feed the same texts gave two vocabularies".to_owned()
            })
        },
    );

    let tokenizer = match ready(create, 64) {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            report.check("it can be created and taught", || Err(error));
            return report;
        }
    };
    let it = &*tokenizer;

    report.check(
        "its vocabulary is fixed and holds its special tokens",
        || {
            let vocabulary = it.vocabulary()?;
            ensure(vocabulary == it.vocabulary()?, || "it changes".to_owned())?;
            ensure(!vocabulary.fingerprint.is_empty(), || {
                "there is no fingerprint".to_owned()
            })?;
            for id in specials(&vocabulary) {
                ensure(id < vocabulary.size, || {
                    format!("special token {id} is beyond {}", vocabulary.size)
                })?;
                let bytes = it.token_bytes(id)?;
                ensure(bytes.is_empty(), || {
                    format!("special token {id} stands for {bytes:?}")
                })?;
            }
            Ok(())
        },
    );
    report.check("one sequence a text, every id in the vocabulary", || {
        let (encoding, size) = (encode(it, &texts, PLAIN)?, it.vocabulary()?.size);
        ensure(encoding.sequences()?.len() == texts.len(), || {
            format!(
                "{} sequences for {} texts",
                encoding.sequence_offsets.len(),
                texts.len()
            )
        })?;
        for (index, text) in texts.iter().enumerate() {
            ensure(!text.is_empty() || ids(&encoding, index).is_empty(), || {
                "an empty text has tokens".to_owned()
            })?;
        }
        let beyond = encoding.ids.iter().find(|&&id| id >= size);
        ensure(beyond.is_none(), || format!("id {beyond:?} of {size}"))
    });
    report.check("a text's ids do not depend on its neighbours", || {
        let together = encode(it, &texts, PLAIN)?;
        for (index, text) in texts.iter().enumerate() {
            let alone = encode(it, std::slice::from_ref(text), PLAIN)?;
            ensure(alone.ids == ids(&together, index), || {
                format!(
                    "text {text:?} alone gives {:?}, among others {:?}",
                    alone.ids,
                    ids(&together, index)
                )
            })?;
        }
        Ok(())
    });
    report.check("what is lossless comes back", || {
        let encoding = encode(it, &texts, PLAIN)?;
        let back = it.decode(encoding.sequences()?, true)?;
        ensure(back.len() == texts.len(), || {
            format!("{} texts", back.len())
        })?;
        if !it.vocabulary()?.lossless {
            return Err(Error::unsupported("being lossless"));
        }
        for (index, (found, text)) in back.as_texts().iter().zip(&texts).enumerate() {
            ensure(found == text, || {
                format!("{text:?} comes back as {found:?}")
            })?;
            let mut bytes = Vec::new();
            for &id in ids(&encoding, index) {
                bytes.extend(it.token_bytes(id)?);
            }
            ensure(bytes == text.as_bytes(), || {
                format!(
                    "the bytes of {text:?}'s tokens are {:?}",
                    String::from_utf8_lossy(&bytes)
                )
            })?;
        }
        Ok(())
    });
    report.check("byte offsets lie within the text and go forward", || {
        let how = EncodeOptions {
            byte_offsets: true,
            ..PLAIN
        };
        let encoding = encode(it, &texts, how)?;
        ensure(
            encoding.byte_offsets.len() == 2 * encoding.ids.len(),
            || {
                format!(
                    "{} offsets for {} ids",
                    encoding.byte_offsets.len(),
                    encoding.ids.len()
                )
            },
        )?;
        ensure(encoding.ids == encode(it, &texts, PLAIN)?.ids, || {
            "asking for them changes the ids".to_owned()
        })?;
        for (index, text) in texts.iter().enumerate() {
            let from = 2 * encoding.sequence_offsets[index] as usize;
            let to = 2 * encoding.sequence_offsets[index + 1] as usize;
            let mut last = 0;
            for &[start, end] in encoding.byte_offsets[from..to].as_chunks::<2>().0 {
                let fits = last <= start && start <= end && end as usize <= text.len();
                ensure(fits, || format!("{start}..{end} after {last} in {text:?}"))?;
                last = start;
            }
            let reached = encoding.byte_offsets[from..to]
                .last()
                .map_or(0, |&end| end as usize);
            ensure(!it.vocabulary()?.lossless || reached == text.len(), || {
                format!("the spans of {text:?} end at byte {reached}")
            })?;
        }
        Ok(())
    });
    report.check("max_length cuts and does nothing else", || {
        let whole = encode(it, &texts, PLAIN)?;
        for max_length in [1, 3, 1000] {
            let how = EncodeOptions {
                max_length,
                ..PLAIN
            };
            let cut = encode(it, &texts, how)?;
            for index in 0..texts.len() {
                let all = ids(&whole, index);
                let expected = &all[..all.len().min(max_length as usize)];
                ensure(ids(&cut, index) == expected, || {
                    format!(
                        "with {max_length}: {:?}, not {expected:?}",
                        ids(&cut, index)
                    )
                })?;
            }
        }
        Ok(())
    });
    report.check("special tokens can be added and skipped", || {
        let how = EncodeOptions {
            add_special_tokens: true,
            ..PLAIN
        };
        let (with, without) = (encode(it, &texts, how)?, encode(it, &texts, PLAIN)?);
        let with = it.decode(with.sequences()?, true)?;
        let without = it.decode(without.sequences()?, true)?;
        ensure(with == without, || {
            "they stay in the text when skipped".to_owned()
        })
    });
    report.check("tokens have names that lead back to them", || {
        for id in 0..it.vocabulary()?.size.min(400) {
            let Some(name) = it.token_text(id)? else {
                continue;
            };
            let found = it.token_id(&name)?;
            ensure(found == Some(id), || {
                format!("token {id} is {name:?}, which is {found:?}")
            })?;
        }
        Ok(())
    });
    report.check("ids beyond the vocabulary are refused", || {
        let size = it.vocabulary()?.size;
        for id in [size, u32::MAX] {
            let sequence = [id];
            refused(
                it.decode(Ids::new(&sequence, &[0, 1])?, false),
                ErrorKind::Data,
                "decoding an id beyond the vocabulary",
            )?;
            refused(
                it.token_bytes(id),
                ErrorKind::Data,
                "the bytes of an id beyond the vocabulary",
            )?;
            let name = it.token_text(id)?;
            ensure(name.is_none(), || {
                format!("id {id} of {size} is called {name:?}")
            })?;
        }
        Ok(())
    });
    report.check("several threads encode the same", || {
        let (expected, texts) = (&encode(it, &texts, PLAIN)?, &texts);
        std::thread::scope(|scope| {
            let encoders: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || encode(it, texts, PLAIN)))
                .collect();
            encoders.into_iter().try_for_each(|encoder| {
                let found = encoder
                    .join()
                    .map_err(|_| Error::failed("an encoding thread panicked"))??;
                ensure(found == *expected, || "they differ".to_owned())
            })
        })
    });
    report.check("what is saved is the same when opened again", || {
        let folder = Folder::new()?;
        it.save(folder.path()?)?;
        ensure(folder.files()? > 0, || "nothing was saved".to_owned())?;
        let again = create(Some(folder.path()?))?;
        ensure(again.vocabulary()? == it.vocabulary()?, || {
            format!("{:?} became {:?}", it.vocabulary(), again.vocabulary())
        })?;
        let same = encode(&*again, &texts, PLAIN)? == encode(it, &texts, PLAIN)?;
        ensure(same, || "it encodes differently".to_owned())
    });
    report
}
