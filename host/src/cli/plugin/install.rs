//! `codex-ml plugin install`.

use std::path::PathBuf;

use codex_plugin_api::{Kind, Result};
use serde_json::json;

use super::info::authority;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::install::{Installed, Request, install};
use crate::plugins::search::plugins_of;

/// Arguments of `plugin install`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A built library, or a folder with plugin.toml and a library.
    #[arg(value_hint = clap::ValueHint::AnyPath)]
    path: PathBuf,
    /// Install for the project (.codex-ml/plugins) instead of the user.
    #[arg(long)]
    project: bool,
    /// Install even an older version, or one whose components another plugin offers.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let root = plugins_of(&if args.project {
        app.folders.project_or_new()?
    } else {
        app.folders.data()?.to_owned()
    });
    let root = std::path::absolute(&root).unwrap_or(root);
    let registry = app.registry()?;
    let request = Request {
        source: &args.path,
        root: &root,
        force: args.force,
    };
    let installed = install(request, registry.catalog())?;
    let plugin = &installed.plugin;
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
        }))?;
    } else {
        app.output.line(text(&installed))?;
    }
    Ok(Exit::Done)
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
