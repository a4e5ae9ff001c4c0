//! Components of other kinds that a guest creates through the host.
#![allow(
    unreachable_pub,
    reason = "the generated bindings re-export the types of resources"
)]

use codex_plugin_api::{
    Dataset, Error, Ids, Kind, Metric, Model, Result, Samples, Sanitizer, TokenBatch, Tokenizer,
};
use serde_json::Value;
use wasmtime::component::Resource;

use super::State;
use super::generated::{components, types};
use crate::plugins::grants::Permission;
use crate::plugins::wasm::convert;
use crate::plugins::wasm::guest::error_to;

/// Components that one instance may hold.
const MOST: usize = 64;

/// A tokenizer that a guest holds; the others likewise.
pub struct SomeTokenizer(Box<dyn Tokenizer>);
pub struct SomeDataset(Box<dyn Dataset>);
pub struct SomeMetric(Box<dyn Metric>);
pub struct SomeSanitizer(Box<dyn Sanitizer>);
pub struct SomeModel(Box<dyn Model>);

type Answer<T> = wasmtime::Result<std::result::Result<T, types::Error>>;

#[allow(
    clippy::unnecessary_wraps,
    reason = "what the generated traits answer: the sandbox's result around the guest's"
)]
fn answer<T>(result: Result<T>) -> Answer<T> {
    Ok(result.map_err(|error| error_to(&error)))
}

impl State {
    fn may_create(&self, kind: Kind) -> Result<()> {
        if self.created >= MOST {
            return Err(Error::failed(format!(
                "more than {MOST} components at once"
            )));
        }
        if self.granted.components.contains(&kind) {
            return Ok(());
        }
        if self.asked.components.iter().any(|one| one.kind == kind) {
            return Err(self.denied(
                &format!("create {kind} components"),
                &Permission::Components(kind),
            ));
        }
        Err(self.not_asked(&format!("{kind} components")))
    }

    fn keep<T: Send + 'static>(&mut self, made: Result<T>) -> Answer<Resource<T>> {
        match made {
            Ok(component) => {
                self.created += 1;
                Ok(Ok(self.table.push(component)?))
            }
            Err(error) => Ok(Err(error_to(&error))),
        }
    }

    fn release<T: Send + 'static>(&mut self, component: Resource<T>) -> wasmtime::Result<()> {
        self.table.delete(component)?;
        self.created = self.created.saturating_sub(1);
        Ok(())
    }
}

fn parsed(config: &str) -> Result<Value> {
    serde_json::from_str(config)
        .map_err(|error| Error::config(format!("the configuration is no JSON: {error}")))
}

macro_rules! create {
    ($($call:ident -> $holder:ident of $kind:ident),*) => {$(
        fn $call(&mut self, name: String, config: String) -> Answer<Resource<$holder>> {
            let made = self
                .may_create(Kind::$kind)
                .and_then(|()| self.host.$call(&name, &parsed(&config)?))
                .map($holder);
            self.keep(made)
        }
    )*};
}

impl components::Host for State {
    create!(
        create_tokenizer -> SomeTokenizer of Tokenizer, create_dataset -> SomeDataset of Dataset,
        create_metric -> SomeMetric of Metric, create_sanitizer -> SomeSanitizer of Sanitizer,
        create_model -> SomeModel of Model
    );
}

impl components::HostSomeTokenizer for State {
    fn vocabulary(&mut self, this: Resource<SomeTokenizer>) -> Answer<types::VocabularyInfo> {
        answer(
            self.table
                .get(&this)?
                .0
                .vocabulary()
                .map(convert::vocabulary_to),
        )
    }

    fn encode(
        &mut self,
        this: Resource<SomeTokenizer>,
        texts: types::Texts,
        options: types::EncodeOptions,
    ) -> Answer<types::Encoding> {
        let tokenizer = &self.table.get(&this)?.0;
        answer(convert::texts(texts).and_then(|texts| {
            let options = convert::encode_options(options);
            tokenizer
                .encode(texts.as_texts(), options)
                .map(|encoding| convert::encoding_to(&encoding))
        }))
    }

    fn decode(
        &mut self,
        this: Resource<SomeTokenizer>,
        sequences: types::Ids,
        skip_special_tokens: bool,
    ) -> Answer<types::Texts> {
        let tokenizer = &self.table.get(&this)?.0;
        answer(convert::ids(&sequences, "ids").and_then(|(ids, offsets)| {
            tokenizer
                .decode(Ids::new(&ids, &offsets)?, skip_special_tokens)
                .map(|texts| convert::texts_to(texts.as_texts()))
        }))
    }

    fn drop(&mut self, this: Resource<SomeTokenizer>) -> wasmtime::Result<()> {
        self.release(this)
    }
}

impl components::HostSomeDataset for State {
    fn info(&mut self, this: Resource<SomeDataset>) -> Answer<types::DatasetInfo> {
        answer(
            self.table
                .get(&this)?
                .0
                .info()
                .and_then(convert::dataset_info_to),
        )
    }

    fn read(
        &mut self,
        this: Resource<SomeDataset>,
        start: u64,
        count: u64,
    ) -> Answer<Vec<types::Column>> {
        answer(
            self.table
                .get(&this)?
                .0
                .read(start, count)
                .and_then(convert::batch_to),
        )
    }

