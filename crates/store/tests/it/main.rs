//! One story on every store, and what only SQLite can do.

mod dir;
mod faults;
mod shop;
mod sqlite;
mod story;
