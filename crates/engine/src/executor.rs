//! The executor of external calls: starts them after the commit that wrote down their intent, and
//! brings every answer back as a command. It never blocks, and never runs inside a transaction.
//!
//! ```text
//! owner ──start──▶ deadline? bulkhead? breaker? ──no──▶ NotSent ──────────┐
//!                              │ yes                                      │
//!                              ▼                                          ▼
//!                        Caller::start ──done──▶ answer ──────────▶ queue ──▶ mailbox
//!                              │                                          ▲
//!                 tick ────────┴── deadline passed, or done dropped ──▶ timed out
//! ```
//!
//! 1. Every job is answered at least once, whatever its caller does with `done`: call it at once,
//!    on any thread, late, drop it, never touch it again, or panic.
//! 2. It is answered more than once in one case only: first that its time is over, then the answer
//!    that came late. That answer may be money, so it is never lost. In this order, always.
//! 3. A job that was refused here was never started.
//! 4. No lock is held while the caller or the mailbox is called.
//! 5. A call takes its place in the bulkhead until it is answered, given up, or out of time. The
//!    breaker hears of each call once; what comes late is not news to it.
//!
//! Answers go through one queue: whoever finds it idle empties it into the mailbox, others leave
//! theirs there. So a mailbox under pressure gets bursts, and answers keep their order.

mod back;
mod flight;
#[cfg(test)]
mod tests;
mod ticker;
mod ticket;

use std::fmt::{self, Debug};
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, Job, Payload, Time};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::breaker::{Breaker, BreakerRules, BreakerStats};
use crate::clock::Clock;
use crate::trace::{Tracing, shown};
use back::Back;
use flight::{Flight, InFlight, Key};
use ticket::Ticket;

pub use ticker::Ticker;

/// Why a job was not sent: too many calls are in flight.
pub const BULKHEAD_FULL: &str = "bulkhead full";
/// Why a job was not sent: the destination is ill.
pub const BREAKER_OPEN: &str = "breaker open";
/// Why a job was not sent: its deadline had passed.
pub const TOO_LATE: &str = "deadline passed";

/// Takes the answer of one call. Dropped instead of called, it says that no answer will come.
pub type Done = Box<dyn FnOnce(Heard) + Send>;

/// The answer to a call.
#[derive(Debug)]
pub struct Heard {
    /// The command that tells the unit.
    pub answer: Box<dyn Payload>,
    /// Whether the destination works. A refusal of business is healthy; a time-out, a broken
    /// connection or nonsense is not.
    pub healthy: bool,
}

/// Who can make a call, and knows the types of jobs and answers.
pub trait Caller: Send + Sync {
    /// The destination, for metrics and logs.
    fn name(&self) -> &str;

    /// Whether the breaker may hold this job back. One that may not, such as a question about an
    /// open outcome, serves the breaker as a probe.
    fn guarded(&self, _job: &Job) -> bool {
        true
    }

    /// What a job asks for, for whoever traces it.
    fn asks(&self, _job: &Job) -> &'static str {
        "call"
    }

    /// Starts the call and returns at once. `done` may be called on any thread, before this
    /// returns too, at any time, or never.
    fn start(&self, job: &Job, done: Done);

    /// The command that tells the unit that the outcome is open.
    fn timed_out(&self, job: &Job) -> Box<dyn Payload>;

    /// The command that tells the unit that the call never left this process.
    fn not_sent(&self, job: &Job, why: &'static str) -> Box<dyn Payload>;
}

/// Brings answers to the mailbox of the cell that asked; must not block for long.
pub type Deliver = Arc<dyn Fn(Vec<Envelope>) + Send + Sync>;

/// Bounds of an executor.
#[derive(Debug, Clone, Copy)]
pub struct ExecutorLimits {
    /// At most so many calls are in flight.
    pub in_flight: usize,
    /// Deadlines are kept in steps of this width: up to so much later a call is timed out, never
    /// earlier.
    pub grain: Span,
    /// When calls are not even tried.
    pub breaker: BreakerRules,
}

impl Default for ExecutorLimits {
    fn default() -> Self {
        let breaker = BreakerRules::default();
        Self { in_flight: 1_024, grain: Span::millis(50), breaker }
    }
}

