//! What goes into a plugin's package: built files with the manifest that each carries, the schemas of its
//! configuration, and the texts beside its sources. The archive itself is [`codex_packages::archive`]'s.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use codex_packages::archive::{Content, Member, Packed, file_name, pack};
use codex_packages::entry::ANY_TARGET;
use codex_packages::native_library::check_file;
use codex_plugin_api::abi::TARGET;
use codex_plugin_api::abi::stamp::{SECTION_NAMES, Stamp};
use codex_plugin_api::{Context, Error, Manifest, Result};

use super::conformance::alone;
use super::gates::{self, is_component};
use super::object_file;
use super::search::MANIFEST;
use super::trial::granting;
use crate::app::App;

/// What the texts beside a manifest are called, so that a reader finds them.
const TEXTS: [&str; 6] = [
    "README",
    "LICENSE",
    "LICENCE",
    "COPYING",
    "NOTICE",
    "CHANGELOG",
];

/// What to pack.
#[derive(Debug)]
pub struct Request<'a> {
    /// A built file, or a folder with `plugin.toml` and what belongs to it.
    pub source: &'a Path,
    /// Built files, each with the target that it is said to be for. Empty: the one in the folder.
    pub artifacts: &'a [(Option<String>, PathBuf)],
    /// The file to write, or none for `<id>-<version>.tar.zst` in the working folder.
    pub output: Option<&'a Path>,
    /// Leave the schemas out: for a plugin that does not load on this machine.
    pub no_schemas: bool,
}

/// A built file and what it says of itself.
struct Built {
    target: String,
    file: PathBuf,
    text: String,
    manifest: Manifest,
}

/// Writes a package.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] for files that are no plugin or do not belong together,
/// [`codex_plugin_api::ErrorKind::Data`] when the package would not be readable.
pub fn package(request: &Request<'_>, app: &App) -> Result<(Packed, PathBuf)> {
    let (folder, built) = find(request)?;
    let first = together(&built)?;
    check_folder(&folder, first)?;
    let mut members = vec![member(
        MANIFEST,
        Content::Bytes(first.text.clone().into_bytes()),
    )];
    for built in &built {
        members.push(member(&place(built)?, Content::File(built.file.clone())));
    }
    members.extend(texts(&folder)?);
    if !request.no_schemas {
        members.extend(schemas(&built, app)?);
    }
    let plugin = &first.manifest.plugin;
    let to = request.output.map_or_else(
        || PathBuf::from(file_name(&plugin.id, &plugin.version)),
        Path::to_owned,
    );
    Ok((pack(&members, &to)?, to))
}

fn member(path: &str, content: Content) -> Member {
    Member {
        path: path.to_owned(),
        content,
    }
}

/// The folder with the texts, and the built files.
fn find(request: &Request<'_>) -> Result<(PathBuf, Vec<Built>)> {
    let source = request.source;
    let is_folder = source.is_dir();
    if !is_folder && !source.is_file() {
        return Err(Error::config(format!("there is no {}", source.display()))
            .hint("give a built plugin, or a folder with plugin.toml and one"));
    }
    let folder = if is_folder {
        source
    } else {
        source.parent().unwrap_or(source)
    };
    let mut built = Vec::new();
    if !is_folder {
        built.push(read(source, None)?);
    }
    for (target, file) in request.artifacts {
        built.push(read(file, target.as_deref())?);
    }
    if built.is_empty() {
        let text = fs::read_to_string(folder.join(MANIFEST)).or_error(|| {
            Error::config(format!("folder {} holds no {MANIFEST}", folder.display()))
                .hint("give a built plugin, or the folder of one")
        })?;
        let manifest = Manifest::parse(&text, MANIFEST)?;
        let file = gates::find_library(folder, &manifest).map_err(|reason| {
            Error::config(format!("{}: {reason}", folder.display())).hint(
                "codex-ml plugin build makes one; --artifact names a file that lies elsewhere",
            )
        })?;
        built.push(read(&file, None)?);
    }
    Ok((folder.to_owned(), built))
}

