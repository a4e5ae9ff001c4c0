//! Components in the process itself, for unit tests of the host's rooms: no plugin is loaded.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use codex_plugin_api::{
    Batch, Column, Dataset, DatasetInfo, EncodeOptions, Encoding, Error, Field, FieldType, Finding,
    Ids, Metric, Model, ModelInfo, Needs, Parameter, Result, Rule, Samples, Sanitizer, Score,
    ScoreRequest, Scores, Severity, SpecialTokens, Stage, TextBuffer, Texts, TokenBatch, Tokenizer,
    Values, Vocabulary,
};

use crate::app::App;
use crate::interrupt::Interrupt;
use crate::output::{Color, Output};

/// An app that prints nothing and has no plugin.
pub(crate) fn app() -> App {
    let output = Output::new(false, true, 0, Color::Never);
    App::new(output, Interrupt::default(), Vec::new(), 1)
}

/// What cleans nothing.
pub(crate) fn no_sanitizers() -> std::sync::Arc<codex_redaction::Sanitizers> {
    let policy = codex_redaction::Policy::standard().unwrap();
    let key = codex_redaction::Key::new(b"a key for these tests").unwrap();
    std::sync::Arc::new(codex_redaction::Sanitizers::new(Vec::new(), policy, key).unwrap())
}

/// What cleans every occurrence of a word away, as a secret.
pub(crate) fn finding(word: &'static str) -> std::sync::Arc<codex_redaction::Sanitizers> {
    let policy = codex_redaction::Policy::standard().unwrap();
    let key = codex_redaction::Key::new(b"a key for these tests").unwrap();
    let list: Vec<(String, std::sync::Arc<dyn Sanitizer>)> =
        vec![("testing 1".into(), std::sync::Arc::new(Finds(word)))];
    std::sync::Arc::new(codex_redaction::Sanitizers::new(list, policy, key).unwrap())
}

/// Finds every occurrence of a word.
pub(crate) struct Finds(pub(crate) &'static str);

impl Sanitizer for Finds {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(vec![Rule {
            id: "word".into(),
            entity: "secret".into(),
            severity: Severity::High,
            description: "a word".into(),
        }])
    }
    fn max_span(&self) -> u32 {
        self.0.len() as u32
    }
    fn scan(&self, texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
        let mut found = Vec::new();
        for (text, words) in texts.iter().enumerate() {
            found.extend(words.match_indices(self.0).map(|(at, _)| Finding {
                start: at as u64,
                end: (at + self.0.len()) as u64,
                text: text as u32,
                rule: 0,
                confidence: 1.0,
            }));
        }
        Ok(found)
    }
}

/// Documents of the given texts.
pub(crate) fn documents<S: Into<String>>(
    texts: impl IntoIterator<Item = S>,
) -> crate::data::Documents {
    crate::data::Documents::open(Box::new(MemoryDataset::new(texts)), None).unwrap()
}

/// Texts in memory, optionally with exact log probabilities and other columns' worth of trouble.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDataset {
    pub(crate) texts: Vec<Option<String>>,
    pub(crate) log_probabilities: Option<Vec<f64>>,
    /// Whether the number of rows is told without asking for them.
    pub(crate) knows_length: bool,
    /// Pretends to have this many more rows than it gives.
    pub(crate) missing_rows: u64,
}

impl MemoryDataset {
    pub(crate) fn new<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self {
            texts: texts.into_iter().map(|text| Some(text.into())).collect(),
            knows_length: true,
            ..Self::default()
        }
    }
}

