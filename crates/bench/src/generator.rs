//! The generator: one thread, one epoll, an open model.
//!
//! ```text
//!   schedule ──due──> queue ──free connection──> server ──answer──> trade
//!                       │ 5 s without one: dropped                   │ what follows: capture, look-up
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
use crate::pool::{Got, Pool};
use crate::tally::{Stair, Tally};
use crate::trade::Trade;
use crate::world::Mix;

/// An arrival that waited longer for a connection is dropped.
const PATIENCE: u64 = 5_000_000_000;
/// The same where more is offered than can be done on purpose: what waits long for a connection of a
/// flooded server would only be measured late, and hide the recovery.
const FLOOD_PATIENCE: u64 = 250_000_000;
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
/// Requests per turn that follow earlier answers.
const FOLLOWS: usize = 512;

/// A stretch of load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) pace: Pace,
    pub(crate) length: Duration,
    pub(crate) mix: Mix,
    pub(crate) seed: u64,
}

/// Keeps connections and the trade from phase to phase.
#[derive(Debug)]
pub(crate) struct Generator<T: Trade> {
    trade: T,
    pool: Pool<T::Job>,
    origin: Instant,
}

/// Sees the counts now and then, and the seconds since the start.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(&Tally, f64);

impl<T: Trade> Generator<T> {
    pub(crate) fn new(trade: T, address: SocketAddr, connections: usize) -> io::Result<Self> {
        let pool = Pool::new(address, connections)?;
        Ok(Self { trade, pool, origin: Instant::now() })
    }

    /// Offers one phase, drains it and counts it.
    pub(crate) fn run(&mut self, phase: &Phase, watch: Watch<'_>) -> io::Result<Tally> {
        let cpu = thread_cpu();
        let start = nanos(self.origin) + 1_000_000;
        let end = start + u64::try_from(phase.length.as_nanos()).unwrap_or(u64::MAX / 2);
        let mut counts = Tally::new(start, end);
        if let Pace::Stairs(stairs) = phase.pace {
            let ends = (1..=stairs.factors.len() as u64).map(|step| step * stairs.each);
            counts.stairs = ends.map(Stair::until).collect();
        }
        let stairs = !counts.stairs.is_empty();
        self.trade.begin(phase.mix, counts);
        let turn = Turn {
            trade: &mut self.trade,
            pool: &mut self.pool,
            arrivals: Arrivals::new(phase.pace, phase.seed, start, end),
            queue: VecDeque::new(),
            noted: 0,
            patience: if stairs { FLOOD_PATIENCE } else { PATIENCE },
            origin: self.origin,
            end,
            tick: tick(phase.pace),
            cpu,
            request: Vec::with_capacity(1_024),
        };
        turn.run(watch)?;
        let mut tally = self.trade.end()?;
        tally.cpu = thread_cpu() - cpu;
        tally.connections = self.pool.open();
        Ok(tally)
    }

    /// The trade after the last phase.
    pub(crate) fn into_trade(self) -> T {
        self.trade
    }
}

/// One phase while it runs.
struct Turn<'a, T: Trade> {
    trade: &'a mut T,
    pool: &'a mut Pool<T::Job>,
    arrivals: Arrivals,
    /// Intended starts of arrivals without a connection, oldest first.
    queue: VecDeque<u64>,
    /// How many of the queue have been counted as waiting.
    noted: usize,
    /// How long an arrival waits for a free connection.
    patience: u64,
    origin: Instant,
    end: u64,
    tick: u64,
    /// CPU time of the thread when the phase began.
    cpu: u64,
    request: Vec<u8>,
}

