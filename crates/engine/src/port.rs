//! The store port: what the loop asks of a database. No commerce, no SQL, no async.
//!
//! Tables are const data ([`Table`]) that `services` declares; a store generates the statements
//! of the read and write path from them. Keys are one to three integers. The columns of a row
//! travel in one fixed order: key columns, then [`Table::cols`], then `version` if
//! [`Table::versioned`].
//!
//! A store is not `Send`: it is built on the thread that owns it ([`Backend::with`]) and holds its
//! statements for that thread's life.

mod replica;
mod walk;

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use jangbu_kernel::Time;

pub use replica::{Replica, Sight};
pub use walk::{Datum, Index, Span, Walk};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 64-bit integer.
    Int,
    /// UTF-8 text.
    Text,
    /// Bytes.
    Blob,
}

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Col {
    /// Its name in the database.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null.
    pub null: bool,
}

impl Col {
    /// An integer column.
    pub const fn int(name: &'static str) -> Self {
        Self { name, kind: Kind::Int, null: false }
    }

    /// A text column.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text, null: false }
    }

    /// A column of bytes.
    pub const fn blob(name: &'static str) -> Self {
        Self { name, kind: Kind::Blob, null: false }
    }

    /// The same column, but it may be null.
    #[must_use]
    pub const fn or_null(self) -> Self {
        Self { null: true, ..self }
    }
}

/// Rows of a table that are looked for by the value of a column, such as payments whose outcome is
/// unknown. A store keeps an index over just them, named `{table}_{name}`, so that a list costs what
/// it holds and the other rows cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    /// Its name.
    pub name: &'static str,
    /// The integer column that tells.
    pub col: &'static str,
    /// Its value in the rows of the list.
    pub value: i64,
}

/// A table, declared once as data. It must be a `static`: tables are told apart by their address,
/// and a `const` may have several.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Writes go out by ascending rank, so that all owners lock in one order.
    pub rank: u16,
    /// Its name in the database.
    pub name: &'static str,
    /// Names of the key columns: one to three integers.
    pub key: &'static [&'static str],
    /// The other columns, without `version`.
    pub cols: &'static [Col],
    /// Whether rows are updated, guarded by an integer column `version`.
    pub versioned: bool,
    /// Whether [`By::Due`] may be asked: there is an indexed integer column `next_at`.
    pub due: bool,
    /// What [`By::Listed`] may name. Only for tables whose key is one integer.
    pub lists: &'static [List],
    /// Whether nearly every commit changes rows all over it (a versioned table), or adds rows with
    /// random keys and never changes one (another). A store may then keep in one place what came, and
    /// put it where it belongs later, as long as nobody can tell. Only for tables that have neither
    /// bytes, nor lists, nor `next_at`.
    pub hot: bool,
}

/// At most so many lists of a table.
pub const LISTS: usize = 4;

impl Table {
    /// Position of column `name` in a row, key columns included.
    pub fn position(&self, name: &str) -> Option<usize> {
        let key = self.key.iter().position(|k| *k == name);
        key.or_else(|| self.cols.iter().position(|c| c.name == name).map(|i| i + self.key.len()))
    }

    /// Position of list `name` among the lists. One that is not declared is a bug, not an answer.
    pub fn list(&self, name: &str) -> usize {
        let at = self.lists.iter().position(|list| list.name == name);
        at.unwrap_or_else(|| panic!("table {} has no list {name}", self.name))
    }

    /// The key of a row that was read.
    pub fn key_of(&self, row: &dyn Fields) -> Key {
        let mut key = [0; 3];
        for (at, part) in key.iter_mut().enumerate().take(self.key.len()) {
            *part = row.int(at);
        }
        key
    }

    /// Number of values in a row, key and version included.
    pub fn width(&self) -> usize {
        self.key.len() + self.cols.len() + usize::from(self.versioned)
    }
}

