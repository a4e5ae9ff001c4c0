//! The root module: what a loaded plugin offers, and how its components are created.

use abi_stable::StableAbi;
use abi_stable::std_types::{RSlice, RStr, RString, RVec};
use serde_json::Value;

use super::adapter::AbiAdapter;
use super::buffers::{argument, from_json, owned_text, text, to_json};
use super::command::AbiCommand;
use super::dataset::AbiDataset;
use super::error::AbiResult;
use super::guard::guard;
use super::host::AbiHost;
use super::metric::AbiMetric;
use super::model::AbiModel;
use super::object::table;
use super::sanitizer::AbiSanitizer;
use super::tokenizer::AbiTokenizer;
use super::tracker::AbiTracker;
use crate::{
    Adapter, Command, Dataset, Error, Factory, HostRef, Kind, Metric, Model, Result, Sanitizer,
    Tokenizer, Tracker,
};

/// One component: the kind's word, its name, and the JSON Schema of its configuration.
#[repr(C)]
#[derive(StableAbi)]
pub struct AbiComponent {
    kind: RString,
    name: RString,
    schema: RVec<u8>,
}

/// The root module's functions; each `create` takes the component's name, its configuration as JSON, and the host.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = RootTable, prefix_fields = RootTablePrefix)))]
pub struct RootFunctions {
    components: extern "C" fn() -> AbiResult<RVec<AbiComponent>>,
    create_tokenizer: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiTokenizer>,
    create_model: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiModel>,
    create_dataset: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiDataset>,
    create_metric: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiMetric>,
    create_tracker: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiTracker>,
    create_sanitizer: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiSanitizer>,
    create_adapter: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiAdapter>,
    #[sabi(last_prefix_field)]
    create_command: extern "C" fn(RStr<'_>, RSlice<'_, u8>, AbiHost) -> AbiResult<AbiCommand>,
}

table! {
    RootTable of RootFunctions {
        components,
        create_tokenizer,
        create_model,
        create_dataset,
        create_metric,
        create_tracker,
        create_sanitizer,
        create_adapter,
        create_command,
    }
}

/// The root module of this library.
pub(super) extern "C" fn root() -> RootTable {
    TABLE
}

extern "C" fn components() -> AbiResult<RVec<AbiComponent>> {
    guard(|| {
        crate::components()
            .into_iter()
            .map(|component| {
                Ok(AbiComponent {
                    kind: component.factory.kind().as_str().into(),
                    name: component.name.into(),
                    schema: to_json(&(component.schema)(), "a schema")?,
                })
            })
            .collect()
    })
}

/// A component as the host sees it before creating it.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The JSON Schema of its configuration.
    pub schema: Value,
}

/// A loaded plugin, as the host uses it.
#[derive(Clone, Copy)]
pub struct Plugin {
    root: RootTable,
}

impl Plugin {
    pub(super) fn new(root: RootTable) -> Self {
        Self { root }
    }

    /// What the plugin registered, ordered by kind and name.
    ///
    /// # Errors
    /// When a schema cannot be written, or the plugin panicked.
    pub fn components(&self) -> Result<Vec<Offer>> {
        let components = self.root.components()()
            .into_result()
            .map_err(Error::from)?;
        components
            .into_iter()
            .map(|component| {
                Ok(Offer {
                    kind: owned_text(component.kind, "a component's kind")?.parse()?,
                    name: owned_text(component.name, "a component's name")?,
                    schema: from_json(component.schema, "a schema")?,
                })
            })
            .collect()
    }
}

macro_rules! create {
    ($($function:ident: $variant:ident as $object:ident),* $(,)?) => {
        $(
            extern "C" fn $function(
                name: RStr<'_>,
                config: RSlice<'_, u8>,
                host: AbiHost,
            ) -> AbiResult<$object> {
                guard(|| {
                    let name = text(name, "a component's name")?;
                    let config: Value = argument(config, "this configuration")?;
                    let host = host.import();
                    let found = crate::components().into_iter().find_map(|component| {
                        match component.factory {
                            Factory::$variant(create) if component.name == name => Some(create),
                            _ => None,
                        }
                    });
                    let create = found.ok_or_else(|| {
                        let kind = Kind::$variant;
                        Error::config(format!("there is no {kind} called {name:?}"))
                    })?;
                    let component = create(config, HostRef::clone(&host))?;
                    Ok($object::export(component, Some(host)))
                })
            }
        )*

        impl Plugin {
            $(
                /// Creates a component; the configuration was checked against its schema.
                ///
                /// # Errors
                /// The component's own, of kind [`crate::ErrorKind::Panic`] when it panicked.
                pub fn $function(
                    &self,
                    name: &str,
                    config: &Value,
                    host: HostRef,
                ) -> Result<Box<dyn $variant>> {
                    let config = to_json(config, "a configuration")?;
                    let create = self.root.$function();
                    create(name.into(), config.as_rslice(), AbiHost::export(host))
                        .into_result()
                        .map_err(Error::from)?
                        .import()
                }
            )*
        }
    };
}

create! {
    create_tokenizer: Tokenizer as AbiTokenizer,
    create_model: Model as AbiModel,
    create_dataset: Dataset as AbiDataset,
    create_metric: Metric as AbiMetric,
    create_tracker: Tracker as AbiTracker,
    create_sanitizer: Sanitizer as AbiSanitizer,
    create_adapter: Adapter as AbiAdapter,
    create_command: Command as AbiCommand,
}
