//! What every guest may ask: to log, to show progress, and whether to stop.

use codex_plugin_api::LogLevel;

use super::State;
use super::generated::host;

/// Longest log line and label that are passed on.
const LONGEST: usize = 8 << 10;

impl host::Host for State {
    fn log(&mut self, level: host::LogLevel, message: String) -> wasmtime::Result<()> {
        let level = match level {
            host::LogLevel::Debug => LogLevel::Debug,
            host::LogLevel::Info => LogLevel::Info,
            host::LogLevel::Warning => LogLevel::Warning,
            host::LogLevel::Error => LogLevel::Error,
        };
        let message = printable(&message);
        if level == LogLevel::Error {
            self.last_words = Some(message.clone());
        }
        self.host.log(level, &message);
        Ok(())
    }

    fn progress(&mut self, label: String, done: u64, total: u64) -> wasmtime::Result<()> {
        self.host.progress(&printable(&label), done, total);
        Ok(())
    }

    fn interrupted(&mut self) -> wasmtime::Result<bool> {
        Ok(self.host.interrupted())
    }
}

/// One line without control characters: a stranger's text must not move the cursor.
pub(in crate::plugins::wasm) fn printable(text: &str) -> String {
    let line = text.trim_end().chars().map(|c| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    });
    let mut line: String = line.collect();
    if line.len() > LONGEST {
        let mut end = LONGEST;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_logs_is_one_harmless_line() {
        assert_eq!(printable("a\nb\u{1b}[31mc\t"), "a b\u{fffd}[31mc");
        assert_eq!(
            printable(&"č".repeat(10_000)).len(),
            LONGEST + '…'.len_utf8()
        );
    }
}
