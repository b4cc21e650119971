//! The simulated gateway as a process of its own, over HTTP/1.1.
//!
//! A gateway inside the process dies with it, and two processes would have two. [`Server`] is the
//! [`Simulator`](crate::Simulator) behind a socket; [`Remote`] is the port's other end.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/requests`, a [`Request`](crate::Request) as JSON, `traceparent` if it is traced | a [`Said`](crate::Said) as JSON; **or the connection ends without one**: silence |
//! | `GET /v1/stats` | [`Stats`](crate::simulator::Stats) as JSON |
//! | `GET /livez` | 200 |
//!
//! What [`Remote`] makes of everything that happens on the way:
//!
//! | what happened | [`Said`](crate::Said) |
//! |---|---|
//! | no connection: refused, or none within [`CONNECT`] | `NotSent` |
//! | a kept connection was closed before a byte of the request was written | sent on another one |
//! | the connection broke after that, or nothing came within [`ANSWER`] | `Unknown` |
//! | an answer that is none: another status, no JSON | `Unknown` |
//!
//! So `NotSent` is only said when it is certain, and everything else is for an inquiry to tell.
//!
//! **Webhooks.** A request may carry `webhook: PORT/SECRET`. News goes to whoever asked last, by
//! `POST http://<address of the asker>:PORT/SECRET`, up to [`TRIES`] times: so the process that took over hears
//! what its predecessor asked for, and only who was told the secret can tell news. Lost news loses
//! nothing, because whoever waits for it inquires.

mod client;
mod hall;
mod pool;
mod server;

use std::{sync::Arc, time::Duration};

pub use self::{client::Remote, server::Server};

/// Hears the `traceparent` of a request that came; what it gives is called when it was answered.
pub type Traced = Arc<dyn Fn(&str) -> Option<Box<dyn FnOnce() + Send>> + Send + Sync>;

/// How long a connection may take to be made: longer than the second after which TCP asks again when its
/// first packet was lost, or met a listener that had no room.
pub const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take. A gateway that is silent for longer has said nothing.
pub const ANSWER: Duration = Duration::from_secs(10);
/// How often news is told to somebody who does not take it.
pub const TRIES: u32 = 5;

/// Where requests go.
const REQUESTS: &str = "/v1/requests";
/// The header that says where news is heard.
const WEBHOOK: &str = "webhook";
/// The header that says which span a request is below.
const TRACE: &str = "traceparent";
/// The longest body.
const BODY: usize = 64 << 10;

/// Why the process cannot talk.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address makes no sense.
    #[error("{0:?} is not an address such as http://127.0.0.1:7075")]
    Address(String),
    /// It cannot be listened there.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no thread for it.
    #[error("the thread of the gateway's connections cannot be started")]
    Thread(#[source] std::io::Error),
    /// The system has no randomness.
    #[error("no secret could be made")]
    Random(#[source] getrandom::Error),
    /// The simulated gateway cannot start.
    #[error(transparent)]
    Start(#[from] crate::simulator::StartError),
}

/// One thread for all connections.
fn runtime(name: &str) -> Result<tokio::runtime::Runtime, RemoteError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name(name).enable_io().enable_time();
    builder.build().map_err(RemoteError::Thread)
}
