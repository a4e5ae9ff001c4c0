//! Evaluation: every token once whatever the pieces and batches, the floor, and metrics that fail.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tasks;

use codex_plugin_api::{Needs, Samples};

use super::*;
use crate::data::Documents;
use crate::testing::{
    BigramModel, ByteTokenizer, FunctionMetric, LossMetric, MemoryDataset, app, documents,
};

type NamedMetric = (String, Box<dyn Metric>);

fn loss() -> NamedMetric {
    ("lm".into(), Box::<LossMetric>::default())
}

fn function(
    name: &'static str,
    needs: Needs,
    function: fn(&Samples<'_>) -> Result<f64>,
) -> NamedMetric {
    let metric = FunctionMetric {
        needs,
        name,
        function,
        total: 0.0,
    };
    (name.into(), Box::new(metric))
}

fn run(
    model: &mut BigramModel,
    documents: &Documents,
    metrics: Vec<NamedMetric>,
    batch_tokens: usize,
) -> Result<Report> {
    let corpus = Corpus::Documents(documents.clone());
    evaluate(
        Request {
            model,
            tokenizer: &ByteTokenizer,
            metrics,
            corpus: &corpus,
            task: &TaskSettings::default(),
            max_samples: None,
            batch_tokens,
        },
        &app(),
    )
}

fn poem() -> Vec<String> {
    (0..300)
        .map(|n| "the quick brown fox jumps over ".repeat(n % 9))
        .collect()
}

#[test]
fn a_uniform_model_costs_the_logarithm_of_its_vocabulary() {
    let report = run(
        &mut BigramModel::uniform(257),
        &documents(["abc", "", "č"]),
        vec![loss()],
        100,
    )
    .unwrap();
    // Three bytes and an end, two bytes and an end.
    assert_eq!((report.tokens, report.samples, report.bytes), (7, 2, 5));
    assert!((report.value("loss").unwrap() - 257f64.ln()).abs() < 1e-6);
    let bits = 7.0 * 257f64.log2() / 5.0;
    assert!((report.value("bits_per_byte").unwrap() - bits).abs() < 1e-5);
    assert_eq!(report.value(FLOOR), None);
}

#[test]
fn pieces_and_batches_do_not_change_the_result() {
    let documents = documents(poem());
    let reference = run(
        &mut BigramModel::reciting("the quick"),
        &documents,
        vec![loss()],
        1 << 20,
    )
    .unwrap();
    for (longest, batch_tokens) in [(2, 1), (3, 100), (17, 64), (64, 1000), (1 << 20, 7)] {
        let mut model = BigramModel {
            max_sequence_length: longest,
            ..BigramModel::reciting("the quick")
        };
        let report = run(&mut model, &documents, vec![loss()], batch_tokens).unwrap();
        assert_eq!(report, reference, "{longest} {batch_tokens}");
    }
}

#[test]
fn metrics_see_documents_in_order_and_whole() {
    let documents = documents(poem());
    let check = |samples: &Samples<'_>| {
        assert_eq!(samples.targets.len(), samples.count);
        assert_eq!(samples.texts.len(), samples.count);
        assert_eq!(samples.ranks.len(), samples.targets.ids().len());
        let mut previous = 0;
        for ((ids, text), &bytes) in samples
            .targets
            .iter()
            .zip(samples.texts.iter())
            .zip(samples.byte_lengths)
        {
            assert_eq!(bytes as usize, text.len());
            let expected: Vec<u32> = text.bytes().map(u32::from).chain([256]).collect();
            assert_eq!(ids, expected);
            // The poem's lengths go 31, 62, … 248, 31, …: in the dataset's order.
            assert!(
                [0, text.len() - 31].contains(&previous) || text.len() == 31,
                "{previous} {}",
                text.len()
            );
            previous = text.len();
        }
        Ok(samples.count as f64)
    };
    let needs = Needs {
        texts: true,
        ranks: true,
        ids: true,
        ..Needs::default()
    };
    let mut model = BigramModel {
        max_sequence_length: 40,
        ..BigramModel::uniform(257)
    };
    let report = run(
        &mut model,
        &documents,
        vec![function("count", needs, check)],
        200,
    )
    .unwrap();
    assert_eq!(report.value("count"), Some(report.samples as f64));
    // Pieces of one batch are of like length, and no batch is beyond the budget.
    assert!(
        model
            .calls
            .iter()
            .all(|lengths| lengths.iter().sum::<usize>() <= 200)
    );
    assert!(
        model
            .calls
            .iter()
            .all(|lengths| lengths.is_sorted_by(|a, b| a >= b))
    );
}

