//! Answers that break a contract become errors that say what was given; nothing is trusted, nothing crashes.

use std::sync::Mutex;

use codex_plugin_api::abi::v1;
use codex_plugin_api::*;

/// Gives the one answer it was made with.
struct Says<T>(Mutex<Option<T>>);

impl<T> Says<T> {
    fn new(answer: T) -> Box<Self> {
        Box::new(Self(Mutex::new(Some(answer))))
    }

    fn say(&self) -> Result<T> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
}

/// The call fails, as the plugin's fault, with this in its message.
fn blamed<T>(result: Result<T>, word: &str) {
    let error = result
        .err()
        .unwrap_or_else(|| panic!("accepted, though {word}"));
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    assert!(error.message().starts_with("the plugin gave "), "{error}");
    assert!(error.message().contains(word), "{error} lacks {word}");
    assert!(error.hint_text().is_some());
}

impl Tokenizer for Says<Encoding> {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Err(Error::failed("unused"))
    }
    fn encode(&self, _: Texts<'_>, _: EncodeOptions) -> Result<Encoding> {
        self.say()
    }
    fn decode(&self, _: Ids<'_>, _: bool) -> Result<TextBuffer> {
        Ok(TextBuffer::new())
    }
    fn token_bytes(&self, _: u32) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn token_text(&self, _: u32) -> Result<Option<String>> {
        Ok(None)
    }
    fn token_id(&self, _: &str) -> Result<Option<u32>> {
        Ok(None)
    }
    fn save(&self, _: &str) -> Result<()> {
        Ok(())
    }
}

#[test]
fn encodings() {
    let texts: TextBuffer = ["abc", "č"].into_iter().collect();
    for (ids, sequence_offsets, byte_offsets, word) in [
        (vec![1, 2], vec![0, 2], vec![], "2 offsets for 2 texts"),
        (vec![1, 2], vec![0, 1, 3], vec![], "to Some(3)"),
        (vec![1, 2], vec![1, 1, 2], vec![], "from Some(1)"),
        (vec![1, 2], vec![0, 5, 2], vec![], "stepping back"),
        (vec![], vec![], vec![], "0 offsets"),
        (
            vec![1, 2],
            vec![0, 1, 2],
            vec![0, 1, 0],
            "3 byte offsets where 4",
        ),
        (vec![1, 2], vec![0, 1, 2], vec![], "0 byte offsets where 4"),
        (
            vec![1, 2],
            vec![0, 1, 2],
            vec![0, 4, 0, 2],
            "0..4 in text 0 of 3",
        ),
        (
            vec![1, 2],
            vec![0, 1, 2],
            vec![0, 3, 2, 1],
            "2..1 in text 1",
        ),
        (
            vec![1, 2],
            vec![0, 1, 2],
            vec![0, 3, 0, u32::MAX],
            "in text 1 of 2",
        ),
    ] {
        let says = Says::new(Encoding {
            ids,
            sequence_offsets,
            byte_offsets,
        });
        let behind = v1::AbiTokenizer::export(says, None).import().unwrap();
        let options = EncodeOptions {
            byte_offsets: true,
            ..EncodeOptions::default()
        };
        blamed(behind.encode(texts.as_texts(), options), word);
    }
    let behind = v1::AbiTokenizer::export(Says::new(Encoding::default()), None)
        .import()
        .unwrap();
    let two = Ids::new(&[1, 2], &[0, 1, 2]).unwrap();
    blamed(behind.decode(two, true), "0 decoded texts where 2");
}

enum Answer {
    Scores(Scores),
    Floats(Vec<f32>),
}

