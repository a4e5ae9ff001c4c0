//! Packed numbers: little-endian, one behind the other, as the WIT's arrays are.

use std::marker::PhantomData;

use crate::{Error, Result};

/// A number that arrays hold.
pub trait Number: Copy {
    /// Its size in bytes.
    const SIZE: usize;
    /// Reads one from exactly [`Self::SIZE`] bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Writes one.
    fn write(self, to: &mut Vec<u8>);
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Number for $type {
            const SIZE: usize = size_of::<$type>();

            fn read(bytes: &[u8]) -> Self {
                let mut one = [0; size_of::<$type>()];
                one.copy_from_slice(bytes);
                Self::from_le_bytes(one)
            }

            fn write(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}

number! { u32 u64 i64 f32 f64 }

/// The numbers of an array, read as they are asked for: what [`unpack`] gives.
#[derive(Clone, Debug)]
pub struct Numbers<'a, T> {
    bytes: &'a [u8],
    number: PhantomData<T>,
}

impl<T: Number> Iterator for Numbers<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let (number, rest) = self.bytes.split_at_checked(T::SIZE)?;
        self.bytes = rest;
        Some(T::read(number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.bytes.len() / T::SIZE;
        (count, Some(count))
    }

    /// Several numbers a turn: at every turn of a loop the sandbox looks whether its time is over.
    fn fold<B, F: FnMut(B, T) -> B>(self, first: B, mut add: F) -> B {
        let mut all = first;
        let mut groups = self.bytes.chunks_exact(8 * T::SIZE);
        for group in &mut groups {
            for number in group.chunks_exact(T::SIZE) {
                all = add(all, T::read(number));
            }
        }
        for number in groups.remainder().chunks_exact(T::SIZE) {
            all = add(all, T::read(number));
        }
        all
    }
}

impl<T: Number> ExactSizeIterator for Numbers<'_, T> {}

/// The numbers of an array; `what` names the array in an error. Adding up with `fold`, `sum` or `for_each` is faster than
/// with a `for` loop.
///
/// # Errors
/// `data` when the bytes are no whole number of numbers.
pub fn unpack<'a, T: Number>(what: &str, bytes: &'a [u8]) -> Result<Numbers<'a, T>> {
    if bytes.len() % T::SIZE != 0 {
        return Err(Error::data(format!(
            "{what} has {} bytes, which is no multiple of {}",
            bytes.len(),
            T::SIZE
        )));
    }
    Ok(Numbers {
        bytes,
        number: PhantomData,
    })
}

/// An array of numbers.
pub fn pack<T: Number>(numbers: impl IntoIterator<Item = T>) -> Vec<u8> {
    let numbers = numbers.into_iter();
    let mut bytes = Vec::with_capacity(numbers.size_hint().0 * T::SIZE);
    for number in numbers {
        number.write(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back<T: Number + PartialEq + std::fmt::Debug>(numbers: &[T]) {
        let bytes = pack(numbers.iter().copied());
        assert_eq!(bytes.len(), numbers.len() * T::SIZE);
        let back: Vec<T> = unpack("numbers", &bytes).expect("whole").collect();
        assert_eq!(back, numbers);
    }

    #[test]
    fn numbers_come_back() {
        comes_back(&[0_u32, 1, u32::MAX]);
        comes_back(&[u64::MAX, 7]);
        comes_back(&[-100_i64, i64::MIN]);
        comes_back(&[1.5_f32, f32::NEG_INFINITY, -0.0]);
        comes_back(&[f64::MIN_POSITIVE, 1e300]);
        assert_eq!(pack([0x0102_0304_u32]), [4, 3, 2, 1]);
    }

    #[test]
    fn adding_up_takes_every_number_once_and_in_order() {
        for count in 0..=17 {
            let bytes = pack(0..count);
            let mut numbers = unpack::<u32>("numbers", &bytes).expect("whole");
            assert_eq!(numbers.len(), count as usize);
            let one_by_one: Vec<u32> = std::iter::from_fn(|| numbers.next()).collect();
            let all = unpack::<u32>("numbers", &bytes).expect("whole");
            let folded = all.fold(Vec::new(), |mut all, number| {
                all.push(number);
                all
            });
            assert_eq!(folded, one_by_one);
            assert_eq!(folded, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_number_that_was_cut_is_named() {
        let error = unpack::<f32>("log-probabilities", &[0; 6]).expect_err("6 bytes");
        assert_eq!(
            error.message,
            "log-probabilities has 6 bytes, which is no multiple of 4"
        );
    }
}
