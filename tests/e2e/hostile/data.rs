//! Answers that nobody may believe: each is refused with what is wrong about it.

use codex_plugin_api::{EncodeOptions, Ids, Stage, TextBuffer};

use super::{Cage, deed, is_plugins_fault, names};

#[test]
fn rows_that_do_not_fit_are_refused() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    for (what, word) in [
        ("utf8", "UTF-8"),
        ("cut", "offset 1"),
        ("beyond", "offset"),
        ("backwards", "offset"),
        ("offsets", "offset"),
        ("rows", "3 rows came where 2 from row 0"),
        ("uneven", "\"more\" has 1 rows"),
        ("twice", "is there twice"),
        ("boolean", "holds 7 where 0 or 1 is due"),
    ] {
        let dataset = registry.create_dataset("hostile", &deed(what)).unwrap();
        let error = dataset.read(0, 2).unwrap_err();
        is_plugins_fault(&error);
        names(&error, &[word]);
    }
    let dataset = registry.create_dataset("hostile", &deed("")).unwrap();
    assert_eq!(dataset.read(0, 2).unwrap().rows(), 2);
}

#[test]
fn findings_outside_of_their_text_are_refused() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let texts: TextBuffer = ["abčd"].into_iter().collect();
    for (what, word) in [
        ("beyond", "is no part of its 5 bytes"),
        ("empty", "is no part of"),
        ("huge", "is no part of"),
        ("text", "beyond the 1 texts"),
        ("rule", "beyond the 1 rules"),
        ("confidence", "confidence NaN"),
        ("cut", "cuts a character in two"),
        ("order", "comes after a later one"),
    ] {
        let sanitizer = registry.create_sanitizer("hostile", &deed(what)).unwrap();
        let error = sanitizer.scan(texts.as_texts(), Stage::Ingest).unwrap_err();
        is_plugins_fault(&error);
        names(&error, &[word]);
    }
    let sanitizer = registry.create_sanitizer("hostile", &deed("")).unwrap();
    assert_eq!(
        sanitizer.scan(texts.as_texts(), Stage::Log).unwrap().len(),
        1
    );
}

#[test]
fn ids_that_do_not_fit_and_files_that_climb_are_refused() {
    let Some(cage) = Cage::without_grants() else {
        return;
    };
    let registry = cage.registry();
    let texts: TextBuffer = ["ab"].into_iter().collect();
    let options = EncodeOptions::default();
    for (what, word) in [("beyond", "sequence offsets"), ("few", "sequence offsets")] {
        let tokenizer = registry.create_tokenizer("hostile", &deed(what)).unwrap();
        let error = tokenizer.encode(texts.as_texts(), options).unwrap_err();
        is_plugins_fault(&error);
        names(&error, &[word]);
    }
    let tokenizer = registry
        .create_tokenizer("hostile", &deed("spans"))
        .unwrap();
    let spans = EncodeOptions {
        byte_offsets: true,
        ..options
    };
    names(
        &tokenizer.encode(texts.as_texts(), spans).unwrap_err(),
        &["byte offsets came with 3 values where 4 are due"],
    );
    let tokenizer = registry
        .create_tokenizer("hostile", &deed("foreign"))
        .unwrap();
    let ids = Ids::new(&[1], &[0, 1]).unwrap();
    names(&tokenizer.decode(ids, false).unwrap_err(), &["UTF-8"]);
    names(
        &tokenizer.token_bytes(1).unwrap_err(),
        &["bytes came for 0 of 3 tokens"],
    );
    names(&tokenizer.token_text(1).unwrap_err(), &["another number"]);
    let folder = cage.bench.work().join("saved");
    std::fs::create_dir(&folder).unwrap();
    for what in ["climb", "absolute"] {
        let tokenizer = registry.create_tokenizer("hostile", &deed(what)).unwrap();
        let error = tokenizer.save(folder.to_str().unwrap()).unwrap_err();
        names(&error, &["no plain name of a file"]);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}
