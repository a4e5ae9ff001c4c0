//! A style: the words and the habits that the English rules are filled with.
//!
//! Two styles share all rules and most function words, so that a model of one can be fine-tuned towards the other.
//! The order of a list is its rank: earlier words are likelier (about 1/(rank + 3)).

mod formal;
mod plain;

/// A noun: singular, plural.
pub type Noun = (&'static str, &'static str);

/// A verb: base form, third person singular, past. All three differ, or tense could not be read off the text.
pub type Verb = (&'static str, &'static str, &'static str);

/// Words and weights of one way to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Nouns that "he" stands for.
    pub males: &'static [Noun],
    /// Nouns that "she" stands for.
    pub females: &'static [Noun],
    /// Nouns that act and that "it" stands for.
    pub actors: &'static [Noun],
    /// Nouns that `handle` acts on.
    pub objects: &'static [Noun],
    /// Nouns that `treat` acts on.
    pub topics: &'static [Noun],
    /// Nouns that prepositions lead to.
    pub places: &'static [Noun],
    /// Names that "he" stands for.
    pub male_names: &'static [&'static str],
    /// Names that "she" stands for.
    pub female_names: &'static [&'static str],
    /// Adjectives that come first.
    pub qualities: &'static [&'static str],
    /// Adjectives that come right before the noun.
    pub kinds: &'static [&'static str],
    /// Adjectives after a form of "be".
    pub moods: &'static [&'static str],
    /// Words before such an adjective.
    pub degrees: &'static [&'static str],
    /// Adverbs at the end of a verb phrase.
    pub manners: &'static [&'static str],
    /// Adverbs before the verb.
    pub frequencies: &'static [&'static str],
    /// Verbs without an object.
    pub intransitive: &'static [Verb],
    /// Verbs whose object is a person or actor.
    pub meet: &'static [Verb],
    /// Verbs whose object is one of `objects`.
    pub handle: &'static [Verb],
    /// Verbs whose object is one of `topics`.
    pub treat: &'static [Verb],
    /// Verbs that take a clause with "that".
    pub say: &'static [Verb],
    /// Determiners of singular nouns, "the" aside.
    pub singular_determiners: &'static [&'static str],
    /// Determiners of plural nouns, "the" aside.
    pub plural_determiners: &'static [&'static str],
    /// Prepositions after a noun.
    pub noun_prepositions: &'static [&'static str],
    /// Prepositions after a verb phrase.
    pub verb_prepositions: &'static [&'static str],
    /// Connectives before a clause.
    pub connectives: &'static [&'static str],
    /// Connectives after a comma.
    pub coordinators: &'static [&'static str],
    /// Words that open a sentence about the past.
    pub past_openers: &'static [&'static str],
    /// Words that open a subordinate clause before the main one.
    pub subordinators: &'static [&'static str],
    /// How often each construction is used.
    pub habits: Habits,
}

/// Weights out of 100 (or beside each other, where a struct of weights says so).
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Sentence templates, beside each other.
    pub sentences: Sentences,
    /// Verb phrase patterns, beside each other.
    pub predicates: Predicates,
    /// The first verb of a document is in the past.
    pub first_past: u32,
    /// A sentence keeps the tense of the one before.
    pub keep_tense: u32,
    /// A further sentence follows, from the third on.
    pub go_on: u32,
    /// A first adjective.
    pub quality: u32,
    /// A second adjective.
    pub kind: u32,
    /// A preposition after a subject's or outer object's noun.
    pub noun_preposition: u32,
    /// A relative clause after a subject's noun.
    pub relative: u32,
    /// A plural noun where both numbers are possible.
    pub plural: u32,
    /// "the" among the determiners.
    pub definite: u32,
    /// A possessive ("his", "their") among the determiners of an object.
    pub possessive: u32,
    /// A name instead of a noun phrase.
    pub name: u32,
    /// An adverb of frequency before the verb.
    pub frequency: u32,
    /// An adverb of manner.
    pub manner: u32,
    /// A preposition after the verb phrase.
    pub verb_preposition: u32,
    /// A second clause after a connective.
    pub connective: u32,
    /// A second clause after a comma.
    pub coordinator: u32,
    /// The second clause's subject is the pronoun of the first's.
    pub pronoun_again: u32,
    /// An exclamation mark instead of a full stop.
    pub exclamation: u32,
}

/// Weights of the sentence templates.
#[derive(Debug, Clone, Copy)]
pub struct Sentences {
    /// "The dog …"
    pub plain: u32,
    /// "He …", from the second sentence on.
    pub pronoun: u32,
    /// "Yesterday, …"
    pub opened: u32,
    /// "There was …"
    pub existential: u32,
    /// "When …, …"
    pub subordinate_first: u32,
    /// "Did …?"
    pub question: u32,
}

/// Weights of the verb phrase patterns.
#[derive(Debug, Clone, Copy)]
pub struct Predicates {
    /// Without an object.
    pub intransitive: u32,
    /// With a person or actor.
    pub meet: u32,
    /// With an object.
    pub handle: u32,
    /// With a topic.
    pub treat: u32,
    /// "was happy"
    pub be: u32,
    /// "said that …"
    pub say: u32,
}

impl Style {
    /// The names that `style` in the config may take.
    pub const NAMES: [&'static str; 2] = ["plain", "formal"];

    /// Stories of people and animals: short words, much past tense.
    pub const PLAIN: Self = plain::STYLE;

    /// Reports of institutions: longer words, more connectives, more present tense.
    pub const FORMAL: Self = formal::STYLE;

    /// This style and the other one with lists of equal lengths and this one's habits: their grammars have the same rules
    /// with the same weights, so one derivation tells one story in both styles.
    pub fn aligned(&self, other: &Self) -> [Self; 2] {
        [
            self.cut_to(other, self.habits),
            other.cut_to(self, self.habits),
        ]
    }

    /// This style with each list cut to the length of the other's where that is shorter.
    fn cut_to(&self, other: &Self, habits: Habits) -> Self {
        Self {
            males: common(self.males, other.males),
            females: common(self.females, other.females),
            actors: common(self.actors, other.actors),
            objects: common(self.objects, other.objects),
            topics: common(self.topics, other.topics),
            places: common(self.places, other.places),
            male_names: common(self.male_names, other.male_names),
            female_names: common(self.female_names, other.female_names),
            qualities: common(self.qualities, other.qualities),
            kinds: common(self.kinds, other.kinds),
            moods: common(self.moods, other.moods),
            degrees: common(self.degrees, other.degrees),
            manners: common(self.manners, other.manners),
            frequencies: common(self.frequencies, other.frequencies),
            intransitive: common(self.intransitive, other.intransitive),
            meet: common(self.meet, other.meet),
            handle: common(self.handle, other.handle),
            treat: common(self.treat, other.treat),
            say: common(self.say, other.say),
            singular_determiners: common(self.singular_determiners, other.singular_determiners),
            plural_determiners: common(self.plural_determiners, other.plural_determiners),
            noun_prepositions: common(self.noun_prepositions, other.noun_prepositions),
            verb_prepositions: common(self.verb_prepositions, other.verb_prepositions),
            connectives: common(self.connectives, other.connectives),
            coordinators: common(self.coordinators, other.coordinators),
            past_openers: common(self.past_openers, other.past_openers),
            subordinators: common(self.subordinators, other.subordinators),
            habits,
        }
    }
}

/// As much of a list as another one is long.
fn common<T>(list: &'static [T], other: &[T]) -> &'static [T] {
    &list[..list.len().min(other.len())]
}