/// A key of one to three integers; unused places are 0.
pub type Key = [i64; 3];

/// Which rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Those of these keys, in their order. Missing ones are simply not reported.
    Keys(Vec<Key>),
    /// Those whose `next_at` is not null and `<= before`, earliest first, then by key.
    Due {
        /// The moment.
        before: Time,
        /// Only those that follow this moment and key: where the last page ended.
        after: Option<(Time, i64)>,
        /// At most so many.
        limit: u32,
    },
    /// Those of one of the table's lists, in key order.
    Listed {
        /// The name of the list.
        list: &'static str,
        /// Only keys above this one.
        after: i64,
        /// At most so many.
        limit: u32,
    },
    /// Those with `from <= key <= to`, in key order, or the reverse of it.
    Range {
        /// First key.
        from: Key,
        /// Last key.
        to: Key,
        /// Highest key first.
        descending: bool,
        /// At most so many.
        limit: u32,
    },
}

impl By {
    /// The first `limit` rows that are due at `before`.
    pub const fn due(before: Time, limit: u32) -> Self {
        Self::Due { before, after: None, limit }
    }
}

/// One read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// From where.
    pub table: &'static Table,
    /// Which rows.
    pub by: By,
}

/// The reads of one round: a store may run them in one round trip.
pub type ReadPlan = [Read];

/// A row that was read, borrowed from the store.
pub trait Fields {
    /// The integer in column `at`; 0 for null.
    fn int(&self, at: usize) -> i64;
    /// The integer in column `at`, if it is not null.
    fn opt_int(&self, at: usize) -> Option<i64>;
    /// The text in column `at`; empty for null.
    fn text(&self, at: usize) -> &str;
    /// The text in column `at`, if it is not null.
    fn opt_text(&self, at: usize) -> Option<&str>;
    /// The bytes in column `at`; empty for null.
    fn blob(&self, at: usize) -> &[u8];
}

/// Receives each row: which read of the plan it belongs to, and its columns.
pub type Each<'a> = dyn FnMut(usize, &dyn Fields) + 'a;

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A new row. A key that exists is an item fault.
    Insert,
    /// A row whose stored version is the given one. No such row: the owner's epoch is lost.
    Update {
        /// The version that the row must have now.
        version: i64,
    },
    /// A new row or the new content of an old one. Only for databases that can be rebuilt.
    Upsert,
    /// No row of this key any more; it need not have been there.
    Delete,
    /// No row any more whose key is at most this one. Only for tables whose key is one integer.
    Trim,
}

/// A value in a [`WritePlan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Null.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
enum Slot {
    Null,
    Int(i64),
    Text(usize, usize),
    Blob(usize, usize),
}

/// One row to be written.
#[derive(Clone, Copy, Debug)]
struct Row {
    table: &'static Table,
    mode: Mode,
    first: usize,
}

/// The writes of a transaction in one flat arena: rows point into `slots`, text and bytes into
/// `bytes`. Cleared and used again, it stops allocating.
#[derive(Debug, Default)]
pub struct WritePlan {
    rows: Vec<Row>,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

impl WritePlan {
    /// Begins a row. Values must follow in the table's order (key, columns, version).
    pub fn row(&mut self, table: &'static Table, mode: Mode) -> RowWriter<'_> {
        self.rows.push(Row { table, mode, first: self.slots.len() });
        RowWriter(self)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.slots.clear();
        self.bytes.clear();
    }

    /// Orders the rows by table rank, then mode, then key: the one order in which every owner
    /// touches rows.
    pub fn sort(&mut self) {
        let slots = &self.slots;
        let key = |row: &Row| {
            let part = |i: usize| match slots.get(row.first + i).filter(|_| i < row.table.key.len())
            {
                Some(Slot::Int(n)) => *n,
                _ => 0,
            };
            (
                row.table.rank,
                std::mem::discriminant(&row.mode) != INSERT,
                [part(0), part(1), part(2)],
            )
        };
        self.rows.sort_by_cached_key(key);
    }

    /// The rows in order: table, mode, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Table, Mode, Values<'_>)> {
        self.rows.iter().map(|row| {
            let slots = &self.slots[row.first..row.first + row.width()];
            (row.table, row.mode, Values { slots, bytes: &self.bytes })
        })
    }
}

const INSERT: std::mem::Discriminant<Mode> = std::mem::discriminant(&Mode::Insert);

impl Row {
    fn width(&self) -> usize {
        match self.mode {
            Mode::Delete | Mode::Trim => self.table.key.len(),
            Mode::Insert | Mode::Update { .. } | Mode::Upsert => self.table.width(),
        }
    }
}

/// The values of one row.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    slots: &'a [Slot],
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// The key of this row of `table`.
    pub fn key(&self, table: &Table) -> Key {
        let mut key = [0; 3];
        for (at, part) in key.iter_mut().enumerate().take(table.key.len()) {
            if let Value::Int(n) = self.get(at) {
                *part = n;
            }
        }
        key
    }

