//! The binary from outside: real processes, real files, real signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod backup;
mod bestseller;
#[cfg(feature = "kafka")]
mod brokers;
mod catalog;
mod charges;
mod cli;
mod cluster;
#[path = "../../../otlp/tests/it/collector.rs"]
mod collector;
mod crash;
mod deploy;
mod desk;
mod disk;
mod drill;
mod durable;
mod gateway;
#[cfg(feature = "kafka")]
mod kafka;
mod load;
mod notification;
mod outages;
mod pair;
mod pooled;
mod relocate;
mod replicas;
mod secrets;
mod server;
#[cfg(feature = "kafka")]
mod topics;
mod traces;
mod ways;
