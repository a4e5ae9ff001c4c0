//! Keys: pinned at first use, handed on by their owner, replaced by the user's word alone.

use super::*;

#[test]
fn a_key_is_pinned_at_first_use_and_the_second_use_is_quiet() {
    let desk = Desk::new();
    let first = desk.accept(&desk.offer(&entry("words", "1.0.0")));
    assert!(first.first_use);
    assert_eq!(first.level, Level::PinnedKey);
    assert!(
        first.warnings[0].contains(&first.key_id),
        "{:?}",
        first.warnings
    );
    let second = desk.accept(&desk.offer(&entry("words", "1.1.0")));
    assert!(!second.first_use);
    assert_eq!(second.warnings, Vec::<String>::new());
    desk.accept(&desk.offer(&entry("words", "1.1.0")));
    assert_eq!(
        desk.events(),
        [Event::Pinned, Event::Accepted, Event::Accepted]
    );
    let pins = desk.trust().pins().clone();
    assert_eq!(pins.plugins["words"].key, Some(text(&desk.key)));
    assert_eq!(pins.plugins["words"].accepted.len(), 2);
}

#[test]
fn a_pin_is_for_one_name_and_a_policy_for_all_that_begin_alike() {
    let mut desk = Desk::new();
    let other = key();
    desk.published.keys.push(text(&other));
    desk.accept(&desk.offer(&entry("acme-words", "1.0.0")));
    // The pin of one name binds no other: another one may come from another key, and is a first use too.
    let rates = signed(&entry("acme-rates", "1.0.0"), &other, &desk.source);
    assert!(desk.decide(&rates, &Wishes::default()).unwrap().first_use);
    let sums = desk.offer(&entry("acme-sums", "1.0.0"));
    assert!(desk.decide(&sums, &Wishes::default()).unwrap().first_use);

    desk.policy(&format!("[keys]\n\"acme-*\" = [{:?}]", text(&desk.key)));
    desk.refuses(&rates, "keys.\"acme-*\"");
    desk.accept(&sums);
    let outside = signed(&entry("other-rates", "1.0.0"), &other, &desk.source);
    desk.accept(&outside);
}

#[test]
fn a_registry_may_vouch_with_its_own_key_and_change_it() {
    let mut desk = Desk::new();
    let root = key();
    desk.published.root = text(&root);
    let decision = desk.accept(&signed(&entry("words", "1.0.0"), &root, &desk.source));
    assert_eq!(decision.level, Level::RegistrySigned);
    let next = key();
    desk.published.root = text(&next);
    desk.accept(&signed(&entry("words", "1.1.0"), &next, &desk.source));
    assert_eq!(desk.trust().pins().plugins["words"].key, Some(text(&next)));
    desk.refuses(
        &desk.offer(&entry("words", "1.2.0")),
        "which did not hand it over",
    );
}

#[test]
fn a_swapped_key_is_refused_until_the_old_one_hands_the_name_over_or_the_user_says_so() {
    let mut desk = Desk::new();
    desk.accept(&desk.offer(&entry("words", "1.0.0")));
    let new = key();
    let offer = signed(&entry("words", "1.1.0"), &new, &desk.source);
    desk.refuses(&offer, "is by no key of words");
    desk.published.keys.push(text(&new));
    desk.refuses(&offer, "is pinned to key");
    for forged in [
        handed_over("words", &new, &new),
        handed_over("other", &desk.key, &new),
        SignedRotation {
            signature: handed_over("words", &new, &new).signature,
            ..handed_over("words", &desk.key, &new)
        },
    ] {
        desk.published.rotations = vec![forged];
        desk.refuses(&offer, "which did not hand it over");
    }
    let between = key();
    desk.published.rotations = vec![
        handed_over("words", &desk.key, &between),
        handed_over("words", &between, &new),
    ];
    let decision = desk.accept(&offer);
    assert_eq!(decision.rotated_from, Some(desk.key.public().id()));
    assert!(
        decision.warnings[0].contains("handed words to key"),
        "{:?}",
        decision.warnings
    );
    desk.refuses(
        &desk.offer(&entry("words", "1.2.0")),
        "which handed the name to key",
    );
    // What the old key signed and was accepted stays.
    let wishes = Wishes {
        older: true,
        ..Wishes::default()
    };
    let old = desk
        .decide(&desk.offer(&entry("words", "1.0.0")), &wishes)
        .unwrap();
    desk.trust().record(&old).unwrap();
    assert_eq!(desk.trust().pins().plugins["words"].key, Some(text(&new)));
    assert!(desk.events().contains(&Event::Rotated));

    let third = key();
    let offer = signed(&entry("words", "2.0.0"), &third, &desk.source);
    desk.published.keys.push(text(&third));
    desk.refuses(&offer, "which did not hand it over");
    desk.trust()
        .change("words", Change::Key(&text(&third)))
        .unwrap();
    desk.accept(&offer);
}
