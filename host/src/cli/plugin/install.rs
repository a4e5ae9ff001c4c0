//! `codex-ml plugin install`.

use std::env::consts::DLL_SUFFIX;
use std::path::Path;

use codex_packages::archive::{EXTENSION, Limits, unpack};
use codex_packages::session::Goal;
use codex_plugin_api::{Context, Error, Kind, Result};
use serde_json::json;

use super::info::authority;
use super::packages::{FetchArgs, reach, wishes};
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::install::{Installed, Request, install};
use crate::plugins::packages::{Room, Which};
use crate::plugins::search::plugins_of;
use crate::plugins::trust::record_local;

/// Arguments of `plugin install`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Install plugins: from a registry by name, or what you built or were given by its path.\n\nWhat is there as a \
                  file or folder, or has a separator in it, is a path: a built library or component, a folder with \
                  plugin.toml and one of them, or a package (.tar.zst). Everything else is a name that the connected \
                  registries know.",
    after_help = "Examples:\n  codex-ml plugin install word-list\n  codex-ml plugin install word-list@1.2 \
                  'shout@>=1, <3'\n  codex-ml plugin install ./target/release/libshout.so\n  codex-ml plugin install \
                  shout-1.0.0.tar.zst"
)]
pub(super) struct Args {
    /// Names, each with a version requirement where not every version will do; or paths.
    #[arg(required = true, value_name = "NAME[@REQ]|PATH", value_hint = clap::ValueHint::AnyPath)]
    plugins: Vec<String>,
    /// Install for the project instead of the user: a name as codex-ml plugin add does, a path into .codex-ml/plugins.
    #[arg(long)]
    project: bool,
    /// For paths: install even an older version, or one whose components another plugin offers.
    #[arg(long)]
    force: bool,
    /// For names: take them from this registry.
    #[arg(long, value_name = "NAME")]
    registry: Option<String>,
    /// For names: show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    fetch: FetchArgs,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let (paths, names): (Vec<String>, Vec<String>) =
        args.plugins.iter().cloned().partition(|text| is_path(text));
    match (paths.as_slice(), names.as_slice()) {
        (paths, []) => {
            for path in paths {
                install_path(args, Path::new(path), app)?;
            }
            Ok(Exit::Done)
        }
        ([], names) => install_names(args, names, app),
        ([path, ..], [name, ..]) => Err(Error::config(format!(
            "{name} is a name and {path} is a path: they are installed into different places"
        ))
        .hint("install names and paths each with a command of their own")),
    }
}

/// Whether an argument means a file or folder; a version requirement may hold nearly everything but those.
fn is_path(text: &str) -> bool {
    let ends = [EXTENSION, ".wasm", DLL_SUFFIX];
    Path::new(text).exists()
        || ends.iter().any(|end| text.ends_with(end))
        || text.contains(std::path::is_separator)
}

fn install_names(args: &Args, names: &[String], app: &App) -> Result<Exit> {
    let which = if args.project {
        Which::Project
    } else {
        Which::User
    };
    let goal = Goal {
        what: format!("install {}", names.join(" ")),
        edits: wishes(names, args.registry.as_deref())?,
        ..Goal::default()
    };
    reach(
        app,
        &Room::open(app, which)?,
        &args.fetch,
        &goal,
        args.dry_run,
    )
}

/// Installs a library, a component or a folder; a package is unpacked first.
fn install_path(args: &Args, path: &Path, app: &App) -> Result<()> {
    if !path.to_string_lossy().ends_with(EXTENSION) {
        return install_built(args, path, app);
    }
    let folder = tempfile::tempdir()
        .or_error(|| Error::failed("cannot create a temporary folder to unpack into"))?;
    unpack(path, None, folder.path(), &Limits::default())?;
    install_built(args, folder.path(), app)
}

fn install_built(args: &Args, source: &Path, app: &App) -> Result<()> {
    let root = plugins_of(&if args.project {
        app.folders.project_or_new()?
    } else {
        app.folders.data()?.to_owned()
    });
    let root = std::path::absolute(&root).unwrap_or(root);
    let registry = app.registry()?;
    let request = Request {
        source,
        root: &root,
        force: args.force,
    };
    let installed = install(request, registry.catalog())?;
    let plugin = &installed.plugin;
    if let Some(data) = app.folders.data.as_deref() {
        record_local(data, plugin)?;
    }
    // Another copy may come earlier on the search path, and would go on being used.
    let earlier = registry
        .plugins()
        .iter()
        .find(|other| other.id() == plugin.id() && other.path.parent() != Some(&root));
    if let Some(other) = earlier {
        app.output.warn(format!(
            "{} is also at {}: codex-ml plugin list shows which of them is used",
            plugin.id(),
            other.path.display()
        ));
    }
    if app.output.is_json() {
        app.output.value(&json!({
            "id": plugin.id(), "version": plugin.manifest.plugin.version, "kinds": plugin.kinds(), "runtime": plugin.runtime(),
            "path": plugin.path, "replaced": installed.replaced, "permissions": plugin.manifest.permissions,
        }))
    } else {
        app.output.line(text(&installed))
    }
}

fn text(installed: &Installed) -> String {
    let plugin = &installed.plugin;
    let replaced = match &installed.replaced {
        Some(version) if *version == plugin.manifest.plugin.version => " again".to_owned(),
        Some(version) => format!(" in place of {version}"),
        None => String::new(),
    };
    let mut lines = vec![format!(
        "installed {}{replaced} in {}",
        plugin.title(),
        plugin.path.display()
    )];
    for entry in &plugin.manifest.components {
        let call = match entry.kind {
            Kind::Command => format!("  (codex-ml {})", entry.name),
            _ => String::new(),
        };
        lines.push(format!("  {} {}{call}", entry.kind, entry.name));
    }
    lines.extend(
        authority(plugin)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    plain(&lines.join("\n"))
}
