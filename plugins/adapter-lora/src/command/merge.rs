//! `lora merge`: a model with its adapters worked into the weights, as a model of its own.

use codex_plugin_api::{Arguments, Error, HostRef, Ids, Model, Result, ScoreRequest, TokenBatch};
use serde_json::json;

use super::model::{copy_beside, folder, model_folder, open};
use super::output::Output;
use super::table::number;
use super::{Done, interrupted, required};

/// Sequences that the model is asked about before and after.
const SEQUENCES: usize = 4;
/// Their length, where the model allows it.
const LENGTH: u32 = 32;

/// Ids without a pattern, the same in every run.
fn sample(vocabulary: u32, length: usize) -> Vec<u32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..SEQUENCES * length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u32 % vocabulary.max(1)
        })
        .collect()
}

/// What the model says about the sample: logits for the next token, embeddings, or logits of classes; for a masked language
/// model the log-probabilities of the sample's own tokens.
fn answers(model: &mut dyn Model) -> Result<Vec<f32>> {
    let info = model.info()?;
    let length = info.max_sequence_length.min(LENGTH) as usize;
    let ids = sample(info.vocab_size, length);
    let offsets: Vec<u64> = (0..=SEQUENCES)
        .map(|index| (index * length) as u64)
        .collect();
    let sequences = Ids::new(&ids, &offsets)?;
    let can = |task: &str| info.tasks.iter().any(|one| one == task);
    if can("causal-lm") {
        let sessions: Vec<u64> = (0..SEQUENCES)
            .map(|_| model.open_session())
            .collect::<Result<_>>()?;
        let logits = model.extend_sessions(&sessions, sequences)?;
        for session in sessions {
            model.close_session(session)?;
        }
        return Ok(logits);
    }
    if can("embedding") {
        return model.embed(sequences);
    }
    let labels: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let masked = can("masked-lm");
    // Scores need targets; outputs do not depend on them.
    let targets = [0.0; SEQUENCES];
    let batch = TokenBatch {
        labels: masked.then_some(labels.as_slice()),
        sequence_labels: (!masked).then_some(targets.as_slice()),
        ..TokenBatch::new(sequences)
    };
    let request = ScoreRequest {
        log_probabilities: masked,
        sequence_outputs: !masked,
        ..ScoreRequest::default()
    };
    let scores = model.score(&batch, request)?;
    Ok(if masked {
        scores.log_probabilities
    } else {
        scores.sequence_outputs
    })
}

fn largest_difference(first: &[f32], second: &[f32]) -> Result<f64> {
    if first.len() != second.len() {
        return Err(Error::failed(format!(
            "the merged model gives {} numbers where it gave {}",
            second.len(),
            first.len()
        )));
    }
    let pairs = first.iter().zip(second);
    let largest = pairs
        .map(|(x, y)| f64::from((x - y).abs()))
        .fold(0.0, f64::max);
    // A maximum passes over NaN.
    if first.iter().chain(second).any(|value| !value.is_finite()) {
        return Err(Error::data("the model gives logits that are not finite")
            .hint("look at the adapter's norms with `codex-ml lora inspect`"));
    }
    Ok(largest)
}

pub(super) fn run(arguments: &Arguments, host: &HostRef) -> Result<Done> {
    let model_path = model_folder(required(arguments, "model")?)?;
    let place = required(arguments, "output")?;
    let adapters = arguments.texts("adapter");
    if adapters.is_empty() {
        return Err(
            Error::config("--adapter is missing").hint("give at least one adapter's folder")
        );
    }
    let output = Output::begin(place)?;
    let mut model = open(&model_path, host)?;
    let plain = answers(&mut *model)?;
    let mut names = Vec::new();
    for (index, adapter) in adapters.iter().enumerate() {
        let name = format!("adapter-{index}");
        let path = folder(adapter, codex_peft::CONFIG);
        model
            .load_adapter(&name, &path.to_string_lossy())
            .map_err(|error| error.context(format!("cannot load the adapter {adapter}")))?;
        names.push(name);
    }
    model.activate_adapters(&names, &vec![1.0; names.len()])?;
    let beside = answers(&mut *model)?;
    let mut weight_change = 0.0_f64;
    for (index, name) in names.iter().enumerate() {
        interrupted(host)?;
        host.progress("merging", index as u64, names.len() as u64);
        weight_change = weight_change.max(model.merge_adapter(name, true)?);
    }
    host.progress("merging", names.len() as u64, names.len() as u64);
    let merged = answers(&mut *model)?;
    let difference = largest_difference(&beside, &merged)?;
    let effect = largest_difference(&plain, &merged)?;

    model.save(&output.path().to_string_lossy())?;
    let mut copied = copy_beside(&model_path, output.path())?;
    if !copied
        .iter()
        .any(|name| name.starts_with("tokenizer") || name.starts_with("vocab"))
    {
        // A base without a tokenizer was given one by the run that trained the adapter.
        copied.extend(copy_beside(
            &folder(adapters[0], codex_peft::CONFIG),
            output.path(),
        )?);
    }
    output.finish()?;
    Ok(Done {
        text: format!(
            "wrote {place}: {} with {}\n\
             largest change of a weight: {}\n\
             largest change of an output by the adapter: {}\n\
             largest difference between merged and beside the model: {}\n",
            model_path.display(),
            adapters.join(", "),
            number(weight_change),
            number(effect),
            number(difference),
        ),
        json: json!({
            "output": place,
            "model": model_path.to_string_lossy(),
            "adapters": adapters,
            "copied": copied,
            "largest_weight_change": weight_change,
            "largest_output_change": effect,
            "largest_logit_difference": difference,
        }),
    })
}
