//! What the commands for plugins from registries share: options, and the way from a goal to what is printed.

use std::path::PathBuf;

use codex_packages::clean::remember;
use codex_packages::lock::{Change, Lock, Locked};
use codex_packages::registries::Registries;
use codex_packages::session::{Applied, Goal, Plan};
use codex_packages::trust::Wishes;
use codex_plugin_api::Result;
use serde_json::{Value, json};

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::packages::{Room, Which, check_names};

/// Which scope a command works on.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ScopeArgs {
    /// Work on the user's plugins, also inside a project.
    #[arg(long)]
    user: bool,
}

impl ScopeArgs {
    pub(super) fn which(&self) -> Which {
        if self.user {
            Which::User
        } else {
            Which::Nearest
        }
    }
}

/// How versions are fetched.
#[derive(Debug, Default, clap::Args)]
pub(super) struct FetchArgs {
    /// Connect to nothing: use what was fetched before.
    #[arg(long)]
    pub(super) offline: bool,
    /// Allow the native code of this plugin, which then has your full authority; repeatable.
    #[arg(long, value_name = "NAME")]
    pub(super) allow_native: Vec<String>,
}

impl FetchArgs {
    pub(super) fn registries(&self, room: &Room) -> Result<Registries> {
        let wishes = Wishes {
            allow_native: self.allow_native.clone(),
            ..Wishes::default()
        };
        room.registries(wishes, self.offline)
    }
}

/// Plans a goal, carries it out unless it is only asked for, and prints what changed.
pub(super) fn reach(
    app: &App,
    room: &Room,
    fetch: &FetchArgs,
    goal: &Goal,
    dry_run: bool,
) -> Result<Exit> {
    carry_out(app, room, fetch, dry_run, |registries| {
        room.session(registries).plan(goal)
    })
}

/// As [`reach`], with a plan of another kind.
pub(super) fn carry_out(
    app: &App,
    room: &Room,
    fetch: &FetchArgs,
    dry_run: bool,
    plan: impl FnOnce(&Registries) -> Result<Plan>,
) -> Result<Exit> {
    let _turn = room.turn(app)?;
    let registries = fetch.registries(room)?;
    let plan = plan(&registries)?;
    for (source, key) in registries.met() {
        crate::plugins::trust::open(&room.data)?.record_registry(&source.url, &key, None)?;
        let registry = &source.registry;
        app.output.warn(plain(&format!(
            "registry {registry} was asked for the first time and its key {key} is pinned: compare it with what its keeper says"
        )));
    }
    let before = room.lock().unwrap_or_default();
    let comes = |locked: &Locked| {
        before.plugins.get(&locked.name) != Some(locked) || !room.is_installed(locked)
    };
    if plan.lock().plugins.values().any(comes) {
        let found = app.registry()?;
        check_names(found.catalog(), &registries, &before, plan.lock(), &comes)?;
    }
    if dry_run {
        let applied = plan.outline()?;
        return report(app, room, &applied, plan.lock(), true);
    }
    registries.keep_revocations()?;
    let lock = plan.lock().clone();
    let mut told = |locked: &Locked| {
        app.output.note(plain(&format!(
            "installing {} from {}",
            locked.title(),
            locked.registry
        )));
    };
    let applied = room.session(&registries).apply(plan, &mut told)?;
    remember(&room.data, &room.scope)?;
    report(app, room, &applied, &lock, false)
}

fn report(app: &App, room: &Room, applied: &Applied, lock: &Lock, dry_run: bool) -> Result<Exit> {
    for warning in &applied.warnings {
        app.output.warn(plain(warning));
    }
    if app.output.is_json() {
        app.output.value(&json!({
            "scope": room.scope.kind, "project": room.scope.project_file(), "lock": room.scope.lock_file(),
            "changes": applied.changes, "installed": titles(applied), "plugins": lock.plugins.len(), "dry_run": dry_run,
            "written": written(applied, room),
        }))?;
        return Ok(Exit::Done);
    }
    for change in &applied.changes {
        app.output.line(plain(&line(change, lock)))?;
    }
    let count = lock.plugins.len();
    let scope = room.scope.kind.as_str();
    let names: Vec<_> = written(applied, room)
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    let nothing_came = applied.changes.is_empty() && applied.installed.is_empty();
    app.output
        .note(match (nothing_came, names.as_slice(), dry_run) {
            (true, [], _) => format!("nothing changes: {count} plugins in the {scope}'s lock"),
            // What is asked for may change while the same versions answer it: a pin at the version in use, say.
            (true, names, false) => format!(
                "no version changes, only {}: {count} plugins in the {scope}'s lock",
                names.join(" and ")
            ),
            (true, names, true) => format!(
                "no version would change, only {} (--dry-run)",
                names.join(" and ")
            ),
            (false, _, true) => "nothing was changed (--dry-run)".to_owned(),
            (false, _, false) => format!("{count} plugins in {}", room.scope.lock_file().display()),
        });
    Ok(Exit::Done)
}

/// The scope's files that change.
fn written(applied: &Applied, room: &Room) -> Vec<PathBuf> {
    let project = applied.project_changes.then(|| room.scope.project_file());
    let lock = applied.lock_changes.then(|| room.scope.lock_file());
    project.into_iter().chain(lock).collect()
}

fn titles(applied: &Applied) -> Vec<Value> {
    let one =
        |(name, version): &(String, semver::Version)| json!({"name": name, "version": version});
    applied.installed.iter().map(one).collect()
}

/// A change with the registry that a new plugin comes from.
fn line(change: &Change, lock: &Lock) -> String {
    let from = lock
        .plugins
        .get(&change.name)
        .filter(|_| change.from.is_none());
    let from = from.map(|locked| format!("  ({})", locked.registry));
    format!("{}{}", change.line(), from.unwrap_or_default())
}

/// Splits `NAME` or `NAME@REQ` into what a plan needs.
pub(super) fn wishes(
    texts: &[String],
    registry: Option<&str>,
) -> Result<Vec<codex_packages::session::Edit>> {
    texts
        .iter()
        .map(|text| {
            let (name, versions) = codex_packages::project::parse_wish(text)?;
            Ok(codex_packages::session::Edit::Want {
                name,
                versions,
                registry: registry.map(str::to_owned),
            })
        })
        .collect()
}
