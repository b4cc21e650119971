//! Connections: taken in, watched, bounded, and let go.
//!
//! ```text
//! accept ─▶ room? ──no──▶ 503 on the bare socket, closed
//!             │yes
//!             ▼
//!   seat: idle ─▶ head ─▶ serving ─▶ writing ─┐      hyper speaks HTTP/1.1; the seat says in
//!           ▲      │                  │       │      which of these it is, and since when
//!           └──────┼──────────────────┼───────┘
//!                  ▼ too long         ▼ too long
//!              408, closed          closed
//! ```
//!
//! | what others do | what happens |
//! |---|---|
//! | open connections and say nothing | a task and a socket each, no buffer; closed after `idle` |
//! | send a header byte by byte, or half of it | 408 and closed after `header` |
//! | send a header that is too large | 431, closed (hyper) |
//! | do not read their answers | closed after `header` |
//! | send a body byte by byte, or too much of it | 408, 413 (`call`) |
//! | vanish without a word | closed after `idle` |
//!
//! Orders that are refused for overload are answered before hyper sees them (`turnstile`).
//!
//! There is no timer per connection and no clock on the way of a request: one sweep looks at every
//! seat a few times within the shortest limit, so a limit is kept to a quarter of it.

mod seat;
mod turnstile;
mod wire;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::Api;
use crate::codes::Own;
use crate::problem::Problem;
use crate::route;

use seat::{Clock, Seats};

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// At most so many at a time.
    pub most: usize,
    /// A header arrives, and an answer is read, within this.
    pub header: Duration,
    /// A connection without a request is kept so long.
    pub idle: Duration,
    /// The longest header, with the request line.
    pub header_bytes: usize,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            most: 16_384,
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            header_bytes: 16 << 10,
        }
    }
}

/// What `/metrics` says of connections.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) open: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) timed_out: AtomicU64,
}

/// The other end of a connection, when limits want to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Serves `api` on `listener` until `stop`, then lets those who wait finish.
pub async fn serve(
    listener: TcpListener,
    api: Arc<Api>,
    limits: Connections,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let clock = Arc::new(Clock::new(Instant::now()));
    let mut hall = Hall {
        router: crate::router(Arc::clone(&api)),
        api,
        limits,
        clock,
        seats: Arc::default(),
        place: route::all().position(|route| route.name == PLACE).unwrap_or_default(),
        tasks: JoinSet::new(),
    };
    let mut stop = std::pin::pin!(stop);
    let mut sweep = interval(limits.header.min(limits.idle).div_f64(4.0).max(SWEEP));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = sweep.tick() => hall.sweep(),
            Some(_) = hall.tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => hall.admit(stream, peer.ip()),
                Err(error) => rest(&error).await,
            },
        }
    }
    drop(listener);
    hall.seats.stop();
    loop {
        tokio::select! {
            gone = hall.tasks.join_next() => if gone.is_none() { return Ok(()) },
            _ = sweep.tick() => hall.sweep(),
        }
    }
}

/// The endpoint whose refusals can be cut short.
const PLACE: &str = "order.place";

/// The shortest pause between two sweeps.
const SWEEP: Duration = Duration::from_millis(5);

/// A connection that broke before it was taken is nothing; anything else, such as too many open
/// files, will not be better at once.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "no connection can be taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Hall {
    api: Arc<Api>,
    router: Router,
    limits: Connections,
    clock: Arc<Clock>,
    seats: Arc<Seats>,
    place: usize,
    tasks: JoinSet<()>,
}

impl Hall {
    fn admit(&mut self, stream: TcpStream, peer: IpAddr) {
        let seen = &self.api.connections;
        if self.tasks.len() >= self.limits.most {
            seen.refused.fetch_add(1, Ordering::Relaxed);
            let detail = "too many connections; use fewer and keep them open";
            return say(&stream, &self.api, Own::TooManyConnections, detail);
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection without TCP_NODELAY");
        }
        seen.accepted.fetch_add(1, Ordering::Relaxed);
        let seat = self.seats.take(&self.clock);
        let visit = wire::Visit {
            api: Arc::clone(&self.api),
            router: self.router.clone(),
            seat,
            seats: Arc::clone(&self.seats),
            header_bytes: self.limits.header_bytes,
            peer: self.api.limits.wants_addresses().then_some(Peer(peer.to_canonical())),
            place: self.place,
        };
        self.tasks.spawn(visit.run(stream));
        seen.open.store(self.tasks.len() as u64, Ordering::Relaxed);
    }

    fn sweep(&mut self) {
        self.clock.wind(Instant::now());
        self.seats.sweep(self.clock.now(), &self.limits);
        self.api.connections.open.store(self.tasks.len() as u64, Ordering::Relaxed);
    }
}

/// Answers on the bare socket, as far as it takes it at once. The connection is closed.
fn say(stream: &TcpStream, api: &Api, own: Own, detail: &'static str) {
    let problem = Problem::of(own, detail);
    let id = crate::call::minted(api);
    let body = String::from_utf8(problem.render(&id)).unwrap_or_default();
    let status = crate::codes::row_of(own.code()).status;
    let reason = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let text = format!(
        "HTTP/1.1 {reason}\r\ncontent-type: application/problem+json\r\nx-correlation-id: {id}\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    );
    let _ = stream.try_write(text.as_bytes());
}
