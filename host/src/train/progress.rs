//! How far training has come: a bar on a terminal, else a line every ten seconds.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::app::App;

/// How often a line is printed where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Weight of the newest step in the shown loss and speed.
const NEWEST: f64 = 0.1;

pub(super) struct Progress {
    bar: ProgressBar,
    app_notes: bool,
    total: u64,
    first: u64,
    begun: Instant,
    line: Instant,
    loss: Option<f64>,
    speed: Option<f64>,
}

impl Progress {
    /// `first` steps were done by earlier processes.
    pub(super) fn new(total: u64, first: u64, app: &App) -> Self {
        let bar = app.output.bar(
            total,
            "training {wide_bar} {human_pos}/{human_len} steps  {msg}",
        );
        bar.set_position(first);
        let now = Instant::now();
        Self {
            app_notes: bar.is_hidden(),
            bar,
            total,
            first,
            begun: now,
            line: now,
            loss: None,
            speed: None,
        }
    }

    /// A step was trained.
    pub(super) fn step(&mut self, step: u64, loss: f64, tokens_per_second: f64, app: &App) {
        let smooth =
            |old: Option<f64>, new: f64| Some(old.map_or(new, |old| old + NEWEST * (new - old)));
        self.loss = smooth(self.loss, loss);
        self.speed = smooth(self.speed, tokens_per_second);
        let text = self.text(step);
        if !self.app_notes {
            self.bar.set_position(step);
            self.bar.set_message(text);
        } else if self.line.elapsed() >= LINE_EVERY || step == self.total {
            self.line = Instant::now();
            app.output
                .note(format!("step {step}/{}  {text}", self.total));
        }
    }

    /// An evaluation was made.
    pub(super) fn evaluated(&mut self, step: u64, summary: &str, app: &App) {
        app.output
            .note(format!("step {step}/{}  validation {summary}", self.total));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn text(&self, step: u64) -> String {
        // All of the time so far counts, evaluations and checkpoints included, because more of them will come.
        let done = step.saturating_sub(self.first).max(1);
        let left = self.begun.elapsed().as_secs_f64() / done as f64
            * self.total.saturating_sub(step) as f64;
        format!(
            "loss {:.3}  {:.0} tokens/s  {} left",
            self.loss.unwrap_or(f64::NAN),
            self.speed.unwrap_or(0.0),
            duration(left)
        )
    }
}

/// Seconds as people say them: `45s`, `3m 20s`, `2h 05m`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.round().max(0.0) as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        for (seconds, text) in [
            (0.2, "0s"),
            (45.0, "45s"),
            (59.6, "1m 00s"),
            (200.0, "3m 20s"),
            (7500.0, "2h 05m"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
