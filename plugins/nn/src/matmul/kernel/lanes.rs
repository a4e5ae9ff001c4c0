//! Vectors of sums and of packed words, one type for each vector unit. What is computed with them is left to `kernel`.

#[cfg(target_arch = "x86_64")]
#[allow(
    clippy::wildcard_imports,
    reason = "thirty instructions by their names"
)]
use std::arch::x86_64::*;

/// A vector of `WIDTH` sums, and the packed words that it takes in.
///
/// # Safety
/// Methods are called only where the CPU has the instructions, with pointers to as many elements as they read or write.
pub(super) trait Lanes {
    /// Sums.
    type Sums: Copy;
    /// Packed words, as many as sums: one number each, or two of bfloat16.
    type Words: Copy;
    /// Sums in a vector.
    const WIDTH: usize;

    unsafe fn zero() -> Self::Sums;
    unsafe fn load(from: *const f32) -> Self::Sums;
    unsafe fn store(to: *mut f32, sums: Self::Sums);
    unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    unsafe fn scale(a: Self::Sums, factor: f32) -> Self::Sums;
    unsafe fn words(from: *const f32) -> Self::Words;
    /// One word in every place.
    unsafe fn broadcast(from: *const f32) -> Self::Words;
    /// The sum of all sums.
    unsafe fn total(sums: Self::Sums) -> f32;
    /// The sums of all sums of four vectors.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "has to become part of the function compiled for the lanes"
    )]
    unsafe fn four_totals(sums: [Self::Sums; 4]) -> [f32; 4] {
        // SAFETY: the caller's promise.
        sums.map(|sums| unsafe { Self::total(sums) })
    }
    /// sums + a·b.
    unsafe fn accumulate(sums: Self::Sums, a: Self::Words, b: Self::Words) -> Self::Sums;
}

/// Lanes of x86: type, width, type of sums, of words, and the instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_lanes {
    ($(#[$meta:meta])* $name:ident, $width:literal, $sums:ty, $words:ty, $zero:ident, $load:ident, $store:ident, $add:ident,
     $multiply:ident, $splat:ident, |$from:ident| $read:expr, |$one:ident| $broadcast:expr, |$all:ident| $total:expr, $four_totals:expr, $accumulate:expr) => {
        $(#[$meta])*
        pub(super) struct $name;

        #[allow(clippy::inline_always, reason = "has to become part of the function compiled for the lanes")]
        // SAFETY: of all blocks below: the trait's callers promise the instructions and the pointers.
        impl Lanes for $name {
            type Sums = $sums;
            type Words = $words;
            const WIDTH: usize = $width;

            #[inline(always)]
            unsafe fn zero() -> $sums {
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> $sums {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, sums: $sums) {
                unsafe { $store(to, sums) }
            }
            #[inline(always)]
            unsafe fn add(a: $sums, b: $sums) -> $sums {
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            unsafe fn scale(a: $sums, factor: f32) -> $sums {
                unsafe { $multiply(a, $splat(factor)) }
            }
            #[inline(always)]
            unsafe fn words($from: *const f32) -> $words {
                unsafe { $read }
            }
            #[inline(always)]
            unsafe fn broadcast($one: *const f32) -> $words {
                unsafe { $broadcast }
            }
            #[inline(always)]
            unsafe fn total($all: $sums) -> f32 {
                unsafe { $total }
            }
            #[inline(always)]
            unsafe fn four_totals(sums: [$sums; 4]) -> [f32; 4] {
                unsafe { $four_totals(sums) }
            }
            #[inline(always)]
            unsafe fn accumulate(sums: $sums, a: $words, b: $words) -> $sums {
                unsafe { $accumulate(sums, a, b) }
            }
        }
    };
}

/// # Safety
/// The CPU has AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the function compiled for the lanes"
)]
unsafe fn four_totals_of_eight([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
    // SAFETY: the caller's promise; four numbers fill a vector.
    unsafe {
        let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let high = _mm256_extractf128_ps::<1>(pairs);
        let totals = _mm_add_ps(_mm256_castps256_ps128(pairs), high);
        std::mem::transmute::<__m128, [f32; 4]>(totals)
    }
}

#[cfg(target_arch = "x86_64")]
x86_lanes!(
    /// AVX2 with FMA.
    Avx2, 8, __m256, __m256, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps,
    _mm256_mul_ps, _mm256_set1_ps, |from| _mm256_loadu_ps(from), |one| _mm256_set1_ps(*one),
    |sums| {
        let four = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    },
    four_totals_of_eight,
    |sums, a, b| _mm256_fmadd_ps(a, b, sums)
);

#[cfg(target_arch = "x86_64")]
x86_lanes!(
    /// AVX-512.
    Avx512, 16, __m512, __m512, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps,
    _mm512_mul_ps, _mm512_set1_ps, |from| _mm512_loadu_ps(from), |one| _mm512_set1_ps(*one),
    |sums| _mm512_reduce_add_ps(sums),
    |sums: [__m512; 4]| four_totals_of_eight(sums.map(|sums| {
        let high = _mm256_castsi256_ps(_mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(sums)));
        _mm256_add_ps(_mm512_castps512_ps256(sums), high)
    })),
    |sums, a, b| _mm512_fmadd_ps(a, b, sums)
);

#[cfg(target_arch = "x86_64")]
x86_lanes!(
    /// AVX-512 with dot products of bfloat16: each word is two of them.
    Avx512Bf16, 16, __m512, __m512bh, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_add_ps,
    _mm512_mul_ps, _mm512_set1_ps,
    |from| std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast())),
    |one| std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(one.cast::<i32>().read())),
    |sums| _mm512_reduce_add_ps(sums),
    |sums: [__m512; 4]| four_totals_of_eight(sums.map(|sums| {
        let high = _mm256_castsi256_ps(_mm512_extracti64x4_epi64::<1>(_mm512_castps_si512(sums)));
        _mm256_add_ps(_mm512_castps512_ps256(sums), high)
    })),
    |sums, a, b| _mm512_dpbf16_ps(sums, a, b)
);

