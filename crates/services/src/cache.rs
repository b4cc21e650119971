//! Answers to reads of the catalogue that are kept, beside the store and never instead of it.
//!
//! ```text
//! read ─▶ near (this process) ─▶ far (shared, may be away) ─▶ loader ─▶ store
//!              ▲                     ▲                           │
//!              └──────── put ────────┴───────────────────────────┘
//!              ▲                     ▲
//!              └───── changed ───────┴───────── tail of the outbox
//! ```
//!
//! | part | holds |
//! |---|---|
//! | this file | what is kept, and the port of a store for it |
//! | `near` | values in this process, bounded by bytes |
//! | `flight` | many who want the same value wait for one load |
//! | `front` | the way of a read, and of what the tail tells |
//!
//! What makes it right:
//!
//! 1. A value carries the *number* of the last event that its reader could see before it began. A
//!    change of a [`Group`] is a mark: the number of the event. A value whose number is below the
//!    mark of its group is not served and not taken, in whichever order the two come: a slow reader
//!    cannot put an old value after the change.
//! 2. Marks of products are kept for one to two lives of a value; no value lives longer.
//! 3. A value lives for a fixed time from the moment at which it was read, not from the moment at
//!    which it was put somewhere.
//! 4. A process that cannot see the outbox does not use what is kept, neither near nor far.
//! 5. Orders never look here: their prices come from the cell that decides them.

mod flight;
mod front;
mod near;

use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jangbu_kernel::Time;

pub use front::{Front, Invalidation, Limits, Loaded, Stats};
pub use near::Near;

/// Something that is there soon.
pub type Soon<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a value is about: a change of the group ends all its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// One product with its SKUs and their prices.
    Product(i64),
    /// Lists of products.
    Shelf,
    /// Categories and lists of them.
    Categories,
}

impl Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Product(id) => write!(f, "product:{id}"),
            Self::Shelf => f.write_str("shelf"),
            Self::Categories => f.write_str("categories"),
        }
    }
}

/// The name of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// What it is about.
    pub group: Group,
    /// Its name; no two groups share one.
    pub name: Box<str>,
}

/// A value that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The last event that its reader could see.
    pub number: i64,
    /// It is not served from this moment on.
    pub until: Time,
    /// The answer.
    pub bytes: Arc<[u8]>,
}

/// A store for values that may lose any of them at any time, and is shared by processes. Nothing of
/// it waits for long: what does not come at once does not come.
pub trait Cache: Send + Sync + Debug {
    /// The value, if it is there and no change of its group came after it.
    fn get(&self, key: &Key) -> Soon<Option<Value>>;
    /// Keeps a value for a while, unless its group has changed since. Done at some later time, or not
    /// at all.
    fn put(&self, key: &Key, value: &Value);
    /// These groups have changed with these events, and no other up to event `place`. What cannot be
    /// told now is told before the next value is given out.
    fn changed(&self, groups: &[(Group, i64)], place: i64);
    /// Which events were not seen is not known: nothing from before event `place` is good.
    fn missed(&self, place: i64);
}
