//! The engine's own rows: the shard row (counters and clock), idempotency, outbox, poison, audit.
//!
//! Idempotency is looked up here, once, for every domain: `idem` finds a request by the 64-bit
//! keyed hash of scope and key, and `request` holds the full key, the fingerprint of the command
//! and the resource that it made. A repeat is answered from that resource as it is now, for fifteen
//! days; after that it is told that its key has expired, whether its row has lost it yet or not.
//! Refusals and faults leave no request: they are decided anew.

mod tables;

use std::hash::Hasher;

use jangbu_kernel::{Correlation, IdemKey, Operator, Time, UnitId};
use siphasher::sip::SipHasher24;

use crate::keep::KEYS;
pub use crate::poison::POISON;
use crate::port::{By, Fault, Fields, Mode, Read, Tx, WritePlan};
use crate::unit::Sink;

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
    /// Reads the shard row.
    pub fn open(tx: &mut dyn Tx) -> Result<Self, Fault> {
        let mut found = None;
        let mut audits = 0;
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let last = By::Range { from, to, descending: true, limit: 1 };
        let read = [
            Read { table: &SHARD, by: By::Keys(vec![[0, 0, 0]]) },
            Read { table: &AUDIT, by: last },
        ];
        tx.read(&read, &mut |at, row| {
            if at == 1 {
                audits = row.int(0);
                return;
            }
            let mut idem_key = [0; 16];
            let stored = row.blob(5);
            let n = stored.len().min(16);
            idem_key[..n].copy_from_slice(&stored[..n]);
            found = Some(Shard {
                commits: row.int(1),
                events: row.int(2),
                requests: row.int(3),
                clock: Time(row.int(4)),
                idem_key,
                trimmed: row.int(6),
                purged: row.int(7),
                version: row.int(8),
            });
        })?;
        let shard = found.ok_or_else(|| Fault::Fatal("the shard row is missing".to_owned()))?;
        let before = shard.clone();
        let (new, found, audited) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { shard, before, new, found, audits, audited })
    }

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

    /// Finds the earlier requests of `keys`: two reads, whatever their number. Keys that share a
    /// hash live side by side, the later one under the next free number; only then is there more
    /// to read. A request that has lost its key speaks for the one whose hash leads to it.
    pub fn look_up<'a>(
        &mut self,
        tx: &mut dyn Tx,
        keys: impl Iterator<Item = &'a IdemKey>,
    ) -> Result<(), Fault> {
        let mut probes: Vec<_> = keys.map(|key| (key, self.hash(key))).collect();
        while !probes.is_empty() {
            let slots = probes.iter().map(|(_, slot)| [*slot, 0, 0]).collect();
            let mut hits = Vec::new();
            tx.read(&[Read { table: &IDEM, by: By::Keys(slots) }], &mut |_, row| {
                hits.push((row.int(0), row.int(1)));
            })?;
            if hits.is_empty() {
                return Ok(());
            }
            self.load(tx, &hits)?;
            // A slot that another key holds: this key may stand under the next number.
            probes.retain_mut(|(key, slot)| self.goes_on(key, slot));
        }
        Ok(())
    }

    /// Whether the search for a key goes on with the next number: another key stands under this one.
    fn goes_on(&mut self, key: &IdemKey, slot: &mut i64) -> bool {
        let mut here = self.found.iter().filter(|(at, _)| at == slot).map(|(_, request)| request);
        if let Some(bare) = here.clone().find(|request| request.is_bare()) {
            let request = Request { key: key.clone(), ..*bare };
            self.found.push((*slot, request));
            return false;
        }
        let taken = here.any(|request| !request.key.is_same(key));
        *slot = slot.wrapping_add(1);
        taken
    }

    fn load(&mut self, tx: &mut dyn Tx, hits: &[(i64, i64)]) -> Result<(), Fault> {
        let ids = hits.iter().map(|(_, id)| [*id, 0, 0]).collect();
        let found = &mut self.found;
        tx.read(&[Read { table: &REQUEST, by: By::Keys(ids) }], &mut |_, row| {
            let (resource, at) = (row.int(4), Time(row.int(5)));
            let request = Request { key: key_of(row), resource, at };
            for (slot, _) in hits.iter().filter(|(_, id)| *id == row.int(0)) {
                found.push((*slot, request.clone()));
            }
        })
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
            plan.row(&OUTBOX, Mode::Insert)
                .int(self.shard.events)
                .int(self.shard.commits)
                .int(event.at.0)
                .text(event.topic)
                .int(event.key)
                .int(event.version)
                .opt_text(event.correlation.as_deref())
                .blob(&sink.bytes[event.payload.clone()]);
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
