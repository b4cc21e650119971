//! Payments: authorize, and in the full mix capture and sometimes refund, each after the answer to
//! the one before.
//!
//! ```text
//!   arrival ─> authorize ─AUTHORIZED─> capture ─CAPTURED─> one in ten: refund ─REFUNDED─> end
//!                 │ 202, open: looked up every 250 ms until the gateway has said
//!                 └ any other answer is the end of the arrival, with the outcome of that step
//! ```
//!
//! The latency of a step runs from when it could be asked, that of the whole from the intended start
//! of the authorization.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use memchr::memmem::Finder;

use crate::args::PaymentMix;
use crate::journal::{Ack, Journal};
use crate::outcome::Outcome;
use crate::payment_requests::Requests;
use crate::tally::Tally;
use crate::trade::Trade;
use crate::wire::{Answer, id_after, quoted_after};
use crate::world::{Id, Mix};

/// Time between the end of a payment and its repeat.
const REPEAT_AFTER: u64 = 50_000_000;
/// Time between two look-ups of one open payment.
const LOOK_EVERY: u64 = 250_000_000;

/// What is asked of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Authorize,
    Capture,
    Refund,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }

    /// The answer that ends it well.
    fn goal(self) -> Outcome {
        match self {
            Self::Authorize => Outcome::Authorized,
            Self::Capture => Outcome::Captured,
            Self::Refund => Outcome::Refunded,
        }
    }
}

/// A payment on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pay {
    n: u64,
    /// Intended start of its arrival.
    intended: u64,
    /// When the current step could be asked.
    asked: u64,
    step: Step,
    id: Option<Id>,
    /// Hash of the first answer, if it was whole.
    first: Option<u64>,
    /// The gateway does not know, as far as was heard.
    unknown: bool,
}

/// What a connection waits for.
#[derive(Debug)]
pub(crate) enum Job {
    Step(Pay),
    Look(Pay),
    /// The authorization for the second time: when it was due, and what was answered first.
    Repeat(u64, Repeat),
}

/// A payment that ended and is going to be asked for again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    n: u64,
    id: Id,
    first: u64,
    ready: u64,
}

/// The trade in payments.
#[derive(Debug)]
pub(crate) struct Payments {
    mix: PaymentMix,
    requests: Requests,
    journal: Journal,
    reader: Reader,
    tally: Tally,
    next: u64,
    repeats: VecDeque<Repeat>,
    /// Next steps, due at once.
    steps: VecDeque<Pay>,
    /// Look-ups, in the order in which they are due.
    looks: VecDeque<(u64, Pay)>,
}

impl Payments {
    pub(crate) fn new(mix: PaymentMix, requests: Requests, journal: Journal) -> Self {
        Self {
            mix,
            requests,
            journal,
            reader: Reader::new(),
            tally: Tally::new(0, 0),
            next: 1,
            repeats: VecDeque::new(),
            steps: VecDeque::new(),
            looks: VecDeque::new(),
        }
    }

    /// A step was answered, or a look-up of it.
    fn stepped(&mut self, pay: Pay, said: &Said<'_>, now: u64) {
        let Pay { step, id, .. } = pay;
        let pay = Pay { id: said.id.or(id), ..pay };
        if said.outcome == step.goal() {
            self.note(&pay, said.outcome.name());
            self.tally.part(step.name(), now.saturating_sub(pay.asked));
            self.go_on(pay, now);
        } else if matches!(said.outcome, Outcome::Pending | Outcome::Unknown) && pay.id.is_some() {
            if !pay.unknown {
                self.note(&pay, "PENDING");
            }
            self.looks.push_back((now + LOOK_EVERY, Pay { unknown: true, ..pay }));
        } else if said.outcome == Outcome::Declined && step == Step::Authorize {
            self.note(&pay, "AUTH_FAILED");
            self.end(&pay, Outcome::Declined, said.code, now);
        } else if said.outcome.is_good() {
            // An earlier state where a later one was asked for: the step did not happen.
            self.end(&pay, Outcome::Error, "STEP_UNDONE", now);
        } else {
            if pay.id.is_none() {
                self.note(&pay, said.outcome.name());
            }
            self.end(&pay, said.outcome, said.code, now);
        }
    }

    /// To the next step, or to the end.
    fn go_on(&mut self, pay: Pay, now: u64) {
        let next = match (self.mix, pay.step) {
            (PaymentMix::Full, Step::Authorize) => Some(Step::Capture),
            (PaymentMix::Full, Step::Capture) if self.requests.refunds(pay.n) => Some(Step::Refund),
            _ => None,
        };
        match next {
            Some(step) => self.steps.push_back(Pay { step, asked: now, unknown: false, ..pay }),
            None => self.end(&pay, pay.step.goal(), "", now),
        }
    }

    fn end(&mut self, pay: &Pay, outcome: Outcome, code: &str, now: u64) {
        self.tally.ended(outcome, code, pay.intended, now);
        if let (Some(id), Some(first)) = (pay.id, pay.first)
            && self.requests.repeats(pay.n)
        {
            self.repeats.push_back(Repeat { n: pay.n, id, first, ready: now + REPEAT_AFTER });
        }
    }

    /// The first answer has to come again, byte for byte.
    fn repeated(&mut self, intended: u64, first: &Repeat, answer: &Answer<'_>, now: u64) {
        let said = self.reader.read(answer);
        let whole = said.outcome.is_complete();
        let (outcome, code) =
            if whole { (Outcome::Replay, "REPLAY") } else { (said.outcome, said.code) };
        if whole && (said.id != Some(first.id) || digest(answer.body) != first.first) {
            self.tally.repeats_different += 1;
        }
        self.tally.ended(outcome, code, intended, now);
    }

