//! What the store has of every consumer: its places, and what it has parked.

use jangbu_engine::port::{Col, Table};

use super::PROJECTIONS;

/// Where a consumer stands in each stream that it reads, see [`place_id`]: of stream 0, the event up to which
/// everything is taken in, whatever gave it; of another one, the position of the last event that it gave.
pub static OFFSET: Table = Table {
    rank: 1,
    name: "offset",
    key: &["id"],
    cols: &[Col::int("seq")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Events above that place which are taken in all the same: topics give events of different keys in any order.
pub static INBOX: Table = Table {
    rank: 9,
    name: "inbox",
    key: &["consumer", "seq"],
    cols: &[Col::int("stream")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Keys whose events cannot be taken in, each with the first of them.
pub static PARKED: Table = Table {
    rank: 6,
    name: "parked",
    key: &["consumer", "key"],
    cols: &[
        Col::int("seq"),
        Col::int("at"),
        Col::int("since"),
        Col::text("topic"),
        Col::text("error"),
        Col::int("tries"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Every event that waits under a parked key, the first one included.
pub static PARKED_EVENT: Table = Table {
    rank: 7,
    name: "parked_event",
    key: &["consumer", "key", "seq"],
    cols: &[Col::int("at")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// The key of a place: consumer and stream in one number. The projections' place on the embedded
/// log is row 0, as it was when they were the only consumer.
pub const fn place_id(consumer: i64, stream: i32) -> i64 {
    ((consumer - PROJECTIONS) << 32) | stream as i64
}

/// The stream behind the key of a place.
pub(super) fn stream(id: i64) -> i32 {
    i32::try_from(id & 0xffff_ffff).unwrap_or(i32::MAX)
}
