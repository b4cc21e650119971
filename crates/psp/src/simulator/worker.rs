//! The gateway's only thread. It repeats four steps:
//!
//! 1. take everything that gathered in the inbox;
//! 2. decide each request: the books change, a record is kept, the answer is *staged*;
//! 3. append all records and sync once; only now do the staged answers get their times;
//! 4. give every answer that is due, in one burst.
//!
//! If the records cannot be written, the books take them back and the whole batch is answered
//! Unknown. If the sync fails, nobody knows what is on the disk: from then on everything is Unknown,
//! because a second sync that succeeds would prove nothing.

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Control, OnWebhook, Outage, Shared,
    config::SimConfig,
    fate::{Fate, Journey},
    inbox::Wait,
    memory::Memory,
};
use crate::{
    gateway::{Done, Op, Request, Said, Webhook},
    log::{AppendError, Kind, Log, Record},
};

/// Answers are given at most this often, so that a busy gateway gives them in bursts.
const BURST: Duration = Duration::from_micros(900);
/// While answers are near, the thread looks at the inbox, and syncs, no more often than this.
const PATIENCE: Duration = Duration::from_millis(3);
/// An answer is near when it is due within this time.
const NEAR: Duration = Duration::from_millis(20);

/// A request with the way back, and when it was sent.
pub(super) struct Letter {
    pub(super) request: Request,
    pub(super) done: Option<Done>,
    pub(super) sent: Instant,
}

/// Something that the gateway will do later.
enum Duty {
    Answer(Done, Said),
    Webhook(Box<Webhook>),
    /// The request arrives now.
    Arrive(Box<Request>),
    /// Let go of a request that is not answered.
    HangUp {
        _done: Option<Done>,
    },
}

