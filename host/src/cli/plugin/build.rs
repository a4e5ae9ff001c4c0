//! `codex-ml plugin build`.

use std::path::PathBuf;

use codex_plugin_api::Result;
use serde_json::json;

use crate::app::App;
use crate::exit::Exit;
use crate::output::plain;
use crate::plugins::build::{Request, build};

/// Arguments of `plugin build`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder with plugin.toml and the sources: Cargo.toml (Rust), *.c (C) or *.py (Python).
    #[arg(default_value = ".", value_hint = clap::ValueHint::DirPath)]
    dir: PathBuf,
    /// The file to write [default: <id>.wasm in that folder, or lib<id>.so and its like where it is native].
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args, app: &App) -> Result<Exit> {
    let request = Request {
        folder: &args.dir,
        output: args.output.as_deref(),
    };
    let built = build(request, app)?;
    let seconds = built.time.as_secs_f64();
    if app.output.is_json() {
        app.output.value(&json!({
            "id": built.id, "version": built.version, "kinds": built.kinds, "language": built.language,
            "runtime": if built.native { "native" } else { "wasm" }, "file": built.file, "bytes": built.bytes, "seconds": (seconds * 1e3).round() / 1e3,
        }))?;
        return Ok(Exit::Done);
    }
    let kinds: Vec<&str> = built.kinds.iter().map(|kind| kind.as_str()).collect();
    let file = built.file.display();
    app.output.line(plain(&format!(
        "built {} {} ({}) from {} in {seconds:.1} s\n  {file}, {}\n  codex-ml plugin test {file}, then codex-ml plugin install {file}",
        built.id,
        built.version,
        kinds.join(", "),
        built.language,
        size(built.bytes),
    )))?;
    Ok(Exit::Done)
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_their_units() {
        for (bytes, text) in [
            (17, "17 bytes"),
            (17_432, "17.4 kB"),
            (18_387_237, "18.4 MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
