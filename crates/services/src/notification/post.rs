//! The post: a thread for each channel takes its due deliveries, sends them one after the other, and has
//! what became of them written by the one writer of the store.
//!
//! ```text
//! due (oldest first) ─▶ letter ─▶ channel ──▶ SENT, FAILED + next_at, DEAD ──▶ Handle::write
//!                                   │ nobody answers: the channel rests 1 s, 2 s, … 1 min,
//!                                   └ and what waits stays as it is
//! ```
//!
//! What became of a delivery is kept until it is written, and nothing more is sent before: a store
//! that does not take it must not make a letter go out again and again. A process that dies between the
//! two sends again what it has sent, with the same id.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Fault, WritePlan};
use jangbu_engine::role::Standing;
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::letter::{Desk, Letter};
use super::template::{Language, changes};
use super::{Delivery, State};
use crate::consumer::Handle;
use crate::queries::Queries;
use crate::sealing::Sealing;

/// Letters between two looks at what is due.
const AT_ONCE: u32 = 32;

/// How long a channel rests when nothing is due.
const IDLE: Duration = Duration::from_millis(200);

/// How long it rests when nobody answers: at first, and at most.
const AWAY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// After how many refusals a delivery is given up.
const TRIES: i64 = 10;

/// The pause after the first refusal; each of the following is twice as long, up to a day.
const AGAIN: Span = Span(60_000_000);

/// What is older is not sent any more.
const OLDEST: Span = Span(3 * 86_400_000_000);

/// Why a letter was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// Nobody answers: that is no failure of this letter.
    Away(String),
    /// This letter is refused now; it may be taken later.
    Later(String),
    /// It will never be taken.
    Never(String),
}

/// A way on which letters leave. The reasons that it gives have no personal data.
pub trait Channel: Send + Debug {
    /// Its name in metrics.
    fn name(&self) -> &str;

    /// Whether it carries mails to buyers; else it calls a hook.
    fn is_mail(&self) -> bool;

    /// Sends a letter at `now`, within a time that it knows.
    fn send(&mut self, letter: &Letter, now: Time) -> Result<(), Undelivered>;
}

/// What letters are made with.
#[derive(Debug, Clone)]
pub struct Office {
    /// Reads orders, users and deliveries.
    pub queries: Arc<Queries>,
    /// Opens addresses.
    pub sealing: Arc<Sealing>,
    /// Writes what became of deliveries.
    pub consumers: Handle,
    /// Says what is due.
    pub clock: Arc<dyn Clock>,
    /// Of several processes that share a database the one that owns it sends.
    pub standing: Arc<Standing>,
    /// What the shop is called.
    pub shop: String,
    /// The language of its mails.
    pub language: Language,
}

/// What a channel has done since the start.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    refused: AtomicU64,
    dead: AtomicU64,
    away: AtomicU64,
}

impl Tally {
    /// Letters sent, refusals, letters given up, and how often nobody answered.
    pub fn read(&self) -> [u64; 4] {
        [&self.sent, &self.refused, &self.dead, &self.away].map(|n| n.load(Ordering::Relaxed))
    }
}

/// The post at work.
#[derive(Debug)]
pub struct Post {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
    tallies: Vec<(String, Arc<Tally>)>,
}

impl Post {
    /// What each channel has done.
    pub fn tallies(&self) -> Vec<(String, Arc<Tally>)> {
        self.tallies.clone()
    }

    /// Ends with the letters that are on their way.
    pub fn stop(self) {
        let (senders, threads): (Vec<_>, Vec<_>) = self.threads.into_iter().unzip();
        drop(senders);
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a channel of the post panicked");
            }
        }
    }
}

impl Office {
    /// Opens the post: number 0 is mail, hooks count from 1.
    pub fn open(self, channels: Vec<(i64, Box<dyn Channel>)>) -> Result<Post, Fault> {
        if self.standing.is_owner() {
            self.take_in_templates()?;
        }
        let mut sent = Post { threads: Vec::new(), tallies: Vec::new() };
        for (number, way) in channels {
            let (stop, stopped) = channel();
            let tally = Arc::<Tally>::default();
            sent.tallies.push((way.name().to_owned(), Arc::clone(&tally)));
            let mut round = Round::new(self.clone(), (number, way), tally);
            let run = move || round.run(&stopped);
            let thread = std::thread::Builder::new().name(format!("jangbu-post-{number}"));
            let thread = thread.spawn(run);
            let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
            sent.threads.push((stop, thread));
        }
        Ok(sent)
    }

    /// Texts that were changed before this store was there.
    fn take_in_templates(&self) -> Result<(), Fault> {
        let plan = changes(&self.queries)?;
        if plan.is_empty() { Ok(()) } else { written(&self.consumers, plan) }
    }
}

