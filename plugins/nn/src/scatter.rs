//! Writing disjoint parts of one buffer from several threads: the columns of one head, the rows of one token.
//! That the parts are disjoint is left to the caller, who says so in an unsafe call.
#![allow(unsafe_code, reason = "shares one mutable buffer between threads")]

use std::marker::PhantomData;

/// A mutable buffer of which several threads write different parts.
pub(crate) struct Scatter<'a> {
    start: *mut f32,
    length: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for a `&mut [f32]`, which may move to and be used from other threads; that uses do not
// overlap is what callers of `slice` promise.
unsafe impl Send for Scatter<'_> {}
// SAFETY: as above; `&Scatter` gives access only through the unsafe `slice`.
unsafe impl Sync for Scatter<'_> {}

impl<'a> Scatter<'a> {
    pub(crate) fn new(buffer: &'a mut [f32]) -> Self {
        Self {
            start: buffer.as_mut_ptr(),
            length: buffer.len(),
            buffer: PhantomData,
        }
    }

    /// Elements `offset..offset + length`.
    ///
    /// # Safety
    /// While the returned slice lives, no other slice that overlaps it may exist.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that slices do not overlap"
    )]
    pub(crate) unsafe fn slice(&self, offset: usize, length: usize) -> &mut [f32] {
        assert!(
            offset <= self.length && length <= self.length - offset,
            "part {offset}+{length} lies outside a buffer of {}",
            self.length
        );
        // SAFETY: the range was just checked to lie inside the buffer that `self` borrows mutably for 'a, and the
        // caller promises that nothing else reaches it meanwhile.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), length) }
    }

    /// The address of element `offset`, for kernels that take addresses.
    pub(crate) fn pointer(&self, offset: usize) -> *mut f32 {
        assert!(
            offset < self.length,
            "element {offset} lies outside a buffer of {}",
            self.length
        );
        self.start.wrapping_add(offset)
    }
}
