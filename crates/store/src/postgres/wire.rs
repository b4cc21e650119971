//! The owner's connection: flights of statements with one Sync at their end.
//!
//! A client for everybody ends each statement with a Sync, and the server answers each of them by itself: with
//! thirty statements in a batch that was a sixth of the server's time, and thirty times somebody was woken. Here
//! everything leaves together, is answered together, and after the first error the server skips the rest,
//! COMMIT included. Statements are prepared in the flight that needs them first.
//!
//! Who is let in, and how, is the library's; this goes on with the connection that it has opened.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    io,
    ops::Range,
    pin::pin,
    task::Poll,
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use jangbu_engine::port::Fields;
use postgres_protocol::{
    IsNull,
    message::{
        backend::{self, Header},
        frontend,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
    time::timeout,
};
use tokio_postgres::types::Type;

use super::{
    fault::Refusal,
    flight::Ask,
    link::Link,
    param::Param,
    shape::Shape,
    socket::Socket,
    text::{place, text, types},
};

/// A statement that the server holds: its table, or its text, and what it does.
type Held = (&'static str, usize);

/// One statement of a flight.
#[derive(Debug)]
pub(super) enum Leg<'a> {
    /// A text with its parameters.
    Plain(&'static str, Vec<(Type, Param)>),
    /// A read or a write of a table.
    Ask(&'a Ask),
}

impl Leg<'_> {
    /// What its statement is called among those that are held.
    fn key(&self) -> Held {
        match self {
            Self::Plain(text, _) => (text, 0),
            Self::Ask(ask) => (ask.table.name, place(ask.op)),
        }
    }

    fn params(&self) -> Vec<&Param> {
        match self {
            Self::Plain(_, params) => params.iter().map(|(_, param)| param).collect(),
            Self::Ask(ask) => ask.params.iter().collect(),
        }
    }

    fn prepare(&self, name: &str, out: &mut BytesMut) -> io::Result<()> {
        match self {
            Self::Plain(text, params) => {
                frontend::parse(name, text, params.iter().map(|(of, _)| of.oid()), out)
            }
            Self::Ask(ask) => {
                let unknown = Shape::unknown();
                let shape = ask.shape.as_deref().unwrap_or(&unknown);
                let types = types(ask.table, ask.op, shape);
                let text = text(ask.table, ask.op, shape);
                frontend::parse(name, &text, types.iter().map(Type::oid), out)
            }
        }
    }

    /// What it does, for messages.
    fn what(&self) -> String {
        match self {
            Self::Plain(text, _) => (*text).to_owned(),
            Self::Ask(ask) => ask.what(),
        }
    }
}

/// Why a flight failed.
#[derive(Debug)]
pub(super) enum Broken {
    /// The server refused a statement, and skipped those after it.
    Refused { what: String, why: Refusal },
    /// The connection is over. What was under way may have happened.
    Silent(String),
}

/// The open connection.
#[derive(Debug)]
pub(super) struct Wire {
    runtime: Runtime,
    stream: Socket,
    patience: Duration,
    out: BytesMut,
    came: BytesMut,
    /// Statements that the server holds, with their names.
    held: HashMap<Held, String>,
    named: u64,
    in_transaction: bool,
    is_over: bool,
}

impl Wire {
    /// Goes on with a connection on which nothing is under way.
    pub(super) fn new(link: Link) -> Self {
        let (runtime, stream, patience) = link.into_socket();
        Self {
            runtime,
            stream,
            patience,
            out: BytesMut::with_capacity(1 << 16),
            came: BytesMut::with_capacity(1 << 16),
            held: HashMap::new(),
            named: 0,
            in_transaction: false,
            is_over: false,
        }
    }

    /// Whether the connection is no use any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a transaction is open on the server, perhaps one that failed.
    pub(super) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Runs statements in one flight, and gives the rows of each.
    pub(super) fn fly(&mut self, legs: &[Leg<'_>]) -> Result<Vec<Vec<WireRow>>, Broken> {
        let flown = self.write(legs).and_then(|new| self.exchange(new));
        let answers = flown.map_err(|error| {
            self.is_over = true;
            let what = legs.last().map_or_else(String::new, Leg::what);
            Broken::Silent(format!("{what}: {error}"))
        })?;
        let Some(why) = answers.refused else { return Ok(answers.rows) };
        let what = legs.get(answers.done).map_or_else(String::new, Leg::what);
        Err(Broken::Refused { what, why })
    }

    /// Writes a flight into the buffer; gives the statements that it prepares.
    fn write(&mut self, legs: &[Leg<'_>]) -> io::Result<VecDeque<Held>> {
        self.out.clear();
        let mut new = VecDeque::new();
        for leg in legs {
            let name = match self.held.entry(leg.key()) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(place) => {
                    self.named += 1;
                    let name = place.insert(format!("owner_{}", self.named));
                    leg.prepare(name, &mut self.out)?;
                    new.push_back(leg.key());
                    name
                }
            };
            let param = |param: &Param, out: &mut BytesMut| {
                out.extend_from_slice(param.bytes());
                Ok(IsNull::No)
            };
            frontend::bind("", name, [1], leg.params(), param, [1], &mut self.out)
                .map_err(|_| io::Error::other("a statement that cannot be written"))?;
            frontend::execute("", 0, &mut self.out)?;
        }
        frontend::sync(&mut self.out);
        Ok(new)
    }

    /// Sends what is in the buffer, and hears the answers meanwhile.
    fn exchange(&mut self, new: VecDeque<Held>) -> io::Result<Answers> {
        let mut answers = Answers { new, ..Answers::default() };
        let (out, came) = (&self.out, &mut self.came);
        let (mut sending, mut hearing) = (self.stream.clone(), self.stream.clone());
        let send = async { sending.write_all(out).await };
        let hear = hear(&mut hearing, came, &mut answers);
        let heard = self.runtime.block_on(async { timeout(self.patience, both(send, hear)).await });
        let silent = |_| io::Error::other(format!("no answer in {:?}", self.patience));
        self.in_transaction = heard.map_err(silent)??;
        for key in answers.new.drain(..) {
            self.held.remove(&key);
        }
        Ok(answers)
    }
}

/// Hears the answers of a flight to their end: whether a transaction is open then.
async fn hear(socket: &mut Socket, came: &mut BytesMut, answers: &mut Answers) -> io::Result<bool> {
    loop {
        while let Some((tag, body)) = message(came)? {
            if let Some(in_transaction) = answers.take(tag, body)? {
                return Ok(in_transaction);
            }
        }
        if socket.read_buf(came).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
    }
}

/// The next message, if all of it is there: its tag and what it says.
fn message(came: &mut BytesMut) -> io::Result<Option<(u8, Bytes)>> {
    let Some(header) = Header::parse(came)? else { return Ok(None) };
    // The length counts itself, but not the tag.
    let length = usize::try_from(header.len()).unwrap_or(0) + 1;
    if came.len() < length {
        came.reserve(length - came.len());
        return Ok(None);
    }
    let mut body = came.split_to(length).freeze();
    body.advance(5);
    Ok(Some((header.tag(), body)))
}

/// What `hear` gives, once `send` has ended too; or the error of either.
async fn both<T>(
    send: impl Future<Output = io::Result<()>>,
    hear: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let (mut send, mut hear) = (pin!(send), pin!(hear));
    let (mut sent, mut heard) = (false, None);
    std::future::poll_fn(|context| {
        if !sent && let Poll::Ready(done) = send.as_mut().poll(context) {
            done?;
            sent = true;
        }
        if heard.is_none()
            && let Poll::Ready(said) = hear.as_mut().poll(context)
        {
            heard = Some(said?);
        }
        if sent && let Some(heard) = heard.take() { Poll::Ready(Ok(heard)) } else { Poll::Pending }
    })
    .await
}

/// What has come of a flight.
#[derive(Default)]
struct Answers {
    /// Rows of each statement that has begun to answer.
    rows: Vec<Vec<WireRow>>,
    /// Statements that have ended well.
    done: usize,
    refused: Option<Refusal>,
    /// Statements that are still to be prepared.
    new: VecDeque<Held>,
}

impl Answers {
    /// Takes a message; at the end of the flight, whether a transaction is open.
    fn take(&mut self, tag: u8, body: Bytes) -> io::Result<Option<bool>> {
        match tag {
            backend::PARSE_COMPLETE_TAG => _ = self.new.pop_front(),
            backend::BIND_COMPLETE_TAG => self.rows.push(Vec::new()),
            backend::DATA_ROW_TAG => {
                if let Some(rows) = self.rows.last_mut() {
                    rows.push(WireRow::of(body)?);
                }
            }
            backend::COMMAND_COMPLETE_TAG | backend::EMPTY_QUERY_RESPONSE_TAG => self.done += 1,
            backend::ERROR_RESPONSE_TAG => {
                let refusal = Refusal::read(&body);
                if refusal.is_last_word {
                    return Err(io::Error::other(refusal.message));
                }
                self.refused.get_or_insert(refusal);
            }
            backend::READY_FOR_QUERY_TAG => return Ok(Some(body.first() != Some(&b'I'))),
            // What a server says without being asked.
            _ => {}
        }
        Ok(None)
    }
}

/// A row as it came.
#[derive(Debug)]
pub(super) struct WireRow {
    body: Bytes,
    fields: Vec<Option<Range<usize>>>,
}

impl WireRow {
    /// The number of fields, then each with its length; less than nothing is null.
    fn of(body: Bytes) -> io::Result<Self> {
        let mut rest = body.clone();
        let count = rest.try_get_u16()?;
        let mut fields = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let length = usize::try_from(rest.try_get_i32()?).ok();
            let from = body.len() - rest.len();
            if length.is_some_and(|length| length > rest.len()) {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            rest.advance(length.unwrap_or(0));
            fields.push(length.map(|length| from..from + length));
        }
        Ok(Self { body, fields })
    }

    fn field(&self, at: usize) -> Option<&[u8]> {
        self.fields[at].clone().map(|range| &self.body[range])
    }
}

impl Fields for WireRow {
    fn int(&self, at: usize) -> i64 {
        self.opt_int(at).unwrap_or(0)
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        let number = |bytes| i64::from_be_bytes(bytes);
        self.field(at).map(|bytes| number(bytes.try_into().unwrap_or_else(|_| drifted(at))))
    }

    fn text(&self, at: usize) -> &str {
        self.opt_text(at).unwrap_or("")
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_else(|_| drifted(at));
        self.field(at).map(text)
    }

    fn blob(&self, at: usize) -> &[u8] {
        self.field(at).unwrap_or(&[])
    }
}

/// A value that is not of the declared type is drift of the schema; the item is set aside, as every row that cannot
/// be read.
fn drifted(at: usize) -> ! {
    panic!("column {at} of a row is not what the schema says")
}
