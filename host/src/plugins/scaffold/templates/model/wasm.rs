//! The model `{{name}}`: a bigram model. It trains through the host's loop like any other.
//!
//! What a gradient is to a network, the counts of a batch are to it: a backward pass counts, an optimizer step adds the counts. So
//! the learning rate changes nothing, and one pass over the data (`training.epochs=1`) is all there is to learn. What crosses the
//! border is here; the counts are in `bigram.rs`. Numbers cross packed, little-endian, one behind the other.

wit_bindgen::generate!({ path: "wit", world: "model-plugin" });

mod bigram;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bigram::Counts;
use codex::plugin::types::{
    AdapterPlan, Batch, Error, ErrorKind, File, GradientSummary, Ids, Loss, ModelInfo, OptimizerStep, Parameter,
    ScoreRequest, Scores, Site, TrainingPass, TrainingSettings,
};
use exports::codex::plugin::model::Guest;
use serde_json::{Value, json};

struct {{Type}};

/// Every component has an instance of its own, so a `static` is its state and nobody else's.
struct Bigram {
    vocab_size: u32,
    sequence_length: u32,
    smoothing: f64,
    counts: Counts,
    /// What was counted since the last optimizer step, and the scale of the loss; nothing before training.
    fresh: Option<(Counts, f64)>,
    sessions: BTreeMap<u64, Vec<u32>>,
    opened: u64,
}

static MODEL: Mutex<Option<Bigram>> = Mutex::new(None);

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error { kind, message: message.into(), hint: None, causes: vec![] }
}

fn unsupported<T>(what: &str) -> Result<T, Error> {
    Err(error(ErrorKind::Unsupported, format!("{what} is not supported by {{name}}")))
}

fn not_begun() -> Error {
    error(ErrorKind::Failed, "training has not begun")
}

/// The model that `create` made.
fn with<T>(call: impl FnOnce(&mut Bigram) -> Result<T, Error>) -> Result<T, Error> {
    let mut model: MutexGuard<'_, Option<Bigram>> = MODEL.lock().unwrap_or_else(PoisonError::into_inner);
    call(model.as_mut().ok_or_else(|| error(ErrorKind::Failed, "the model was not created"))?)
}

fn u64s(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|bytes| <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes)).collect()
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|bytes| <[u8; 4]>::try_from(bytes).map_or(0, u32::from_le_bytes)).collect()
}

fn sequences(ids: &Ids) -> Vec<Vec<u32>> {
    let (numbers, offsets) = (u32s(&ids.ids), u64s(&ids.offsets));
    offsets.windows(2).map(|pair| numbers[pair[0] as usize..pair[1] as usize].to_vec()).collect()
}

fn read_counts(files: &[File], vocab_size: u32) -> Result<Counts, Error> {
    let file = files.iter().find(|file| file.name == "counts.txt");
    let file = file.ok_or_else(|| error(ErrorKind::Data, "there is no counts.txt in the folder"))?;
    Counts::from_text(&String::from_utf8_lossy(&file.content), vocab_size).map_err(|line| {
        error(ErrorKind::Data, format!("line {line} of counts.txt is no pair of ids below {vocab_size}"))
    })
}

impl Bigram {
    fn check(&self, ids: &[u32], read: usize) -> Result<(), Error> {
        let (size, most) = (self.vocab_size, self.sequence_length as usize);
        if let Some(id) = ids.iter().find(|&&id| id >= size) {
            return Err(error(ErrorKind::Data, format!("id {id} is not in the vocabulary of {size}")));
        }
        if read + ids.len() > most {
            let length = read + ids.len();
            return Err(error(ErrorKind::Data, format!("a sequence has {length} tokens, and {most} are the most")));
        }
        Ok(())
    }