    fn drop(&mut self, this: Resource<SomeDataset>) -> wasmtime::Result<()> {
        self.release(this)
    }
}

impl components::HostSomeMetric for State {
    fn update(&mut self, this: Resource<SomeMetric>, samples: types::Samples) -> Answer<()> {
        let metric = &mut self.table.get_mut(&this)?.0;
        answer(update(metric.as_mut(), samples))
    }

    fn compute(&mut self, this: Resource<SomeMetric>) -> Answer<Vec<types::Score>> {
        let scores = self.table.get(&this)?.0.compute();
        answer(scores.map(|scores| scores.into_iter().map(convert::score_to).collect()))
    }

    fn drop(&mut self, this: Resource<SomeMetric>) -> wasmtime::Result<()> {
        self.release(this)
    }
}

fn update(metric: &mut dyn Metric, samples: types::Samples) -> Result<()> {
    let (ids, offsets) = convert::ids(&samples.targets, "targets")?;
    let texts = convert::texts(samples.texts)?;
    let predictions = convert::texts(samples.predictions)?;
    let references = convert::texts(samples.references)?;
    metric.update(&Samples {
        count: usize::try_from(samples.count).unwrap_or(usize::MAX),
        byte_lengths: &convert::unpack::<u64>(&samples.byte_lengths, "byte lengths")?,
        targets: Ids::new(&ids, &offsets)?,
        log_probabilities: &convert::unpack::<f32>(
            &samples.log_probabilities,
            "log-probabilities",
        )?,
        ranks: &convert::unpack::<u32>(&samples.ranks, "ranks")?,
        texts: texts.as_texts(),
        predictions: predictions.as_texts(),
        references: references.as_texts(),
        labels: &convert::unpack::<f32>(&samples.labels, "labels")?,
        predicted_labels: &convert::unpack::<f32>(&samples.predicted_labels, "predicted labels")?,
        embeddings: &convert::unpack::<f32>(&samples.embeddings, "embeddings")?,
        dimensions: samples.dimensions,
    })
}

impl components::HostSomeSanitizer for State {
    fn rules(&mut self, this: Resource<SomeSanitizer>) -> Answer<Vec<types::Rule>> {
        let rules = self.table.get(&this)?.0.rules();
        answer(rules.map(|rules| rules.into_iter().map(convert::rule_to).collect()))
    }

    fn scan(
        &mut self,
        this: Resource<SomeSanitizer>,
        texts: types::Texts,
        stage: types::Stage,
    ) -> Answer<Vec<types::Finding>> {
        let sanitizer = &self.table.get(&this)?.0;
        answer(convert::texts(texts).and_then(|texts| {
            let found = sanitizer.scan(texts.as_texts(), convert::stage(stage))?;
            Ok(found.into_iter().map(convert::finding_to).collect())
        }))
    }

    fn drop(&mut self, this: Resource<SomeSanitizer>) -> wasmtime::Result<()> {
        self.release(this)
    }
}

impl components::HostSomeModel for State {
    fn info(&mut self, this: Resource<SomeModel>) -> Answer<types::ModelInfo> {
        answer(self.table.get(&this)?.0.info().map(convert::model_info_to))
    }

    fn score(
        &mut self,
        this: Resource<SomeModel>,
        batch: types::Batch,
        request: types::ScoreRequest,
    ) -> Answer<types::Scores> {
        let model = &mut self.table.get_mut(&this)?.0;
        answer(score(model.as_mut(), &batch, request))
    }

    fn embed(&mut self, this: Resource<SomeModel>, sequences: types::Ids) -> Answer<Vec<u8>> {
        let model = &mut self.table.get_mut(&this)?.0;
        answer(convert::ids(&sequences, "ids").and_then(|(ids, offsets)| {
            let embeddings = model.embed(Ids::new(&ids, &offsets)?)?;
            Ok(convert::pack(&embeddings))
        }))
    }

    fn drop(&mut self, this: Resource<SomeModel>) -> wasmtime::Result<()> {
        self.release(this)
    }
}

fn score(
    model: &mut dyn Model,
    batch: &types::Batch,
    request: types::ScoreRequest,
) -> Result<types::Scores> {
    let (ids, offsets) = convert::ids(&batch.sequences, "ids")?;
    let labels = batch
        .labels
        .as_deref()
        .map(|labels| convert::unpack::<i64>(labels, "labels"))
        .transpose()?;
    let token_types = batch
        .token_types
        .as_deref()
        .map(|found| convert::unpack::<u32>(found, "token types"))
        .transpose()?;
    let sequence_labels = batch
        .sequence_labels
        .as_deref()
        .map(|found| convert::unpack::<f32>(found, "sequence labels"))
        .transpose()?;
    let batch = TokenBatch {
        sequences: Ids::new(&ids, &offsets)?,
        labels: labels.as_deref(),
        token_types: token_types.as_deref(),
        sequence_labels: sequence_labels.as_deref(),
        parts: batch.parts,
    };
    batch.check()?;
    model
        .score(&batch, convert::score_request(request))
        .map(|scores| convert::scores_to(&scores))
}
