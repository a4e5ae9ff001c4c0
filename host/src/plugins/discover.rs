//! From the search path to the catalogue: every candidate through the gates, then the names of all against each other.
//! No code of a plugin runs here.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use codex_packages::lock::Locked;
use codex_packages::store::Store;
use codex_plugin_api::{Context, Error, Kind, Result};
use sha2::{Digest, Sha256};

use super::gates::{Build, Passed, Stopped};
use super::index::Index;
use super::refusal::{Refusal, Step};
use super::search::{self, Candidate, Origin, Place};
use crate::folders::Folders;

/// The host's own commands, those of later versions included, so that no plugin takes a name that it must give back.
pub const RESERVED_COMMANDS: [&str; 16] = [
    "train",
    "evaluate",
    "generate",
    "embed",
    "tokenizer",
    "data",
    "config",
    "runs",
    "plugin",
    "registry",
    "serve",
    "env",
    "completions",
    "help",
    "reference",
    "version",
];

/// A plugin that passed every gate that runs no code.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its manifest.
    pub manifest: codex_plugin_api::Manifest,
    /// With what it was built.
    pub build: Build,
    /// Its library.
    pub library: PathBuf,
    /// What was found on the search path: the library, or the folder around it.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
}

impl Plugin {
    pub(super) fn new(candidate: &Candidate, passed: Passed) -> Self {
        Self {
            manifest: passed.manifest,
            build: passed.build,
            library: passed.library,
            path: candidate.path.clone(),
            origin: candidate.origin,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.manifest.plugin.id
    }

    /// Id and version, as errors name it (`metric-lm 0.1.0`).
    pub fn title(&self) -> String {
        format!(
            "{} {}",
            self.manifest.plugin.id, self.manifest.plugin.version
        )
    }

    /// Whether it runs in a sandbox, with no more authority than was granted.
    pub fn is_sandboxed(&self) -> bool {
        super::gates::is_component(&self.library)
    }

    /// What runs it, as `--json` says it.
    pub fn runtime(&self) -> &'static str {
        if self.is_sandboxed() {
            "wasm"
        } else {
            "native"
        }
    }

    /// The SHA-256 of its library in hexadecimal digits.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn digest(&self) -> Result<String> {
        let failed = || Error::failed(format!("cannot read {}", self.library.display()));
        let mut file = File::open(&self.library).or_error(failed)?;
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer).or_error(failed)? {
                0 => {
                    return Ok(crate::data::hex(&hasher.finalize()));
                }
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    /// The kinds of its components, each once.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self
            .manifest
            .components
            .iter()
            .map(|entry| entry.kind)
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The search path.
    pub places: Vec<Place>,
    /// The plugins that can be used, in the order of the search path.
    pub plugins: Vec<Plugin>,
    /// Plugins whose id an earlier one has.
    pub shadowed: Vec<Plugin>,
    /// Candidates that were stopped.
    pub refused: Vec<Stopped>,
    /// What locks say of the plugins that come from them, by folder: the scope and the record.
    pub locked: HashMap<PathBuf, (Origin, Locked)>,
}

/// Looks through the search path.
///
/// # Errors
/// When a folder of `--plugin-dir` is not there.
pub fn discover(plugin_dirs: &[PathBuf], folders: &Folders) -> Result<Catalog> {
    let places = search::places(plugin_dirs, folders)?;
    let store = folders.data.as_deref().map(Store::new);
    let search::Found {
        candidates,
        refused: unreadable,
        locked,
    } = search::candidates(&places, store.as_ref());
    let mut index = Index::open(folders.cache.as_deref());
    let mut passed = Vec::new();
    let mut refused: Vec<Stopped> = unreadable
        .into_iter()
        .map(|refusal| Stopped {
            refusal,
            manifest: None,
        })
        .collect();
    for candidate in &candidates {
        match index.examine(candidate) {
            Ok(plugin) => passed.push(Plugin::new(candidate, plugin)),
            Err(stopped) => refused.push(stopped),
        }
    }
    index.close();
    let (plugins, shadowed, clashing) = settle_names(passed);
    refused.extend(clashing);
    Ok(Catalog {
        places,
        plugins,
        shadowed,
        refused,
        locked,
    })
}

