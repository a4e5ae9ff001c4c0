//! BERT's masked language modelling and MiniLM's sentence embeddings.

use codex_plugin_api::{Ids, Model, ScoreRequest, TokenBatch, TrainingSettings};
use codex_plugin_model_minilm::MiniLm;
use safetensors::SafeTensors;

use super::{Case, check_gradients, check_optimizer, floats, integers, json, relative};
use crate::{golden, open};

pub(crate) const MASKED: &str = "bert-mlm-tiny";
pub(crate) const SENTENCES: &str = "bert-embed-tiny";

const RANKED: ScoreRequest = ScoreRequest {
    log_probabilities: true,
    ranks: true,
    sequence_outputs: false,
};

/// Gradients and optimizer steps, with all activations kept and with blocks computed again.
fn check_training(model: &mut MiniLm, batch: &TokenBatch<'_>, name: &str, loss: f64, targets: u64) {
    for gradient_checkpointing in [false, true] {
        let settings = TrainingSettings {
            task: model.info().unwrap().tasks[0].clone(),
            gradient_checkpointing,
            ..TrainingSettings::default()
        };
        model.begin_training(&settings).unwrap();
        check_gradients(model, batch, name, (loss, targets));
    }
    let settings = TrainingSettings {
        task: model.info().unwrap().tasks[0].clone(),
        ..TrainingSettings::default()
    };
    // Begins again with gradients and moments at zero.
    model.begin_training(&settings).unwrap();
    check_optimizer(model, batch, name, targets);
}

/// Everything about masked language modelling, computed wherever the model is.
pub(crate) fn check_masked(model: &mut MiniLm) {
    let name = MASKED;
    let case = Case::read(name);
    let loss = json(&golden(name).join("expect.json"))["loss"]
        .as_f64()
        .unwrap();
    let info = model.info().unwrap();
    assert_eq!(
        (info.architecture.as_str(), info.max_sequence_length),
        ("bert", 40)
    );
    assert_eq!(info.tasks, ["masked-lm"]);

    let logits = model.logits(case.batch().sequences).unwrap();
    let error = relative(&logits, &case.logits);
    assert!(error <= 1e-5, "logits differ by {error}");

    let scores = model.score(&case.batch(), RANKED).unwrap();
    assert_eq!(
        (scores.loss.targets, &scores.target_offsets[..]),
        (7, &[0, 3, 5, 7][..])
    );
    let mean = scores.loss.sum / 7.0;
    assert!((mean - loss).abs() <= 1e-5, "mean {mean}, not {loss}");
    let masked = (0..case.ids.len()).filter(|&row| case.labels[row] >= 0);
    for (row, (rank, log_probability)) in
        masked.zip(scores.ranks.iter().zip(&scores.log_probabilities))
    {
        let logits = &case.logits[row * case.vocabulary..(row + 1) * case.vocabulary];
        let target = logits[case.labels[row] as usize];
        let above = logits.iter().filter(|&&logit| logit > target).count();
        assert_eq!(*rank, above as u32);
        let sum: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
        assert!((f64::from(*log_probability) - (f64::from(target) - sum.ln())).abs() < 1e-4);
    }
    check_training(model, &case.batch(), name, loss, 7);
}

/// Ragged ids of a padded batch, appended.
fn append(io: &SafeTensors<'_>, which: &str, ids: &mut Vec<u32>, offsets: &mut Vec<u64>) {
    let columns = io.tensor(&format!("{which}_ids")).unwrap().shape()[1];
    let (all, mask) = (
        integers(io, &format!("{which}_ids")),
        integers(io, &format!("{which}_mask")),
    );
    for (row, mask) in all.chunks(columns).zip(mask.chunks(columns)) {
        let kept = row.iter().zip(mask).filter(|(_, mask)| **mask == 1);
        ids.extend(kept.map(|(id, _)| *id as u32));
        offsets.push(ids.len() as u64);
    }
}

/// Everything about sentence embeddings, computed wherever the model is.
pub(crate) fn check_sentences(model: &mut MiniLm) {
    let name = SENTENCES;
    let bytes = std::fs::read(golden(name).join("io.safetensors")).unwrap();
    let io = SafeTensors::deserialize(&bytes).unwrap();
    let (mut ids, mut offsets) = (Vec::new(), vec![0]);
    append(&io, "anchor", &mut ids, &mut offsets);
    append(&io, "positive", &mut ids, &mut offsets);
    let batch = TokenBatch {
        parts: 2,
        ..TokenBatch::new(Ids::new(&ids, &offsets).unwrap())
    };
    let expected = [
        floats(&io, "anchor_embedding"),
        floats(&io, "positive_embedding"),
    ]
    .concat();
    let loss = json(&golden(name).join("expect.json"))["mnrl_loss"]
        .as_f64()
        .unwrap();
    assert_eq!(model.info().unwrap().tasks, ["embedding"]);
    let error = relative(&model.embed(batch.sequences).unwrap(), &expected);
    assert!(error <= 1e-5, "embeddings differ by {error}");

    let scores = model.score(&batch, RANKED).unwrap();
    assert_eq!(scores.target_offsets, [0, 1, 2, 3, 3, 3, 3]);
    assert!((scores.loss.sum / 3.0 - loss).abs() <= 1e-5);
    for (anchor, (rank, log_probability)) in scores
        .ranks
        .iter()
        .zip(&scores.log_probabilities)
        .enumerate()
    {
        let row = |index: usize| &expected[index * 32..(index + 1) * 32];
        let cosine = |positive: usize| -> f64 {
            let pairs = row(anchor).iter().zip(row(3 + positive));
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let own = cosine(anchor);
        assert_eq!(*rank, (0..3).filter(|&p| cosine(p) > own).count() as u32);
        let sum: f64 = (0..3).map(|p| (20.0 * cosine(p)).exp()).sum();
        assert!((f64::from(*log_probability) - (20.0 * own - sum.ln())).abs() < 1e-4);
    }
    check_training(model, &batch, name, loss, 3);
}

#[test]
fn masked_language_modelling() {
    for threads in [1, 2] {
        check_masked(&mut open(&golden(MASKED).join("model"), threads).unwrap());
    }
}

#[test]
fn sentence_embeddings() {
    for threads in [1, 2] {
        check_sentences(&mut open(&golden(SENTENCES).join("model"), threads).unwrap());
    }
}
