//! A plan with its tensors as a folder.

use std::collections::BTreeMap;

use codex_plugin_api::{AdapterPlan, Error, Init, Operation, Result, Site, SiteOperation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{complete, names_parameters};
use crate::load::described;
use crate::parameters::parameters;
use crate::{Folder, Tensor};

/// The metadata's key for the operations of an adapter that PEFT's configuration cannot describe.
pub(crate) const OPERATIONS: &str = "codex_ml.operations";
/// The metadata's key for the hash of the base's weights.
pub(crate) const BASE: &str = "codex_ml.base";

/// The model that an adapter belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// `base_model_name_or_path`: where it lay when the adapter was saved.
    pub path: Option<String>,
    /// [`crate::weights::hash`] of its folder; PEFT writes none.
    pub hash: Option<String>,
}

/// What the metadata keeps of a plan.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct KeptPlan {
    pub(crate) operations: Vec<SiteOperation>,
    #[serde(default)]
    pub(crate) modules_to_save: Vec<String>,
}

/// An operation without what a folder holds as tensors, to compare two.
fn outline(operation: &Operation) -> Operation {
    let none = Init::Constant { value: 0.0 };
    let mut operation = operation.clone();
    match &mut operation {
        Operation::LowRank {
            a,
            b,
            train,
            shared,
            rank_scale,
            output_scale,
            ..
        } => {
            // Shared matrices do not train, whatever is said of them; others always do in PEFT.
            *train = shared.is_none();
            (*a, *b) = (none.clone(), none.clone());
            for scale in [rank_scale, output_scale].into_iter().flatten() {
                *scale = none.clone();
            }
        }
        Operation::ScaleOutput { start, train }
        | Operation::ScaleInput { start, train }
        | Operation::Magnitude { start, train }
        | Operation::Bias { start, train } => {
            *train = true;
            *start = none;
        }
        _ => {}
    }
    operation
}

/// Operations in the order of their sites, without their starts.
fn outlines(operations: &[SiteOperation]) -> Vec<(&str, Operation)> {
    let mut all: Vec<_> = operations
        .iter()
        .map(|at| (at.site.as_str(), outline(&at.operation)))
        .collect();
    all.sort_by_key(|(site, _)| *site);
    all
}

/// The folder of `plan` on a model with `sites`. `tensors` holds the plan's parameters by the keys of
/// [`crate::parameters()`] and base parameters that train whole by [`crate::whole_key`].
///
/// Where PEFT's configuration says all that the operations are, [`Folder::config`] is the plan's, completed. Otherwise the
/// operations are kept in the metadata as well, from which [`crate::load()`] takes them.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] as [`crate::parameters()`], [`codex_plugin_api::ErrorKind::Failed`] naming a
/// tensor that is missing or has another shape.
pub fn folder(
    plan: &AdapterPlan,
    sites: &[Site],
    tensors: BTreeMap<String, Tensor>,
    base: &Base,
) -> Result<Folder> {
    for parameter in parameters(plan, sites)? {
        let shape = tensors.get(&parameter.key).map(|tensor| &tensor.shape);
        if shape != Some(&parameter.shape) {
            return Err(Error::failed(format!(
                "tensor {} has shape {shape:?}, the plan says {:?}",
                parameter.key, parameter.shape
            )));
        }
    }
    let config = complete(&plan.saved_config, base.path.as_deref());
    let mut metadata = BTreeMap::new();
    let operations_known = described::operations(&config, sites, &tensors)
        .is_ok_and(|operations| outlines(&operations) == outlines(&plan.operations));
    // Single parameters among the modules to save are biases, or nothing that PEFT knows.
    let biases = config
        .get("bias")
        .and_then(Value::as_str)
        .is_some_and(|bias| bias != "none");
    let singles = plan
        .modules_to_save
        .iter()
        .any(|entry| names_parameters(entry));
    let known = operations_known && (biases || !singles);
    if !known {
        let kept = KeptPlan {
            operations: plan.operations.clone(),
            modules_to_save: plan.modules_to_save.clone(),
        };
        let text = serde_json::to_string(&kept)
            .map_err(|cause| Error::failed("cannot write the operations").because(&cause))?;
        metadata.insert(OPERATIONS.to_owned(), text);
    }
    if let Some(hash) = &base.hash {
        metadata.insert(BASE.to_owned(), hash.clone());
    }
    Ok(Folder {
        config,
        tensors,
        metadata,
    })
}