/// The name gate: the first plugin on the search path has an id and a component's name, the host has its commands.
fn settle_names(found: Vec<Plugin>) -> (Vec<Plugin>, Vec<Plugin>, Vec<Stopped>) {
    let (mut plugins, mut shadowed, mut refused) = (Vec::<Plugin>::new(), Vec::new(), Vec::new());
    let mut owners: HashMap<(Kind, String), usize> = HashMap::new();
    let own: Vec<Plugin> = found
        .iter()
        .filter(|plugin| plugin.origin.is_built_in())
        .cloned()
        .collect();
    for plugin in found {
        if let Some(refusal) = in_place_of(&own, &plugin) {
            refused.push(Stopped {
                refusal,
                manifest: Some(Box::new(plugin.manifest)),
            });
            continue;
        }
        if plugins.iter().any(|earlier| earlier.id() == plugin.id()) {
            shadowed.push(plugin);
            continue;
        }
        let taken = plugin.manifest.components.iter().find_map(|entry| {
            if entry.kind == Kind::Command && RESERVED_COMMANDS.contains(&entry.name.as_str()) {
                return Some(reserved(&plugin.path, &entry.name));
            }
            let owner = &plugins[*owners.get(&(entry.kind, entry.name.clone()))?];
            Some(clash(&plugin, owner, entry.kind, &entry.name))
        });
        if let Some(refusal) = taken {
            refused.push(Stopped {
                refusal,
                manifest: Some(Box::new(plugin.manifest)),
            });
            continue;
        }
        for entry in &plugin.manifest.components {
            owners.insert((entry.kind, entry.name.clone()), plugins.len());
        }
        plugins.push(plugin);
    }
    (plugins, shadowed, refused)
}

/// A plugin from a registry does not take the place of what codex-ml brings, although its lock comes first on the search
/// path: a project that somebody wrote would decide what runs here. What the user put into a folder does.
fn in_place_of(own: &[Plugin], plugin: &Plugin) -> Option<Refusal> {
    plugin.origin.scope()?;
    if let Some(other) = own.iter().find(|other| other.id() == plugin.id()) {
        return Some(taken_id(plugin, other));
    }
    plugin.manifest.components.iter().find_map(|entry| {
        let mut own = own.iter();
        let owner =
            own.find(|other| other.manifest.component(entry.kind, &entry.name).is_some())?;
        Some(clash(plugin, owner, entry.kind, &entry.name))
    })
}

/// The refusal of a plugin that has the id of one that codex-ml brings.
pub(super) fn taken_id(plugin: &Plugin, owner: &Plugin) -> Refusal {
    let reason = format!(
        "{} has the id of {} ({}), which is part of codex-ml",
        plugin.title(),
        owner.title(),
        owner.path.display()
    );
    let hint = format!("remove it: codex-ml plugin remove {}", plugin.id());
    Refusal::new(&plugin.path, Step::Name, reason, hint)
}

/// The refusal of a command that has the name of one of the host's own.
pub(super) fn reserved(path: &Path, name: &str) -> Refusal {
    let reason = format!("its command {name:?} has the name of one of codex-ml's own");
    Refusal::new(path, Step::Name, reason, "ask its author for another name")
}

