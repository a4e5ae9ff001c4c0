//! `codex-ml plugin`: one file a subcommand.

mod add;
mod audit;
mod build;
mod clean;
mod dev;
mod distrust;
mod doctor;
mod grant;
mod info;
mod install;
mod key;
mod limit;
mod list;
mod new;
mod outdated;
mod pack;
mod packages;
mod pin;
mod policy;
mod publish;
mod remove;
mod revoke;
mod rollback;
mod run;
pub(in crate::cli) mod sign;
mod sync;
mod test;
mod tree;
mod trust;
mod unpin;
mod update;
mod verify;
mod why;
mod wit;

use codex_plugin_api::Result;

use crate::app::App;
use crate::exit::Exit;

/// Arguments of `plugin`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

// Where a command's arguments bring a long description, `about` stands instead of a doc comment, which would replace it.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the plugins that were found.
    List,
    /// Show what a plugin is, what it offers and what it asks for.
    Info(info::Args),
    #[command(about = "Install plugins for yourself: from a registry by name, or from a path")]
    Install(install::Args),
    #[command(about = "Add plugins from a registry to the project")]
    Add(add::Args),
    #[command(about = "Install exactly what the lock names")]
    Sync(sync::Args),
    #[command(about = "Take newer versions, within what is asked for")]
    Update(update::Args),
    #[command(about = "Show which plugins could be newer, and which were taken back")]
    Outdated(outdated::Args),
    #[command(about = "Hold plugins at a version")]
    Pin(pin::Args),
    /// Hold plugins at a version no longer.
    Unpin(unpin::Args),
    #[command(about = "Go back to what was in use before the last change")]
    Rollback(rollback::Args),
    /// Show what is asked for, and what that needs.
    Tree(tree::Args),
    /// Show why a plugin is in use.
    Why(why::Args),
    #[command(about = "Remove installed versions that nothing uses")]
    Clean(clean::Args),
    #[command(about = "Remove a plugin")]
    Remove(remove::Args),
    #[command(about = "Show what a sandboxed plugin asks for, and decide what it may do")]
    Grant(grant::Args),
    #[command(about = "Take back what a sandboxed plugin was granted")]
    Revoke(revoke::Args),
    #[command(about = "Show or set how much a sandboxed plugin may use")]
    Limit(limit::Args),
    #[command(
        about = "Run a plugin's command by its full name, also where another has taken the short one"
    )]
    Run(run::Args),
    #[command(about = "Show and decide whom you trust with a plugin's name")]
    Trust(trust::Args),
    #[command(about = "Take trust in a plugin back")]
    Distrust(distrust::Args),
    /// Check everything that was installed again: files, locks, signatures, pins, the log (exit code 3 when one is wrong).
    Verify,
    #[command(
        about = "Report what is known against the plugins in use (exit code 3 when there is something)"
    )]
    Audit(audit::Args),
    /// Show what this machine accepts.
    Policy(policy::Args),
    /// Try every plugin that was found; say why one is refused and what mends it (exit code 3).
    Doctor,
    #[command(
        about = "Begin a plugin: a folder that builds, passes its tests and does something small"
    )]
    New(new::Args),
    /// Build a plugin into one file: a WebAssembly component from Rust, C or Python, or a native library from Rust.
    Build(build::Args),
    #[command(about = "Build a plugin after every change, test it, and use it at once")]
    Dev(dev::Args),
    /// Hold a plugin's components against the contracts of their kinds (exit code 3 when one is broken).
    Test(test::Args),
    #[command(about = "Put a built plugin into one archive")]
    Pack(pack::Args),
    #[command(about = "Sign a package")]
    Sign(sign::Args),
    #[command(about = "Sign a package and add it to a registry")]
    Publish(publish::Args),
    /// Make and show the keys that packages and registries are signed with.
    Key(key::Args),
    /// Write out the interface that plugins in WebAssembly are built against.
    Wit(wit::Args),
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    match &args.command {
        Command::List => list::run(app),
        Command::Info(args) => info::run(args, app),
        Command::Install(args) => install::run(args, app),
        Command::Add(args) => add::run(args, app),
        Command::Sync(args) => sync::run(args, app),
        Command::Update(args) => update::run(args, app),
        Command::Outdated(args) => outdated::run(args, app),
        Command::Pin(args) => pin::run(args, app),
        Command::Unpin(args) => unpin::run(args, app),
        Command::Rollback(args) => rollback::run(args, app),
        Command::Tree(args) => tree::run(args, app),
        Command::Why(args) => why::run(args, app),
        Command::Clean(args) => clean::run(args, app),
        Command::Remove(args) => remove::run(args, app),
        Command::Grant(args) => grant::run(args, app),
        Command::Revoke(args) => revoke::run(args, app),
        Command::Limit(args) => limit::run(args, app),
        Command::Run(args) => run::run(args, app),
        Command::Trust(args) => trust::run(args, app),
        Command::Distrust(args) => distrust::run(args, app),
        Command::Verify => verify::run(app),
        Command::Audit(args) => audit::run(args, app),
        Command::Policy(args) => policy::run(args, app),
        Command::Doctor => doctor::run(app),
        Command::New(args) => new::run(args, app),
        Command::Build(args) => build::run(args, app),
        Command::Dev(args) => dev::run(args, app),
        Command::Test(args) => test::run(args, app),
        Command::Pack(args) => pack::run(args, app),
        Command::Sign(args) => sign::run(args, app),
        Command::Publish(args) => publish::run(args, app),
        Command::Key(args) => key::run(args, app),
        Command::Wit(args) => wit::run(args, app),
    }
}
