//! Puts a plugin's name on its errors: every component that the registry hands out is wrapped in one of these.
//!
//! Every method is forwarded, those with a default too; a method that is missing here would silently be unsupported.

use std::sync::Arc;

use codex_plugin_api::{
    Adapter, AdapterPlan, Arguments, Batch, Command, Dataset, DatasetInfo, EncodeOptions, Encoding,
    Error, ErrorKind, Finding, GradientBuffer, GradientSummary, HostRef, Ids, Kind, Loss, Metric,
    Model, ModelInfo, Needs, OptimizerStep, Parameter, Result, Rule, RunInfo, Samples, Sanitizer,
    Score, ScoreRequest, Scores, Site, Stage, TextBuffer, Texts, TokenBatch, Tokenizer, Tracker,
    TrainingPass, TrainingSettings, Vocabulary,
};

/// Whose component it is.
#[derive(Debug)]
pub(super) struct Owner {
    /// Id and version of the plugin.
    pub(super) plugin: String,
    /// The component's kind.
    pub(super) kind: Kind,
    /// The component's name.
    pub(super) name: String,
}

impl Owner {
    /// Names plugin, component and call in an error. Whose fault it is stays, except that a failure without further
    /// ado is the plugin's.
    pub(super) fn blame(&self, call: &str, error: Error) -> Error {
        let Self { plugin, kind, name } = self;
        let message = match error.kind() {
            ErrorKind::Interrupted => return error,
            // Already named by the plugin that failed first, behind this one.
            ErrorKind::Plugin if error.message().contains("(plugin ") => return error,
            ErrorKind::Panic => format!(
                "plugin {plugin} panicked in {kind} {name}, {call}: {}",
                error.message()
            ),
            _ => format!(
                "{} (plugin {plugin}, {kind} {name}, {call})",
                error.message()
            ),
        };
        let kind = match error.kind() {
            ErrorKind::Failed => ErrorKind::Plugin,
            kind => kind,
        };
        let error = error.with_message(message).with_kind(kind);
        if kind == ErrorKind::Panic && error.hint_text().is_none() {
            let id = plugin.split(' ').next().unwrap_or_default();
            return error.hint(format!(
                "this is a fault of the plugin: tell its authors (codex-ml plugin info {id}), or do without it"
            ));
        }
        error
    }

    fn tell<T>(&self, call: &str, result: Result<T>) -> Result<T> {
        result.map_err(|error| self.blame(call, error))
    }
}

/// A component together with its owner.
pub(super) struct Named<T: ?Sized> {
    pub(super) inner: Box<T>,
    pub(super) owner: Arc<Owner>,
}

macro_rules! method {
    (plain $call:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        fn $call(&self, $($argument: $type),*) -> $result {
            self.inner.$call($($argument),*)
        }
    };
    (shared $call:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        fn $call(&self, $($argument: $type),*) -> Result<$result> {
            self.owner.tell(stringify!($call), self.inner.$call($($argument),*))
        }
    };
    (exclusive $call:ident($($argument:ident: $type:ty),*) -> $result:ty) => {
        fn $call(&mut self, $($argument: $type),*) -> Result<$result> {
            let result = self.inner.$call($($argument),*);
            self.owner.tell(stringify!($call), result)
        }
    };
}

macro_rules! forward {
    ($trait:ident { $($how:ident $call:ident($($argument:ident: $type:ty),*) -> $result:ty;)* }) => {
        impl $trait for Named<dyn $trait> {
            $(method!($how $call($($argument: $type),*) -> $result);)*
        }
    };
}

