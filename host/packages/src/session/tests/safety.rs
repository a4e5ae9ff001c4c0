//! What must not go wrong: damage, versions that nobody accepted, faults and deaths at every step.

use super::*;

#[test]
fn damaged_and_unaccepted_versions_are_mended_by_sync() {
    let room = Room::new(&SHELF);
    room.act("+words@1").unwrap();
    let locked = room.lock().plugins["words"].clone();
    let folder = room
        .store
        .folder("words", &locked.version, &locked.archive.sha256);
    fs::write(folder.join("plugin.toml"), "changed").unwrap();
    room.act("sync").unwrap();
    room.in_use();
    fs::remove_dir_all(&folder).unwrap();
    room.act("locked").unwrap();
    room.in_use();
    room.fake.accepted.borrow_mut().clear();
    room.act("sync").unwrap();
    assert_eq!(room.fake.accepted.borrow().len(), 1);
}

#[test]
fn nothing_is_unpacked_before_it_is_judged() {
    let mut room = Room::new(&SHELF);
    room.fake.distrusted = Some("shout");
    let error = room.act("+shout@1").unwrap_err();
    assert_eq!(error.message(), "shout 1.1.0 is not trusted");
    assert!(
        room.store
            .versions()
            .unwrap()
            .iter()
            .all(|(name, _)| name != "shout")
    );
    assert_eq!(room.in_use(), "");
}

#[test]
fn an_older_version_is_meant_only_where_somebody_says_so() {
    let room = Room::new(&["shout 1.0.0"]);
    room.act("+shout").unwrap();
    assert_eq!(room.fake.judged.take(), [("shout 1.0.0".to_owned(), false)]);
    let room = Room::new(&["shout 1.0.0"]);
    room.act("+shout@=1.0.0").unwrap();
    assert_eq!(room.fake.judged.take(), [("shout 1.0.0".to_owned(), true)]);
}

#[test]
fn whatever_fails_and_wherever_it_dies_what_is_in_use_is_whole() {
    for fault in [Fault::Fails, Fault::Dies] {
        let mut moments = 0;
        for at in 0.. {
            let room = Room::new(&SHELF);
            room.act("+shout@1.0").unwrap();
            let (outcome, reached) = with_fault(at, fault, || room.act("+shout@2"));
            let now = room.in_use();
            if !reached {
                outcome.unwrap();
                assert_eq!(now, "shout 2.0.0, words 2.0.0");
                break;
            }
            moments += 1;
            assert!(
                ["shout 1.1.0, words 1.1.0", "shout 2.0.0, words 2.0.0"].contains(&now.as_str()),
                "{now}"
            );
            outcome.unwrap_err();
            // Whoever comes next needs no repair, and arrives at the same.
            room.act("+shout@2").unwrap();
            assert_eq!(room.in_use(), "shout 2.0.0, words 2.0.0");
            assert_eq!(room.project(), "[plugins]\nshout = \"^2\"\n");
            let left = fs::read_dir(room.store.root()).unwrap().count();
            assert_eq!(left, 3, "a lock, two plugins and nothing else");
            // The way back leads to what was there before, possibly over what was half done.
            let mut back = String::new();
            for _ in 0..3 {
                if room.act("rollback").is_ok() {
                    back = room.in_use();
                }
                if back == "shout 1.1.0, words 1.1.0" {
                    break;
                }
            }
            assert_eq!(back, "shout 1.1.0, words 1.1.0");
        }
        assert!(moments > 40, "{moments}");
    }
}