/// Has rows written, and waits for it.
fn written(consumers: &Handle, plan: WritePlan) -> Result<(), Fault> {
    let (tell, told) = channel();
    consumers.write(plan, Box::new(move |done| drop(tell.send(done))));
    told.recv().unwrap_or_else(|_| Err(Fault::Fatal("the consumers have stopped".to_owned())))
}

/// One channel at work.
struct Round {
    office: Office,
    number: i64,
    way: Box<dyn Channel>,
    tally: Arc<Tally>,
    /// What became of deliveries and is not written yet; none: the row goes.
    done: BTreeMap<i64, (Delivery, bool)>,
    pause: Duration,
}

impl Round {
    fn new(office: Office, (number, way): (i64, Box<dyn Channel>), tally: Arc<Tally>) -> Self {
        Self { office, number, way, tally, done: BTreeMap::new(), pause: Duration::ZERO }
    }

    fn run(&mut self, stopped: &Receiver<()>) {
        loop {
            let rest = self.turn(stopped).unwrap_or_else(|fault| {
                tracing::warn!(%fault, channel = self.way.name(), "the post waits for its store");
                AWAY.0
            });
            match stopped.recv_timeout(rest) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Sends what is due; says how long to rest.
    fn turn(&mut self, stopped: &Receiver<()>) -> Result<Duration, Fault> {
        if !self.office.standing.is_owner() {
            return Ok(IDLE);
        }
        self.write()?;
        let now = self.office.clock.now();
        let due = self.office.queries.deliveries_due(self.number, now, AT_ONCE)?;
        let full = due.len() == AT_ONCE as usize;
        for delivery in due {
            if let Some(why) = self.handle(delivery, now) {
                self.pause = (self.pause * 2).clamp(AWAY.0, AWAY.1);
                self.tally.away.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(channel = self.way.name(), why, "nobody answers: letters wait");
                self.write()?;
                return Ok(self.pause);
            }
            if matches!(stopped.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)) {
                break;
            }
        }
        self.write()?;
        Ok(if full { Duration::ZERO } else { IDLE })
    }

    /// Sends a delivery; says why, if nobody answers.
    fn handle(&mut self, delivery: Delivery, now: Time) -> Option<String> {
        if (now - delivery.at).0 > OLDEST.0 {
            self.give_up(&delivery, "it is older than three days".to_owned());
            return None;
        }
        let made = self.letter(&delivery);
        let letter = match made {
            Ok(Some(letter)) => letter,
            Ok(None) => {
                self.done.insert(delivery.id, (delivery, false));
                return None;
            }
            Err(Fault::Item(why)) => {
                self.give_up(&delivery, why);
                return None;
            }
            Err(fault) => return Some(fault.to_string()),
        };
        match self.way.send(&letter, now) {
            Ok(()) => {
                self.pause = Duration::ZERO;
                self.tally.sent.fetch_add(1, Ordering::Relaxed);
                let sent_at = Some(self.office.clock.now());
                let state = State::Sent;
                let sent = Delivery { state, next_at: None, sent_at, error: None, ..delivery };
                self.done.insert(sent.id, (sent, true));
            }
            Err(Undelivered::Away(why)) => return Some(why),
            Err(Undelivered::Later(why)) => self.refused(delivery, now, why),
            Err(Undelivered::Never(why)) => self.give_up(&delivery, why),
        }
        None
    }

    fn letter(&self, delivery: &Delivery) -> Result<Option<Letter>, Fault> {
        let Office { queries, sealing, shop, language, .. } = &self.office;
        let desk = Desk { queries, sealing, shop, language: *language };
        if self.way.is_mail() { desk.mail(delivery) } else { desk.hook(delivery) }
    }

    fn refused(&mut self, delivery: Delivery, now: Time, why: String) {
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        let tries = delivery.tries + 1;
        if tries >= TRIES {
            return self.give_up(&Delivery { tries, ..delivery }, why);
        }
        let pause = Span(AGAIN.0 << tries.clamp(1, 11) >> 1);
        let (state, next_at, error) = (State::Failed, Some(now + pause), Some(why));
        let failed = Delivery { state, tries, next_at, error, ..delivery };
        self.done.insert(failed.id, (failed, true));
    }

    fn give_up(&mut self, delivery: &Delivery, why: String) {
        self.tally.dead.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(channel = self.way.name(), id = delivery.id, why, "a letter is given up");
        let (state, error) = (State::Dead, Some(why));
        let dead = Delivery { state, next_at: None, error, ..delivery.clone() };
        self.done.insert(dead.id, (dead, true));
    }

    /// Has written what became of deliveries.
    fn write(&mut self) -> Result<(), Fault> {
        if self.done.is_empty() {
            return Ok(());
        }
        let mut plan = WritePlan::default();
        for (delivery, stays) in self.done.values() {
            if *stays {
                delivery.write(&mut plan);
            } else {
                delivery.remove(&mut plan);
            }
        }
        written(&self.office.consumers, plan)?;
        self.done.clear();
        Ok(())
    }
}