/// What an executor has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecutorStats {
    /// Calls in flight now.
    pub in_flight: usize,
    /// Most calls that were ever in flight at once.
    pub most_in_flight: usize,
    /// Calls that were started.
    pub started: u64,
    /// Calls that were answered in time.
    pub answered: u64,
    /// Answers, of those, that were not healthy.
    pub unhealthy: u64,
    /// Microseconds that the answered calls took, summed.
    pub answered_us: u64,
    /// Calls whose deadline passed first.
    pub timed_out: u64,
    /// Calls that were given up without an answer.
    pub given_up: u64,
    /// Answers that came after the deadline and were delivered all the same.
    pub late: u64,
    /// Jobs not sent because the bulkhead was full.
    pub bulkhead_full: u64,
    /// Jobs not sent because the breaker was open.
    pub breaker_open: u64,
    /// Jobs not sent because their deadline had passed.
    pub too_late: u64,
    /// The breaker.
    pub breaker: BreakerStats,
}

/// Makes the external calls to one destination. A clone is another handle of the same executor.
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    caller: Arc<dyn Caller>,
    deliver: Deliver,
    clock: Arc<dyn Clock>,
    limits: ExecutorLimits,
    tracer: Tracing,
    state: Mutex<State>,
    /// Signalled when nothing is in flight and nothing waits for delivery.
    quiet: Condvar,
}

struct State {
    flight: Flight,
    breaker: Breaker,
    /// Answers on their way to the mailbox.
    queue: Vec<Envelope>,
    /// Somebody empties the queue.
    delivering: bool,
    /// Number of threads that wait for `quiet`.
    draining: usize,
    stats: ExecutorStats,
}

impl State {
    fn is_quiet(&self) -> bool {
        self.flight.len() == 0 && self.queue.is_empty() && !self.delivering
    }
}

impl Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("caller", &self.0.caller.name()).finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor with nothing in flight.
    pub fn new(
        caller: Arc<dyn Caller>,
        deliver: Deliver,
        clock: Arc<dyn Clock>,
        limits: ExecutorLimits,
    ) -> Self {
        Self::traced(caller, deliver, clock, limits, None)
    }

    /// The same with a tracer for traced calls.
    pub fn traced(
        caller: Arc<dyn Caller>,
        deliver: Deliver,
        clock: Arc<dyn Clock>,
        limits: ExecutorLimits,
        tracer: Tracing,
    ) -> Self {
        let state = Mutex::new(State {
            flight: Flight::new(limits.grain),
            breaker: Breaker::new(limits.breaker),
            queue: Vec::new(),
            delivering: false,
            draining: 0,
            stats: ExecutorStats::default(),
        });
        let quiet = Condvar::new();
        Self(Arc::new(Inner { caller, deliver, clock, limits, tracer, state, quiet }))
    }

    /// Starts calls, in order; called after the commit that wrote down their intent.
    pub fn start(&self, jobs: Vec<Job>) {
        let inner = &self.0;
        let now = inner.clock.now();
        let mut refused = Vec::new();
        for mut job in jobs {
            match inner.admit(&job, now) {
                Ok(key) => {
                    inner.watch(key, &mut job);
                    Ticket::launch(inner, key, job);
                }
                Err(why) => {
                    let body = inner.caller.not_sent(&job, why);
                    refused.push(Back::of(&job).envelope(now, body));
                }
            }
        }
        if !refused.is_empty() {
            inner.post(inner.state.lock(), refused);
        }
    }

    /// Times out the calls whose deadline has passed.
    pub fn tick(&self, now: Time) {
        let inner = &self.0;
        let mut due = Vec::new();
        inner.state.lock().flight.borrow_due(now, &mut due);
        if due.is_empty() {
            return;
        }
        let bodies: Vec<_> = due.iter().map(|(_, job)| inner.caller.timed_out(job)).collect();
        let mut state = inner.state.lock();
        let (mut lost, mut told) = (Vec::new(), Vec::new());
        for ((key, job), body) in due.into_iter().zip(bodies) {
            // An answer that came while this was written down has the first word: then the call is
            // no longer there, and its time is not over after all.
            if let Some(mut call) = state.flight.remove(key) {
                inner.tell(&mut call, now, ("timed out", true));
                state.breaker.record(now, call.permit, false, now - call.started);
                state.stats.timed_out += 1;
                lost.push(Back::of(&job).envelope(now, body));
                told.push(job);
            }
        }
        inner.post(state, lost);
        let caller = inner.caller.name();
        for Job { correlation, trace, .. } in told {
            let (correlation, trace) = (correlation.as_deref(), shown(trace));
            tracing::warn!(
                caller,
                correlation,
                trace,
                "a call ran out of time: its outcome is open"
            );
        }
    }

    /// For how long the breaker would refuse a call from now on; none: it would admit one.
    pub fn refuses(&self) -> Option<Span> {
        let now = self.0.clock.now();
        self.0.state.lock().breaker.refuses(now)
    }

    /// What it has done.
    pub fn stats(&self) -> ExecutorStats {
        let now = self.0.clock.now();
        let mut state = self.0.state.lock();
        let breaker = state.breaker.stats(now);
        ExecutorStats { in_flight: state.flight.len(), breaker, ..state.stats }
    }

    /// Waits until nothing is in flight and every answer is in the mailbox, at most `limit`.
    /// Returns the number of calls still in flight; their rows say that they were sent, so that
    /// recovery asks for their outcome.
    pub fn drain(&self, limit: Duration) -> usize {
        let mut state = self.0.state.lock();
        state.draining += 1;
        self.0.quiet.wait_while_for(&mut state, |state| !state.is_quiet(), limit);
        state.draining -= 1;
        state.flight.len()
    }

    /// Starts the thread that keeps the deadlines. A simulation calls [`Executor::tick`] instead.
    pub fn keep_time(&self) -> std::io::Result<Ticker> {
        Ticker::start(self.clone(), self.0.limits.grain)
    }
}

