//! `codex-ml evaluate`: scores a model folder on held-out or other text.

use std::path::PathBuf;

use codex_plugin_api::{Error, Metric, Result};
use serde_json::Value;

use super::settings::{self, Setting};
use crate::app::App;
use crate::data::{DataSource, Documents};
use crate::evaluate::{Request, evaluate};
use crate::exit::Exit;
use crate::model_folder::ModelFolder;

/// Tokens that the model gets at once where nothing says otherwise.
const BATCH_TOKENS: usize = 2048;

const ELSEWHERE: &str = "give --data FILE, or --data NAME for an installed dataset";

/// Arguments of `evaluate`.
#[derive(Debug, clap::Args)]
#[command(
    long_about = "Measure how well a model predicts text.\n\nWithout --data, a model that codex-ml trained is scored on \
                  the documents that its run held out for validation, so the numbers are those of the run's own report. \
                  With --data, every document of a file, folder or dataset is scored.",
    after_help = "Examples:\n  codex-ml evaluate --model runs/first/model\n  codex-ml evaluate --model runs/first/model \
                  --data notes.txt --output report\n  codex-ml evaluate --model gpt2/ --data reviews.csv \
                  data.text_column=body --max-documents 100"
)]
pub(super) struct Args {
    /// The model: a folder that training exported (runs/NAME/model), or a Hugging Face model's.
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    model: PathBuf,
    /// What to score it on: a file, a folder (./NAME), or a dataset's name [default: what its run held out].
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    data: Option<String>,
    /// Compute this metric; repeatable [default: the metrics of its run, else lm].
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Score only the first so many documents [default: all; of what its run held out, as many as the run looked at].
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
    let folder = ModelFolder::open(&args.model)?;
    let metrics = settings::metrics(&args.metric, folder.metrics(), &settings)?;
    // What can be wrong at once comes before the model is loaded.
    let registry = app.registry()?;
    let metrics = metrics
        .into_iter()
        .map(|metric| {
            let component = registry.create_metric(&metric.name, &Value::Object(metric.options))?;
            Ok((metric.name, component))
        })
        .collect::<Result<Vec<(String, Box<dyn Metric>)>>>()?;
    let selection = Selection::new(args.data.as_deref(), &settings, &folder, app)?;
    let documents = &selection.documents;
    let max_documents = args.max_documents.or(selection.limit);
    let tokenizer = folder.load_tokenizer(app)?;
    let mut model = folder.load_model(app)?;
    let count = max_documents.unwrap_or(u64::MAX).min(documents.len());
    app.output.note(format!(
        "evaluating {} on {count} documents of {}",
        folder.path().display(),
        selection.label
    ));
    if !tokenizer.vocabulary()?.lossless {
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
            documents,
            max_documents,
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
            "{} documents, {} tokens, {} bytes",
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
    documents: Documents,
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
        let opened = source.open(app);
        let documents = if own {
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
                documents,
                label: source.label(),
                limit: None,
            });
        };
        if own && fraction == 0.0 {
            let what = format!(
                "the run that trained {} held no documents back",
                folder.path().display()
            );
            return Err(Error::config(what).hint(ELSEWHERE));
        }
        let (_, validation) = documents.split(fraction, folder.seed())?;
        Ok(Self {
            documents: validation,
            label: format!("{} held out for validation", source.label()),
            limit: own.then(|| folder.evaluate_documents()).flatten(),
        })
    }
}