impl Dataset for MemoryDataset {
    fn info(&self) -> Result<DatasetInfo> {
        let mut fields = vec![
            Field::new("number", FieldType::I64),
            Field::new("text", FieldType::Text),
        ];
        if self.log_probabilities.is_some() {
            fields.push(Field::new("log_probability", FieldType::F64));
        }
        let rows = self.texts.len() as u64 + self.missing_rows;
        Ok(DatasetInfo {
            fields,
            rows: self.knows_length.then_some(rows),
            fingerprint: format!("memory {:?}", self.texts),
            text_column: None,
            log_probability_column: Some("log_probability".into()),
        })
    }

    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let length = self.texts.len() as u64;
        let range = start.min(length) as usize..start.saturating_add(count).min(length) as usize;
        let texts = &self.texts[range.clone()];
        let mut text = Column::text(
            "text",
            texts.iter().map(|text| text.as_deref().unwrap_or("")),
        );
        text.validity = Some(texts.iter().map(Option::is_some).collect());
        let numbers = range.clone().map(|row| row as i64).collect();
        let mut columns = vec![Column::new("number", Values::I64(numbers)), text];
        if let Some(values) = &self.log_probabilities {
            let values = values[range].to_vec();
            columns.push(Column::new("log_probability", Values::F64(values)));
        }
        Batch::new(columns)
    }
}

/// One id a byte; 256 begins and ends a text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByteTokenizer;

impl Tokenizer for ByteTokenizer {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(Vocabulary {
            size: 257,
            special: SpecialTokens {
                bos: Some(256),
                eos: Some(256),
                ..SpecialTokens::default()
            },
            lossless: true,
            fingerprint: "bytes 1".into(),
        })
    }
    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let byte_offsets = if options.byte_offsets {
            let spans = |text: &str| (0..text.len() as u32).flat_map(|at| [at, at + 1]).collect();
            texts
                .iter()
                .flat_map(|text| -> Vec<u32> { spans(text) })
                .collect()
        } else {
            Vec::new()
        };
        Ok(Encoding {
            ids: texts.bytes().bytes().map(u32::from).collect(),
            sequence_offsets: texts.offsets().to_vec(),
            byte_offsets,
        })
    }
    fn decode(&self, sequences: Ids<'_>, _skip_special_tokens: bool) -> Result<TextBuffer> {
        let bytes = |ids: &[u32]| -> Vec<u8> {
            ids.iter().filter_map(|&id| u8::try_from(id).ok()).collect()
        };
        Ok(sequences
            .iter()
            .map(|ids| String::from_utf8_lossy(&bytes(ids)).into_owned())
            .collect())
    }
    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        match id {
            0..256 => Ok(vec![id as u8]),
            256 => Ok(Vec::new()),
            _ => Err(Error::data(format!("id {id} is not in the vocabulary"))),
        }
    }
    fn token_text(&self, id: u32) -> Result<Option<String>> {
        Ok((id < 257).then(|| format!("<{id}>")))
    }
    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        Ok(token.trim_matches(['<', '>']).parse().ok())
    }
    fn save(&self, folder: &str) -> Result<()> {
        std::fs::write(format!("{folder}/tokenizer.json"), "{}").unwrap();
        Ok(())
    }
}

/// One id a byte; 256 to 259 are `[CLS]`, `[SEP]`, `[MASK]` and `[PAD]`, and a post-processor frames a text by the first
/// two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EncoderTokenizer;

impl Tokenizer for EncoderTokenizer {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(Vocabulary {
            size: 260,
            special: SpecialTokens {
                cls: Some(256),
                sep: Some(257),
                mask: Some(258),
                pad: Some(259),
                ..SpecialTokens::default()
            },
            lossless: true,
            fingerprint: "encoder bytes 1".into(),
        })
    }
    fn encode(&self, texts: Texts<'_>, options: EncodeOptions) -> Result<Encoding> {
        let mut encoding = Encoding {
            sequence_offsets: vec![0],
            ..Encoding::default()
        };
        for text in texts.iter() {
            encoding
                .ids
                .extend(options.add_special_tokens.then_some(256));
            encoding.ids.extend(text.bytes().map(u32::from));
            encoding
                .ids
                .extend(options.add_special_tokens.then_some(257));
            encoding.sequence_offsets.push(encoding.ids.len() as u64);
        }
        Ok(encoding)
    }
    fn decode(&self, sequences: Ids<'_>, skip_special_tokens: bool) -> Result<TextBuffer> {
        ByteTokenizer.decode(sequences, skip_special_tokens)
    }
    fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        ByteTokenizer.token_bytes(id.min(256))
    }
    fn token_text(&self, id: u32) -> Result<Option<String>> {
        Ok((id < 260).then(|| format!("<{id}>")))
    }
    fn token_id(&self, token: &str) -> Result<Option<u32>> {
        ByteTokenizer.token_id(token)
    }
    fn save(&self, folder: &str) -> Result<()> {
        ByteTokenizer.save(folder)
    }
}

