//! A folder as what it asks of a model: a plan with values, and the base parameters that it holds whole.

pub(crate) mod described;
mod difference;
mod naming;

use std::collections::BTreeMap;

use codex_plugin_api::{AdapterPlan, Error, Init, Operation, Result, Site, SiteOperation};
use serde_json::Value;

use crate::keys::{PREFIX, Part, site_of};
use crate::parameters::{PlanParameter, parameters};
use crate::save::{BASE, KeptPlan, OPERATIONS};
use crate::targets::in_modules;
use crate::{Base, Folder, Tensor};
use difference::Difference;
use naming::Naming;

/// What a folder asks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Its operations, each starting with [`Init::Values`], and the modules and parameters that it holds whole.
    pub plan: AdapterPlan,
    /// Base parameters that it holds whole, by their own names: of modules to save, and biases. The model checks names and
    /// shapes.
    pub whole: BTreeMap<String, Tensor>,
    /// The base that it was saved for, as far as the folder says.
    pub base: Base,
}

/// The operations and, where the folder keeps them itself, the modules to save.
fn kept(folder: &Folder, sites: &[Site]) -> Result<(Vec<SiteOperation>, Option<Vec<String>>)> {
    match folder.metadata.get(OPERATIONS) {
        Some(text) => {
            let kept: KeptPlan = serde_json::from_str(text).map_err(|cause| {
                Error::data(format!(
                    "the adapter's {OPERATIONS} is not a list of operations"
                ))
                .because(&cause)
                .hint("the adapter was written by a newer version, or is damaged")
            })?;
            Ok((kept.operations, Some(kept.modules_to_save)))
        }
        None => Ok((
            described::operations(&folder.config, sites, &folder.tensors)?,
            None,
        )),
    }
}

/// Whether a tensor of this shape can be the parameter: shared matrices are cut to each site, so they may be wider.
fn fits(parameter: &PlanParameter, shared: bool, shape: &[usize]) -> bool {
    let (expected, open) = (
        parameter.shape.as_slice(),
        usize::from(parameter.part == Part::A),
    );
    if shared && let (&[_, _], &[_, _]) = (expected, shape) {
        return shape[1 - open] == expected[1 - open] && shape[open] >= expected[open];
    }
    shape == expected
}

/// Sets how a part of an operation starts.
fn set_start(operation: &mut Operation, part: Part, value: &Init) {
    match (operation, part) {
        (Operation::LowRank { a: start, .. }, Part::A)
        | (Operation::LowRank { b: start, .. }, Part::B)
        | (
            Operation::LowRank {
                rank_scale: Some(start),
                ..
            },
            Part::RankScale,
        )
        | (
            Operation::LowRank {
                output_scale: Some(start),
                ..
            },
            Part::OutputScale,
        )
        | (Operation::ScaleOutput { start, .. }, Part::ScaleOutput)
        | (Operation::ScaleInput { start, .. }, Part::ScaleInput)
        | (Operation::Magnitude { start, .. }, Part::Magnitude)
        | (Operation::Bias { start, .. }, Part::Bias) => *start = value.clone(),
        _ => {}
    }
}

fn shared_word(operation: &Operation) -> Option<&str> {
    match operation {
        Operation::LowRank { shared, .. } => shared.as_deref(),
        _ => None,
    }
}

/// Moves the tensors of the plan's operations from `tensors` into its values.
fn fill(
    plan: &mut AdapterPlan,
    sites: &[Site],
    tensors: &mut BTreeMap<&str, &Tensor>,
    difference: &mut Difference,
) -> Result<()> {
    for parameter in parameters(plan, sites)? {
        let Some(tensor) = tensors.remove(parameter.key.as_str()) else {
            difference.missing.push(parameter.key);
            continue;
        };
        let in_pair = matches!(parameter.part, Part::A | Part::B);
        let word = shared_word(&plan.operations[parameter.operation].operation)
            .filter(|_| in_pair)
            .map(str::to_owned);
        if !fits(&parameter, word.is_some(), &tensor.shape) {
            difference.misshapen(&parameter, &tensor.shape);
            continue;
        }
        let start = Init::Values {
            offset: plan.values.len() as u64,
            length: tensor.values.len() as u64,
        };
        plan.values.extend_from_slice(&tensor.values);
        if let Some(word) = word {
            for at in &mut plan.operations {
                if shared_word(&at.operation) == Some(&word) {
                    set_start(&mut at.operation, parameter.part, &start);
                }
            }
        } else {
            let at = &mut plan.operations[parameter.operation];
            set_start(&mut at.operation, parameter.part, &start);
        }
    }
    Ok(())
}

