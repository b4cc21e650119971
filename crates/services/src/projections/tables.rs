//! The tables of `derived.db`.

use jangbu_engine::port::{Col, Table};
use jangbu_store::Migration;

use crate::consumer::{INBOX, OFFSET, PARKED, PARKED_EVENT};

/// Orders by user.
pub static USER_ORDER: Table = Table {
    rank: 2,
    name: "user_order",
    key: &["user_id", "order_id"],
    cols: &[Col::int("at")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// What happened to an order.
pub static TIMELINE: Table = Table {
    rank: 3,
    name: "timeline",
    key: &["order_id", "seq"],
    cols: &[Col::int("at"), Col::text("event"), Col::text("detail")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Entries by account, with the balance after each.
pub static ACCOUNT_ENTRY: Table = Table {
    rank: 4,
    name: "account_entry",
    key: &["account", "at", "n"],
    cols: &[
        Col::int("source"),
        Col::int("seq"),
        Col::int("leg"),
        Col::int("amount"),
        Col::int("balance"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// The latest balance of each account.
pub static ACCOUNT_TAIL: Table = Table {
    rank: 5,
    name: "account_tail",
    key: &["account"],
    cols: &[Col::int("balance")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Movements of points by user.
pub static POINT_HISTORY: Table = Table {
    rank: 12,
    name: "point_history",
    key: &["user_id", "n"],
    cols: &[
        Col::int("at"),
        Col::int("what"),
        Col::int("about"),
        Col::int("paid"),
        Col::int("earned"),
        Col::int("balance"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Coupons by user.
pub static COUPON_OF_USER: Table = Table {
    rank: 8,
    name: "coupon_of_user",
    key: &["user_id", "coupon_id"],
    cols: &[Col::int("at")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// The tables of `derived.db`.
pub const TABLES: &[&Table] = &[
    &OFFSET,
    &USER_ORDER,
    &TIMELINE,
    &ACCOUNT_ENTRY,
    &ACCOUNT_TAIL,
    &PARKED,
    &PARKED_EVENT,
    &INBOX,
    &POINT_HISTORY,
    &COUPON_OF_USER,
    &crate::bestseller::SOLD,
    &crate::bestseller::SOLD_MARK,
    &crate::notification::DELIVERY,
    &crate::notification::TEMPLATE,
    &super::shelf::SHELF,
    &super::shelf::CATEGORY_CHILD,
];

/// Its schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "init",
        sql: include_str!("../../migrations/derived_0001_init.sql"),
    },
    Migration {
        version: 2,
        name: "edges",
        sql: include_str!("../../migrations/derived_0002_edges.sql"),
    },
    Migration {
        version: 3,
        name: "shop",
        sql: include_str!("../../migrations/derived_0003_shop.sql"),
    },
    Migration {
        version: 4,
        name: "consumers",
        sql: include_str!("../../migrations/derived_0004_consumers.sql"),
    },
];
