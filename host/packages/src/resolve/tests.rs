#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;

use crate::testing::Shop;

use super::*;

/// What is asked for, in one place for every test.
struct Case {
    shop: Shop,
    host: Host,
    wanted: Vec<Requirement>,
    locked: BTreeMap<String, Version>,
    forgotten: BTreeSet<String>,
    pins: BTreeMap<String, Version>,
}

impl Case {
    fn new(shop: Shop, wanted: &[&str]) -> Self {
        Self {
            shop,
            host: Host {
                api: Version::new(1, 2, 0),
                target: "here".into(),
            },
            wanted: wanted.iter().map(|text| requirement(text)).collect(),
            locked: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            pins: BTreeMap::new(),
        }
    }

    fn locked(mut self, versions: &[(&str, &str)]) -> Self {
        self.locked = table(versions);
        self
    }

    fn pinned(mut self, versions: &[(&str, &str)]) -> Self {
        self.pins = table(versions);
        self
    }

    fn forgetting(mut self, name: &str) -> Self {
        self.forgotten.insert(name.into());
        self
    }

    fn solve(&self) -> Result<Vec<String>> {
        let request = Request {
            host: &self.host,
            asker: "codex-plugins.toml",
            wanted: &self.wanted,
            locked: &self.locked,
            forgotten: &self.forgotten,
            pins: &self.pins,
        };
        Ok(resolve(&request, &self.shop)?
            .iter()
            .map(Offer::title)
            .collect())
    }

    /// The answer's titles in one text.
    #[track_caller]
    fn gives(&self, expected: &str) {
        assert_eq!(self.solve().unwrap().join(", "), expected);
    }

    /// The message, then `hint:` and the hint.
    #[track_caller]
    fn fails(&self, expected: &str) {
        let error = self.solve().unwrap_err();
        let hint = error.hint_text().unwrap();
        assert_eq!(format!("{error} hint: {hint}"), expected);
    }
}

fn table(versions: &[(&str, &str)]) -> BTreeMap<String, Version> {
    let one = |(name, version): &(&str, &str)| ((*name).into(), version.parse().unwrap());
    versions.iter().map(one).collect()
}

/// `shout ^1`, or a name alone.
fn requirement(text: &str) -> Requirement {
    let (name, versions) = text.split_once(' ').unwrap_or((text, "*"));
    Requirement {
        name: name.into(),
        versions: versions.parse().unwrap(),
        registry: None,
    }
}

#[test]
fn the_highest_version_that_fits_wins_and_dependencies_come_along() {
    let shop = Shop::of(&[
        "shout 1.0.0",
        "shout 1.1.0: words ^1",
        "shout 2.0.0: words ^2",
        "words 1.0.0",
        "words 1.4.2",
        "words 2.0.0: letters *",
        "letters 0.3.0",
        "unused 1.0.0",
    ]);
    Case::new(shop.clone(), &["shout"]).gives("letters 0.3.0, shout 2.0.0, words 2.0.0");
    Case::new(shop.clone(), &["shout ^1"]).gives("shout 1.1.0, words 1.4.2");
    Case::new(shop.clone(), &["shout", "words ^1"]).gives("shout 1.1.0, words 1.4.2");
    Case::new(shop.clone(), &["shout", "shout <1.1"]).gives("shout 1.0.0");
    Case::new(shop, &[]).gives("");
}

#[test]
fn a_plugin_is_asked_for_once_however_many_need_it() {
    struct Counting(Shop, RefCell<Vec<String>>);
    impl Available for Counting {
        fn offers(&self, name: &str, registry: Option<&str>) -> Result<Arc<[Offer]>> {
            self.1.borrow_mut().push(name.into());
            self.0.offers(name, registry)
        }
    }
    let shop = Shop::of(&["a 1.0.0: c *", "b 1.0.0: c *", "c 1.0.0: a *"]);
    let counting = Counting(shop.clone(), RefCell::default());
    let case = Case::new(shop, &["a", "b"]);
    let request = Request {
        host: &case.host,
        asker: "x",
        wanted: &case.wanted,
        locked: &case.locked,
        forgotten: &case.forgotten,
        pins: &case.pins,
    };
    assert_eq!(resolve(&request, &counting).unwrap().iter().count(), 3);
    let mut asked = counting.1.into_inner();
    asked.sort();
    assert_eq!(asked, ["a", "b", "c"]);
}

#[test]
fn pre_releases_are_taken_only_by_who_asks_for_one() {
    let shop = Shop::of(&["shout 1.0.0", "shout 1.1.0-beta.1", "shout 2.0.0-rc.1"]);
    Case::new(shop.clone(), &["shout"]).gives("shout 1.0.0");
    Case::new(shop.clone(), &["shout ^1.0"]).gives("shout 1.0.0");
    Case::new(shop.clone(), &["shout ^1.1.0-alpha"]).gives("shout 1.1.0-beta.1");
    Case::new(shop.clone(), &["shout =2.0.0-rc.1"]).gives("shout 2.0.0-rc.1");
    Case::new(shop, &["shout ^2"]).fails(
        "codex-plugins.toml asks for shout ^2, and there is no such version hint: the newest that can be used here is 1.0.0",
    );
}

#[test]
fn versions_in_use_stay_unless_they_are_to_be_updated() {
    let shop = Shop::of(&[
        "shout 1.0.0: words *",
        "shout 1.1.0: words *",
        "words 1.0.0",
        "words 1.1.0",
    ]);
    let case = Case::new(shop, &["shout"]).locked(&[("shout", "1.0.0"), ("words", "1.0.0")]);
    case.gives("shout 1.0.0, words 1.0.0");
    case.forgetting("shout").gives("shout 1.1.0, words 1.0.0");
}

