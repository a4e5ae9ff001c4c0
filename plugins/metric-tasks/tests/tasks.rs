//! Reference values, values by hand, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use codex_plugin_api::serde_json::{self, Value};
use codex_plugin_api::{ErrorKind, Metric, Samples};
use codex_plugin_metric_tasks::{Classification, Regression, Retrieval};

/// The scores by name.
fn score(metric: &dyn Metric, name: &str) -> f64 {
    let scores = metric.compute().unwrap();
    let found = scores.iter().find(|score| score.name == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {scores:?}"))
        .value
}

fn check(metric: &dyn Metric, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        let found = score(metric, name);
        let equal = (found - value).abs() < 1e-6 || (found.is_nan() && value.is_nan());
        assert!(equal, "{name} is {found}, not {value}");
    }
}

fn predicted<M: Metric + Default>(labels: &[f32], predicted_labels: &[f32]) -> M {
    let mut metric = M::default();
    let samples = Samples {
        count: labels.len(),
        labels,
        predicted_labels,
        ..Samples::default()
    };
    metric.update(&samples).unwrap();
    metric
}

#[test]
fn classes_are_judged_as_scikit_learn_judges_them() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let golden: Value = serde_json::from_slice(&text).unwrap();
    let numbers = |key: &str| -> Vec<f32> {
        let list = golden[key].as_array().unwrap().iter();
        list.map(|value| value.as_f64().unwrap() as f32).collect()
    };
    let metric: Classification = predicted(&numbers("labels"), &numbers("predictions"));
    let number = |pointer: &str| golden.pointer(pointer).unwrap().as_f64().unwrap();
    check(
        &metric,
        &[
            ("accuracy", number("/accuracy")),
            ("f1_macro", number("/f1/macro")),
            ("f1_micro", number("/f1/micro")),
            ("f1_weighted", number("/f1/weighted")),
            ("mcc", number("/mcc")),
            ("loss", f64::NAN),
        ],
    );
}

#[test]
fn a_class_that_is_never_right_counts_for_the_macro_mean_alone() {
    let metric: Classification = predicted(&[0.0, 0.0, 1.0, 1.0], &[0.0, 2.0, 1.0, 1.0]);
    // F1 of the classes: 2/3, 1, 0; Matthews by hand: 3·4 − (2·1 + 2·2) = 6 over √8 · √10.
    check(
        &metric,
        &[
            ("accuracy", 0.75),
            ("f1_macro", (2.0 / 3.0 + 1.0) / 3.0),
            ("f1_weighted", f64::midpoint(2.0 / 3.0, 1.0)),
            ("mcc", 6.0 / 80f64.sqrt()),
        ],
    );
    let constant: Classification = predicted(&[0.0, 1.0], &[1.0, 1.0]);
    check(&constant, &[("mcc", 0.0), ("accuracy", 0.5)]);
}

#[test]
fn the_loss_is_the_mean_of_the_targets() {
    let mut metric = Classification::default();
    let samples = Samples {
        count: 2,
        labels: &[0.0, 1.0],
        predicted_labels: &[0.0, 0.0],
        log_probabilities: &[-0.5, -1.5],
        ..Samples::default()
    };
    metric.update(&samples).unwrap();
    check(&metric, &[("loss", 1.0)]);
}

#[test]
fn values_are_judged_by_their_errors_and_their_order() {
    let metric: Regression = predicted(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 6.0]);
    // Deviations −1.5 −0.5 0.5 1.5 and −2 0 −1 3: 7 over √5 · √14; ranks 1 2 3 4 and 1 3 2 4.
    check(
        &metric,
        &[
            ("loss", 1.5),
            ("mse", 1.5),
            ("mae", 1.0),
            ("pearson", 7.0 / 70f64.sqrt()),
            ("spearman", 0.8),
        ],
    );
    let constant: Regression = predicted(&[1.0, 2.0], &[3.0, 3.0]);
    check(
        &constant,
        &[("mse", 2.5), ("pearson", f64::NAN), ("spearman", f64::NAN)],
    );
}

fn texts<'a>(labels: &'a [f32], embeddings: &'a [f32]) -> Samples<'a> {
    Samples {
        count: labels.len(),
        labels,
        embeddings,
        dimensions: 2,
        ..Samples::default()
    }
}

#[test]
fn an_anchor_is_ranked_among_all_other_texts() {
    let mut metric = Retrieval::default();
    // Anchors at 0°, 90° and 180°; the second's positive is where the third's should be, and the other way round.
    let labels = [0.0, 0.0, 1.0, 1.0, 2.0, 2.0];
    let rows = [1.0, 0.0, 9.0, 1.0, 0.0, 3.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.5];
    metric.update(&texts(&labels, &rows)).unwrap();
    check(
        &metric,
        &[
            ("accuracy_at_1", 1.0 / 3.0),
            ("accuracy_at_5", 1.0),
            // Of the second two are nearer, of the third one.
            ("mrr", (1.0 + 1.0 / 3.0 + 1.0 / 2.0) / 3.0),
            ("loss", f64::NAN),
        ],
    );
    // A hard negative between the first anchor and its positive.
    metric.update(&texts(&[0.0], &[1.0, 0.01])).unwrap();
    check(
        &metric,
        &[
            ("accuracy_at_1", 0.0),
            ("mrr", (1.0 / 2.0 + 1.0 / 4.0 + 1.0 / 2.0) / 3.0),
        ],
    );
}

#[test]
fn an_anchor_alone_is_not_judged() {
    let mut metric = Retrieval::default();
    metric.update(&texts(&[5.0], &[1.0, 0.0])).unwrap();
    check(&metric, &[("accuracy_at_1", f64::NAN), ("mrr", f64::NAN)]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |metric: &mut dyn Metric, samples: &Samples<'_>, words: &str| {
        let error = metric.update(samples).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.message().contains(words), "{error} lacks {words}");
    };
    let unequal = Samples {
        count: 2,
        labels: &[0.0, 1.0],
        predicted_labels: &[0.0],
        ..Samples::default()
    };
    refused(
        &mut Classification::default(),
        &unequal,
        "2 labels come with 1",
    );
    refused(&mut Regression::default(), &unequal, "2 values come with 1");
    let nan = Samples {
        count: 1,
        labels: &[0.0],
        predicted_labels: &[f32::NAN],
        ..Samples::default()
    };
    refused(&mut Classification::default(), &nan, "is NaN");
    refused(&mut Regression::default(), &nan, "is NaN");
    let mut metric = Retrieval::default();
    refused(&mut metric, &texts(&[0.0], &[1.0]), "of 2 dimensions");
    refused(&mut metric, &texts(&[0.0], &[1.0, f32::NAN]), "is NaN");
    metric.update(&texts(&[0.0], &[1.0, 0.0])).unwrap();
    let wide = Samples {
        dimensions: 3,
        ..texts(&[0.0], &[1.0, 0.0, 0.0])
    };
    refused(&mut metric, &wide, "come after some of 2");
}
