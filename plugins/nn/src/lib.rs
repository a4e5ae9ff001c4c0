//! Training functions for small transformers on candle tensors.
//!
//! Each file holds one function with a `forward` and a hand-written `backward`, outside candle's tape: what backward
//! needs is returned by forward, and gradients of weights are added into tensors that the caller owns. That is both
//! simpler and faster than recorded tape operations, and no gradient can be lost silently.
//!
//! Hidden states are packed: `[tokens, hidden]` in row-major order for all sequences of a batch one behind the other,
//! with [`Sequences`] saying where each begins; there is no padding anywhere. Everything is `f32`. On the CPU, work is
//! shared out over the current rayon pool in pieces whose sizes depend on the shapes alone, and partial sums are
//! added in a fixed order, so results are bit for bit the same with any number of threads. On other devices the same
//! functions are put together from candle's tensor operations, in [`composed`].
//!
//! Architectures, file formats and the order of the functions are left to the model plugins.

pub mod adamw;
pub mod attention;
pub mod composed;
pub mod dropout;
pub mod embedding;
mod error;
pub mod gelu;
pub mod in_batch_negatives;
pub mod l2_norm;
pub mod layer_norm;
pub mod linear;
pub mod linear_cross_entropy;
mod matmul;
pub mod pooling;
mod precision;
pub mod random;
pub mod residual;
pub mod rms_norm;
pub mod rope;
pub mod rows;
mod scatter;
pub mod sequence_loss;
mod sequences;
mod storage;
pub mod swiglu;
pub mod tanh;
mod vectorized;
mod workspace;

pub use error::{Error, Result};
pub use precision::Precision;
pub use sequences::Sequences;
pub use storage::{Read, write};
pub use workspace::Workspace;
