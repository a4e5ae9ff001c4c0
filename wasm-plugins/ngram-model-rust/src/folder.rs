//! The saved files: `config.json`, and `model.safetensors` with the n-grams of each length (`ngrams.N`, `[count, N]`) and how
//! often each was counted (`counts.N`, `[count]`).

use std::collections::BTreeMap;

use codex_guest::types::{Error, File};
use codex_guest::{pack, unpack};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::counts::Counts;
use crate::model::{Ngram, Settings};

/// The word in `config.json`.
pub(crate) const MODEL_TYPE: &str = "ngram";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// A tensor's entry in the head of a safetensors file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// The files of a saved model.
pub(crate) fn files(model: &Ngram) -> Vec<File> {
    let mut config = json!(model.settings());
    config["model_type"] = json!(MODEL_TYPE);
    config["architectures"] = json!(["NgramForCausalLM"]);
    let config = File {
        name: CONFIG.to_owned(),
        content: format!("{config:#}\n").into_bytes(),
    };
    vec![config, weights(model)]
}

/// The counts as a safetensors file.
pub(crate) fn weights(model: &Ngram) -> File {
    let (mut head, mut data) = (BTreeMap::new(), Vec::new());
    let mut add = |name: String, shape: Vec<usize>, numbers: Vec<u8>| {
        let start = data.len();
        data.extend(numbers);
        head.insert(
            name,
            json!(Entry {
                dtype: "U32".to_owned(),
                shape,
                data_offsets: [start, data.len()],
            }),
        );
    };
    for length in 1..=model.settings().order as usize {
        let ngrams = model.counts().ngrams(length);
        let (shape, counts) = (
            vec![ngrams.len(), length],
            pack(ngrams.iter().map(|(_, count)| *count)),
        );
        add(
            format!("ngrams.{length}"),
            shape,
            pack(ngrams.iter().flat_map(|(ids, _)| ids.iter().copied())),
        );
        add(format!("counts.{length}"), vec![ngrams.len()], counts);
    }
    head.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut head = json!(head).to_string().into_bytes();
    // Readers want the data on a border of 8 bytes.
    head.resize(head.len().next_multiple_of(8), b' ');
    let mut content = pack([head.len() as u64]);
    content.extend(head);
    content.extend(data);
    File {
        name: WEIGHTS.to_owned(),
        content,
    }
}

fn find<'a>(path: &str, files: &'a [File], name: &str) -> Result<&'a [u8], Error> {
    let file = files.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| {
        Error::data(format!("there is no {name} in {path}"))
            .with_hint("give the folder of a model that this plugin saved")
    })?;
    Ok(&file.content)
}

/// Opens what [`files`] made.
pub(crate) fn open(path: &str, files: &[File]) -> Result<Ngram, Error> {
    let bad = |why: String| {
        Error::data(format!("{path}/{CONFIG} {why}"))
            .with_hint("give the folder of a model that this plugin saved")
    };
    let config: Value = serde_json::from_slice(find(path, files, CONFIG)?)
        .map_err(|why| bad(format!("is not JSON: {why}")))?;
    if config["model_type"] != MODEL_TYPE {
        return Err(bad(format!(
            "has the model_type {}, not {MODEL_TYPE}",
            config["model_type"]
        )));
    }
    let settings: Settings =
        serde_json::from_value(config).map_err(|why| bad(format!("is wrong: {why}")))?;
    let mut model =
        Ngram::new(settings).map_err(|error| bad(format!("is wrong: {}", error.message)))?;
    model.replace(read_weights(path, files, &settings)?);
    Ok(model)
}

