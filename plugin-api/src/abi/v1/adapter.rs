//! Adapters across the border.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RVec};

use super::buffers::{argument, from_json, to_json};
use super::error::{AbiResult, broken};
use super::guard::guard;
use super::object::{Proxy, object, release, shared, table};
use crate::{Adapter, AdapterPlan, Error, Init, Operation, Result, Site};

/// [`AdapterPlan`]: its operations as JSON, its values as one buffer.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiPlan {
    plan: RVec<u8>,
    values: RVec<f32>,
}

impl AbiPlan {
    pub(super) fn new(plan: AdapterPlan) -> Result<Self> {
        Ok(Self {
            plan: to_json(&plan, "an adapter plan")?,
            values: plan.values.into(),
        })
    }
}

/// The functions of an adapter.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AdapterTable, prefix_fields = AdapterTablePrefix)))]
pub struct AdapterFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// The argument is a list of [`Site`] as JSON.
    #[sabi(last_prefix_field)]
    plan: unsafe extern "C" fn(*mut (), RSlice<'_, u8>) -> AbiResult<AbiPlan>,
}

table! {
    AdapterTable of AdapterFunctions {
        release: release::<dyn Adapter>,
        plan,
    }
}

object! {
    /// An adapter.
    AbiAdapter, AdapterTable, Adapter
}

/// # Safety
/// The table's contract: `this` is a live instance made with this table.
unsafe extern "C" fn plan(this: *mut (), sites: RSlice<'_, u8>) -> AbiResult<AbiPlan> {
    guard(|| {
        let sites: Vec<Site> = argument(sites, "these sites of a model")?;
        // SAFETY: the caller's promise.
        let plan = unsafe { shared::<dyn Adapter>(this) }.plan(&sites)?;
        AbiPlan::new(plan)
    })
}

impl AbiAdapter {
    /// The adapter as its trait.
    ///
    /// # Errors
    /// None today.
    pub fn import(self) -> Result<Box<dyn Adapter>> {
        Ok(Box::new(Proxy::new(self)))
    }
}

impl Adapter for Proxy<AbiAdapter> {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let json = to_json(sites, "the sites of the model")?;
        // SAFETY: the object owns a live instance of its own table.
        let answer = self.call(|it| unsafe { it.table.plan()(it.this, json.as_rslice()) })?;
        let mut plan: AdapterPlan = from_json(answer.plan, "an adapter plan")?;
        plan.values = answer.values.into_vec();
        check_plan(&plan, sites)?;
        Ok(plan)
    }
}

/// A plan may name only sites that exist and values that it brings.
pub(crate) fn check_plan(plan: &AdapterPlan, sites: &[Site]) -> Result<(), Error> {
    for operation in &plan.operations {
        if !sites.iter().any(|site| site.name == operation.site) {
            return Err(broken(format!(
                "an operation on {:?}, which is none of the model's {} sites",
                operation.site,
                sites.len()
            )));
        }
        for init in inits(&operation.operation) {
            if let Init::Values { offset, length } = init
                && offset
                    .checked_add(*length)
                    .is_none_or(|end| end > plan.values.len() as u64)
            {
                return Err(broken(format!(
                    "an operation on {:?} with values {offset}..+{length} of {}",
                    operation.site,
                    plan.values.len()
                )));
            }
        }
    }
    Ok(())
}

fn inits(operation: &Operation) -> Vec<&Init> {
    match operation {
        Operation::LowRank {
            a,
            b,
            rank_scale,
            output_scale,
            ..
        } => [a, b]
            .into_iter()
            .chain(rank_scale)
            .chain(output_scale)
            .collect(),
        Operation::ScaleOutput { start, .. }
        | Operation::ScaleInput { start, .. }
        | Operation::Magnitude { start, .. }
        | Operation::Bias { start, .. } => vec![start],
    }
}
