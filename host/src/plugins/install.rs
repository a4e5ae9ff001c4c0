//! Puts plugins where the search finds them, and takes them away again. Both happen at once or not at all: work goes on
//! in a hidden folder beside the target, and the last act is a rename.

mod staged;

use std::fs;
use std::path::{Path, PathBuf};

use codex_plugin_api::{Context, Error, ErrorKind, Kind, Result};
use semver::Version;

use super::discover::{Catalog, Plugin, RESERVED_COMMANDS, clash, reserved, taken_id};
use super::gates::{self, Verdict};
use super::nearest::nearest;
use super::probe::probe;
use super::search::{Candidate, MANIFEST, Origin};
use staged::Staged;

/// What to install, and where.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A library or component, or a folder with a manifest and one of them.
    pub source: &'a Path,
    /// The folder that gets a folder `<id>`.
    pub root: &'a Path,
    /// Install even an older version, or one whose components another plugin offers.
    pub force: bool,
}

/// What was installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The plugin as the search will find it.
    pub plugin: Plugin,
    /// The version that was there before.
    pub replaced: Option<Version>,
}

/// Takes a plugin through all gates, the load in a child process included, and copies it into place.
///
/// # Errors
/// [`ErrorKind::Config`] for a path that holds no plugin, [`ErrorKind::Plugin`] when it is refused,
/// [`ErrorKind::Failed`] when it cannot be written. Nothing is left behind.
pub fn install(request: Request<'_>, catalog: &Catalog) -> Result<Installed> {
    let candidate = candidate(request.source)?;
    let Verdict { outcome, .. } = gates::examine(&candidate);
    let passed = outcome.map_err(|stopped| stopped.refusal.to_error())?;
    let mut plugin = Plugin::new(&candidate, passed);
    check_names(&plugin, catalog, request.force)?;
    let target = request.root.join(plugin.id());
    let replaced = installed_version(&target);
    if let Some(installed) = &replaced
        && *installed > plugin.manifest.plugin.version
        && !request.force
    {
        let message = format!(
            "{} is older than the installed version {installed}",
            plugin.title()
        );
        return Err(
            Error::new(ErrorKind::Plugin, message).hint("install it all the same with --force")
        );
    }
    let staged = Staged::new(request.root)?;
    let library = copy_into(&plugin, &candidate, &staged)?;
    probe(&staged.path().join(&library)).map_err(|refusal| {
        // The copy that was tried is gone by the time this is read.
        super::Refusal {
            path: request.source.to_owned(),
            ..refusal
        }
        .to_error()
    })?;
    staged.move_to(&target)?;
    plugin.library = target.join(library);
    plugin.path = target;
    Ok(Installed { plugin, replaced })
}

fn candidate(source: &Path) -> Result<Candidate> {
    let what = "give a built library or a folder with plugin.toml and a library";
    let metadata = fs::metadata(source)
        .or_error(|| Error::config(format!("cannot install {}", source.display())).hint(what))?;
    if metadata.is_dir() && !source.join(MANIFEST).is_file() {
        return Err(
            Error::config(format!("folder {} holds no {MANIFEST}", source.display())).hint(what),
        );
    }
    let path = std::path::absolute(source)
        .or_error(|| Error::config(format!("cannot install {}", source.display())))?;
    Ok(Candidate {
        path,
        is_folder: metadata.is_dir(),
        origin: Origin::Option,
    })
}

