//! Plugins from registries: the scope, the store, the registries and the host's facts, put together for commands. What
//! versions are chosen and how they are put in place is the affair of the packages crate.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use codex_packages::client::Options;
use codex_packages::durable::Turn;
use codex_packages::lock::{Lock, Locked};
use codex_packages::registries::Registries;
use codex_packages::resolve::Host;
use codex_packages::scope::{Scope, ScopeKind};
use codex_packages::session::Session;
use codex_packages::source::{Available, Offer};
use codex_packages::store::Store;
use codex_packages::trust::Wishes;
use codex_plugin_api::{API_VERSION, Context, Error, Kind, Result};
use semver::Version;

use super::discover::{Catalog, RESERVED_COMMANDS};
use super::trust;
use crate::app::App;

/// Which scope a command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The project around the working directory, otherwise the user's.
    Nearest,
    /// The project's, which begins here where there is none.
    Project,
    /// The user's.
    User,
}

/// A scope with all that changes it.
#[derive(Debug)]
pub struct Room {
    /// Whose plugins.
    pub scope: Scope,
    /// Where versions lie.
    pub store: Store,
    /// For which host.
    pub host: Host,
    /// The user's data folder.
    pub data: PathBuf,
    cache: PathBuf,
}

impl Room {
    /// The room of a command.
    ///
    /// # Errors
    /// When there is no home or working folder.
    pub fn open(app: &App, which: Which) -> Result<Self> {
        let data = absolute(app.folders.data()?)?;
        let project = || here(app, &data);
        let scope = match which {
            Which::User => Scope::user(&data),
            Which::Nearest => project()?.unwrap_or_else(|| Scope::user(&data)),
            Which::Project => match project()? {
                Some(scope) => scope,
                None => Scope::project_in(&beginning(app)?),
            },
        };
        Ok(Self {
            scope,
            store: Store::new(&data),
            host: host()?,
            cache: absolute(app.folders.cache()?)?,
            data,
        })
    }

    /// Waits until nobody else changes what is installed.
    ///
    /// # Errors
    /// When the store's folder cannot be written.
    pub fn turn(&self, app: &App) -> Result<Turn> {
        let output = &app.output;
        self.store
            .turn(|| output.note("waiting for another codex-ml that is changing what is installed"))
    }

    /// The registries that count here, those of the scope first.
    ///
    /// # Errors
    /// When a project file, the pins or a policy is wrong.
    pub fn registries(&self, wishes: Wishes, offline: bool) -> Result<Registries> {
        let user = Scope::user(&self.data);
        let mut scopes = vec![&self.scope];
        if self.scope.kind == ScopeKind::Project {
            scopes.push(&user);
        }
        let options = Options {
            cache: self.cache.clone(),
            data: self.data.clone(),
            offline,
            now: SystemTime::now(),
        };
        Registries::new(
            &scopes,
            &options,
            trust::open(&self.data)?,
            wishes,
            self.host.clone(),
        )
    }

    /// The means to plan and apply changes.
    pub fn session<'a>(&'a self, registries: &'a Registries) -> Session<'a> {
        Session {
            scope: &self.scope,
            store: &self.store,
            host: &self.host,
            supply: registries,
        }
    }

    /// Whether a locked version lies in the store, whole or not.
    pub fn is_installed(&self, locked: &Locked) -> bool {
        let folder = self
            .store
            .folder(&locked.name, &locked.version, &locked.archive.sha256);
        folder.is_dir()
    }

    /// What is in use in the scope.
    ///
    /// # Errors
    /// When the lock is damaged.
    pub fn lock(&self) -> Result<Lock> {
        Lock::open(&self.scope.lock_file())
    }
}

/// What this codex-ml is for plugins.
fn host() -> Result<Host> {
    Ok(Host {
        api: Version::parse(API_VERSION)
            .or_error(|| Error::failed("the plugin API has no version"))?,
        target: codex_plugin_api::abi::TARGET.to_owned(),
    })
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).or_error(|| Error::failed(format!("cannot find {}", path.display())))
}

fn current() -> Result<PathBuf> {
    std::env::current_dir().or_error(|| Error::failed("there is no working directory"))
}

fn here(_app: &App, data: &Path) -> Result<Option<Scope>> {
    Ok(Scope::project(&current()?, Some(data)))
}

/// Where a new project begins: around the nearest `.codex-ml`, otherwise here.
fn beginning(app: &App) -> Result<PathBuf> {
    let around = app.folders.project.as_deref().and_then(Path::parent);
    around.map_or_else(current, |around| Ok(around.to_owned()))
}

/// Refuses versions that come into use with an id of codex-ml's own plugins, or with components or commands that have the
/// names of others: with both owners named, before anything of them is fetched. `comes` says which versions those are.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Plugin`] naming both.
pub fn check_names(
    catalog: &Catalog,
    available: &dyn Available,
    before: &Lock,
    after: &Lock,
    comes: &dyn Fn(&Locked) -> bool,
) -> Result<()> {
    let fresh: Vec<&Locked> = after
        .plugins
        .values()
        .filter(|locked| comes(locked))
        .collect();
    let goes = |id: &str| before.plugins.contains_key(id) && !after.plugins.contains_key(id);
    let replaced = |id: &str| fresh.iter().any(|locked| locked.name == id);
    let mut owners: HashMap<(Kind, String), String> = HashMap::new();
    for plugin in &catalog.plugins {
        let id = plugin.id();
        if !plugin.origin.is_built_in() && (goes(id) || replaced(id)) {
            continue;
        }
        for entry in &plugin.manifest.components {
            let owner = format!("{} ({})", plugin.title(), plugin.path.display());
            owners.insert((entry.kind, entry.name.clone()), owner);
        }
    }
    for locked in fresh {
        let all = catalog.plugins.iter().chain(&catalog.shadowed);
        let mut own = all.filter(|plugin| plugin.origin.is_built_in());
        if let Some(plugin) = own.find(|plugin| plugin.id() == locked.name) {
            return Err(refused(
                format!(
                    "{} of registry {} has the id of {} ({}), which is part of codex-ml",
                    locked.title(),
                    locked.registry,
                    plugin.title(),
                    plugin.path.display()
                ),
                "ask its author for another id; what codex-ml brings is not replaced from a registry".into(),
            ));
        }
        let offers = available.offers(&locked.name, Some(&locked.registry))?;
        let Some(offer) = offers
            .iter()
            .find(|offer| *offer.version() == locked.version)
        else {
            continue;
        };
        check_components(offer, &mut owners)?;
    }
    Ok(())
}

/// Refuses a version whose components have names that others have, and takes its names for those that follow.
fn check_components(offer: &Offer, owners: &mut HashMap<(Kind, String), String>) -> Result<()> {
    let title = offer.title();
    for component in &offer.entry.components {
        let (kind, name) = component;
        if *kind == Kind::Command && RESERVED_COMMANDS.contains(&name.as_str()) {
            return Err(refused(
                format!("command {name:?} of {title} has the name of one of codex-ml's own"),
                "ask its author for another name".into(),
            ));
        }
        if let Some(owner) = owners.insert(component.clone(), title.clone()) {
            let id = owner.split(' ').next().unwrap_or_default();
            return Err(refused(
                format!("{kind} {name:?} of {title} is already given by {owner}"),
                format!("remove the other one first: codex-ml plugin remove {id}"),
            ));
        }
    }
    Ok(())
}

fn refused(message: String, hint: String) -> Error {
    Error::new(codex_plugin_api::ErrorKind::Plugin, message).hint(hint)
}
