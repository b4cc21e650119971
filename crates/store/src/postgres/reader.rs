//! Readers beside the owner: a connection each, whose I/O runs on one thread of their own, because those who
//! read may be threads of an async runtime, which must not run another one.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, mpsc::sync_channel},
    time::Duration,
};

use futures_util::future::{Either, select};
use jangbu_engine::port::{By, Datum, Each, Fault, Key, Read, ReadPlan, Reader, Span, Table, Walk};
use tokio::{runtime::Runtime, sync::watch::Receiver, time::timeout};
use tokio_postgres::{
    Client, Error, Row, Statement,
    types::{ToSql, Type},
};

use super::{
    fault::fault_of,
    flight::{Ask, Held, together},
    link::{Setup, away},
    param::Param,
    row::PgRow,
    text::{Op, walk as text_of},
};

/// An answer that takes longer than this is given up, and the connection with it. A flight of a reader is a page
/// of rows by an index.
const ANSWER: Duration = Duration::from_secs(5);

/// Begins a snapshot.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// The thread of the readers' I/O.
#[derive(Debug)]
pub(super) struct Io(Runtime);

impl Io {
    pub(super) fn start() -> Result<Self, Fault> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("jangbu-pg-read").enable_all().build();
        runtime.map(Self).map_err(|error| Fault::Fatal(format!("no thread: {error}")))
    }

    /// Runs `work` there and waits for it here, until it is done or its server is `lost`.
    fn run<T: Send + 'static>(
        &self,
        lost: Option<Lost>,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (tell, told) = sync_channel(1);
        self.0.spawn(async move {
            let work = async {
                let done = timeout(ANSWER, work).await;
                done.unwrap_or_else(|_| Err(away("reading", "no answer")))
            };
            let done = match lost {
                None => work.await,
                Some(lost) => unless(lost, work).await,
            };
            let _ = tell.send(done);
        });
        told.recv().unwrap_or_else(|_| Err(away("reading", "the connection is gone")))
    }

    /// Runs `work` there for as long as the thread lives.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }
}

/// Says that a server does not answer any more, so that nobody waits for it.
pub(super) type Lost = Receiver<bool>;

/// What comes of `work`, unless its server is lost.
async fn unless<T>(
    mut lost: Lost,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let lost = std::pin::pin!(lost.wait_for(|lost| *lost));
    match select(std::pin::pin!(work), lost).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(away("reading", "the replica does not answer")),
    }
}

/// A reader.
#[derive(Debug)]
pub(super) struct PgReader {
    io: Arc<Io>,
    setup: Setup,
    /// Of a replica: that it is not waited for any more.
    lost: Option<Lost>,
    session: Option<Session>,
}

/// A connection with what it holds.
#[derive(Debug)]
struct Session {
    client: Client,
    held: Held,
    walks: HashMap<String, Statement>,
}

/// A question and its rows.
type Found = (Ask, Vec<Row>);

/// Rows of a range that are fetched at a time: longer ones are read in pages within the snapshot.
const PAGE: u32 = 10_000;

impl PgReader {
    pub(super) fn new(io: Arc<Io>, setup: Setup) -> Self {
        Self { io, setup, lost: None, session: None }
    }

    /// The same on a server that may be lost, and then is not waited for.
    pub(super) fn unless(self, lost: Lost) -> Self {
        Self { lost: Some(lost), ..self }
    }

    /// Takes the connection, or makes one. After a fault it is not put back: it may be in the middle of
    /// something.
    fn session(&mut self) -> Result<Session, Fault> {
        if let Some(session) = self.session.take().filter(|s| !s.client.is_closed()) {
            return Ok(session);
        }
        let setup = self.setup.clone();
        let driving = self.io.0.handle().clone();
        self.io.run(self.lost.clone(), async move {
            let (client, driver, _) = setup.connect().await?;
            driving.spawn(driver);
            setup.settle(&client).await?;
            Ok(Session { client, held: Held::default(), walks: HashMap::new() })
        })
    }

    /// The rows of each ask, in one flight.
    fn fly(
        &self,
        mut session: Session,
        before: Option<&'static str>,
        asks: Vec<Ask>,
        after: Option<&'static str>,
    ) -> Result<(Session, Vec<Found>), Fault> {
        self.io.run(self.lost.clone(), async move {
            let what = asks.first().map_or_else(|| "reading".to_owned(), Ask::what);
            let wrap = |error: Error| fault_of(&error, &what);
            session.held.prepare(&session.client, &asks).await.map_err(wrap)?;
            let answers = session.held.fly(&session.client, before, &asks, after).await;
            let answers = answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(wrap)?;
            let rows = answers.into_iter().skip(usize::from(before.is_some()));
            Ok((session, asks.into_iter().zip(rows).collect()))
        })
    }

    /// Reads the pages of a range after the first.
    fn pages(
        &self,
        mut session: Session,
        mut read: Read,
        first: &[Row],
        each: &mut dyn FnMut(&Row),
    ) -> Result<Session, Fault> {
        let mut last = first.last().map(|row| read.table.key_of(&PgRow(row)));
        let mut full = first.len() == PAGE as usize;
        while let Some(key) = last.filter(|_| full) {
            if !advance(&mut read, key) {
                break;
            }
            let (back, rows) = self.fly(session, None, vec![Ask::page(&read, PAGE)], None)?;
            session = back;
            let rows = rows.into_iter().flat_map(|(_, rows)| rows).collect::<Vec<_>>();
            for row in &rows {
                each(row);
            }
            last = rows.last().map(|row| read.table.key_of(&PgRow(row)));
            full = rows.len() == PAGE as usize;
        }
        Ok(session)
    }
}

