//! The follower's side: what gathers in the mailbox goes to the owner in batches, one after the
//! other without waiting, and answers come back in any order.
//!
//! An item stays here until it is answered. When the link ends first:
//!
//! | item | its fate | what happens |
//! |---|---|---|
//! | the owner sent it back | not run | into the mailbox, to the next owner |
//! | with an idempotency key | unknown | into the mailbox: a key is carried out once |
//! | from a saga of another cell | unknown | into the mailbox: the step's row knows it |
//! | what the outside said (an answer of the gateway, a webhook) | unknown | into the mailbox: payment hears everything twice |
//! | a client's without a key | unknown | [`Why::Unsure`]: nobody may try twice for it |
//!
//! Due rows never travel: the owner finds them, and the next owner finds them again.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jangbu_engine::clock::Stopwatch;
use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::{Answer, Item, Mailbox, Waiter, Why};
use jangbu_engine::position::Position;
use jangbu_engine::unit::Signal;
use parking_lot::Mutex;

use super::codec::codec;
use super::door::PING;
use super::frame;
use super::signal;
use super::stats::Stats;
use super::wire::{Ahead, Back, Parcel, Told};

/// At most so many commands are under way.
const MOST: usize = 2_048;

/// Longest sleep.
const NAP: Duration = Duration::from_millis(20);

/// Tells whoever waits; answers and signals of one frame.
pub(crate) type Tell = dyn Fn(Vec<(Waiter, Answer)>, Vec<Signal>) + Send + Sync;

/// A link to an owner.
pub(super) struct Session {
    stream: TcpStream,
    mailbox: Arc<Mailbox>,
    stats: Arc<Stats>,
    counters: Arc<Counters>,
    tell: Arc<Tell>,
    under_way: Mutex<BTreeMap<u64, Sent>>,
    next: AtomicU64,
    over: AtomicBool,
    /// The owner has said that it is one no more.
    left: AtomicBool,
    /// It has sent something back.
    refused: AtomicBool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("stream", &self.stream).finish_non_exhaustive()
    }
}

struct Sent {
    item: Item,
    /// The owner has sent it back.
    back: bool,
}

