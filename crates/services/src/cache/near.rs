//! Values in this process. Two halves, a young and an old one: what is used moves to the young half,
//! and when that is full it becomes the old one and the old one goes. So nothing has to be kept in
//! order, and what has not been used while half of the bytes were turned over is gone.

use std::collections::HashMap;
use std::sync::Arc;

use jangbu_engine::clock::Clock;
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use parking_lot::Mutex;

use super::{Group, Key, Soon, Value};

/// What an entry costs besides its name and its bytes.
const ENTRY: usize = 128;

/// Products whose changes are remembered one by one; beyond it a change counts for all.
const MARKS: usize = 50_000;

/// Values in this process, bounded by bytes and by time.
#[derive(Debug)]
pub struct Near {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// Bytes of one half.
    half: usize,
}

#[derive(Debug)]
struct State {
    young: Half,
    old: Half,
    marks: Marks,
}

/// One half of the values.
#[derive(Debug, Default)]
struct Half {
    values: HashMap<Box<str>, (Group, Value)>,
    bytes: usize,
}

impl Half {
    fn insert(&mut self, key: &Key, value: Value) {
        self.bytes += cost(&key.name, &value);
        if let Some((_, old)) = self.values.insert(key.name.clone(), (key.group, value)) {
            self.bytes -= cost(&key.name, &old);
        }
    }

    fn remove(&mut self, name: &str) -> Option<Value> {
        let (_, value) = self.values.remove(name)?;
        self.bytes -= cost(name, &value);
        Some(value)
    }
}

fn cost(name: &str, value: &Value) -> usize {
    ENTRY + name.len() + value.bytes.len()
}

/// The last change of each group. Those of products are in two halves by time: a mark is kept for at
/// least one life of a value, and then no value is left that it could end.
#[derive(Debug)]
struct Marks {
    /// Nothing below it is good, whatever it is about.
    floor: i64,
    shelf: i64,
    categories: i64,
    young: HashMap<i64, i64>,
    old: HashMap<i64, i64>,
    turned: Time,
    life: Span,
}

impl Marks {
    fn of(&self, group: Group) -> i64 {
        let own = match group {
            Group::Shelf => self.shelf,
            Group::Categories => self.categories,
            Group::Product(id) => {
                let of = |marks: &HashMap<i64, i64>| marks.get(&id).copied().unwrap_or(0);
                of(&self.young).max(of(&self.old))
            }
        };
        own.max(self.floor)
    }

    fn raise(&mut self, group: Group, number: i64, now: Time) {
        // A clock that was set back turns nothing until it has caught up: marks only stay longer.
        if (now - self.turned).0 >= self.life.0 {
            self.old = std::mem::take(&mut self.young);
            self.turned = now;
        }
        let mark = match group {
            Group::Shelf => &mut self.shelf,
            Group::Categories => &mut self.categories,
            Group::Product(id) => self.young.entry(id).or_insert(0),
        };
        *mark = number.max(*mark);
        if self.young.len() > MARKS {
            let all = self.young.values().chain(self.old.values());
            self.floor = all.copied().fold(self.floor, i64::max);
            self.young = HashMap::new();
            self.old = HashMap::new();
        }
    }
}

impl Near {
    /// Values of at most `bytes` together, none of which lives longer than `life`.
    pub fn new(bytes: usize, life: Span, clock: Arc<dyn Clock>) -> Self {
        let marks = Marks {
            floor: 0,
            shelf: 0,
            categories: 0,
            young: HashMap::new(),
            old: HashMap::new(),
            turned: clock.now(),
            life,
        };
        let state = State { young: Half::default(), old: Half::default(), marks };
        Self { state: Mutex::new(state), clock, half: bytes / 2 }
    }

    /// The value, if it is there and good.
    pub fn find(&self, key: &Key) -> Option<Value> {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let State { young, old, marks } = &mut *state;
        let good = |value: &Value| value.number >= marks.of(key.group) && value.until > now;
        if let Some((_, value)) = young.values.get(&key.name) {
            return good(value).then(|| value.clone());
        }
        let value = old.remove(&key.name).filter(|value| good(value))?;
        young.insert(key, value.clone());
        self.turn(&mut state);
        Some(value)
    }

    /// Keeps a value; says whether it is good.
    pub fn keep(&self, key: &Key, value: &Value) -> bool {
        let now = self.clock.now();
        let mut state = self.state.lock();
        if value.number < state.marks.of(key.group) || value.until <= now {
            return false;
        }
        // Somebody may have read a later state in the meantime.
        let held = state.young.values.get(&key.name);
        if held.is_none_or(|(_, held)| held.number <= value.number) {
            drop(state.old.remove(&key.name));
            state.young.insert(key, value.clone());
            self.turn(&mut state);
        }
        true
    }

    fn turn(&self, state: &mut State) {
        if state.young.bytes > self.half {
            state.old = std::mem::take(&mut state.young);
        }
        // One value that is larger than everything may be.
        if state.old.bytes > 2 * self.half {
            state.old = Half::default();
        }
    }

