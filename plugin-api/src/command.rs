//! The command kind: a subcommand of the host that a plugin brings.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Error, HostRef, Result};

/// The arguments of one call, by the names that the manifest declares, already checked by the host: required ones are
/// there, defaults are filled in, types are right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(pub Map<String, Value>);

impl Arguments {
    /// A text or path argument; `None` when it was not given and has no default.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// An integer argument.
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(Value::as_i64)
    }

    /// A number argument.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name).and_then(Value::as_f64)
    }

    /// Whether a flag was given.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A repeatable argument's texts, in the order given.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(value)) => vec![value],
            _ => Vec::new(),
        }
    }

    /// What the user is typing, when the command is asked for values instead of being run.
    ///
    /// That happens only for arguments that the manifest declares with `complete = true`. The command then does nothing but
    /// print the values that it proposes with [`crate::Host::print`], one a line, each with a tab and a few words about it where
    /// that helps, and answers 0. The other arguments are as far as they were typed: required ones may be missing. There is a
    /// second to answer in; who is late, or fails, proposes nothing.
    ///
    /// ```
    /// # use codex_plugin_api::{Arguments, HostRef, Result};
    /// fn run(arguments: &Arguments, host: &HostRef) -> Result<i32> {
    ///     if let Some(typing) = arguments.completing() {
    ///         if typing.argument == "color" {
    ///             host.print("red\ngreen\tof leaves\n")?;
    ///         }
    ///         return Ok(0);
    ///     }
    ///     // The work.
    ///     Ok(0)
    /// }
    /// ```
    pub fn completing(&self) -> Option<Completing<'_>> {
        let asked = self.0.get(Completing::KEY)?;
        Some(Completing {
            argument: asked.get("argument")?.as_str()?,
            prefix: asked.get("prefix")?.as_str()?,
        })
    }

    /// The subcommand that was chosen, when the manifest declares subcommands; its arguments are in the same map. Of
    /// subcommands within subcommands, the words with a space between (`rules list`).
    pub fn subcommand(&self) -> Option<&str> {
        self.text("subcommand")
    }

    /// All arguments as a struct of the author's own.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] naming what does not fit.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(Value::Object(self.0.clone()))
            .map_err(|error| Error::config("arguments do not fit the command").because(&error))
    }
}

/// A question for values: see [`Arguments::completing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completing<'a> {
    /// The argument whose value is being typed.
    pub argument: &'a str,
    /// What was typed of it. Values that begin otherwise are left out by the host.
    pub prefix: &'a str,
}

impl Completing<'_> {
    /// The key under which the question stands among the arguments, as an object with `argument` and `prefix`. No argument
    /// can have this name.
    pub const KEY: &'static str = "@complete";
}

/// A subcommand of the host. Name, help and arguments are declared in the manifest, so that `--help`, validation and
/// shell completion never run plugin code.
///
/// The host creates one instance a call. Results go to [`crate::Host::print`], everything else to its log.
///
/// ```
/// use codex_plugin_api::{Arguments, Command, HostRef, Result};
///
/// #[derive(Default)]
/// struct Greet;
///
/// impl Command for Greet {
///     fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
///         host.print(&format!("hello, {}\n", arguments.text("name").unwrap_or("world")))?;
///         Ok(0)
///     }
/// }
/// ```
pub trait Command: Send {
    /// Does the work; gives the exit code (0 done, 1 failed).
    ///
    /// # Errors
    /// The host prints the error and exits with the code of its kind.
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32>;
}