fn texts(config: &Value, key: &str) -> Vec<String> {
    let list = config.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Names under which PEFT gives a parameter once more that two modules of BERT share, each with its own name.
const ALIASES: [(&str, &str); 1] = [("cls.predictions.decoder.bias", "cls.predictions.bias")];

/// PEFT adds both to a sequence classifier's, whichever of them the model has.
const CLASSIFIERS: [&str; 2] = ["classifier", "score"];

/// Moves what the folder holds whole from `tensors`, by the names of the parameters, and notes it in the plan.
fn take_whole(
    plan: &mut AdapterPlan,
    sites: &[Site],
    tensors: &mut BTreeMap<&str, &Tensor>,
    difference: &mut Difference,
) -> BTreeMap<String, Tensor> {
    let mut whole = BTreeMap::new();
    let biases = plan.saved_config.get("bias").and_then(Value::as_str);
    let biases = biases.is_some_and(|bias| bias != "none");
    let mut alone = Vec::new();
    tensors.retain(|key, tensor| {
        let Some(name) = key.strip_prefix(PREFIX).filter(|_| site_of(key).is_none()) else {
            return true;
        };
        // What PEFT wraps has its own parameters one level down.
        let name = name.replace(".base_layer.", ".");
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let name = alias.map_or(name, |(_, own)| (*own).to_owned());
        let in_module = in_modules(&plan.modules_to_save, &name);
        let table = || {
            sites.iter().any(|site| {
                matches!(site.role.as_str(), "embedding" | "head")
                    && name.strip_suffix(".weight") == Some(site.name.as_str())
            })
        };
        let bias = name
            .rsplit_once('.')
            .is_some_and(|(_, last)| last == "bias");
        if !(in_module || (biases && bias) || table()) {
            return true;
        }
        if !in_module && !alone.contains(&name) {
            alone.push(name.clone());
        }
        whole.insert(name, (*tensor).clone());
        false
    });
    let has = |module: &String| whole.keys().any(|name| in_modules(&[module], name));
    let (there, absent): (Vec<_>, Vec<_>) = plan.modules_to_save.drain(..).partition(has);
    let one_is_enough = there
        .iter()
        .any(|module| CLASSIFIERS.contains(&module.as_str()));
    for module in absent {
        // A pattern of parameters may fit none.
        let other_classifier = one_is_enough && CLASSIFIERS.contains(&module.as_str());
        if !module.contains('*') && !other_classifier {
            difference.missing.push(format!("{PREFIX}{module}"));
        }
    }
    plan.modules_to_save = there;
    plan.modules_to_save.extend(alone);
    whole
}

/// What `folder` asks of a model with `sites`.
///
/// A folder whose modules have all names without a trunk's prefix that the sites have, or the other way round, is taken for
/// an adapter of the same model with or without its head.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Data`] with everything that does not match the model: missing, extra and misshapen
/// tensors and modules that are not there, the first few of each. [`codex_plugin_api::ErrorKind::Unsupported`] naming a
/// kind of adapter that cannot be run.
pub fn load(folder: &Folder, sites: &[Site]) -> Result<Loaded> {
    let mut difference = Difference::default();
    let mut modules: Vec<&str> = folder
        .tensors
        .keys()
        .filter_map(|key| site_of(key))
        .collect();
    modules.dedup();
    let naming = Naming::between(&modules, sites);
    let sites = naming.as_in_folder(sites);

    let (mut operations, modules_to_save) = kept(folder, &sites)?;
    let known = |name: &str| sites.iter().any(|site| site.name == name);
    operations.retain(|at| {
        let known = known(&at.site);
        if !known {
            difference.absent.insert(at.site.clone());
        }
        known
    });
    let unknown = modules.iter().filter(|module| !known(module));
    difference
        .absent
        .extend(unknown.map(|module| (*module).to_owned()));

    let mut plan = AdapterPlan {
        operations,
        modules_to_save: modules_to_save
            .unwrap_or_else(|| texts(&folder.config, "modules_to_save")),
        saved_config: folder.config.clone(),
        values: Vec::new(),
    };
    let mut rest: BTreeMap<&str, &Tensor> = folder
        .tensors
        .iter()
        .filter(|(key, _)| site_of(key).is_none_or(known))
        .map(|(key, tensor)| (key.as_str(), tensor))
        .collect();
    fill(&mut plan, &sites, &mut rest, &mut difference)?;
    let whole = take_whole(&mut plan, &sites, &mut rest, &mut difference);
    difference
        .extra
        .extend(rest.keys().map(|key| (*key).to_owned()));
    let base = Base {
        path: folder
            .config
            .get("base_model_name_or_path")
            .and_then(Value::as_str)
            .map(str::to_owned),
        hash: folder.metadata.get(BASE).cloned(),
    };
    difference.check(&base)?;
    if plan.operations.is_empty() && whole.is_empty() {
        return Err(Error::data("the adapter holds nothing")
            .hint("its folder has neither adapted modules nor modules that were saved whole"));
    }
    naming.plan_of_model(&mut plan);
    let whole = whole
        .into_iter()
        .map(|(name, tensor)| (naming.of_model(&name), tensor))
        .collect();
    Ok(Loaded { plan, whole, base })
}
