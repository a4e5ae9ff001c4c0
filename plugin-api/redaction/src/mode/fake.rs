//! Format-preserving fakes: a keyed body, and a keyed tag over it by which a fake is known again and left alone.
//!
//! A fake is no value of the real world: digits alone begin with `000` (no card, telephone, account or routable address
//! does), another value that begins with a digit begins with 0, the letters that end a dotted name are all `z` (no
//! such top-level domain), and digits never pass Luhn's check nor ISO 7064's mod 97. Checksums of single providers and
//! states are not looked at; they fail as often as chance has it.

use crate::Key;

/// A real value is taken for a fake with a chance of less than 2⁻²⁰; what cannot hold as much gets no fake.
const TAG_BITS: f64 = 20.0;
const FEWEST_BODY: usize = 2;
const ZEROS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Class {
    Digit,
    Lower,
    Upper,
    /// A character that the format demands.
    Fixed(char),
    /// Kept from the value.
    Separator(char),
}

impl Class {
    fn of(letter: char) -> Self {
        if letter.is_numeric() {
            Self::Digit
        } else if letter.is_uppercase() {
            Self::Upper
        } else if letter.is_alphabetic() {
            Self::Lower
        } else {
            Self::Separator(letter)
        }
    }

    fn varies(self) -> bool {
        matches!(self, Self::Digit | Self::Lower | Self::Upper)
    }

    fn bits(self) -> f64 {
        match self {
            Self::Digit => 10f64.log2(),
            Self::Lower | Self::Upper => 26f64.log2(),
            Self::Fixed(_) | Self::Separator(_) => 0.0,
        }
    }

    fn letter(self, random: u8) -> char {
        match self {
            Self::Digit => (b'0' + random % 10).into(),
            Self::Lower => (b'a' + random % 26).into(),
            Self::Upper => (b'A' + random % 26).into(),
            Self::Fixed(letter) | Self::Separator(letter) => letter,
        }
    }
}

/// The classes of a value's characters, with those fixed that keep a fake out of the real world. A fake has the
/// same classes as its value, so it is recognised without the value.
struct Shape {
    classes: Vec<Class>,
    /// Places in `classes` that vary: first the body's, then the tag's.
    body: Vec<usize>,
    tag: Vec<usize>,
}

impl Shape {
    fn of(value: &str) -> Option<Self> {
        let mut classes: Vec<Class> = value.chars().map(Class::of).collect();
        fix_top_level_domain(&mut classes);
        let fixed_digits = fix_digits(&mut classes);
        let varying: Vec<usize> = (0..classes.len())
            .filter(|&at| classes[at].varies())
            .collect();
        let (body, tag) = varying.split_at(varying.len() / 2);
        let bits: f64 = tag.iter().map(|&at| classes[at].bits()).sum();
        let fixed_bits = fixed_digits as f64 * 10f64.log2();
        (body.len() >= FEWEST_BODY && bits + fixed_bits >= TAG_BITS).then(|| Self {
            body: body.to_vec(),
            tag: tag.to_vec(),
            classes,
        })
    }

    fn fill(&self, letters: &mut [char], places: &[usize], key: &Key, parts: &[&[u8]]) {
        let mut random = Vec::new();
        for (count, &at) in places.iter().enumerate() {
            if count % 32 == 0 {
                let block = (count as u64 / 32).to_le_bytes();
                let parts: Vec<&[u8]> = parts.iter().copied().chain([&block[..]]).collect();
                random = key.tag(&parts).to_vec();
            }
            letters[at] = self.classes[at].letter(random[count % 32]);
        }
    }

    /// Puts the tag behind a body.
    fn sign(&self, letters: &mut [char], key: &Key) {
        for &at in &self.tag {
            letters[at] = '?';
        }
        let body: String = letters.iter().collect();
        self.fill(letters, &self.tag, key, &[body.as_bytes()]);
    }
}

/// Letters behind a dot that end a name: where the value ends, or before a port or a path.
fn fix_top_level_domain(classes: &mut [Class]) {
    let is_letter = |class: &Class| matches!(class, Class::Lower | Class::Upper);
    for dot in 0..classes.len() {
        if classes[dot] != Class::Separator('.') {
            continue;
        }
        let rest = &mut classes[dot + 1..];
        let length = rest.iter().take_while(|class| is_letter(class)).count();
        let goes_on =
            |class: &Class| matches!(class, Class::Digit | Class::Separator('.' | '-' | '_'));
        if length < 2 || rest.get(length).is_some_and(goes_on) {
            continue;
        }
        for class in &mut rest[..length] {
            *class = Class::Fixed(if *class == Class::Upper { 'Z' } else { 'z' });
        }
    }
}

/// Returns how many digits were fixed that a real value would not have so.
fn fix_digits(classes: &mut [Class]) -> usize {
    let varying: Vec<usize> = (0..classes.len())
        .filter(|&at| classes[at].varies())
        .collect();
    let digits_alone = !varying.is_empty()
        && classes
            .iter()
            .all(|class| matches!(class, Class::Digit | Class::Separator(_)));
    let count = if digits_alone { ZEROS } else { 1 };
    let mut fixed = 0;
    for &at in varying.iter().take(count) {
        if classes[at] == Class::Digit {
            classes[at] = Class::Fixed('0');
            fixed += 1;
        }
    }
    if digits_alone { fixed } else { 0 }
}

