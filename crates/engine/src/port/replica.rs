//! Servers that follow the store's own, for reads that can bear a moment's delay.

use std::fmt::Debug;
use std::time::Duration;

use super::{Fault, Reader};
use crate::position::Position;

/// How a replica stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Why it must not be read now; none: it may be.
    pub away: Option<&'static str>,
    /// At most so far it is behind; none: nobody knows.
    pub lag: Option<Duration>,
    /// Every read from now on sees this position, or a later one.
    pub reached: Position,
}

/// A server that follows the store's own and may be behind it.
///
/// It is no [`Backend`](super::Backend), and no backend leads to one: whoever owns a cell, recalls a request or
/// decides about a payment is given a backend, and so cannot come by a stale row.
pub trait Replica: Send + Sync + Debug {
    /// What it is called: for metrics and logs.
    fn name(&self) -> &str;

    /// How it stands now. Asks nobody: looks are made beside it.
    fn sight(&self) -> Sight;

    /// Opens one more reader of the truth.
    fn truth(&self) -> Result<Box<dyn Reader>, Fault>;

    /// Opens one more reader of what is derived from it.
    fn derived(&self) -> Result<Box<dyn Reader>, Fault>;

    /// At most so many readers of each should be open in a process.
    fn most_readers(&self) -> usize;
}
