//! `codex-ml evaluate`: scores a model folder on held-out or other data.

use std::path::PathBuf;

use codex_plugin_api::{Error, Metric, Result};
use serde_json::Value;

use super::adapters::{AdapterArgs, with_adapters};
use super::settings::{self, Setting};
use crate::app::App;
use crate::data::{Corpus, DataSource};
use crate::evaluate::{Request, evaluate};
use crate::exit::Exit;
use crate::model_folder::ModelFolder;
use crate::task::Task;

/// Tokens that the model gets at once where nothing says otherwise.
const BATCH_TOKENS: usize = 2048;

const ELSEWHERE: &str = "give --data FILE, or --data NAME for an installed dataset";

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Measure how well a model does its task: predict text, find the text that belongs to another, tell classes \
                  apart, predict values.\n\nWithout --data, a model that codex-ml trained is scored on the rows that its run \
                  held out for validation, so the numbers are those of the run's own report. With --data, every row of a \
                  file, folder or dataset is scored; data.text_column, data.anchor_column, data.positive_column and \
                  data.label_column choose its columns.",
    after_help = "Examples:\n  codex-ml evaluate --model runs/first/model\n  codex-ml evaluate --model runs/first/model \
                  --data notes.txt --output report\n  codex-ml evaluate --model gpt2/ --data reviews.csv \
                  data.text_column=body --max-documents 100\n  codex-ml evaluate --model all-MiniLM-L6-v2/ --data pairs.csv \
                  data.anchor_column=question data.positive_column=answer\n  codex-ml evaluate --model runs/first/model \
                  --adapter runs/tuned/model"
)]
pub(super) struct Args {
    /// The model, or an adapter of it: a folder that training exported (runs/NAME/model), or a Hugging Face model's.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    model: PathBuf,
    #[command(flatten)]
    adapters: AdapterArgs,
    /// What to score it on: a file, a folder (./NAME), or a dataset's name [default: what its run held out].
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    data: Option<String>,
    /// The task to judge it on [default: what it was trained for].
    #[arg(long, value_name = "TASK", value_parser = clap::builder::PossibleValuesParser::new(Task::ALL.map(Task::word)))]
    task: Option<String>,
    /// Compute this metric; repeatable [default: the metrics of its run, else its task's usual one].
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Score only the first so many documents, pairs or texts [default: all; of what its run held out, as many as the run looked at].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_documents: Option<u64>,
    /// Also write report.json, report.ndjson and report.csv into this folder.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: Option<PathBuf>,
    /// About how many tokens the model gets at once: more is faster until memory runs out [default: as its run, else 2048].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_tokens: Option<u32>,
    /// Keys of the dataset and of metrics: data.KEY=VALUE, metrics.NAME.KEY=VALUE, metrics=[…].
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let settings = Setting::parse_all(&args.settings)?;
    if let Some(setting) = settings.iter().find(|setting| {
        setting.data_key().is_none()
            && setting.key != "metrics"
            && !setting.key.starts_with("metrics.")
    }) {
        return Err(setting.unknown("data.KEY, metrics and metrics.NAME.KEY"));
    }
    let folder = args.adapters.open(&args.model)?;
    let own_task = folder.task()?;
    let asked = args.task.as_deref().and_then(Task::of_word);
    let task = folder.task_settings(asked.unwrap_or(own_task))?;
    let usual = if task.task == own_task {
        folder.metrics()
    } else {
        &[]
    };
    let metrics = settings::metrics(&args.metric, usual, task.task.usual_metric(), &settings)?;
    // What can be wrong at once comes before the model is loaded.
    let registry = app.registry()?;
    let metrics = metrics
        .into_iter()
        .map(|metric| {
            let component = registry.create_metric(&metric.name, &Value::Object(metric.options))?;
            Ok((metric.name, component))
        })
        .collect::<Result<Vec<(String, Box<dyn Metric>)>>>()?;
    let selection = Selection::new(args.data.as_deref(), &settings, &folder, task.task, app)?;
    let max_samples = args.max_documents.or(selection.limit);
    let tokenizer = folder.load_tokenizer(app)?;
    let mut model = folder.load_model_for(task.task, app)?;
    let known = model.info()?.tasks;
    if !known.iter().any(|known| known == task.task.word()) {
        return Err(Error::config(format!(
            "the model in {} cannot do {}, only {}",
            folder.path().display(),
            task.task,
            known.join(", ")
        ))
        .hint("--task chooses another"));
    }
    let rows = match task.task {
        Task::CausalLm | Task::MaskedLm => "documents",
        Task::Embedding => "pairs",
        Task::Classification | Task::Regression => "texts",
    };
    let count = max_samples.unwrap_or(u64::MAX).min(selection.corpus.len());
    app.output.note(format!(
        "evaluating {}{} on {count} {rows} of {}",
        folder.path().display(),
        with_adapters(&folder),
        selection.label
    ));
    if task.task == Task::CausalLm && !tokenizer.vocabulary()?.lossless {
        app.output.note(
            "this tokenizer does not keep every byte of a text, so bits per byte are approximate",
        );
    }
    let batch_tokens = args
        .batch_tokens
        .map(|tokens| tokens as usize)
        .or(folder.evaluation_tokens());
    let report = evaluate(
        Request {
            model: model.as_mut(),
            tokenizer: tokenizer.as_ref(),
            metrics,
            corpus: &selection.corpus,
            task: &task,
            max_samples,
            batch_tokens: batch_tokens.unwrap_or(BATCH_TOKENS),
        },
        app,
    )?;
    // The files first: a reader that closes standard output early must not cost them.
    if let Some(output) = &args.output {
        report.write(output)?;
    }
    if app.output.is_json() {
        app.output.value(&report)?;
    } else {
        app.output
            .table(["metric", "value", "better"], report.rows())?;
        app.output.note(format!(
            "{} {rows}, {} tokens, {} bytes",
            report.samples, report.tokens, report.bytes
        ));
    }
    if let Some(output) = &args.output {
        app.output
            .note(format!("report written to {}", output.display()));
    }
    Ok(Exit::Done)
}

