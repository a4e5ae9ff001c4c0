//! What a user most likely meant by a word that does not exist.

/// The candidate nearest to `word`, when one is near enough to be a slip of the hand.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(word, candidate);
            // Parts of a name are often forgotten (`lm` for `metric-lm`), which edit distance punishes.
            let part = word.len() >= 2 && candidate.split(['-', '_']).any(|part| part == word);
            (candidate, if part { likeness.max(0.9) } else { likeness })
        })
        .filter(|(_, likeness)| *likeness >= 0.8)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let keys = ["hidden_size", "layers", "heads", "sequence_length"];
        for (word, near) in [
            ("hiden_size", Some("hidden_size")),
            ("layer", Some("layers")),
            ("length", Some("sequence_length")),
            ("dropout", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), near, "{word}");
        }
    }
}
