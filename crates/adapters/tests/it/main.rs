//! Adapters against the real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "redis")]
mod redis;
