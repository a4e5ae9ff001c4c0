//! The optimizer against a plain f64 AdamW.

use codex_nn::adamw::{self, Group, Options};

use crate::{random, values, zeros};

#[test]
fn ten_steps_follow_the_definition() {
    // Of 70,000 parameters 5,000 do not train: those have neither gradients nor moments.
    let count = 65_000;
    let parameters = random(1, &[70_000]);
    let (gradients, first, second) = (zeros(&[count]), zeros(&[count]), zeros(&[count]));
    let groups = [
        Group {
            range: 0..40_000,
            state: 0,
            decay: true,
        },
        Group {
            range: 40_000..60_000,
            state: 40_000,
            decay: false,
        },
        Group {
            range: 65_000..70_000,
            state: 60_000,
            decay: true,
        },
    ];
    let mut expected: Vec<f64> = values(&parameters).iter().map(|v| f64::from(*v)).collect();
    let frozen = expected[60_000..65_000].to_vec();
    let (mut m, mut v) = (vec![0.0; count], vec![0.0; count]);
    for step in 1..=10 {
        let fresh = values(&random(10 + step, &[count]));
        codex_nn::write(&gradients, |g| g.copy_from_slice(&fresh)).unwrap();
        let norm = fresh
            .iter()
            .map(|g| f64::from(*g).powi(2))
            .sum::<f64>()
            .sqrt();
        let found = adamw::norm(&gradients).unwrap();
        assert!(
            (found - norm).abs() < 1e-5 * norm,
            "norm {found}, not {norm}"
        );
        let options = Options {
            learning_rate: 1e-2,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            weight_decay: 0.1,
            step,
            gradient_factor: (1.0 / norm) as f32,
        };
        adamw::step(&parameters, &gradients, &first, &second, &groups, &options).unwrap();
        let power = step as i32;
        for group in &groups {
            for (i, at) in group.range.clone().zip(group.state..) {
                let g = f64::from(fresh[at]) / norm;
                if group.decay {
                    expected[i] *= 1.0 - 1e-2 * 0.1;
                }
                m[at] = 0.9 * m[at] + 0.1 * g;
                v[at] = 0.999 * v[at] + 0.001 * g * g;
                let root = (v[at] / (1.0 - 0.999f64.powi(power))).sqrt() + 1e-8;
                expected[i] -= 1e-2 * (m[at] / (1.0 - 0.9f64.powi(power))) / root;
            }
        }
    }
    let found = values(&parameters);
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(
            (f64::from(*found) - expected).abs() < 1e-4,
            "[{i}]: {found}, not {expected}"
        );
    }
    assert!(
        found[60_000..65_000]
            .iter()
            .zip(&frozen)
            .all(|(a, b)| f64::from(*a) == *b)
    );
    assert!(values(&gradients).iter().all(|g| *g == 0.0));
}

#[test]
fn a_nan_anywhere_shows_in_the_norm() {
    let gradients = random(1, &[100_000]);
    codex_nn::write(&gradients, |g| g[77_777] = f32::NAN).unwrap();
    assert!(adamw::norm(&gradients).unwrap().is_nan());
}

#[test]
fn groups_outside_their_buffers_are_refused() {
    let (parameters, state) = (random(1, &[100]), zeros(&[50]));
    let options = Options {
        learning_rate: 1e-2,
        betas: (0.9, 0.999),
        epsilon: 1e-8,
        weight_decay: 0.1,
        step: 1,
        gradient_factor: 1.0,
    };
    let group = |range, state| Group {
        range,
        state,
        decay: false,
    };
    for (groups, words) in [
        (vec![group(60..101, 0)], "60..101 is outside 0..100"),
        (vec![group(40..91, 0)], "0 of 40..91 is outside 0..50"),
        (
            vec![group(0..10, 0), group(20..30, 5)],
            "5 of 20..30 is outside 10..50",
        ),
        (
            vec![group(20..30, 0), group(0..10, 10)],
            "0..10 is outside 30..100",
        ),
    ] {
        let error = adamw::step(&parameters, &state, &state, &state, &groups, &options);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
