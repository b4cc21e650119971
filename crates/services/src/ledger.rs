//! The ledger's rows.

use std::sync::Arc;

use jangbu_domain::ledger::command::{Command, Event};
use jangbu_domain::ledger::model::{Account, AccountId, Entry, EntryKey, Journal, Kind, Link};
use jangbu_domain::ledger::{Ledger, Rows};
use jangbu_engine::port::{By, Col, Fields, Key, Read, RowWriter, Table};
use jangbu_engine::unit::Sink;
use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Ctx, Time};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::packed;

/// The accounts with their running sums.
pub static ACCOUNT: Table = Table {
    rank: 500,
    name: "account",
    key: &["id"],
    cols: &[
        Col::text("code"),
        Col::text("currency"),
        Col::int("kind"),
        Col::int("debits"),
        Col::int("credits"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// One row for each leg of each posting, never changed.
pub static ENTRY: Table = Table {
    rank: 510,
    name: "entry",
    key: &["source", "seq", "leg"],
    cols: &[Col::int("account"), Col::int("amount"), Col::int("at"), Col::int("commit_no")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// One row for each commit that posts.
pub static CHAIN: Table = Table {
    rank: 520,
    name: "chain",
    key: &["commit_no"],
    cols: &[Col::int("at"), Col::int("entries"), Col::blob("digest"), Col::blob("hash")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// What operators booked.
pub static JOURNAL: Table = Table {
    rank: 505,
    name: "journal",
    key: &["id"],
    cols: &[
        Col::int("at"),
        Col::text("who"),
        Col::text("reason"),
        Col::int("postings"),
        Col::int("entries"),
        Col::text("memos"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// The entries that an event has made.
pub(crate) struct Made {
    event: i64,
    /// Places of the event's entries that stand before these.
    before: i64,
    from: Key,
    to: Key,
    /// About how many.
    pub(crate) entries: i64,
}

impl Made {
    /// `account_entry.n` has so many bits for the place of an entry among those of its event; more
    /// than that an event cannot have.
    const PLACES: u32 = 16;

    /// Those of event number `event` about aggregate `key`, if it has made some.
    pub(crate) fn of((event, key): (i64, i64), fact: &Fact<'_>) -> Option<Self> {
        let (from, to, entries) = match *fact {
            Fact::PaymentCaptured { seq, .. }
            | Fact::PaymentRefunded { seq, .. }
            | Fact::PaymentSetAside { seq, .. }
            | Fact::PaymentReleased { seq, .. }
                if seq > 0 =>
            {
                ([key, seq, 0], [key, seq, i64::MAX], 2)
            }
            Fact::JournalPosted { entries, .. } => {
                ([key, 0, 0], [key, i64::MAX, i64::MAX], entries)
            }
            _ => return None,
        };
        Some(Self { event, before: 0, from, to, entries })
    }

    /// Those of one of the postings of points that event number `event` tells together.
    pub(crate) fn of_points(event: i64, place: i64, (source, seq): (i64, i64)) -> Self {
        let (from, to) = ([source, seq, 0], [source, seq, i64::MAX]);
        Self { event, before: 2 * place, from, to, entries: 2 }
    }

    /// Reads them, in their order.
    pub(crate) fn read(&self) -> Read {
        let (from, to, limit) = (self.from, self.to, 1 << Self::PLACES);
        Read { table: &ENTRY, by: By::Range { from, to, descending: false, limit } }
    }

    /// The first and the last key that they can have.
    pub(crate) const fn keys(&self) -> (Key, Key) {
        (self.from, self.to)
    }

    /// The number of the entry at this place among them.
    pub(crate) const fn number(&self, place: i64) -> i64 {
        (self.event << Self::PLACES) | (self.before + place)
    }
}

impl Stored for Account {
    type Key = AccountId;
    const TABLE: &'static Table = &ACCOUNT;
    const KEEP: usize = 100_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            code: Arc::from(row.text(1)),
            currency: packed::currency(row.text(2)),
            kind: packed::coded("account.kind", row.int(3), Kind::from_code),
            debits: row.int(4),
            credits: row.int(5),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { code, currency, kind, debits, credits } = self;
        to.text(code).text(currency.as_str()).int(kind.code()).int(*debits).int(*credits);
    }
}

impl Stored for Entry {
    type Key = EntryKey;
    const TABLE: &'static Table = &ENTRY;
    const KEEP: usize = 0;

    fn read(row: &dyn Fields) -> Self {
        Self {
            account: AccountId(row.int(3)),
            amount: row.int(4),
            at: Time(row.int(5)),
            commit: row.int(6),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { account, amount, at, commit } = self;
        to.int(account.0).int(*amount).int(at.0).int(*commit);
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or_else(|_| panic!("column chain.hash is damaged: {bytes:?}"))
}

impl Stored for Link {
    type Key = i64;
    const TABLE: &'static Table = &CHAIN;
    const KEEP: usize = 16;

    fn read(row: &dyn Fields) -> Self {
        Self {
            at: Time(row.int(1)),
            entries: row.int(2),
            digest: hash(row.blob(3)),
            hash: hash(row.blob(4)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { at, entries, digest, hash } = self;
        to.int(at.0).int(*entries).blob(digest).blob(hash);
    }
}

impl Stored for Journal {
    type Key = JournalId;
    const TABLE: &'static Table = &JOURNAL;
    const KEEP: usize = 16;

    fn read(row: &dyn Fields) -> Self {
        Self {
            at: Time(row.int(1)),
            who: Arc::from(row.text(2)),
            reason: row.text(3).into(),
            postings: row.int(4),
            entries: row.int(5),
            memos: packed::read("journal.memos", row.text(6)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { at, who, reason, postings, entries, memos } = self;
        to.int(at.0).text(who).text(reason).int(*postings).int(*entries);
        packed::write(to, memos);
    }
}

/// The ledger in a cell.
#[derive(Debug)]
pub struct LedgerService;

impl Service for LedgerService {
    type Domain = Ledger;

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.account);
        each(&mut rows.entry);
        each(&mut rows.chain);
        each(&mut rows.journal);
        each(&mut rows.booked);
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        match command {
            Command::Post { source, seq, .. } => {
                let first = EntryKey { source: *source, seq: *seq, leg: 0 };
                let posted = rows.entry.get(first)?.at.0;
                Some(json!({ "posting": seq, "at": posted }))
            }
            Command::Book(draft) => {
                let Journal { at, postings, entries, .. } = rows.journal.get(draft.id)?;
                Some(json!({ "postings": postings, "entries": entries, "at": at.0 }))
            }
        }
    }

    fn follow(event: Event, _rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let Event::Booked { journal, postings, entries } = event;
        Fact::JournalPosted { postings, entries }.publish(journal.0, 1, ctx, sink);
    }

    fn opened(rows: &mut Rows, highest: &dyn Fn(usize) -> i64) {
        rows.end.resume(highest(2).max(0));
    }
}
