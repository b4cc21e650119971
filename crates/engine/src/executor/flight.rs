//! The calls in flight: a slab with generations, and their deadlines in coarse steps.

use std::collections::BTreeMap;

use jangbu_kernel::time::Span;
use jangbu_kernel::{Job, Time};

use super::back::Traced;
use crate::breaker::Permit;

/// Names one call for all time: a place of the slab, and how often it was taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    place: usize,
    turn: u32,
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The job, unless somebody works with it outside the lock: it is being started or timed out.
    pub(super) job: Option<Job>,
    /// The caller let go of it while the job was away.
    pub(super) given_up: bool,
    /// For the breaker.
    pub(super) permit: Permit,
    /// When.
    pub(super) started: Time,
    /// Its span; none: it is not traced.
    pub(super) traced: Option<Box<Traced>>,
}

impl InFlight {
    /// A call that is being started.
    pub(super) fn new(permit: Permit, started: Time) -> Self {
        Self { job: None, given_up: false, permit, started, traced: None }
    }
}

#[derive(Debug)]
struct Place {
    turn: u32,
    call: Option<InFlight>,
}

/// The calls in flight.
#[derive(Debug)]
pub(super) struct Flight {
    places: Vec<Place>,
    free: Vec<usize>,
    grain: i64,
    /// Keys by the step in which their deadline lies. Keys of calls that have ended stay until
    /// their step is due: forgetting them one by one would cost more.
    deadlines: BTreeMap<i64, Vec<Key>>,
}

impl Flight {
    pub(super) fn new(grain: Span) -> Self {
        let deadlines = BTreeMap::new();
        Self { places: Vec::new(), free: Vec::new(), grain: grain.0.max(1), deadlines }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, call: InFlight) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { turn: 0, call: None });
            self.places.len() - 1
        });
        let taken = &mut self.places[place];
        taken.call = Some(call);
        Key { place, turn: taken.turn }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut InFlight> {
        let place = &mut self.places[key.place];
        if place.turn == key.turn { place.call.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<InFlight> {
        let place = &mut self.places[key.place];
        if place.turn != key.turn {
            return None;
        }
        let call = place.call.take()?;
        place.turn = place.turn.wrapping_add(1);
        self.free.push(key.place);
        Some(call)
    }

    /// Takes in the job of a call that was started; from now on its deadline counts.
    pub(super) fn give_back(&mut self, key: Key, job: Job) {
        let step = job.deadline.0.div_euclid(self.grain).saturating_add(1);
        if let Some(call) = self.get_mut(key) {
            call.job = Some(job);
            self.deadlines.entry(step).or_default().push(key);
        }
    }

    /// Lends out the jobs of all calls whose deadline has passed.
    pub(super) fn borrow_due(&mut self, now: Time, due: &mut Vec<(Key, Job)>) {
        let step = now.0.div_euclid(self.grain);
        while let Some(first) = self.deadlines.first_entry()
            && *first.key() <= step
        {
            for key in first.remove() {
                let job = self.get_mut(key).and_then(|call| call.job.take());
                due.extend(job.map(|job| (key, job)));
            }
        }
    }
}
