//! `codex-ml train`: begins runs, takes them up again, and goes through the combinations of a sweep.

use std::path::PathBuf;

use codex_plugin_api::{Error, Result};

use crate::app::App;
use crate::config::{self, Resolved};
use crate::exit::Exit;
use crate::train::{self, Outcome, Status};

/// Arguments of `train`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Train a model. Without a config, a small one on text from a built-in grammar, in about a minute.",
    after_help = "Examples:\n  codex-ml train\n  codex-ml train data.path=MY.txt\n  codex-ml train --config my-run.yaml \
                  model=minilm-small training.learning_rate=1e-3\n  codex-ml train -m training.learning_rate=1e-3,3e-3\n  \
                  codex-ml train --resume\n\n`codex-ml config show` prints every setting, `codex-ml config list` what can be picked."
)]
pub(super) struct Args {
    /// A run file, or the name of a ready-made run.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Continue a run (its name or folder) where its last checkpoint stands [default: the last unfinished one].
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", value_hint = clap::ValueHint::DirPath)]
    resume: Option<String>,
    /// Train once with every combination of settings that have several values: a=1,2.
    #[arg(short, long)]
    multirun: bool,
    /// Settings that override the config; a group's name picks a file of it: model=minilm-small.
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    if let Some(run) = &args.resume {
        return resume(run, args, app);
    }
    if !args.multirun {
        let resolved = config::resolve(args.config.as_deref(), &args.settings)?;
        return begin(resolved, app);
    }
    let combinations = config::expand(&args.settings);
    // All must be right before the first one spends an hour.
    for settings in &combinations {
        config::resolve(args.config.as_deref(), settings)?;
    }
    let total = combinations.len();
    for (at, settings) in combinations.into_iter().enumerate() {
        let number = at + 1;
        app.output
            .note(format!("run {number} of {total}: {}", settings.join(" ")));
        let mut settings = settings;
        let named = config::resolve(args.config.as_deref(), &settings)?;
        if let Some(name) = &named.config.run.name {
            settings.push(format!("run.name={name}-{number}"));
        }
        let exit = begin(config::resolve(args.config.as_deref(), &settings)?, app)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

fn begin(resolved: Resolved, app: &App) -> Result<Exit> {
    let registry = app.registry()?;
    end(&train::start(resolved, &registry, app)?, app)
}

fn resume(run: &str, args: &Args, app: &App) -> Result<Exit> {
    if args.multirun {
        return Err(Error::config("--resume and --multirun exclude each other")
            .hint("continue the runs of a sweep one by one"));
    }
    let mut settings = args.settings.clone();
    // `--resume key=value` means the last run, with a setting.
    let is_setting = run.contains('=');
    if is_setting {
        settings.insert(0, run.to_owned());
    }
    let run = (!run.is_empty() && !is_setting).then_some(run);
    let place = config::resolve(args.config.as_deref(), &settings)?;
    let folder = train::find(&place.config.run.dir, run, app)?;
    let now = args.config.is_some().then_some(&place);
    let registry = app.registry()?;
    end(
        &train::resume(&folder, now, &settings, &registry, app)?,
        app,
    )
}

fn end(outcome: &Outcome, app: &App) -> Result<Exit> {
    train::tell(outcome, app)?;
    Ok(match outcome.status {
        Status::Interrupted => Exit::Interrupted,
        Status::Finished | Status::StoppedEarly => Exit::Done,
    })
}
