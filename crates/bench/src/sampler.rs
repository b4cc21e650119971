//! The server, looked at once a second while the load runs: what waits, what a commit costs, how far
//! the consumers are behind, and how busy it is.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::control::Client;
use crate::counters::Counters;
use crate::server::Server;

/// A look so many seconds from a full second counts as one at it.
pub(crate) const CLOSE: f64 = 0.3;

/// What one look saw. `None` is what could not be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    /// Seconds since the phase began.
    pub(crate) at: f64,
    pub(crate) waiting: Option<f64>,
    pub(crate) commits: Option<f64>,
    pub(crate) commit_s: Option<f64>,
    pub(crate) written: Option<f64>,
    pub(crate) taken: Option<f64>,
    /// CPU time of the server so far, microseconds.
    pub(crate) cpu_us: Option<f64>,
    pub(crate) memory_mb: Option<f64>,
    pub(crate) wal_mb: Option<f64>,
    pub(crate) files_mb: Option<f64>,
}

impl Sample {
    fn take(at: f64, client: &mut Client, server: Option<&Server>) -> Self {
        let counters = Counters::read(client);
        Self {
            at,
            waiting: counters.get("jangbu_mailbox_waiting"),
            commits: counters.get("jangbu_commits_total"),
            commit_s: counters.get("jangbu_phase_seconds_total{phase=\"commit\"}"),
            written: counters.get("jangbu_outbox_seq"),
            taken: counters.taken(),
            cpu_us: server.and_then(Server::cpu_us),
            memory_mb: server.and_then(Server::memory_mb),
            wal_mb: server.and_then(|server| server.file_mb("jangbu.db-wal")),
            files_mb: server.and_then(Server::files_mb),
        }
    }
}

/// Looks at every full second, at the end of the arrivals, and when `done` is dropped.
pub(crate) fn watch(
    mut client: Client,
    server: Option<&Server>,
    length: Duration,
    done: &Receiver<()>,
) -> Vec<Sample> {
    let (clock, mut samples) = (Instant::now(), Vec::new());
    let mut next = Duration::ZERO;
    loop {
        let pause = next.saturating_sub(clock.elapsed());
        let over = done.recv_timeout(pause) != Err(RecvTimeoutError::Timeout);
        let at = clock.elapsed().as_secs_f64();
        let close = |sample: &Sample| at - sample.at < CLOSE;
        if over && samples.last().is_some_and(close) {
            return samples;
        }
        samples.push(Sample::take(at, &mut client, server));
        if over {
            return samples;
        }
        let second = next + Duration::from_secs(1);
        let second = Duration::from_secs(second.as_secs());
        next = if next < length && length < second { length } else { second };
    }
}

/// The look at the end of the arrivals: the first one that is not before it.
pub(crate) fn at_end(samples: &[Sample], length: Duration) -> Option<&Sample> {
    samples.iter().find(|sample| sample.at >= length.as_secs_f64() - 0.05)
}