    /// The targets of each sequence, with the id before each. A label of -100 does not count.
    fn targets(&self, batch: &Batch) -> Result<Vec<Vec<(u32, u32)>>, Error> {
        let labels = batch.labels.as_ref().map(|labels| u64s(labels));
        let (mut all, mut first) = (vec![], 0);
        for ids in sequences(&batch.sequences) {
            self.check(&ids, 0)?;
            let mut targets = vec![];
            for at in 1..ids.len() {
                let label = labels.as_ref().map_or(i64::from(ids[at]), |labels| labels[first + at] as i64);
                if label != -100 {
                    let label = u32::try_from(label).map_err(|_| error(ErrorKind::Data, format!("{label} is no label")))?;
                    self.check(&[label], 0)?;
                    targets.push((ids[at - 1], label));
                }
            }
            first += ids.len();
            all.push(targets);
        }
        Ok(all)
    }

    /// The natural logarithm of a probability.
    fn score_one(&self, before: u32, id: u32) -> f64 {
        self.counts.probability(before, id, self.vocab_size, self.smoothing).ln()
    }

    fn session(&mut self, number: u64) -> Result<&mut Vec<u32>, Error> {
        let session = self.sessions.get_mut(&number);
        session.ok_or_else(|| error(ErrorKind::Failed, format!("there is no session {number}")))
    }

    fn counts_file(&self) -> File {
        File { name: "counts.txt".into(), content: self.counts.to_text().into_bytes() }
    }
}

impl Guest for {{Type}} {
    /// `files` are those of the folder that the configuration's `path` names; none without one.
    fn create(_name: String, config: String, files: Vec<File>) -> Result<(), Error> {
        let mut config: Value = serde_json::from_str(&config).unwrap_or_default();
        let saved = config["path"].is_string();
        if saved {
            let file = files.iter().find(|file| file.name == "config.json");
            config = file.and_then(|file| serde_json::from_slice(&file.content).ok()).unwrap_or_default();
        }
        let number = |key: &str| config[key].as_f64().ok_or_else(|| error(ErrorKind::Data, format!("config.json has no {key}")));
        let vocab_size = number("vocab_size")? as u32;
        let counts = if saved { read_counts(&files, vocab_size)? } else { Counts::default() };
        *MODEL.lock().unwrap_or_else(PoisonError::into_inner) = Some(Bigram {
            vocab_size,
            sequence_length: number("sequence_length")? as u32,
            smoothing: number("smoothing")?,
            counts,
            fresh: None,
            sessions: BTreeMap::new(),
            opened: 0,
        });
        Ok(())
    }
    fn info() -> Result<ModelInfo, Error> {
        with(|model| {
            Ok(ModelInfo {
                architecture: "bigram".into(),
                parameters: model.counts.distinct(),
                vocab_size: model.vocab_size,
                max_sequence_length: model.sequence_length,
                hidden_size: 0,
                tasks: vec!["causal-lm".into()],
                device: "cpu".into(),
                precision: "f64".into(),
            })
        })
    }
    fn parameters() -> Result<Vec<Parameter>, Error> {
        with(|model| {
            let shape = vec![model.counts.distinct()];
            Ok(vec![Parameter { name: "counts".into(), shape, dtype: "u64".into(), trainable: true }])
        })
    }
    fn score(batch: Batch, _request: ScoreRequest) -> Result<Scores, Error> {
        with(|model| {
            let (mut offsets, mut scores, mut ranks) = (0_u64.to_le_bytes().to_vec(), vec![], vec![]);
            let mut loss = Loss { sum: 0.0, targets: 0 };
            for targets in model.targets(&batch)? {
                for (before, id) in targets {
                    let score = model.score_one(before, id);
                    scores.extend((score as f32).to_le_bytes());
                    ranks.extend(model.counts.rank(before, id).to_le_bytes());
                    loss.sum -= score;
                    loss.targets += 1;
                }
                offsets.extend(loss.targets.to_le_bytes());
            }
            Ok(Scores { target_offsets: offsets, log_probabilities: scores, ranks, sequence_outputs: vec![], loss })
        })
    }
    fn save() -> Result<Vec<File>, Error> {
        with(|model| {
            let config = json!({"model_type": "{{name}}", "vocab_size": model.vocab_size,
                                "sequence_length": model.sequence_length, "smoothing": model.smoothing});
            let config = File { name: "config.json".into(), content: format!("{config:#}\n").into_bytes() };
            Ok(vec![config, model.counts_file()])
        })
    }

