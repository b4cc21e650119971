//! In which part of its life each connection is, and since when.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Connections;

/// Milliseconds since the start, as of the last sweep: reading it costs a load.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    now: AtomicU32,
}

impl Clock {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, now: AtomicU32::new(0) }
    }

    pub(super) fn wind(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.start).as_millis();
        // After 49 days it begins again; differences stay right.
        #[expect(clippy::cast_possible_truncation, reason = "differences are taken, wrapping")]
        self.now.store(ms as u32, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }
}

/// A part of a connection's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Nothing of a request is here.
    Idle = 0,
    /// A header began to arrive.
    Head = 1,
    /// An endpoint is at work; it has its own limits.
    Serving = 2,
    /// The answer is on its way out.
    Writing = 3,
}

impl Phase {
    fn of(byte: u8) -> Self {
        [Self::Idle, Self::Head, Self::Serving].get(usize::from(byte)).map_or(Self::Writing, |p| *p)
    }
}

/// A connection as the sweep sees it.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) number: u64,
    phase: AtomicU8,
    since: AtomicU32,
    expired: AtomicBool,
    long: AtomicBool,
    clock: Arc<Clock>,
    /// Called when the connection has expired, or when the server stops.
    pub(super) call: Notify,
}

impl Seat {
    pub(super) fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Relaxed))
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.since.store(self.clock.now(), Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn has_expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// An answer was so long that it may have been flushed in parts: the phases of this connection
    /// are good for time limits and no longer say exactly where an answer ends.
    pub(super) fn gives_long_answers(&self) {
        self.long.store(true, Ordering::Relaxed);
    }

    pub(super) fn gave_long_answers(&self) -> bool {
        self.long.load(Ordering::Relaxed)
    }

    fn is_late(&self, now: u32, limits: &Connections) -> bool {
        let limit = match self.phase() {
            Phase::Idle => limits.idle,
            Phase::Head | Phase::Writing => limits.header,
            Phase::Serving => return false,
        };
        let spent = now.wrapping_sub(self.since.load(Ordering::Relaxed));
        // A phase can begin between two winds of the clock: then it is in the future.
        spent < u32::MAX / 2 && Duration::from_millis(spent.into()) > limit
    }
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<HashMap<u64, Arc<Seat>>>,
    next: AtomicU64,
    stopping: AtomicBool,
}

impl Seats {
    pub(super) fn take(&self, clock: &Arc<Clock>) -> Arc<Seat> {
        let seat = Arc::new(Seat {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU32::new(clock.now()),
            expired: AtomicBool::new(false),
            long: AtomicBool::new(false),
            clock: Arc::clone(clock),
            call: Notify::new(),
        });
        self.taken.lock().insert(seat.number, Arc::clone(&seat));
        seat
    }

    pub(super) fn leave(&self, seat: &Seat) {
        self.taken.lock().remove(&seat.number);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Calls those who have stayed too long.
    pub(super) fn sweep(&self, now: u32, limits: &Connections) {
        for seat in self.taken.lock().values() {
            if seat.is_late(now, limits) {
                seat.expired.store(true, Ordering::Relaxed);
                seat.call.notify_one();
            }
        }
    }

    /// Calls everybody: no new requests.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        for seat in self.taken.lock().values() {
            seat.call.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_limit() {
        let start = Instant::now();
        let (clock, seats) = (Arc::new(Clock::new(start)), Seats::default());
        let (header, idle) = (Duration::from_millis(10), Duration::from_millis(50));
        let limits = Connections { header, idle, ..Connections::default() };
        let late = |phase, spent: u64| {
            let seat = seats.take(&clock);
            seat.enter(phase);
            let then = start + Duration::from_millis(100 + spent);
            let now = Clock::new(start);
            now.wind(then);
            seats.sweep(now.now(), &limits);
            seats.leave(&seat);
            seat.has_expired()
        };
        clock.wind(start + Duration::from_millis(100));
        for (phase, in_time, too_late) in
            [(Phase::Idle, 50, 51), (Phase::Head, 10, 11), (Phase::Writing, 10, 11)]
        {
            assert_eq!((late(phase, in_time), late(phase, too_late)), (false, true), "{phase:?}");
        }
        assert!(!late(Phase::Serving, 100_000), "endpoints have limits of their own");
    }

    #[test]
    fn the_clock_may_begin_again() {
        let (clock, seats) = (Arc::new(Clock::new(Instant::now())), Seats::default());
        clock.now.store(u32::MAX - 5, Ordering::Relaxed);
        let seat = seats.take(&clock);
        let limits = Connections { idle: Duration::from_millis(10), ..Connections::default() };
        seats.sweep(3, &limits);
        assert!(!seat.has_expired(), "9 ms");
        seats.sweep(6, &limits);
        assert!(seat.has_expired(), "12 ms");
    }
}
