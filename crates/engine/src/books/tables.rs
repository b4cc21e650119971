//! The tables of the engine.

use crate::poison::POISON;
use crate::port::{Col, Table};

/// Counters and clock of the shard: one row.
pub static SHARD: Table = Table {
    rank: 900,
    name: "shard",
    key: &["id"],
    cols: &[
        Col::int("commits"),
        Col::int("events"),
        Col::int("requests"),
        Col::int("clock"),
        Col::blob("idem_key"),
        Col::int("trimmed"),
        Col::int("purged"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// Finds a request by the hash of its scope and key.
pub static IDEM: Table = Table {
    rank: 910,
    name: "idem",
    key: &["hash"],
    cols: &[Col::int("request")],
    versioned: false,
    due: false,
    lists: &[],
    hot: true,
};

/// A client command that was carried out.
pub static REQUEST: Table = Table {
    rank: 911,
    name: "request",
    key: &["id"],
    cols: &[
        Col::text("scope"),
        Col::text("key"),
        Col::blob("body"),
        Col::int("resource"),
        Col::int("at"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Events in the order of their commits, numbered without gaps.
pub static OUTBOX: Table = Table {
    rank: 920,
    name: "outbox",
    key: &["seq"],
    cols: &[
        Col::int("commit_no"),
        Col::int("at"),
        Col::text("topic"),
        Col::int("key"),
        Col::int("version"),
        Col::text("correlation").or_null(),
        Col::blob("payload"),
        Col::text("trace").or_null(),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// What operators did, in the order in which it was carried out, numbered without gaps. The schema
/// refuses to change or delete a row.
pub static AUDIT: Table = Table {
    rank: 940,
    name: "audit_log",
    key: &["id"],
    cols: &[
        Col::int("at"),
        Col::text("who"),
        Col::text("operation"),
        Col::text("unit"),
        Col::text("resource"),
        Col::text("why"),
        Col::text("before").or_null(),
        Col::text("after").or_null(),
        Col::text("correlation").or_null(),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// The tables of this module.
pub const TABLES: [&Table; 6] = [&SHARD, &IDEM, &REQUEST, &OUTBOX, &POISON, &AUDIT];