/// Reads what a built file says of itself, without running it; libraries of other systems are read as well.
fn read(file: &Path, target: Option<&str>) -> Result<Built> {
    let named =
        |reason: String| Error::config(format!("{} cannot be packed: {reason}", file.display()));
    let (found, text) = if is_component(file) {
        let (_, text) = gates::examine_file(file).map_err(|stopped| stopped.refusal.to_error())?;
        (ANY_TARGET.to_owned(), text)
    } else {
        let library = object_file::read(file, &SECTION_NAMES).map_err(named)?;
        let section = library.section.ok_or_else(|| {
            named("it is a library, but not a codex-ml plugin".into())
                .hint("its crate must call codex_plugin_api::plugin!")
        })?;
        let stamp = Stamp::parse(&section)?;
        check_file(file, &stamp.target).map_err(|error| {
            let why = format!(
                "its stamp names the target {}, but {}",
                stamp.target,
                error.message()
            );
            named(why).hint("build it again from its sources")
        })?;
        (stamp.target, stamp.manifest)
    };
    if let Some(target) = target
        && target != found
    {
        return Err(named(format!("it was built for {found}, not for {target}")));
    }
    let manifest = Manifest::parse(&text, &file.display().to_string())?;
    Ok(Built {
        target: found,
        file: file.to_owned(),
        text,
        manifest,
    })
}

/// Checks that all files are the same plugin for different targets.
fn together(built: &[Built]) -> Result<&Built> {
    let mut targets = BTreeMap::new();
    for one in built {
        if let Some(other) = targets.insert(&one.target, one) {
            return Err(Error::config(format!(
                "{} and {} are both for {}",
                other.file.display(),
                one.file.display(),
                one.target
            )));
        }
        if one.manifest != built[0].manifest {
            return Err(Error::config(format!(
                "{} and {} were built with different plugin.toml",
                built[0].file.display(),
                one.file.display()
            ))
            .hint("build both again from the same sources"));
        }
    }
    built
        .first()
        .ok_or_else(|| Error::config("there is nothing to pack"))
}

/// A manifest beside the sources that is newer than the built file would be a surprise for who installs it.
fn check_folder(folder: &Path, built: &Built) -> Result<()> {
    let path = folder.join(MANIFEST);
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(());
    };
    if Manifest::parse(&text, &path.display().to_string())? == built.manifest {
        return Ok(());
    }
    Err(Error::config(format!(
        "{} is not the manifest inside {}",
        path.display(),
        built.file.display()
    ))
    .hint("it was changed since: build the plugin again"))
}

fn place(built: &Built) -> Result<String> {
    if built.target == ANY_TARGET {
        return Ok(format!(
            "artifacts/{ANY_TARGET}/{}.wasm",
            built.manifest.plugin.id
        ));
    }
    let name = built.file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| {
        Error::config(format!(
            "{} has no name that is UTF-8",
            built.file.display()
        ))
    })?;
    Ok(format!("artifacts/{}/{name}", built.target))
}

fn texts(folder: &Path) -> Result<Vec<Member>> {
    let failed = || Error::failed(format!("cannot read folder {}", folder.display()));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).or_error(failed)? {
        let entry = entry.or_error(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let upper = name.to_uppercase();
        if TEXTS.iter().any(|text| upper.starts_with(text)) && entry.path().is_file() {
            found.push(member(&name, Content::File(entry.path())));
        }
    }
    Ok(found)
}

/// The schemas as the plugin publishes them, asked of the file that runs here; none where none does.
fn schemas(built: &[Built], app: &App) -> Result<Vec<Member>> {
    let here = |built: &&Built| built.target == ANY_TARGET || built.target == TARGET;
    let Some(built) = built.iter().find(here) else {
        return Ok(Vec::new());
    };
    let catalog = alone(&built.file)?;
    let Some(plugin) = catalog.plugins.first().cloned() else {
        return Ok(Vec::new());
    };
    let registry = granting(catalog, &plugin, app)?;
    let mut members = Vec::new();
    for entry in &built.manifest.components {
        let schema = registry.schema(entry.kind, &entry.name)?;
        let mut text = serde_json::to_vec_pretty(schema)
            .or_error(|| Error::failed("cannot write a schema"))?;
        text.push(b'\n');
        members.push(member(
            &format!("schemas/{}-{}.json", entry.kind, entry.name),
            Content::Bytes(text),
        ));
    }
    Ok(members)
}