impl Inner {
    fn admit(&self, job: &Job, now: Time) -> Result<Key, &'static str> {
        let guarded = self.caller.guarded(job);
        let state = &mut *self.state.lock();
        let stats = &mut state.stats;
        if job.deadline <= now {
            stats.too_late += 1;
            return Err(TOO_LATE);
        }
        if state.flight.len() >= self.limits.in_flight {
            stats.bulkhead_full += 1;
            return Err(BULKHEAD_FULL);
        }
        // Last, so that no permit is taken for a call that is not made.
        let breaker = &mut state.breaker;
        let permit = if guarded { breaker.admit(now) } else { Some(breaker.admit_always(now)) };
        let Some(permit) = permit else {
            stats.breaker_open += 1;
            return Err(BREAKER_OPEN);
        };
        stats.started += 1;
        let key = state.flight.insert(InFlight::new(permit, now));
        stats.most_in_flight = stats.most_in_flight.max(state.flight.len());
        Ok(key)
    }

    /// Keeps the job of a started call, unless it has ended meanwhile.
    fn keep(&self, key: Key, job: Job) {
        let mut state = self.state.lock();
        match state.flight.get_mut(key).map(|call| call.given_up) {
            None => {}
            Some(false) => state.flight.give_back(key, job),
            Some(true) => {
                drop(state);
                self.end_open(key, &job);
            }
        }
    }

    /// Puts answers into the queue, and empties it unless somebody else is at it.
    fn post(&self, mut state: MutexGuard<'_, State>, answers: impl IntoIterator<Item = Envelope>) {
        state.queue.extend(answers);
        if state.delivering {
            return;
        }
        state.delivering = true;
        while !state.queue.is_empty() {
            let burst = take(&mut state.queue);
            let deliver = AssertUnwindSafe(|| (self.deliver)(burst));
            let delivered = MutexGuard::unlocked(&mut state, || catch_unwind(deliver));
            if delivered.is_err() {
                tracing::error!(caller = self.caller.name(), "answers could not be delivered");
            }
        }
        state.delivering = false;
        if state.draining > 0 && state.is_quiet() {
            self.quiet.notify_all();
        }
    }
}