#[test]
fn yanked_versions_stay_with_who_has_them() {
    let shop = Shop::of(&["shout 1.0.0", "shout 1.1.0 yanked"]);
    Case::new(shop.clone(), &["shout"]).gives("shout 1.0.0");
    Case::new(shop.clone(), &["shout"])
        .locked(&[("shout", "1.1.0")])
        .gives("shout 1.1.0");
    Case::new(shop.clone(), &["shout"])
        .locked(&[("shout", "1.0.0")])
        .gives("shout 1.0.0");
    Case::new(shop, &["shout =1.1.0"]).fails(
        "codex-plugins.toml asks for shout =1.1.0, but shout 1.1.0 was yanked: broken hint: shout@1.0.0 can be used here; only who has it in a lock already keeps it",
    );
}

#[test]
fn revoked_versions_are_nobodys() {
    let shop = Shop::of(&["shout 1.0.0", "shout 1.1.0 revoked"]);
    let case = Case::new(shop, &["shout"]).locked(&[("shout", "1.1.0")]);
    case.gives("shout 1.0.0");
}

#[test]
fn what_cannot_run_here_is_left_out_before_it_is_chosen() {
    let shop = Shop::of(&[
        "shout 1.0.0",
        "shout 1.1.0 api ^1.3",
        "shout 1.2.0 on there",
        "shout 1.3.0 on there+here",
    ]);
    Case::new(shop, &["shout"]).gives("shout 1.3.0");
    let shop = Shop::of(&["shout 1.0.0", "shout 2.0.0 on there", "shout 3.0.0 api ^2"]);
    Case::new(shop.clone(), &["shout"]).gives("shout 1.0.0");
    Case::new(shop.clone(), &["shout ^2"]).fails(
        "codex-plugins.toml asks for shout ^2, but shout 2.0.0 has no file for here, only for there hint: shout@1.0.0 can be used here; ask its author for that target",
    );
    Case::new(shop, &["shout ^3"]).fails(
        "codex-plugins.toml asks for shout ^3, but shout 3.0.0 needs plugin API ^2, and this codex-ml has 1.2.0 hint: shout@1.0.0 can be used here; use a codex-ml that has that plugin API, or ask the author for a new build",
    );
}

#[test]
fn a_pin_holds_whoever_asks() {
    let shop = Shop::of(&[
        "shout 1.0.0: words ^1",
        "words 1.0.0",
        "words 1.1.0",
        "words 1.2.0 yanked",
    ]);
    Case::new(shop.clone(), &["shout"])
        .pinned(&[("words", "1.0.0")])
        .gives("shout 1.0.0, words 1.0.0");
    Case::new(shop, &["shout", "words ^1.1"])
        .pinned(&[("words", "1.0.0")])
        .fails("codex-plugins.toml asks for words ^1.1, but words 1.2.0 is not 1.0.0, to which words is pinned (one older version is out too) hint: words@1.0.0 can be used here; codex-ml plugin unpin words");
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    let shop = Shop::of(&["shout 1.0.0", "caption 1.0.0: wrods *"]);
    Case::new(shop.clone(), &["shuot"]).fails(
        "codex-plugins.toml asks for shuot, and no registry has a plugin of that name hint: did you mean shout?",
    );
    Case::new(shop, &["caption"]).fails(
        "no versions fit together: caption 1.0.0 needs wrods, and no registry has a plugin of that name; codex-plugins.toml asks for caption hint: codex-ml registry list shows which registries were asked",
    );
}

#[test]
fn a_conflict_names_who_asks_for_what() {
    let shop = Shop::of(&[
        "shout 2.0.0: words ^2",
        "shout 2.1.0: words ^2",
        "caption 1.0.0: words ^1",
        "words 1.0.0",
        "words 2.0.0",
    ]);
    let error = Case::new(shop, &["shout ^2", "caption"])
        .solve()
        .unwrap_err();
    for fact in [
        "shout (every version) needs words ^2",
        "caption 1.0.0 needs words ^1",
        "codex-plugins.toml asks for shout ^2",
        "codex-plugins.toml asks for caption",
    ] {
        assert!(error.message().contains(fact), "{error}");
    }
    assert!(error.message().starts_with("no versions fit together: "));
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("ask for other versions")
    );
}

#[test]
fn a_way_out_is_found_far_back() {
    // The newest of each wants the newest of the next, and the last has only old ones that fit the first.
    let mut lines = Vec::new();
    for version in 0..20 {
        lines.push(format!("a 1.{version}.0: b =1.{version}.0"));
        lines.push(format!("b 1.{version}.0: c =1.{version}.0"));
    }
    lines.push("c 1.3.0".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    Case::new(Shop::of(&lines), &["a"]).gives("a 1.3.0, b 1.3.0, c 1.3.0");
}

#[test]
fn the_answer_does_not_depend_on_the_order_of_the_question() {
    let shop = Shop::of(&[
        "a 1.0.0: c ^1",
        "a 1.1.0: c ^2",
        "b 1.0.0: c ^2",
        "b 1.1.0: c ^1",
        "c 1.0.0",
        "c 2.0.0",
    ]);
    let one = Case::new(shop.clone(), &["a", "b"]).solve().unwrap();
    let other = Case::new(shop, &["b", "a"]).solve().unwrap();
    assert_eq!(one, other);
}
