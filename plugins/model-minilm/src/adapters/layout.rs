//! From a plan to an adapter: which parameters it has, where they lie, and what refers to them.

use std::collections::BTreeMap;
use std::ops::Range;

use codex_peft::{Part, PlanParameter};
use codex_plugin_api::{AdapterPlan, Error, Init, Operation, Result};

use super::adapter::{Action, Adapter, Pair, Placed};
use super::places::Place;
use super::{start, whole};
use crate::network::Network;
use crate::parameters::{Parameters, Plan, Slot, Start};
use crate::sites;

/// Where the tensors of a plan are laid out.
struct Laid {
    plan: Plan,
    /// By operation and part; shared ones by the operation that they are listed with.
    slots: BTreeMap<(usize, Part), (Slot, Range<usize>)>,
    /// Shared ones by their key.
    shared: BTreeMap<String, Slot>,
}

/// Operations whose A's lie side by side: they read the same input in the same way, and commute with what stands before
/// them at their sites.
fn groups(plan: &AdapterPlan, places: &[Place]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, at) in plan.operations.iter().enumerate() {
        let Operation::LowRank {
            dropout,
            train,
            shared: None,
            rank_scale: None,
            output_scale: None,
            ..
        } = &at.operation
        else {
            continue;
        };
        let commutes = plan.operations[..index].iter().all(|before| {
            before.site != at.site
                || !matches!(
                    before.operation,
                    Operation::ScaleOutput { .. } | Operation::Magnitude { .. }
                )
        });
        let alike = |other: usize| {
            places[other].weight == places[index].weight
                && matches!(
                    &plan.operations[other].operation,
                    Operation::LowRank { dropout: other, train: trains, .. }
                        if other.to_bits() == dropout.to_bits() && trains == train
                )
        };
        match groups.iter_mut().find(|group| commutes && alike(group[0])) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups
}

impl Laid {
    fn new(plan: &AdapterPlan, places: &[Place], wanted: &[PlanParameter]) -> Self {
        let mut laid = Self {
            plan: Plan::default(),
            slots: BTreeMap::new(),
            shared: BTreeMap::new(),
        };
        for group in groups(plan, places) {
            let members: Vec<&PlanParameter> = group
                .iter()
                .filter_map(|&index| {
                    let mut found = wanted.iter();
                    found.find(|one| (one.operation, one.part) == (index, Part::A))
                })
                .collect();
            let rows = members.iter().map(|one| one.shape[0]).sum();
            let shape = [rows, places[group[0]].inputs];
            let parts = members
                .iter()
                .map(|one| (one.key.clone(), one.shape.clone()));
            let parts = parts.collect();
            let slot = laid.add(&members, |plan| plan.add_joined(parts, &shape, ZERO));
            let mut row = 0;
            for one in members {
                let rows = row..row + one.shape[0];
                row = rows.end;
                laid.slots.insert((one.operation, Part::A), (slot, rows));
            }
        }
        for one in wanted {
            if laid.slots.contains_key(&(one.operation, one.part)) {
                continue;
            }
            let bias_of_base = one.part == Part::Bias && places[one.operation].bias.is_some();
            if bias_of_base {
                continue;
            }
            let slot = laid.add(&[one], |plan| plan.add(one.key.clone(), &one.shape, ZERO));
            laid.shared.insert(one.key.clone(), slot);
            let at = (one.operation, one.part);
            laid.slots.insert(at, (slot, 0..one.shape[0]));
        }
        laid
    }

    /// Adds parameters, all of which train or none.
    fn add(&mut self, members: &[&PlanParameter], add: impl FnOnce(&mut Plan) -> Slot) -> Slot {
        let first = self.plan.count();
        let slot = add(&mut self.plan);
        if !members.iter().all(|one| one.trains) {
            self.plan.keep_only(first..self.plan.count());
        }
        slot
    }

    fn slot(&self, operation: usize, part: Part) -> Result<(Slot, Range<usize>)> {
        let found = self.slots.get(&(operation, part)).cloned();
        found.ok_or_else(|| Error::failed(format!("operation {operation} has no {part:?}")))
    }

