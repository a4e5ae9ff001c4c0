//! The values that an adapter's parameters start with: functions of the seed and of each one's key, or of the base.

use codex_nn::magnitude;
use codex_nn::random::Key;
use codex_peft::{Part, PlanParameter};
use codex_plugin_api::{Error, Init, Operation, Result};

use super::adapter::{Action, Adapter, Pair, Taken};
use crate::ADAPTER_START;
use crate::failure::numeric;
use crate::network::Network;

/// The random stream of a parameter.
fn stream(seed: u64, key: &str) -> Key {
    let start = Key::new(seed).with(ADAPTER_START);
    key.bytes()
        .fold(start, |key, byte| key.with(u64::from(byte)))
}

/// The part of a plan's values that a parameter starts with.
fn given<'a>(
    values: &'a [f32],
    offset: u64,
    length: u64,
    one: &PlanParameter,
) -> Result<&'a [f32]> {
    let end = offset.checked_add(length);
    let range = end.and_then(|end| values.get(offset as usize..end as usize));
    // A shared matrix may be wider than the widest site of this model.
    match range {
        Some(range) if range.len() == one.len() => Ok(range),
        _ => Err(Error::config(format!(
            "{} of shape {:?} starts with {length} values from {offset} of the plan's {}",
            one.key,
            one.shape,
            values.len()
        ))
        .hint("this is a fault of the adapter plugin")),
    }
}

/// Sets all values of `adapter`.
pub(super) fn fill(
    network: &Network,
    adapter: &mut Adapter,
    values: &[f32],
    wanted: &[PlanParameter],
    seed: u64,
) -> Result<()> {
    for one in wanted {
        let count = one.len() as u64;
        let key = stream(seed, &one.key);
        let uniform = |bound: f64| -> Vec<f32> {
            let number = |at| ((2.0 * key.uniform(at) - 1.0) * bound) as f32;
            (0..count).map(number).collect()
        };
        let start = match &one.start {
            Init::Constant { value } => vec![*value; one.len()],
            Init::Normal { std } => (0..count).map(|at| key.normal(at) * std).collect(),
            Init::Uniform { bound } => uniform(f64::from(*bound)),
            // gain √(2 / (1 + 5)), and the bound √3 of a uniform number's deviation: 1 / √inputs.
            Init::KaimingUniform => {
                let inputs = one.shape.last().copied().unwrap_or(1).max(1);
                uniform(1.0 / (inputs as f64).sqrt())
            }
            Init::Values { offset, length } => given(values, *offset, *length, one)?.to_vec(),
            Init::WeightNorm => weight_norm(network, adapter, one)?,
            Init::PrincipalSingular => {
                // A comes before its B, and both are found together.
                if one.part == Part::A {
                    take_principal(network, adapter, one)?;
                }
                taken(adapter, one)?
            }
            other => {
                return Err(Error::unsupported(format!(
                    "a start {other:?} of {}",
                    one.key
                )));
            }
        };
        set(adapter, one, &start)?;
    }
    Ok(())
}

/// Sets one parameter, in the adapter or, where it is a bias of the base, in what is held whole.
fn set(adapter: &mut Adapter, one: &PlanParameter, values: &[f32]) -> Result<()> {
    if let Action::Whole = adapter.operations[one.operation].action {
        // It begins as the base has it, unless an adapter's folder says otherwise.
        if matches!(one.start, Init::Values { .. })
            && let Some(whole) = adapter.whole.iter_mut().find(|whole| whole.key == one.key)
        {
            whole.values = values.to_vec();
        }
        return Ok(());
    }
    let missing = || Error::failed(format!("no tensor is called {}", one.key));
    let entry = adapter.parameters.find(&one.key).ok_or_else(missing)?;
    adapter.parameters.set(entry, values)
}

/// The norms of the rows of the base's weight.
fn weight_norm(network: &Network, adapter: &Adapter, one: &PlanParameter) -> Result<Vec<f32>> {
    let place = &adapter.operations[one.operation].place;
    if one.len() != place.outputs.len() {
        return Err(Error::config(format!(
            "{} of shape {:?} cannot start as the norms of {} outputs",
            one.key,
            one.shape,
            place.outputs.len()
        )));
    }
    let weight = numeric(network.parameters.weight(&network.workspace, place.weight))?;
    let outputs = place.outputs.clone();
    numeric(magnitude::norms(
        &network.workspace,
        &weight,
        outputs,
        place.orientation,
        None,
    ))
}

/// Finds the principal part of a pair's weight: `scale · b · a` is the best approximation of its rank (PiSSA, Meng et al.
/// 2024). The base loses it while the adapter applies.
fn take_principal(network: &Network, adapter: &mut Adapter, one: &PlanParameter) -> Result<()> {
    let at = &adapter.plan.operations[one.operation];
    let alone = |why: &str| Error::unsupported(format!("a principal start of {}: {why}", at.site));
    let Operation::LowRank {
        a: Init::PrincipalSingular,
        b: Init::PrincipalSingular,
        shared: None,
        rank_scale: None,
        output_scale: None,
        scale,
        ..
    } = &at.operation
    else {
        return Err(alone("A and B of a plain pair have to start so together"));
    };
    if *scale <= 0.0 {
        return Err(alone("its scale is not positive"));
    }
    let placed = &adapter.operations[one.operation];
    let weight = &network.parameters.entries()[placed.place.weight_entry];
    if weight.format.is_some() {
        return Err(Error::unsupported(format!(
            "a principal start of {}, whose weight base_dtype keeps as {}",
            at.site,
            weight.dtype()
        ))
        .hint(
            "it takes its part out of the weight: choose another init, or set base_dtype to f32",
        ));
    }
    let (place, rank) = (&placed.place, one.shape[0]);
    let (outputs, inputs) = (place.outputs.len(), place.inputs);
    if rank > outputs.min(inputs) {
        return Err(Error::config(format!(
            "{}: rank {rank} is more than a weight of {outputs} × {inputs} has",
            at.site
        ))
        .hint(format!("set the rank to at most {}", outputs.min(inputs))));
    }
    let weight = place.out_in(network.parameters.copy_of(place.weight_entry)?);
    let found = codex_peft::svd::truncated(&weight, outputs, inputs, rank)?;
    let (b, a) = found.pair(1.0 / scale);
    if let Action::LowRank(pair) = &mut adapter.operations[one.operation].action {
        pair.taken = Some(Taken { a, b });
    }
    Ok(())
}

/// The part of what was taken that is this parameter.
fn taken(adapter: &Adapter, one: &PlanParameter) -> Result<Vec<f32>> {
    if let Action::LowRank(Pair {
        taken: Some(taken), ..
    }) = &adapter.operations[one.operation].action
    {
        match one.part {
            Part::A => return Ok(taken.a.clone()),
            Part::B => return Ok(taken.b.clone()),
            _ => {}
        }
    }
    Err(
        Error::unsupported(format!("a principal start of {} alone", one.key))
            .hint("A and B have to start so together"),
    )
}
