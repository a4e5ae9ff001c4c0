//! Adapters in WebAssembly.

use codex_plugin_api::{Adapter, AdapterPlan, Error, Init, Operation, Result, Site, SiteOperation};
use serde_json::Value;

use super::bindings::codex::plugin::types;
use super::bindings::exports::codex::plugin::adapter::{Guest as Calls, GuestIndices};
use super::convert;
use super::guest::Guest;

pub(super) type Exports = GuestIndices;

struct WasmAdapter {
    guest: Guest,
    calls: Calls,
}

pub(super) fn create(
    guest: Guest,
    exports: Exports,
    name: &str,
    config: &Value,
) -> Result<impl Adapter + use<>> {
    let calls = guest.call_plain(|store, instance| exports.load(store, instance))?;
    guest.call(|store| calls.call_create(store, name, &config.to_string()))?;
    Ok(WasmAdapter { guest, calls })
}

impl Adapter for WasmAdapter {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let given: Vec<types::Site> = sites.iter().map(site_to).collect();
        let found = self
            .guest
            .call(|store| self.calls.call_plan(store, &given))?;
        let plan = plan(found)?;
        let named = |name: &str| sites.iter().any(|site| site.name == name);
        match plan.operations.iter().find(|one| !named(&one.site)) {
            Some(one) => Err(Error::data(format!(
                "its plan names site {:?}, which it was not given",
                one.site
            ))),
            None => Ok(plan),
        }
    }
}

pub(super) fn site_to(site: &Site) -> types::Site {
    types::Site {
        name: site.name.clone(),
        inputs: site.inputs,
        outputs: site.outputs,
        role: site.role.clone(),
        layer: site.layer,
        transposed: site.transposed,
    }
}

pub(super) fn site(site: types::Site) -> Site {
    Site {
        name: site.name,
        inputs: site.inputs,
        outputs: site.outputs,
        role: site.role,
        layer: site.layer,
        transposed: site.transposed,
    }
}

fn plan(found: types::AdapterPlan) -> Result<AdapterPlan> {
    let values: Vec<f32> = convert::unpack(&found.values, "values of the plan")?;
    let count = values.len() as u64;
    let operation = |one: types::SiteOperation| {
        let vector =
            |vector: types::Vector| Ok::<_, Error>((init(vector.start, count)?, vector.train));
        let operation = match one.operation {
            types::Operation::LowRank(low_rank) => Operation::LowRank {
                rank: low_rank.rank,
                scale: low_rank.scale,
                dropout: low_rank.dropout,
                a: init(low_rank.a, count)?,
                b: init(low_rank.b, count)?,
                train: low_rank.train,
                shared: low_rank.shared,
                rank_scale: low_rank
                    .rank_scale
                    .map(|start| init(start, count))
                    .transpose()?,
                output_scale: low_rank
                    .output_scale
                    .map(|start| init(start, count))
                    .transpose()?,
            },
            types::Operation::ScaleOutput(given) => {
                let (start, train) = vector(given)?;
                Operation::ScaleOutput { start, train }
            }
            types::Operation::ScaleInput(given) => {
                let (start, train) = vector(given)?;
                Operation::ScaleInput { start, train }
            }
            types::Operation::Magnitude(given) => {
                let (start, train) = vector(given)?;
                Operation::Magnitude { start, train }
            }
            types::Operation::Bias(given) => {
                let (start, train) = vector(given)?;
                Operation::Bias { start, train }
            }
        };
        Ok(SiteOperation {
            site: one.site,
            operation,
        })
    };
    let saved_config = serde_json::from_str(&found.saved_config).map_err(|error| {
        Error::data(format!(
            "the plan's saved configuration is no JSON: {error}"
        ))
    })?;
    Ok(AdapterPlan {
        operations: found
            .operations
            .into_iter()
            .map(operation)
            .collect::<Result<_>>()?,
        modules_to_save: found.modules_to_save,
        saved_config,
        values,
    })
}

fn init(init: types::Init, values: u64) -> Result<Init> {
    Ok(match init {
        types::Init::Constant(value) => Init::Constant { value },
        types::Init::Normal(std) => Init::Normal { std },
        types::Init::Uniform(bound) => Init::Uniform { bound },
        types::Init::KaimingUniform => Init::KaimingUniform,
        types::Init::PrincipalSingular => Init::PrincipalSingular,
        types::Init::WeightNorm => Init::WeightNorm,
        types::Init::Values(types::ValueRange { offset, length }) => {
            if offset.checked_add(length).is_none_or(|end| end > values) {
                return Err(Error::data(format!(
                    "a start takes values {offset}..+{length} of the plan's {values}"
                )));
            }
            Init::Values { offset, length }
        }
    })
}

/// A plan of a native adapter for a model in WebAssembly.
pub(super) fn plan_to(plan: &AdapterPlan) -> Result<types::AdapterPlan> {
    let operation = |one: &SiteOperation| {
        let vector = |start: &Init, train: bool| {
            Ok::<_, Error>(types::Vector {
                start: init_to(start)?,
                train,
            })
        };
        let operation = match &one.operation {
            Operation::LowRank {
                rank,
                scale,
                dropout,
                a,
                b,
                train,
                shared,
                rank_scale,
                output_scale,
            } => types::Operation::LowRank(types::LowRank {
                rank: *rank,
                scale: *scale,
                dropout: *dropout,
                a: init_to(a)?,
                b: init_to(b)?,
                train: *train,
                shared: shared.clone(),
                rank_scale: rank_scale.as_ref().map(init_to).transpose()?,
                output_scale: output_scale.as_ref().map(init_to).transpose()?,
            }),
            Operation::ScaleOutput { start, train } => {
                types::Operation::ScaleOutput(vector(start, *train)?)
            }
            Operation::ScaleInput { start, train } => {
                types::Operation::ScaleInput(vector(start, *train)?)
            }
            Operation::Magnitude { start, train } => {
                types::Operation::Magnitude(vector(start, *train)?)
            }
            Operation::Bias { start, train } => types::Operation::Bias(vector(start, *train)?),
            other => return Err(Error::unsupported(format!("the operation {other:?}"))),
        };
        Ok(types::SiteOperation {
            site: one.site.clone(),
            operation,
        })
    };
    Ok(types::AdapterPlan {
        operations: plan
            .operations
            .iter()
            .map(operation)
            .collect::<Result<_>>()?,
        modules_to_save: plan.modules_to_save.clone(),
        saved_config: plan.saved_config.to_string(),
        values: convert::pack(&plan.values),
    })
}

fn init_to(init: &Init) -> Result<types::Init> {
    Ok(match init {
        Init::Constant { value } => types::Init::Constant(*value),
        Init::Normal { std } => types::Init::Normal(*std),
        Init::Uniform { bound } => types::Init::Uniform(*bound),
        Init::KaimingUniform => types::Init::KaimingUniform,
        Init::PrincipalSingular => types::Init::PrincipalSingular,
        Init::WeightNorm => types::Init::WeightNorm,
        Init::Values { offset, length } => types::Init::Values(types::ValueRange {
            offset: *offset,
            length: *length,
        }),
        other => return Err(Error::unsupported(format!("the start {other:?}"))),
    })
}
