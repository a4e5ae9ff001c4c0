//! The same modules under two names: a model saved without its head has no prefix before the names of its trunk.

use codex_plugin_api::{AdapterPlan, Site};

/// What the trunk is called within the classes with a head.
const PREFIXES: [&str; 3] = ["bert.", "transformer.", "model."];
/// Modules beside the trunk, which have no prefix.
const HEADS: [&str; 4] = ["lm_head", "score", "classifier", "cls"];

/// How a module's name in the folder becomes its name in the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Naming {
    Same,
    /// The model has the prefix, the folder does not.
    Prefixed(&'static str),
    /// The folder has the prefix, the model does not.
    Bare(&'static str),
}

impl Naming {
    /// The naming by which all `modules` of a folder are sites; [`Self::Same`] where there is none.
    pub(super) fn between(modules: &[&str], sites: &[Site]) -> Self {
        let fits = |naming: &Self| {
            modules.iter().all(|module| {
                let name = naming.of_model(module);
                sites.iter().any(|site| site.name == name)
            })
        };
        let others = PREFIXES
            .iter()
            .flat_map(|prefix| [Self::Prefixed(prefix), Self::Bare(prefix)]);
        [Self::Same]
            .into_iter()
            .chain(others)
            .find(fits)
            .unwrap_or(Self::Same)
    }

    pub(super) fn of_model(self, name: &str) -> String {
        let head = name
            .split('.')
            .next()
            .is_some_and(|first| HEADS.contains(&first));
        match self {
            Self::Prefixed(prefix) if !head => format!("{prefix}{name}"),
            Self::Bare(prefix) => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
            _ => name.to_owned(),
        }
    }

    /// The sites under the folder's names.
    pub(super) fn as_in_folder(self, sites: &[Site]) -> Vec<Site> {
        let back = match self {
            Self::Same => Self::Same,
            Self::Prefixed(prefix) => Self::Bare(prefix),
            Self::Bare(prefix) => Self::Prefixed(prefix),
        };
        let rename = |site: &Site| Site {
            name: back.of_model(&site.name),
            ..site.clone()
        };
        sites.iter().map(rename).collect()
    }

    /// The plan under the model's names.
    pub(super) fn plan_of_model(self, plan: &mut AdapterPlan) {
        for at in &mut plan.operations {
            at.site = self.of_model(&at.site);
        }
        // Modules are endings of names, which are the same; single parameters are full names.
        for name in &mut plan.modules_to_save {
            let last = name.rsplit('.').next();
            if matches!(last, Some("weight" | "bias")) {
                *name = self.of_model(name);
            }
        }
    }
}