    fn pair(&self, index: usize, operation: &Operation) -> Result<Pair> {
        let Operation::LowRank {
            rank,
            scale,
            dropout,
            shared,
            rank_scale,
            output_scale,
            ..
        } = operation
        else {
            return Err(Error::failed(format!(
                "operation {index} is not of low rank"
            )));
        };
        let (a, ranks, b) = match shared {
            None => {
                let (a, ranks) = self.slot(index, Part::A)?;
                (a, ranks, self.slot(index, Part::B)?.0)
            }
            Some(word) => {
                let find = |part| {
                    let key = codex_peft::shared_key(word, part);
                    let found = self.shared.get(&key).copied();
                    found.ok_or_else(|| Error::failed(format!("no tensor is called {key}")))
                };
                (find(Part::A)?, 0..*rank as usize, find(Part::B)?)
            }
        };
        let vector = |start: &Option<Init>, part| {
            let slot = start.as_ref().map(|_| self.slot(index, part));
            slot.transpose().map(|found| found.map(|(slot, _)| slot))
        };
        Ok(Pair {
            a,
            ranks,
            b,
            scale: *scale,
            dropout: *dropout,
            rank_scale: vector(rank_scale, Part::RankScale)?,
            output_scale: vector(output_scale, Part::OutputScale)?,
            shared: shared.is_some(),
            taken: None,
        })
    }

    fn action(&self, plan: &AdapterPlan, index: usize, place: &Place) -> Result<Action> {
        let own = |part| self.slot(index, part).map(|(slot, _)| slot);
        Ok(match &plan.operations[index].operation {
            operation @ Operation::LowRank { .. } => Action::LowRank(self.pair(index, operation)?),
            Operation::ScaleOutput { .. } => Action::ScaleOutput(own(Part::ScaleOutput)?),
            Operation::ScaleInput { .. } => Action::ScaleInput(own(Part::ScaleInput)?),
            Operation::Magnitude { .. } => {
                Action::Magnitude(own(Part::Magnitude)?, normalised(plan, index)?)
            }
            Operation::Bias { .. } if place.bias.is_some() => Action::Whole,
            Operation::Bias { .. } => Action::Bias(own(Part::Bias)?),
            other => return Err(Error::unsupported(format!("{other:?}"))),
        })
    }
}

const ZERO: Start = Start::Constant(0.0);

/// Which low-rank operation's sum with the weight a magnitude normalises: there may be one at the site, and nothing else
/// before.
fn normalised(plan: &AdapterPlan, index: usize) -> Result<Option<usize>> {
    let site = &plan.operations[index].site;
    let mut others = plan.operations[..index]
        .iter()
        .enumerate()
        .filter(|(_, at)| at.site == *site && !matches!(at.operation, Operation::Bias { .. }));
    let first = others.next();
    match (first, others.next()) {
        (None, _) => Ok(None),
        (Some((at, one)), None) if matches!(one.operation, Operation::LowRank { .. }) => {
            Ok(Some(at))
        }
        _ => Err(Error::unsupported(format!(
            "a magnitude at {site} after anything but one low-rank operation"
        ))
        .hint("give the site one low-rank operation and then the magnitude")),
    }
}

fn check(plan: &AdapterPlan) -> Result<()> {
    for at in &plan.operations {
        if let Operation::LowRank { scale, dropout, .. } = &at.operation {
            if !scale.is_finite() {
                return Err(Error::config(format!("{}: scale is {scale}", at.site)));
            }
            if !(0.0..1.0).contains(dropout) {
                return Err(Error::config(format!(
                    "{}: dropout is {dropout}, expected a probability from 0 to below 1",
                    at.site
                )));
            }
        }
    }
    Ok(())
}

/// The adapter of `plan` on `network`, with its values as they start.
pub(super) fn build(
    network: &Network,
    name: &str,
    plan: &AdapterPlan,
    seed: u64,
) -> Result<Adapter> {
    check(plan)?;
    let sites = sites::of(network);
    let wanted = codex_peft::parameters(plan, &sites)?;
    let places = plan
        .operations
        .iter()
        .map(|at| {
            let mut found = sites.iter();
            let site = found
                .find(|site| site.name == at.site)
                .ok_or_else(|| Error::config(format!("the model has no site {:?}", at.site)))?;
            Place::of(&network.parameters, site)
        })
        .collect::<Result<Vec<_>>>()?;
    let laid = Laid::new(plan, &places, &wanted);
    let mut operations = Vec::with_capacity(places.len());
    for (index, place) in places.into_iter().enumerate() {
        let action = laid.action(plan, index, &place)?;
        operations.push(Placed { place, action });
    }
    let mut parameters = Parameters::new(laid.plan)?;
    parameters.move_to(network.parameters.values().device())?;
    let mut adapter = Adapter {
        name: name.to_owned(),
        plan: AdapterPlan {
            values: Vec::new(),
            ..plan.clone()
        },
        parameters,
        operations,
        whole: whole::of(&network.parameters, plan)?,
    };
    if adapter.parameters.entries().is_empty() && adapter.whole.is_empty() {
        return Err(Error::config("the adapter adds nothing to any site")
            .hint("check its targets and modules_to_save"));
    }
    start::fill(network, &mut adapter, &plan.values, &wanted, seed)?;
    Ok(adapter)
}
