//! The model `ngram`: an interpolated n-gram language model with absolute discounting (Ney, Essen and Kneser 1994).
//!
//! It trains through the host's loop like any other. What a gradient is to a network, the counts of a batch are to it: a
//! backward pass counts, an optimizer step adds the counts to the model. So learning rate, weight decay and clipping have
//! no meaning and change nothing, and one pass over the data (`training.epochs=1`) is all that there is to learn: counting
//! a text twice only makes the model too sure of it.
//!
//! What crosses the border is here; `counts.rs` has the counts and the probabilities that follow from them, `model.rs` what
//! the calls do, `folder.rs` the saved files, `pattern.rs` the names to freeze.

mod counts;
mod folder;
mod model;
mod pattern;

use codex_guest::types::{
    AdapterPlan, Batch, Error, File, GradientSummary, Ids, Loss, ModelInfo, OptimizerStep,
    Parameter, ScoreRequest, Scores, Site, TrainingPass, TrainingSettings,
};
use codex_guest::{Component, pack, sequences, unpack};

use exports::codex::plugin::model::Guest;
use model::{Ngram, Settings};

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "model-plugin",
    with: { "codex:plugin/types@1.0.0": codex_guest::types },
});

static MODEL: Component<Ngram> = Component::new();

/// The configuration; the host checked it against the manifest's schema and filled in the defaults.
#[derive(serde::Deserialize)]
struct Config {
    /// The folder itself comes as files.
    path: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(name: String, config: String, files: Vec<File>) -> Result<(), Error> {
        let config: Config = serde_json::from_str(&config)
            .map_err(|why| Error::config(format!("configuration of {name} is wrong: {why}")))?;
        MODEL.set(match config.path {
            Some(path) => folder::open(&path, &files)?,
            None => Ngram::new(config.settings)?,
        });
        Ok(())
    }

    fn info() -> Result<ModelInfo, Error> {
        MODEL.with(|model| Ok(model.info()))
    }

    fn parameters() -> Result<Vec<Parameter>, Error> {
        MODEL.with(|model| Ok(model.parameters()))
    }

    fn score(batch: Batch, request: ScoreRequest) -> Result<Scores, Error> {
        MODEL.with(|model| model.score(&batch, request))
    }

    fn save() -> Result<Vec<File>, Error> {
        MODEL.with(|model| Ok(folder::files(model)))
    }

    fn begin_training(settings: TrainingSettings) -> Result<(), Error> {
        MODEL.with(|model| model.begin_training(&settings))
    }

    fn forward_backward(batch: Batch, pass: TrainingPass) -> Result<Loss, Error> {
        MODEL.with(|model| model.forward_backward(&batch, &pass))
    }

    fn gradients() -> Result<Vec<GradientSummary>, Error> {
        MODEL.with(Ngram::gradients)
    }

    fn do_optimizer_step(_step: OptimizerStep) -> Result<f64, Error> {
        MODEL.with(Ngram::optimizer_step)
    }

    fn export_state() -> Result<Vec<File>, Error> {
        MODEL.with(|model| Ok(vec![folder::weights(model)]))
    }

    fn import_state(files: Vec<File>) -> Result<(), Error> {
        MODEL.with(|model| {
            let counts = folder::read_weights("the checkpoint", &files, model.settings())?;
            model.replace(counts);
            Ok(())
        })
    }

    fn embed(_sequences: Ids) -> Result<Vec<u8>, Error> {
        Err(Error::unsupported("embedding"))
    }

    fn open_session() -> Result<u64, Error> {
        MODEL.with(|model| Ok(model.open_session()))
    }

    fn extend_sessions(numbers: Vec<u8>, ids: Ids) -> Result<Vec<u8>, Error> {
        MODEL.with(|model| {
            let numbers: Vec<u64> = unpack("sessions", &numbers)?.collect();
            Ok(pack(model.extend_sessions(&numbers, &sequences(&ids)?)?))
        })
    }

    fn truncate_session(session: u64, length: u64) -> Result<(), Error> {
        MODEL.with(|model| model.truncate_session(session, length))
    }

    fn close_session(session: u64) -> Result<(), Error> {
        MODEL.with(|model| model.close_session(session))
    }

    fn sites() -> Result<Vec<Site>, Error> {
        Err(Error::unsupported("adapters"))
    }

    fn add_adapter(_name: String, _plan: AdapterPlan) -> Result<(), Error> {
        Err(Error::unsupported("adapters"))
    }

    fn load_adapter(_name: String, _files: Vec<File>) -> Result<(), Error> {
        Err(Error::unsupported("adapters"))
    }

    fn save_adapter(_name: String) -> Result<Vec<File>, Error> {
        Err(Error::unsupported("adapters"))
    }

    fn activate_adapters(_names: Vec<String>, _weights: Vec<u8>) -> Result<(), Error> {
        Err(Error::unsupported("adapters"))
    }

    fn merge_adapter(_name: String, _merged: bool) -> Result<f64, Error> {
        Err(Error::unsupported("adapters"))
    }
}