/// A fake for a value, or `None` when it is too short to hold one. A fake's fake is itself.
pub(super) fn fake(key: &Key, value: &str) -> Option<String> {
    let shape = Shape::of(value)?;
    if is_fake(key, value, &shape) {
        return Some(value.to_owned());
    }
    let (body_key, tag_key) = (key.purpose("fake v1"), key.purpose("fake tag v1"));
    let mut letters: Vec<char> = shape.classes.iter().map(|class| class.letter(0)).collect();
    // Digits pass Luhn's check in one of ten tries; 64 of them in a row do not happen.
    for attempt in 0..64u64 {
        let parts = [value.as_bytes(), &attempt.to_le_bytes()];
        shape.fill(&mut letters, &shape.body, &body_key, &parts);
        shape.sign(&mut letters, &tag_key);
        if !passes_luhn(&letters) && !passes_mod_97(&letters) {
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// Whether a value was made by [`fake`] with this key.
pub(super) fn is_known_fake(key: &Key, value: &str) -> bool {
    Shape::of(value).is_some_and(|shape| is_fake(key, value, &shape))
}

fn is_fake(key: &Key, value: &str, shape: &Shape) -> bool {
    let given: Vec<char> = value.chars().collect();
    let fits = shape.classes.iter().zip(&given).all(|(class, letter)| {
        match class {
            Class::Fixed(wanted) => wanted == letter,
            // Only ASCII is written.
            _ => !class.varies() || letter.is_ascii(),
        }
    });
    if !fits {
        return false;
    }
    let mut signed = given.clone();
    shape.sign(&mut signed, &key.purpose("fake tag v1"));
    signed == given
}

/// Luhn's check (ISO/IEC 7812-1) over all digits.
fn passes_luhn(letters: &[char]) -> bool {
    let digits: Vec<u32> = letters
        .iter()
        .filter_map(|letter| letter.to_digit(10))
        .collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// The check of an IBAN (ISO 13616, ISO 7064 mod 97-10): four characters moved to the end, letters as 10 to 35.
fn passes_mod_97(letters: &[char]) -> bool {
    let values: Vec<u32> = letters
        .iter()
        .filter_map(|letter| letter.to_digit(36))
        .collect();
    if values.len() < 5 {
        return false;
    }
    let moved = values[4..].iter().chain(&values[..4]);
    let rest = moved.fold(0, |rest, &value| {
        (rest * if value < 10 { 10 } else { 100 } + value) % 97
    });
    rest == 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn key() -> Key {
        Key::new(b"a key for these tests").unwrap()
    }

    #[test]
    fn checks_know_real_numbers() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        assert!(passes_luhn(&letters("4111 1111 1111 1111")));
        assert!(!passes_luhn(&letters("4111 1111 1111 1112")));
        assert!(passes_mod_97(&letters("GB82 WEST 1234 5698 7654 32")));
        assert!(!passes_mod_97(&letters("GB83 WEST 1234 5698 7654 32")));
    }

    #[test]
    fn fakes_are_out_of_the_real_world() {
        for (value, begins, ends) in [
            ("4111 1111 1111 1111", "000", ""),
            ("+420 777 123 456", "+000 ", ""),
            ("192.168.100.200", "000.", ""),
            ("john.smith@gmail.com", "", ".zzz"),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "0", ""),
        ] {
            let fake = fake(&key(), value).unwrap();
            assert!(fake.starts_with(begins) && fake.ends_with(ends), "{fake}");
            assert_eq!(fake.len(), value.len());
            assert_ne!(fake, value);
        }
        let url = fake(&key(), "postgres://joe@db.example.io:5432/abcdef").unwrap();
        assert!(url.contains(".zz:"), "{url}");
        assert_eq!(fake(&key(), "10.0.0.1"), None, "too short");
        assert_eq!(fake(&key(), "\u{200b}\u{200b}"), None);
    }

    /// For any value: same length and separators, same classes, no checksum, a fake's fake is itself, and a
    /// value is no fake.
    #[test]
    fn fakes_keep_the_format_of_any_value() {
        let alphabet: Vec<char> = "abzABZ0189-_.@ +/žŘ١".chars().collect();
        let mut made = 0;
        for seed in 0..4000 {
            let mut random = Random::new(seed);
            let length = random.below(60);
            let value: String = (0..length).map(|_| random.pick(&alphabet)).collect();
            assert!(!is_known_fake(&key(), &value), "{value}");
            let Some(fake) = fake(&key(), &value) else {
                continue;
            };
            made += 1;
            assert_eq!(fake.chars().count(), value.chars().count());
            for (a, b) in value.chars().zip(fake.chars()) {
                assert_eq!(Class::of(a), Class::of(b), "{value} {fake}");
            }
            let letters: Vec<char> = fake.chars().collect();
            assert!(!passes_luhn(&letters) && !passes_mod_97(&letters), "{fake}");
            assert!(is_known_fake(&key(), &fake), "{fake}");
            assert_eq!(super::fake(&key(), &fake).as_ref(), Some(&fake));
            let other = Key::new(b"another key for tests").unwrap();
            assert!(!is_known_fake(&other, &fake));
        }
        assert!(made > 2000, "{made}");
    }
}
