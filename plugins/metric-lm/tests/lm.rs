//! Values by hand, the same scores however the samples are divided, and the edges.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::{Direction, FromConfig, Metric, NoHost, Samples, Score};
use codex_plugin_metric_lm::{LanguageModelMetric, LmConfig};

fn metric(top_k: u32) -> LanguageModelMetric {
    LanguageModelMetric::from_config(LmConfig { top_k }, NoHost::shared()).unwrap()
}

fn samples<'a>(
    log_probabilities: &'a [f32],
    ranks: &'a [u32],
    byte_lengths: &'a [u64],
) -> Samples<'a> {
    Samples {
        count: byte_lengths.len(),
        log_probabilities,
        ranks,
        byte_lengths,
        ..Samples::default()
    }
}

fn values(metric: &LanguageModelMetric) -> Vec<f64> {
    metric
        .compute()
        .unwrap()
        .iter()
        .map(|score| score.value)
        .collect()
}

#[test]
fn scores_are_those_of_the_definitions() {
    let mut metric = metric(3);
    metric
        .update(&samples(
            &[0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln()],
            &[0, 2, 3],
            &[2, 1],
        ))
        .unwrap();
    metric
        .update(&samples(&[0.25f32.ln()], &[0], &[1]))
        .unwrap();
    let bits = 1.0 + 2.0 + 3.0 + 2.0;
    let loss = bits * std::f64::consts::LN_2 / 4.0;
    let expected = [
        Score::lower("loss", loss),
        Score::lower("perplexity", loss.exp()),
        Score::lower("bits_per_byte", bits / 4.0),
        Score::higher("token_accuracy", 0.5),
        Score::higher("top_3_accuracy", 0.75),
    ];
    for (found, expected) in metric.compute().unwrap().iter().zip(&expected) {
        assert_eq!(
            (&found.name, found.direction),
            (&expected.name, expected.direction)
        );
        assert!(
            (found.value - expected.value).abs() < 1e-7,
            "{found:?} is not {expected:?}"
        );
    }
    assert_eq!(self::metric(5).compute().unwrap()[4].name, "top_5_accuracy");
}

#[test]
fn divided_and_merged_samples_give_the_same_scores() {
    let mut state = 7u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let scores: Vec<f32> = (0..200_000).map(|_| (next() + 1e-6).ln() * 3.0).collect();
    let ranks: Vec<u32> = scores.iter().map(|score| (-score) as u32).collect();
    let mut whole = metric(5);
    whole.update(&samples(&scores, &ranks, &[700_000])).unwrap();
    for part in [1, 17, 999, 150_000] {
        let mut merged = metric(5);
        for (index, (scores, ranks)) in scores.chunks(part).zip(ranks.chunks(part)).enumerate() {
            let mut one = metric(5);
            let bytes = if index == 0 { 700_000 } else { 0 };
            one.update(&samples(scores, ranks, &[bytes])).unwrap();
            merged.merge(&one.state().unwrap()).unwrap();
        }
        for (a, b) in values(&whole).iter().zip(values(&merged)) {
            assert!(
                (a - b).abs() <= 1e-12 * a.abs(),
                "{a} and {b} in parts of {part}"
            );
        }
    }
}

#[test]
fn nothing_is_nan_and_impossible_is_infinite() {
    let mut metric = metric(5);
    assert!(values(&metric).iter().all(|value| value.is_nan()));
    metric.update(&samples(&[], &[], &[])).unwrap();
    metric.merge(&self::metric(5).state().unwrap()).unwrap();
    assert!(values(&metric).iter().all(|value| value.is_nan()));
    metric
        .update(&samples(&[f32::NEG_INFINITY, -1.0], &[40, 0], &[3]))
        .unwrap();
    let mut other = self::metric(5);
    other.update(&samples(&[-1.0], &[0], &[1])).unwrap();
    other.merge(&metric.state().unwrap()).unwrap();
    assert_eq!(values(&other)[..3], [f64::INFINITY; 3]);
    assert!((values(&other)[3] - 2.0 / 3.0).abs() < 1e-12);
    for (score, direction) in metric.compute().unwrap().iter().zip([Direction::Lower; 3]) {
        assert_eq!(score.direction, direction);
    }
}

#[test]
fn targets_that_stand_for_no_whole_text_have_no_bits_per_byte() {
    let mut metric = metric(5);
    metric
        .update(&Samples {
            count: 1,
            byte_lengths: &[],
            ..samples(&[-1.0], &[0], &[])
        })
        .unwrap();
    let scores = metric.compute().unwrap();
    let names: Vec<&str> = scores.iter().map(|score| score.name.as_str()).collect();
    assert_eq!(
        names,
        ["loss", "perplexity", "token_accuracy", "top_5_accuracy"]
    );
    assert_eq!(scores[0].value, 1.0);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut metric = metric(5);
    for (samples, word) in [
        (
            samples(&[-1.0, -2.0], &[0], &[1]),
            "2 log-probabilities come with 1 ranks",
        ),
        (
            samples(&[-1.0, f32::NAN], &[0, 0], &[1]),
            "log-probability 1 of 2 is not a number",
        ),
        (
            Samples {
                count: 2,
                ..samples(&[], &[], &[1])
            },
            "2 samples come with 1 byte lengths",
        ),
    ] {
        let error = metric.update(&samples).unwrap_err();
        assert!(error.message().contains(word), "{error}");
    }
    assert!(
        values(&metric)[0].is_nan(),
        "a refused call left something behind"
    );
    assert!(
        metric
            .merge(&[0; 55])
            .unwrap_err()
            .message()
            .contains("55 bytes where 56 are due")
    );
    let error = metric.merge(&self::metric(4).state().unwrap()).unwrap_err();
    assert_eq!(
        error.message(),
        "a state of top_k 4 cannot be added to one of top_k 5"
    );
    let error =
        LanguageModelMetric::from_config(LmConfig { top_k: 0 }, NoHost::shared()).unwrap_err();
    assert_eq!(error.message(), "top_k is 0");
}
