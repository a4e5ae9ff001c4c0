//! The metrics of one evaluation: what they need together, and what happens when one fails.

use codex_plugin_api::{Error, ErrorKind, Metric, Needs, Result, Samples};

use super::{NamedScore, gives};
use crate::app::App;
use crate::task::Task;

/// The metrics that are still in the running.
pub(super) struct Metrics {
    running: Vec<(String, Box<dyn Metric>)>,
    needs: Needs,
    failure: Option<Error>,
}

impl Metrics {
    /// Leaves out, with a warning, metrics that need what evaluating the task does not give.
    pub(super) fn new(
        metrics: Vec<(String, Box<dyn Metric>)>,
        task: Task,
        app: &App,
    ) -> Result<Self> {
        let given = gives(task);
        let mut all = Self {
            running: Vec::new(),
            needs: Needs::default(),
            failure: None,
        };
        for (name, metric) in metrics {
            let needs = metric.needs();
            let missing: Vec<&str> = [
                (
                    "log-probabilities",
                    needs.log_probabilities,
                    given.log_probabilities,
                ),
                ("ranks", needs.ranks, given.ranks),
                ("token ids", needs.ids, given.ids),
                ("predictions", needs.predictions, given.predictions),
                ("labels", needs.labels, given.labels),
                ("embeddings", needs.embeddings, given.embeddings),
            ]
            .into_iter()
            .filter_map(|(word, needed, given)| (needed && !given).then_some(word))
            .collect();
            if missing.is_empty() {
                all.needs.log_probabilities |= needs.log_probabilities;
                all.needs.ranks |= needs.ranks;
                all.needs.ids |= needs.ids;
                all.needs.texts |= needs.texts;
                all.needs.labels |= needs.labels;
                all.needs.embeddings |= needs.embeddings;
                all.running.push((name, metric));
            } else {
                let error = Error::config(format!(
                    "metric {name} needs {}, which evaluating {task} does not give",
                    missing.join(" and ")
                ))
                .hint(format!(
                    "the usual metric of {task} is {}",
                    task.usual_metric()
                ));
                app.output.warn(format!("{error}; going on without it"));
                all.failure = Some(error);
            }
        }
        all.check()?;
        Ok(all)
    }

    /// What all of them need together.
    pub(super) fn needs(&self) -> Needs {
        self.needs
    }

    pub(super) fn update(&mut self, samples: &Samples<'_>, app: &App) -> Result<()> {
        let mut failed = None;
        self.running.retain_mut(|(name, metric)| {
            let updated = metric.update(samples);
            let error = updated.err().map(|error| leave_out(name, error, app));
            let goes_on = error.is_none();
            failed = failed.take().or(error);
            goes_on
        });
        self.failure = self.failure.take().or(failed);
        self.check()
    }

    /// All scores. Where two metrics give the same name, the later one's is preceded by its metric's name.
    pub(super) fn compute(&mut self, app: &App) -> Result<Vec<NamedScore>> {
        let mut scores: Vec<NamedScore> = Vec::new();
        let mut computed = 0;
        for (metric, component) in &self.running {
            match component.compute() {
                Ok(given) => {
                    computed += 1;
                    for mut score in given.into_iter().map(NamedScore::from) {
                        if scores.iter().any(|other| other.name == score.name) {
                            score.name = format!("{metric}.{}", score.name);
                        }
                        scores.push(score);
                    }
                }
                Err(error) => {
                    let error = leave_out(metric, error, app);
                    self.failure = self.failure.take().or(Some(error));
                }
            }
        }
        match self.failure.take() {
            Some(error) if computed == 0 => Err(error),
            _ => Ok(scores),
        }
    }

    /// With no metric left there is nothing to go on for.
    fn check(&mut self) -> Result<()> {
        match self.failure.take() {
            Some(error) if self.running.is_empty() => Err(error),
            failure => {
                self.failure = failure;
                Ok(())
            }
        }
    }
}

/// Warns, and gives the error that is returned should no metric be left.
fn leave_out(name: &str, error: Error, app: &App) -> Error {
    let text = format!("metric {name} failed: {error}; going on without it");
    app.output.warn_of(text, &error);
    let error = match error.kind() {
        ErrorKind::Failed => Error::new(ErrorKind::Plugin, error.message().to_owned()),
        _ => error,
    };
    error.context(format!("metric {name} failed"))
}
