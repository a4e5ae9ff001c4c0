//! Base parameters that an adapter holds whole: modules to save, and biases. The one that trains has its values in the
//! base's own place, so that forward and backward need not know of it; all others keep them here.

use codex_plugin_api::{AdapterPlan, Error, Operation, Result};

use super::Adapters;
use crate::network::Network;
use crate::parameters::Parameters;

/// One base parameter that an adapter holds whole.
#[derive(Debug)]
pub(super) struct Whole {
    /// The base's name for it.
    pub(super) name: String,
    /// Its number among the base's parameters.
    pub(super) entry: usize,
    /// Under which key it is saved with the adapter.
    pub(super) key: String,
    pub(super) trains: bool,
    pub(super) values: Vec<f32>,
}

/// PEFT names both for every sequence classifier, whichever of them it has.
const CLASSIFIERS: [&str; 2] = ["classifier", "score"];

/// What a plan wants whole, with the base's own values.
pub(super) fn of(base: &Parameters, plan: &AdapterPlan) -> Result<Vec<Whole>> {
    check_modules(base, plan)?;
    let mut all = Vec::new();
    for (index, entry) in base.entries().iter().enumerate() {
        let bias = plan.operations.iter().find_map(|at| match at.operation {
            Operation::Bias { train, .. }
                if entry.name.strip_suffix(".bias") == Some(at.site.as_str()) =>
            {
                Some(train)
            }
            _ => None,
        });
        let saved = codex_peft::in_modules(&plan.modules_to_save, &entry.name) && entry.reached;
        if !saved && bias.is_none() {
            continue;
        }
        if entry.format.is_some() {
            return Err(Error::config(format!(
                "modules_to_save names {}, which base_dtype keeps as {}",
                entry.name,
                entry.dtype()
            ))
            .hint("leave it out of modules_to_save, or set base_dtype to f32"));
        }
        let adapted = plan
            .operations
            .iter()
            .find(|at| entry.name.strip_suffix(".weight") == Some(at.site.as_str()));
        if let (Some(at), true) = (adapted, saved) {
            return Err(Error::config(format!(
                "{} has an operation and is to be saved whole",
                at.site
            ))
            .hint("leave it out of the adapter's targets, or out of modules_to_save"));
        }
        let key = match bias {
            Some(_) => {
                codex_peft::key(entry.name.trim_end_matches(".bias"), codex_peft::Part::Bias)
            }
            None => codex_peft::whole_key(&entry.name, &plan.operations),
        };
        all.push(Whole {
            name: entry.name.clone(),
            entry: index,
            key,
            trains: saved || bias == Some(true),
            values: base.copy_of(index)?,
        });
    }
    Ok(all)
}

/// Refuses a module to save that the model does not have.
fn check_modules(base: &Parameters, plan: &AdapterPlan) -> Result<()> {
    let has = |module: &str| {
        let mut reached = base.entries().iter().filter(|entry| entry.reached);
        reached.any(|entry| codex_peft::in_modules(&[module], &entry.name))
    };
    for module in &plan.modules_to_save {
        let other_classifier = CLASSIFIERS.contains(&module.as_str())
            && CLASSIFIERS.iter().any(|other| {
                plan.modules_to_save.iter().any(|module| module == other) && has(other)
            });
        // Patterns and biases may fit none: what they are said of has none in some models.
        if has(module)
            || other_classifier
            || module.contains('*')
            || module.rsplit('.').next() == Some("bias")
        {
            continue;
        }
        let mut names: Vec<&str> = base
            .entries()
            .iter()
            .filter(|entry| entry.reached)
            .filter_map(|entry| Some(entry.name.rsplit_once('.')?.0))
            .collect();
        names.dedup();
        return Err(Error::config(format!(
            "modules_to_save names {module:?}, which this model does not have or does not use"
        ))
        .hint(format!("it has {}", names.join(", "))));
    }
    Ok(())
}

/// Takes what training has changed in place into the adapter that it belongs to.
pub(super) fn store_live(network: &mut Network) -> Result<()> {
    if let (true, Some(index)) = (network.adapters.live, network.adapters.trained) {
        for whole in &mut network.adapters.all[index].whole {
            whole.values = network.parameters.copy_of(whole.entry)?;
        }
    }
    network.adapters.live = false;
    Ok(())
}

/// The values of what an adapter holds whole.
pub(super) fn values(network: &Network, index: usize, whole: &Whole) -> Result<Vec<f32>> {
    if network.adapters.live && network.adapters.trained == Some(index) {
        network.parameters.copy_of(whole.entry)
    } else {
        Ok(whole.values.clone())
    }
}

/// Refuses training where the values in the base's place would not be the adapter's own alone.
pub(super) fn check_alone(adapters: &Adapters, index: usize) -> Result<()> {
    let own = &adapters.all[index];
    if own.whole.is_empty() {
        return Ok(());
    }
    for &(other, weight) in &adapters.active {
        if other == index && weight != 1.0 {
            return Err(Error::config(format!(
                "adapter {:?} trains {} whole and applies with weight {weight}",
                own.name, own.whole[0].name
            ))
            .hint("activate it with weight 1"));
        }
        let theirs = &adapters.all[other];
        let both = own.whole.iter().find(|whole| {
            other != index && theirs.whole.iter().any(|other| other.entry == whole.entry)
        });
        if let Some(both) = both {
            return Err(Error::config(format!(
                "adapters {:?} and {:?} both hold {} whole, and one of them is to train",
                own.name, theirs.name, both.name
            ))
            .hint("activate the one that trains alone"));
        }
    }
    Ok(())
}
