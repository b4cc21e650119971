//! A flight: statements that leave together and whose answers come together. What a batch costs on a
//! network is its flights, not its statements.

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    ptr,
    sync::Arc,
    task::Poll,
};

use jangbu_engine::port::{By, Each, Fault, Fields, Key, Mode, Read, Table, Values, WritePlan};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};

use super::{
    param::Param,
    shape::{Shape, Shapes},
    text::{Op, place, text, types},
};

/// Waits for all of `futures`; each is polled for the first time in its turn, which is the order in which
/// their statements reach the server.
pub(super) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut all = true;
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *done = Some(output),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A statement with its parameters.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) table: &'static Table,
    pub(super) op: Op,
    pub(super) params: Vec<Param>,
    /// Of a read: where it stands in its plan; of many, the first.
    pub(super) at: usize,
    /// Of a read by keys: the keys, whose order the rows must have.
    keys: Vec<Key>,
    /// Of whole rows: what they look like.
    pub(super) shape: Option<Arc<Shape>>,
}

impl Ask {
    /// The statements of the reads of a plan, in their order: neighbours that are ranges of one table are one
    /// statement. A range that is alone is cut at `page` rows.
    pub(super) fn reads(plan: &[Read], page: u32) -> Vec<Self> {
        let alike = |a: &Read, b: &Read| {
            let is_range = |read: &Read| matches!(read.by, By::Range { descending: false, .. });
            is_range(a) && is_range(b) && ptr::eq(a.table, b.table)
        };
        let mut at = 0;
        let ask = |reads: &[Read]| {
            let ask = match reads {
                [read] => Self::page(read, page),
                reads => Self::ranges(reads),
            };
            let ask = Self { at, ..ask };
            at += reads.len();
            ask
        };
        plan.chunk_by(alike).map(ask).collect()
    }

    /// The statement of a read; of a range at most `page` rows.
    pub(super) fn page(read: &Read, page: u32) -> Self {
        let mut read = read.clone();
        if let By::Range { limit, .. } = &mut read.by {
            *limit = (*limit).min(page);
        }
        Self::read(&read)
    }

    fn ranges(reads: &[Read]) -> Self {
        let table = reads[0].table;
        let ranges: Vec<_> = reads.iter().filter_map(range_of).collect();
        let from = (0..table.key.len()).map(|part| Param::ints(ranges.iter().map(|r| r.0[part])));
        let to = (0..table.key.len()).map(|part| Param::ints(ranges.iter().map(|r| r.1[part])));
        let most = Param::ints(ranges.iter().map(|r| i64::from(r.2)));
        let params = from.chain(to).chain([most]).collect();
        Self::new(table, Op::Ranges, params)
    }

    /// Hands over the rows that came, in the order of the port, with the read that each answers.
    pub(super) fn deliver<R: Fields>(&self, rows: &[R], each: &mut Each<'_>) {
        if self.keys.len() < 2 {
            return rows.iter().for_each(|row| each(self.answers(row), row));
        }
        let by_key: HashMap<Key, &R> =
            rows.iter().map(|row| (self.table.key_of(row), row)).collect();
        for row in self.keys.iter().filter_map(|key| by_key.get(key)) {
            each(self.at, *row);
        }
    }

    /// Which read of its plan a row of this one answers.
    fn answers(&self, row: &impl Fields) -> usize {
        if self.op != Op::Ranges {
            return self.at;
        }
        let n = row.int(self.table.width());
        self.at + usize::try_from(n - 1).unwrap_or(0)
    }

    fn read(read: &Read) -> Self {
        let table = read.table;
        let mut asked = Vec::new();
        let (op, params) = match &read.by {
            By::Keys(wanted) => {
                asked.clone_from(wanted);
                (Op::Keys, by_column(table, wanted))
            }
            By::Due { before, after, limit } => {
                let (at, key) = after.map_or((i64::MIN, i64::MIN), |(at, key)| (at.0, key));
                (Op::Due, ints([before.0, at, key, i64::from(*limit)]))
            }
            By::Listed { list, after, limit } => {
                (Op::Listed(table.list(list)), ints([*after, i64::from(*limit)]))
            }
            By::Range { from, to, descending, limit } => {
                let n = table.key.len();
                let bounds = from[..n].iter().chain(&to[..n]).copied();
                let op = if *descending { Op::Down } else { Op::Up };
                (op, ints(bounds.chain([i64::from(*limit)])))
            }
        };
        Self { keys: asked, ..Self::new(table, op, params) }
    }

    /// The statements of a plan, in its order: neighbours that are written alike are one statement.
    pub(super) fn writes(plan: &WritePlan, shapes: &Shapes) -> Result<Vec<Self>, Fault> {
        let rows: Vec<_> = plan.iter().collect();
        let alike = |a: &Written<'_>, b: &Written<'_>| {
            ptr::eq(a.0, b.0) && op_of(a.1) == op_of(b.1) && a.1 != Mode::Trim
        };
        rows.chunk_by(alike).map(|rows| Self::write(rows, shapes)).collect()
    }

