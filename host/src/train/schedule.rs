//! How the learning rate goes over the steps: the functions of Transformers' `optimization.py`, number for number.

use std::f64::consts::PI;

use codex_plugin_api::{Error, Result};

use crate::config::{ScheduleName, ScheduleOptions, TrainingSection};

/// A schedule with everything filled in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    name: ScheduleName,
    rate: f64,
    warmup: u64,
    steps: u64,
    cycles: f64,
    power: f64,
    lr_end: f64,
    min_lr: f64,
    timescale: u64,
    stable: u64,
    decay: u64,
}

impl Schedule {
    /// The schedule that a configuration asks for, over `steps` steps.
    ///
    /// # Errors
    /// [`codex_plugin_api::ErrorKind::Config`] when numbers contradict each other.
    pub fn new(training: &TrainingSection, steps: u64) -> Result<Self> {
        let ScheduleOptions {
            num_cycles,
            power,
            lr_end,
            min_lr,
            timescale,
            num_stable_steps,
            num_decay_steps,
        } = training.schedule_options;
        let (name, rate, warmup) = (
            training.schedule,
            training.learning_rate,
            training.warmup_steps,
        );
        let restarts = name == ScheduleName::CosineWithRestarts;
        let decay = num_decay_steps.unwrap_or(steps / 10);
        let schedule = Self {
            name,
            rate,
            warmup,
            steps,
            cycles: num_cycles.unwrap_or(if restarts { 1.0 } else { 0.5 }),
            power: power.unwrap_or(1.0),
            lr_end: lr_end.unwrap_or(1e-7),
            min_lr: min_lr.unwrap_or(0.0),
            timescale: timescale.unwrap_or(if warmup > 0 { warmup } else { 10_000 }),
            stable: num_stable_steps.unwrap_or(steps.saturating_sub(warmup + decay)),
            decay,
        };
        let ends_above = match name {
            ScheduleName::Polynomial => Some(("lr_end", schedule.lr_end)),
            ScheduleName::CosineWithMinLr | ScheduleName::WarmupStableDecay => {
                Some(("min_lr", schedule.min_lr))
            }
            _ => None,
        };
        if let Some((key, end)) = ends_above.filter(|(_, end)| *end >= rate && rate > 0.0) {
            return Err(Error::config(format!(
                "training.schedule_options.{key} is {end}, which is not below training.learning_rate, {rate}"
            ))
            .hint(format!("lower {key} or raise the learning rate")));
        }
        Ok(schedule)
    }