fn is_long(read: &Read) -> bool {
    matches!(read.by, By::Range { limit, .. } if limit > PAGE)
}

/// What is left of a range after a page that ended with `last`; whether there is anything.
fn advance(read: &mut Read, last: Key) -> bool {
    let By::Range { from, to, descending, limit } = &mut read.by else { return false };
    *limit -= PAGE;
    let (end, next) = match descending {
        true => (to, step(read.table, last, i64::MIN, i64::MAX, -1)),
        false => (from, step(read.table, last, i64::MAX, i64::MIN, 1)),
    };
    if let Some(next) = next {
        *end = next;
    }
    next.is_some() && *limit > 0
}

/// The key next to `key`: the last part moves by `by`; one that is at its `end` goes to its `begin`, and the part
/// before it moves. None: there is none.
fn step(table: &Table, mut key: Key, end: i64, begin: i64, by: i64) -> Option<Key> {
    for part in key[..table.key.len()].iter_mut().rev() {
        if *part != end {
            *part += by;
            return Some(key);
        }
        *part = begin;
    }
    None
}

impl Reader for PgReader {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        let session = self.session()?;
        let asks = Ask::reads(plan, PAGE);
        // What was cut at a page goes on in the same snapshot. Many ranges together are not cut.
        let long = asks.iter().any(|ask| ask.op != Op::Ranges && is_long(&plan[ask.at]));
        let (before, after) = match &*asks {
            [_] if !long => (None, None),
            _ => (Some(SNAPSHOT), (!long).then_some("COMMIT")),
        };
        let (mut session, found) = self.fly(session, before, asks, after)?;
        for (ask, rows) in found {
            let seen: Vec<_> = rows.iter().map(PgRow).collect();
            ask.deliver(&seen, each);
            if ask.op != Op::Ranges && is_long(&plan[ask.at]) {
                let mut each = |row: &Row| each(ask.at, &PgRow(row));
                session = self.pages(session, plan[ask.at].clone(), &rows, &mut each)?;
            }
        }
        if long {
            (session, _) = self.fly(session, Some("COMMIT"), Vec::new(), None)?;
        }
        self.session = Some(session);
        Ok(())
    }

    fn walk(&mut self, walks: &[Walk], each: &mut Each<'_>) -> Result<(), Fault> {
        let mut session = self.session()?;
        let asks: Vec<_> = walks.iter().map(|walk| (text_of(walk), values(walk))).collect();
        let (session, found) = self.io.run(self.lost.clone(), async move {
            let wrap = |error: Error| fault_of(&error, "walking an index");
            let held = |text: &String| session.walks.contains_key(text);
            let missing: Vec<_> = asks.iter().filter(|(text, _)| !held(text)).collect();
            for (text, values) in missing {
                let types: Vec<Type> = values.iter().map(|(kind, _)| kind.clone()).collect();
                let statement = session.client.prepare_typed(text, &types).await.map_err(wrap)?;
                session.walks.insert(text.clone(), statement);
            }
            let answers = walked(&session, &asks).await;
            let rows = answers.into_iter().collect::<Result<Vec<_>, _>>().map_err(wrap)?;
            Ok((session, rows))
        })?;
        self.session = Some(session);
        for (at, rows) in found.iter().skip(1).take(walks.len()).enumerate() {
            for row in rows {
                each(at, &PgRow(row));
            }
        }
        Ok(())
    }
}

/// Runs the walks in one snapshot: the first and the last answer are those of its bounds.
async fn walked(
    session: &Session,
    asks: &[(String, Vec<(Type, Param)>)],
) -> Vec<Result<Vec<Row>, Error>> {
    let run = |ask: Option<&(String, Vec<(Type, Param)>)>, plain: &'static str| {
        let ask = ask.map(|(text, values)| (session.walks[text].clone(), values.clone()));
        async move {
            let Some((statement, values)) = ask else {
                return session.client.batch_execute(plain).await.map(|()| Vec::new());
            };
            let params: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|(_, value)| value as &(dyn ToSql + Sync)).collect();
            session.client.query(&statement, &params).await
        }
    };
    let mut flight = vec![run(None, SNAPSHOT)];
    flight.extend(asks.iter().map(|ask| run(Some(ask), "")));
    flight.push(run(None, "COMMIT"));
    together(flight).await
}

/// The parameters of a walk with their types.
fn values(walk: &Walk) -> Vec<(Type, Param)> {
    let datum = |datum: &Datum| match datum {
        Datum::Int(n) => (Type::INT8, Param::int(*n)),
        Datum::Text(text) => (Type::TEXT, Param::text(text)),
    };
    let mut values: Vec<_> = walk.same.iter().map(datum).collect();
    match &walk.span {
        Span::Keys(from, to) => {
            values.extend([*from, *to].map(|n| (Type::INT8, Param::int(n))));
        }
        Span::Values(from, to) => values.extend([datum(from), datum(to)]),
    }
    values.push((Type::INT8, Param::int(i64::from(walk.limit))));
    values
}
