//! `-m`: settings with several values become one run a combination.

/// Expands `a=1,2 b=x` into `[[a=1, b=x], [a=2, b=x]]`; a comma inside brackets, braces or quotes does not divide.
/// The first setting changes slowest.
pub fn expand(overrides: &[String]) -> Vec<Vec<String>> {
    let mut runs = vec![Vec::new()];
    for text in overrides {
        let choices = match text.split_once('=') {
            Some((key, value)) => divide(value)
                .into_iter()
                .map(|choice| format!("{key}={choice}"))
                .collect(),
            None => vec![text.clone()],
        };
        runs = runs
            .into_iter()
            .flat_map(|run: Vec<String>| {
                choices.iter().map(move |choice| {
                    let mut run = run.clone();
                    run.push(choice.clone());
                    run
                })
            })
            .collect();
    }
    runs
}

fn divide(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0i32, None);
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_all_choices() {
        let check = |overrides: &[&str], expected: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
            let runs: Vec<String> = expand(&overrides).iter().map(|run| run.join(" ")).collect();
            assert_eq!(runs, expected);
        };
        check(&[], &[""]);
        check(&["a=1"], &["a=1"]);
        check(
            &["a=1,2", "b=x", "c=3,4"],
            &["a=1 b=x c=3", "a=1 b=x c=4", "a=2 b=x c=3", "a=2 b=x c=4"],
        );
        check(
            &["a=[1,2],[3]", "b={x: 1, y: 2}"],
            &["a=[1,2] b={x: 1, y: 2}", "a=[3] b={x: 1, y: 2}"],
        );
        check(&["a=\"1,2\",'3,4'"], &["a=\"1,2\"", "a='3,4'"]);
    }
}
