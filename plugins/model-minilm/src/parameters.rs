//! All parameters in one flat buffer, and their gradients in another: names and shapes as Transformers saves them, and
//! the views that the functions compute with. Weights that one product can use together (query, key and value; gate
//! and up) lie side by side and share a view. Reading and writing files is left to `folder`.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use codex_nn::random::Key;
use codex_nn::write;
use codex_plugin_api::Result;

use crate::failure::numeric;

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
    /// Where it lies in the flat buffers.
    pub(crate) range: Range<usize>,
    /// How it starts.
    pub(crate) start: Start,
    /// Whether the task's loss depends on it.
    pub(crate) reached: bool,
    /// Whether it trains.
    pub(crate) trainable: bool,
}

/// A view that functions compute with: one entry, or several that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(usize);

#[derive(Debug)]
struct View {
    range: Range<usize>,
    shape: Vec<usize>,
    value: Option<Tensor>,
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
}

/// What a network's parameters are, before there are any numbers.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    entries: Vec<Entry>,
    views: Vec<View>,
    length: usize,
}

impl Plan {
    /// How many parameters there are so far.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Notes that the task's loss does not depend on these parameters: they are only kept.
    pub(crate) fn keep_only(&mut self, parameters: Range<usize>) {
        for entry in &mut self.entries[parameters] {
            (entry.reached, entry.trainable) = (false, false);
        }
    }

    /// Adds one parameter with a view of its own.
    pub(crate) fn add(&mut self, name: String, shape: &[usize], start: Start) -> Slot {
        self.add_joined(vec![(name, shape.to_vec())], shape, start)
    }

    /// Adds parameters that lie side by side and are used as one of shape `shape`.
    pub(crate) fn add_joined(
        &mut self,
        parts: Vec<(String, Vec<usize>)>,
        shape: &[usize],
        start: Start,
    ) -> Slot {
        let first = self.length;
        for (name, shape) in parts {
            let range = self.length..self.length + shape.iter().product::<usize>();
            self.length = range.end;
            self.entries.push(Entry {
                name,
                shape,
                range,
                start,
                reached: true,
                trainable: true,
            });
        }
        self.views.push(View {
            range: first..self.length,
            shape: shape.to_vec(),
            value: None,
            gradient: None,
            parts: Vec::new(),
            received: AtomicBool::new(false),
        });
        Slot(self.views.len() - 1)
    }
}

/// The parameters of a network and, while it trains, their gradients.
#[derive(Debug)]
pub(crate) struct Parameters {
    entries: Vec<Entry>,
    views: Vec<View>,
    values: Tensor,
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
        let values = flat(plan.length, &Device::Cpu)?;
        let mut views = plan.views;
        for one in &mut views {
            one.value = Some(view(&values, &one.range, &one.shape)?);
        }
        Ok(Self {
            entries: plan.entries,
            views,
            values,
            gradients: None,
        })
    }

    /// Moves all values to another device; before training begins.
    pub(crate) fn move_to(&mut self, device: &Device) -> Result<()> {
        self.values = numeric(self.values.to_device(device))?;
        for one in &mut self.views {
            one.value = Some(view(&self.values, &one.range, &one.shape)?);
        }
        Ok(())
    }

    /// A flat buffer of zeros beside the values.
    pub(crate) fn zeros(&self) -> Result<Tensor> {
        flat(self.count(), self.values.device())
    }

    /// Fresh values for all parameters.
    pub(crate) fn initialise(&self, seed: u64) -> Result<()> {
        self.initialise_part(seed, 0..self.entries.len())
    }

    /// Fresh values for some parameters: a function of the seed and of each parameter's place alone.
    pub(crate) fn initialise_part(&self, seed: u64, part: Range<usize>) -> Result<()> {
        let key = Key::new(seed).with(crate::INITIALISATION);
        let filled = write(&self.values, |values| {
            for index in part {
                let entry = &self.entries[index];
                let key = key.with(index as u64);
                let values = &mut values[entry.range.clone()];
                match entry.start {
                    Start::Constant(value) => values.fill(value),
                    Start::Normal(deviation) => {
                        for (counter, value) in (0..).zip(values) {
                            *value = key.normal(counter) * deviation;
                        }
                    }
                }
            }
        });
        numeric(filled)
    }

    /// Every parameter, in the order of the flat buffers.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of values.
    pub(crate) fn count(&self) -> usize {
        self.values.elem_count()
    }

    /// The flat buffer of all values.
    pub(crate) fn values(&self) -> &Tensor {
        &self.values
    }

    /// The flat buffer of all gradients, while training.
    pub(crate) fn gradients(&self) -> Option<&Tensor> {
        self.gradients.as_ref()
    }

    /// The values of a view.
    pub(crate) fn value(&self, slot: Slot) -> &Tensor {
        self.views[slot.0].value.as_ref().unwrap_or(&self.values)
    }

    /// Where to add the gradient of a view: `None` when nothing in it trains. Notes that a gradient arrived.
    pub(crate) fn gradient(&self, slot: Slot) -> Option<&Tensor> {
        let view = &self.views[slot.0];
        if view.gradient.is_some() {
            view.received.store(true, Ordering::Relaxed);
        }
        view.gradient.as_ref()
    }

    /// Whether anything in a view trains.
    pub(crate) fn trains(&self, slot: Slot) -> bool {
        self.views[slot.0].gradient.is_some()
    }

    /// The parts of a view that train, where others do not: gradients of the others need not be computed.
    pub(crate) fn gradient_parts(&self, slot: Slot) -> &[GradientPart] {
        &self.views[slot.0].parts
    }

    /// Makes room for gradients, all zero, and decides what trains.
    pub(crate) fn begin_training(&mut self, trains: impl Fn(&Entry) -> bool) -> Result<()> {
        let gradients = match self.gradients.take() {
            Some(gradients) => gradients,
            None => self.zeros()?,
        };
        numeric(gradients.zero_set())?;
        for entry in &mut self.entries {
            entry.trainable = entry.reached && trains(entry);
        }
        for one in &mut self.views {
            let (mut trained, mut frozen) = (Vec::new(), false);
            for entry in self.entries.iter().filter(|entry| one.holds(entry)) {
                if entry.trainable {
                    trained.push(entry);
                } else {
                    frozen = true;
                }
            }
            one.gradient = match trained[..] {
                [] => None,
                _ => Some(view(&gradients, &one.range, &one.shape)?),
            };
            one.parts.clear();
            if frozen {
                let row = one.range.len() / one.shape[0].max(1);
                for entry in trained {
                    let first = (entry.range.start - one.range.start) / row.max(1);
                    one.parts.push(GradientPart {
                        rows: first..first + entry.shape[0],
                        gradient: view(&gradients, &entry.range, &entry.shape)?,
                    });
                }
            }
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
