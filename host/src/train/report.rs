//! What the user reads before and after a run.

use std::path::Path;

use codex_plugin_api::Result;
use codex_redaction::Count;
use serde_json::json;

use super::folder::RunFolder;
use super::setup::Setup;
use super::{Outcome, Status, score};
use crate::app::App;
use crate::sanitize::told;
use crate::task::Task;

/// What is going to be trained, on what.
pub(super) fn begins(setup: &Setup, folder: &RunFolder, app: &App) {
    let data = &setup.data;
    let count = |key: &str| data[key].as_u64().unwrap_or(0);
    app.output.note(format!(
        "run {}: {} steps on {} documents ({} tokens of a vocabulary of {}), {} held out",
        folder.path().display(),
        setup.steps,
        grouped(count("train_documents")),
        grouped(count("tokens")),
        grouped(u64::from(setup.vocabulary.size)),
        grouped(count("validation_documents")),
    ));
    if let Some(found) = sanitized(setup) {
        app.output.note(found);
    }
    if let Ok(info) = setup.model.info() {
        app.output.note(format!(
            "model {} ({}): {} parameters, {} on {}",
            setup.resolved.config.model.name,
            info.architecture,
            grouped(info.parameters),
            info.precision,
            info.device,
        ));
    }
    if let Some(adapter) = &setup.adapter {
        app.output.note(format!(
            "adapter {} for {}: {} train, at {}",
            adapter.name,
            adapter.base,
            adapter.share(),
            adapter.places()
        ));
    }
}

/// What the sanitizers found in the documents.
fn sanitized(setup: &Setup) -> Option<String> {
    let counts = serde_json::from_value::<Vec<Count>>(setup.sanitized["counts"].clone());
    let found = told(&counts.ok()?)?;
    Some(format!("the documents held {found}"))
}

/// How the run ended, and what to type next.
pub(super) fn ended(outcome: &Outcome, app: &App) -> Result<()> {
    if app.output.is_json() {
        let mut result =
            json!({"run": outcome.run, "status": outcome.status, "metrics": outcome.metrics()});
        if let Some(model) = &outcome.model {
            result["model"] = json!(model);
        }
        result["folder"] = json!(outcome.folder);
        return app.output.value(&result);
    }
    if !outcome.scores.is_empty() && outcome.status != Status::Interrupted {
        app.output.line(table(outcome))?;
    }
    match (&outcome.model, outcome.status) {
        (Some(model), status) => {
            let early = match status {
                Status::StoppedEarly => " (stopped early; this is the best checkpoint)",
                _ => "",
            };
            app.output.line(format!(
                "trained {} steps{early}; the model is in {}",
                outcome.steps,
                model.display()
            ))?;
            app.output.note(next(model, outcome.task));
        }
        (None, _) => app.output.note(format!(
            "interrupted after step {}; continue with\n  codex-ml train --resume {}",
            outcome.steps,
            shell_word(&outcome.folder)
        )),
    }
    Ok(())
}

fn next(model: &Path, task: Task) -> String {
    let model = shell_word(model);
    let mut commands = vec![format!("codex-ml evaluate --model {model}")];
    match task {
        Task::CausalLm => {
            commands.insert(
                0,
                format!("codex-ml generate --model {model} --prompt \"The\""),
            );
            commands.push(
                "codex-ml train data.path=MY.txt          # the same on your own text".into(),
            );
        }
        Task::MaskedLm => commands.push(format!(
            "codex-ml train --config embedding model.path={model}   # embeddings from this encoder"
        )),
        Task::Embedding => commands.insert(
            0,
            format!("echo \"a text\" | codex-ml embed --model {model}"),
        ),
        Task::Classification | Task::Regression => {}
    }
    format!("\nwhat to type next:\n  {}", commands.join("\n  "))
}

/// The scores in two columns; bits per byte with the least that any model could reach beside it.
fn table(outcome: &Outcome) -> String {
    let floor = score(&outcome.scores, "bits_per_byte_floor");
    let bits = score(&outcome.scores, "bits_per_byte");
    let width = outcome.scores.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0);
    let rows = match outcome.task {
        Task::CausalLm | Task::MaskedLm => "held-out documents",
        Task::Embedding => "held-out pairs",
        Task::Classification | Task::Regression => "held-out texts",
    };
    let mut lines = vec![rows.to_owned()];
    for (name, value) in &outcome.scores {
        let shown = value.map_or_else(|| "not a number".to_owned(), |value| format!("{value:.4}"));
        let gap = match (name.as_str(), bits, floor) {
            ("bits_per_byte", Some(bits), Some(floor)) if floor > 0.0 => {
                format!("   {:.1} % above the floor", 100.0 * (bits / floor - 1.0))
            }
            ("bits_per_byte_floor", ..) => "   what the text itself needs".to_owned(),
            _ => String::new(),
        };
        lines.push(format!("  {name:width$}  {shown:>10}{gap}"));
    }
    lines.join("\n")
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:\\".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A number in groups of three: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_paths_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(shell_word(Path::new("runs/a-1/model")), "runs/a-1/model");
        assert_eq!(shell_word(Path::new("my runs/it's")), "'my runs/it'\\''s'");
    }
}
