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
//! | function | what it computes | source |
//! |---|---|---|
//! | [`embedding`] | sum of table rows; backward over sorted ids | – |
//! | [`linear`] | x·W + b in both orientations, and the gradient of a part of W | – |
//! | [`low_rank`] | additions to linear maps by pairs of narrow matrices | Hu et al. 2021 |
//! | [`columns`] | a factor for each column, and sums over rows | Liu et al. 2022 |
//! | [`magnitude`] | norms of the rows of an adapted weight, without that weight | Liu et al. 2024 |
//! | [`layer_norm`] | residual sum and its norm | Ba, Kiros and Hinton 2016 |
//! | [`rms_norm`] | residual sum and its root-mean-square norm | Zhang and Sennrich 2019 |
//! | [`dropout`] | masks that are functions of a counter | Srivastava et al. 2014; Salmon et al. 2011 for the counter |
//! | [`gelu`] | the tanh form and the exact one | Hendrycks and Gimpel 2016 |
//! | [`swiglu`] | silu(gate)·up | Shazeer 2020 |
//! | [`tanh`] | of BERT's pooler | Devlin et al. 2019 |
//! | [`rope`] | rotary positions | Su et al. 2021 |
//! | [`attention`] | grouped queries over ragged sequences, causal or in both directions, memory linear in length | Vaswani et al. 2017; Ainslie et al. 2023; Dao et al. 2022 |
//! | [`attention::cached`] | new tokens over the keys and values of earlier ones | Shazeer 2019 |
//! | [`linear_cross_entropy`] | head, bias and cross-entropy without all logits at once | Wijmans et al. 2024 ("Cut your losses") |
//! | [`rows`] | some rows, and their gradients back in place | – |
//! | [`pooling`] | mean or first token of each sequence | Reimers and Gurevych 2019 |
//! | [`l2_norm`] | rows of length 1 | – |
//! | [`in_batch_negatives`] | pairs and triplets, temperature, prefixes | Henderson et al. 2017; Kusupati et al. 2022 |
//! | [`sequence_loss`] | cross-entropy of classes, squared error of values | – |
//! | [`quantized`] | frozen weights as bf16, int8 or NF4 | Dettmers et al. 2023 |
//! | [`adamw`] | the step and the norm of all gradients, over flat buffers | Loshchilov and Hutter 2019; Pascanu et al. 2013 |
//!
//! Architectures, file formats and the order of the functions are left to the model plugins.

pub mod adamw;
pub mod attention;
mod awake;
pub mod columns;
pub mod composed;
pub mod dropout;
pub mod embedding;
mod error;
pub mod gelu;
pub mod in_batch_negatives;
pub mod l2_norm;
mod large;
pub mod layer_norm;
pub mod linear;
pub mod linear_cross_entropy;
pub mod low_rank;
pub mod magnitude;
mod matmul;
pub mod pooling;
mod precision;
pub mod quantized;
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

pub use awake::awake;
pub use error::{Error, Result};
pub use large::zeros;
pub use precision::Precision;
pub use sequences::Sequences;
pub use storage::{Read, write};
pub use workspace::Workspace;
