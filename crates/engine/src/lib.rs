//! The imperative shell, written once: cells, mailboxes, batches, timers, the executor of
//! external calls. Knows no commerce and no SQL; time comes in from outside.
//!
//! | module | holds |
//! |---|---|
//! | [`port`] | what a store must offer: tables as const data, reads, writes, commit |
//! | [`mod@unit`] | a domain behind its adapter, erased |
//! | [`cell`] | the loop: gather, load, decide, save, commit, answer |
//! | [`mailbox`] | what waits for a cell, bounded |
//! | [`books`] | the engine's own rows: shard, idempotency, outbox, poison, audit |
//! | [`desk`] | what operators ask of the engine itself |
//! | [`poison`] | what is kept of commands that could not be processed |
//! | [`owner`] | the thread that drives a cell, or has another process drive it |
//! | [`lease`], [`role`] | for how long a cell is this process'; what this process is to it |
//! | [`chore`] | long work of the owner, in slices between commits |
//! | [`copy`] | a copy of the database while it is worked with |
//! | [`keep`] | how long the engine's own rows are kept |
//! | [`executor`] | calls to the outside: bulkhead, deadline, every answer brought back |
//! | [`breaker`] | when not to call at all |
//! | [`counters`] | what the loop has done, phase by phase |
//! | [`position`] | how far a cell has come, for who reads after a write |
//! | [`mod@trace`] | spans of traced commands: the port, and the bounded queue behind it |
//! | [`clock`] | the only adapter to the machine's clock |

pub mod books;
pub mod breaker;
pub mod cell;
pub mod chore;
pub mod clock;
pub mod copy;
pub mod counters;
pub mod desk;
pub mod executor;
pub mod keep;
pub mod lease;
pub mod mailbox;
pub mod owner;
pub mod poison;
pub mod port;
pub mod position;
pub mod role;
pub mod trace;
pub mod unit;
