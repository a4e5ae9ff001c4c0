//! The sentences, each drawn uniformly from all that there are, and no two of them alike: that makes the log-probability
//! exact.

use std::fmt::Write as _;

/// How two numbers are put into a sentence: what stands before, between and behind them, and what they give. The first
/// words tell the forms apart.
struct Form {
    words: [&'static str; 3],
    result: fn(i64, i64) -> i64,
}

const FORMS: [Form; 6] = [
    Form {
        words: ["", " plus ", " is "],
        result: |a, b| a + b,
    },
    Form {
        words: ["", " minus ", " is "],
        result: |a, b| a - b,
    },
    Form {
        words: ["", " times ", " is "],
        result: |a, b| a * b,
    },
    Form {
        words: ["the sum of ", " and ", " is "],
        result: |a, b| a + b,
    },
    Form {
        words: ["taking ", " from ", " leaves "],
        result: |a, b| b - a,
    },
    Form {
        words: ["the product of ", " and ", " is "],
        result: |a, b| a * b,
    },
];

/// The configuration is the dataset: nothing else is kept.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Sentences {
    pub(crate) rows: u64,
    pub(crate) seed: u64,
    pub(crate) largest: u64,
    /// How many a row has.
    #[serde(rename = "sentences")]
    pub(crate) a_row: u64,
}

impl Sentences {
    /// What the manifest's schema says too, for hosts that call without having looked.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value, least, most) in [
            ("rows", self.rows, 0, 1_000_000_000_000),
            ("largest", self.largest, 1, 1_000_000),
            ("sentences", self.a_row, 1, 1000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(format!("{key} is {value}, it must be {least} to {most}"));
            }
        }
        Ok(())
    }

    /// Everything that the rows depend on; the number in front changes when the sentences do.
    pub(crate) fn fingerprint(&self) -> String {
        let Self {
            rows,
            seed,
            largest,
            a_row,
        } = self;
        format!("arithmetic-1-rows-{rows}-seed-{seed}-largest-{largest}-sentences-{a_row}")
    }

    /// How many sentences there are to draw from.
    fn choices(&self) -> u64 {
        FORMS.len() as u64 * (self.largest + 1) * (self.largest + 1)
    }

    /// Natural-log probability of every row's text.
    pub(crate) fn log_probability(&self) -> f64 {
        -(self.a_row as f64) * (self.choices() as f64).ln()
    }

    /// Writes the text of a row.
    pub(crate) fn write(&self, row: u64, text: &mut String) {
        for index in 0..self.a_row {
            let drawn = below(random(self.seed, row, index), self.choices());
            let numbers = self.largest + 1;
            let form = &FORMS[(drawn / (numbers * numbers)) as usize];
            let [a, b] = [drawn / numbers % numbers, drawn % numbers].map(|n| n as i64);
            let [before, between, behind] = form.words;
            let space = if index == 0 { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{space}{before}{a}{between}{b}{behind}{}.",
                (form.result)(a, b)
            );
        }
    }
}

/// Equal parts of the 64-bit range (Lemire 2019); without the rejection the shares differ by less than `n / 2^64`.
fn below(bits: u64, n: u64) -> u64 {
    ((u128::from(bits) * u128::from(n)) >> 64) as u64
}

/// 64 bits that are a function of three numbers: `SplitMix64`'s mix (Steele et al. 2014), once for each.
fn random(seed: u64, row: u64, index: u64) -> u64 {
    [row, index].into_iter().fold(mix(seed), |bits, number| {
        mix(bits ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    })
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn small() -> Sentences {
        Sentences {
            rows: 1000,
            seed: 3,
            largest: 2,
            a_row: 1,
        }
    }

    fn text(dataset: &Sentences, row: u64) -> String {
        let mut text = String::new();
        dataset.write(row, &mut text);
        text
    }

    #[test]
    fn every_sentence_there_is_comes_and_none_else() {
        let dataset = small();
        let found: BTreeSet<String> = (0..dataset.rows).map(|row| text(&dataset, row)).collect();
        assert_eq!(
            found.len() as u64,
            dataset.choices(),
            "so each has 1 / choices"
        );
        assert!(found.contains("taking 2 from 1 leaves -1."), "{found:?}");
        assert!(found.contains("2 times 2 is 4."), "{found:?}");
        let expected = -(6.0_f64 * 9.0).ln();
        assert!((dataset.log_probability() - expected).abs() < 1e-12);
    }

    #[test]
    fn rows_and_fingerprint_depend_on_every_key() {
        let dataset = Sentences {
            a_row: 3,
            ..small()
        };
        assert_eq!(text(&dataset, 5), text(&dataset.clone(), 5));
        assert_ne!(text(&dataset, 5), text(&dataset, 6));
        assert_ne!(
            text(&dataset, 5),
            text(
                &Sentences {
                    seed: 4,
                    ..dataset.clone()
                },
                5
            )
        );
        let others = [
            Sentences {
                rows: 1,
                ..dataset.clone()
            },
            Sentences {
                seed: 4,
                ..dataset.clone()
            },
            Sentences {
                largest: 9,
                ..dataset.clone()
            },
            Sentences {
                a_row: 2,
                ..dataset.clone()
            },
        ];
        for other in others {
            assert_ne!(other.fingerprint(), dataset.fingerprint());
        }
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let wrong = Sentences {
            largest: 0,
            ..small()
        };
        assert_eq!(
            wrong.check(),
            Err("largest is 0, it must be 1 to 1000000".to_owned())
        );
        assert_eq!(small().check(), Ok(()));
    }

    #[test]
    fn draws_are_even() {
        let mut counts = [0_u32; 6];
        for row in 0..60_000 {
            counts[below(random(1, row, 0), 6) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_600..10_400).contains(count)),
            "{counts:?}"
        );
    }
}
