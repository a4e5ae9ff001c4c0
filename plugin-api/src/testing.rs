//! The conformance kit: holds a component against the contract of its kind.
//!
//! An author calls one function in `cargo test`, with a configuration that makes a *small* component (a model of two
//! layers, a dataset of some hundred rows, no dropout):
//!
//! ```
//! use codex_plugin_api::{Arguments, Command, HostRef, Result, serde_json::json, testing};
//!
//! #[derive(Default)]
//! struct Greet;
//!
//! impl Command for Greet {
//!     fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
//!         host.print(&format!("hello, {}\n", arguments.text("name").unwrap_or("world")))?;
//!         Ok(0)
//!     }
//! }
//!
//! testing::check_command::<Greet>(json!({}), json!({ "name": "Ada" }));
//! ```
//!
//! It panics with a report of every check that failed. The component is driven through the ABI's objects, as in a host,
//! without loading a library. The functions named after the kinds ([`metric()`](metric()), [`dataset()`](dataset()), …) do the same with
//! anything that creates components, so that the host can check a built file.
//!
//! Each check is one promise of the trait's documentation. What a component answers with
//! [`crate::ErrorKind::Unsupported`] is skipped, and the report says so.

mod adapter;
mod command;
mod dataset;
mod folder;
mod host;
mod metric;
mod model;
mod report;
mod sanitizer;
mod tokenizer;
mod tracker;

pub use adapter::adapter;
pub use command::command;
pub use dataset::dataset;
pub use host::RecordingHost;
pub use metric::metric;
pub use model::model;
pub use report::{Check, Outcome, Report};
pub use sanitizer::sanitizer;
pub use tokenizer::tokenizer;
pub use tracker::tracker;

use serde_json::Value;

use crate::abi::v1;
use crate::component::create;
use crate::{
    Adapter, Command, Dataset, FromConfig, HostRef, Metric, Model, Sanitizer, Tokenizer, Tracker,
};

fn host() -> HostRef {
    std::sync::Arc::new(RecordingHost::default())
}

macro_rules! check {
    ($($function:ident: $trait:ident by $object:ident, $run:ident);* $(;)?) => {$(
        #[doc = concat!("Checks a ", stringify!($run), " made from `config`.")]
        ///
        /// # Panics
        /// With the report, when a check fails.
        pub fn $function<T: FromConfig + $trait + 'static>(config: Value) {
            let report = $run(&mut || {
                let component = create::<T>("under test", config.clone(), host())?;
                v1::$object::export(Box::new(component), None).import()
            });
            report.with_schema(&crate::schema_of::<T>()).assert();
        }
    )*};
}

check! {
    check_metric: Metric by AbiMetric, metric;
    check_dataset: Dataset by AbiDataset, dataset;
    check_tracker: Tracker by AbiTracker, tracker;
    check_sanitizer: Sanitizer by AbiSanitizer, sanitizer;
    check_adapter: Adapter by AbiAdapter, adapter;
}

/// The configuration with `path` set, as the host opens a saved folder.
fn with_path(config: &Value, folder: Option<&str>) -> Value {
    let mut config = config.clone();
    if let (Some(folder), Some(keys)) = (folder, config.as_object_mut()) {
        keys.insert("path".to_owned(), folder.into());
    }
    config
}

/// Checks a tokenizer made from `config`: one that learns, or one that was loaded.
///
/// # Panics
/// With the report, when a check fails.
pub fn check_tokenizer<T: FromConfig + Tokenizer + 'static>(config: Value) {
    let report = tokenizer(&mut |folder| {
        let component = create::<T>("under test", with_path(&config, folder), host())?;
        v1::AbiTokenizer::export(Box::new(component), None).import()
    });
    report.with_schema(&crate::schema_of::<T>()).assert();
}

/// Checks a model made from `config`, which must be small and without dropout.
///
/// # Panics
/// With the report, when a check fails.
pub fn check_model<T: FromConfig + Model + 'static>(config: Value) {
    let report = model(&mut |folder| {
        let component = create::<T>("under test", with_path(&config, folder), host())?;
        v1::AbiModel::export(Box::new(component), None).import()
    });
    report.with_schema(&crate::schema_of::<T>()).assert();
}

/// Checks a command by running it with `arguments`, which the host would have checked against the manifest.
///
/// # Panics
/// With the report, when a check fails.
pub fn check_command<T: FromConfig + Command + 'static>(config: Value, arguments: Value) {
    let report = command(
        &mut || {
            let component = create::<T>("under test", config.clone(), host())?;
            v1::AbiCommand::export(Box::new(component), None).import()
        },
        &arguments,
    );
    report.with_schema(&crate::schema_of::<T>()).assert();
}
