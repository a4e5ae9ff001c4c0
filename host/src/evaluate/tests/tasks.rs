//! The other tasks: what reaches a metric is in the rows' order, whatever the batches were.

use std::cell::RefCell;

use codex_plugin_api::{
    Column, IGNORE_LABEL, Ids, Loss, ModelInfo, Parameter, ScoreRequest, Scores, TokenBatch, Values,
};

use super::*;
use crate::config::ColumnNames;
use crate::data::Records;
use crate::testing::{EncoderTokenizer, RowsDataset};

/// Says of every target what can be told from the target alone, and writes down how large its batches were.
#[derive(Default)]
struct Telltale {
    batches: RefCell<Vec<usize>>,
    longest: u32,
}

impl Model for Telltale {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "telltale".into(),
            parameters: 0,
            vocab_size: 260,
            max_sequence_length: self.longest,
            hidden_size: 1,
            tasks: Vec::new(),
            device: "cpu".into(),
            precision: "f32".into(),
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        batch.check().unwrap();
        let sequences: Vec<&[u32]> = batch.sequences.iter().collect();
        assert!(
            sequences
                .iter()
                .all(|ids| ids.len() <= self.longest as usize)
        );
        self.batches.borrow_mut().push(sequences.len());
        let anchors = sequences.len() / batch.parts as usize;
        let log_probabilities: Vec<f32> = match (batch.labels, batch.sequence_labels) {
            (Some(labels), _) => {
                let hidden = labels.iter().filter(|&&label| label != IGNORE_LABEL);
                hidden.map(|&label| -(label as f32)).collect()
            }
            (None, Some(labels)) => labels.iter().map(|&label| -1.0 - label).collect(),
            (None, None) => sequences[..anchors]
                .iter()
                .map(|ids| -(ids[1] as f32))
                .collect(),
        };
        // Classes by the text's first byte, values by its length.
        let outputs = |ids: &&[u32]| match ids[1] % 2 {
            0 => [1.0, 0.0],
            _ => [0.0, 1.0],
        };
        Ok(Scores {
            loss: Loss::default(),
            ranks: vec![0; log_probabilities.len()],
            log_probabilities,
            sequence_outputs: if request.sequence_outputs {
                sequences.iter().flat_map(outputs).collect()
            } else {
                Vec::new()
            },
            ..Scores::default()
        })
    }
    fn embed(&mut self, sequences: Ids<'_>) -> Result<Vec<f32>> {
        Ok(sequences.iter().map(|ids| ids[1] as f32).collect())
    }
    fn save(&self, _folder: &str) -> Result<()> {
        Ok(())
    }
}

fn judge(
    model: &mut Telltale,
    corpus: &Corpus,
    task: &TaskSettings,
    metrics: Vec<NamedMetric>,
    batch_tokens: usize,
) -> Result<Report> {
    let request = Request {
        model,
        tokenizer: &EncoderTokenizer,
        metrics,
        corpus,
        task,
        max_samples: None,
        batch_tokens,
    };
    evaluate(request, &app())
}

fn records(columns: Vec<Column>, task: Task) -> Corpus {
    let dataset = Box::new(RowsDataset::new(columns));
    Corpus::Records(Records::open(dataset, task, &ColumnNames::default()).unwrap())
}

/// Row `n` begins with the letter `n` of the alphabet; lengths vary.
fn text(n: u8) -> String {
    char::from(b'a' + n % 26).to_string() + &"x".repeat(usize::from(n * 7 % 13))
}

#[test]
fn the_same_tokens_are_hidden_whatever_the_batches() {
    let needs = Needs {
        log_probabilities: true,
        ids: true,
        ..Needs::default()
    };
    let metric = || {
        let name = "sum";
        let update: fn(&Samples<'_>) -> Result<f64> = |samples| {
            assert!(samples.byte_lengths.is_empty());
            let (ids, scores) = (samples.targets.ids(), samples.log_probabilities);
            assert!(
                ids.iter()
                    .zip(scores)
                    .all(|(&id, &score)| -(id as f32) == score)
            );
            assert_eq!(samples.targets.len(), samples.count);
            Ok(ids.iter().map(|&id| f64::from(id)).sum())
        };
        vec![function(name, needs, update)]
    };
    let corpus = Corpus::Documents(documents((0..80).map(|n| text(n).repeat(9))));
    let task = TaskSettings {
        task: Task::MaskedLm,
        sequence_length: Some(32),
        ..TaskSettings::default()
    };
    let run = |batch_tokens| {
        let mut model = Telltale {
            longest: 64,
            ..Telltale::default()
        };
        let report = judge(&mut model, &corpus, &task, metric(), batch_tokens).unwrap();
        (
            report.tokens,
            report.value("sum").unwrap(),
            report.value(FLOOR),
        )
    };
    let (tokens, sum, floor) = run(1_000);
    assert!(tokens > 300 && floor.is_none());
    assert_eq!((tokens, sum, None), run(40));
}

