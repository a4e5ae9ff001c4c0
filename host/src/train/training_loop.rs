//! The loop, from the first step to the last: batches, backward passes, optimizer step, events, evaluation, checkpoints.
//!
//! A run can be killed between any two lines of this file and continued by [`super::resume`] as if nothing had happened:
//! [`State`] says what was done last, every event is on record before the next thing begins, and batches, learning rate
//! and the model's randomness are functions of the step.

use std::time::Instant;

use codex_plugin_api::{Error, ErrorKind, OptimizerStep, Result, TokenBatch, TrainingPass};
use serde_json::{Map, Value, json};

use super::checkpoint::{self, Best, Next, Scores, State};
use super::components::Components;
use super::events::Events;
use super::first_step;
use super::folder::RunFolder;
use super::progress::Progress;
use super::setup::Setup;
use crate::app::App;
use crate::data::Batch;
use crate::evaluate::{self, Request};

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    StoppedEarly,
    Interrupted,
}

pub(super) struct Loop<'a> {
    pub(super) setup: &'a mut Setup,
    pub(super) folder: &'a RunFolder,
    pub(super) events: &'a mut Events,
    pub(super) state: &'a mut State,
    pub(super) components: &'a dyn Components,
    pub(super) app: &'a App,
}

impl Loop<'_> {
    /// Trains until the last step, until the validation loss no longer falls, or until the user asks to stop.
    ///
    /// # Errors
    /// What plugins and the disk say, and `Failed` naming step and batch when the loss is no number.
    pub(super) fn run(mut self) -> Result<End> {
        let app = self.app;
        let mut progress = Progress::new(self.setup.steps, self.state.step, app);
        let end = self.steps(&mut progress);
        progress.finish();
        end
    }

    fn steps(&mut self, progress: &mut Progress) -> Result<End> {
        let mut gradients_checked = false;
        loop {
            match self.state.next {
                Next::Step => {
                    if self.state.stopped_early {
                        return Ok(End::StoppedEarly);
                    }
                    if self.state.step >= self.setup.steps {
                        return Ok(End::Finished);
                    }
                    if self.app.interrupt.requested() {
                        return self.save_and_stop();
                    }
                    match self.train_step(&mut gradients_checked, progress) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {
                            return self.save_and_stop();
                        }
                        trained => trained?,
                    }
                    self.state.next = Next::Evaluation;
                }
                Next::Evaluation => {
                    let mut among_best = false;
                    if self.evaluation_is_due() {
                        if self.app.interrupt.requested() {
                            return self.save_and_stop();
                        }
                        match self.evaluate(progress) {
                            Err(error) if error.kind() == ErrorKind::Interrupted => {
                                return self.save_and_stop();
                            }
                            found => among_best = found?,
                        }
                    }
                    self.state.next = Next::Step;
                    if among_best || self.checkpoint_is_due() {
                        self.state.next = Next::Announcement;
                        self.write_checkpoint()?;
                    }
                }
                Next::Announcement => {
                    let keep_last = self.setup.resolved.config.training.keep_last;
                    checkpoint::publish(&self.folder.checkpoints(), self.state, keep_last)?;
                    let step = self.state.step;
                    let path = format!("checkpoints/{}", checkpoint::name(step));
                    let event = json!({"step": step, "path": path});
                    self.events.add("checkpoint", event, self.app)?;
                    self.state.next = Next::Step;
                }
            }
        }
    }

    fn train_step(&mut self, gradients_checked: &mut bool, progress: &mut Progress) -> Result<()> {
        let begun = Instant::now();
        let training = &self.setup.resolved.config.training;
        let accumulation = training.gradient_accumulation;
        let step = self.state.step + 1;

        let first = self.state.step * u64::from(accumulation);
        let batches: Vec<Batch> = (first..first + u64::from(accumulation))
            .map(|index| self.setup.batches.batch(index))
            .collect::<Result<_>>()?;
        let targets: u64 = batches.iter().map(|batch| batch.targets).sum();
        if targets == 0 {
            return Err(Error::data(format!(
                "step {step} has nothing to predict: {}",
                batches[0].identity
            ))
            .hint("use longer texts, or raise model.sequence_length"));
        }

        let mut loss = 0.0;
        for (number, batch) in batches.iter().enumerate() {
            let tokens: TokenBatch<'_> = batch.as_batch()?;
            let pass = TrainingPass {
                step,
                accumulation: number as u32,
                loss_scale: 1.0 / targets as f64,
            };
            let cost = self.setup.model.forward_backward(&tokens, &pass)?;
            if !cost.sum.is_finite() {
                return Err(self.diverged("loss", cost.sum, step, &batch.identity));
            }
            loss += cost.sum;
            if !*gradients_checked {
                first_step::check(self.setup.model.as_mut(), step, &batch.identity)?;
                *gradients_checked = true;
            }
        }
        let loss = loss / targets as f64;
        let learning_rate = self.setup.schedule.learning_rate(step);
        let grad_norm = self.setup.model.optimizer_step(&OptimizerStep {
            learning_rate,
            max_grad_norm: training.max_grad_norm,
        })?;
        if !grad_norm.is_finite() {
            return Err(self.diverged("gradient norm", grad_norm, step, &batches[0].identity));
        }

        self.state.step = step;
        let tokens: u64 = batches.iter().map(Batch::tokens).sum();
        self.state.tokens += tokens;
        let tokens_per_second = tokens as f64 / begun.elapsed().as_secs_f64().max(1e-9);
        self.events.add(
            "step",
            json!({
                "step": step,
                "loss": loss,
                "learning_rate": learning_rate,
                "grad_norm": grad_norm,
                "tokens": self.state.tokens,
                "tokens_per_second": tokens_per_second.round(),
            }),
            self.app,
        )?;
        progress.step(step, loss, tokens_per_second, self.app);
        Ok(())
    }

    fn is_last(&self) -> bool {
        self.state.step >= self.setup.steps
    }

    fn evaluation_is_due(&self) -> bool {
        let every = self.setup.resolved.config.training.evaluate_every;
        let due = every.is_some_and(|every| self.state.step.is_multiple_of(every));
        self.setup.validation.is_some() && (due || self.is_last())
    }

    fn checkpoint_is_due(&self) -> bool {
        let every = self.setup.resolved.config.training.checkpoint_every;
        let due = every.is_some_and(|every| self.state.step.is_multiple_of(every));
        due || self.is_last() || self.state.stopped_early
    }

    /// Evaluates on the held-out documents; gives whether the model now is among the best.
    fn evaluate(&mut self, progress: &mut Progress) -> Result<bool> {
        let Some(corpus) = self.setup.validation.clone() else {
            return Ok(false);
        };
        let metrics = self
            .setup
            .metrics
            .iter()
            .map(|(name, config)| Ok((name.clone(), self.components.metric(name, config)?)))
            .collect::<Result<_>>()?;
        let training = &self.setup.resolved.config.training;
        let report = evaluate::evaluate(
            Request {
                model: self.setup.model.as_mut(),
                tokenizer: self.setup.tokenizer.as_ref(),
                metrics,
                corpus: &corpus,
                task: &self.setup.task,
                max_samples: training.evaluate_documents,
                batch_tokens: self.setup.evaluation_tokens,
            },
            self.app,
        )?;
        let number = |value: f64| value.is_finite().then_some(value);
        let scores: Scores = report
            .metrics
            .iter()
            .map(|score| (score.name.clone(), number(score.value)))
            .collect();
        let values: Map<String, Value> = scores
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        let step = self.state.step;
        let event = json!({"step": step, "split": "validation", "metrics": values});
        self.events.add("evaluation", event, self.app)?;
        progress.evaluated(step, &summary(&scores), self.app);

        let loss = report.value("loss");
        self.state.scores = scores;
        self.consider_stopping(loss)?;
        Ok(loss.is_some_and(|loss| self.enter_best(loss)))
    }

    /// Counts evaluations without progress.
    fn consider_stopping(&mut self, loss: Option<f64>) -> Result<()> {
        let Some(stopping) = self.setup.resolved.config.training.early_stopping else {
            return Ok(());
        };
        let Some(loss) = loss else {
            return Err(Error::config(
                "training.early_stopping is set, but no metric gives a score called `loss`",
            )
            .hint(format!(
                "add {} to metrics",
                self.setup.task.task.usual_metric()
            )));
        };
        let progress = match self.state.lowest {
            Some(lowest) => loss < lowest - stopping.min_delta,
            None => loss.is_finite(),
        };
        if progress {
            self.state.lowest = Some(loss);
            self.state.evaluations_without_progress = 0;
        } else {
            self.state.evaluations_without_progress += 1;
            self.state.stopped_early =
                self.state.evaluations_without_progress >= stopping.patience && !self.is_last();
        }
        Ok(())
    }

    fn enter_best(&mut self, loss: f64) -> bool {
        let training = &self.setup.resolved.config.training;
        // Early stopping exports the best checkpoint, so there must be one.
        let places = training
            .keep_best
            .max(u32::from(training.early_stopping.is_some())) as usize;
        let best = &mut self.state.best;
        let place = best.iter().take_while(|best| best.loss <= loss).count();
        if !loss.is_finite() || place >= places {
            return false;
        }
        let entry = Best {
            step: self.state.step,
            loss,
            scores: self.state.scores.clone(),
        };
        best.insert(place, entry);
        best.truncate(places);
        true
    }

    fn write_checkpoint(&mut self) -> Result<()> {
        self.events.flush(self.app)?;
        self.state.events_bytes = self.events.bytes();
        let folder = self.folder.checkpoints();
        checkpoint::write(&folder, self.setup.model.as_ref(), self.state)
    }

    /// The user asked to stop: what was trained since the last checkpoint is kept.
    fn save_and_stop(&mut self) -> Result<End> {
        let saved = self
            .folder
            .checkpoints()
            .join(checkpoint::name(self.state.step));
        // A checkpoint of this step, if there is one, was written before a pending evaluation at the latest.
        if self.state.step > 0 && !saved.exists() {
            self.write_checkpoint()?;
            let keep_last = self.setup.resolved.config.training.keep_last;
            checkpoint::publish(&self.folder.checkpoints(), self.state, keep_last)?;
        }
        Ok(End::Interrupted)
    }

    fn diverged(&self, what: &str, value: f64, step: u64, batch: &str) -> Error {
        let rate = self.setup.schedule.learning_rate(step);
        let last = checkpoint::list(&self.folder.checkpoints())
            .ok()
            .and_then(|mut all| all.pop());
        let kept = last.map_or_else(String::new, |(_, path)| {
            format!("; the last checkpoint is {}", path.display())
        });
        Error::failed(format!("the {what} is {value} at step {step} ({batch})")).hint(format!(
            "lower training.learning_rate ({rate:.3e} at this step), raise training.warmup_steps, or look at those documents{kept}"
        ))
    }
}

/// The scores that a line has room for.
pub(super) fn summary(scores: &Scores) -> String {
    let shown = [
        "loss",
        "perplexity",
        "bits_per_byte",
        "bits_per_byte_floor",
        "accuracy",
        "f1_macro",
        "accuracy_at_1",
        "mrr",
        "pearson",
        "spearman",
    ];
    let known: Vec<String> = scores
        .iter()
        .filter(|(name, _)| shown.contains(&name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name} {:.4}", (*value)?)))
        .collect();
    if known.is_empty() {
        let all = scores
            .iter()
            .take(3)
            .filter_map(|(name, value)| Some(format!("{name} {:.4}", (*value)?)));
        return all.collect::<Vec<_>>().join("  ");
    }
    known.join("  ")
}
