//! Who is let in when more comes than can be done.
//!
//! A request is refused before its key, its path or its body is looked at, so that a refusal costs
//! a few microseconds and leaves the rest to what is accepted.
//!
//! **What is measured.** The *delay* of a command: from its admission until its commit is known
//! here. That is the wait in the mailbox, the commit, and the way back to this thread: exactly the
//! queues that a refusal makes shorter. The age of the mailbox's head alone would not do: the owner
//! empties the mailbox with each batch, so that age is the length of a commit, and it does not see
//! the queue of the HTTP thread. The time until an order has settled would not do either: most of
//! it is the payment gateway's, and a slow gateway is no reason to refuse orders (its executor has
//! a bound of its own).
//!
//! **What is limited.** The number of commands between admission and commit. When the mean delay
//! of a window stays above the target, the limit becomes the number in flight times target over
//! delay: by Little's law the number at which the same throughput has the target's delay. When the
//! delay is fine again, it grows by an eighth or by a quarter per window. A few bad windows are a
//! checkpoint or a burst, which a queue is for: six in a row above twice the target are a standing
//! queue, or two at four times the target. Once there is one, three above the target are enough.
//!
//! **The target** is a setting, or three times the delay that a few commands alone have, whichever
//! is longer, so that a slow disk is not taken for overload.
//!
//! **What is no command** (a body that still arrives, a password that is hashed) holds a place and
//! says nothing of the queue: neither its time nor that it does not end. Taken for commands, coupons
//! asked for at a high rate looked like a stall, and the limit fell to its least.
//!
//! | class | limit | gives way |
//! |---|---|---|
//! | vital | none | never |
//! | checkout | as above | at the target |
//! | browse | its own, at most `browse` | at half of the target |
//! | batch | its own, a quarter of that | at a quarter of the target |
//!
//! A command that was accepted before and comes again may use a reserve beyond the limit, so that
//! a client that lost its answer gets it soon. Whether it came before is asked of a small table of
//! hashes; a wrong yes costs a place of the reserve and nothing else.
//!
//! Refusals have a pace of their own (`pace`), so that a flood of them leaves time for the others.

mod control;
mod pace;
mod recent;
mod refusal;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::route::Class;

use control::{Control, Window};
use pace::Pace;
use recent::Recent;
pub(crate) use refusal::Refusal;

/// Bounds of admission.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRules {
    /// The delay that commands may have when there is too much of everything.
    pub target: Duration,
    /// At least so many commands in flight, however long they take.
    pub least: u32,
    /// At most so many commands in flight, however fast they are. 0: admission is off.
    pub most: u32,
    /// At most so many reads in flight.
    pub browse: u32,
    /// At most so many refusals leave in a second; 0: as many as there are.
    pub refusals: u32,
}

impl Default for AdmissionRules {
    fn default() -> Self {
        Self {
            target: Duration::from_millis(10),
            least: 32,
            most: 2_048,
            browse: 256,
            refusals: 20_000,
        }
    }
}

/// Names of the classes that can be refused, in the order of their numbers.
pub(crate) const CLASSES: [&str; 3] = ["checkout", "browse", "batch"];

/// A class at the door.
#[derive(Debug, Default)]
struct Gate {
    limit: AtomicU32,
    busy: AtomicU32,
    /// Most that were busy in this window.
    peak: AtomicU32,
    /// Refused because the limit had been lowered, and at the highest limit.
    delayed: AtomicU64,
    bound: AtomicU64,
}

/// The door.
#[derive(Debug)]
pub(crate) struct Admission {
    rules: AdmissionRules,
    origin: Instant,
    gates: [Gate; 3],
    /// Commands between admission and commit.
    commands: AtomicU32,
    /// Sum and number of the delays of this window.
    sum_us: AtomicU64,
    count: AtomicU64,
    refused: AtomicBool,
    /// When the window ends, in microseconds since the origin.
    ends_us: AtomicU64,
    control: Mutex<Control>,
    recent: Recent,
    pace: Pace,
    pub(crate) refusal: Refusal,
}

/// What `/metrics` says of a class.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) limit: u32,
    pub(crate) busy: u32,
    pub(crate) delayed: u64,
    pub(crate) bound: u64,
}

