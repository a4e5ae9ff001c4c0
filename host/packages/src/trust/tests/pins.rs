//! The files: pins and log.

use super::*;

#[test]
fn many_writers_at_once_lose_nothing() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let desk = &desk;
            scope.spawn(move || {
                for number in 0..5 {
                    let name = format!("plugin-{writer}-{number}");
                    desk.trust().change(&name, Change::Native(true)).unwrap();
                }
            });
        }
    });
    assert_eq!(desk.trust().pins().plugins.len(), 20);
    assert_eq!(desk.trust().check_log().unwrap().len(), 20);
}

#[test]
fn a_changed_log_stops_further_changes() {
    let desk = Desk::new();
    desk.accept(&desk.offer(&entry("words", "1.0.0")));
    let path = log::path(desk.data.path());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("pinned\"", "trusted\"")).unwrap();
    desk.trust().check_log().unwrap_err();
    let error = desk
        .trust()
        .change("words", Change::Native(true))
        .unwrap_err();
    assert!(error.message().contains("trust.log"), "{error}");
    assert!(!desk.trust().pins().plugins["words"].native);
}

#[test]
fn local_files_are_known_by_their_digest_until_they_are_removed() {
    let desk = Desk::new();
    let mut trust = desk.trust();
    let library = Path::new("/plugins/words/words.wasm");
    trust.record_local(library, "words", "aa").unwrap();
    trust.record_local(library, "words", "aa").unwrap();
    assert_eq!(desk.events(), [Event::LocalInstalled]);
    trust.forget_local(Path::new("/plugins/other")).unwrap();
    trust.forget_local(Path::new("/plugins/words")).unwrap();
    assert!(desk.trust().pins().local.is_empty());
    assert_eq!(desk.events(), [Event::LocalInstalled, Event::LocalRemoved]);
}

#[cfg(unix)]
#[test]
fn pins_that_everybody_may_write_are_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.accept(&desk.offer(&entry("words", "1.0.0")));
    let path = desk.data.path().join("trust.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = Trust::open(desk.data.path(), &[]).unwrap_err();
    assert!(
        error.message().contains("every user of this system"),
        "{error}"
    );
}
