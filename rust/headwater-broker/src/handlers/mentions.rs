//! Names that a request mentions more than once.
//!
//! They are refused, or answered, once: a request has room for millions of mentions of one topic, and as many full
//! answers would take all memory there is. Counted ahead, since looking each up among the answers so far would take
//! hours.

use std::collections::BTreeMap;

/// How often each name of a request is mentioned.
pub(super) struct Mentions<K>(BTreeMap<K, Count>);

struct Count {
    mentions: usize,
    is_answered: bool,
}

/// What a mention of a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mention {
    /// The only one.
    Only,
    /// The first of several.
    First,
    /// One more.
    Again,
}

impl<K: Ord> Mentions<K> {
    /// Counts `names`.
    pub(super) fn of(names: impl IntoIterator<Item = K>) -> Mentions<K> {
        let mut counts: BTreeMap<K, Count> = BTreeMap::new();
        for name in names {
            counts.entry(name).or_insert(Count { mentions: 0, is_answered: false }).mentions += 1;
        }
        Mentions(counts)
    }

    /// The next mention of `name`, to be called once for each in the order of the request.
    pub(super) fn next(&mut self, name: &K) -> Mention {
        match self.0.get_mut(name) {
            Some(Count { mentions: 0 | 1, .. }) | None => Mention::Only,
            Some(count) if count.is_answered => Mention::Again,
            Some(count) => {
                count.is_answered = true;
                Mention::First
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_is_told_from_the_others() {
        let names = ["a", "b", "a", "a"];
        let mut mentions = Mentions::of(names);
        let told: Vec<Mention> = names.iter().map(|name| mentions.next(name)).collect();
        assert_eq!(told, [Mention::First, Mention::Only, Mention::Again, Mention::Again]);
    }
}