/// What is scored.
struct Selection {
    corpus: Corpus,
    /// What to call it.
    label: String,
    /// Only the first so many documents, where nobody says otherwise.
    limit: Option<u64>,
}

impl Selection {
    fn new(
        argument: Option<&str>,
        settings: &[Setting],
        folder: &ModelFolder,
        task: Task,
        app: &App,
    ) -> Result<Self> {
        let sets = |key: &str| {
            let mut keys = settings.iter().filter_map(Setting::data_key);
            keys.any(|set| set == key)
        };
        let (mut source, own) = match (argument, folder.data()) {
            (Some(argument), _) => (DataSource::from_argument(argument)?, false),
            (None, _) if sets("path") || sets("name") => (DataSource::default(), false),
            (None, Some(section)) => (DataSource::from_section(section)?, true),
            (None, None) => {
                let what = format!(
                    "nothing says what to evaluate {} on",
                    folder.path().display()
                );
                return Err(Error::config(what).hint(ELSEWHERE));
            }
        };
        settings::apply_data(&mut source, settings)?;
        let source = source.or_files()?;
        let opened = source.open_corpus(task, app);
        let corpus = if own {
            opened.map_err(|error| {
                let hint = error.hint_text().map_or_else(
                    || ELSEWHERE.to_owned(),
                    |hint| format!("{hint}, or {ELSEWHERE}"),
                );
                let what = format!(
                    "the data that the model was trained on ({}) cannot be opened",
                    source.label()
                );
                error.context(what).hint(hint)
            })?
        } else {
            opened?
        };
        // Of other data everything is scored, unless a part was asked for.
        let fraction = source.validation_fraction.or(own.then_some(0.0));
        let Some(fraction) = fraction else {
            return Ok(Self {
                corpus,
                label: source.label(),
                limit: None,
            });
        };
        if own && fraction == 0.0 {
            let what = format!(
                "the run that trained {} held nothing back",
                folder.path().display()
            );
            return Err(Error::config(what).hint(ELSEWHERE));
        }
        let (_, validation) = corpus.split(fraction, folder.seed())?;
        Ok(Self {
            corpus: validation,
            label: format!("{} held out for validation", source.label()),
            limit: own.then(|| folder.evaluate_documents()).flatten(),
        })
    }
}
