//! All parameters in one flat buffer, and the gradients of those that train in another: names and shapes as they are
//! saved, and the views that the functions compute with. Weights that one product can use together (query, key and
//! value; gate and up) lie side by side and share a view. Weights of a quantised base are kept apart, each by itself. How
//! all of it is laid out is in `plan`; reading and writing files is left to `folder`.

mod plan;
mod weight;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use codex_nn::quantized::{Format, Quantized};
use codex_nn::random::Key;
use codex_nn::write;
use codex_plugin_api::{Error, Result};

use crate::failure::numeric;
pub(crate) use plan::Plan;
pub(crate) use weight::Weight;

/// How a fresh parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    /// All the same value.
    Constant(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
}

/// One parameter under the name that Transformers gives it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// For example `transformer.h.0.attn.c_attn.weight`.
    pub(crate) name: String,
    /// Outermost first.
    pub(crate) shape: Vec<usize>,
    /// Where it lies in the flat buffer of values. What is quantised is not in it: its places lie behind the buffer's end.
    pub(crate) range: Range<usize>,
    /// Where it lies in the flat buffers of gradients and moments, which hold only what trains: empty where it does not.
    pub(crate) state: Range<usize>,
    /// How it starts.
    pub(crate) start: Start,
    /// Whether the task's loss depends on it.
    pub(crate) reached: bool,
    /// Whether it trains.
    pub(crate) trainable: bool,
    /// How it is kept where that is not in `f32`: it never trains then.
    pub(crate) format: Option<Format>,
}

impl Entry {
    /// The word for how it is kept.
    pub(crate) fn dtype(&self) -> &'static str {
        match self.format {
            None => "f32",
            Some(Format::Bf16) => "bf16",
            Some(Format::Int8) => "int8",
            Some(Format::Nf4) => "nf4",
        }
    }

    fn len(&self) -> usize {
        self.range.len()
    }
}

/// A view that functions compute with: one entry, or several that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

impl Slot {
    /// Its number among the views of its parameters.
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

#[derive(Debug)]
struct View {
    range: Range<usize>,
    shape: Vec<usize>,
    /// `None` where its entries are quantised.
    value: Option<Tensor>,
    quantized: bool,
    gradient: Option<Tensor>,
    /// Where only some of the entries train: those that do.
    parts: Vec<GradientPart>,
    received: AtomicBool,
}

/// The gradient of one entry of a joined view.
#[derive(Debug)]
pub(crate) struct GradientPart {
    /// Which rows of the view it is.
    pub(crate) rows: Range<usize>,
    /// Where to add it.
    pub(crate) gradient: Tensor,
}

impl View {
    fn holds(&self, entry: &Entry) -> bool {
        entry.range.start >= self.range.start && entry.range.end <= self.range.end
    }

    /// Finds the view's place in `gradients`, or those of its parts where only some of them train.
    fn make_room(&mut self, entries: &[Entry], gradients: &Tensor) -> Result<()> {
        let held: Vec<&Entry> = entries.iter().filter(|entry| self.holds(entry)).collect();
        if held.iter().all(|entry| entry.trainable) {
            // Entries that lie side by side do so in both buffers.
            let start = held.first().map_or(0, |entry| entry.state.start);
            let state = start..start + self.range.len();
            self.gradient = Some(view(gradients, &state, &self.shape)?);
            return Ok(());
        }
        let row = self.range.len() / self.shape[0].max(1);
        for entry in held.into_iter().filter(|entry| entry.trainable) {
            let first = (entry.range.start - self.range.start) / row.max(1);
            self.parts.push(GradientPart {
                rows: first..first + entry.shape[0],
                gradient: view(gradients, &entry.state, &entry.shape)?,
            });
        }
        Ok(())
    }
}

/// The parameters of a network and, while it trains, their gradients.
#[derive(Debug)]
pub(crate) struct Parameters {
    entries: Vec<Entry>,
    views: Vec<View>,
    values: Tensor,
    /// For each entry that is quantised, what was last set.
    quantized: Vec<Option<Quantized>>,
    gradients: Option<Tensor>,
}

fn flat(length: usize, device: &Device) -> Result<Tensor> {
    numeric(codex_nn::zeros(length, device))
}

fn view(flat: &Tensor, range: &Range<usize>, shape: &[usize]) -> Result<Tensor> {
    numeric(
        flat.narrow(0, range.start, range.len())
            .and_then(|part| part.reshape(shape)),
    )
}

impl Parameters {
    /// Zeros for every parameter of the plan.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let (entries, mut views, length) = plan.settle();
        let values = flat(length, &Device::Cpu)?;
        for one in views.iter_mut().filter(|one| !one.quantized) {
            one.value = Some(view(&values, &one.range, &one.shape)?);
        }
        Ok(Self {
            quantized: vec![None; entries.len()],
            entries,
            views,
            values,
            gradients: None,
        })
    }

