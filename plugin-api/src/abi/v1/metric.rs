//! Metrics across the border.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RString, RVec};

use super::buffers::{AbiIds, AbiTexts, bits, flags, owned_text};
use super::error::{AbiResult, broken};
use super::guard::guard;
use super::object::{Proxy, exclusive, object, release, shared, table};
use crate::{Direction, Error, Metric, Needs, Result, Samples, Score};

/// [`Samples`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiSamples<'a> {
    count: u64,
    byte_lengths: RSlice<'a, u64>,
    targets: AbiIds<'a>,
    log_probabilities: RSlice<'a, f32>,
    ranks: RSlice<'a, u32>,
    texts: AbiTexts<'a>,
    predictions: AbiTexts<'a>,
    references: AbiTexts<'a>,
    labels: RSlice<'a, f32>,
    predicted_labels: RSlice<'a, f32>,
    embeddings: RSlice<'a, f32>,
    dimensions: u32,
}

impl<'a> AbiSamples<'a> {
    fn new(samples: &Samples<'a>) -> Self {
        Self {
            count: samples.count as u64,
            byte_lengths: samples.byte_lengths.into(),
            targets: AbiIds::new(samples.targets),
            log_probabilities: samples.log_probabilities.into(),
            ranks: samples.ranks.into(),
            texts: AbiTexts::new(samples.texts),
            predictions: AbiTexts::new(samples.predictions),
            references: AbiTexts::new(samples.references),
            labels: samples.labels.into(),
            predicted_labels: samples.predicted_labels.into(),
            embeddings: samples.embeddings.into(),
            dimensions: samples.dimensions,
        }
    }

    fn read(&self) -> Result<Samples<'a>> {
        Ok(Samples {
            count: self.count as usize,
            byte_lengths: self.byte_lengths.as_slice(),
            targets: self.targets.read()?,
            log_probabilities: self.log_probabilities.as_slice(),
            ranks: self.ranks.as_slice(),
            texts: self.texts.read()?,
            predictions: self.predictions.read()?,
            references: self.references.read()?,
            labels: self.labels.as_slice(),
            predicted_labels: self.predicted_labels.as_slice(),
            embeddings: self.embeddings.as_slice(),
            dimensions: self.dimensions,
        })
    }
}

/// [`Score`]; `direction` is 0 for higher and 1 for lower.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiScore {
    name: RString,
    value: f64,
    direction: u8,
}

/// The functions of a metric.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = MetricTable, prefix_fields = MetricTablePrefix)))]
pub struct MetricFunctions {
    release: unsafe extern "C" fn(*mut ()),
    needs: unsafe extern "C" fn(*mut ()) -> AbiResult<u64>,
    update: unsafe extern "C" fn(*mut (), &AbiSamples<'_>) -> AbiResult<()>,
    state: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    merge: unsafe extern "C" fn(*mut (), RSlice<'_, u8>) -> AbiResult<()>,
    #[sabi(last_prefix_field)]
    compute: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<AbiScore>>,
}

table! {
    MetricTable of MetricFunctions {
        release: release::<dyn Metric>,
        needs,
        update,
        state,
        merge,
        compute,
    }
}

object! {
    /// A metric.
    AbiMetric, MetricTable, Metric
}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table; functions that
// take `&mut self` in the trait are called by one thread at a time.

unsafe extern "C" fn needs(this: *mut ()) -> AbiResult<u64> {
    guard(|| {
        // SAFETY: see above.
        let needs = unsafe { shared::<dyn Metric>(this) }.needs();
        Ok(bits(&[
            needs.log_probabilities,
            needs.ranks,
            needs.ids,
            needs.texts,
            needs.predictions,
            needs.labels,
            needs.embeddings,
        ]))
    })
}

unsafe extern "C" fn update(this: *mut (), samples: &AbiSamples<'_>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Metric>(this) }.update(&samples.read()?))
}

unsafe extern "C" fn state(this: *mut ()) -> AbiResult<RVec<u8>> {
    // SAFETY: see above.
    guard(|| {
        unsafe { shared::<dyn Metric>(this) }
            .state()
            .map(RVec::from)
    })
}

unsafe extern "C" fn merge(this: *mut (), state: RSlice<'_, u8>) -> AbiResult<()> {
    // SAFETY: see above.
    guard(|| unsafe { exclusive::<dyn Metric>(this) }.merge(state.as_slice()))
}

unsafe extern "C" fn compute(this: *mut ()) -> AbiResult<RVec<AbiScore>> {
    guard(|| {
        // SAFETY: see above.
        let scores = unsafe { shared::<dyn Metric>(this) }.compute()?;
        Ok(scores
            .into_iter()
            .map(|score| AbiScore {
                name: score.name.into(),
                value: score.value,
                direction: u8::from(score.direction == Direction::Lower),
            })
            .collect())
    })
}

/// The using side.
struct MetricProxy {
    proxy: Proxy<AbiMetric>,
    needs: Needs,
}

impl AbiMetric {
    /// The metric as its trait.
    ///
    /// # Errors
    /// When the metric cannot say what it needs.
    pub fn import(self) -> Result<Box<dyn Metric>> {
        let proxy = Proxy::new(self);
        // SAFETY: the object owns a live instance of its own table.
        let wanted = proxy.call(|object| unsafe { object.table.needs()(object.this) })?;
        let [
            log_probabilities,
            ranks,
            ids,
            texts,
            predictions,
            labels,
            embeddings,
        ] = flags(wanted, "a metric")?;
        let needs = Needs {
            log_probabilities,
            ranks,
            ids,
            texts,
            predictions,
            labels,
            embeddings,
        };
        Ok(Box::new(MetricProxy { proxy, needs }))
    }
}

// SAFETY of every call below: the object owns a live instance of its own table, and `&mut self` keeps others away.
impl Metric for MetricProxy {
    fn needs(&self) -> Needs {
        self.needs
    }

    fn update(&mut self, samples: &Samples<'_>) -> Result<()> {
        let samples = AbiSamples::new(samples);
        // SAFETY: see above.
        self.proxy
            .call(|object| unsafe { object.table.update()(object.this, &samples) })
    }

    fn state(&self) -> Result<Vec<u8>> {
        // SAFETY: see above.
        let state = self
            .proxy
            .call(|object| unsafe { object.table.state()(object.this) })?;
        Ok(state.into_vec())
    }

    fn merge(&mut self, state: &[u8]) -> Result<()> {
        // SAFETY: see above.
        self.proxy
            .call(|object| unsafe { object.table.merge()(object.this, state.into()) })
    }

    fn compute(&self) -> Result<Vec<Score>> {
        // SAFETY: see above.
        let scores = self
            .proxy
            .call(|object| unsafe { object.table.compute()(object.this) })?;
        scores
            .into_iter()
            .map(|score| {
                Ok(Score {
                    name: owned_text(score.name, "a score name")?,
                    value: score.value,
                    direction: match score.direction {
                        0 => Direction::Higher,
                        1 => Direction::Lower,
                        other => {
                            return Err(broken(format!("a score with direction {other}")));
                        }
                    },
                })
            })
            .collect::<Result<Vec<Score>, Error>>()
    }
}
