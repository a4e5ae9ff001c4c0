//! What parameters there are and where they lie, before there are any numbers.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use codex_nn::quantized::Format;

use super::{Entry, Slot, Start, View};

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
                state: 0..0,
                start,
                reached: true,
                trainable: true,
                format: None,
            });
        }
        self.views.push(View {
            range: first..self.length,
            shape: shape.to_vec(),
            value: None,
            quantized: false,
            gradient: None,
            parts: Vec::new(),
            received: AtomicBool::new(false),
        });
        Slot(self.views.len() - 1)
    }

    /// Keeps the parameters of a view in `format`. They do not train.
    pub(crate) fn quantize(&mut self, slot: Slot, format: Format) {
        let view = &mut self.views[slot.0];
        view.quantized = true;
        for entry in self.entries.iter_mut().filter(|entry| view.holds(entry)) {
            entry.format = Some(format);
            entry.trainable = false;
        }
    }

    /// All entries and views, and how long the flat buffer is. Places of what is quantised are moved behind its end, where
    /// there are no values: so they say which parameters a view holds like any other.
    pub(super) fn settle(self) -> (Vec<Entry>, Vec<View>, usize) {
        let (mut entries, mut views) = (self.entries, self.views);
        let quantized = |view: &View| if view.quantized { view.range.len() } else { 0 };
        let length = self.length - views.iter().map(quantized).sum::<usize>();
        let (mut kept, mut behind) = (0, length);
        for view in &mut views {
            let next = if view.quantized {
                &mut behind
            } else {
                &mut kept
            };
            view.range = *next..*next + view.range.len();
            *next = view.range.end;
        }
        let (mut kept, mut behind) = (0, length);
        for entry in &mut entries {
            let next = if entry.format.is_some() {
                &mut behind
            } else {
                &mut kept
            };
            entry.range = *next..*next + entry.range.len();
            *next = entry.range.end;
        }
        (entries, views, length)
    }
}