/// Rows of texts and labels in memory: columns `first`, `second`, and `label` where there are labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowsDataset {
    pub(crate) columns: Vec<Column>,
}

impl RowsDataset {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }
}

impl Dataset for RowsDataset {
    fn info(&self) -> Result<DatasetInfo> {
        let fields = self
            .columns
            .iter()
            .map(|column| Field::new(&column.name, column.values.field_type()));
        Ok(DatasetInfo {
            fields: fields.collect(),
            rows: Some(self.columns[0].values.len() as u64),
            fingerprint: format!("rows {:?}", self.columns),
            text_column: None,
            log_probability_column: None,
        })
    }
    fn read(&self, start: u64, count: u64) -> Result<Batch> {
        let length = self.columns[0].values.len() as u64;
        let range = start.min(length) as usize..start.saturating_add(count).min(length) as usize;
        let part = |column: &Column| {
            let values = match &column.values {
                Values::Text(texts) => {
                    let texts = texts.as_texts();
                    Values::Text(range.clone().filter_map(|at| texts.get(at)).collect())
                }
                Values::I64(values) => Values::I64(values[range.clone()].to_vec()),
                Values::F64(values) => Values::F64(values[range.clone()].to_vec()),
                other => panic!("{other:?}"),
            };
            let validity = column.validity.as_ref();
            Column {
                name: column.name.clone(),
                values,
                validity: validity.map(|valid| valid[range.clone()].to_vec()),
            }
        };
        Batch::new(self.columns.iter().map(part).collect())
    }
}

/// A model whose next id depends on the last one alone: `following` names the likely next ids, everything else is
/// `surprise` nats less likely. Sessions count what they were given, and every call is written down.
#[derive(Clone, Debug)]
pub(crate) struct BigramModel {
    pub(crate) vocab_size: u32,
    pub(crate) max_sequence_length: u32,
    pub(crate) following: BTreeMap<u32, u32>,
    pub(crate) surprise: f32,
    pub(crate) sessions: BTreeMap<u64, u64>,
    /// Lengths of the sequences of every scored batch, and numbers of sessions of every extension.
    pub(crate) calls: Vec<Vec<usize>>,
}