impl Model for Says<Answer> {
    fn info(&self) -> Result<ModelInfo> {
        Err(Error::failed("unused"))
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, _: &TokenBatch<'_>, _: ScoreRequest) -> Result<Scores> {
        match self.say()? {
            Answer::Scores(scores) => Ok(scores),
            Answer::Floats(_) => Err(Error::failed("unused")),
        }
    }
    fn save(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn embed(&mut self, _: Ids<'_>) -> Result<Vec<f32>> {
        match self.say()? {
            Answer::Floats(values) => Ok(values),
            Answer::Scores(_) => Err(Error::failed("unused")),
        }
    }
    fn extend_sessions(&mut self, _: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        self.embed(ids)
    }
}

#[test]
fn scores() {
    let ids = Ids::new(&[1, 2, 3, 4], &[0, 2, 4]).unwrap();
    let request = ScoreRequest {
        log_probabilities: true,
        ranks: true,
        sequence_outputs: true,
    };
    for (target_offsets, log_probabilities, ranks, outputs, word) in [
        (
            vec![0, 1],
            vec![0.0],
            vec![0],
            vec![1.0; 2],
            "2 offsets for 2 sequences",
        ),
        (
            vec![0, 2, 1],
            vec![0.0],
            vec![0],
            vec![1.0; 2],
            "stepping back",
        ),
        (
            vec![0, 1, 2],
            vec![0.0],
            vec![0, 0],
            vec![1.0; 2],
            "1 log-probabilities where 2",
        ),
        (
            vec![0, 1, 2],
            vec![0.0; 2],
            vec![],
            vec![1.0; 2],
            "0 ranks where 2",
        ),
        (
            vec![0, 1, 2],
            vec![0.0; 2],
            vec![0; 2],
            vec![1.0; 3],
            "3 outputs for 2",
        ),
        (
            vec![0, 1, 2],
            vec![0.0; 2],
            vec![0; 2],
            vec![],
            "0 outputs for 2",
        ),
        (
            vec![0, 1, u64::MAX],
            vec![0.0; 2],
            vec![0; 2],
            vec![],
            "log-probabilities where",
        ),
    ] {
        let answer = Answer::Scores(Scores {
            target_offsets,
            log_probabilities,
            ranks,
            sequence_outputs: outputs,
            loss: Loss::default(),
        });
        let mut behind = v1::AbiModel::export(Says::new(answer), None)
            .import()
            .unwrap();
        blamed(behind.score(&TokenBatch::new(ids), request), word);
    }
    for (values, word) in [(vec![0.0; 3], "3 "), (vec![], "0 ")] {
        let says = || Says::new(Answer::Floats(values.clone()));
        let mut behind = v1::AbiModel::export(says(), None).import().unwrap();
        blamed(behind.embed(ids), word);
        let mut behind = v1::AbiModel::export(says(), None).import().unwrap();
        blamed(behind.extend_sessions(&[1, 2], ids), word);
    }
}

impl Dataset for Says<Batch> {
    fn info(&self) -> Result<DatasetInfo> {
        Ok(DatasetInfo {
            fields: vec![Field::new("a", FieldType::I64)],
            rows: None,
            fingerprint: String::new(),
            text_column: None,
            log_probability_column: None,
        })
    }
    fn read(&self, _: u64, _: u64) -> Result<Batch> {
        self.say()
    }
}

#[test]
fn rows() {
    let numbers = |name: &str, count: usize| Column::new(name, Values::I64(vec![0; count]));
    for (columns, word) in [
        (vec![numbers("a", 3)], "3 rows where 2"),
        (vec![numbers("b", 2)], "[b: I64] where it promised [a: I64]"),
        (vec![numbers("a", 2), numbers("b", 2)], "promised [a: I64]"),
        (vec![Column::text("a", ["x"])], "[a: Text]"),
        (vec![], "the columns []"),
    ] {
        let says = Says::new(Batch::new(columns).unwrap());
        let behind = v1::AbiDataset::export(says, None).import().unwrap();
        blamed(behind.read(0, 2), word);
    }
}

impl Sanitizer for Says<Finding> {
    fn rules(&self) -> Result<Vec<Rule>> {
        let rule = Rule {
            id: "r".into(),
            entity: "e".into(),
            severity: Severity::Low,
            description: String::new(),
        };
        Ok(vec![rule])
    }
    fn max_span(&self) -> u32 {
        4
    }
    fn scan(&self, _: Texts<'_>, _: Stage) -> Result<Vec<Finding>> {
        let last = Finding {
            start: 0,
            end: 1,
            text: 1,
            rule: 0,
            confidence: 1.0,
        };
        Ok(vec![self.say()?, last])
    }
}

#[test]
fn findings() {
    let texts: TextBuffer = ["čabcdef", "xy"].into_iter().collect();
    let good = Finding {
        start: 2,
        end: 4,
        text: 0,
        rule: 0,
        confidence: 0.5,
    };
    let scan = |finding| {
        let behind = v1::AbiSanitizer::export(Says::new(finding), None)
            .import()
            .unwrap();
        behind.scan(texts.as_texts(), Stage::Ingest)
    };
    assert_eq!(scan(good).unwrap().len(), 2);
    for (finding, word) in [
        (Finding { text: 2, ..good }, "in none of 2 texts"),
        (Finding { rule: 1, ..good }, "rule 1 of 1"),
        (Finding { start: 1, ..good }, "splits a character"),
        (Finding { end: 99, ..good }, "outside the text"),
        (
            Finding {
                start: u64::MAX,
                end: u64::MAX,
                ..good
            },
            "is empty",
        ),
        (
            Finding {
                start: 4,
                end: 2,
                ..good
            },
            "is empty",
        ),
        (Finding { end: 7, ..good }, "longer than 4"),
        (
            Finding {
                confidence: f32::NAN,
                ..good
            },
            "confidence NaN",
        ),
        (
            Finding {
                confidence: 1.5,
                ..good
            },
            "confidence 1.5",
        ),
        (
            Finding {
                start: 1,
                end: 2,
                text: 1,
                ..good
            },
            "out of order",
        ),
    ] {
        blamed(scan(finding), word);
    }
}

impl Adapter for Says<AdapterPlan> {
    fn plan(&self, _: &[Site]) -> Result<AdapterPlan> {
        self.say()
    }
}

#[test]
fn plans() {
    let site = Site {
        name: "s".into(),
        inputs: 2,
        outputs: 2,
        role: "up".into(),
        layer: None,
        transposed: false,
    };
    let plan = |site: &str, start| AdapterPlan {
        operations: vec![SiteOperation {
            site: site.into(),
            operation: Operation::Bias { start, train: true },
        }],
        values: vec![0.0; 4],
        ..AdapterPlan::default()
    };
    for (plan, word) in [
        (
            plan("t", Init::KaimingUniform),
            "\"t\", which is none of the model's 1 sites",
        ),
        (
            plan(
                "s",
                Init::Values {
                    offset: 3,
                    length: 2,
                },
            ),
            "values 3..+2 of 4",
        ),
        (
            plan(
                "s",
                Init::Values {
                    offset: u64::MAX,
                    length: 2,
                },
            ),
            "of 4",
        ),
        (
            plan("s", Init::Constant { value: f32::NAN }),
            "cannot be read",
        ),
    ] {
        let behind = v1::AbiAdapter::export(Says::new(plan), None)
            .import()
            .unwrap();
        blamed(behind.plan(std::slice::from_ref(&site)), word);
    }
}