    fn write(rows: &[Written<'_>], shapes: &Shapes) -> Result<Self, Fault> {
        let (table, mode, _) = rows[0];
        let op = op_of(mode);
        if op == Op::Trim {
            return Ok(Self::new(table, op, ints([rows[0].2.key(table)[0]])));
        }
        if op == Op::Delete {
            let keys: Vec<Key> = rows.iter().map(|(_, _, values)| values.key(table)).collect();
            return Ok(Self::new(table, op, by_column(table, &keys)));
        }
        let shape = shapes.of(table)?;
        let rows = if op == Op::Upsert { last_of_each(table, rows) } else { rows.iter().collect() };
        let values = rows.iter().map(|(_, _, values)| *values);
        let mut params = vec![Param::rows(table, &shape, values)];
        if op == Op::Update {
            params.push(Param::ints(rows.iter().map(|(_, mode, _)| version_of(*mode))));
            params.extend(ints([i64::try_from(rows.len()).unwrap_or(i64::MAX)]));
        }
        Ok(Self { shape: Some(shape), ..Self::new(table, op, params) })
    }

    fn new(table: &'static Table, op: Op, params: Vec<Param>) -> Self {
        Self { table, op, params, at: 0, keys: Vec::new(), shape: None }
    }

    /// What it does, for messages.
    pub(super) fn what(&self) -> String {
        format!("{:?} of {}", self.op, self.table.name).to_lowercase()
    }
}

/// First key, last key and limit of a range.
fn range_of(read: &Read) -> Option<(&Key, &Key, u32)> {
    match &read.by {
        By::Range { from, to, limit, .. } => Some((from, to, *limit)),
        By::Keys(_) | By::Due { .. } | By::Listed { .. } => None,
    }
}

/// An array for each column of a table's keys.
fn by_column(table: &Table, keys: &[Key]) -> Vec<Param> {
    (0..table.key.len()).map(|at| Param::ints(keys.iter().map(|key| key[at]))).collect()
}

fn ints(ints: impl IntoIterator<Item = i64>) -> Vec<Param> {
    ints.into_iter().map(Param::int).collect()
}

fn op_of(mode: Mode) -> Op {
    match mode {
        Mode::Insert => Op::Insert,
        Mode::Update { .. } => Op::Update,
        Mode::Upsert => Op::Upsert,
        Mode::Delete => Op::Delete,
        Mode::Trim => Op::Trim,
    }
}

fn version_of(mode: Mode) -> i64 {
    match mode {
        Mode::Update { version } => version,
        Mode::Insert | Mode::Upsert | Mode::Delete | Mode::Trim => 0,
    }
}

type Written<'v> = (&'static Table, Mode, Values<'v>);

/// One statement cannot change a row twice: of those with one key the last counts.
fn last_of_each<'r, 'v>(table: &Table, rows: &'r [Written<'v>]) -> Vec<&'r Written<'v>> {
    let mut last = HashMap::new();
    for (at, (_, _, values)) in rows.iter().enumerate() {
        last.insert(values.key(table), at);
    }
    let kept = rows.iter().enumerate().filter(|(at, (_, _, v))| last[&v.key(table)] == *at);
    kept.map(|(_, row)| row).collect()
}

/// Statements that a reader's connection holds, prepared when they are first needed.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<(&'static str, usize), Statement>);

impl Held {
    /// Prepares what these need and is not held, in one flight; says whether there was any.
    pub(super) async fn prepare(&mut self, client: &Client, asks: &[Ask]) -> Result<bool, Error> {
        let mut missing: Vec<&Ask> =
            asks.iter().filter(|ask| !self.0.contains_key(&key(ask))).collect();
        missing.sort_by_key(|ask| key(ask));
        missing.dedup_by_key(|ask| key(ask));
        let prepare = |ask: &&Ask| {
            let unknown = Shape::unknown();
            let (sql, types) =
                (text(ask.table, ask.op, &unknown), types(ask.table, ask.op, &unknown));
            async move { client.prepare_typed(&sql, &types).await }
        };
        let prepared = together(missing.iter().map(prepare).collect()).await;
        let any = !prepared.is_empty();
        for (ask, statement) in missing.into_iter().zip(prepared) {
            self.0.insert(key(ask), statement?);
        }
        Ok(any)
    }

    /// The held statement of an ask that was prepared.
    fn get(&self, ask: &Ask) -> &Statement {
        &self.0[&key(ask)]
    }

    /// Runs statements in one flight: `before` and `after` are plain text.
    pub(super) async fn fly(
        &self,
        client: &Client,
        before: Option<&str>,
        asks: &[Ask],
        after: Option<&str>,
    ) -> Vec<Result<Vec<Row>, Error>> {
        let legs = before.map(Leg::Plain).into_iter();
        let legs = legs.chain(asks.iter().map(Leg::Held)).chain(after.map(Leg::Plain));
        together(legs.map(|leg| self.run(client, leg)).collect()).await
    }

    async fn run(&self, client: &Client, leg: Leg<'_>) -> Result<Vec<Row>, Error> {
        match leg {
            Leg::Plain(sql) => client.batch_execute(sql).await.map(|()| Vec::new()),
            Leg::Held(ask) => {
                let params: Vec<&(dyn ToSql + Sync)> =
                    ask.params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
                client.query(self.get(ask), &params).await
            }
        }
    }
}

/// A statement of a flight.
enum Leg<'a> {
    Plain(&'a str),
    Held(&'a Ask),
}

fn key(ask: &Ask) -> (&'static str, usize) {
    (ask.table.name, place(ask.op))
}
