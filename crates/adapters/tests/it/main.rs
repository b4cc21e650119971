//! Adapters against real servers, and against small ones on loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "mail")]
mod mail;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "kafka")]
mod topics;
#[cfg(feature = "webhook")]
mod webhook;
