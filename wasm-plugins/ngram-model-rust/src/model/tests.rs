//! Training and generation, as the host calls them.

use codex_guest::types::Ids;

use super::*;

fn model() -> Ngram {
    Ngram::new(Settings {
        vocab_size: 6,
        sequence_length: 12,
        order: 3,
        discount: 0.75,
        bos_token_id: None,
        eos_token_id: None,
    })
    .expect("valid")
}

fn batch(parts: &[&[u32]], labels: Option<&[i64]>) -> Batch {
    let mut offsets = vec![0_u64];
    for part in parts {
        offsets.push(offsets[offsets.len() - 1] + part.len() as u64);
    }
    Batch {
        sequences: Ids {
            ids: pack(parts.concat()),
            offsets: pack(offsets),
        },
        labels: labels.map(|labels| pack(labels.iter().copied())),
        token_types: None,
        sequence_labels: None,
        parts: 1,
    }
}

fn settings(freeze: &[&str]) -> TrainingSettings {
    TrainingSettings {
        task: "causal-lm".to_owned(),
        seed: 1,
        betas: (0.9, 0.999),
        epsilon: 1e-8,
        weight_decay: 0.0,
        decay_matrices_only: false,
        freeze: freeze.iter().map(|&pattern| pattern.to_owned()).collect(),
        gradient_checkpointing: false,
        extra: "null".to_owned(),
    }
}

const PASS: TrainingPass = TrainingPass {
    step: 1,
    accumulation: 0,
    loss_scale: 0.5,
};

const TEXT: &[u32] = &[1, 2, 3, 1, 2, 4, 1, 2, 3];

fn trained(freeze: &[&str]) -> Ngram {
    let mut model = model();
    model.begin_training(&settings(freeze)).expect("fits");
    model
        .forward_backward(&batch(&[TEXT], None), &PASS)
        .expect("good batch");
    model.optimizer_step().expect("begun");
    model
}

fn all() -> ScoreRequest {
    ScoreRequest::LOG_PROBABILITIES | ScoreRequest::RANKS
}

#[test]
fn a_step_learns_what_was_counted() {
    let before = model()
        .score(&batch(&[TEXT], None), all())
        .expect("good batch")
        .loss;
    let after = trained(&[])
        .score(&batch(&[TEXT], None), all())
        .expect("good batch");
    assert_eq!(before.targets, 8);
    assert!(
        (before.sum - 8.0 * 6.0_f64.ln()).abs() < 1e-9,
        "all alike at first"
    );
    assert!(
        after.loss.sum < 0.6 * before.sum,
        "{} after {}",
        after.loss.sum,
        before.sum
    );
    let ranks: Vec<u32> = unpack("ranks", &after.ranks).expect("whole").collect();
    assert_eq!(ranks[0], 0, "2 is likeliest behind 1");
}

#[test]
fn gradients_are_the_scaled_counts_and_are_used_up() {
    let mut model = model();
    assert!(model.gradients().is_err() && model.optimizer_step().is_err());
    model.begin_training(&settings(&[])).expect("fits");
    model
        .forward_backward(&batch(&[&[1, 2, 2], &[2]], None), &PASS)
        .expect("good batch");
    let found = model.gradients().expect("begun");
    // Two of 2 alone; one each of 1 2 and 2 2; one of 1 2 2.
    let expected = [2.0, 2.0_f64.sqrt(), 1.0].map(|norm| 0.5 * norm);
    let norms: Vec<f64> = found.iter().map(|gradient| gradient.norm).collect();
    assert_eq!(norms, expected);
    assert!(found.iter().all(|gradient| gradient.received));
    let global: f64 = expected.iter().map(|norm| norm * norm).sum::<f64>().sqrt();
    assert!((model.optimizer_step().expect("begun") - global).abs() < 1e-12);
    let left = model.gradients().expect("begun");
    assert!(
        left.iter()
            .all(|gradient| !gradient.received && gradient.norm == 0.0)
    );
}

#[test]
fn frozen_lengths_stay_as_they_are() {
    let model = trained(&["counts.?"]);
    assert!(
        model
            .parameters()
            .iter()
            .all(|parameter| !parameter.trainable && parameter.shape == [0])
    );
    let model = trained(&["counts.2"]);
    let shapes: Vec<u64> = model
        .parameters()
        .iter()
        .map(|parameter| parameter.shape[0])
        .collect();
    assert_eq!(shapes[1], 0);
    assert!(shapes[0] > 0 && shapes[2] > 0, "{shapes:?}");
    let error = self::model()
        .begin_training(&settings(&["weight"]))
        .expect_err("no such");
    assert!(error.hint.expect("a hint").contains("counts.3"));
}

#[test]
fn labels_choose_what_counts() {
    let model = trained(&[]);
    let all_of_it = model
        .score(&batch(&[&[1, 2, 3]], Some(&[1, 2, 3])), all())
        .expect("good")
        .loss;
    let one = model
        .score(&batch(&[&[1, 2, 3]], Some(&[-100, 2, -100])), all())
        .expect("good")
        .loss;
    assert_eq!((all_of_it.targets, one.targets), (2, 1));
    for wrong in [&[1, 2][..], &[1, 6, 2], &[1, -1, 2]] {
        assert!(
            model
                .score(&batch(&[&[1, 2, 3]], Some(wrong)), all())
                .is_err(),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let model = model();
    let error = model
        .score(&batch(&[&[1, 6]], None), all())
        .expect_err("unknown id");
    assert_eq!(error.message, "id 6 is not in the vocabulary of 6");
    assert!(model.score(&batch(&[&[1; 13]], None), all()).is_err());
    let settings = Settings {
        order: 13,
        ..model.settings
    };
    assert!(Ngram::new(settings).is_err(), "no sequence is that long");
}

#[test]
fn sessions_say_what_scoring_says() {
    let mut model = trained(&[]);
    let scores = model
        .score(&batch(&[TEXT], None), all())
        .expect("good batch");
    let expected: Vec<f32> = unpack("scores", &scores.log_probabilities)
        .expect("whole")
        .collect();
    let session = model.open_session();
    for (at, &id) in TEXT[..8].iter().enumerate() {
        let logits = model
            .extend_sessions(&[session], &[vec![id]])
            .expect("fits");
        assert_eq!(logits[TEXT[at + 1] as usize], expected[at]);
    }
    model.truncate_session(session, 2).expect("it has more");
    let logits = model.extend_sessions(&[session], &[vec![3]]).expect("fits");
    assert_eq!(logits[1], expected[2]);
    assert!(model.truncate_session(session, 9).is_err());
    let (other, both) = (model.open_session(), [vec![1], vec![2]]);
    assert!(model.extend_sessions(&[other, other], &both).is_err());
    assert_eq!(
        model
            .extend_sessions(&[other, session], &both)
            .expect("fits")
            .len(),
        12
    );
    model.close_session(session).expect("it is there");
    assert!(model.close_session(session).is_err());
}
