//! What stands beside a session: cleaning up, and what could be newer.

use super::*;

#[test]
fn unused_versions_are_cleaned_and_used_ones_stay() {
    let room = Room::new(&SHELF);
    let data = room.root.path().join("data");
    room.act("+shout@1.0").unwrap();
    crate::clean::remember(&data, &room.scope).unwrap();
    room.act("+shout@2").unwrap();
    let clean = |forget, dry_run| {
        crate::clean::clean(&data, &room.store, Some(&room.scope), forget, dry_run).unwrap()
    };
    assert_eq!(
        clean(false, false).kept,
        4,
        "the history needs the old ones"
    );
    assert_eq!(clean(true, true).removed.len(), 2);
    let cleaned = clean(true, false);
    assert_eq!((cleaned.kept, cleaned.removed.len()), (2, 2));
    assert!(cleaned.bytes > 0);
    assert_eq!(room.in_use(), "shout 2.0.0, words 2.0.0");
    fs::write(room.scope.lock_file(), "version = 9\n").unwrap();
    let error = crate::clean::clean(&data, &room.store, None, false, false).unwrap_err();
    assert!(
        error.message().starts_with("nothing was removed"),
        "{error}"
    );
    fs::remove_dir_all(&room.scope.folder).unwrap();
    assert_eq!(
        crate::clean::clean(&data, &room.store, None, false, false)
            .unwrap()
            .removed
            .len(),
        2
    );
}

#[test]
fn outdated_tells_what_an_update_brings_and_what_there_is() {
    let mut room = Room::new(&SHELF);
    room.act("+shout@=1.0.0").unwrap();
    fs::write(room.scope.project_file(), "[plugins]\nshout = \"1\"\n").unwrap();
    room.fake.shop.add(offer("words 1.2.0"));
    let goal = Goal {
        renew: Renew::All,
        ..Goal::default()
    };
    let plan = room.session().plan(&goal).unwrap();
    let found =
        crate::outdated::outdated(&room.lock(), plan.lock(), &room.host, &room.fake).unwrap();
    let lines: Vec<String> = found
        .iter()
        .map(|one| {
            let text = |version: &Option<Version>| {
                version.as_ref().map_or("-".to_owned(), Version::to_string)
            };
            format!(
                "{} {} {} {}",
                one.name,
                one.version,
                text(&one.update),
                text(&one.newest)
            )
        })
        .collect();
    assert_eq!(
        lines,
        ["shout 1.0.0 1.1.0 2.0.0", "words 1.1.0 1.2.0 2.0.0"]
    );
}
