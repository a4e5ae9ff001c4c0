//! Noun phrases: determiners, adjectives, nouns and what modifies them.

use super::Agreement::{He, It, She, They};
use super::{After, Agreement, Alternatives, Class, English, Number, form};
use crate::grammar::Symbol;
use crate::style::Noun;

impl English<'_> {
    /// A subject and what follows it.
    pub(super) fn subject(&mut self, number: Number, after: &After<'_>) -> Symbol {
        self.rule(&format!("subject {number:?} then {}", after.key), |this| {
            let (style, habits) = (this.style, this.style.habits);
            let the = this.grammar.word("the");
            let other = 100 - habits.definite - habits.name;
            let mut alternatives = vec![(
                2 * habits.definite,
                vec![the, this.nominal(number, 0, after)],
            )];
            if number != Number::Plural {
                let determiner = this.choice(
                    "singular determiner",
                    style.singular_determiners.iter().copied(),
                );
                alternatives.push((
                    other,
                    vec![determiner, this.nominal(Number::Singular, 0, after)],
                ));
                for (name, list, agreement) in [
                    ("male name", style.male_names, He),
                    ("female name", style.female_names, She),
                ] {
                    let mut symbols = vec![this.choice(name, list.iter().copied())];
                    symbols.extend((after.symbols)(this, agreement));
                    alternatives.push((habits.name, symbols));
                }
            }
            if number != Number::Singular {
                let determiner = this.choice(
                    "plural determiner",
                    style.plural_determiners.iter().copied(),
                );
                alternatives.push((
                    other,
                    vec![determiner, this.nominal(Number::Plural, 0, after)],
                ));
            }
            alternatives
        })
    }

    /// Adjectives, the noun, what modifies it, and what follows. `adjectives` counts the places for adjectives behind us.
    pub(super) fn nominal(&mut self, number: Number, adjectives: u32, after: &After<'_>) -> Symbol {
        self.rule(
            &format!("nominal {number:?} {adjectives} then {}", after.key),
            |this| {
                let (style, habits) = (this.style, this.style.habits);
                let mut alternatives = Alternatives::new();
                let left = this.adjectives(adjectives, &mut alternatives, |this, used| {
                    this.nominal(number, used, after)
                });
                for (plural, share) in [(false, 100 - habits.plural), (true, habits.plural)] {
                    let share = match number {
                        Number::Either => share,
                        Number::Singular if !plural => 100,
                        Number::Plural if plural => 100,
                        _ => continue,
                    };
                    for (name, nouns, agreement, weight, pronoun) in [
                        ("male", style.males, He, 3, "who"),
                        ("female", style.females, She, 3, "who"),
                        ("actor", style.actors, It, 4, "that"),
                    ] {
                        let agreement = if plural { They } else { agreement };
                        let noun = this.nouns(name, nouns, plural);
                        let modifier = this.modifier(agreement, pronoun);
                        let mut symbols = vec![noun, modifier];
                        symbols.extend((after.symbols)(this, agreement));
                        alternatives.push((left * share * weight, symbols));
                    }
                }
                alternatives
            },
        )
    }

    /// Pushes the alternatives that start with an adjective, 100,000 in all with what is returned times 1,000: the share that
    /// has none.
    pub(super) fn adjectives(
        &mut self,
        used: u32,
        alternatives: &mut Alternatives,
        then: impl Fn(&mut Self, u32) -> Symbol,
    ) -> u32 {
        let habits = self.style.habits;
        let mut left = 100;
        if used < 1 {
            let quality = self.choice("quality", self.style.qualities.iter().copied());
            alternatives.push((1000 * habits.quality, vec![quality, then(self, 1)]));
            left -= habits.quality;
        }
        if used < 2 {
            let kind = self.choice("kind", self.style.kinds.iter().copied());
            alternatives.push((1000 * habits.kind, vec![kind, then(self, 2)]));
            left -= habits.kind;
        }
        left
    }

    /// Nothing, "near the house", or "who sings" after a subject's noun.
    pub(super) fn modifier(&mut self, agreement: Agreement, pronoun: &str) -> Symbol {
        self.optional(&format!("modifier {agreement:?} {pronoun}"), |this| {
            let habits = this.style.habits;
            let near = vec![
                this.choice(
                    "noun preposition",
                    this.style.noun_prepositions.iter().copied(),
                ),
                this.object(Class::Place, None),
            ];
            let verb = this.rule(&format!("relative {agreement:?}"), |this| {
                this.tensed(None, |this, tense| {
                    vec![this.verb_phrase(form(agreement, tense), agreement, true)]
                })
            });
            vec![
                (habits.noun_preposition, near),
                (habits.relative, vec![this.grammar.word(pronoun), verb]),
            ]
        })
    }

    /// An object or place; `owner` allows "his", "her", "its" or "their".
    pub(super) fn object(&mut self, class: Class, owner: Option<Agreement>) -> Symbol {
        self.rule(&format!("object {class:?} {owner:?}"), |this| {
            let (style, habits) = (this.style, this.style.habits);
            let possessive = if owner.is_some() {
                habits.possessive
            } else {
                0
            };
            let name = if class == Class::Being {
                habits.name
            } else {
                0
            };
            let other = 100 - habits.definite;
            let the = this.grammar.word("the");
            let singular = this.choice(
                "singular determiner",
                style.singular_determiners.iter().copied(),
            );
            let plural = this.choice(
                "plural determiner",
                style.plural_determiners.iter().copied(),
            );
            let either_noun = this.object_nominal(class, Number::Either, 0);
            let mut alternatives = vec![
                (2 * habits.definite, vec![the, either_noun]),
                (
                    other,
                    vec![singular, this.object_nominal(class, Number::Singular, 0)],
                ),
                (
                    other,
                    vec![plural, this.object_nominal(class, Number::Plural, 0)],
                ),
            ];
            if let Some(owner) = owner {
                alternatives.push((
                    2 * possessive,
                    vec![this.grammar.word(owner.possessive()), either_noun],
                ));
            }
            if name > 0 {
                alternatives.push((
                    name,
                    vec![this.choice("male name", style.male_names.iter().copied())],
                ));
                alternatives.push((
                    name,
                    vec![this.choice("female name", style.female_names.iter().copied())],
                ));
            }
            alternatives
        })
    }

    pub(super) fn object_nominal(
        &mut self,
        class: Class,
        number: Number,
        adjectives: u32,
    ) -> Symbol {
        self.rule(
            &format!("object nominal {class:?} {number:?} {adjectives}"),
            |this| {
                let (style, habits) = (this.style, this.style.habits);
                let mut alternatives = Alternatives::new();
                let left = this.adjectives(adjectives, &mut alternatives, |this, used| {
                    this.object_nominal(class, number, used)
                });
                // Places end the chain of prepositions, so it is at most one long in every noun phrase.
                let near = if class == Class::Place {
                    None
                } else {
                    let weight = habits.noun_preposition / 2;
                    let symbols = vec![
                        this.choice("noun preposition", style.noun_prepositions.iter().copied()),
                        this.object(Class::Place, None),
                    ];
                    Some(this.optional("object modifier", |_| vec![(weight, symbols)]))
                };
                let groups: &[(&str, &[Noun], u32)] = match class {
                    Class::Being => &[
                        ("male", style.males, 3),
                        ("female", style.females, 3),
                        ("actor", style.actors, 4),
                    ],
                    Class::Object => &[("object", style.objects, 10)],
                    Class::Topic => &[("topic", style.topics, 10)],
                    Class::Place => &[("place", style.places, 10)],
                };
                for (plural, share) in [(false, 100 - habits.plural), (true, habits.plural)] {
                    let share = match number {
                        Number::Either => share,
                        Number::Singular if !plural => 100,
                        Number::Plural if plural => 100,
                        _ => continue,
                    };
                    for &(name, nouns, weight) in groups {
                        let mut symbols = vec![this.nouns(name, nouns, plural)];
                        symbols.extend(near);
                        alternatives.push((left * share * weight, symbols));
                    }
                }
                alternatives
            },
        )
    }
}
