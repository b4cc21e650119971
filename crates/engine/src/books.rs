//! The engine's own rows: the shard row (counters and clock), idempotency, outbox, poison, audit.
//!
//! Idempotency is looked up here, once, for every domain: `idem` finds a request by the 64-bit
//! keyed hash of scope and key, and `request` holds the full key, the fingerprint of the command
//! and the resource that it made. A repeat is answered from that resource as it is now, for fifteen
//! days; after that it is told that its key has expired, whether its row has lost it yet or not.
//! Refusals and faults leave no request: they are decided anew.

mod open;
mod search;
mod tables;

use std::hash::Hasher;
use std::io::Write as _;

use jangbu_kernel::{Correlation, IdemKey, Operator, Time, UnitId};
use siphasher::sip::SipHasher24;

use crate::keep::KEYS;
pub use crate::poison::POISON;
use crate::port::{Fields, Mode, WritePlan};
use crate::position::Position;
use crate::unit::Sink;

pub(crate) use open::Opening;
pub(crate) use search::{Round, Search};
pub use tables::{AUDIT, IDEM, OUTBOX, REQUEST, SHARD, TABLES};

/// The shard row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Number of the last commit.
    pub commits: i64,
    /// Number of the last event.
    pub events: i64,
    /// Number of the last request.
    pub requests: i64,
    /// The latest time that a command has seen.
    pub clock: Time,
    /// Key of the idempotency hash.
    pub idem_key: [u8; 16],
    /// Events up to this number have been trimmed.
    pub trimmed: i64,
    /// Requests up to this number have lost their key.
    pub purged: i64,
    version: i64,
}

/// A line of the audit log: who did what, why, and what it changed.
#[derive(Debug)]
pub struct Audited {
    /// When.
    pub at: Time,
    /// Who, why, and which operation.
    pub operator: Operator,
    /// The unit that carried it out.
    pub unit: UnitId,
    /// What it was done to.
    pub resource: String,
    /// How that was before, and how it is now, as JSON; none: it was not there.
    pub states: [Option<String>; 2],
    /// Of the request.
    pub correlation: Correlation,
}

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Scope, key and fingerprint.
    pub key: IdemKey,
    /// What it made.
    pub resource: i64,
    /// When.
    pub at: Time,
}

impl Request {
    /// Whether its key is too old to be answered by it at `now`.
    pub fn is_expired(&self, now: Time) -> bool {
        now - self.at >= KEYS
    }

    /// Whether its key was taken off: nobody knows it any more but by its hash.
    fn is_bare(&self) -> bool {
        self.key.key.is_empty()
    }
}

/// What the loop knows of the engine's rows within one transaction.
#[derive(Debug)]
pub struct Books {
    /// The shard row as it will be after the commit.
    pub shard: Shard,
    before: Shard,
    /// Requests of this batch and requests found, each with its number in `idem`.
    new: Vec<(i64, Request)>,
    found: Vec<(i64, Request)>,
    /// Number of the last row of the audit log, and the rows of this batch.
    audits: i64,
    audited: Vec<Audited>,
}

/// The number in `idem` at which the search for a request begins. Another key may have it: then the
/// next number is looked at.
pub fn slot(idem_key: &[u8; 16], scope: &str, key: &str) -> i64 {
    let mut hasher = SipHasher24::new_with_key(idem_key);
    hasher.write(scope.as_bytes());
    hasher.write(&[0]);
    hasher.write(key.as_bytes());
    hasher.finish().cast_signed()
}

/// The key of a request row.
pub fn key_of(row: &dyn Fields) -> IdemKey {
    let mut body = [0; 17];
    let stored = row.blob(3);
    let n = stored.len().min(17);
    body[..n].copy_from_slice(&stored[..n]);
    IdemKey { scope: row.text(1).into(), key: row.text(2).into(), body }
}

impl Books {
    /// A transaction begins at `now`.
    pub fn begin(&mut self, now: Time) {
        self.forget();
        self.shard.commits = self.before.commits + 1;
        self.shard.clock = self.before.clock.max(now);
        self.shard.version = self.before.version + 1;
    }

