//! The gate `trust`: whether a plugin may be run, and what its file must be. The digest is compared with the bytes that
//! are loaded, not with a file that could be another one by then: a component's bytes are hashed in memory, a native
//! library is hashed while it is copied to a private file, and that copy is opened.
//!
//! Plugins of the store are judged by their receipt, what `plugin install PATH` installed by the digest that was written
//! down then. Other files of the user's are judged by policies alone; native code in a project's folder waits until its user
//! has installed it there, since somebody else may have written the project. What lies beside the executable is not judged
//! at all: it is part of the program.

mod private;

use std::fs;
use std::path::{Path, PathBuf};

use codex_packages::digest::sha256;
use codex_packages::lock::Lock;
use codex_packages::scope::Scope;
use codex_packages::trust::policy::Subject;
use codex_packages::trust::{
    AUTHORITY, Level, Policy, Receipt, Trust, check_manifest, policy_files,
};
use codex_plugin_api::{Error, ErrorKind, Result};

use super::discover::Plugin;
use super::refusal::{Refusal, Step};
use super::search::Origin;
use crate::folders::Folders;
pub(super) use private::PrivateCopy;

/// The folder below the data folder that holds what came from registries.
const STORE: &str = "store";

/// A plugin whose file is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vouched {
    sha256: String,
    title: String,
    mend: String,
}

impl Vouched {
    /// Compares bytes that are about to be loaded.
    pub(super) fn check(&self, bytes: &[u8], path: &Path) -> std::result::Result<(), Refusal> {
        self.compare(&sha256(bytes), path)
    }

    fn compare(&self, found: &str, path: &Path) -> std::result::Result<(), Refusal> {
        if found == self.sha256 {
            return Ok(());
        }
        let short = |digest: &str| digest.get(..16).unwrap_or(digest).to_owned();
        let reason = format!(
            "its file changed after {} was installed: its SHA-256 is {} instead of {}",
            self.title,
            short(found),
            short(&self.sha256)
        );
        Err(Refusal::new(path, Step::Trust, reason, self.mend.clone()))
    }
}

/// Whether a plugin may be run; where its file is known, what it must be.
pub(super) fn judge(
    plugin: &Plugin,
    folders: &Folders,
) -> std::result::Result<Option<Vouched>, Refusal> {
    if is_built_in(&plugin.library) {
        return Ok(None);
    }
    judge_foreign(plugin, folders).map_err(|error| {
        Refusal::from_error(
            &plugin.path,
            Step::Trust,
            &error,
            "codex-ml plugin verify says more",
        )
    })
}

/// Whether a plugin may be run, as far as that is known before its file is read.
pub(crate) fn may_run(plugin: &Plugin, folders: &Folders) -> std::result::Result<(), Refusal> {
    judge(plugin, folders).map(drop)
}

fn judge_foreign(plugin: &Plugin, folders: &Folders) -> Result<Option<Vouched>> {
    let local = Subject {
        name: plugin.id(),
        level: Level::Local,
        native: !plugin.is_sandboxed(),
        permissions: &plugin.manifest.permissions,
        origin: None,
    };
    let Some(data) = folders.data.as_deref() else {
        Policy::read(&policy_files(None))?.check(&local)?;
        return if is_brought(plugin) {
            Err(brought(plugin))
        } else {
            Ok(None)
        };
    };
    let trust = open(data)?;
    let title = plugin.title();
    if let Some((folder, library)) = in_store(data, &plugin.library) {
        let installed = trust.check_installed(&folder, &library)?;
        check_manifest(&installed.entry, &plugin.manifest)?;
        return Ok(Some(Vouched {
            sha256: installed.library.sha256,
            mend: format!(
                "codex-ml plugin sync puts what was signed there again; codex-ml plugin remove {} does without it",
                plugin.id()
            ),
            title,
        }));
    }
    trust.policy().check(&local)?;
    let recorded = &trust.pins().local;
    let mut known = recorded.get(&place(&plugin.library));
    if known.is_none() && is_brought(plugin) {
        // The same file elsewhere will do: its bytes are compared.
        let mut files = recorded.values();
        known = Some(
            files
                .find(|file| file.id == plugin.id())
                .ok_or_else(|| brought(plugin))?,
        );
    }
    Ok(known.map(|file| Vouched {
        sha256: file.sha256.clone(),
        mend: format!(
            "if you changed it, install it again (codex-ml plugin install PATH); if not, remove it (codex-ml plugin remove {})",
            plugin.id()
        ),
        title,
    }))
}

/// Whether a plugin is native code in the folder of a project: whoever wrote the project may have put it there, and whoever
/// copies a project means to read it, not to run what lies in it.
fn is_brought(plugin: &Plugin) -> bool {
    plugin.origin == Origin::Project && !plugin.is_sandboxed()
}

fn brought(plugin: &Plugin) -> Error {
    let message = format!(
        "{} is native code that lies in the project's folder, and you did not install it there: {AUTHORITY}",
        plugin.title()
    );
    Error::new(ErrorKind::Plugin, message).hint(format!(
        "if you trust whoever put it there that far: codex-ml plugin install --project {}",
        plugin.path.display()
    ))
}