/// The refusal of a plugin that offers what an earlier one offers already.
pub(super) fn clash(plugin: &Plugin, owner: &Plugin, kind: Kind, name: &str) -> Refusal {
    let reason = format!(
        "{kind} {name:?} of {} is already given by {} ({})",
        plugin.title(),
        owner.title(),
        owner.path.display()
    );
    let reached = match kind {
        Kind::Command => format!(
            "; codex-ml plugin run {}:{name} reaches it all the same",
            plugin.id()
        ),
        _ => String::new(),
    };
    let hint = format!(
        "remove one of the two: codex-ml plugin remove {} (or {}){reached}",
        plugin.id(),
        owner.id()
    );
    Refusal::new(&plugin.path, Step::Name, reason, hint)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use codex_plugin_api::Manifest;

    use super::*;

    pub(crate) fn plugin(id: &str, components: &[(Kind, &str)], path: &str) -> Plugin {
        let mut text = format!(
            "[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\napi = \"1\"\ndescription = \"d\"\n"
        );
        for (kind, name) in components {
            let entry = format!("[[component]]\nkind = \"{kind}\"\nname = \"{name}\"\n");
            text.push_str(&entry);
        }
        let build = Build {
            api_version: "1.0.0".into(),
            rustc: "rustc".into(),
            target: "t".into(),
        };
        Plugin {
            manifest: Manifest::parse(&text, "test").unwrap(),
            build,
            library: path.into(),
            path: path.into(),
            origin: Origin::User,
        }
    }

    #[test]
    fn a_plugin_of_a_lock_takes_nothing_from_codex_mls_own() {
        let from = |origin: Origin, plugin: Plugin| Plugin { origin, ..plugin };
        let own = || {
            from(
                Origin::Executable,
                plugin("metric-lm", &[(Kind::Metric, "lm")], "own"),
            )
        };
        let (plugins, _, refused) = settle_names(vec![
            from(
                Origin::ProjectLock,
                plugin("metric-lm", &[(Kind::Metric, "x")], "store/a"),
            ),
            from(
                Origin::UserLock,
                plugin("loud", &[(Kind::Metric, "lm")], "store/b"),
            ),
            own(),
        ]);
        assert_eq!(plugins, [own()]);
        let reasons: Vec<_> = refused
            .iter()
            .map(|stopped| stopped.refusal.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "metric-lm 0.1.0 has the id of metric-lm 0.1.0 (own), which is part of codex-ml",
                "metric \"lm\" of loud 0.1.0 is already given by metric-lm 0.1.0 (own)"
            ]
        );
        // A folder of the user's own choice is another matter: that is how one tries a build of one's own.
        let mine = from(
            Origin::Option,
            plugin("metric-lm", &[(Kind::Metric, "lm")], "mine"),
        );
        let (plugins, shadowed, refused) = settle_names(vec![mine.clone(), own()]);
        assert_eq!((plugins, shadowed), (vec![mine], vec![own()]));
        assert!(refused.is_empty());
    }

    #[test]
    fn an_earlier_plugin_shadows_its_namesake_and_keeps_its_components() {
        let (plugins, shadowed, refused) = settle_names(vec![
            plugin("a", &[(Kind::Metric, "x")], "first/a"),
            plugin("a", &[(Kind::Metric, "x"), (Kind::Metric, "y")], "second/a"),
            plugin("b", &[(Kind::Dataset, "x")], "b"),
            plugin("c", &[(Kind::Metric, "z"), (Kind::Metric, "x")], "c"),
            plugin("d", &[(Kind::Metric, "z")], "d"),
            plugin("e", &[(Kind::Command, "train")], "e"),
        ]);
        assert_eq!(
            plugins.iter().map(Plugin::id).collect::<Vec<_>>(),
            ["a", "b", "d"]
        );
        assert_eq!(shadowed[0].path, PathBuf::from("second/a"));
        let reasons: Vec<_> = refused
            .iter()
            .map(|stopped| stopped.refusal.reason.as_str())
            .collect();
        assert_eq!(
            reasons,
            [
                "metric \"x\" of c 0.1.0 is already given by a 0.1.0 (first/a)",
                "its command \"train\" has the name of one of codex-ml's own"
            ]
        );
        assert!(
            refused
                .iter()
                .all(|stopped| stopped.refusal.step == Step::Name)
        );
    }
}