    fn begin_training(_settings: TrainingSettings) -> Result<(), Error> {
        with(|model| {
            model.fresh = Some((Counts::default(), 0.0));
            Ok(())
        })
    }
    fn forward_backward(batch: Batch, pass: TrainingPass) -> Result<Loss, Error> {
        with(|model| {
            let mut loss = Loss { sum: 0.0, targets: 0 };
            for (before, id) in model.targets(&batch)?.into_iter().flatten() {
                loss.sum -= model.score_one(before, id);
                loss.targets += 1;
                model.fresh.as_mut().ok_or_else(not_begun)?.0.add(before, id, 1);
            }
            // All passes of a step have the same scale.
            model.fresh.as_mut().ok_or_else(not_begun)?.1 = pass.loss_scale;
            Ok(loss)
        })
    }
    fn gradients() -> Result<Vec<GradientSummary>, Error> {
        with(|model| {
            let (fresh, scale) = model.fresh.as_ref().ok_or_else(not_begun)?;
            let (norm, received) = (scale * fresh.norm(), fresh.distinct() > 0);
            Ok(vec![GradientSummary { name: "counts".into(), norm, received }])
        })
    }
    fn do_optimizer_step(_step: OptimizerStep) -> Result<f64, Error> {
        with(|model| {
            let (fresh, scale) = model.fresh.replace((Counts::default(), 0.0)).ok_or_else(not_begun)?;
            model.counts.merge(&fresh);
            Ok(scale * fresh.norm())
        })
    }
    fn export_state() -> Result<Vec<File>, Error> {
        with(|model| Ok(vec![model.counts_file()]))
    }
    fn import_state(files: Vec<File>) -> Result<(), Error> {
        with(|model| {
            model.counts = read_counts(&files, model.vocab_size)?;
            Ok(())
        })
    }

    fn open_session() -> Result<u64, Error> {
        with(|model| {
            model.opened += 1;
            model.sessions.insert(model.opened, vec![]);
            Ok(model.opened)
        })
    }
    fn extend_sessions(numbers: Vec<u8>, ids: Ids) -> Result<Vec<u8>, Error> {
        with(|model| {
            let mut logits = vec![];
            for (number, new) in u64s(&numbers).into_iter().zip(sequences(&ids)) {
                let read = model.session(number)?.len();
                model.check(&new, read)?;
                model.session(number)?.extend(&new);
                let before = *new.last().ok_or_else(|| error(ErrorKind::Data, "a session is given no ids"))?;
                for id in 0..model.vocab_size {
                    logits.extend((model.score_one(before, id) as f32).to_le_bytes());
                }
            }
            Ok(logits)
        })
    }
    fn truncate_session(number: u64, length: u64) -> Result<(), Error> {
        with(|model| {
            let session = model.session(number)?;
            if length > session.len() as u64 {
                return Err(error(ErrorKind::Data, format!("session {number} has only {} ids", session.len())));
            }
            session.truncate(length as usize);
            Ok(())
        })
    }
    fn close_session(number: u64) -> Result<(), Error> {
        with(|model| {
            model.session(number)?;
            model.sessions.remove(&number);
            Ok(())
        })
    }

    // What this model cannot do.
    fn embed(_sequences: Ids) -> Result<Vec<u8>, Error> {
        unsupported("embedding")
    }
    fn sites() -> Result<Vec<Site>, Error> {
        unsupported("an adapter")
    }
    fn add_adapter(_name: String, _plan: AdapterPlan) -> Result<(), Error> {
        unsupported("an adapter")
    }
    fn load_adapter(_name: String, _files: Vec<File>) -> Result<(), Error> {
        unsupported("an adapter")
    }
    fn save_adapter(_name: String) -> Result<Vec<File>, Error> {
        unsupported("an adapter")
    }
    fn activate_adapters(_names: Vec<String>, _weights: Vec<u8>) -> Result<(), Error> {
        unsupported("an adapter")
    }
    fn merge_adapter(_name: String, _merged: bool) -> Result<f64, Error> {
        unsupported("an adapter")
    }
}

export!({{Type}});