/// The pins and the policies of this user and machine.
///
/// # Errors
/// When one of the files cannot be read or is wrong.
pub(crate) fn open(data: &Path) -> Result<Trust> {
    Trust::open(data, &policy_files(Some(data)))
}

/// The locks that count here: the project's, then the user's.
///
/// # Errors
/// When one is damaged.
pub(crate) fn locks(folders: &Folders) -> Result<Vec<(PathBuf, Lock)>> {
    let data = folders.data.as_deref();
    let project = std::env::current_dir()
        .ok()
        .and_then(|current| Scope::project(&current, data));
    project
        .into_iter()
        .chain(data.map(Scope::user))
        .map(|scope| {
            let path = scope.lock_file();
            Lock::open(&path).map(|lock| (path, lock))
        })
        .collect()
}

/// Writes down the library that `plugin install PATH` put in place.
///
/// # Errors
/// When it cannot be read or written down.
pub(crate) fn record_local(data: &Path, plugin: &Plugin) -> Result<()> {
    let digest = plugin.digest()?;
    open(data)?.record_local(Path::new(&place(&plugin.library)), plugin.id(), &digest)
}

/// Whether `plugin install PATH` put a plugin in place, so that a change of its file is noticed before it is loaded.
pub(crate) fn recorded(plugin: &Plugin, trust: &Trust) -> bool {
    trust.pins().local.contains_key(&place(&plugin.library))
}

/// Forgets what was installed at a path that is not there any more.
///
/// # Errors
/// When that cannot be written down.
pub(crate) fn forget_local(data: &Path, removed: &Path) -> Result<()> {
    let parent = removed.parent().unwrap_or(removed);
    let real = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
    open(data)?.forget_local(&real.join(removed.file_name().unwrap_or_default()))
}

/// A library's place as it is written down: without links, so that it has one spelling.
fn place(library: &Path) -> String {
    let real = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    real.display().to_string()
}

/// The store's folder of a library, and the library's place in it.
pub(crate) fn in_store(data: &Path, library: &Path) -> Option<(PathBuf, PathBuf)> {
    let store = fs::canonicalize(data.join(STORE)).ok()?;
    let real = fs::canonicalize(library).ok()?;
    let below = real.strip_prefix(&store).ok()?;
    let mut parts = below.components();
    let folder = store.join(parts.next()?).join(parts.next()?);
    let rest = parts.as_path();
    Some((folder, rest.to_owned()))
}

/// Where a plugin comes from, as grants are bound to it: what was granted to one plugin is not the next one's only
/// because it has the same id.
pub(crate) fn origin(data: Option<&Path>, path: &Path) -> String {
    let stored = data.and_then(|data| in_store(data, path));
    let Some((folder, _)) = stored else {
        return format!("path {}", place(path));
    };
    match Receipt::read(&folder) {
        Ok(receipt) => format!("{REGISTRY}{}", receipt.source.url.trim_end_matches('/')),
        // The gate refuses it; nothing is granted to it either.
        Err(_) => format!("store {}", place(path)),
    }
}

/// What stands before the address in the origin of a registry's plugin.
pub(crate) const REGISTRY: &str = "registry ";

/// Whether a library is part of the program: beside the executable, or in the system's folder next to it.
pub(crate) fn is_built_in(library: &Path) -> bool {
    let executable = std::env::current_exe().and_then(fs::canonicalize).ok();
    let Some(folder) = executable.as_deref().and_then(Path::parent) else {
        return false;
    };
    let Ok(real) = fs::canonicalize(library) else {
        return false;
    };
    let system = folder
        .parent()
        .map(|prefix| prefix.join("lib/codex-ml/plugins"));
    let system = system.and_then(|system| fs::canonicalize(system).ok());
    real.parent() == Some(folder) || system.is_some_and(|system| real.starts_with(system))
}

/// The level of a plugin that may be run, for those who show it.
pub(crate) fn level(plugin: &Plugin, trust: &Trust, data: &Path) -> Level {
    if is_built_in(&plugin.library) {
        return Level::BuiltIn;
    }
    let stored = in_store(data, &plugin.library);
    let receipt = stored.and_then(|(folder, _)| Receipt::read(&folder).ok());
    match receipt.and_then(|receipt| receipt.entry().ok()) {
        None => Level::Local,
        Some(entry) => match trust.pins().plugins.get(&entry.name) {
            Some(pin) if pin.by_registry => Level::RegistrySigned,
            _ => Level::PinnedKey,
        },
    }
}

/// The error for what needs a data folder's files and cannot have them.
pub(super) fn failed(path: &Path, what: &str, error: &std::io::Error) -> Refusal {
    let message = Error::failed(format!("{what}: {error}"));
    Refusal::from_error(
        path,
        Step::Trust,
        &message,
        "free some space, or set CODEX_ML_CACHE_DIR to a folder that can be written",
    )
}

#[cfg(test)]
mod tests;