/// Reads the counts of a model of these settings.
pub(crate) fn read_weights(
    path: &str,
    files: &[File],
    settings: &Settings,
) -> Result<Counts, Error> {
    let content = find(path, files, WEIGHTS)?;
    let bad = |why: &str| {
        Error::data(format!("{WEIGHTS} in {path} {why}"))
            .with_hint("copy the folder again, or train the model anew")
    };
    let (length, rest) = content.split_at_checked(8).ok_or_else(|| bad("is cut"))?;
    let length = unpack::<u64>("a length", length)?
        .next()
        .unwrap_or_default();
    let length = usize::try_from(length).map_err(|_| bad("is cut"))?;
    let (head, data) = rest.split_at_checked(length).ok_or_else(|| bad("is cut"))?;
    let head: BTreeMap<String, Value> =
        serde_json::from_slice(head).map_err(|_| bad("has no head"))?;
    let tensor = |name: &str, due: &[usize]| -> Result<Vec<u32>, Error> {
        let entry = head
            .get(name)
            .and_then(|entry| serde_json::from_value::<Entry>(entry.clone()).ok());
        let entry = entry.ok_or_else(|| bad(&format!("has no tensor {name}")))?;
        let [start, end] = entry.data_offsets;
        let part = data
            .get(start..end)
            .ok_or_else(|| bad(&format!("is cut within {name}")))?;
        let bytes = entry
            .shape
            .iter()
            .try_fold(4_usize, |bytes, &length| bytes.checked_mul(length));
        if entry.dtype != "U32" || entry.shape.get(1..) != Some(due) || bytes != Some(part.len()) {
            return Err(bad(&format!(
                "has a tensor {name} of {} {:?}",
                entry.dtype, entry.shape
            )));
        }
        Ok(unpack(name, part)?.collect())
    };
    let mut counts = Counts::new(settings.order as usize);
    for length in 1..=settings.order as usize {
        let names = (format!("ngrams.{length}"), format!("counts.{length}"));
        let (ids, numbers) = (tensor(&names.0, &[length])?, tensor(&names.1, &[])?);
        if ids.len() != length * numbers.len() || numbers.contains(&0) {
            return Err(bad(&format!(
                "has counts.{length} that do not belong to ngrams.{length}"
            )));
        }
        if let Some(id) = ids.iter().find(|&&id| id >= settings.vocab_size) {
            return Err(bad(&format!(
                "has id {id}, and the vocabulary is {}",
                settings.vocab_size
            )));
        }
        for (ngram, &count) in ids.chunks_exact(length).zip(&numbers) {
            counts.add_one(ngram, count);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            vocab_size: 5,
            sequence_length: 8,
            order: 3,
            discount: 0.75,
            bos_token_id: Some(4),
            eos_token_id: None,
        }
    }

    fn trained() -> Ngram {
        let mut model = Ngram::new(settings()).expect("valid");
        let mut counts = Counts::new(3);
        for at in 1..6 {
            counts.add(&[1, 2, 3, 1, 2, 4][..at], [1, 2, 3, 1, 2, 4][at]);
        }
        model.replace(counts);
        model
    }

    #[test]
    fn what_is_saved_is_opened() {
        let model = trained();
        let again = open("folder", &files(&model)).expect("its own");
        assert_eq!(again.settings(), model.settings());
        for length in 1..=3 {
            assert_eq!(again.counts().ngrams(length), model.counts().ngrams(length));
        }
    }

    #[test]
    fn broken_files_are_named_and_nothing_panics() {
        let whole = files(&trained());
        let config = whole[0].clone();
        for cut in 0..whole[1].content.len() {
            let file = File {
                name: WEIGHTS.to_owned(),
                content: whole[1].content[..cut].to_vec(),
            };
            let error = open("folder", &[config.clone(), file]).expect_err("it was cut");
            assert!(
                error.message.contains("model.safetensors in folder"),
                "{error:?}"
            );
        }
        assert!(open("folder", &whole[..1]).is_err());
        let other = File {
            name: CONFIG.to_owned(),
            content: br#"{"model_type": "gpt2"}"#.to_vec(),
        };
        let error = open("folder", &[other, whole[1].clone()]).expect_err("another model");
        assert!(error.message.contains("gpt2"), "{error:?}");
    }

    #[test]
    fn ids_beyond_the_vocabulary_are_refused() {
        let small = Settings {
            vocab_size: 3,
            ..settings()
        };
        assert!(read_weights("folder", &files(&trained()), &small).is_err());
    }
}
