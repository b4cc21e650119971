//! A way to a server on which single answers get lost: what a proxy that knows nothing of the dialogue
//! ([`Toxiproxy`](crate::Toxiproxy)) cannot do.
//!
//! | method | what happens |
//! |---|---|
//! | [`freeze`](Wire::freeze) | connections that stand say nothing any more, for ever; new ones are fine |
//! | [`lose`](Wire::lose) | the next message that somebody sends does not arrive, or its answer does not; then the connection breaks |
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
    /// The message: the server never hears it.
    Question,
    /// The answer: the server has heard the message, and has said so.
    Answer,
}

/// Whose message is lost, and where its answer ends.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// What the connection has said of itself.
    pub who: &'static [u8],
    /// The message.
    pub question: &'static [u8],
    /// The answer to it, one of these.
    pub answers: &'static [&'static [u8]],
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

    /// The next message that it aims at is lost, or its answer is.
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
    /// Its answer is awaited, and will not be passed on.
    swallow: Arc<AtomicBool>,
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
        let swallow = Arc::new(AtomicBool::new(false));
        let way = |from: &TcpStream, to: &TcpStream| {
            let (shared, swallow) = (Arc::clone(self), Arc::clone(&swallow));
            Ok::<_, std::io::Error>(Way {
                shared,
                number,
                from: from.try_clone()?,
                to: to.try_clone()?,
                swallow,
            })
        };
        let (up, down) = (way(client, &server)?, way(&server, client)?);
        thread::spawn(move || up.run(Way::ask));
        thread::spawn(move || down.run(Way::answer));
        Ok(())
    }
}

/// What is still to be recognised: the end of what came before, and what came now.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// The connection is the one that is aimed at.
    known: bool,
}

impl Seen {
    fn add(&mut self, piece: &[u8], keep: usize) {
        let begin = self.bytes.len().saturating_sub(keep);
        self.bytes.drain(..begin);
        self.bytes.extend_from_slice(piece);
    }

    fn has(&self, wanted: &[u8]) -> bool {
        self.bytes.windows(wanted.len()).any(|window| window == wanted)
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
        let aim = &self.shared.aim;
        let longest = aim.who.len().max(aim.question.len());
        seen.add(piece, longest.saturating_sub(1));
        seen.known |= seen.has(aim.who);
        if !seen.known || !seen.has(aim.question) {
            return true;
        }
        seen.bytes.clear();
        match self.shared.wanted.lock().take() {
            None => true,
            Some(Lost::Answer) => {
                self.swallow.store(true, Ordering::Release);
                true
            }
            Some(Lost::Question) => {
                self.shared.lost.fetch_add(1, Ordering::AcqRel);
                false
            }
        }
    }

    /// From the server: an answer that is to be lost is heard to its end, and not passed on.
    fn answer(&self, seen: &mut Seen, piece: &[u8]) -> bool {
        if !self.swallow.load(Ordering::Acquire) {
            return true;
        }
        let aim = &self.shared.aim;
        let mut from = &self.from;
        let (mut more, mut count) = (vec![0; PIECE], piece.len());
        seen.add(piece, 0);
        while !aim.answers.iter().any(|answer| seen.has(answer)) && count > 0 {
            count = from.read(&mut more).unwrap_or(0);
            seen.add(&more[..count], PIECE);
        }
        self.shared.lost.fetch_add(1, Ordering::AcqRel);
        false
    }
}