    /// The value at position `at`.
    pub fn get(&self, at: usize) -> Value<'a> {
        let text = |from: usize, to: usize| std::str::from_utf8(&self.bytes[from..to]);
        match self.slots[at] {
            Slot::Null => Value::Null,
            Slot::Int(n) => Value::Int(n),
            // The bytes came from a `&str`, or from digits and escaped text.
            Slot::Text(from, to) => Value::Text(text(from, to).unwrap_or_default()),
            Slot::Blob(from, to) => Value::Blob(&self.bytes[from..to]),
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// Fills in one row, value by value.
#[derive(Debug)]
pub struct RowWriter<'a>(&'a mut WritePlan);

impl RowWriter<'_> {
    /// An integer.
    pub fn int(&mut self, n: i64) -> &mut Self {
        self.0.slots.push(Slot::Int(n));
        self
    }

    /// An integer or null.
    pub fn opt_int(&mut self, n: Option<i64>) -> &mut Self {
        self.0.slots.push(n.map_or(Slot::Null, Slot::Int));
        self
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.text_with(|bytes| bytes.extend_from_slice(text.as_bytes()))
    }

    /// Text that `write` appends as UTF-8, without a copy in between.
    pub fn text_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let from = self.0.bytes.len();
        write(&mut self.0.bytes);
        self.0.slots.push(Slot::Text(from, self.0.bytes.len()));
        self
    }

    /// Text or null.
    pub fn opt_text(&mut self, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            return self.text(text);
        }
        self.0.slots.push(Slot::Null);
        self
    }

    /// Bytes or null.
    pub fn opt_blob(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        if let Some(bytes) = bytes {
            return self.blob(bytes);
        }
        self.0.slots.push(Slot::Null);
        self
    }

    /// Bytes.
    pub fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        let from = self.0.bytes.len();
        self.0.bytes.extend_from_slice(bytes);
        self.0.slots.push(Slot::Blob(from, self.0.bytes.len()));
        self
    }
}

/// Why a transaction could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// May work later: the batch backs off until its deadline.
    #[error("the store is busy: {0}")]
    Transient(String),
    /// One of the rows is not acceptable: the batch is bisected until the item is found.
    #[error("a row was refused: {0}")]
    Item(String),
    /// A row was not in the version that its owner holds: somebody else wrote. The cache is
    /// dropped and the owner stops.
    #[error("this process is not the only writer any more: {0}")]
    LostEpoch(String),
    /// There is no room: writing stops until there is, nothing is lost.
    #[error("the store is full: {0}")]
    Full(String),
    /// The database itself is damaged or gone: writing stops.
    #[error("the store failed: {0}")]
    Fatal(String),
}

/// Why a commit did not answer "done".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It surely did not happen.
    #[error(transparent)]
    Failed(#[from] Fault),
    /// It may have happened: the shard row tells.
    #[error("the answer of a commit was lost: {0}")]
    Unknown(String),
}