#[test]
fn a_model_is_not_asked_for_what_no_metric_needs() {
    let needs = Needs {
        texts: true,
        ..Needs::default()
    };
    let mut model = BigramModel::uniform(257);
    let report = run(
        &mut model,
        &documents(["abc"]),
        vec![function("texts", needs, |s| Ok(s.texts.len() as f64))],
        10,
    );
    assert_eq!(report.unwrap().tokens, 4);
    assert!(model.calls.is_empty());
}

#[test]
fn the_floor_stands_behind_the_bits_per_byte() {
    let dataset = MemoryDataset {
        log_probabilities: Some(vec![
            -8.0 * std::f64::consts::LN_2,
            -100.0,
            -4.0 * std::f64::consts::LN_2,
        ]),
        ..MemoryDataset::new(["abcd", "", "ef"])
    };
    let documents = Documents::open(Box::new(dataset), None).unwrap();
    let report = run(&mut BigramModel::uniform(257), &documents, vec![loss()], 10).unwrap();
    assert_eq!(report.value(FLOOR), Some(2.0));
    let names: Vec<&str> = report
        .metrics
        .iter()
        .map(|score| score.name.as_str())
        .collect();
    assert_eq!(names, ["loss", "bits_per_byte", FLOOR]);
    let rows = report.rows();
    assert_eq!(rows.len(), 2);
    assert!(rows[1][1].contains("(floor 2.0000, +"), "{rows:?}");
}

#[test]
fn a_failing_metric_is_left_out_and_the_others_go_on() {
    let fail = |_: &Samples<'_>| Err(Error::failed("the dictionary is missing"));
    let documents = documents(["abc"]);
    let mut model = BigramModel::uniform(257);
    let metrics = vec![function("bad", Needs::default(), fail), loss()];
    let report = run(&mut model, &documents, metrics, 10).unwrap();
    assert_eq!(report.metrics.len(), 2);
    let error = run(
        &mut model,
        &documents,
        vec![function("bad", Needs::default(), fail)],
        10,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert_eq!(
        (error.message(), error.causes()),
        (
            "metric bad failed",
            &["the dictionary is missing".to_owned()][..]
        )
    );
    let unfit = function(
        "bleu",
        Needs {
            predictions: true,
            ..Needs::default()
        },
        |_| Ok(0.0),
    );
    let error = run(&mut model, &documents, vec![unfit], 10).unwrap_err();
    assert!(
        error.message().contains("bleu needs predictions"),
        "{error}"
    );
}

#[test]
fn equal_names_are_told_apart() {
    let metrics = vec![
        function("x", Needs::default(), |_| Ok(1.0)),
        (
            "second".to_owned(),
            function("x", Needs::default(), |_| Ok(2.0)).1,
        ),
    ];
    let report = run(
        &mut BigramModel::uniform(257),
        &documents(["a"]),
        metrics,
        10,
    )
    .unwrap();
    assert_eq!(
        (report.value("x"), report.value("second.x")),
        (Some(1.0), Some(2.0))
    );
}

#[test]
fn bad_inputs_are_named() {
    let error = run(
        &mut BigramModel::uniform(100),
        &documents(["abc"]),
        vec![loss()],
        10,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("id 256"), "{error}");
    let error = run(
        &mut BigramModel::uniform(257),
        &documents(["", ""]),
        vec![loss()],
        10,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    let app = app();
    app.interrupt.request();
    let request = Request {
        model: &mut BigramModel::uniform(257),
        tokenizer: &ByteTokenizer,
        metrics: vec![loss()],
        corpus: &Corpus::Documents(documents(["abc"])),
        task: &TaskSettings::default(),
        max_samples: None,
        batch_tokens: 10,
    };
    assert_eq!(
        evaluate(request, &app).unwrap_err().kind(),
        ErrorKind::Interrupted
    );
}

#[test]
fn reports_are_written_in_three_forms() {
    let folder = tempfile::tempdir().unwrap();
    let report = Report {
        metrics: vec![
            Score::lower("loss", 1.5).into(),
            Score::higher("accuracy", f64::NAN).into(),
        ],
        tokens: 10,
        samples: 2,
        bytes: 30,
    };
    report.write(&folder.path().join("out")).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"metrics": {"loss": 1.5, "accuracy": null}, "tokens": 10, "samples": 2, "bytes": 30})
    );
    assert_eq!(
        read("report.csv"),
        "name,value,direction\nloss,1.5,lower\naccuracy,NaN,higher\n"
    );
    let lines: Vec<serde_json::Value> = read("report.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0],
        serde_json::json!({"name": "loss", "value": 1.5, "direction": "lower"})
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("out"))
            .unwrap()
            .count(),
        3
    );
}
