//! Patterns of parameter names.

/// Whether a name fits a pattern: `*` stands for any characters, `?` for one.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let mut characters = pattern.chars();
    match characters.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = characters.as_str();
            let starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.into_iter().any(|at| fits(rest, &name[at..]))
        }
        Some(due) => {
            let mut found = name.chars();
            found.next().is_some_and(|one| due == '?' || due == one)
                && fits(characters.as_str(), found.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, name, expected) in [
            ("counts.1", "counts.1", true),
            ("counts.1", "counts.12", false),
            ("counts.*", "counts.12", true),
            ("*.?", "counts.1", true),
            ("*.?", "counts.12", false),
            ("*", "", true),
            ("?", "", false),
            ("c*s*", "counts.1", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} and {name}");
        }
    }
}