/// What a store has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Pages that went to the log.
    pub pages: u64,
    /// Bytes that went to the log.
    pub wal_bytes: u64,
    /// Flushes to stable storage by the owner.
    pub fsyncs: u64,
    /// Checkpoints, by whichever thread.
    pub checkpoints: u64,
    /// Questions to a server that were waited for; 0 where there is no server.
    pub round_trips: u64,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Pages of the database.
    pub pages: u64,
    /// Pages that are still to be copied; 0: the copy is whole.
    pub left: u64,
}

/// A database, owned by the thread that opened it.
pub trait Store {
    /// Begins the one transaction of a batch.
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault>;

    /// Reads what is committed now, outside of a transaction: for a look that leads to a transaction only if it finds
    /// something.
    fn peek(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.begin()?.read(plan, each)
    }

    /// Called between two transactions: housekeeping that must not run inside one, such as the
    /// finishing pass of a checkpoint.
    fn between(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Begins a copy into the new file `to`, and calls `run` with this store, whose
    /// [`Store::copy`] works as long as `run` does. When [`Copied::left`] is 0 and `run` has
    /// returned, the file is the database as of the last commit before that slice.
    fn copying(&mut self, to: &Path, _run: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        Err(Fault::Fatal(format!("this store cannot be copied to {}", to.display())))
    }

    /// Moves the next `pages` of the copy that was begun, between two transactions. What is committed
    /// meanwhile goes into the copy by itself.
    fn copy(&mut self, _pages: u32) -> Result<Copied, Fault> {
        Err(Fault::Fatal("no copy was begun".to_owned()))
    }

    /// Whether each [`Tx::read`] waits for a network. The loop then reads ahead what will probably be
    /// needed, so that the number of rounds does not depend on the size of a batch.
    fn is_far(&self) -> bool {
        false
    }

    /// What it has done so far.
    fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }
}

/// A transaction. Dropped without [`Tx::commit`], it is rolled back.
pub trait Tx {
    /// Runs the reads of a round; within the transaction, so it sees what [`Tx::write`] wrote.
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault>;

    /// Writes rows, in the plan's order.
    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault>;

    /// Makes it durable: when this returns `Ok`, a power cut does not undo it.
    fn commit(self: Box<Self>) -> Result<(), CommitError>;
}

/// Reads committed rows beside the owner, each call in its own short snapshot.
pub trait Reader: Send {
    /// Runs the reads in one snapshot.
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault>;

    /// Runs the walks in one snapshot; says of each row which walk it belongs to.
    fn walk(&mut self, walks: &[Walk], each: &mut Each<'_>) -> Result<(), Fault>;
}

/// Whose a cell is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenure {
    /// This process's, for the length of a lease from now on.
    Mine {
        /// Rises with each new owner.
        epoch: i64,
    },
    /// Another process's.
    Theirs {
        /// Where it can be reached; empty: nowhere.
        address: String,
        /// How long its lease still runs.
        left: Duration,
    },
}

/// A database that can be opened: by its one owner, and by readers.
pub trait Backend: Send + Sync + Debug {
    /// Opens the store on this thread, runs `body` on it and closes it.
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault>;

    /// Opens one more reader.
    fn reader(&self) -> Result<Box<dyn Reader>, Fault>;

    /// At most so many readers should be open in a process.
    fn most_readers(&self) -> usize {
        usize::MAX
    }

    /// Takes the cell for this process, which can be reached at `address`, or renews its lease. A database
    /// that only one process can open is always its own.
    fn claim(&self, _address: &str) -> Result<Tenure, Fault> {
        Ok(Tenure::Mine { epoch: 0 })
    }

    /// Gives the cell up, so that another process can take it at once.
    fn release(&self) -> Result<(), Fault> {
        Ok(())
    }
}