    /// The number of the last commit that happened.
    pub fn last_commit(&self) -> i64 {
        self.before.commits
    }

    /// How far the commits that happened have come.
    pub fn position(&self) -> Position {
        Position { commit: self.before.commits, event: self.before.events }
    }

    /// The commit happened.
    pub fn committed(&mut self) {
        self.before = self.shard.clone();
        self.audits += i64::try_from(self.audited.len()).unwrap_or(0);
        self.forget();
    }

    /// The transaction is gone.
    pub fn aborted(&mut self) {
        self.shard = self.before.clone();
        self.forget();
    }

    fn forget(&mut self) {
        self.new.clear();
        self.found.clear();
        self.audited.clear();
    }

    fn hash(&self, key: &IdemKey) -> i64 {
        slot(&self.before.idem_key, &key.scope, &key.key)
    }

    /// The request that came earlier under the same scope and key, in this batch or before.
    pub fn recall(&self, key: &IdemKey) -> Option<&Request> {
        let known = |(_, request): &&(i64, Request)| request.key.is_same(key);
        let new = self.new.iter().find(known);
        new.or_else(|| self.found.iter().find(known)).map(|(_, request)| request)
    }

    /// Whether a request of this batch is to be written down, or a line of the audit log. One that
    /// changed nothing counts: its key is taken.
    pub fn has_new(&self) -> bool {
        !self.new.is_empty() || !self.audited.is_empty()
    }

    /// Writes down what an operator did.
    pub fn audit(&mut self, audited: Audited) {
        self.audited.push(audited);
    }

    /// Writes down a request that was carried out.
    pub fn remember(&mut self, key: &IdemKey, resource: i64) {
        let mut slot = self.hash(key);
        while self.new.iter().chain(&self.found).any(|(taken, _)| *taken == slot) {
            slot = slot.wrapping_add(1);
        }
        let at = self.shard.clock;
        self.new.push((slot, Request { key: key.clone(), resource, at }));
    }

    /// Puts requests, events and the shard row into the plan.
    pub fn save(&mut self, sink: &Sink, plan: &mut WritePlan) {
        for (slot, request) in &self.new {
            self.shard.requests += 1;
            let id = self.shard.requests;
            plan.row(&IDEM, Mode::Insert).int(*slot).int(id);
            plan.row(&REQUEST, Mode::Insert)
                .int(id)
                .text(&request.key.scope)
                .text(&request.key.key)
                .blob(&request.key.body)
                .int(request.resource)
                .int(self.shard.clock.0);
        }
        self.save_audited(plan);
        for event in &sink.events {
            self.shard.events += 1;
            let mut row = plan.row(&OUTBOX, Mode::Insert);
            row.int(self.shard.events)
                .int(self.shard.commits)
                .int(event.at.0)
                .text(event.topic)
                .int(event.key)
                .int(event.version)
                .opt_text(event.correlation.as_deref())
                .blob(&sink.bytes[event.payload.clone()]);
            match event.trace {
                Some(trace) => row.text_with(|bytes| drop(write!(bytes, "{trace}"))),
                None => row.opt_text(None),
            };
        }
        let shard = &self.shard;
        plan.row(&SHARD, Mode::Update { version: self.before.version })
            .int(0)
            .int(shard.commits)
            .int(shard.events)
            .int(shard.requests)
            .int(shard.clock.0)
            .blob(&shard.idem_key)
            .int(shard.trimmed)
            .int(shard.purged)
            .int(shard.version);
    }

    fn save_audited(&self, plan: &mut WritePlan) {
        for (id, line) in (self.audits + 1..).zip(&self.audited) {
            let Audited { at, operator, unit, resource, states: [before, after], correlation } =
                line;
            plan.row(&AUDIT, Mode::Insert)
                .int(id)
                .int(at.0)
                .text(&operator.who)
                .text(&operator.operation)
                .text(unit.0)
                .text(resource)
                .text(&operator.why)
                .opt_text(before.as_deref())
                .opt_text(after.as_deref())
                .opt_text(correlation.as_deref());
        }
    }
}
