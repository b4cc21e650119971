//! One story on every store, and what only SQLite can do.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod broken;
mod copying;
mod dir;
mod faults;
mod hot;
mod postgres;
mod replicas;
mod shop;
mod sqlite;
mod story;
