//! A way to a server on which single answers get lost: what a proxy that knows nothing of the dialogue
//! ([`Toxiproxy`](crate::Toxiproxy)) cannot do.
//!
//! | method | what happens |
//! |---|---|
//! | [`freeze`](Wire::freeze) | connections that stand say nothing any more, for ever; new ones are fine |
//! | [`lose`](Wire::lose) | the next thing that somebody says does not arrive, or the next answer of a kind does not; then the connection breaks |
//!
//! It runs in this process, on threads that block: two for each connection.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use parking_lot::Mutex;

use crate::error::{Error, Result};

/// How much is passed on at a time.
const PIECE: usize = 64 << 10;

/// What gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What is said: the server never hears it.
    Question,
    /// The answer: the server has done it.
    Answer,
}

/// Whose words are lost.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// What the connection has said of itself.
    pub who: &'static [u8],
    /// What the answer that is lost has in it.
    pub answer: &'static [u8],
}

/// A way through this process. Dropped, it breaks all connections and takes no more.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    aim: Aim,
    /// The number of the next connection, and below which they are frozen.
    next: AtomicU64,
    frozen: AtomicU64,
    /// What is to be lost next, and how often something was.
    wanted: Mutex<Option<Lost>>,
    lost: AtomicU64,
    closed: AtomicBool,
    ends: Mutex<Vec<TcpStream>>,
}

impl Wire {
    /// A way to `upstream` (`127.0.0.1:5432`) on which messages at `aim` may get lost.
    pub fn start(upstream: &str, aim: Aim) -> Result<Self> {
        let failed = |source| Error::io(format!("making a way to {upstream}"))(source);
        let upstream =
            upstream.parse().map_err(|_| failed(std::io::ErrorKind::InvalidInput.into()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let shared = Arc::new(Shared {
            upstream: upstream?,
            aim,
            next: AtomicU64::new(0),
            frozen: AtomicU64::new(0),
            wanted: Mutex::new(None),
            lost: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            ends: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { port, shared })
    }

    /// Where clients go.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that stand say nothing any more, and nobody is told. New ones are fine.
    pub fn freeze(&self) {
        self.shared.frozen.store(self.shared.next.load(Ordering::Acquire), Ordering::Release);
    }

    /// What is said next by whom it aims at is lost, or the next answer of that kind is.
    pub fn lose(&self, what: Lost) {
        *self.shared.wanted.lock() = Some(what);
    }

    /// How often something was lost.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Acquire)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        // Wakes who accepts; there is nobody to be told that it failed.
        _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        for end in self.shared.ends.lock().iter() {
            _ = end.shutdown(Shutdown::Both);
        }
    }
}

/// One direction of a connection.
struct Way {
    shared: Arc<Shared>,
    number: u64,
    from: TcpStream,
    to: TcpStream,
    /// The connection is one of those that are aimed at.
    known: Arc<AtomicBool>,
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            // Who cannot be connected sees the connection end.
            drop(self.join(&stream));
        }
    }

    fn join(self: &Arc<Self>, client: &TcpStream) -> std::io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        self.ends.lock().extend([client.try_clone()?, server.try_clone()?]);
        let known = Arc::new(AtomicBool::new(false));
        let way = |from: &TcpStream, to: &TcpStream| {
            let (shared, known) = (Arc::clone(self), Arc::clone(&known));
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            Ok::<_, std::io::Error>(Way { shared, number, from, to, known })
        };
        let (up, down) = (way(client, &server)?, way(&server, client)?);
        thread::spawn(move || up.run(Way::ask));
        thread::spawn(move || down.run(Way::answer));
        Ok(())
    }
}

/// Looks for words in what comes in pieces.
#[derive(Default)]
struct Seen(Vec<u8>);

impl Seen {
    /// Whether the words end in this piece.
    fn ends(&mut self, words: &[u8], piece: &[u8]) -> bool {
        let begin = self.0.len().saturating_sub(words.len() - 1);
        self.0.drain(..begin);
        self.0.extend_from_slice(piece);
        self.0.windows(words.len()).any(|window| window == words)
    }
}

impl Way {
    /// Passes on what comes, as long as `pass` says so.
    fn run(mut self, pass: fn(&Self, &mut Seen, &[u8]) -> bool) {
        let (mut piece, mut seen) = (vec![0; PIECE], Seen::default());
        while let Ok(count) = self.from.read(&mut piece)
            && count > 0
        {
            // What comes on a frozen connection is taken and forgotten.
            if self.number < self.shared.frozen.load(Ordering::Acquire) {
                continue;
            }
            if !pass(&self, &mut seen, &piece[..count])
                || self.to.write_all(&piece[..count]).is_err()
            {
                break;
            }
        }
        _ = self.from.shutdown(Shutdown::Both);
        _ = self.to.shutdown(Shutdown::Both);
    }

    /// From the client.
    fn ask(&self, seen: &mut Seen, piece: &[u8]) -> bool {
        if self.known.load(Ordering::Acquire) {
            return !self.is_lost(Lost::Question);
        }
        self.known.store(seen.ends(self.shared.aim.who, piece), Ordering::Release);
        true
    }

    /// From the server.
    fn answer(&self, seen: &mut Seen, piece: &[u8]) -> bool {
        let ends = seen.ends(self.shared.aim.answer, piece);
        !(ends && self.known.load(Ordering::Acquire) && self.is_lost(Lost::Answer))
    }

    /// Whether this is what is to be lost.
    fn is_lost(&self, what: Lost) -> bool {
        let lost = self.shared.wanted.lock().take_if(|wanted| *wanted == what).is_some();
        self.shared.lost.fetch_add(lost.into(), Ordering::AcqRel);
        lost
    }
}
