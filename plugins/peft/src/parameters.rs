//! Which tensors a plan has, under which keys, and of which shapes: the one place that decides it for reader and writer.

use std::collections::{BTreeMap, BTreeSet};

use codex_plugin_api::{AdapterPlan, Error, Init, Operation, Result, Site};

use crate::keys::{Part, numbered_key, shared_key};

/// One tensor of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanParameter {
    /// Its key in `adapter_model.safetensors`.
    pub key: String,
    /// The operation that it belongs to; of a shared one, the first.
    pub operation: usize,
    /// Which tensor of the operation.
    pub part: Part,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// How it starts.
    pub start: Init,
    /// Whether it trains.
    pub trains: bool,
}

impl PlanParameter {
    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values; never, for the parameters of a plan.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Width of a shared matrix: that of its values, or that of the widest site.
fn widest(start: &Init, rank: usize, widths: impl Iterator<Item = u64>) -> usize {
    match start {
        Init::Values { length, .. } => *length as usize / rank,
        _ => widths.max().unwrap_or(0) as usize,
    }
}

struct Collect<'a> {
    plan: &'a AdapterPlan,
    sites: BTreeMap<&'a str, &'a Site>,
    found: Vec<PlanParameter>,
    counts: BTreeMap<String, usize>,
    shared: BTreeSet<&'a str>,
}

impl<'a> Collect<'a> {
    fn add(&mut self, operation: usize, part: Part, shape: Vec<usize>, start: &Init, trains: bool) {
        let site = &self.plan.operations[operation].site;
        let plain = numbered_key(site, part, 0);
        let count = self.counts.entry(plain).or_default();
        let key = numbered_key(site, part, *count);
        *count += 1;
        self.push(key, operation, part, shape, start, trains);
    }

    fn push(
        &mut self,
        key: String,
        operation: usize,
        part: Part,
        shape: Vec<usize>,
        start: &Init,
        trains: bool,
    ) {
        self.found.push(PlanParameter {
            key,
            operation,
            part,
            shape,
            start: start.clone(),
            trains,
        });
    }

    /// A and B that several sites share: once, as wide as the widest of them.
    fn add_shared(
        &mut self,
        word: &'a str,
        operation: usize,
        rank: usize,
        starts: (&Init, &Init),
        trains: bool,
    ) {
        if !self.shared.insert(word) {
            return;
        }
        let widths: Vec<(u64, u64)> = self
            .plan
            .operations
            .iter()
            .filter(|at| {
                matches!(&at.operation, Operation::LowRank { shared: Some(other), .. } if other == word)
            })
            .filter_map(|at| self.sites.get(at.site.as_str()))
            .map(|site| (site.inputs, site.outputs))
            .collect();
        let inputs = widest(starts.0, rank, widths.iter().map(|pair| pair.0));
        let outputs = widest(starts.1, rank, widths.iter().map(|pair| pair.1));
        for (part, shape, start) in [
            (Part::A, vec![rank, inputs], starts.0),
            (Part::B, vec![outputs, rank], starts.1),
        ] {
            self.push(
                shared_key(word, part),
                operation,
                part,
                shape,
                start,
                trains,
            );
        }
    }

    fn operation(&mut self, index: usize) -> Result<()> {
        let at = &self.plan.operations[index];
        let site = *self
            .sites
            .get(at.site.as_str())
            .ok_or_else(|| Error::config(format!("the model has no site {:?}", at.site)))?;
        let (inputs, outputs) = (site.inputs as usize, site.outputs as usize);
        match &at.operation {
            Operation::LowRank {
                rank,
                a,
                b,
                train,
                shared,
                rank_scale,
                output_scale,
                ..
            } => {
                let rank = *rank as usize;
                if rank == 0 {
                    return Err(Error::config(format!("{}: rank is 0", at.site))
                        .hint("a rank is at least 1"));
                }
                if let Some(word) = shared {
                    self.add_shared(word, index, rank, (a, b), *train);
                } else {
                    self.add(index, Part::A, vec![rank, inputs], a, *train);
                    self.add(index, Part::B, vec![outputs, rank], b, *train);
                }
                for (part, length, start) in [
                    (Part::RankScale, rank, rank_scale),
                    (Part::OutputScale, outputs, output_scale),
                ] {
                    if let Some(start) = start {
                        self.add(index, part, vec![length], start, true);
                    }
                }
            }
            Operation::ScaleOutput { start, train } => {
                self.add(index, Part::ScaleOutput, vec![outputs, 1], start, *train);
            }
            Operation::ScaleInput { start, train } => {
                self.add(index, Part::ScaleInput, vec![1, inputs], start, *train);
            }
            Operation::Magnitude { start, train } => {
                self.add(index, Part::Magnitude, vec![outputs], start, *train);
            }
            Operation::Bias { start, train } => {
                self.add(index, Part::Bias, vec![outputs], start, *train);
            }
            other => {
                return Err(Error::unsupported(format!("{other:?} at {}", at.site)));
            }
        }
        Ok(())
    }
}

/// The tensors of `plan` on a model with `sites`, in the order of the operations, each shared matrix once. Base parameters
/// that train whole are not among them.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] naming a site that is not there or a rank of 0.
pub fn parameters(plan: &AdapterPlan, sites: &[Site]) -> Result<Vec<PlanParameter>> {
    let mut collect = Collect {
        plan,
        sites: sites
            .iter()
            .map(|site| (site.name.as_str(), site))
            .collect(),
        found: Vec::new(),
        counts: BTreeMap::new(),
        shared: BTreeSet::new(),
    };
    for index in 0..plan.operations.len() {
        collect.operation(index)?;
    }
    Ok(collect.found)
}
