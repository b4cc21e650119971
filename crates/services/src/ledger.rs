//! The ledger's rows.

use std::sync::Arc;

use jangbu_domain::ledger::command::{Command, Event};
use jangbu_domain::ledger::model::{Account, AccountId, Entry, EntryKey, Kind, Link};
use jangbu_domain::ledger::{Ledger, Rows};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::Sink;
use jangbu_kernel::{Ctx, Time};
use serde_json::{Value, json};

use crate::adapter::{Bound, Service, Stored};
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
};

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

/// The ledger in a cell.
#[derive(Debug)]
pub struct LedgerService;

impl Service for LedgerService {
    type Domain = Ledger;

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.account);
        each(&mut rows.entry);
        each(&mut rows.chain);
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        match command {
            Command::Post { source, seq, .. } => {
                let first = EntryKey { source: *source, seq: *seq, leg: 0 };
                let posted = rows.entry.get(first)?.at.0;
                Some(json!({ "posting": seq, "at": posted }))
            }
        }
    }

    fn follow(event: Event, _rows: &Rows, _ctx: &Ctx, _sink: &mut Sink) {
        match event {}
    }

    fn opened(rows: &mut Rows, highest: &dyn Fn(usize) -> i64) {
        rows.end.resume(highest(2).max(0));
    }
}