    fn lost(&mut self, job: &Job, code: &'static str, now: u64) {
        let failed = Said { outcome: Outcome::Error, id: None, code };
        match *job {
            Job::Step(pay) => self.stepped(pay, &failed, now),
            Job::Look(pay) => self.looks.push_back((now + LOOK_EVERY, pay)),
            Job::Repeat(intended, _) => self.tally.ended(Outcome::Error, code, intended, now),
        }
    }

    fn note(&mut self, pay: &Pay, outcome: &'static str) {
        let (_, amount) = self.requests.of(pay.n);
        let told = matches!(outcome, "AUTHORIZED" | "CAPTURED" | "REFUNDED");
        let ack = Ack { id: pay.id, outcome, amount: if told { amount } else { 0 } };
        self.journal.note(|line| self.requests.push_key(pay.n, line), &ack);
    }
}

impl Trade for Payments {
    type Job = Job;

    fn begin(&mut self, _: Mix, tally: Tally) {
        self.tally = tally;
        self.repeats.clear();
    }

    fn end(&mut self) -> io::Result<Tally> {
        self.journal.flush()?;
        Ok(std::mem::replace(&mut self.tally, Tally::new(0, 0)))
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn arrival(&mut self, intended: u64, now: u64, request: &mut Vec<u8>) -> Job {
        if let Some(first) = self.repeats.pop_front_if(|repeat| repeat.ready <= now) {
            self.requests.authorize(first.n, request);
            return Job::Repeat(intended, first);
        }
        let n = self.next;
        self.next += 1;
        self.requests.authorize(n, request);
        let (step, asked) = (Step::Authorize, intended);
        Job::Step(Pay { n, intended, asked, step, id: None, first: None, unknown: false })
    }

    fn open(&self) -> usize {
        self.steps.len() + self.looks.len()
    }

    fn next_due(&self) -> Option<u64> {
        let step = self.steps.front().map(|pay| pay.asked);
        step.or_else(|| self.looks.front().map(|(due, _)| *due))
    }

    fn follow(&mut self, now: u64, request: &mut Vec<u8>) -> Option<Job> {
        if let Some(pay) = self.steps.pop_front() {
            let id = pay.id.as_ref()?;
            match pay.step {
                Step::Refund => self.requests.refund(pay.n, id, request),
                Step::Authorize | Step::Capture => self.requests.capture(pay.n, id, request),
            }
            return Some(Job::Step(pay));
        }
        let (_, pay) = self.looks.pop_front_if(|(due, _)| *due <= now)?;
        self.requests.look(pay.n, pay.id.as_ref()?, request);
        Some(Job::Look(pay))
    }

    fn answered(&mut self, job: Job, answer: &Answer<'_>, now: u64) {
        let said = self.reader.read(answer);
        match job {
            Job::Step(mut pay) => {
                if pay.step == Step::Authorize {
                    let total = now.saturating_sub(pay.intended);
                    self.tally.accepted.record(total.saturating_sub(answer.settling()));
                    let whole = said.outcome == Outcome::Authorized;
                    let wanted = whole && self.requests.repeats(pay.n);
                    pay.first = wanted.then(|| digest(answer.body));
                }
                self.stepped(pay, &said, now);
            }
            Job::Look(pay) if answer.status == 200 => self.stepped(pay, &said, now),
            Job::Look(pay) => self.looks.push_back((now + LOOK_EVERY, pay)),
            Job::Repeat(intended, first) => self.repeated(intended, &first, answer, now),
        }
    }

    fn broken(&mut self, job: Job, now: u64) {
        self.lost(&job, "CONNECTION_LOST", now);
    }

    fn unanswered(&mut self, job: Job, now: u64) {
        self.lost(&job, "NO_ANSWER", now);
    }

    fn close(&mut self, now: u64) {
        while let Some(pay) = self.steps.pop_front() {
            self.tally.ended(Outcome::Pending, "PENDING", pay.intended, now);
        }
        while let Some((_, pay)) = self.looks.pop_front() {
            self.tally.ended(Outcome::Unknown, "UNKNOWN", pay.intended, now);
        }
    }
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

/// What an answer says about a payment.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    outcome: Outcome,
    id: Option<Id>,
    code: &'a str,
}

/// Finds the fields of a payment or a problem in a body.
#[derive(Debug)]
struct Reader {
    id: Finder<'static>,
    status: Finder<'static>,
    code: Finder<'static>,
}

impl Reader {
    fn new() -> Self {
        Self {
            id: Finder::new("\"pay_"),
            status: Finder::new("\"status\":\""),
            code: Finder::new("\"code\":\""),
        }
    }

    fn read<'a>(&self, answer: &Answer<'a>) -> Said<'a> {
        let body = answer.body;
        let id = id_after(&self.id, body);
        if (200..300).contains(&answer.status) {
            let status = quoted_after(&self.status, body).unwrap_or("");
            return Said { outcome: of_status(status), id, code: status };
        }
        let code = quoted_after(&self.code, body).unwrap_or("");
        let outcome = Outcome::of_problem(answer.status, code);
        Said { outcome, id, code: if code.is_empty() { outcome.name() } else { code } }
    }
}

/// What a status of the compatible API means for the step that asked.
fn of_status(status: &str) -> Outcome {
    match status {
        "AUTHORIZED" => Outcome::Authorized,
        "CAPTURED" => Outcome::Captured,
        "REFUNDED" => Outcome::Refunded,
        "AUTH_FAILED" => Outcome::Declined,
        "UNKNOWN" => Outcome::Unknown,
        "READY" | "CAPTURE_REQUESTED" | "REFUND_REQUESTED" => Outcome::Pending,
        _ => Outcome::Error,
    }
}