/// A duty and its time; earlier ones first, equal ones in the order in which they were made.
struct Due {
    at_us: u64,
    number: u64,
    duty: Duty,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_us, self.number).cmp(&(other.at_us, other.number))
    }
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    config: SimConfig,
    on_webhook: Option<OnWebhook>,
    memory: Memory,
    log: Log,
    start: Instant,
    agenda: BinaryHeap<Reverse<Due>>,
    number: u64,
    staged: Vec<(u64, Duty)>,
    records: Vec<Record>,
    /// Keys whose first request went astray: the second one arrives.
    missed: BTreeSet<(i64, Op, u32)>,
    log_lost: bool,
    /// When it last looked at the inbox.
    looked: Instant,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        config: SimConfig,
        on_webhook: Option<OnWebhook>,
        memory: Memory,
        log: Log,
    ) -> Self {
        shared.stats.payments.store(memory.payments(), Relaxed);
        Self {
            shared,
            config,
            on_webhook,
            memory,
            log,
            start: Instant::now(),
            agenda: BinaryHeap::new(),
            number: 0,
            staged: Vec::new(),
            records: Vec::new(),
            missed: BTreeSet::new(),
            log_lost: false,
            looked: Instant::now(),
        }
    }

    /// Runs until the inbox is closed. What is not answered then never will be.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while self.look(&mut batch) {
            self.open(&mut batch);
            self.store();
            if self.act() {
                self.store();
            }
        }
    }

    /// Sleeps, and takes what is in the inbox, if it is time to look; false when that is closed.
    fn look(&mut self, batch: &mut Vec<Control>) -> bool {
        let Some(wait) = self.pause() else { return true };
        let open = self.shared.inbox.take(batch, wait);
        self.looked = Instant::now();
        open
    }

    /// Decides how to look at the inbox. While answers are near it sleeps from burst to burst and
    /// looks only now and then, or not at all this time; else the bell wakes it.
    fn pause(&self) -> Option<Wait> {
        let Some(Reverse(next)) = self.agenda.peek() else { return Some(Wait::Bell) };
        let (now, due) = (Instant::now(), self.start + Duration::from_micros(next.at_us));
        let shortest = Duration::from_millis(self.config.latency.min_ms.into());
        let patience = PATIENCE.min(shortest * 3 / 5);
        if patience < BURST || due > now + NEAR {
            return Some(Wait::BellOr(due));
        }
        let look = self.looked + patience;
        let wake = due.min(look).max(now + BURST);
        thread::sleep(wake.saturating_duration_since(now));
        (wake + BURST / 2 >= look).then_some(Wait::Not)
    }

    fn open(&mut self, batch: &mut Vec<Control>) {
        for control in batch.drain(..) {
            match control {
                Control::Letter(letter) => self.receive(letter),
                Control::Rates(rates) => self.config.rates = *rates,
            }
        }
    }

    fn receive(&mut self, letter: Letter) {
        let Letter { request, done, sent } = letter;
        self.shared.stats.requests.fetch_add(1, Relaxed);
        let sent_us = micros(sent.saturating_duration_since(self.start));
        let late_us = sent_us + u64::from(self.config.late_ms) * 1000;
        match self.shared.outage() {
            Outage::None => {}
            Outage::Refuse => {
                let why = Cow::Borrowed("connection refused");
                return self.stage_answer(sent_us, done, Said::NotSent { why });
            }
            Outage::Hang => return self.stage_silence(sent_us, done),
        }
        let fate = Fate::of(&self.config, &request);
        match self.journey_of(&request, &fate) {
            Journey::Prompt => {
                let at_us = sent_us + fate.latency_us;
                let (payment, op, no) = (request.payment, request.op, request.no);
                let said = self.decide(&request, &fate);
                if let Some(after) = fate.duplicate_us {
                    let said = said.clone();
                    self.stage_webhook(at_us + after, Webhook { payment, op, no, said });
                }
                self.stage_answer(at_us, done, said);
            }
            Journey::Silent => {
                self.decide(&request, &fate);
                self.stage_silence(sent_us, done);
            }
            Journey::Late => {
                let (payment, op, no) = (request.payment, request.op, request.no);
                let said = self.decide(&request, &fate);
                if self.on_webhook.is_none() {
                    return self.stage_answer(late_us, done, said);
                }
                self.stage_webhook(late_us, Webhook { payment, op, no, said });
                self.stage_silence(sent_us, done);
            }
            Journey::Lost => self.stage_silence(sent_us, done),
            Journey::Delayed => {
                self.staged.push((late_us, Duty::Arrive(Box::new(request))));
                self.stage_silence(sent_us, done);
            }
        }
    }

    /// Misfortune strikes a key once, unless a token wants it always; what was decided is answered.
    fn journey_of(&mut self, request: &Request, fate: &Fate) -> Journey {
        if fate.journey == Journey::Prompt || self.knows(request) {
            return Journey::Prompt;
        }
        let key = (request.payment, request.op, request.no);
        let strays = matches!(fate.journey, Journey::Lost | Journey::Delayed) && !fate.forced;
        if strays && !self.missed.insert(key) {
            self.missed.remove(&key);
            return Journey::Prompt;
        }
        fate.journey
    }

    /// Whether it is only asked for its answer again. Nothing strays on the way to a broken log.
    fn knows(&mut self, request: &Request) -> bool {
        self.memory.knows(self.log.file(), request).unwrap_or(true)
    }

    fn decide(&mut self, request: &Request, fate: &Fate) -> Said {
        if self.log_lost {
            return Said::Unknown { why: Cow::Borrowed("the gateway lost its log") };
        }
        match self.memory.decide(self.log.file(), request, fate.verdict) {
            Ok((said, record)) => {
                self.records.extend(record);
                said
            }
            Err(_) => Said::Unknown { why: Cow::Borrowed("the gateway cannot read its log") },
        }
    }

    fn stage_answer(&mut self, at_us: u64, done: Option<Done>, said: Said) {
        if let Some(done) = done {
            self.staged.push((at_us, Duty::Answer(done, said)));
        }
    }

    fn stage_webhook(&mut self, at_us: u64, webhook: Webhook) {
        if self.on_webhook.is_some() {
            self.staged.push((at_us, Duty::Webhook(Box::new(webhook))));
        }
    }

    fn stage_silence(&mut self, sent_us: u64, done: Option<Done>) {
        self.shared.stats.silent.fetch_add(1, Relaxed);
        let at_us = sent_us + u64::from(self.config.hang_ms) * 1000;
        self.staged.push((at_us, Duty::HangUp { _done: done }));
    }

    /// Makes the batch durable, and only then puts what it staged on the agenda.
    fn store(&mut self) {
        let stored = self.log.append(&mut self.records, now_us());
        let stats = &self.shared.stats;
        match &stored {
            Ok(()) => {
                self.memory.stored(&self.records);
                forget_arrived(&mut self.missed, &self.records);
                stats.syncs.fetch_add(u64::from(!self.records.is_empty()), Relaxed);
                stats.records.fetch_add(self.records.len() as u64, Relaxed);
                stats.payments.store(self.memory.payments(), Relaxed);
            }
            Err(e) => {
                stats.failed_writes.fetch_add(1, Relaxed);
                self.log_lost |= matches!(e, AppendError::Unknown(_));
                self.records.iter().rev().for_each(|record| self.memory.undo(record));
            }
        }
        self.records.clear();
        for (at_us, duty) in self.staged.drain(..) {
            let duty = if stored.is_ok() { duty } else { unstored(duty) };
            self.number += 1;
            self.agenda.push(Reverse(Due { at_us, number: self.number, duty }));
        }
    }

    /// Does everything that is due; true if requests arrived with it, which must be stored.
    fn act(&mut self) -> bool {
        let now = micros(self.start.elapsed());
        let mut arrived = false;
        while self.agenda.peek().is_some_and(|Reverse(due)| due.at_us <= now) {
            let Some(Reverse(due)) = self.agenda.pop() else { break };
            arrived |= matches!(due.duty, Duty::Arrive(_));
            self.perform(due.duty);
        }
        arrived
    }

    fn perform(&mut self, duty: Duty) {
        match duty {
            Duty::Answer(done, said) => {
                self.shared.stats.answers.fetch_add(1, Relaxed);
                self.guard(|| done(said));
            }
            Duty::Webhook(webhook) => {
                self.shared.stats.webhooks.fetch_add(1, Relaxed);
                if let Some(tell) = self.on_webhook.clone() {
                    self.guard(|| tell(*webhook));
                }
            }
            Duty::Arrive(request) => {
                let fate = Fate::of(&self.config, &request);
                self.decide(&request, &fate);
            }
            Duty::HangUp { .. } => {}
        }
    }

    /// The receiver of an answer may be broken; the gateway and everybody else's answers are not.
    fn guard(&self, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            self.shared.stats.panics.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Worker {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

/// A key that is decided cannot go astray any more, so nobody needs to know that it once did.
fn forget_arrived(missed: &mut BTreeSet<(i64, Op, u32)>, records: &[Record]) {
    if missed.is_empty() {
        return;
    }
    for &Record { payment, no, kind, .. } in records {
        let ops: &[Op] = match kind {
            _ if no > 0 => &[Op::Refund],
            Kind::Authorize => &[Op::Charge, Op::Authorize],
            _ => &[Op::Charge, Op::Authorize, Op::Capture, Op::Void],
        };
        for &op in ops {
            missed.remove(&(payment, op, no));
        }
    }
}

/// What remains of a duty when the records of its batch were not stored.
fn unstored(duty: Duty) -> Duty {
    match duty {
        Duty::Answer(done, _) => {
            let why = Cow::Borrowed("the gateway could not write its log");
            Duty::Answer(done, Said::Unknown { why })
        }
        Duty::Webhook(_) => Duty::HangUp { _done: None },
        Duty::Arrive(_) | Duty::HangUp { .. } => duty,
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
