//! Adapter folders as PEFT 0.21 writes and reads them, and what can be computed on low-rank pairs.
//!
//! Operations to tensors under PEFT's keys and back ([`folder()`], [`load()`]), the files ([`Folder`]), and the
//! mathematics that needs no model ([`svd`], [`relative()`]). What an operation does to an input is the model's affair;
//! which operations there are, the adapter's.

mod config;
mod dtype;
mod folder;
mod keys;
mod load;
mod parameters;
mod relative;
mod save;
pub mod svd;
mod targets;
mod tensor_file;
pub mod weights;

pub use config::PEFT_VERSION;
pub use dtype::Dtype;
pub use folder::{CONFIG, Folder, Tensor, WEIGHTS};
pub use keys::{Part, SHARED_A, SHARED_B, key, shared_key, site_of, whole_key};
pub use load::{Loaded, load};
pub use parameters::{PlanParameter, parameters};
pub use relative::relative;
pub use save::{Base, folder};
pub use targets::{alpha_of, in_modules, matches, rank_of, targets};
pub use tensor_file::TensorFile;