    /// The learning rate of an optimizer step, from 1. The first step of a warm-up has rate 0, as in Transformers.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.rate * self.factor(step.saturating_sub(1))
    }

    fn factor(&self, step: u64) -> f64 {
        let min_factor = if self.rate > 0.0 {
            self.min_lr / self.rate
        } else {
            0.0
        };
        if step < self.warmup && self.name != ScheduleName::Constant {
            let rise = step as f64 / self.warmup as f64;
            return match self.name {
                ScheduleName::WarmupStableDecay => rise * (1.0 - min_factor) + min_factor,
                _ => rise,
            };
        }
        let after = (step - self.warmup.min(step)) as f64;
        let rest = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let progress = after / rest;
        let wave = |progress: f64| 0.5 * (1.0 + (PI * self.cycles * 2.0 * progress).cos());
        match self.name {
            ScheduleName::Constant | ScheduleName::ConstantWithWarmup => 1.0,
            ScheduleName::Linear => (self.steps as f64 - step as f64).max(0.0) / rest,
            ScheduleName::Cosine => wave(progress).max(0.0),
            ScheduleName::CosineWithRestarts if progress >= 1.0 => 0.0,
            ScheduleName::CosineWithRestarts => {
                (0.5 * (1.0 + (PI * ((self.cycles * progress) % 1.0)).cos())).max(0.0)
            }
            ScheduleName::Polynomial if self.rate == 0.0 => 0.0,
            ScheduleName::Polynomial if step > self.steps => self.lr_end / self.rate,
            ScheduleName::Polynomial => {
                let left = 1.0 - progress;
                ((self.rate - self.lr_end) * left.powf(self.power) + self.lr_end) / self.rate
            }
            ScheduleName::InverseSqrt => {
                let shifted = step as f64 + self.timescale as f64 - self.warmup as f64;
                1.0 / (shifted / self.timescale as f64).sqrt()
            }
            ScheduleName::CosineWithMinLr => {
                (wave(progress) * (1.0 - min_factor) + min_factor).max(0.0)
            }
            ScheduleName::WarmupStableDecay => {
                let falling = after - self.stable as f64;
                if falling < 0.0 {
                    1.0
                } else if falling < self.decay as f64 {
                    let progress = falling / self.decay.max(1) as f64;
                    (wave(progress) * (1.0 - min_factor) + min_factor).max(0.0)
                } else {
                    min_factor
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn schedule(
        name: &str,
        rate: f64,
        warmup: u64,
        steps: u64,
        options: Value,
    ) -> Result<Schedule> {
        let training = TrainingSection {
            schedule: serde_json::from_value(json!(name)).unwrap(),
            schedule_options: serde_json::from_value(options).unwrap(),
            learning_rate: rate,
            warmup_steps: warmup,
            ..TrainingSection::default()
        };
        Schedule::new(&training, steps)
    }

    #[test]
    fn every_schedule_is_that_of_transformers() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/golden/schedules.json"
        );
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (warmup, steps) = (
            golden["warmup_steps"].as_u64().unwrap(),
            golden["total_steps"].as_u64().unwrap(),
        );
        let values = golden["values"].as_object().unwrap();
        assert_eq!(values.len(), 8);
        for (title, expected) in values {
            let (name, options) = match title.split_once('(') {
                None => (title.as_str(), json!({})),
                Some((name, arguments)) => {
                    let pairs = arguments.trim_end_matches(')').split(',').map(|pair| {
                        let (key, value) = pair.split_once('=').unwrap();
                        let key = match key {
                            "stable" => "num_stable_steps",
                            "decay" => "num_decay_steps",
                            key => key,
                        };
                        (key.to_owned(), serde_json::from_str(value).unwrap())
                    });
                    (name, Value::Object(pairs.collect()))
                }
            };
            let schedule = schedule(
                name,
                golden["base_lr"].as_f64().unwrap(),
                warmup,
                steps,
                options,
            )
            .unwrap();
            for (step, expected) in expected.as_array().unwrap().iter().enumerate() {
                let (found, expected) = (
                    schedule.learning_rate(step as u64 + 1),
                    expected.as_f64().unwrap(),
                );
                assert!(
                    (found - expected).abs() <= 1e-9,
                    "{title} step {step}: {found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn the_constant_has_no_warmup_and_others_may_have_none() {
        assert_eq!(
            schedule("constant", 0.5, 10, 100, json!({}))
                .unwrap()
                .learning_rate(1),
            0.5
        );
        for name in [
            "linear",
            "cosine",
            "cosine_with_restarts",
            "polynomial",
            "inverse_sqrt",
            "cosine_with_min_lr",
            "warmup_stable_decay",
        ] {
            let schedule = schedule(name, 0.5, 0, 100, json!({})).unwrap();
            assert!((schedule.learning_rate(1) - 0.5).abs() < 1e-12, "{name}");
            assert!(
                (1..=200).all(|step| (0.0..=0.5).contains(&schedule.learning_rate(step))),
                "{name}"
            );
        }
    }

    #[test]
    fn an_end_above_the_start_is_refused() {
        for (name, options, key) in [
            ("polynomial", json!({"lr_end": 0.5}), "lr_end is 0.5"),
            (
                "cosine_with_min_lr",
                json!({"min_lr": 0.2}),
                "min_lr is 0.2",
            ),
        ] {
            let error = schedule(name, 0.1, 0, 100, options).unwrap_err();
            assert!(error.message().contains(key), "{error}");
        }
    }
}
