//! Keys that came more than once since the start: who sent the same again, and who sent something
//! else. In memory and bounded: the rows say what the first request did, this says what the others
//! wanted. Only repeats take the lock, so an order with a new key pays nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jangbu_engine::mailbox::Answer;
use jangbu_kernel::{Correlation, IdemKey, Time};
use parking_lot::Mutex;

/// Keys that are remembered; the one that repeated first is forgotten first.
const KEYS: usize = 10_000;

/// Conflicts that are remembered of each.
const CONFLICTS: usize = 10;

/// A field in which a later command differs from what the first one made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its path in the body.
    pub(crate) field: &'static str,
    pub(crate) first: String,
    pub(crate) later: String,
}

impl Difference {
    /// The field with both values, unless they are the same.
    pub(crate) fn between<T: PartialEq>(
        field: &'static str,
        (first, later): (&T, &T),
        show: impl Fn(&T) -> String,
    ) -> Option<Self> {
        (first != later).then(|| Self { field, first: show(first), later: show(later) })
    }
}

/// Another command under a key that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Conflict {
    number: u64,
    pub(crate) at: Time,
    pub(crate) request: Option<Arc<str>>,
    pub(crate) body: [u8; 17],
    pub(crate) differences: Vec<Difference>,
}

/// What came again under one key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Repeated {
    /// The same command, so many times.
    pub(crate) replays: u64,
    /// The last of them: when and from which request.
    pub(crate) last: Option<(Time, Option<Arc<str>>)>,
    /// Other commands, oldest first.
    pub(crate) conflicts: VecDeque<Conflict>,
}

/// A conflict that was just refused, for whoever can say what differs.
#[derive(Debug, Clone)]
pub(crate) struct Reused {
    pub(crate) key: IdemKey,
    /// What the first command made.
    pub(crate) resource: i64,
    number: u64,
}

#[derive(Debug, Default)]
struct Memory {
    /// By key, then scope.
    known: BTreeMap<(Box<str>, Box<str>), Repeated>,
    order: VecDeque<(Box<str>, Box<str>)>,
    conflicts: u64,
}

impl Memory {
    fn of(&mut self, key: &IdemKey) -> &mut Repeated {
        let name = (key.key.clone(), key.scope.clone());
        if !self.known.contains_key(&name) {
            if self.order.len() == KEYS
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(name.clone());
        }
        self.known.entry(name).or_default()
    }
}

/// The repeats since the start.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<Memory>);

impl Repeats {
    /// Takes down what an answer says of its key; gives back a conflict.
    pub(crate) fn note(
        &self,
        answer: &Answer,
        key: Option<IdemKey>,
        (at, request): (Time, Correlation),
    ) -> Option<Reused> {
        let (key, resource) = match answer {
            Answer::Done { replayed: true, .. } => (key?, None),
            Answer::KeyReused { resource } => (key?, Some(*resource)),
            Answer::Done { .. }
            | Answer::Refused(_)
            | Answer::KeyExpired { .. }
            | Answer::NotRun(_) => return None,
        };
        let mut memory = self.0.lock();
        let Some(resource) = resource else {
            let repeated = memory.of(&key);
            repeated.replays += 1;
            repeated.last = Some((at, request));
            return None;
        };
        memory.conflicts += 1;
        let number = memory.conflicts;
        let conflicts = &mut memory.of(&key).conflicts;
        if conflicts.len() == CONFLICTS {
            conflicts.pop_front();
        }
        let (body, differences) = (key.body, Vec::new());
        conflicts.push_back(Conflict { number, at, request, body, differences });
        Some(Reused { key, resource, number })
    }

    /// Adds in which fields a conflict differs.
    pub(crate) fn differs(&self, reused: &Reused, differences: &[Difference]) {
        let mut memory = self.0.lock();
        let conflicts = &mut memory.of(&reused.key).conflicts;
        if let Some(known) = conflicts.iter_mut().find(|known| known.number == reused.number) {
            known.differences = differences.to_vec();
        }
    }

    /// What came again under `key`, by scope.
    pub(crate) fn of(&self, key: &str) -> Vec<(Box<str>, Repeated)> {
        let memory = self.0.lock();
        let from = (Box::from(key), Box::default());
        let known = memory.known.range(from..).take_while(|((name, _), _)| **name == *key);
        known.map(|((_, scope), repeated)| (scope.clone(), repeated.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, body: u8) -> IdemKey {
        IdemKey { scope: "client:x".into(), key: name.into(), body: [body; 17] }
    }

    fn replay() -> Answer {
        Answer::Done { reply: Box::new(()), replayed: true }
    }

    #[test]
    fn only_so_many_keys_and_conflicts_are_remembered() {
        let repeats = Repeats::default();
        for n in 0..=KEYS {
            repeats.note(&replay(), Some(key(&format!("k{n}"), 1)), (Time(1), None));
        }
        assert!(repeats.of("k0").is_empty(), "the oldest is gone");
        assert_eq!(repeats.of("k1")[0].1.replays, 1);
        for at in 0..20 {
            let answer = Answer::KeyReused { resource: 7 };
            let reused = repeats.note(&answer, Some(key("k1", 2)), (Time(at), None)).unwrap();
            let difference = Difference { field: "f", first: "1".into(), later: at.to_string() };
            repeats.differs(&reused, &[difference]);
        }
        let known = &repeats.of("k1")[0].1;
        let later: Vec<_> = known.conflicts.iter().map(|c| &*c.differences[0].later).collect();
        assert_eq!(later, ["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"]);
        assert_eq!(repeats.0.lock().known.len(), KEYS);
    }

    #[test]
    fn a_key_that_is_new_or_refused_leaves_nothing() {
        let repeats = Repeats::default();
        let first = Answer::Done { reply: Box::new(()), replayed: false };
        assert!(repeats.note(&first, Some(key("k", 1)), (Time(1), None)).is_none());
        assert!(repeats.note(&replay(), None, (Time(1), None)).is_none());
        assert!(repeats.of("k").is_empty());
        repeats.note(&replay(), Some(key("k", 1)), (Time(5), Some("r".into())));
        assert_eq!(repeats.of("k")[0].1.last, Some((Time(5), Some("r".into()))));
        assert!(repeats.of("kk").is_empty() && repeats.of("").is_empty());
    }
}
