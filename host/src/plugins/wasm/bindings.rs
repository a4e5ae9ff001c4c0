//! What wasmtime generates from `plugin-api/wit/v1`: the types that cross, the calls into a guest, the traits of what it
//! may call.
#![allow(
    missing_docs,
    unreachable_pub,
    ambiguous_associated_items,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the WIT files say what everything is"
)]

wasmtime::component::bindgen!({
    path: "../plugin-api/wit/v1",
    world: "all-kinds",
    with: {
        "codex:plugin/network.connection": super::imports::network::Connection,
        "codex:plugin/components.some-tokenizer": super::imports::components::SomeTokenizer,
        "codex:plugin/components.some-dataset": super::imports::components::SomeDataset,
        "codex:plugin/components.some-metric": super::imports::components::SomeMetric,
        "codex:plugin/components.some-sanitizer": super::imports::components::SomeSanitizer,
        "codex:plugin/components.some-model": super::imports::components::SomeModel,
    },
    imports: { default: trappable },
});
