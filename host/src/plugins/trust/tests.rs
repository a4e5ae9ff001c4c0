#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn vouched(content: &[u8]) -> Vouched {
    Vouched {
        sha256: sha256(content),
        title: "words 1.0.0".into(),
        mend: "install it again".into(),
    }
}

#[test]
fn bytes_that_differ_are_refused_at_the_gate_trust() {
    let path = Path::new("words.wasm");
    vouched(b"good").check(b"good", path).unwrap();
    let refusal = vouched(b"good").check(b"evil", path).unwrap_err();
    assert_eq!(refusal.step, Step::Trust);
    assert!(
        refusal
            .reason
            .contains("changed after words 1.0.0 was installed")
    );
    assert_eq!(refusal.hint, "install it again");
}

#[test]
fn a_library_is_compared_while_it_is_copied_to_where_nobody_else_can_write() {
    let root = tempfile::tempdir().unwrap();
    let library = root.path().join("libwords.so");
    fs::write(&library, "good").unwrap();
    let folders = Folders {
        cache: Some(root.path().join("cache")),
        ..Folders::default()
    };
    let copy = PrivateCopy::of(&library, &vouched(b"good"), &folders).unwrap();
    // Whatever happens to the original now, the copy is what was compared.
    fs::write(&library, "evil").unwrap();
    assert_eq!(fs::read(copy.path()).unwrap(), b"good");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let folder = copy.path().parent().unwrap();
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let path = copy.path().to_owned();
    drop(copy);
    assert!(!path.exists());
    let refusal = PrivateCopy::of(&library, &vouched(b"good"), &folders).unwrap_err();
    assert_eq!((refusal.step, &*refusal.path), (Step::Trust, &*library));
    let left = fs::read_dir(root.path().join("cache/loading")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_place_below_the_store_is_told_from_others() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().canonicalize().unwrap();
    let folder = data.join("store/words/1.0.0-0123456789abcdef");
    let library = folder.join("artifacts/wasm/words.wasm");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    fs::write(&library, "").unwrap();
    let beside = data.join("words.wasm");
    fs::write(&beside, "").unwrap();
    let (found, rest) = in_store(&data, &library).unwrap();
    assert_eq!(
        (found, rest.as_path()),
        (folder, Path::new("artifacts/wasm/words.wasm"))
    );
    assert_eq!(in_store(&data, &beside), None);
    assert!(origin(Some(&data), &library).starts_with("store "));
    assert_eq!(
        origin(Some(&data), &beside),
        format!("path {}", beside.display())
    );
    #[cfg(unix)]
    {
        // A link does not make a file of the store one of the user's own.
        let link = data.join("link.wasm");
        std::os::unix::fs::symlink(&library, &link).unwrap();
        assert!(in_store(&data, &link).is_some());
    }
}