#[test]
fn every_pair_is_judged_once_in_batches_of_one_size() {
    let needs = Needs {
        log_probabilities: true,
        labels: true,
        embeddings: true,
        texts: true,
        ..Needs::default()
    };
    let update: fn(&Samples<'_>) -> Result<f64> = |samples| {
        assert_eq!(samples.dimensions, 1);
        for (at, text) in samples.texts.iter().enumerate() {
            assert_eq!(samples.embeddings[at], f32::from(text.as_bytes()[0]));
            let targets = samples.targets.iter().nth(at).unwrap().len();
            assert_eq!(targets, 1 - at % 2);
            if at % 2 == 0 {
                let score = samples.log_probabilities[at / 2];
                assert_eq!(score, -f32::from(text.as_bytes()[0]));
            }
        }
        assert!(samples.labels.chunks(2).all(|pair| pair[0] == pair[1]));
        Ok(samples.labels.iter().map(|&label| f64::from(label)).sum())
    };
    let mut positives: Vec<String> = (0..11).map(|n| text(n).to_uppercase()).collect();
    positives[3].clear();
    let columns = vec![
        Column::text("anchor", (0..11).map(text)),
        Column::text("positive", positives),
    ];
    let task = TaskSettings {
        task: Task::Embedding,
        batch_size: 4,
        ..TaskSettings::default()
    };
    let mut model = Telltale {
        longest: 64,
        ..Telltale::default()
    };
    let metrics = vec![function("sum", needs, update)];
    let corpus = records(columns, Task::Embedding);
    let report = judge(&mut model, &corpus, &task, metrics, 1).unwrap();
    // Ten pairs in three batches of four: the last one has two that were judged before.
    assert_eq!(*model.batches.borrow(), [8, 8, 8]);
    assert_eq!((report.samples, report.value("sum")), (10, Some(90.0)));
}

#[test]
fn predictions_stand_beside_their_labels() {
    let needs = Needs {
        log_probabilities: true,
        labels: true,
        ..Needs::default()
    };
    let update: fn(&Samples<'_>) -> Result<f64> = |samples| {
        let (labels, predicted) = (samples.labels, samples.predicted_labels);
        assert_eq!(
            (labels.len(), predicted.len()),
            (samples.count, samples.count)
        );
        for (at, label) in labels.iter().enumerate() {
            assert_eq!(samples.log_probabilities[at], -1.0 - label);
            assert_eq!(samples.targets.iter().nth(at).unwrap(), [*label as u32]);
        }
        let right = labels.iter().zip(predicted).filter(|(a, b)| a == b);
        Ok(right.count() as f64)
    };
    // Letters with an odd code are class "odd"; every third row says otherwise.
    let class = |n: u8| {
        if (b'a' + n % 26) % 2 == u8::from(!n.is_multiple_of(3)) {
            "odd"
        } else {
            "even"
        }
    };
    let columns = vec![
        Column::text("text", (0..90).map(text)),
        Column::text("label", (0..90).map(class)),
    ];
    let corpus = records(columns, Task::Classification);
    let task = TaskSettings {
        task: Task::Classification,
        classes: Classes::new(vec!["even".into(), "odd".into()]),
        ..TaskSettings::default()
    };
    for batch_tokens in [1, 50, 100_000] {
        let mut model = Telltale {
            longest: 64,
            ..Telltale::default()
        };
        let metrics = vec![function("right", needs, update)];
        let report = judge(&mut model, &corpus, &task, metrics, batch_tokens).unwrap();
        assert_eq!((report.samples, report.value("right")), (90, Some(60.0)));
    }
    let unknown = TaskSettings {
        classes: Classes::new(vec!["odd".into(), "strange".into()]),
        ..task
    };
    let mut model = Telltale {
        longest: 64,
        ..Telltale::default()
    };
    let metrics = vec![function("right", needs, update)];
    let error = judge(&mut model, &corpus, &unknown, metrics, 50).unwrap_err();
    assert!(error.message().contains("\"even\""), "{error}");
}

#[test]
fn values_are_the_first_output_and_need_no_probabilities() {
    let update: fn(&Samples<'_>) -> Result<f64> = |samples| {
        assert!(samples.log_probabilities.is_empty() && samples.targets.is_empty());
        Ok(samples
            .predicted_labels
            .iter()
            .map(|&value| f64::from(value))
            .sum())
    };
    let labels = Needs {
        labels: true,
        ..Needs::default()
    };
    let columns = vec![
        Column::text("text", (0..10).map(text)),
        Column::new("score", Values::F64((0..10).map(f64::from).collect())),
    ];
    let corpus = records(columns, Task::Regression);
    let task = TaskSettings {
        task: Task::Regression,
        ..TaskSettings::default()
    };
    let mut model = Telltale {
        longest: 64,
        ..Telltale::default()
    };
    // The metric of another task is left out; when no other is left, its error says which is usual.
    let metrics = vec![loss(), function("sum", labels, update)];
    let report = judge(&mut model, &corpus, &task, metrics, 30).unwrap();
    assert_eq!(report.metrics.len(), 1);
    assert_eq!(report.value("sum"), Some(5.0));
    let error = judge(&mut model, &corpus, &task, vec![loss()], 30).unwrap_err();
    assert!(
        error
            .message()
            .contains("log-probabilities, which evaluating regression")
    );
    assert!(error.hint_text().unwrap().ends_with("is regression"));
}
