#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;

fn event(subject: &str) -> (Event, String, String) {
    (Event::Pinned, subject.into(), "RW".into())
}

fn three(data: &Path) -> Head {
    append(data, 1, &[event("a"), event("b")]).unwrap();
    append(data, 2, &[event("c")]).unwrap()
}

#[test]
fn lines_are_chained_and_counted() {
    let data = tempfile::tempdir().unwrap();
    let head = three(data.path());
    assert_eq!(head.lines, 3);
    let lines = check(data.path(), &head).unwrap();
    let subjects: Vec<_> = lines.iter().map(|line| line.subject.as_str()).collect();
    assert_eq!(subjects, ["a", "b", "c"]);
    assert_eq!(lines[0].previous, NOTHING);
}

#[test]
fn a_changed_a_missing_and_an_added_line_are_found() {
    let data = tempfile::tempdir().unwrap();
    let head = three(data.path());
    let path = path(data.path());
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    for (text, words) in [
        (
            good.replace("\"b\"", "\"x\""),
            "line 3: does not continue the line before",
        ),
        (
            good.replace("\"c\"", "\"x\""),
            "line 3: is not the line that was written there",
        ),
        (
            format!("{}\n{}\n", lines[0], lines[2]),
            "line 2: is numbered 3",
        ),
        (
            format!("{}\n{}\n", lines[0], lines[1]),
            "has 2 lines, but had 3: it was cut",
        ),
        (String::new(), "has 0 lines, but had 3: it was cut"),
        (format!("{good}nonsense\n"), "line 4: is no line of a log"),
    ] {
        fs::write(&path, text).unwrap();
        let error = check(data.path(), &head).unwrap_err();
        assert!(error.message().contains(words), "{error} lacks {words}");
    }
    fs::remove_file(&path).unwrap();
    assert!(check(data.path(), &head).is_err());
}

#[test]
fn a_line_that_a_crash_cut_off_is_taken_away_and_that_is_written_down() {
    let data = tempfile::tempdir().unwrap();
    let head = three(data.path());
    let path = path(data.path());
    let whole = fs::read(&path).unwrap();
    for keep in 1..40 {
        let mut torn = whole.clone();
        torn.extend(&whole[..keep]);
        fs::write(&path, torn).unwrap();
        assert_eq!(check(data.path(), &head).unwrap().len(), 3);
        let after = append(data.path(), 3, &[event("d")]).unwrap();
        let lines = check(data.path(), &after).unwrap();
        assert_eq!(lines[3].event, Event::Repaired);
        assert_eq!(lines[4].subject, "d");
    }
}

#[test]
fn a_log_that_went_on_after_the_pins_were_written_is_whole() {
    let data = tempfile::tempdir().unwrap();
    let head = append(data.path(), 1, &[event("a")]).unwrap();
    append(data.path(), 2, &[event("b")]).unwrap();
    assert_eq!(check(data.path(), &head).unwrap().len(), 2);
}
