//! LoRA and its family: which operations on which sites of a model, and commands for saved adapters.
//!
//! The model runs, trains and merges the operations; the files are `codex_peft`'s.

mod command;
mod ia3;
mod lora;
mod options;
mod saved;
mod targets;
mod vera;

pub use command::LoraCommand;
pub use ia3::Ia3;
pub use lora::{Dora, Lora, RsLora};
pub use vera::Vera;

codex_plugin_api::plugin! {
    adapter "lora" => Lora,
    adapter "rslora" => RsLora,
    adapter "dora" => Dora,
    adapter "ia3" => Ia3,
    adapter "vera" => Vera,
    command "lora" => LoraCommand,
}
