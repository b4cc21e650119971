//! The databases behind the store port: SQLite and PostgreSQL, and ordered maps in memory for tests.
//!
//! No commerce here: a store knows the const tables that `services` declares
//! ([`jangbu_engine::port::Table`]) and makes its statements from them.
//!
//! - [`Sqlite`] is one file with one writer. See [`mod@sqlite`] for how it is opened, written and
//!   kept small.
//! - [`Postgres`] is a schema of a PostgreSQL database. See [`mod@postgres`].
//! - [`Memory`] has the same semantics without a disk, and can be told to fail ([`Faults`]).
//! - [`DataDir`] makes sure that one process owns a data directory.
//! - [`dump()`] reads whole tables, so that tests can compare two stores.
//!
//! `tests/it/main.rs` tells one story on all stores; README.md has the measurements.

pub mod memory;
pub mod moving;
pub mod postgres;
pub mod sqlite;

mod checksum;
mod dir;
mod dump;
mod migration;

pub use crate::{
    checksum::Checksum,
    dir::{DataDir, DirError},
    dump::{Dump, OwnedValue, dump},
    memory::{Faults, Memory, MemoryStore, On},
    migration::Migration,
    moving::{Mark, Way},
    postgres::{Postgres, PostgresOptions},
    sqlite::{Durability, Filling, Options, Sqlite},
};
