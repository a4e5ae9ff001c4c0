//! `codex-ml plugin grant`, and how `info` and `revoke` show what is asked and granted.

use codex_plugin_api::{Error, Kind, Result};
use serde_json::{Value, json};

use super::info::find;
use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::Plugin;
use crate::plugins::grants::{Choice, Granted, Grants, Standing, command_line, requests};

/// Arguments of `plugin grant`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Decide what a sandboxed plugin may do.\n\nWithout an option: show what it asks for, why, and what is \
                  granted, and change nothing. With options: grant that, besides what is granted already. A plugin that \
                  asks for something is not run before you decide; what you do not grant is out of its reach. After an \
                  update that asks for more it is stopped until you decide again.",
    after_help = "Examples:\n  codex-ml plugin grant word-list\n  codex-ml plugin grant word-list --all --folder \
                  data=~/words\n  codex-ml plugin grant word-list --clock --network example.org\n  codex-ml plugin grant \
                  word-list --none"
)]
pub(super) struct Args {
    /// The plugin's id.
    id: String,
    /// Everything that it asks for.
    #[arg(long)]
    all: bool,
    /// A folder: the plugin's name for it, and your folder that it stands for.
    #[arg(long, value_name = "NAME=PATH")]
    folder: Vec<String>,
    #[command(flatten)]
    picked: Picked,
    /// Nothing: the plugin is run without what it asks for.
    #[arg(long, conflicts_with_all = ["all", "folder", "environment", "network", "components", "clock", "random", "terminal", "limits"])]
    none: bool,
}

/// The permissions whose options `grant` and `revoke` share.
#[derive(Debug, clap::Args)]
pub(super) struct Picked {
    /// An environment variable.
    #[arg(long, value_name = "KEY")]
    environment: Vec<String>,
    /// A host, as the plugin names it.
    #[arg(long, value_name = "HOST")]
    network: Vec<String>,
    /// Components of a kind.
    #[arg(long, value_name = "KIND")]
    components: Vec<Kind>,
    /// The clock.
    #[arg(long)]
    clock: bool,
    /// Random numbers.
    #[arg(long)]
    random: bool,
    /// Output to the terminal.
    #[arg(long)]
    terminal: bool,
    /// Limits beyond the default.
    #[arg(long)]
    limits: bool,
}

impl Picked {
    pub(super) fn choice(&self, all: bool, folders: &[String]) -> Choice {
        Choice {
            all,
            folders: folders.to_vec(),
            environment: self.environment.clone(),
            network: self.network.clone(),
            components: self.components.clone(),
            clock: self.clock,
            random: self.random,
            terminal: self.terminal,
            limits: self.limits,
        }
    }
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    let plugin = find(&registry, &args.id)?;
    must_be_sandboxed(plugin)?;
    let manifest = &plugin.manifest;
    let choice = args.picked.choice(args.all, &args.folder);
    let nothing_asked = requests(manifest).is_empty();
    if args.none && !nothing_asked {
        Grants::decide(app.folders.data()?, plugin, |_| Ok(Granted::default()))?;
    } else if !choice.is_empty() {
        let change = |before| choice.grant(manifest, before, &app.folders);
        if nothing_asked {
            // What it does not ask for is refused all the same, and there is nothing to record.
            change(Granted::default())?;
        } else {
            Grants::decide(app.folders.data()?, plugin, change)?;
        }
    }
    show(plugin, app)
}

/// Refuses native plugins, which no grant holds back.
pub(super) fn must_be_sandboxed(plugin: &Plugin) -> Result<()> {
    if plugin.is_sandboxed() {
        return Ok(());
    }
    let message = format!(
        "{} is native code: it runs with your full authority, so there is nothing to grant or to limit",
        plugin.title()
    );
    let hint = format!(
        "codex-ml plugin info {} shows what it says that it will do",
        plugin.id()
    );
    Err(Error::config(message).hint(hint))
}