impl Admission {
    pub(crate) fn new(rules: AdmissionRules, origin: Instant) -> Arc<Self> {
        let control = Control::new(rules);
        let gates: [Gate; 3] = Default::default();
        for (gate, limit) in gates.iter().zip(control.limits()) {
            gate.limit.store(limit, Ordering::Relaxed);
        }
        Arc::new(Self {
            rules,
            origin,
            gates,
            commands: AtomicU32::new(0),
            sum_us: AtomicU64::new(0),
            count: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            ends_us: AtomicU64::new(control::WINDOW_US),
            control: Mutex::new(control),
            recent: Recent::new(),
            pace: Pace::new(rules.refusals, origin),
            refusal: Refusal::new(),
        })
    }

    /// Lets a request in, or not. `key` is its idempotency key, if it has one.
    pub(crate) fn enter(
        self: &Arc<Self>,
        class: Class,
        key: Option<&[u8]>,
        now: Instant,
    ) -> Option<Permit> {
        let at = match class {
            Class::Vital => return Some(Permit(None)),
            Class::Checkout => 0,
            Class::Browse => 1,
            Class::Batch => 2,
        };
        if self.rules.most == 0 {
            return Some(Permit(None));
        }
        self.turn(now);
        let gate = &self.gates[at];
        let limit = gate.limit.load(Ordering::Relaxed);
        let busy = gate.busy.fetch_add(1, Ordering::Relaxed);
        let hash = key.map_or(0, |key| self.recent.hash(key));
        let reserve = limit.saturating_add(limit / 4).saturating_add(4);
        if busy >= limit && !(busy < reserve && key.is_some() && self.recent.has(hash)) {
            gate.busy.fetch_sub(1, Ordering::Relaxed);
            self.count_refusal(at, limit);
            return None;
        }
        gate.peak.fetch_max(busy + 1, Ordering::Relaxed);
        Some(Permit(Some(Held { of: Arc::clone(self), at, hash, since: now, timed: false })))
    }

    /// Whether an order with this key would not be let in; then it is counted as refused.
    pub(crate) fn refuses(&self, key: Option<&[u8]>, now: Instant) -> bool {
        let gate = &self.gates[0];
        let limit = gate.limit.load(Ordering::Relaxed);
        if self.rules.most == 0 || gate.busy.load(Ordering::Relaxed) < limit {
            return false;
        }
        if key.is_some_and(|key| self.recent.has(self.recent.hash(key))) {
            return false;
        }
        self.turn(now);
        self.count_refusal(0, limit);
        true
    }

    /// How long a refusal waits before it leaves; none: it leaves at once.
    pub(crate) fn pace(&self, now: Instant) -> Option<Duration> {
        self.pace.turn(now)
    }

