//! The generator: one thread, one epoll, an open model.
//!
//! ```text
//!   schedule ──due──> queue ──free connection──> server ──answer──> desk
//!                       │ 5 s without one: dropped                   │ 202: looked up until settled
//!                       └────────── one in 1,000 arrivals is a repeat of an answered key
//! ```
//!
//! 1. Every arrival has an intended start, and all latencies count from it. Waiting for a free
//!    connection, for this thread or for a stalled server is part of the latency.
//! 2. `offered = issued + dropped`, and every issued request ends in exactly one outcome.
//! 3. A repeat takes the place of an arrival: it is offered, issued and answered like any other, and
//!    its outcome is REPLAY.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::epoll::Event;
use rustix::time::{ClockId, clock_gettime};

use crate::arrivals::{Arrivals, Pace};
use crate::desk::{Desk, Job};
use crate::journal::Journal;
use crate::pool::{Got, Pool};
use crate::tally::Tally;
use crate::world::{Mix, World};

/// An arrival that waited longer for a connection is dropped.
const PATIENCE: u64 = 5_000_000_000;
/// Shortest wait: at high rates several arrivals share one wake-up.
const COALESCE: u64 = 100_000;
/// Time between two turns from this rate on, see [`tick`].
const TICK: u64 = 250_000;
/// Below it, every event is handled when it happens.
const TICK_FROM: f64 = 4_000.0;
/// How often the watcher is called.
const WATCH: u64 = 500_000_000;
/// What is not answered or settled this long after the last arrival is given up.
const DRAIN_LIMIT: u64 = 35_000_000_000;
/// Events taken before the schedule is looked at again.
const EVENTS: usize = 64;
/// Look-ups of open orders per turn, after the arrivals.
const LOOKS: usize = 8;

/// A stretch of load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) pace: Pace,
    pub(crate) length: Duration,
    pub(crate) mix: Mix,
    pub(crate) seed: u64,
}

/// Keeps connections, journal and the number of the next order from phase to phase.
#[derive(Debug)]
pub(crate) struct Generator<'w> {
    world: &'w World,
    journal: Journal,
    pool: Pool<Job>,
    origin: Instant,
    next: u64,
}

/// Sees the counts now and then, and the seconds since the start.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(&Tally, f64);

impl<'w> Generator<'w> {
    pub(crate) fn new(
        world: &'w World,
        journal: Journal,
        address: SocketAddr,
        connections: usize,
    ) -> io::Result<Self> {
        let pool = Pool::new(address, connections)?;
        Ok(Self { world, journal, pool, origin: Instant::now(), next: 1 })
    }

    /// Offers one phase, drains it and counts it.
    pub(crate) fn run(&mut self, phase: &Phase, watch: Watch<'_>) -> io::Result<Tally> {
        let cpu = thread_cpu();
        let start = nanos(self.origin) + 1_000_000;
        let end = start + u64::try_from(phase.length.as_nanos()).unwrap_or(u64::MAX / 2);
        let turn = Turn {
            desk: Desk::new(self.world, &mut self.journal, phase.mix, Tally::new(start, end)),
            pool: &mut self.pool,
            arrivals: Arrivals::new(phase.pace, phase.seed, start, end),
            queue: VecDeque::new(),
            noted: 0,
            next: &mut self.next,
            origin: self.origin,
            end,
            tick: tick(phase.pace),
            request: Vec::with_capacity(1_024),
        };
        let mut tally = turn.run(watch)?;
        self.journal.flush()?;
        tally.cpu = thread_cpu() - cpu;
        tally.connections = self.pool.open();
        Ok(tally)
    }
}

/// One phase while it runs.
struct Turn<'a> {
    desk: Desk<'a>,
    pool: &'a mut Pool<Job>,
    arrivals: Arrivals,
    /// Intended starts of arrivals without a connection, oldest first.
    queue: VecDeque<u64>,
    /// How many of the queue have been counted as waiting.
    noted: usize,
    next: &'a mut u64,
    origin: Instant,
    end: u64,
    tick: u64,
    request: Vec<u8>,
}

