//! WASI for languages whose runtime needs a system (Python, C with its library): the interfaces are all there, and
//! behind them is nothing but what was granted. Without a grant clocks stand still, random numbers repeat, there are no
//! folders, no environment, no sockets. What a guest prints goes to the log.

use std::time::{Duration, Instant};

use codex_plugin_api::{Error, HostRef, LogLevel, Manifest, Result};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p2::{DynPollable, add_to_linker_sync};
use wasmtime_wasi::{
    Deterministic, FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder,
};

use super::State;
use super::host::printable;
use crate::plugins::grants::{Granted, Permission};
use crate::plugins::wasm::engine::TICK;

/// Bytes that an instance may print in its life.
const MOST_OUTPUT: usize = 1 << 20;

/// A clock that stands still.
struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// The system of one instance, and where its output goes.
pub(in crate::plugins::wasm) struct System {
    pub(in crate::plugins::wasm) context: WasiCtx,
    output: MemoryOutputPipe,
    complaints: MemoryOutputPipe,
    /// How much of each was passed on.
    told: [usize; 2],
}

impl System {
    /// A system with nothing but what was granted.
    pub(in crate::plugins::wasm) fn new(manifest: &Manifest, granted: &Granted) -> Result<Self> {
        let (output, complaints) = (
            MemoryOutputPipe::new(MOST_OUTPUT),
            MemoryOutputPipe::new(MOST_OUTPUT),
        );
        let mut builder = WasiCtxBuilder::new();
        builder.stdout(output.clone()).stderr(complaints.clone());
        if !granted.clock {
            builder.wall_clock(Stopped).monotonic_clock(Stopped);
        }
        if !granted.random {
            builder
                .secure_random(Deterministic::new(vec![4]))
                .insecure_random(Deterministic::new(vec![4]))
                .insecure_random_seed(4);
        }
        for key in &granted.environment {
            if let Ok(value) = std::env::var(key) {
                builder.env(key, &value);
            }
        }
        for folder in &manifest.permissions.folders {
            let Some(real) = granted.folders.get(&folder.path) else {
                continue;
            };
            let rights = if folder.write {
                FsPerms::ReadWrite
            } else {
                FsPerms::ReadOnly
            };
            let seen = format!("/{}", folder.path.trim_start_matches('/'));
            builder
                .preopened_dir(real, &seen, rights)
                .map_err(|error| {
                    let id = &manifest.plugin.id;
                    Error::data(format!(
                        "folder {} of plugin {id} ({}) cannot be opened: {error}",
                        folder.path,
                        real.display()
                    ))
                    .hint(format!(
                        "codex-ml plugin grant {id} {}",
                        Permission::Folder {
                            name: folder.path.clone(),
                            write: folder.write
                        }
                        .argument()
                    ))
                })?;
        }
        Ok(Self {
            context: builder.build(),
            output,
            complaints,
            told: [0; 2],
        })
    }

    /// Passes on what was printed since the last time; gives the last line of the complaints.
    pub(in crate::plugins::wasm) fn tell(
        &mut self,
        host: &HostRef,
        terminal: bool,
    ) -> Option<String> {
        let printed = fresh(&self.output, &mut self.told[0]);
        if terminal && !printed.is_empty() {
            // A closed standard output is the host's own affair to notice.
            let _ = host.print(&printed);
        } else {
            for line in printed.lines() {
                host.log(LogLevel::Info, &printable(line));
            }
        }
        let complaints = fresh(&self.complaints, &mut self.told[1]);
        let lines = complaints.lines().filter(|line| !line.trim().is_empty());
        let lines: Vec<String> = lines.map(printable).collect();
        for line in &lines {
            host.log(LogLevel::Debug, line);
        }
        last_words(&lines)
    }
}

/// The line that says why a guest stopped itself. A panic in Rust takes three lines, of which the middle one counts; where
/// a runtime in Rust ends what it runs (Python), the exception stands before them.
fn last_words(lines: &[String]) -> Option<String> {
    let panic = lines
        .iter()
        .position(|line| line.starts_with("thread '") && line.contains(" panicked at "));
    let line = match panic {
        Some(0) => lines.get(1).or(lines.first()),
        Some(at) => lines.get(at - 1),
        None => lines.last(),
    };
    line.cloned()
}

fn fresh(pipe: &MemoryOutputPipe, told: &mut usize) -> String {
    let all = pipe.contents();
    let text = String::from_utf8_lossy(&all[(*told).min(all.len())..]).into_owned();
    *told = all.len();
    text
}

/// All of WASI, except that nobody sleeps longer than the call may take.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.clocks().now()
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.clocks().resolution()
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let now = self.clocks().now()?;
        self.subscribe_duration(when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, nanoseconds: u64) -> wasmtime::Result<Resource<DynPollable>> {
        // Whoever sleeps beyond the call's time wakes just after it, and is stopped.
        let left = self.deadline.saturating_duration_since(Instant::now()) + 4 * TICK;
        let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        self.cut_short |= nanoseconds > left;
        self.clocks().subscribe_duration(nanoseconds.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::last_words;

    #[test]
    fn the_line_that_says_why_is_found_among_the_others() {
        let said = |text: &str| {
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            last_words(&lines)
        };
        let panic = "thread 'main' (1) panicked at src/lib.rs:3:5:\nthe list is empty\nnote: run with `RUST_BACKTRACE=1`";
        assert_eq!(said(panic).as_deref(), Some("the list is empty"));
        let exception = "Traceback (most recent call last):\n  File \"/0/app.py\", line 3, in run\nKeyError: 'a'";
        assert_eq!(said(exception).as_deref(), Some("KeyError: 'a'"));
        assert_eq!(
            said(&format!("{exception}\n{panic}")).as_deref(),
            Some("KeyError: 'a'")
        );
        assert_eq!(
            said("thread 'a' panicked at b").as_deref(),
            Some("thread 'a' panicked at b")
        );
        assert_eq!(said(""), None);
    }
}