    /// Moves all values but the quantised ones to another device; before training begins.
    pub(crate) fn move_to(&mut self, device: &Device) -> Result<()> {
        self.values = numeric(self.values.to_device(device))?;
        for one in self.views.iter_mut().filter(|one| !one.quantized) {
            one.value = Some(view(&self.values, &one.range, &one.shape)?);
        }
        Ok(())
    }

    /// A flat buffer of zeros beside the gradients.
    pub(crate) fn state(&self) -> Result<Tensor> {
        let length = self.gradients.as_ref().map_or(0, Tensor::elem_count);
        flat(length, self.values.device())
    }

    /// Fresh values for all parameters.
    pub(crate) fn initialise(&mut self, seed: u64) -> Result<()> {
        self.initialise_part(seed, 0..self.entries.len())
    }

    /// Fresh values for some parameters: a function of the seed and of each parameter's place alone.
    pub(crate) fn initialise_part(&mut self, seed: u64, part: Range<usize>) -> Result<()> {
        let key = Key::new(seed).with(crate::INITIALISATION);
        for index in part {
            let (key, start) = (key.with(index as u64), self.entries[index].start);
            self.write(index, |values| match start {
                Start::Constant(value) => values.fill(value),
                Start::Normal(deviation) => {
                    for (counter, value) in (0..).zip(values) {
                        *value = key.normal(counter) * deviation;
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Every parameter, in the order in which they are saved.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of the parameter called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// The view that holds a parameter, and which of its rows the parameter is.
    pub(crate) fn locate(&self, index: usize) -> Option<(Slot, Range<usize>)> {
        let entry = self.entries.get(index)?;
        let at = self.views.iter().position(|view| view.holds(entry))?;
        let view = &self.views[at];
        let row = (view.range.len() / view.shape[0].max(1)).max(1);
        let first = (entry.range.start - view.range.start) / row;
        Some((Slot(at), first..first + entry.range.len() / row))
    }

    /// Which rows of a view each of its parameters is, in order.
    pub(crate) fn rows_of(&self, slot: Slot) -> Vec<Range<usize>> {
        let view = &self.views[slot.0];
        let row = (view.range.len() / view.shape[0].max(1)).max(1);
        let held = self.entries.iter().filter(|entry| view.holds(entry));
        held.map(|entry| {
            let first = (entry.range.start - view.range.start) / row;
            first..first + entry.range.len() / row
        })
        .collect()
    }

    /// The values of one parameter, copied; as they are given back where it is quantised.
    pub(crate) fn copy_of(&self, index: usize) -> Result<Vec<f32>> {
        let entry = &self.entries[index];
        if entry.format.is_some() {
            let quantized = self.quantized[index].as_ref();
            return Ok(quantized.map_or_else(|| vec![0.0; entry.len()], Quantized::to_vec));
        }
        let part = numeric(self.values.narrow(0, entry.range.start, entry.len()))?;
        Ok(numeric(codex_nn::Read::new(&part))?.to_vec())
    }

    /// Sets the values of one parameter, as many as it has.
    pub(crate) fn set(&mut self, index: usize, values: &[f32]) -> Result<()> {
        self.write(index, |part| part.copy_from_slice(values))
    }

    /// Lets `function` write the values of one parameter, all of them; what is quantised is so once it has.
    pub(crate) fn write<R>(
        &mut self,
        index: usize,
        function: impl FnOnce(&mut [f32]) -> R,
    ) -> Result<R> {
        let entry = &self.entries[index];
        let Some(format) = entry.format else {
            let part = numeric(self.values.narrow(0, entry.range.start, entry.len()))?;
            return numeric(write(&part, function));
        };
        let mut values = vec![0.0; entry.len()];
        let result = function(&mut values);
        let quantized = Quantized::new(&values, format).map_err(|cause| {
            Error::data(format!(
                "{} cannot be kept as {}: {cause}",
                entry.name,
                entry.dtype()
            ))
            .hint("set base_dtype to f32, or open a model whose weights are all finite")
        })?;
        self.quantized[index] = Some(quantized);
        Ok(result)
    }

    /// What is kept of a parameter that is quantised.
    pub(crate) fn quantized(&self, index: usize) -> Option<&Quantized> {
        self.quantized[index].as_ref()
    }

    /// A parameter that is quantised, if any is.
    pub(crate) fn first_quantized(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.format.is_some())
    }

    /// Number of values.
    pub(crate) fn count(&self) -> usize {
        self.entries.iter().map(Entry::len).sum()
    }

    /// The flat buffer of all values but the quantised ones.
    pub(crate) fn values(&self) -> &Tensor {
        &self.values
    }

    /// The flat buffer of the gradients of what trains, once training has begun.
    pub(crate) fn gradients(&self) -> Option<&Tensor> {
        self.gradients.as_ref()
    }

    /// The values of a view that is not quantised.
    pub(crate) fn value(&self, slot: Slot) -> &Tensor {
        self.views[slot.0].value.as_ref().unwrap_or(&self.values)
    }

    /// Where to add the gradient of a view: `None` unless all of it trains. Notes that a gradient arrived.
    pub(crate) fn gradient(&self, slot: Slot) -> Option<&Tensor> {
        let view = &self.views[slot.0];
        if view.gradient.is_some() {
            view.received.store(true, Ordering::Relaxed);
        }
        view.gradient.as_ref()
    }

    /// Whether anything in a view trains.
    pub(crate) fn trains(&self, slot: Slot) -> bool {
        let view = &self.views[slot.0];
        view.gradient.is_some() || !view.parts.is_empty()
    }

    /// The parts of a view that train, where others do not: there is no room for gradients of the others. Notes that
    /// their gradients arrived.
    pub(crate) fn gradient_parts(&self, slot: Slot) -> &[GradientPart] {
        let view = &self.views[slot.0];
        if !view.parts.is_empty() {
            view.received.store(true, Ordering::Relaxed);
        }
        &view.parts
    }

    /// Decides what trains, and makes room for the gradients of that alone, all zero.
    pub(crate) fn begin_training(&mut self, trains: impl Fn(&Entry) -> bool) -> Result<()> {
        let mut length = 0;
        for entry in &mut self.entries {
            entry.trainable = entry.reached && entry.format.is_none() && trains(entry);
            let size = if entry.trainable {
                entry.range.len()
            } else {
                0
            };
            entry.state = length..length + size;
            length += size;
        }
        for one in &mut self.views {
            one.gradient = None;
            one.parts.clear();
        }
        let gradients = match self.gradients.take() {
            Some(gradients) if gradients.elem_count() == length => gradients,
            old => {
                drop(old);
                flat(length, self.values.device())?
            }
        };
        numeric(gradients.zero_set())?;
        for one in &mut self.views {
            one.make_room(&self.entries, &gradients)?;
        }
        self.gradients = Some(gradients);
        self.forget_received();
        Ok(())
    }

    /// Whether a backward pass reached the entry since [`Self::forget_received`].
    pub(crate) fn received(&self, entry: &Entry) -> bool {
        self.views
            .iter()
            .any(|view| view.holds(entry) && view.received.load(Ordering::Relaxed))
    }

    /// Starts a new step.
    pub(crate) fn forget_received(&self) {
        for view in &self.views {
            view.received.store(false, Ordering::Relaxed);
        }
    }
}
