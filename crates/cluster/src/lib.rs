//! Real servers on this machine, for tests and for trying things out: PostgreSQL, Apache Kafka,
//! Redis and a proxy that breaks connections.
//!
//! | module | what it starts | where its program comes from |
//! |---|---|---|
//! | [`postgres`] | a primary, standbys | `postgresql-15` or newer by apt, or `JANGBU_POSTGRES_BIN` |
//! | [`kafka`] | one or more brokers, no `ZooKeeper` | jars in `.tools/kafka/lib` |
//! | [`redis`] | one server, or a master with replica and sentinels | `redis-server`, `redis-sentinel` |
//! | [`pgbouncer`] | a pooler in front of a PostgreSQL | `pgbouncer` |
//! | [`toxiproxy`] | a proxy whose connections can be cut, slowed and held | `.tools/bin/toxiproxy-server` |
//! | [`wire`] | a proxy that loses single answers | this crate |
//! | [`service`] | any other program that says when it is ready | – |
//! | [`shared`] | one PostgreSQL for a whole test binary | as above |
//!
//! `./test` installs all of them; `.tools` is looked for in the working directory and above it, or is
//! the directory that `JANGBU_TOOLS` names. A program that is missing is an error that says how to
//! install it, never a test that passes without it.
//!
//! What holds for every server:
//!
//! 1. It listens on 127.0.0.1, on a port that was free a moment ago, and keeps it when it is started again.
//! 2. It is ready when **its own log** says so: another server on the same port cannot be taken for it.
//! 3. Dropping the value stops it. If the process that started it dies in any way, a small shell that
//!    waits for this stops it (`guard.rs`). Only [`Service::leave`] lets it live on.
//! 4. It is stopped by the number of its process, and only if that process began when ours began.
//! 5. What it prints goes to a file in its directory.

mod account;
mod error;
mod guard;
mod identity;
pub mod kafka;
pub mod pgbouncer;
mod port;
pub mod postgres;
mod programs;
pub mod redis;
pub mod service;
pub mod shared;
pub mod state;
pub mod toxiproxy;
pub mod wire;

pub use error::{Error, Result};
pub use identity::Identity;
pub use kafka::Kafka;
pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use postgres::Postgres;
pub use redis::{Redis, Sentinels};
pub use service::Service;
pub use state::{Part, State};
pub use toxiproxy::Toxiproxy;
pub use wire::Wire;
