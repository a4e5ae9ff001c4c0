//! Quantised weights against their formulas, written down again in f64 and one value at a time.

use codex_nn::Workspace;
use codex_nn::linear::{self, Orientation};
use codex_nn::quantized::{self, Format, Quantized};

use crate::{random, values};

const FORMATS: [Format; 3] = [Format::Bf16, Format::Int8, Format::Nf4];

fn given_back(values: &[f32], format: Format) -> Vec<f32> {
    let quantized = Quantized::new(values, format).unwrap();
    assert_eq!(quantized.len(), values.len());
    assert_eq!(quantized.format(), format);
    let mut out = vec![f32::NAN; values.len()];
    quantized.dequantize(&mut out).unwrap();
    out
}

/// NF4's levels, from the table of the paper.
const LEVELS: [f64; 16] = [
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
];

fn nearest(numbers: &[f64], value: f64) -> f64 {
    let closer = |a: &&f64, b: &&f64| (**a - value).abs().total_cmp(&(**b - value).abs());
    *numbers.iter().min_by(closer).unwrap()
}

/// The 256 numbers of a byte, as their paper builds them.
fn byte_numbers() -> Vec<f64> {
    let mut numbers = vec![0.0, 1.0];
    for decade in 0..7u32 {
        let bounds: Vec<f64> = (0..=2u32.pow(decade))
            .map(|step| 0.1 + 0.9 * f64::from(step) / f64::from(2u32.pow(decade)))
            .collect();
        for pair in bounds.windows(2) {
            let number = 10f64.powi(decade as i32 - 6) * (pair[0] + pair[1]) / 2.0;
            numbers.extend([number, -number]);
        }
    }
    numbers
}

fn reference(values: &[f32], format: Format) -> Vec<f64> {
    let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let largest = |block: &[f64]| block.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    match format {
        Format::Bf16 => values
            .iter()
            .map(|value| f64::from(half::bf16::from_f32(*value).to_f32()))
            .collect(),
        Format::Int8 => wide
            .chunks(64)
            .flat_map(|block| {
                let scale = largest(block);
                block.iter().map(move |value| match scale {
                    0.0 => 0.0,
                    scale => (127.0 * value / scale).round() * scale / 127.0,
                })
            })
            .collect(),
        Format::Nf4 => {
            let scales: Vec<f64> = wide.chunks(64).map(largest).collect();
            let mean = scales.iter().sum::<f64>() / scales.len() as f64;
            let numbers = byte_numbers();
            let kept: Vec<f64> = scales
                .chunks(256)
                .flat_map(|group| {
                    let differences: Vec<f64> = group.iter().map(|scale| scale - mean).collect();
                    let largest = largest(&differences).max(f64::MIN_POSITIVE);
                    let kept = differences
                        .iter()
                        .map(|one| nearest(&numbers, one / largest) * largest + mean);
                    kept.collect::<Vec<f64>>()
                })
                .collect();
            wide.chunks(64)
                .zip(scales.iter().zip(&kept))
                .flat_map(|(block, (scale, kept))| {
                    block.iter().map(move |value| match *scale {
                        0.0 => 0.0,
                        scale => nearest(&LEVELS, value / scale) * kept,
                    })
                })
                .collect()
        }
    }
}

/// Lengths that end inside a block, between blocks, and behind the first group of scales.
#[test]
fn every_format_follows_its_formula() {
    for length in [0, 1, 63, 64, 65, 1000, 64 * 256, 64 * 300 + 7] {
        let weights = values(&random(length as u64 + 1, &[length.max(1)]))[..length].to_vec();
        let size = weights.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for format in FORMATS {
            let (found, expected) = (given_back(&weights, format), reference(&weights, format));
            let mut elsewhere = 0;
            for (found, expected) in found.iter().zip(&expected) {
                let error = (f64::from(*found) - expected).abs();
                elsewhere += usize::from(error > 1e-6 * f64::from(size));
            }
            // A value halfway between two codes may fall to either side in f32.
            assert!(
                elsewhere * 2000 <= length,
                "{format:?}, {length} values: {elsewhere} differ"
            );
        }
    }
}

#[test]
fn errors_and_sizes_are_what_the_formats_promise() {
    let weights = values(&random(7, &[64 * 1024]));
    let spread = (weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32).sqrt();
    for (format, error, bits) in [
        (Format::Bf16, 0.002, 16.0),
        (Format::Int8, 0.007, 8.5),
        (Format::Nf4, 0.1, 4.13),
    ] {
        let found = given_back(&weights, format);
        let squares: f32 = found
            .iter()
            .zip(&weights)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let relative = (squares / weights.len() as f32).sqrt() / spread;
        assert!(relative < error, "{format:?}: {relative}");
        assert!(
            relative > error / 10.0,
            "{format:?}: {relative} is too good to be true"
        );
        let bytes = Quantized::new(&weights, format).unwrap().bytes();
        let found = bytes as f64 * 8.0 / weights.len() as f64;
        assert!((found - bits).abs() < 0.01, "{format:?}: {found} bits");
    }
}

#[test]
fn zeros_and_extremes_come_back() {
    for format in FORMATS {
        assert_eq!(given_back(&[0.0; 130], format), [0.0; 130], "{format:?}");
        let mut tiny = vec![0.0f32; 64];
        tiny[3] = f32::from_bits(1);
        tiny.extend([1e30f32; 64]);
        let found = given_back(&tiny, format);
        assert!(
            found.iter().all(|value| value.is_finite()),
            "{format:?}: {found:?}"
        );
        assert!(
            (found[70] / 1e30 - 1.0).abs() < 0.01,
            "{format:?}: {}",
            found[70]
        );
    }
}

#[test]
fn a_value_that_would_spoil_its_block_is_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let mut weights = vec![0.5; 100];
        weights[77] = bad;
        for format in FORMATS {
            let error = Quantized::new(&weights, format).unwrap_err().to_string();
            assert!(error.contains("number 77"), "{error}");
        }
    }
    let mut short = [0.0; 3];
    assert!(
        Quantized::new(&[1.0; 4], Format::Nf4)
            .unwrap()
            .dequantize(&mut short)
            .is_err()
    );
}

/// What a product with a quantised weight is: that with the weight given back.
#[test]
fn products_are_those_of_the_weight_given_back() {
    let (rows, columns) = (96, 100);
    let (weight, x) = (random(3, &[rows, columns]), random(4, &[17, columns]));
    let ws = Workspace::new();
    for format in FORMATS {
        let quantized = Quantized::new(&values(&weight), format).unwrap();
        let full = quantized::joined(&ws, &[&quantized], (rows, columns)).unwrap();
        let y = values(&linear::forward(&ws, &x, &full, None, Orientation::OutIn).unwrap());
        ws.recycle(full);
        let (weight, x) = (reference(&values(&weight), format), values(&x));
        for (at, found) in y.iter().enumerate() {
            let (token, row) = (at / rows, at % rows);
            let products =
                (0..columns).map(|i| f64::from(x[token * columns + i]) * weight[row * columns + i]);
            let expected: f64 = products.sum();
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4,
                "{format:?}: {found} for {expected}"
            );
        }
    }
}

#[test]
fn one_thread_and_many_give_the_same() {
    let weights = values(&random(9, &[64 * 256 * 5 + 33]));
    let on = |threads: usize, format| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            (
                Quantized::new(&weights, format).unwrap(),
                given_back(&weights, format),
            )
        })
    };
    for format in FORMATS {
        assert!(on(1, format) == on(3, format), "{format:?}");
    }
}
