//! The databases behind the store port: SQLite for real, ordered maps in memory for tests.
//!
//! No commerce here: a store knows the const tables that `services` declares
//! ([`jangbu_engine::port::Table`]) and makes its statements from them.
//!
//! - [`Sqlite`] is one file with one writer. See [`mod@sqlite`] for how it is opened, written and
//!   kept small.
//! - [`Memory`] has the same semantics without a disk, and can be told to fail ([`Faults`]).
//! - [`DataDir`] makes sure that one process owns a data directory.
//! - [`dump()`] reads whole tables, so that tests can compare two stores.
//!
//! `tests/it/main.rs` tells one story on both stores; README.md has the measurements.

pub mod memory;
pub mod sqlite;

mod dir;
mod dump;

pub use crate::{
    dir::{DataDir, DirError},
    dump::{Dump, OwnedValue, dump},
    memory::{Faults, Memory, MemoryStore, On},
    sqlite::{Durability, Migration, Options, Sqlite},
};
