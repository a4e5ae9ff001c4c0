//! What matrix products round their operands to. Parameters, activations, sums and everything that is not a product
//! stay in `f32`. Which precision a model uses is left to it; it tells its [`crate::Workspace`].

/// The precision of matrix products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Operands as they are.
    #[default]
    F32,
    /// Operands rounded to bfloat16 (nearest, ties to even), products summed in `f32`. Twice the speed where the CPU
    /// has dot products of bfloat16 ([`Precision::is_native`]); elsewhere the same rounding is computed slowly, which
    /// is of use to tests only.
    Bf16,
}

impl Precision {
    /// Whether this CPU has instructions for it.
    pub fn is_native(self) -> bool {
        match self {
            Self::F32 => true,
            Self::Bf16 => crate::matmul::has_bf16(),
        }
    }
}