/// Lanes of plain arrays, which the compiler turns into what the build's target has.
pub(super) struct Portable;

/// As [`Portable`], with two numbers of bfloat16 in each word.
pub(super) struct Bf16Words;

const PORTABLE: usize = 8;

#[inline(always)]
#[allow(clippy::inline_always, reason = "one instruction")]
fn fused(a: f32, b: f32, sum: f32) -> f32 {
    // Without the instruction, `mul_add` is a call into libm.
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        a.mul_add(b, sum)
    } else {
        a * b + sum
    }
}

macro_rules! portable_lanes {
    ($name:ident, $accumulate:expr) => {
        #[allow(
            clippy::inline_always,
            reason = "has to become part of the function compiled for the lanes"
        )]
        // SAFETY: of all blocks below: the trait's callers promise the pointers.
        impl Lanes for $name {
            type Sums = [f32; PORTABLE];
            type Words = [f32; PORTABLE];
            const WIDTH: usize = PORTABLE;

            #[inline(always)]
            unsafe fn zero() -> Self::Sums {
                [0.0; PORTABLE]
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self::Sums {
                unsafe { from.cast::<Self::Sums>().read() }
            }
            #[inline(always)]
            unsafe fn store(to: *mut f32, sums: Self::Sums) {
                unsafe { to.cast::<Self::Sums>().write(sums) }
            }
            #[inline(always)]
            unsafe fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums {
                std::array::from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn scale(a: Self::Sums, factor: f32) -> Self::Sums {
                a.map(|a| a * factor)
            }
            #[inline(always)]
            unsafe fn words(from: *const f32) -> Self::Words {
                unsafe { from.cast::<Self::Words>().read() }
            }
            #[inline(always)]
            unsafe fn broadcast(from: *const f32) -> Self::Words {
                [unsafe { *from }; PORTABLE]
            }
            #[inline(always)]
            unsafe fn total(sums: Self::Sums) -> f32 {
                sums.iter().sum()
            }
            #[inline(always)]
            unsafe fn accumulate(sums: Self::Sums, a: Self::Words, b: Self::Words) -> Self::Sums {
                std::array::from_fn(|i| $accumulate(sums[i], a[i], b[i]))
            }
        }
    };
}

portable_lanes!(Portable, |sum, a, b| fused(a, b, sum));
portable_lanes!(Bf16Words, |sum, a: f32, b: f32| {
    let halves = |word: f32| {
        let bits = word.to_bits();
        (
            f32::from_bits(bits << 16),
            f32::from_bits(bits & 0xffff_0000),
        )
    };
    let ((a, next_a), (b, next_b)) = (halves(a), halves(b));
    fused(next_a, next_b, fused(a, b, sum))
});
