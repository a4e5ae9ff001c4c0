//! Columns of text: the first to the left, numbers to the right.

/// `rows` below `head`, each column as wide as its widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .chain([title.chars().count()])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A number with four significant digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if (-3..=7).contains(&digits) {
        let places = digits.max(0) as usize;
        format!("{value:.places$}")
    } else {
        format!("{value:.3e}")
    }
}

/// A part of a whole in per cent.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2} %", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_line_up() {
        let rows = [["a", "10"], ["long", "9"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&["x", "y"], &rows), "x      y\na     10\nlong   9\n");
    }

    #[test]
    fn four_digits_are_enough() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1.000"),
            (-12.3456, "-12.35"),
            (0.012_345_6, "0.01235"),
            (98_765.4, "98765"),
            (1e-9, "1.000e-9"),
            (1.5e9, "1.500e9"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(percent(0.1234), "12.34 %");
    }
}
