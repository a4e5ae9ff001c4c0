//! Verb phrases: the verb, its object, and what closes it.

use super::Agreement::They;
use super::{Agreement, Class, English, Form};
use crate::grammar::Symbol;

impl English<'_> {
    pub(super) fn be(&mut self, form: Form, subject: Agreement) -> Symbol {
        self.grammar.word(match (form, subject) {
            (Form::Past, They) => "were",
            (Form::Past, _) => "was",
            (_, They) => "are",
            (..) => "is",
        })
    }

    /// A verb with its object, adverb or place; `with_be` allows "is happy".
    pub(super) fn verb_phrase(&mut self, form: Form, subject: Agreement, with_be: bool) -> Symbol {
        self.rule(
            &format!("verb phrase {form:?} {subject:?} {with_be}"),
            |this| {
                let (style, weights) = (this.style, this.style.habits.predicates);
                let tail = this.optional("verb tail", |this| {
                    let habits = this.style.habits;
                    let manner = this.choice("manner", this.style.manners.iter().copied());
                    vec![
                        (habits.manner, vec![manner]),
                        (habits.verb_preposition, this.where_phrase()),
                    ]
                });
                let mut alternatives = vec![(
                    weights.intransitive,
                    vec![this.verbs("intransitive", style.intransitive, form), tail],
                )];
                for (name, verbs, weight, class) in [
                    ("meet", style.meet, weights.meet, Class::Being),
                    ("handle", style.handle, weights.handle, Class::Object),
                    ("treat", style.treat, weights.treat, Class::Topic),
                ] {
                    let verb = this.verbs(name, verbs, form);
                    let object = this.object(class, Some(subject));
                    alternatives.push((weight, vec![verb, object, tail]));
                }
                if with_be {
                    let be = this.be(form, subject);
                    let degree = this.optional("degree", |this| {
                        vec![(
                            24,
                            vec![this.choice("degrees", this.style.degrees.iter().copied())],
                        )]
                    });
                    let mood = this.choice("mood", style.moods.iter().copied());
                    alternatives.push((weights.be, vec![be, degree, mood]));
                }
                alternatives
            },
        )
    }

    /// "through the garden"
    pub(super) fn where_phrase(&mut self) -> Vec<Symbol> {
        let preposition = self.choice(
            "verb preposition",
            self.style.verb_prepositions.iter().copied(),
        );
        vec![preposition, self.object(Class::Place, None)]
    }
}
