//! `codex-ml plugin dev`: the author's loop. What a turn of it does is in `plugins/dev.rs`; here are the line that is repeated,
//! and what is shown.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use codex_plugin_api::{Error, ErrorKind, Result};

use crate::app::App;
use crate::cli::line::{self, Outcome};
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::dev::watch::Watch;
use crate::plugins::dev::{Turn, Workbench};

/// How long to wait between two looks at the sources.
const PAUSE: Duration = Duration::from_millis(200);

/// Arguments of `plugin dev`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Build a plugin after every change of its sources, hold it against the contract of its kind, and use it.\n\nThe \
                  command line behind -- is run again with each new version, in this process: a metric is seen in evaluate, a \
                  dataset in data inspect, a command by its own name. Errors of the compiler and broken promises are shown, and \
                  the loop goes on with the next change. A change stops the line that is running. Ctrl-C ends it.",
    after_help = "Examples:\n  codex-ml plugin dev word-rate -- evaluate --model runs/first/model --metric word-rate\n  codex-ml \
                  plugin dev -- data inspect sums\n  codex-ml plugin dev --grant -- top-words README.md"
)]
pub(super) struct Args {
    /// The folder with plugin.toml and the sources.
    #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// Build, test and run once, without watching; the exit code tells how it went.
    #[arg(long)]
    once: bool,
    /// Grant a sandboxed plugin all that it asks for, while this runs.
    #[arg(long)]
    grant: bool,
    /// What to run with each version: evaluate …, generate …, or any other command but plugin.
    #[arg(last = true, value_name = "COMMAND …")]
    line: Vec<OsString>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    if args.line.first().is_some_and(|word| word == "plugin") {
        return Err(Error::config(
            "plugin dev repeats a command that uses the plugin, not codex-ml plugin",
        )
        .hint(
            "codex-ml plugin dev -- evaluate --model runs/first/model --metric NAME, for example",
        ));
    }
    let mut workbench = Workbench::new(&args.dir, args.grant, app)?;
    let mut watch = Watch::new(&args.dir);
    loop {
        let outcome = turn(&mut workbench, args, &watch, app);
        if args.once {
            return outcome.map(|ended| ended.unwrap_or(Exit::Done));
        }
        match outcome {
            // The parser said what is wrong with the line: no change of the sources mends that.
            Ok(Some(Exit::Usage)) => return Ok(Exit::Usage),
            Ok(_) => {}
            // A folder that holds no plugin is the caller's slip, and the loop would wait for ever.
            Err(error) if !args.dir.join("plugin.toml").is_file() => return Err(error),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => app.output.error(&error),
        }
        if !wait(&mut watch, args, app) {
            app.output.note("ended");
            return Ok(Exit::Done);
        }
    }
}

/// Builds, checks, and runs the line; how the line ended, where it ran.
fn turn(
    workbench: &mut Workbench<'_>,
    args: &Args,
    watch: &Watch,
    app: &App,
) -> Result<Option<Exit>> {
    let turn = workbench.turn()?;
    tell(&turn, app)?;
    if args.line.is_empty() {
        return Ok(None);
    }
    let with_plugin = workbench.swap_in(&turn)?;
    let outcome = stopping_at_changes(&with_plugin, args, watch, app, || {
        line::run(&args.line, &with_plugin)
    })?;
    match outcome {
        Outcome::Ran(exit) => Ok(Some(exit)),
        Outcome::Wrong(error) => Ok(Some(app.output.usage(&error))),
    }
}

/// Says what was built. A broken promise is an error, and the version is not used.
fn tell(turn: &Turn, app: &App) -> Result<()> {
    let title = turn.plugin.title();
    if turn.broken.is_empty() {
        app.output.note(plain(&format!(
            "{title} built in {:.1} s, {} checks passed",
            turn.built.time.as_secs_f64(),
            turn.passed
        )));
        return Ok(());
    }
    for line in &turn.broken {
        app.output.warn(plain(line));
    }
    let message = format!(
        "{title} breaks its contract in {} of {} checks",
        turn.broken.len(),
        turn.broken.len() + turn.passed
    );
    Err(Error::new(ErrorKind::Plugin, message).hint(
        "mend what the lines above name; where it asks for a permission, --grant grants it here",
    ))
}

/// Runs something that stops when the user asks for it, or when there is a newer version to be built.
fn stopping_at_changes<T>(
    with_plugin: &App,
    args: &Args,
    watch: &Watch,
    app: &App,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let ended = std::sync::atomic::AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let newer = || !args.once && watch.differs();
                if app.interrupt.requested() || newer() {
                    with_plugin.interrupt.request();
                    return;
                }
                std::thread::park_timeout(PAUSE);
            }
        });
        let outcome = run();
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        outcome
    });
    if app.interrupt.requested() {
        return Err(Error::interrupted());
    }
    outcome
}

/// Waits for a change; false when the user asked to end.
fn wait(watch: &mut Watch, args: &Args, app: &App) -> bool {
    if !watch.differs() && !app.interrupt.requested() {
        app.output.note(format!(
            "waiting for changes in {} (Ctrl-C ends)",
            args.dir.display()
        ));
    }
    while !watch.differs() {
        if app.interrupt.requested() {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    // An editor may write several files, or one in parts.
    let mut changed = Vec::new();
    loop {
        let more = watch.take();
        if more.is_empty() {
            break;
        }
        changed.extend(more);
        std::thread::sleep(PAUSE / 2);
    }
    changed.sort();
    changed.dedup();
    app.output
        .note(plain(&format!("\nchanged: {}", changed.join(", "))));
    !app.interrupt.requested()
}
