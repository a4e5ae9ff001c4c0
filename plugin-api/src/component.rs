//! How a plugin names its components: one factory each, gathered at load by `inventory`.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Adapter, Command, Dataset, Error, HostRef, Kind, Metric, Model, Result, Sanitizer, Tokenizer,
    Tracker,
};

/// Made from a configuration. Types that implement [`Default`] have it for free, with no configuration at all.
///
/// ```
/// use codex_plugin_api::{FromConfig, HostRef, Result, schemars::JsonSchema, serde::Deserialize};
///
/// /// Every field has a default, so an empty configuration is fine.
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(crate = "codex_plugin_api::serde", default, deny_unknown_fields)]
/// #[schemars(crate = "codex_plugin_api::schemars")]
/// struct Config {
///     /// How many rows to make.
///     rows: u64,
/// }
///
/// impl Default for Config {
///     fn default() -> Self {
///         Self { rows: 100 }
///     }
/// }
///
/// struct Counting {
///     rows: u64,
/// }
///
/// impl FromConfig for Counting {
///     type Config = Config;
///     fn from_config(config: Config, _host: HostRef) -> Result<Self> {
///         Ok(Self { rows: config.rows })
///     }
/// }
/// ```
pub trait FromConfig: Sized {
    /// The configuration. Its JSON Schema is published to the host, which checks a configuration before the call,
    /// fills in the defaults and names a key that is wrong.
    type Config: DeserializeOwned + JsonSchema;

    /// Creates the component.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] for what a schema cannot express, [`crate::ErrorKind::Data`] for a bad source.
    fn from_config(config: Self::Config, host: HostRef) -> Result<Self>;
}

/// The configuration of a component that has none.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

impl<T: Default> FromConfig for T {
    type Config = NoConfig;

    fn from_config(_config: NoConfig, _host: HostRef) -> Result<Self> {
        Ok(Self::default())
    }
}

/// Creates a component of one kind from its configuration.
#[derive(Clone, Copy)]
#[allow(missing_docs, reason = "one variant a kind, each the same")]
#[non_exhaustive]
pub enum Factory {
    Tokenizer(fn(Value, HostRef) -> Result<Box<dyn Tokenizer>>),
    Model(fn(Value, HostRef) -> Result<Box<dyn Model>>),
    Dataset(fn(Value, HostRef) -> Result<Box<dyn Dataset>>),
    Metric(fn(Value, HostRef) -> Result<Box<dyn Metric>>),
    Tracker(fn(Value, HostRef) -> Result<Box<dyn Tracker>>),
    Sanitizer(fn(Value, HostRef) -> Result<Box<dyn Sanitizer>>),
    Adapter(fn(Value, HostRef) -> Result<Box<dyn Adapter>>),
    Command(fn(Value, HostRef) -> Result<Box<dyn Command>>),
}

impl Factory {
    /// Which kind it makes.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tokenizer(_) => Kind::Tokenizer,
            Self::Model(_) => Kind::Model,
            Self::Dataset(_) => Kind::Dataset,
            Self::Metric(_) => Kind::Metric,
            Self::Tracker(_) => Kind::Tracker,
            Self::Sanitizer(_) => Kind::Sanitizer,
            Self::Adapter(_) => Kind::Adapter,
            Self::Command(_) => Kind::Command,
        }
    }
}

/// One component of a plugin, as [`crate::plugin!`] and [`crate::component!`] submit it.
#[derive(Clone, Copy)]
pub struct Component {
    /// The name that the manifest declares.
    pub name: &'static str,
    /// The JSON Schema of its configuration.
    pub schema: fn() -> Value,
    /// How it is made.
    pub factory: Factory,
}

inventory::collect!(Component);

/// The components of this library, ordered by kind and name.
pub fn components() -> Vec<&'static Component> {
    let mut all: Vec<_> = inventory::iter::<Component>.into_iter().collect();
    all.sort_by_key(|component| (component.factory.kind(), component.name));
    all
}

/// The JSON Schema of a component's configuration.
pub fn schema_of<T: FromConfig>() -> Value {
    schemars::schema_for!(T::Config).to_value()
}

/// Parses the configuration and creates the component: what a [`Factory`] does.
#[doc(hidden)]
pub fn create<T: FromConfig>(name: &str, config: Value, host: HostRef) -> Result<T> {
    let config = if config.is_null() {
        Value::Object(serde_json::Map::new())
    } else {
        config
    };
    let config = serde_json::from_value(config)
        .map_err(|error| Error::config(format!("configuration of {name} is wrong: {error}")))?;
    T::from_config(config, host)
}