fn check_names(plugin: &Plugin, catalog: &Catalog, force: bool) -> Result<()> {
    let everything = || catalog.plugins.iter().chain(&catalog.shadowed);
    let own = everything()
        .find(|other| other.id() == plugin.id() && other.origin.is_built_in())
        .filter(|_| !force);
    if let Some(own) = own {
        return Err(taken_id(plugin, own).to_error().hint(
            "give it an id of its own in plugin.toml, or install it in the place of codex-ml's own with --force",
        ));
    }
    for entry in &plugin.manifest.components {
        if entry.kind == Kind::Command && RESERVED_COMMANDS.contains(&entry.name.as_str()) {
            return Err(reserved(&plugin.path, &entry.name).to_error());
        }
        let owner = catalog.plugins.iter().find(|other| {
            other.id() != plugin.id() && other.manifest.component(entry.kind, &entry.name).is_some()
        });
        if let Some(owner) = owner
            && !force
        {
            let refusal = clash(plugin, owner, entry.kind, &entry.name);
            let reached = match entry.kind {
                Kind::Command => format!(
                    ", but for codex-ml plugin run {}:{}",
                    plugin.id(),
                    entry.name
                ),
                _ => String::new(),
            };
            return Err(refusal.to_error().hint(format!(
                "codex-ml plugin remove {}, or install with --force: the later one on the search path is then refused{reached}",
                owner.id()
            )));
        }
    }
    Ok(())
}

fn installed_version(target: &Path) -> Option<Version> {
    let text = fs::read_to_string(target.join(MANIFEST)).ok()?;
    codex_plugin_api::Manifest::parse(&text, MANIFEST)
        .ok()
        .map(|manifest| manifest.plugin.version)
}

/// Copies library and manifest; gives the library's place in the folder.
fn copy_into(plugin: &Plugin, candidate: &Candidate, staged: &Staged) -> Result<PathBuf> {
    let name = match &plugin.manifest.plugin.library {
        Some(library) => PathBuf::from(library),
        None => PathBuf::from(plugin.library.file_name().unwrap_or_default()),
    };
    staged.copy(&plugin.library, &name)?;
    if candidate.is_folder {
        staged.copy(&candidate.path.join(MANIFEST), Path::new(MANIFEST))?;
    } else {
        let (_, manifest) =
            gates::examine_file(&plugin.library).map_err(|stopped| stopped.refusal.to_error())?;
        staged.write(Path::new(MANIFEST), manifest.as_bytes())?;
    }
    Ok(name)
}

/// Removes an installed plugin from the first of `roots` that has it; gives what was removed.
///
/// # Errors
/// [`ErrorKind::Config`] when it is not installed there, [`ErrorKind::Failed`] when it cannot be removed.
pub fn remove(id: &str, roots: &[PathBuf], catalog: &Catalog) -> Result<PathBuf> {
    let everything = || catalog.plugins.iter().chain(&catalog.shadowed);
    // An id becomes a path only if it cannot lead out of the folder.
    let harmless = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let found = roots.iter().find_map(|root| {
        let folder = harmless
            .then(|| root.join(id))
            .filter(|folder| folder.is_dir());
        let named =
            |plugin: &&Plugin| plugin.id() == id && plugin.path.parent() == Some(root.as_path());
        folder.or_else(|| everything().find(named).map(|plugin| plugin.path.clone()))
    });
    let Some(path) = found else {
        return Err(not_installed(id, everything()));
    };
    let failed = || Error::failed(format!("cannot remove {}", path.display()));
    if path.is_dir() {
        staged::remove_folder(&path).or_error(failed)?;
    } else {
        fs::remove_file(&path).or_error(failed)?;
    }
    Ok(path)
}

fn not_installed<'a>(id: &str, everything: impl Iterator<Item = &'a Plugin> + Clone) -> Error {
    if let Some(plugin) = everything.clone().find(|plugin| plugin.id() == id) {
        let message = format!(
            "plugin {id} was not installed by codex-ml plugin install: it is {}",
            plugin.path.display()
        );
        return Error::config(message)
            .hint("delete that file, or take its folder off the search path");
    }
    let error = Error::config(format!("no plugin {id:?} is installed"));
    match nearest(id, everything.map(Plugin::id)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("codex-ml plugin list shows what is installed"),
    }
}

#[cfg(test)]
mod tests;