impl Session {
    pub(super) fn new(
        stream: TcpStream,
        mailbox: Arc<Mailbox>,
        (stats, counters): (Arc<Stats>, Arc<Counters>),
        tell: Arc<Tell>,
    ) -> Self {
        Self {
            stream,
            mailbox,
            stats,
            counters,
            tell,
            under_way: Mutex::default(),
            next: AtomicU64::new(0),
            over: AtomicBool::new(false),
            left: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    /// Sends what gathers until the link ends, `go_on` says no, or the mailbox is closed and
    /// everything is answered. Afterwards nothing is under way. Tells whether it is worth looking
    /// for an owner at once.
    pub(super) fn run(self: &Arc<Self>, go_on: &mut dyn FnMut() -> bool) -> bool {
        let reading = Arc::clone(self);
        let reader = std::thread::Builder::new().name("jangbu-link-news".to_owned());
        match reader.spawn(move || reading.read()) {
            Ok(reader) => {
                if let Err(error) = self.send_all(go_on) {
                    tracing::warn!(%error, "the owner is not reached");
                }
                // The owner answers what it has read, and closes its side.
                drop(self.stream.shutdown(Shutdown::Write));
                if reader.join().is_err() {
                    tracing::error!("the reader of the link panicked");
                }
            }
            Err(error) => tracing::error!(%error, "no thread for the link"),
        }
        drop(self.stream.shutdown(Shutdown::Both));
        self.take_back();
        self.left.load(Ordering::Acquire) || !self.refused.load(Ordering::Acquire)
    }

    fn send_all(&self, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let (mut watch, mut silent) = (Stopwatch::start(), Duration::ZERO);
        while !self.over.load(Ordering::Acquire) && go_on() {
            let under_way = self.under_way.lock().len();
            let mut batch = Vec::new();
            if under_way < MOST {
                self.mailbox.take(&mut batch);
            }
            silent += Duration::from_nanos(watch.lap());
            if !batch.is_empty() {
                self.send(batch)?;
                silent = Duration::ZERO;
                continue;
            }
            if under_way == 0 && self.mailbox.is_closed() && self.mailbox.is_empty() {
                return Ok(());
            }
            if silent >= PING {
                frame::write(&mut &self.stream, &Ahead::Ping)?;
                silent = Duration::ZERO;
            }
            if under_way < MOST { self.mailbox.wait(NAP) } else { self.mailbox.rest(NAP) }
        }
        Ok(())
    }

    fn send(&self, batch: Vec<Item>) -> io::Result<()> {
        let first = self.next.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let now = self.mailbox.now();
        let (mut kept, mut odd) = (Vec::new(), Vec::new());
        for (no, item) in (first..).zip(batch) {
            if codec(item.envelope.to.0).is_some() { kept.push((no, item)) } else { odd.push(item) }
        }
        let mut parcels = Vec::with_capacity(kept.len());
        let mut unwritten = Vec::new();
        for (no, item) in &kept {
            match Parcel::pack(*no, item, now) {
                Some(parcel) => parcels.push(parcel),
                None => unwritten.push(*no),
            }
        }
        Stats::add(&self.stats.batches, 1);
        Stats::add(&self.stats.sent, parcels.len() as u64);
        let bytes = frame::encode(&Ahead::Batch(parcels));
        let mut under_way = self.under_way.lock();
        for (no, item) in kept {
            if unwritten.contains(&no) {
                odd.push(item);
            } else {
                under_way.insert(no, Sent { item, back: false });
            }
        }
        self.stats.in_flight.store(under_way.len() as u64, Ordering::Relaxed);
        drop(under_way);
        self.refuse(odd, Why::Poison);
        io::Write::write_all(&mut &self.stream, &bytes?)
    }

    fn refuse(&self, items: Vec<Item>, why: Why) {
        let waiters = items.into_iter().filter_map(|item| item.waiter);
        let answers: Vec<_> = waiters.map(|waiter| (waiter, Answer::NotRun(why))).collect();
        if !answers.is_empty() {
            (self.tell)(answers, Vec::new());
        }
    }

    /// Hears what the owner says until it is silent, closes, or talks nonsense.
    fn read(&self) {
        let mut bytes = Vec::new();
        while self.hear(&mut bytes).is_ok() {}
        self.end();
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.mailbox.nudge();
    }

    fn hear(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        frame::read(&mut &self.stream, frame::MOST, bytes)?;
        match frame::decode(bytes)? {
            Back::Ping => {}
            Back::Leaving => {
                self.left.store(true, Ordering::Release);
                self.end();
            }
            Back::News { signals, answers, position: (commit, event) } => {
                // Before anybody hears of these commits, who reads after them knows where they are.
                self.counters.reached.raise(Position { commit, event });
                let signals = signals.iter().filter_map(|bytes| signal::decode(bytes)).collect();
                let answers = self.answered(answers);
                (self.tell)(answers, signals);
            }
        }
        Ok(())
    }

    fn answered(&self, answers: Vec<(u64, Told)>) -> Vec<(Waiter, Answer)> {
        let mut under_way = self.under_way.lock();
        let full = under_way.len() >= MOST;
        let mut found = Vec::with_capacity(answers.len());
        for (no, told) in answers {
            if told == Told::NotHere {
                under_way.entry(no).and_modify(|sent| sent.back = true);
                // Whatever else is sent to this owner would come back as well.
                self.refused.store(true, Ordering::Release);
                self.over.store(true, Ordering::Release);
            } else if let Some(sent) = under_way.remove(&no) {
                found.push((sent.item, told));
            }
        }
        self.stats.in_flight.store(under_way.len() as u64, Ordering::Relaxed);
        drop(under_way);
        if full || self.over.load(Ordering::Acquire) {
            self.mailbox.nudge();
        }
        let answered = found.into_iter().filter_map(|(item, told)| {
            let answer = told.answer(codec(item.envelope.to.0)?)?;
            Some((item.waiter?, answer))
        });
        answered.collect()
    }

    /// The link is over: what was not answered goes where the table says.
    fn take_back(&self) {
        let sent = std::mem::take(&mut *self.under_way.lock());
        self.stats.in_flight.store(0, Ordering::Relaxed);
        let (again, lost): (Vec<Sent>, Vec<Sent>) =
            sent.into_values().partition(|sent| sent.back || sent.item.is_repeatable());
        Stats::add(&self.stats.again, again.len() as u64);
        Stats::add(&self.stats.unsure, lost.len() as u64);
        self.mailbox.put_back(again.into_iter().map(|sent| sent.item).collect());
        self.refuse(lost.into_iter().map(|sent| sent.item).collect(), Why::Unsure);
    }
}
