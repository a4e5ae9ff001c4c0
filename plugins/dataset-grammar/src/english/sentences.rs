//! Documents and sentences: what hands on the subject and the tense.

use super::Agreement::{It, They};
use super::Tense::{Past, Present};
use super::{After, Agreement, Alternatives, English, Form, Number, SENTENCES, Tense, form};
use crate::grammar::Symbol;

impl English<'_> {
    /// What follows sentence `count`: the end, or another sentence that remembers the subject and the tense.
    pub(super) fn rest(&mut self, count: u32, subject: Agreement, tense: Tense) -> Symbol {
        self.rule(&format!("rest {count} {subject:?} {tense:?}"), |this| {
            let go_on = match count {
                count if count < SENTENCES.0 => 100,
                count if count < SENTENCES.1 => this.style.habits.go_on,
                _ => 0,
            };
            let mut alternatives = vec![(100 - go_on, Vec::new())];
            if go_on > 0 {
                alternatives.push((
                    go_on,
                    vec![this.sentence(count + 1, Some(subject), Some(tense))],
                ));
            }
            alternatives
        })
    }

    /// Sentence `count` of a document and all that follows it.
    pub(super) fn sentence(
        &mut self,
        count: u32,
        subject: Option<Agreement>,
        tense: Option<Tense>,
    ) -> Symbol {
        self.rule(&format!("sentence {count} {subject:?} {tense:?}"), |this| {
            let weights = this.style.habits.sentences;
            let key = format!("predicate {count} {tense:?}");
            let main = After {
                key: &key,
                symbols: &|this, subject| vec![this.predicate(count, subject, tense)],
            };
            let plain = this.subject(Number::Either, &main);

            let key = format!("past predicate {count}");
            let past = After {
                key: &key,
                symbols: &|this, subject| vec![this.finish(count, subject, Past)],
            };
            let (opener, comma) = (
                this.choice("past opener", this.style.past_openers.iter().copied()),
                this.grammar.word(","),
            );
            let opened = vec![opener, comma, this.subject(Number::Either, &past)];

            let key = format!("subordinate predicate {count} {tense:?}");
            let subordinate = After {
                key: &key,
                symbols: &|this, subject| vec![this.subordinate_predicate(count, subject, tense)],
            };
            let subordinator =
                this.choice("subordinator", this.style.subordinators.iter().copied());
            let subordinate_first = vec![subordinator, this.subject(Number::Either, &subordinate)];

            let there = this.grammar.word("there");
            let existential = vec![there, this.existential(count, tense)];

            let mut alternatives = vec![
                (weights.plain, vec![plain]),
                (weights.opened, opened),
                (weights.subordinate_first, subordinate_first),
                (weights.existential, existential),
                (weights.question, vec![this.question(count, tense)]),
            ];
            if let Some(subject) = subject {
                let pronoun = this.grammar.word(subject.pronoun());
                let predicate = this.predicate(count, subject, tense);
                alternatives.push((weights.pronoun, vec![pronoun, predicate]));
            }
            alternatives
        })
    }

    /// Weights of the tenses after `before`, and what each leads to.
    pub(super) fn tensed(
        &mut self,
        before: Option<Tense>,
        of: impl Fn(&mut Self, Tense) -> Vec<Symbol>,
    ) -> Alternatives {
        let habits = self.style.habits;
        let past = match before {
            None => habits.first_past,
            Some(Past) => habits.keep_tense,
            Some(Present) => 100 - habits.keep_tense,
        };
        vec![(past, of(self, Past)), (100 - past, of(self, Present))]
    }

    /// The verb phrase of a main clause and all that follows it.
    pub(super) fn predicate(
        &mut self,
        count: u32,
        subject: Agreement,
        before: Option<Tense>,
    ) -> Symbol {
        let verb = self.rule(&format!("verb {count} {subject:?} {before:?}"), |this| {
            this.tensed(before, |this, tense| {
                vec![this.finish(count, subject, tense)]
            })
        });
        self.rule(
            &format!("predicate {count} {subject:?} {before:?}"),
            |this| {
                let weight = this.style.habits.frequency;
                let frequency = this.choice("frequency", this.style.frequencies.iter().copied());
                vec![(weight, vec![frequency, verb]), (100 - weight, vec![verb])]
            },
        )
    }

    /// As `predicate`, once the tense is known.
    pub(super) fn finish(&mut self, count: u32, subject: Agreement, tense: Tense) -> Symbol {
        self.rule(&format!("finish {count} {subject:?} {tense:?}"), |this| {
            let weights = this.style.habits.predicates;
            let form = form(subject, tense);
            let rest = this.rest(count, subject, tense);
            let phrase = this.verb_phrase(form, subject, true);
            let tail = this.clause_tail(subject, tense);
            let say = this.verbs("say", this.style.say, form);
            let that = this.grammar.word("that");
            let clause = this.clause(subject, tense);
            let stop = this.stop();
            let other =
                weights.intransitive + weights.meet + weights.handle + weights.treat + weights.be;
            vec![
                (other, vec![phrase, tail, rest]),
                (weights.say, vec![say, that, clause, stop, rest]),
            ]
        })
    }

    /// The verb phrase of a clause that comes before its main clause, and all that follows it.
    pub(super) fn subordinate_predicate(
        &mut self,
        count: u32,
        subject: Agreement,
        before: Option<Tense>,
    ) -> Symbol {
        self.rule(
            &format!("subordinate predicate {count} {subject:?} {before:?}"),
            |this| {
                this.tensed(before, |this, tense| {
                    let phrase = this.verb_phrase(form(subject, tense), subject, true);
                    let comma = this.grammar.word(",");
                    let clause = this.clause(subject, tense);
                    let stop = this.stop();
                    vec![
                        phrase,
                        comma,
                        clause,
                        stop,
                        this.rest(count, subject, tense),
                    ]
                })
            },
        )
    }

    /// "is a dog near the house." after "there", and all that follows it.
    pub(super) fn existential(&mut self, count: u32, before: Option<Tense>) -> Symbol {
        self.rule(&format!("existential {count} {before:?}"), |this| {
            let plural = this.style.habits.plural;
            let mut alternatives = Alternatives::new();
            for (tense_weight, tense) in this
                .tensed(before, |_, _| Vec::new())
                .iter()
                .zip([Past, Present])
            {
                let key = format!("stop {count} {tense:?}");
                let after = After {
                    key: &key,
                    // No "through the garden" here: after "a boy who waits" it could belong to either verb.
                    symbols: &|this, subject| vec![this.stop(), this.rest(count, subject, tense)],
                };
                for (agreement, number, weight) in [
                    (It, Number::Singular, 100 - plural),
                    (They, Number::Plural, plural),
                ] {
                    let be = this.be(form(agreement, tense), agreement);
                    let determiner = match number {
                        Number::Plural => this.choice(
                            "plural determiner",
                            this.style.plural_determiners.iter().copied(),
                        ),
                        _ => this.grammar.word("a"),
                    };
                    let nominal = this.nominal(number, 0, &after);
                    alternatives.push((tense_weight.0 * weight, vec![be, determiner, nominal]));
                }
            }
            alternatives
        })
    }

    /// "Did …?", "Does …?", "Do …?" and all that follows it.
    pub(super) fn question(&mut self, count: u32, before: Option<Tense>) -> Symbol {
        self.rule(&format!("question {count} {before:?}"), |this| {
            let plural = this.style.habits.plural;
            let mut alternatives = Alternatives::new();
            for (tense_weight, tense) in this
                .tensed(before, |_, _| Vec::new())
                .iter()
                .zip([Past, Present])
            {
                let key = format!("question mark {count} {tense:?}");
                let after = After {
                    key: &key,
                    symbols: &|this, subject| {
                        let phrase = this.verb_phrase(Form::Base, subject, false);
                        vec![
                            phrase,
                            this.grammar.word("?"),
                            this.rest(count, subject, tense),
                        ]
                    },
                };
                let forms: &[(&str, Number, u32)] = match tense {
                    Past => &[("did", Number::Either, 100)],
                    Present => &[
                        ("does", Number::Singular, 100 - plural),
                        ("do", Number::Plural, plural),
                    ],
                };
                for &(auxiliary, number, weight) in forms {
                    let auxiliary = this.grammar.word(auxiliary);
                    alternatives.push((
                        tense_weight.0 * weight,
                        vec![auxiliary, this.subject(number, &after)],
                    ));
                }
            }
            alternatives
        })
    }

    pub(super) fn stop(&mut self) -> Symbol {
        self.rule("stop", |this| {
            let weight = this.style.habits.exclamation;
            vec![(weight, this.phrase("!")), (100 - weight, this.phrase("."))]
        })
    }

    /// The end of a sentence, perhaps after a second clause.
    pub(super) fn clause_tail(&mut self, subject: Agreement, tense: Tense) -> Symbol {
        self.rule(&format!("clause tail {subject:?} {tense:?}"), |this| {
            let habits = this.style.habits;
            let clause = this.clause(subject, tense);
            let stop = this.stop();
            let connective = this.choice("connective", this.style.connectives.iter().copied());
            let coordinator = this.choice("coordinator", this.style.coordinators.iter().copied());
            let comma = this.grammar.word(",");
            vec![
                (100 - habits.connective - habits.coordinator, vec![stop]),
                (habits.connective, vec![connective, clause, stop]),
                (habits.coordinator, vec![comma, coordinator, clause, stop]),
            ]
        })
    }

    /// A further clause in the tense of the sentence, perhaps about the same subject.
    pub(super) fn clause(&mut self, subject: Agreement, tense: Tense) -> Symbol {
        self.rule(&format!("clause {subject:?} {tense:?}"), |this| {
            let weight = this.style.habits.pronoun_again;
            let pronoun = this.grammar.word(subject.pronoun());
            let same = this.verb_phrase(form(subject, tense), subject, true);
            let key = format!("verb phrase {tense:?}");
            let after = After {
                key: &key,
                symbols: &|this, subject| {
                    vec![this.verb_phrase(form(subject, tense), subject, true)]
                },
            };
            let other = this.subject(Number::Either, &after);
            vec![(weight, vec![pronoun, same]), (100 - weight, vec![other])]
        })
    }
}