    fn count_refusal(&self, at: usize, limit: u32) {
        let gate = &self.gates[at];
        let highest = [self.rules.most, self.rules.browse, self.rules.browse / 4][at];
        let counter = if limit < highest { &gate.delayed } else { &gate.bound };
        counter.fetch_add(1, Ordering::Relaxed);
        if at == 0 {
            self.refused.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the window when it is over: whoever comes first afterwards does it.
    fn turn(&self, now: Instant) {
        let now = micros(now.saturating_duration_since(self.origin));
        if now < self.ends_us.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut control) = self.control.try_lock() else { return };
        self.ends_us.store(now + control::WINDOW_US, Ordering::Relaxed);
        let busy = self.gates[0].busy.load(Ordering::Relaxed);
        let limits = control.turn(&Window {
            sum_us: self.sum_us.swap(0, Ordering::Relaxed),
            count: self.count.swap(0, Ordering::Relaxed),
            peak: self.gates[0].peak.swap(busy, Ordering::Relaxed),
            busy: self.commands.load(Ordering::Relaxed),
            refused: self.refused.swap(false, Ordering::Relaxed),
        });
        for (gate, limit) in self.gates.iter().zip(limits) {
            gate.limit.store(limit, Ordering::Relaxed);
        }
    }

    pub(crate) fn seen(&self) -> [Seen; 3] {
        [0, 1, 2].map(|at: usize| {
            let gate = &self.gates[at];
            Seen {
                limit: gate.limit.load(Ordering::Relaxed),
                busy: gate.busy.load(Ordering::Relaxed),
                delayed: gate.delayed.load(Ordering::Relaxed),
                bound: gate.bound.load(Ordering::Relaxed),
            }
        })
    }

    /// Mean delay of the last window with commands, and the target, in microseconds.
    pub(crate) fn delay_us(&self) -> (u64, u64) {
        let control = self.control.lock();
        (control.delay_us(), control.target_us())
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// A place among those in flight; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Option<Held>);

#[derive(Debug)]
struct Held {
    of: Arc<Admission>,
    at: usize,
    hash: u64,
    since: Instant,
    timed: bool,
}

impl Permit {
    /// From now on the permit is held by a command, and dropped with its answer: its time counts.
    pub(crate) fn of_command(mut self) -> Self {
        if let Some(held) = self.0.as_mut().filter(|held| held.at == 0 && !held.timed) {
            held.timed = true;
            held.of.commands.fetch_add(1, Ordering::Relaxed);
        }
        self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.gates[self.at].busy.fetch_sub(1, Ordering::Relaxed);
        if self.timed {
            self.of.commands.fetch_sub(1, Ordering::Relaxed);
            let took = micros(self.since.elapsed());
            self.of.sum_us.fetch_add(took, Ordering::Relaxed);
            self.of.count.fetch_add(1, Ordering::Relaxed);
            self.of.recent.note(self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(rules: AdmissionRules) -> Arc<Admission> {
        Admission::new(rules, Instant::now())
    }

    #[test]
    fn operators_and_health_are_never_refused() {
        let door = door(AdmissionRules { most: 1, browse: 1, ..AdmissionRules::default() });
        let now = Instant::now();
        let _held = door.enter(Class::Checkout, None, now).unwrap();
        assert!(door.enter(Class::Checkout, None, now).is_none());
        assert!((0..100).all(|_| door.enter(Class::Vital, None, now).is_some()));
        let seen = door.seen();
        assert_eq!((seen[0].busy, seen[0].bound, seen[0].delayed), (1, 1, 0));
    }

    #[test]
    fn a_place_comes_back_with_its_permit() {
        let door = door(AdmissionRules { most: 2, ..AdmissionRules::default() });
        let now = Instant::now();
        for _ in 0..10 {
            let both = [0, 1].map(|_| door.enter(Class::Checkout, None, now));
            assert!(both.iter().all(Option::is_some));
            assert!(door.enter(Class::Checkout, None, now).is_none());
        }
        assert_eq!(door.seen()[0].busy, 0);
    }

    #[test]
    fn what_was_accepted_before_may_use_the_reserve() {
        let door = door(AdmissionRules { most: 1, ..AdmissionRules::default() });
        let now = Instant::now();
        let first = door.enter(Class::Checkout, Some(b"order-1"), now).unwrap();
        drop(first.of_command());
        let _held = door.enter(Class::Checkout, Some(b"order-2"), now).unwrap();
        assert!(door.enter(Class::Checkout, Some(b"order-3"), now).is_none());
        let again: Vec<_> =
            (0..20).map(|_| door.enter(Class::Checkout, Some(b"order-1"), now)).collect();
        let passed = again.iter().flatten().count();
        assert_eq!(passed, 4, "a small reserve, not a way around the limit");
    }

    /// The limit after two seconds of windows in which `each` happens and one more is in flight.
    fn limit_after(each: impl Fn(&Arc<Admission>, Instant) -> Option<Permit>) -> u32 {
        let origin = Instant::now();
        let door = Admission::new(AdmissionRules::default(), origin);
        let mut held = Vec::new();
        for window in 0..40 {
            let now = origin + Duration::from_millis(51) * window;
            held.extend(each(&door, now));
        }
        door.seen()[0].limit
    }

    #[test]
    fn a_place_without_a_command_is_no_stall_and_a_command_that_does_not_end_is_one() {
        let enter = |door: &Arc<Admission>, now| door.enter(Class::Checkout, None, now);
        assert_eq!(limit_after(|door, now| enter(door, now)), 2_048, "bodies that do not arrive");
        let command = |door: &Arc<Admission>, now| enter(door, now).map(Permit::of_command);
        let stalled = limit_after(command);
        assert!(stalled < 50, "{stalled}");
        let busy = |door: &Arc<Admission>, now| {
            (0..100).for_each(|_| drop(command(door, now)));
            command(door, now)
        };
        assert_eq!(limit_after(busy), 2_048, "some are always on their way");
    }

    #[test]
    fn off_is_off() {
        let door = door(AdmissionRules { most: 0, ..AdmissionRules::default() });
        let now = Instant::now();
        let all: Vec<_> = (0..9_999).map(|_| door.enter(Class::Checkout, None, now)).collect();
        assert!(all.iter().all(Option::is_some));
    }
}
