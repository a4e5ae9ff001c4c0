//! Large buffers of zeros, in large pages where the system has them. A page of four KiB lasts a product for a fraction of
//! a microsecond, and finding the next costs about as much as reading it.
#![allow(unsafe_code, reason = "advice to the system about memory")]

use candle_core::{DType, Device, Tensor};

use crate::Result;

/// Bytes from which large pages (two MiB) are worth asking for.
const SMALLEST: usize = 4 << 20;

/// A flat `f32` tensor of `length` zeros on `device`; on the CPU in large pages where the system has them.
///
/// # Errors
/// When the device cannot give the memory.
pub fn zeros(length: usize, device: &Device) -> Result<Tensor> {
    if device.is_cpu() {
        Ok(Tensor::from_vec(buffer(length), length, device)?)
    } else {
        Ok(Tensor::zeros(length, DType::F32, device)?)
    }
}

/// A buffer of `length` zeros.
pub(crate) fn buffer(length: usize) -> Vec<f32> {
    // Zeros come from the system as pages that nothing has touched, so the advice comes in time.
    let mut buffer = vec![0.0; length];
    if length * size_of::<f32>() >= SMALLEST {
        advise(&mut buffer);
    }
    buffer
}

#[cfg(target_os = "linux")]
fn advise(buffer: &mut [f32]) {
    // Advice is for whole pages; 64 KiB are a multiple of every page's size.
    const GRAIN: usize = 64 << 10;
    let range = buffer.as_mut_ptr_range();
    let start = (range.start as usize).next_multiple_of(GRAIN);
    let end = range.end as usize / GRAIN * GRAIN;
    if start < end {
        // SAFETY: the pages lie inside the buffer, and this advice changes none of its contents. Where the system does
        // not know it (`EINVAL`), everything stays as it was.
        unsafe { libc::madvise(start as *mut _, end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &mut [f32]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_buffers_are_zeros() {
        for length in [0, 1, 100, SMALLEST / 4, SMALLEST / 4 + 12_345] {
            let buffer = buffer(length);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|&value| value == 0.0));
        }
    }
}
