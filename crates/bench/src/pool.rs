//! Keep-alive connections on one epoll: one outstanding request each, opened on demand.
//!
//! Edge-triggered: a connection is registered once for its whole life, and a short read means that
//! there is no more for now. A request costs one write, one read and its share of a wait.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

use crate::wire::{Answer, Parsed, parse};

/// How long opening one connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Room for one answer; longer ones are gathered piece by piece.
const READ_SIZE: usize = 64 << 10;
/// No answer to an order is longer.
const ANSWER_LIMIT: usize = 1 << 20;

/// Connections to one address; `J` says what a connection is waiting for.
#[derive(Debug)]
pub(crate) struct Pool<J> {
    epoll: OwnedFd,
    address: SocketAddr,
    most: usize,
    slots: Vec<Option<Conn<J>>>,
    /// Idle connections, the most recently used last: few busy ones stay warm in the caches.
    idle: Vec<usize>,
    vacant: Vec<usize>,
    busy: usize,
    input: Box<[u8]>,
}

#[derive(Debug)]
struct Conn<J> {
    stream: TcpStream,
    job: Option<J>,
    /// What the socket did not take yet.
    rest: Vec<u8>,
    /// The beginning of an answer that goes on.
    partial: Vec<u8>,
}

/// What an event on a connection brought.
#[derive(Debug)]
pub(crate) enum Got<J> {
    Nothing,
    /// The answer was handed to the callback.
    Answer,
    /// The connection ended, and with it this job.
    Broken(J),
}

impl<J> Pool<J> {
    pub(crate) fn new(address: SocketAddr, most: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            address,
            most,
            slots: Vec::new(),
            idle: Vec::new(),
            vacant: Vec::new(),
            busy: 0,
            input: vec![0; READ_SIZE].into_boxed_slice(),
        })
    }

    pub(crate) fn busy(&self) -> usize {
        self.busy
    }

    pub(crate) fn open(&self) -> usize {
        self.busy + self.idle.len()
    }

    /// A connection without a job: an idle one, else a new one, else none.
    pub(crate) fn acquire(&mut self) -> io::Result<Option<usize>> {
        if let Some(slot) = self.idle.pop() {
            return Ok(Some(slot));
        }
        if self.busy >= self.most { Ok(None) } else { self.connect().map(Some) }
    }

    fn connect(&mut self) -> io::Result<usize> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &stream, EventData::new_u64(slot as u64), flags)?;
        self.slots[slot] = Some(Conn { stream, job: None, rest: Vec::new(), partial: Vec::new() });
        Ok(slot)
    }

    /// Sends a request on a connection from [`Pool::acquire`]. Gives the job back if it cannot.
    pub(crate) fn send(&mut self, slot: usize, request: &[u8], job: J) -> Result<(), J> {
        let Some(conn) = self.slots[slot].as_mut() else { return Err(job) };
        let sent = match conn.stream.write(request) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.close(slot);
                return Err(job);
            }
        };
        conn.rest.extend_from_slice(&request[sent..]);
        conn.job = Some(job);
        self.busy += 1;
        Ok(())
    }

    /// Waits for events, at most `limit`. The slots with news are put into `ready`.
    pub(crate) fn wait(
        &self,
        events: &mut Vec<Event>,
        ready: &mut Vec<usize>,
        limit: Duration,
    ) -> io::Result<()> {
        ready.clear();
        events.clear();
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let spare = rustix::buffer::spare_capacity(events);
        match epoll::wait(&self.epoll, spare, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(events.iter().filter_map(|event| usize::try_from(event.data.u64()).ok()));
        Ok(())
    }

    /// Takes what arrived on a connection. `each` sees the job and its answer.
    pub(crate) fn take(&mut self, slot: usize, each: impl FnOnce(J, &Answer<'_>)) -> Got<J> {
        let Some(conn) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return Got::Nothing;
        };
        if conn.flush().is_err() {
            return self.broken(slot);
        }
        let read = match conn.read(&mut self.input) {
            Ok(Some(read)) => read,
            Ok(None) => return Got::Nothing,
            Err(_) => return self.broken(slot),
        };
        let fresh = conn.partial.is_empty();
        let mut parsed = if fresh { parse(&self.input[..read]) } else { Parsed::Partial };
        if matches!(parsed, Parsed::Partial) {
            match conn.gather(&mut self.input, read) {
                Ok(true) => parsed = parse(&conn.partial),
                Ok(false) => return Got::Nothing,
                Err(_) => return self.broken(slot),
            }
        }
        let Parsed::Whole(answer) = parsed else { return self.broken(slot) };
        let Some(job) = conn.job.take() else { return self.broken(slot) };
        each(job, &answer);
        let close = answer.close;
        conn.partial.clear();
        self.busy -= 1;
        if close {
            self.close(slot);
        } else {
            self.idle.push(slot);
        }
        Got::Answer
    }

    /// Gives up every outstanding request; its connection is closed.
    pub(crate) fn abandon(&mut self, mut each: impl FnMut(J)) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|conn| conn.job.is_some())
                && let Got::Broken(job) = self.broken(slot)
            {
                each(job);
            }
        }
    }

    fn broken(&mut self, slot: usize) -> Got<J> {
        let job = self.slots[slot].as_mut().and_then(|conn| conn.job.take());
        self.close(slot);
        let Some(job) = job else {
            self.idle.retain(|&idle| idle != slot);
            return Got::Nothing;
        };
        self.busy -= 1;
        Got::Broken(job)
    }

    /// Closing the socket takes it out of the epoll too.
    fn close(&mut self, slot: usize) {
        if self.slots[slot].take().is_some() {
            self.vacant.push(slot);
        }
    }
}

impl<J> Conn<J> {
    /// How much arrived; `None` when nothing did yet.
    fn read(&mut self, input: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(input) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds the first `read` bytes of `input` to the answer, and what else there is; says whether
    /// the answer is whole now (or never will be).
    fn gather(&mut self, input: &mut [u8], read: usize) -> io::Result<bool> {
        self.partial.extend_from_slice(&input[..read]);
        while matches!(parse(&self.partial), Parsed::Partial) {
            if self.partial.len() > ANSWER_LIMIT {
                return Err(ErrorKind::InvalidData.into());
            }
            match self.read(input)? {
                Some(read) => self.partial.extend_from_slice(&input[..read]),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.rest.is_empty() {
            match self.stream.write(&self.rest) {
                Ok(sent) => drop(self.rest.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
