//! The way between two or more processes of one shop, which share a database.
//!
//! One of them owns a cell and alone writes; the others send it what comes to them and hear what it
//! says. Who owns what is decided by leases in the store ([`jangbu_engine::owner`]); this is how
//! they talk.
//!
//! ```text
//! client ─▶ follower: mailbox ─▶ session ══ batches ══▶ door: mailbox ─▶ cell ─▶ commit
//!                                   │ ◀═ answers, signals of all commits ═ line ◀──┘
//!                                   └▶ waiters, hub
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`codec`] | commands, replies and rejects of every unit as bytes |
//! | `wire`, `signal`, `frame` | what travels, and how it lies on the connection |
//! | `greeting` | who is let in |
//! | `door` | the owner's side |
//! | `session` | the follower's side, and what becomes of commands when the link ends |
//! | `slot` | what keeps the ids of two processes apart |
//!
//! One TCP connection for each follower and cell, synchronous threads, postcard. A batch that comes
//! twice does no harm: commands are idempotent, each by its origin (the table is in `session`).
//!
//! Secrets in commands travel here, and nowhere else: card tokens on their way to the gateway.

pub mod codec;
mod door;
mod envoy;
mod frame;
mod greeting;
mod session;
mod signal;
mod slot;
mod stats;
mod wire;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::port::Fault;
use jangbu_kernel::Secret;
use parking_lot::Mutex;

use door::Line;
use greeting::{Credentials, No};
use stats::Stats;

pub use greeting::Random;
pub use stats::LinkStats;

pub(crate) use door::Door;
pub(crate) use envoy::{Envoy, Post};

/// A secret of fewer bytes can be guessed.
pub const SECRET: usize = 16;

/// At most so many connections, greeted or not.
const CONNECTIONS: usize = 256;

/// How a process shares its cells with others.
#[derive(Clone)]
pub struct Sharing {
    /// Where it hears others; port 0: any that is free.
    pub listen: SocketAddr,
    /// Where others reach it; none: where it listens.
    pub advertise: Option<String>,
    /// What all processes of the shop know, and nobody else.
    pub secret: Secret,
    /// How long a lease of the store lasts.
    pub lease: Duration,
    /// Fills bytes that nobody can guess.
    pub random: Random,
}

impl std::fmt::Debug for Sharing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sharing").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl Sharing {
    /// Why it cannot be used, if it cannot.
    pub fn fault(&self) -> Option<&'static str> {
        let length = self.secret.reveal().len();
        if length > 0 && length < SECRET {
            return Some("link.secret must have 16 bytes or more");
        }
        if length == 0 && !self.listen.ip().is_loopback() {
            return Some("link.listen is not a loopback address: link.secret is required");
        }
        None
    }
}

/// A socket that listens, and who it belongs to.
#[derive(Debug)]
pub(crate) struct Bound {
    listener: TcpListener,
    /// Where others reach this process.
    pub(crate) address: String,
    stats: Arc<Stats>,
}

impl Bound {
    /// Listens as `sharing` says. Nobody is let in yet.
    pub(crate) fn bind(sharing: &Sharing) -> Result<Self, Fault> {
        if let Some(why) = sharing.fault() {
            return Err(Fault::Fatal(why.to_owned()));
        }
        let failed = |error| Fault::Fatal(format!("link.listen {}: {error}", sharing.listen));
        let listener = TcpListener::bind(sharing.listen).map_err(failed)?;
        let own = listener.local_addr().map_err(failed)?;
        let address = sharing.advertise.clone().unwrap_or_else(|| own.to_string());
        Ok(Self { listener, address, stats: Arc::default() })
    }
}

/// This process' end of the link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where others reach this process.
    pub(crate) address: String,
    own: Option<SocketAddr>,
    hall: Arc<Hall>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where followers come in.
struct Hall {
    doors: Vec<Arc<Door>>,
    credentials: Credentials,
    stats: Arc<Stats>,
    open: AtomicUsize,
    stopping: AtomicBool,
}

impl std::fmt::Debug for Hall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hall").field("doors", &self.doors).finish_non_exhaustive()
    }
}