impl BigramModel {
    /// Every id equally likely.
    pub(crate) fn uniform(vocab_size: u32) -> Self {
        Self {
            vocab_size,
            max_sequence_length: 1 << 20,
            following: BTreeMap::new(),
            surprise: 0.0,
            sessions: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    /// Continues `text` byte by byte, then ends with 256.
    pub(crate) fn reciting(text: &str) -> Self {
        let mut ids: Vec<u32> = text.bytes().map(u32::from).collect();
        ids.push(256);
        let following = ids.windows(2).map(|pair| (pair[0], pair[1])).collect();
        Self {
            following,
            surprise: 50.0,
            ..Self::uniform(257)
        }
    }

    fn logits(&self, last: u32) -> Vec<f32> {
        let mut logits = vec![0.0; self.vocab_size as usize];
        if let Some(&next) = self.following.get(&last) {
            logits[next as usize] = self.surprise;
        }
        logits
    }
}

impl Model for BigramModel {
    fn info(&self) -> Result<ModelInfo> {
        Ok(ModelInfo {
            architecture: "bigram".into(),
            parameters: 0,
            vocab_size: self.vocab_size,
            max_sequence_length: self.max_sequence_length,
            hidden_size: 0,
            tasks: vec!["causal-lm".into()],
            device: "cpu".into(),
            precision: "f32".into(),
        })
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, batch: &TokenBatch<'_>, request: ScoreRequest) -> Result<Scores> {
        let mut scores = Scores {
            target_offsets: vec![0],
            ..Scores::default()
        };
        self.calls
            .push(batch.sequences.iter().map(<[u32]>::len).collect());
        for ids in batch.sequences.iter() {
            assert!(ids.len() <= self.max_sequence_length as usize);
            for pair in ids.windows(2) {
                let logits = self.logits(pair[0]);
                let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                let target = logits[pair[1] as usize];
                let log_probability = f64::from(target) - total.ln();
                scores.loss.sum -= log_probability;
                scores.loss.targets += 1;
                if request.log_probabilities {
                    scores.log_probabilities.push(log_probability as f32);
                }
                if request.ranks {
                    let rank = logits.iter().filter(|&&logit| logit > target).count();
                    scores.ranks.push(rank as u32);
                }
            }
            scores.target_offsets.push(scores.loss.targets);
        }
        Ok(scores)
    }
    fn save(&self, _folder: &str) -> Result<()> {
        Ok(())
    }
    fn open_session(&mut self) -> Result<u64> {
        let number = self.sessions.keys().last().map_or(0, |last| last + 1);
        self.sessions.insert(number, 0);
        Ok(number)
    }
    fn extend_sessions(&mut self, sessions: &[u64], ids: Ids<'_>) -> Result<Vec<f32>> {
        self.calls.push(ids.iter().map(<[u32]>::len).collect());
        let mut logits = Vec::new();
        for (session, ids) in sessions.iter().zip(ids.iter()) {
            let length = self.sessions.get_mut(session).unwrap();
            *length += ids.len() as u64;
            if *length > u64::from(self.max_sequence_length) {
                return Err(Error::data(format!("session {session} is too long")));
            }
            logits.extend(self.logits(*ids.last().unwrap()));
        }
        Ok(logits)
    }
    fn close_session(&mut self, session: u64) -> Result<()> {
        self.sessions.remove(&session).unwrap();
        Ok(())
    }
}

/// Mean loss and bits per byte, and how often it was called.
#[derive(Clone, Debug, Default)]
pub(crate) struct LossMetric {
    sum: f64,
    targets: u64,
    bytes: u64,
}

impl Metric for LossMetric {
    fn needs(&self) -> Needs {
        Needs {
            log_probabilities: true,
            ..Needs::default()
        }
    }
    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        self.sum -= samples
            .log_probabilities
            .iter()
            .map(|&value| f64::from(value))
            .sum::<f64>();
        self.targets += samples.log_probabilities.len() as u64;
        self.bytes += samples.byte_lengths.iter().sum::<u64>();
        Ok(())
    }
    fn state(&self) -> Result<Vec<u8>> {
        Err(Error::unsupported("state"))
    }
    fn merge(&mut self, _state: &[u8]) -> Result<()> {
        Err(Error::unsupported("merge"))
    }
    fn compute(&self) -> Result<Vec<Score>> {
        Ok(vec![
            Score::lower("loss", self.sum / self.targets as f64),
            Score::lower(
                "bits_per_byte",
                self.sum / std::f64::consts::LN_2 / self.bytes as f64,
            ),
        ])
    }
}

/// A metric made of a function over the samples, which gives one value a call; the score is their sum.
pub(crate) struct FunctionMetric {
    pub(crate) needs: Needs,
    pub(crate) name: &'static str,
    pub(crate) function: fn(&Samples<'_>) -> Result<f64>,
    pub(crate) total: f64,
}

impl Metric for FunctionMetric {
    fn needs(&self) -> Needs {
        self.needs
    }
    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        self.total += (self.function)(samples)?;
        Ok(())
    }
    fn state(&self) -> Result<Vec<u8>> {
        Ok(self.total.to_le_bytes().to_vec())
    }
    fn merge(&mut self, _state: &[u8]) -> Result<()> {
        Err(Error::unsupported("merge"))
    }
    fn compute(&self) -> Result<Vec<Score>> {
        Ok(vec![Score::higher(self.name, self.total)])
    }
}
