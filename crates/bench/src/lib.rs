//! The open-model load generator of Jangbu, and the certificates that it writes.
//!
//! A run is a fixed sequence, see [`run()`]:
//!
//! | step | what |
//! |---|---|
//! | 1 | a fresh directory on a real disk, the sync measured, an own server process (or a target) |
//! | 2 | products put on sale through the API (for orders) |
//! | 3 | warm-up; search for the highest rate, if asked |
//! | 4 | the measured phase, between two readings of the server's counters; drained |
//! | 5 | server stopped, the books proven against the journal of acknowledgements |
//! | 6 | certificate: figures, conditions, pass marks |
//!
//! Honest by construction: arrivals are decided before the first request is sent, latencies count
//! from the intended start, every arrival is in exactly one count, what was not measured is null,
//! and a number without its proof never passes.

mod aged;
mod args;
mod arrivals;
mod certificate;
mod certify;
mod control;
mod counters;
mod desk;
mod dice;
mod generator;
mod issues;
mod journal;
mod journals;
mod load;
mod machine;
mod marks;
mod outcome;
mod overload;
mod page;
mod passes;
mod payment_requests;
mod payments;
mod plot;
mod pool;
mod progress;
mod purse;
mod report;
mod run;
mod sampler;
mod search;
mod seed;
mod series;
mod server;
mod signature;
mod stage;
mod tally;
mod trade;
mod trend;
mod wire;
mod world;

use std::path::{Path, PathBuf};

pub use crate::aged::{Age, Aged};
pub use crate::args::{Args, PaymentMix, Preset};
pub use crate::certificate::{
    Batch, Certificate, Conditions, Cpu, Events, Facts, Memory, Paid, PerOrder, Phases, Posted,
    Probe, Proof, Replays, Sums,
};
pub use crate::issues::Positions;
pub use crate::journals::Balances;
pub use crate::machine::{Disk, Machine};
pub use crate::marks::Mark;
pub use crate::overload::{Overload, Step};
pub use crate::page::page;
pub use crate::run::{publish, run};
pub use crate::series::Second;
pub use crate::server::Started;
pub use crate::tally::Quantiles;
pub use crate::trend::Trend;

/// Proves a stopped data directory against a journal of acknowledgements.
pub type Prover<'a> = Box<dyn Fn(&Path, &Path) -> anyhow::Result<Proof> + 'a>;

/// What the application lends to a run.
pub struct Hooks<'a> {
    /// What it knows about its own server.
    pub facts: Facts,
    /// Settings for its own server, as environment variables.
    pub settings: Vec<(&'static str, String)>,
    /// Data directory and journal to proof.
    pub prove: Prover<'a>,
}

impl std::fmt::Debug for Hooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Proven, and every pass mark reached.
    Passed,
    /// Proven, but a pass mark was missed.
    Missed,
    /// The proof or a repeated key found something wrong.
    Finding,
    /// The proof did not run.
    Unproven,
}

impl Verdict {
    /// The exit code; missed pass marks count only if `strict`.
    pub fn exit_code(self, strict: bool) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Missed => u8::from(strict),
            Self::Finding => 1,
            Self::Unproven => 4,
        }
    }
}

/// A finished run.
#[derive(Debug)]
pub struct Done {
    /// What it measured.
    pub certificate: Certificate,
    /// How it ended.
    pub verdict: Verdict,
    /// The directory of the run, if it was kept: on request, or because somebody has to look at it.
    pub kept: Option<PathBuf>,
}

/// Why a run did not get to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The directory of the run cannot be used.
    #[error("{0}")]
    Directory(String),
    /// The server did not start, stopped early or did not stop.
    #[error("{0}")]
    Server(String),
    /// A request besides the load failed.
    #[error("{0}")]
    Http(String),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// 2 bad usage, 3 unusable directory, 4 could not run to the end.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Directory(_) => 3,
            Self::Server(_) | Self::Http(_) | Self::Io { .. } => 4,
        }
    }

    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