impl Link {
    /// Lets followers of the cells behind `doors` in, as long as these are open.
    pub(crate) fn start(
        bound: Bound,
        sharing: &Sharing,
        doors: Vec<Arc<Door>>,
    ) -> Result<Self, Fault> {
        let Bound { listener, address, stats } = bound;
        let credentials = credentials(sharing);
        let (open, stopping) = (AtomicUsize::new(0), AtomicBool::new(false));
        let hall = Arc::new(Hall { doors, credentials, stats, open, stopping });
        let own = listener.local_addr().ok();
        let accepting = Arc::clone(&hall);
        let run = move || accepting.accept(&listener);
        let thread = std::thread::Builder::new().name("jangbu-link".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { address, own, hall, thread: Mutex::new(Some(thread)) })
    }

    /// The door of cell number `at`.
    pub(crate) fn door(&self, at: usize) -> Option<&Arc<Door>> {
        self.hall.doors.get(at)
    }

    /// Number of followers of cell number `at`.
    pub(crate) fn followers(&self, at: usize) -> usize {
        self.door(at).map_or(0, |door| door.followers())
    }

    /// Ends every connection of followers, as a broken network would.
    pub(crate) fn cut(&self) {
        self.hall.doors.iter().for_each(|door| door.cut());
    }

    /// What it has done.
    pub(crate) fn stats(&self) -> LinkStats {
        let followers = self.hall.doors.iter().map(|door| door.followers()).sum();
        door::counted(&self.hall.stats, followers);
        self.hall.stats.snapshot()
    }

    /// Lets nobody in any more, and ends every connection.
    pub(crate) fn stop(&self) {
        self.hall.stopping.store(true, Ordering::Release);
        let Some(thread) = self.thread.lock().take() else { return };
        // The thread waits for a connection: it gets one.
        let woken = self.own.is_some_and(|own| {
            TcpStream::connect_timeout(&reachable(own), Duration::from_secs(1)).is_ok()
        });
        if woken && thread.join().is_err() {
            tracing::error!("the thread of the link panicked");
        }
        self.cut();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where a socket that listens everywhere can be reached from here.
fn reachable(own: SocketAddr) -> SocketAddr {
    let ip = match own.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, own.port())
}

fn credentials(sharing: &Sharing) -> Credentials {
    Credentials { secret: sharing.secret.clone(), random: sharing.random }
}

impl Hall {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let accepted = listener.accept();
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            match accepted {
                Ok((stream, from)) => self.welcome(stream, from),
                Err(error) => tracing::warn!(%error, "a connection of the link is lost"),
            }
        }
    }

    fn welcome(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        if self.open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            self.open.fetch_sub(1, Ordering::AcqRel);
            tracing::warn!(%from, "too many connections of the link");
            return;
        }
        let hall = Arc::clone(self);
        let run = move || {
            hall.host(&stream, from);
            hall.open.fetch_sub(1, Ordering::AcqRel);
        };
        let thread = std::thread::Builder::new().name("jangbu-link-in".to_owned()).spawn(run);
        if let Err(error) = thread {
            self.open.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(%error, "no thread for a follower");
        }
    }

    /// Greets a follower and serves it until it leaves.
    fn host(&self, stream: &TcpStream, from: SocketAddr) {
        let mut greets = stream;
        let greeted = door::tuned(stream).and_then(|()| {
            greeting::admit(&mut greets, &self.credentials, |cell, slot| {
                let door = self.doors.get(usize::from(cell)).ok_or(No::NotOwner)?;
                let (slot, line) = door.admit(stream, slot)?;
                Ok((slot, (Arc::clone(door), line)))
            })
        });
        let (door, line) = match greeted {
            Ok(admitted) => admitted,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    Stats::add(&self.stats.refused, 1);
                }
                tracing::warn!(%from, %error, "a process is not let in");
                return;
            }
        };
        tracing::info!(%from, "a follower is linked");
        let writing: Arc<Line> = Arc::clone(&line);
        let writer = std::thread::Builder::new().name("jangbu-link-out".to_owned());
        match writer.spawn(move || writing.write()) {
            Ok(writer) => {
                door.serve(&line);
                if writer.join().is_err() {
                    tracing::error!("the writer of a follower panicked");
                }
            }
            Err(error) => tracing::error!(%error, "no thread for a follower"),
        }
        tracing::info!(%from, "a follower has left");
    }
}