impl<T: Trade> Turn<'_, T> {
    fn run(mut self, watch: Watch<'_>) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
        let mut ready = Vec::with_capacity(EVENTS);
        let mut watched = 0;
        loop {
            let now = nanos(self.origin);
            self.arrive(now);
            self.follow(now);
            self.issue();
            if self.finished(now) {
                break;
            }
            if ready.len() < EVENTS {
                self.linger(now);
            }
            self.pool.wait(&mut events, &mut ready, self.patience(now))?;
            self.take(&ready);
            if now >= watched {
                watched = now + WATCH;
                self.watch(now, watch);
            }
        }
        self.watch(nanos(self.origin), watch);
        self.give_up();
        Ok(())
    }

    fn watch(&mut self, now: u64, watch: Watch<'_>) {
        let tally = self.trade.tally();
        let since = now.saturating_sub(tally.start);
        tally.cpu_marks.push((since, thread_cpu() - self.cpu));
        watch(tally, crate::tally::seconds(since));
    }

    /// Moves what is due into the queue.
    fn arrive(&mut self, now: u64) {
        while let Some(intended) = self.arrivals.due(now) {
            self.queue.push_back(intended);
            self.trade.tally().arrived(intended);
        }
        while self.arrivals.closed_room(now, self.pool.busy() + self.queue.len()) {
            self.queue.push_back(now);
            self.trade.tally().arrived(now);
        }
    }

    /// Sends what waits, while there are free connections.
    fn issue(&mut self) {
        while let Some(&intended) = self.queue.front() {
            let now = nanos(self.origin);
            if now.saturating_sub(intended) > self.patience {
                self.trade.tally().dropped += 1;
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
        self.trade.tally().waited += (self.queue.len() - self.noted) as u64;
        self.noted = self.queue.len();
    }

    fn send(&mut self, slot: usize, intended: u64, now: u64) {
        let job = self.prepare(intended, now);
        let Err(job) = self.pool.send(slot, &self.request, job) else { return };
        self.again(job, now);
    }

    /// The idle connection had been closed by the server and nothing was sent: take a new one.
    fn again(&mut self, mut job: T::Job, now: u64) {
        for _ in 0..3 {
            let Ok(Some(slot)) = self.pool.acquire() else { break };
            match self.pool.send(slot, &self.request, job) {
                Ok(()) => return,
                Err(back) => job = back,
            }
        }
        self.trade.broken(job, now);
    }

    fn fail(&mut self, intended: u64, now: u64) {
        let job = self.prepare(intended, now);
        self.trade.broken(job, now);
    }

    /// Renders the request of an arrival.
    fn prepare(&mut self, intended: u64, now: u64) -> T::Job {
        self.trade.tally().sent(intended, now);
        self.request.clear();
        self.trade.arrival(intended, now, &mut self.request)
    }

    /// Sends what follows earlier answers: it comes before new arrivals.
    fn follow(&mut self, now: u64) {
        for _ in 0..FOLLOWS {
            if self.trade.next_due().is_none_or(|due| due > now) {
                return;
            }
            let Ok(Some(slot)) = self.pool.acquire() else { return };
            self.request.clear();
            let Some(job) = self.trade.follow(now, &mut self.request) else { return };
            if let Err(job) = self.pool.send(slot, &self.request, job) {
                self.again(job, now);
            }
        }
    }

    fn take(&mut self, ready: &[usize]) {
        let origin = self.origin;
        for &slot in ready {
            let trade = &mut *self.trade;
            let got =
                self.pool.take(slot, |job, answer| trade.answered(job, answer, nanos(origin)));
            if let Got::Broken(job) = got {
                self.trade.broken(job, nanos(origin));
            }
        }
    }

    fn finished(&mut self, now: u64) -> bool {
        if !self.arrivals.over(now) {
            return false;
        }
        if self.arrivals.is_closed() && now < self.end {
            // It has begun all that it wanted.
            self.end = now;
            self.trade.tally().planned_end = now;
        }
        let quiet = self.queue.is_empty() && self.pool.busy() == 0 && self.trade.open() == 0;
        quiet || now > self.end.saturating_add(DRAIN_LIMIT)
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
        let next = next.min(self.trade.next_due().unwrap_or(u64::MAX)).min(now + WATCH);
        Duration::from_nanos(next.saturating_sub(now).max(COALESCE))
    }

    fn give_up(&mut self) {
        let now = nanos(self.origin);
        let trade = &mut *self.trade;
        trade.tally().dropped += self.queue.len() as u64;
        self.pool.abandon(|job| trade.unanswered(job, now));
        trade.close(now);
    }
}

/// Nanoseconds between two turns of the generator at a pace; 0 means that it does not wait.
pub(crate) fn tick(pace: Pace) -> u64 {
    match pace {
        Pace::Even(rate) | Pace::Poisson(rate) if rate < TICK_FROM => 0,
        Pace::Even(_) | Pace::Poisson(_) | Pace::Closed { .. } | Pace::Stairs(_) => TICK,
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
