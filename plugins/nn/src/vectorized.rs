//! Loops over rows of numbers, compiled for the vector units that the CPU turns out to have, and the elementary
//! functions they use, written without branches so that they vectorise. Which rows is left to the training functions.

/// Defines functions whose body is compiled for AVX-512, for AVX2 with FMA, and for the build's own target; the CPU
/// decides at run time. Elsewhere (aarch64 has NEON in its baseline) there is just the one body.
macro_rules! vectorized {
    ($($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $output:ty)? $body:block)*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take their operands one by one")]
        #[allow(unsafe_code, reason = "calls code compiled for a vector unit after asking for it")]
        #[inline]
        $visibility fn $name($($argument: $kind),*) $(-> $output)? {
            #[inline(always)]
            #[allow(clippy::inline_always, reason = "the body has to become part of each version")]
            #[allow(clippy::too_many_arguments, reason = "kernels take their operands one by one")]
            fn body($($argument: $kind),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take their operands one by one")]
                fn avx512($($argument: $kind),*) $(-> $output)? { body($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "kernels take their operands one by one")]
                fn avx2($($argument: $kind),*) $(-> $output)? { body($($argument),*) }

                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: every feature that the function enables was found on this CPU just above.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: both features that the function enables were found on this CPU just above.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    )*};
}
pub(crate) use vectorized;

/// Partial sums kept side by side, so that a sum uses whole vectors and its order is the same on every CPU.
const LANES: usize = 16;

/// eˣ within 2 ulp; 0 below −87.3, infinity above 88.7, NaN for NaN (Cephes' `expf`, without branches).
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it rounds to an integer kept in the low bits
    let low = x < -87.3;
    let high = x > 88.7;
    let clamped = if low { -87.3 } else { x };
    let clamped = if high { 88.7 } else { clamped };
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_6e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let p = p.mul_add(r * r, r) + 1.0;
    // Half of the exponent at a time, so that 2ⁿ itself never overflows.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = exponent >> 1;
    let scale_a = f32::from_bits(((half + 127) << 23) as u32);
    let scale_b = f32::from_bits(((exponent - half + 127) << 23) as u32);
    let value = p * scale_a * scale_b;
    let value = if low { 0.0 } else { value };
    if high { f32::INFINITY } else { value }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function within 4e-7, as a ratio of two polynomials on [−4, 4] (the one of XLA and Eigen).
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let s = x * x;
    let numerator = (-2.726_142_3e-10_f32)
        .mul_add(s, 2.770_681_4e-8)
        .mul_add(s, -2.101_024e-6)
        .mul_add(s, -5.692_506_4e-5)
        .mul_add(s, -7.349_906_4e-4)
        .mul_add(s, -2.954_6e-3)
        .mul_add(s, -1.609_603_3e-2);
    let denominator = (-1.456_607_2e-5_f32)
        .mul_add(s, -2.133_740_6e-4)
        .mul_add(s, -1.682_827e-3)
        .mul_add(s, -7.373_329e-3)
        .mul_add(s, -1.426_473_9e-2);
    x * numerator / denominator
}

/// Σ f(i) over `length` in sixteen lanes.
#[inline(always)]
#[allow(
    clippy::inline_always,
    reason = "has to become part of the vector loop"
)]
pub(crate) fn lane_sum(length: usize, term: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let whole = length / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
        start += LANES;
    }
    for index in whole..length {
        lanes[index - whole] += term(index);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

vectorized! {
    /// Σ a·b.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
        let b = &b[..a.len()];
        lane_sum(a.len(), |i| a[i] * b[i])
    }

    /// The largest element; NaN elements are passed over.
    pub(crate) fn maximum(values: &[f32]) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; LANES];
        let mut chunks = values.chunks_exact(LANES);
        for chunk in &mut chunks {
            for (best, &value) in lanes.iter_mut().zip(chunk) {
                *best = if value > *best { value } else { *best };
            }
        }
        for (best, &value) in lanes.iter_mut().zip(chunks.remainder()) {
            *best = if value > *best { value } else { *best };
        }
        lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
    }

    /// Replaces each value by e^(value − shift) and returns the sum.
    pub(crate) fn exp_shifted(values: &mut [f32], shift: f32) -> f32 {
        for value in values.iter_mut() {
            *value = exp(*value - shift);
        }
        let values = &*values;
        lane_sum(values.len(), |i| values[i])
    }

    /// Σ e^(value − shift), leaving the values.
    pub(crate) fn sum_exp_shifted(values: &[f32], shift: f32) -> f32 {
        lane_sum(values.len(), |i| exp(values[i] - shift))
    }

    /// values ·= factor.
    pub(crate) fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }

    /// target += source.
    pub(crate) fn add(target: &mut [f32], source: &[f32]) {
        for (target, &source) in target.iter_mut().zip(source) {
            *target += source;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulp_and_keeps_special_values() {
        let mut x = -86.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "exp({x}) is off by {error}");
            x += 0.0137;
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn erf_follows_its_series() {
        for i in -60..=60 {
            let x = f64::from(i) * 0.05;
            let (mut term, mut sum) = (x, x);
            for n in 1..80 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let exact = sum * 2.0 / std::f64::consts::PI.sqrt();
            let found = f64::from(erf(x as f32));
            assert!(
                (found - exact).abs() < 5e-7,
                "erf({x}) is {found}, not {exact}"
            );
        }
    }

    #[test]
    fn sums_and_maxima_of_any_length() {
        for length in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..length).map(|i| (i % 7) as f32).collect();
            assert_eq!(dot(&values, &vec![1.0; length]), values.iter().sum::<f32>());
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(maximum(&values), largest);
        }
    }
}
