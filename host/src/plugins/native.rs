//! Opens native plugins: the system's loader, the bootstrap symbol, the layout check, and the components behind it.
//!
//! Whoever calls has read the stamp and let the file through the gates; here its code runs for the first time. Naming the
//! plugin in errors of its components is the registry's part, comparing components with the manifest [`super::load`]'s.
#![allow(
    unsafe_code,
    reason = "opening a library is a promise that no compiler can check"
)]

mod loader;

use std::path::Path;

use codex_plugin_api::abi::stamp::Stamp;
use codex_plugin_api::abi::v1::{Bootstrap, Plugin};
use codex_plugin_api::abi::{RUSTC, TARGET};
use codex_plugin_api::{
    API_VERSION, Adapter, Command, Dataset, Error, HostRef, Metric, Model, Result, Sanitizer,
    Tokenizer, Tracker,
};
use serde_json::Value;

use super::refusal::{Refusal, Step};
use super::runtime::{ComponentInfo, Runtime};

/// A loaded library. It stays loaded until the process ends: threads, thread-locals and instances may outlive any owner
/// that could close it.
pub(super) struct NativePlugin {
    plugin: Plugin,
    components: Vec<ComponentInfo>,
}

impl NativePlugin {
    /// Opens the library whose stamp was read.
    pub(super) fn open(path: &Path, stamp: &Stamp) -> std::result::Result<Self, Refusal> {
        let symbol = loader::open(path, &stamp.symbol)?;
        // SAFETY: the stamp, which `plugin!` writes beside the symbol, names it, and the library is never closed.
        let plugin = unsafe { Bootstrap::open(symbol) }
            .map_err(|error| layout_refusal(path, stamp, &error))?;
        let offers = plugin.components().map_err(|error| {
            Refusal::from_error(path, Step::Components, &error, "tell the plugin's author")
        })?;
        let components = offers
            .into_iter()
            .map(|offer| ComponentInfo {
                kind: offer.kind,
                name: offer.name,
                schema: offer.schema,
            })
            .collect();
        Ok(Self { plugin, components })
    }
}

/// The two builds side by side; the comparison itself is hundreds of lines, of which the first says which type differs.
fn layout_refusal(path: &Path, stamp: &Stamp, error: &Error) -> Refusal {
    let built = |api: &str, rustc: &str, target: &str| format!("API {api} ({rustc}, {target})");
    let reason = format!(
        "built for {}, but {}; this host supports {}",
        built(&stamp.api_version, &stamp.rustc, &stamp.target),
        error.message(),
        built(API_VERSION, RUSTC, TARGET),
    );
    let hint = format!(
        "rebuild it with codex-plugin-api {API_VERSION} and install it again (codex-ml plugin install PATH)"
    );
    Refusal::new(path, Step::Layout, reason, hint).because(error.causes())
}

macro_rules! create {
    ($($function:ident -> $kind:ident),* $(,)?) => {$(
        fn $function(&self, name: &str, config: &Value, host: HostRef) -> Result<Box<dyn $kind>> {
            self.plugin.$function(name, config, host)
        }
    )*};
}

impl Runtime for NativePlugin {
    fn components(&self) -> Vec<ComponentInfo> {
        self.components.clone()
    }

    create! {
        create_tokenizer -> Tokenizer, create_model -> Model, create_dataset -> Dataset, create_metric -> Metric,
        create_tracker -> Tracker, create_sanitizer -> Sanitizer, create_adapter -> Adapter, create_command -> Command,
    }
}
