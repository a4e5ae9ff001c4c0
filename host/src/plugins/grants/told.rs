//! What the log of trust says of a change of decisions: what was granted, what was taken back, which limits were set.

use std::collections::{BTreeMap, BTreeSet};

use codex_packages::trust::Changes;
use codex_packages::trust::log::Event;
use codex_plugin_api::manifest::Limits;

use super::store::{Decision, Entry};
use super::{Granted, Permission};

/// The lines for what differs, plugin by plugin; what was taken back stands before what was granted.
pub(super) fn changes(
    before: &BTreeMap<String, Entry>,
    after: &BTreeMap<String, Entry>,
) -> Changes {
    let nothing = Entry::default();
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut lines = Changes::new();
    for id in ids {
        let (old, new) = (
            before.get(id).unwrap_or(&nothing),
            after.get(id).unwrap_or(&nothing),
        );
        let decided = decision(old.decision.as_ref(), new.decision.as_ref()).into_iter();
        lines.extend(decided.map(|(event, detail)| (event, id.clone(), detail)));
        if old.limits != new.limits {
            lines.push((Event::LimitsSet, id.clone(), limits(&new.limits)));
        }
    }
    lines
}

fn decision(old: Option<&Decision>, new: Option<&Decision>) -> Vec<(Event, String)> {
    let words = |decision: Option<&Decision>| {
        decision.map_or_else(BTreeSet::new, |decision| in_words(&decision.granted))
    };
    let (had, has) = (words(old), words(new));
    let origin = |decision: &Decision| match decision.origin.as_str() {
        "" => String::new(),
        origin => format!(" ({origin})"),
    };
    let list = |words: Vec<&String>| match words.as_slice() {
        [] => "nothing".to_owned(),
        words => words
            .iter()
            .map(|word| word.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    };
    let mut lines = Vec::new();
    // Of another plugin of the same id, nothing that was granted counts any more.
    let other = |old: &Decision, new: &Decision| old.origin != new.origin;
    if let Some(old) = old {
        let gone: Vec<&String> = match new {
            Some(new) if !other(old, new) => had.difference(&has).collect(),
            _ => had.iter().collect(),
        };
        if new.is_none() || !gone.is_empty() {
            lines.push((Event::GrantRevoked, list(gone) + &origin(old)));
        }
    }
    let Some(new) = new else { return lines };
    let fresh: Vec<&String> = match old {
        Some(old) if !other(old, new) => has.difference(&had).collect(),
        _ => has.iter().collect(),
    };
    // A decision about a version that asks for something else lets it run, even where nothing more is granted.
    let another = old.is_none_or(|old| old.digest != new.digest || other(old, new));
    if another || !fresh.is_empty() {
        lines.push((Event::Granted, list(fresh) + &origin(new)));
    }
    lines
}

/// What is granted, a phrase for each; a folder with the place that it stands for.
fn in_words(granted: &Granted) -> BTreeSet<String> {
    let words = |permission: &Permission| match permission.folder(granted) {
        Some(path) => format!("{} = {}", permission.noun(), path.display()),
        None => permission.noun(),
    };
    granted.permissions().iter().map(words).collect()
}

fn limits(limits: &Limits) -> String {
    if limits.is_empty() {
        return "none".to_owned();
    }
    // A struct of plain values always has a JSON text.
    serde_json::to_string(limits).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::asked::Asked;
    use super::*;

    fn entry(origin: &str, granted: Granted) -> BTreeMap<String, Entry> {
        let entry = Entry {
            decision: Some(Decision::new(Asked::default(), granted, origin.into())),
            limits: Limits::default(),
        };
        BTreeMap::from([("words".to_owned(), entry)])
    }

    fn granted(hosts: &[&str], clock: bool) -> Granted {
        Granted {
            folders: BTreeMap::from([("data".to_owned(), "/home/me/words".into())]),
            network: hosts.iter().map(|host| (*host).to_owned()).collect(),
            clock,
            ..Granted::default()
        }
    }

    fn lines(before: &BTreeMap<String, Entry>, after: &BTreeMap<String, Entry>) -> Vec<String> {
        let line =
            |(event, id, detail): &(Event, String, String)| format!("{event:?} {id}: {detail}");
        changes(before, after).iter().map(line).collect()
    }

    #[test]
    fn what_was_granted_and_taken_back_is_told_word_for_word() {
        let none = BTreeMap::new();
        let first = entry("path /a", granted(&["example.org"], true));
        assert_eq!(
            lines(&none, &first),
            ["Granted words: folder data = /home/me/words, host example.org, the clock (path /a)"]
        );
        let second = entry("path /a", granted(&["example.com"], true));
        assert_eq!(
            lines(&first, &second),
            [
                "GrantRevoked words: host example.org (path /a)",
                "Granted words: host example.com (path /a)"
            ]
        );
        assert_eq!(
            lines(&second, &none),
            [
                "GrantRevoked words: folder data = /home/me/words, host example.com, the clock (path /a)"
            ]
        );
        assert!(lines(&first, &first).is_empty());
    }

    #[test]
    fn another_plugin_of_the_same_id_begins_with_nothing() {
        let (one, other) = (
            entry("path /a", granted(&[], true)),
            entry("path /b", Granted::default()),
        );
        assert_eq!(
            lines(&one, &other),
            [
                "GrantRevoked words: folder data = /home/me/words, the clock (path /a)",
                "Granted words: nothing (path /b)"
            ]
        );
    }

    #[test]
    fn limits_are_told_too() {
        let mut after = BTreeMap::from([("words".to_owned(), Entry::default())]);
        after.get_mut("words").unwrap().limits =
            serde_json::from_str("{\"memory\": \"1GiB\"}").unwrap();
        assert_eq!(
            lines(&BTreeMap::new(), &after),
            ["LimitsSet words: {\"memory\":\"1GiB\"}"]
        );
        assert_eq!(lines(&after, &BTreeMap::new()), ["LimitsSet words: none"]);
    }
}
