//! Tables for the tests, and short words to read and write them.

use jangbu_engine::port::{
    By, Col, CommitError, Fault, Key, List, Mode, Read, Reader, RowWriter, Store, Table, Tx,
    WritePlan,
};
use jangbu_kernel::Time;
use jangbu_store::Migration;

pub(crate) static ITEM: Table = Table {
    rank: 1,
    name: "item",
    key: &["id"],
    cols: &[
        Col::text("name"),
        Col::text("note").or_null(),
        Col::blob("data"),
        Col::int("count"),
        Col::int("next_at").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[List { name: "three", col: "count", value: 3 }],
    hot: false,
};

pub(crate) static LEG: Table = Table {
    rank: 2,
    name: "leg",
    key: &["source", "seq", "leg"],
    cols: &[Col::int("amount")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

pub(crate) static PAIR: Table = Table {
    rank: 3,
    name: "pair",
    key: &["a", "b"],
    cols: &[Col::text("word")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

pub(crate) static MARK: Table = Table {
    rank: 4,
    name: "mark",
    key: &["id"],
    cols: &[],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

pub(crate) static TABLES: [&Table; 4] = [&ITEM, &LEG, &PAIR, &MARK];

pub(crate) const FIRST: Migration = Migration {
    version: 1,
    name: "shop",
    sql: "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, note TEXT,
            data BLOB NOT NULL, count INTEGER NOT NULL CHECK (count >= 0), next_at INTEGER,
            version INTEGER NOT NULL);
          CREATE INDEX item_due ON item (next_at) WHERE next_at IS NOT NULL;
          CREATE INDEX item_three ON item (id) WHERE count = 3;
          CREATE TABLE leg (source INTEGER NOT NULL, seq INTEGER NOT NULL, leg INTEGER NOT NULL,
            amount INTEGER NOT NULL, PRIMARY KEY (source, seq, leg)) WITHOUT ROWID;
          CREATE TABLE pair (a INTEGER NOT NULL, b INTEGER NOT NULL, word TEXT NOT NULL,
            PRIMARY KEY (a, b)) WITHOUT ROWID;",
};

pub(crate) const SECOND: Migration =
    Migration { version: 2, name: "mark", sql: "CREATE TABLE mark (id INTEGER PRIMARY KEY)" };

pub(crate) const MIGRATIONS: [Migration; 2] = [FIRST, SECOND];

/// An item as the tests write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) note: Option<String>,
    pub(crate) data: Vec<u8>,
    pub(crate) count: i64,
    pub(crate) next_at: Option<i64>,
    pub(crate) version: i64,
}

pub(crate) fn item(id: i64, name: &str) -> Item {
    Item { id, name: name.to_owned(), version: 1, ..Item::default() }
}

impl Item {
    pub(crate) fn put(&self, plan: &mut WritePlan, mode: Mode) {
        let mut row = plan.row(&ITEM, mode);
        row.int(self.id).text(&self.name).opt_text(self.note.as_deref()).blob(&self.data);
        row.int(self.count).opt_int(self.next_at).int(self.version);
    }

    pub(crate) fn read(row: &dyn jangbu_engine::port::Fields) -> Self {
        Self {
            id: row.int(0),
            name: row.text(1).to_owned(),
            note: row.opt_text(2).map(str::to_owned),
            data: row.blob(3).to_vec(),
            count: row.int(4),
            next_at: row.opt_int(5),
            version: row.int(6),
        }
    }
}

/// Writes what `fill` puts into a plan and commits.
pub(crate) fn commit(
    store: &mut dyn Store,
    fill: impl FnOnce(&mut WritePlan),
) -> Result<(), CommitError> {
    let mut plan = WritePlan::default();
    fill(&mut plan);
    let mut tx = store.begin()?;
    tx.write(&plan)?;
    tx.commit()
}

/// Writes one row in a transaction that is not committed, and reports the fault.
pub(crate) fn refused(store: &mut dyn Store, fill: impl FnOnce(&mut WritePlan)) -> Fault {
    match commit(store, fill) {
        Err(CommitError::Failed(fault)) => fault,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn insert(items: &[Item]) -> impl FnOnce(&mut WritePlan) {
    |plan| items.iter().for_each(|item| item.put(plan, Mode::Insert))
}

pub(crate) fn row<'p>(
    plan: &'p mut WritePlan,
    table: &'static Table,
    mode: Mode,
    key: &[i64],
) -> RowWriter<'p> {
    let mut row = plan.row(table, mode);
    for part in key {
        row.int(*part);
    }
    row
}

fn key(id: i64) -> Key {
    [id, 0, 0]
}

pub(crate) fn by_ids(ids: &[i64]) -> Read {
    Read { table: &ITEM, by: By::Keys(ids.iter().map(|id| key(*id)).collect()) }
}

pub(crate) fn due(before: i64, limit: u32) -> Read {
    Read { table: &ITEM, by: By::due(Time(before), limit) }
}

pub(crate) fn due_after((at, id): (i64, i64), before: i64, limit: u32) -> Read {
    let after = Some((Time(at), id));
    Read { table: &ITEM, by: By::Due { before: Time(before), after, limit } }
}

pub(crate) fn threes(after: i64, limit: u32) -> Read {
    Read { table: &ITEM, by: By::Listed { list: "three", after, limit } }
}

pub(crate) fn range(
    table: &'static Table,
    from: Key,
    to: Key,
    descending: bool,
    limit: u32,
) -> Read {
    Read { table, by: By::Range { from, to, descending, limit } }
}

/// Where rows can be read.
pub(crate) trait Source {
    fn run(&mut self, read: &Read, each: &mut jangbu_engine::port::Each<'_>) -> Result<(), Fault>;

    fn items(&mut self, read: &Read) -> Vec<Item> {
        let mut items = Vec::new();
        self.run(read, &mut |_, row| items.push(Item::read(row))).unwrap();
        items
    }

    fn ids(&mut self, read: &Read) -> Vec<i64> {
        let mut ids = Vec::new();
        self.run(read, &mut |_, row| ids.push(row.int(0))).unwrap();
        ids
    }

    fn keys(&mut self, read: &Read) -> Vec<Key> {
        let (mut keys, width) = (Vec::new(), read.table.key.len());
        let part =
            |row: &dyn jangbu_engine::port::Fields, at| if at < width { row.int(at) } else { 0 };
        self.run(read, &mut |_, row| keys.push([part(row, 0), part(row, 1), part(row, 2)]))
            .unwrap();
        keys
    }
}

impl Source for Box<dyn Tx + '_> {
    fn run(&mut self, read: &Read, each: &mut jangbu_engine::port::Each<'_>) -> Result<(), Fault> {
        self.read(std::slice::from_ref(read), each)
    }
}

impl Source for Box<dyn Reader> {
    fn run(&mut self, read: &Read, each: &mut jangbu_engine::port::Each<'_>) -> Result<(), Fault> {
        self.read(std::slice::from_ref(read), each)
    }
}

impl Source for dyn Store + '_ {
    fn run(&mut self, read: &Read, each: &mut jangbu_engine::port::Each<'_>) -> Result<(), Fault> {
        self.begin()?.read(std::slice::from_ref(read), each)
    }
}