forward! { Tokenizer {
    shared vocabulary() -> Vocabulary;
    shared encode(texts: Texts<'_>, options: EncodeOptions) -> Encoding;
    shared decode(sequences: Ids<'_>, skip_special_tokens: bool) -> TextBuffer;
    shared token_bytes(id: u32) -> Vec<u8>;
    shared token_text(id: u32) -> Option<String>;
    shared token_id(token: &str) -> Option<u32>;
    shared save(folder: &str) -> ();
    exclusive feed(texts: Texts<'_>) -> ();
    exclusive finish_training() -> ();
} }

forward! { Model {
    shared info() -> ModelInfo;
    shared parameters() -> Vec<Parameter>;
    exclusive score(batch: &TokenBatch<'_>, request: ScoreRequest) -> Scores;
    shared save(folder: &str) -> ();
    exclusive begin_training(settings: &TrainingSettings) -> ();
    exclusive forward_backward(batch: &TokenBatch<'_>, pass: &TrainingPass) -> Loss;
    exclusive gradients() -> Vec<GradientSummary>;
    exclusive optimizer_step(step: &OptimizerStep) -> f64;
    exclusive lend_gradients() -> Vec<GradientBuffer>;
    shared export_state(folder: &str) -> ();
    exclusive import_state(folder: &str) -> ();
    exclusive embed(sequences: Ids<'_>) -> Vec<f32>;
    exclusive open_session() -> u64;
    exclusive extend_sessions(sessions: &[u64], ids: Ids<'_>) -> Vec<f32>;
    exclusive truncate_session(session: u64, length: u64) -> ();
    exclusive close_session(session: u64) -> ();
    shared sites() -> Vec<Site>;
    exclusive add_adapter(name: &str, plan: &AdapterPlan) -> ();
    exclusive load_adapter(name: &str, folder: &str) -> ();
    shared save_adapter(name: &str, folder: &str) -> ();
    exclusive activate_adapters(names: &[String], weights: &[f32]) -> ();
    exclusive merge_adapter(name: &str, merged: bool) -> f64;
} }

forward! { Dataset {
    shared info() -> DatasetInfo;
    shared read(start: u64, count: u64) -> Batch;
} }

forward! { Metric {
    plain needs() -> Needs;
    exclusive update(samples: &Samples<'_>) -> ();
    shared state() -> Vec<u8>;
    exclusive merge(state: &[u8]) -> ();
    shared compute() -> Vec<Score>;
} }

forward! { Tracker {
    exclusive start(run: &RunInfo) -> ();
    exclusive events(ndjson: &str) -> ();
    exclusive finish() -> ();
} }

forward! { Sanitizer {
    shared rules() -> Vec<Rule>;
    plain max_span() -> u32;
    shared scan(texts: Texts<'_>, stage: Stage) -> Vec<Finding>;
} }

forward! { Adapter {
    shared plan(sites: &[Site]) -> AdapterPlan;
} }

forward! { Command {
    exclusive run(arguments: &Arguments, host: &HostRef) -> i32;
} }

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn errors_name_plugin_component_and_call_and_keep_whose_fault_it_is() {
        let owner = Owner {
            plugin: "shout 0.1.0".into(),
            kind: Kind::Metric,
            name: "shout-rate".into(),
        };
        let named = "(plugin shout 0.1.0, metric shout-rate, update)";
        for (given, kind, message) in [
            (
                Error::failed("no luck"),
                ErrorKind::Plugin,
                format!("no luck {named}"),
            ),
            (
                Error::data("row 7 is short"),
                ErrorKind::Data,
                format!("row 7 is short {named}"),
            ),
            (
                Error::config("rank is 0"),
                ErrorKind::Config,
                format!("rank is 0 {named}"),
            ),
            (
                Error::interrupted(),
                ErrorKind::Interrupted,
                "interrupted".into(),
            ),
            (
                Error::new(ErrorKind::Panic, "index out of bounds"),
                ErrorKind::Panic,
                "plugin shout 0.1.0 panicked in metric shout-rate, update: index out of bounds"
                    .into(),
            ),
        ] {
            let blamed = owner.blame("update", given.hint("h"));
            assert_eq!(
                (blamed.kind(), blamed.message(), blamed.hint_text()),
                (kind, message.as_str(), Some("h"))
            );
        }
        let inner = Error::new(ErrorKind::Plugin, "gone (plugin a 1.0.0, model m, score)");
        assert_eq!(owner.blame("update", inner.clone()), inner);
    }
}
