//! Payment gateways: the port through which Jangbu asks for money, and a simulated gateway behind it.
//!
//! | module | what it is |
//! |---|---|
//! | [`gateway`] | the port: [`Request`] in, [`Said`] out, exactly one method to implement |
//! | [`simulator`] | a gateway inside the process: latency, declines, silence, duplicates, outages, all seeded |
//! | [`remote`] | that gateway as a process of its own, over HTTP, and the way to it |
//! | [`log`] | the simulated gateway's own durable record of what it did; the format is in README.md |
//!
//! The crate knows nothing of orders, rows or the engine, and no other crate of the workspace is
//! below it. The simulator is a stranger on purpose: it keeps its books in its own file, writes
//! them before it answers, and `jangbu prove` reads that file as it would read a bank statement.

pub mod gateway;
pub mod log;
pub mod remote;
pub mod simulator;

pub use gateway::{Currency, Done, Gateway, Op, Reason, Request, Said, Webhook};
pub use simulator::{Outage, SimConfig, Simulator};
