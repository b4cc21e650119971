//! The exporter and a collector that is there, away, or silent.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod collector;
mod export;
