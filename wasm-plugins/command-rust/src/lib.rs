//! The command `wordcount`: lines, words, characters and bytes of a text file, and its most frequent words.
//!
//! Its arguments are declared in `plugin.toml`, so `--help` never runs this code. It reads below the folder that the user
//! granted as `data`, and prints to the terminal; both need a permission. What crosses the border is here, counting is in
//! `words.rs`.

mod words;

use codex_guest::types::{Error, ErrorKind};
use codex_guest::{files, host, terminal};

use exports::codex::plugin::command::Guest;
use words::Words;

wit_bindgen::generate!({
    path: "../../plugin-api/wit/v1",
    world: "command-plugin",
    with: {
        "codex:plugin/types@1.0.0": codex_guest::types,
        "codex:plugin/host@1.0.0": codex_guest::host,
        "codex:plugin/files@1.0.0": codex_guest::files,
        "codex:plugin/terminal@1.0.0": codex_guest::terminal,
    },
});

/// As much of the file as is read at once.
const PART: u64 = 1 << 20;

/// The arguments; the host checked them against the manifest and filled in the default.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Arguments {
    file: String,
    top: i64,
    #[serde(default)]
    ignore_case: bool,
}

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn create(_name: String, _config: String) -> Result<(), Error> {
        Ok(())
    }

    fn run(arguments: String) -> Result<i32, Error> {
        let arguments: Arguments = serde_json::from_str(&arguments)
            .map_err(|why| Error::config("the arguments do not fit wordcount").because(why))?;
        let top = usize::try_from(arguments.top).map_err(|_| {
            Error::config(format!("--top is {}, it must be 0 or more", arguments.top))
        })?;
        let path = format!("data/{}", arguments.file);
        let size = files::size(&path)?;
        let no_text = |at| {
            Error::data(format!("{path} is not UTF-8: byte {at}"))
                .with_hint("wordcount reads text; convert the file to UTF-8")
        };
        let mut words = Words::new(arguments.ignore_case);
        while words.bytes() < size {
            if host::interrupted() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            let part = files::read(&path, words.bytes(), PART)?;
            if part.is_empty() {
                break;
            }
            words.add(&part).map_err(no_text)?;
            host::progress("counting", words.bytes(), size);
        }
        terminal::print(&words.report(top).map_err(no_text)?)?;
        Ok(0)
    }
}