    /// These groups have changed with these events.
    pub fn raise(&self, groups: &[(Group, i64)]) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        for (group, number) in groups {
            state.marks.raise(*group, *number, now);
        }
    }

    /// Nothing from before event `place` is good.
    pub fn raise_floor(&self, place: i64) {
        let mut state = self.state.lock();
        state.marks.floor = state.marks.floor.max(place);
    }

    /// The last change of a group that is known here.
    pub fn mark(&self, group: Group) -> i64 {
        self.state.lock().marks.of(group)
    }

    /// How many values there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let state = self.state.lock();
        let State { young, old, marks: _ } = &*state;
        (young.values.len() + old.values.len(), young.bytes + old.bytes)
    }
}

/// Alone it is a cache like any other: for tests, and for whoever wants two behind each other.
impl super::Cache for Near {
    fn get(&self, key: &Key) -> Soon<Option<Value>> {
        Box::pin(std::future::ready(self.find(key)))
    }

    fn put(&self, key: &Key, value: &Value) {
        self.keep(key, value);
    }

    fn changed(&self, groups: &[(Group, i64)], _place: i64) {
        self.raise(groups);
    }

    fn missed(&self, place: i64) {
        self.raise_floor(place);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    pub(crate) struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Time {
            Time(self.0.load(Ordering::Relaxed))
        }
    }

    const LIFE: Span = Span(100);

    fn near(bytes: usize) -> (Near, Arc<Set>) {
        let clock: Arc<Set> = Arc::default();
        (Near::new(bytes, LIFE, Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn key(group: Group, name: &str) -> Key {
        Key { group, name: name.into() }
    }

    fn value(number: i64, until: i64, text: &str) -> Value {
        Value { number, until: Time(until), bytes: text.as_bytes().into() }
    }

    #[test]
    fn a_value_from_before_a_change_is_neither_served_nor_taken() {
        let (near, _) = near(10_000);
        let (tee, mug) = (key(Group::Product(1), "tee"), key(Group::Product(2), "mug"));
        assert!(near.keep(&tee, &value(5, 100, "old")) && near.keep(&mug, &value(5, 100, "mug")));
        near.raise(&[(Group::Product(1), 7)]);
        assert_eq!((near.find(&tee), near.mark(Group::Product(1))), (None, 7));
        assert!(near.find(&mug).is_some(), "another product");
        assert!(!near.keep(&tee, &value(6, 100, "slow")), "its reader began before the change");
        assert!(near.keep(&tee, &value(7, 100, "new")));
        near.raise(&[(Group::Product(1), 6)]);
        assert_eq!(near.find(&tee), Some(value(7, 100, "new")), "an older change changes nothing");
        near.raise_floor(8);
        assert_eq!((near.find(&tee), near.find(&mug)), (None, None), "nothing is known any more");
    }

    #[test]
    fn a_later_state_is_not_replaced_by_an_earlier_one() {
        let (near, _) = near(10_000);
        let list = key(Group::Shelf, "list");
        assert!(
            near.keep(&list, &value(9, 100, "late")) && near.keep(&list, &value(8, 100, "early"))
        );
        assert_eq!(near.find(&list).unwrap().number, 9);
    }

    #[test]
    fn a_value_ends_with_its_time_and_its_mark_is_kept_as_long() {
        let (near, clock) = near(10_000);
        let tee = key(Group::Product(1), "tee");
        assert!(near.keep(&tee, &value(1, 100, "tee")));
        clock.0.store(99, Ordering::Relaxed);
        assert!(near.find(&tee).is_some());
        near.raise(&[(Group::Product(1), 5)]);
        clock.0.store(100, Ordering::Relaxed);
        assert_eq!(near.find(&tee), None);
        // Marks turn with the next change; the one of moment 99 stays until a life has passed.
        near.raise(&[(Group::Product(2), 6)]);
        assert_eq!(near.mark(Group::Product(1)), 5);
        clock.0.store(200, Ordering::Relaxed);
        near.raise(&[(Group::Product(2), 7)]);
        assert_eq!((near.mark(Group::Product(1)), near.mark(Group::Product(2))), (0, 7));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_used_stays() {
        let (near, _) = near(20_000);
        let used = key(Group::Shelf, "used");
        assert!(near.keep(&used, &value(1, 100, "x")));
        for n in 0..1_000 {
            let other = key(Group::Product(n), &format!("other {n}"));
            assert!(near.keep(&other, &value(1, 100, &"y".repeat(200))));
            assert!(near.find(&used).is_some(), "{n}");
            assert!(near.size().1 <= 20_000 + 400, "{:?}", near.size());
        }
        assert!(near.size().0 > 20, "{:?}", near.size());
        let huge = key(Group::Shelf, "huge");
        assert!(near.keep(&huge, &value(1, 100, &"z".repeat(100_000))), "good, but not kept");
        assert_eq!(near.find(&huge), None);
    }

    #[test]
    fn too_many_changes_to_remember_end_everything_before_them() {
        let (near, _) = near(10_000);
        let mug = key(Group::Product(-1), "mug");
        assert!(near.keep(&mug, &value(10, 100, "mug")));
        let changes: Vec<_> = (0..=50_000).map(|n| (Group::Product(n), 20 + n)).collect();
        near.raise(&changes);
        assert_eq!((near.find(&mug), near.mark(Group::Categories)), (None, 50_020));
    }
}