impl Turn<'_> {
    fn run(mut self, watch: Watch<'_>) -> io::Result<Tally> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let mut ready = Vec::with_capacity(EVENTS);
        let mut watched = 0;
        loop {
            let now = nanos(self.origin);
            self.arrive(now);
            self.issue();
            self.look(now);
            if self.finished(now) {
                break;
            }
            if ready.len() < EVENTS {
                self.linger(now);
            }
            self.pool.wait(&mut events, &mut ready, self.patience(now))?;
            for &slot in &ready {
                self.take(slot);
            }
            if now >= watched {
                watched = now + WATCH;
                watch(
                    &self.desk.tally,
                    crate::tally::seconds(now.saturating_sub(self.desk.tally.start)),
                );
            }
        }
        self.give_up();
        Ok(self.desk.tally)
    }

    /// Moves what is due into the queue.
    fn arrive(&mut self, now: u64) {
        while let Some(intended) = self.arrivals.due(now) {
            self.queue.push_back(intended);
            self.desk.tally.offered += 1;
        }
        for _ in 0..self.arrivals.closed_room(now, self.pool.busy() + self.queue.len()) {
            self.queue.push_back(now);
            self.desk.tally.offered += 1;
        }
    }

    /// Sends what waits, while there are free connections.
    fn issue(&mut self) {
        while let Some(&intended) = self.queue.front() {
            let now = nanos(self.origin);
            if now.saturating_sub(intended) > PATIENCE {
                self.desk.tally.dropped += 1;
            } else {
                match self.pool.acquire() {
                    Ok(Some(slot)) => self.send(slot, intended, now),
                    Ok(None) => break,
                    Err(_) => self.fail(intended, now),
                }
            }
            self.queue.pop_front();
            self.noted = self.noted.saturating_sub(1);
        }
        self.desk.tally.waited += (self.queue.len() - self.noted) as u64;
        self.noted = self.queue.len();
    }

    fn send(&mut self, slot: usize, intended: u64, now: u64) {
        let job = self.prepare(intended, now);
        let Err(job) = self.pool.send(slot, &self.request, job) else { return };
        self.again(job, now);
    }

    /// The idle connection had been closed by the server and nothing was sent: take a new one.
    fn again(&mut self, mut job: Job, now: u64) {
        for _ in 0..3 {
            let Ok(Some(slot)) = self.pool.acquire() else { break };
            match self.pool.send(slot, &self.request, job) {
                Ok(()) => return,
                Err(back) => job = back,
            }
        }
        self.desk.broken(&job, now);
    }

    fn fail(&mut self, intended: u64, now: u64) {
        let job = self.prepare(intended, now);
        self.desk.broken(&job, now);
    }

    /// Renders the request of an arrival: a repeat if one is ready, else a new order.
    fn prepare(&mut self, intended: u64, now: u64) -> Job {
        self.desk.tally.issued += 1;
        self.desk.tally.lateness.record(now.saturating_sub(intended));
        self.request.clear();
        self.desk.arrival(intended, now, self.next, &mut self.request)
    }

    /// Looks after orders that were answered with 202.
    fn look(&mut self, now: u64) {
        for _ in 0..LOOKS {
            if !self.desk.look_is_due(now) {
                return;
            }
            let Ok(Some(slot)) = self.pool.acquire() else { return };
            self.request.clear();
            let Some(job) = self.desk.look(&mut self.request) else { return };
            if let Err(job) = self.pool.send(slot, &self.request, job) {
                self.desk.broken(&job, now);
            }
        }
    }

    fn take(&mut self, slot: usize) {
        let (desk, origin) = (&mut self.desk, self.origin);
        let got = self.pool.take(slot, |job, answer| desk.answered(&job, answer, nanos(origin)));
        if let Got::Broken(job) = got {
            self.desk.broken(&job, nanos(self.origin));
        }
    }

    fn finished(&self, now: u64) -> bool {
        let quiet = self.queue.is_empty() && self.pool.busy() == 0 && self.desk.open() == 0;
        self.arrivals.over(now) && (quiet || now > self.end.saturating_add(DRAIN_LIMIT))
    }

    /// At high rates the thread wakes by the tick and not for each event: a switch costs more than
    /// a request does. What that adds is part of the latencies, since they end when an answer is
    /// read.
    fn linger(&self, now: u64) {
        let spent = nanos(self.origin).saturating_sub(now);
        if spent < self.tick {
            std::thread::sleep(Duration::from_nanos(self.tick - spent));
        }
    }

    /// How long to wait for events at most.
    fn patience(&self, now: u64) -> Duration {
        let next = self.arrivals.next().unwrap_or(u64::MAX);
        let next = next.min(self.desk.next_look().unwrap_or(u64::MAX)).min(now + WATCH);
        Duration::from_nanos(next.saturating_sub(now).max(COALESCE))
    }

    fn give_up(&mut self) {
        let now = nanos(self.origin);
        self.desk.tally.dropped += self.queue.len() as u64;
        let desk = &mut self.desk;
        self.pool.abandon(|job| desk.unanswered(&job, now));
        self.desk.close(now);
    }
}

/// Nanoseconds between two turns of the generator at a pace; 0 means that it does not wait.
pub(crate) fn tick(pace: Pace) -> u64 {
    match pace {
        Pace::Even(rate) | Pace::Poisson(rate) if rate < TICK_FROM => 0,
        Pace::Even(_) | Pace::Poisson(_) | Pace::Closed(_) => TICK,
    }
}

fn nanos(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// CPU time of this thread so far, nanoseconds.
fn thread_cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}
