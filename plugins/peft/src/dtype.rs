//! The number types of tensors in files; in memory everything is f32.

use std::fmt;
use std::str::FromStr;

use codex_plugin_api::Error;
use half::{bf16, f16};

/// A type that tensors are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE single precision.
    #[default]
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
}

impl Dtype {
    /// Bytes a number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    pub(crate) fn stored(self) -> safetensors::Dtype {
        match self {
            Self::F32 => safetensors::Dtype::F32,
            Self::F16 => safetensors::Dtype::F16,
            Self::Bf16 => safetensors::Dtype::BF16,
        }
    }

    /// `values` as little-endian bytes, rounded to nearest, ties to even.
    pub(crate) fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::F16 => values
                .iter()
                .flat_map(|&x| f16::from_f32(x).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|&x| bf16::from_f32(x).to_le_bytes())
                .collect(),
        }
    }

    /// The numbers in `bytes`; `None` for a type that is not one of these.
    pub(crate) fn values(stored: safetensors::Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        Some(match stored {
            safetensors::Dtype::F32 => bytes
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect(),
            safetensors::Dtype::F16 => pairs().map(|x| f16::from_le_bytes(x).to_f32()).collect(),
            safetensors::Dtype::BF16 => pairs().map(|x| bf16::from_le_bytes(x).to_f32()).collect(),
            _ => return None,
        })
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(Error::config(format!("no such number type: {text:?}"))
                .hint("use f32, f16 or bf16")),
        }
    }
}