/// Shows where the decision stands.
pub(super) fn show(plugin: &Plugin, app: &App) -> Result<Exit> {
    let grants = read(app)?;
    if app.output.is_json() {
        let mut value = json!({"id": plugin.id(), "version": plugin.manifest.plugin.version});
        if let (Value::Object(value), Value::Object(decision)) =
            (&mut value, decision(plugin, &grants))
        {
            value.extend(decision);
        }
        app.output.value(&value)?;
        return Ok(Exit::Done);
    }
    let standing = grants.standing(plugin);
    if standing == Standing::NothingAsked {
        let line = format!("{} asks for nothing: it only computes", plugin.title());
        app.output.line(line)?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("{} asks to", plugin.title())];
    lines.extend(
        lines_of(plugin, &grants)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines.extend(remark(&standing).map(str::to_owned));
    let everything = requests(&plugin.manifest)
        .iter()
        .all(|request| matches!(&standing, Standing::Granted(granted) if request.permission.is_in(granted)));
    if everything {
        lines.push("to take it back:".to_owned());
        lines.push(format!("  codex-ml plugin revoke {}", plugin.id()));
    } else {
        lines.push("to grant all of it:".to_owned());
        lines.push(format!("  {}", command_line(&plugin.manifest)));
    }
    app.output.line(plain(&lines.join("\n")))?;
    Ok(Exit::Done)
}

/// The decisions; a file that cannot be trusted is an error for who decides.
pub(super) fn read(app: &App) -> Result<Grants> {
    let grants = Grants::open(app.folders.data.as_deref());
    match grants.problem() {
        Some(problem) => Err(problem.clone()),
        None => Ok(grants),
    }
}

/// A line for each request, with what became of it.
pub(super) fn lines_of(plugin: &Plugin, grants: &Grants) -> Vec<String> {
    let standing = grants.standing(plugin);
    let held = grants.held(plugin);
    let mut lines = Vec::new();
    for request in requests(&plugin.manifest) {
        let permission = &request.permission;
        let state = match (&standing, permission.folder(&held)) {
            (_, _) if !permission.is_in(&held) => "not granted".to_owned(),
            (Standing::Granted(_), None) => "granted".to_owned(),
            (Standing::Granted(_), Some(path)) if !path.is_dir() => {
                format!("granted: {}, which is not there any more", path.display())
            }
            (Standing::Granted(_), Some(path)) => format!("granted: {}", path.display()),
            (_, None) => "granted before".to_owned(),
            (_, Some(path)) => format!("granted before: {}", path.display()),
        };
        let reason = Some(request.reason).filter(|reason| !reason.is_empty());
        let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
        lines.push(format!("{}{reason}", request.what));
        lines.push(format!("  {state}"));
    }
    lines
}

/// What the standing means, where it is not plain.
pub(super) fn remark(standing: &Standing) -> Option<&'static str> {
    match standing {
        Standing::Undecided => Some("nothing is decided yet: it is not run until you do"),
        Standing::AsksForOther => Some(
            "you decided about a version that did not ask for all of this: it is not run until you decide again",
        ),
        Standing::Granted(granted) if *granted == Granted::default() => {
            Some("you granted nothing: it is run without")
        }
        Standing::Granted(_) | Standing::NothingAsked => None,
    }
}

/// The decision as JSON.
pub(super) fn decision(plugin: &Plugin, grants: &Grants) -> Value {
    let standing = grants.standing(plugin);
    let granted = match &standing {
        Standing::Granted(granted) => granted.clone(),
        _ => Granted::default(),
    };
    let asked: Vec<Value> = requests(&plugin.manifest)
        .into_iter()
        .map(|request| {
            let permission = &request.permission;
            let mut row = json!({
                "permission": permission.option(), "what": request.what, "reason": request.reason,
                "granted": permission.is_in(&granted),
            });
            if let Some(name) = permission.name() {
                row["name"] = name.into();
            }
            if let Some(path) = permission.folder(&granted) {
                row["path"] = json!(path);
            }
            row
        })
        .collect();
    json!({"standing": standing.as_str(), "asked": asked, "command": command_line(&plugin.manifest)})
}
