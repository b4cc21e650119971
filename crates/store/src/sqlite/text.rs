//! SQL made from a table's const description. Parameters are numbered in the order of a row: key
//! columns, columns, version.

use std::fmt::Write;

use jangbu_engine::port::{LISTS, Table};

/// What a held statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Inserts a row.
    Insert,
    /// Updates the row of a key and a version.
    Update,
    /// Inserts a row or replaces its content.
    Upsert,
    /// Deletes the row of a key.
    Delete,
    /// Deletes the rows up to a key.
    Trim,
    /// Selects the row of a key.
    Key,
    /// Selects due rows.
    Due,
    /// Selects a range of keys, upwards.
    Up,
    /// Selects a range of keys, downwards.
    Down,
    /// Selects the rows of the table's list with this number.
    Listed(usize),
}

/// Number of statements of a table.
pub(super) const OPS: usize = 9 + LISTS;

impl Op {
    /// Where its statement stands among those of a table.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Insert => 0,
            Self::Update => 1,
            Self::Upsert => 2,
            Self::Delete => 3,
            Self::Key => 4,
            Self::Due => 5,
            Self::Up => 6,
            Self::Down => 7,
            Self::Trim => 8,
            Self::Listed(list) => 9 + list,
        }
    }
}

/// The statement that does `op` on `table`.
pub(super) fn text(table: &Table, op: Op) -> String {
    match op {
        Op::Insert => insert(table),
        Op::Update => update(table),
        Op::Upsert => format!("{} {}", insert(table), on_conflict(table)),
        Op::Delete => format!("DELETE FROM \"{}\" WHERE {}", table.name, key_is(table)),
        Op::Trim => format!("DELETE FROM \"{}\" WHERE {} <= ?1", table.name, table.key[0]),
        Op::Key => format!("{} WHERE {}", select(table), key_is(table)),
        Op::Due => {
            let key = table.key[0];
            format!(
                "{} WHERE next_at <= ?1 AND (next_at, {key}) > (?2, ?3) ORDER BY next_at, {key} \
                 LIMIT ?4",
                select(table),
            )
        }
        Op::Listed(list) => listed(table, list),
        Op::Up => range(table, ""),
        Op::Down => range(table, " DESC"),
    }
}

pub(super) fn columns(table: &Table) -> impl Iterator<Item = &'static str> {
    let version = table.versioned.then_some("version");
    table.key.iter().copied().chain(table.cols.iter().map(|c| c.name)).chain(version)
}

fn names(table: &Table) -> String {
    columns(table).collect::<Vec<_>>().join(", ")
}

/// `?from, ?from+1, …`, `count` of them.
fn marks(from: usize, count: usize) -> String {
    (from..from + count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ")
}

fn insert(table: &Table) -> String {
    format!(
        "INSERT INTO \"{}\" ({}) VALUES ({})",
        table.name,
        names(table),
        marks(1, table.width())
    )
}

fn on_conflict(table: &Table) -> String {
    let sets: Vec<String> =
        columns(table).skip(table.key.len()).map(|c| format!("{c} = excluded.{c}")).collect();
    let action = if sets.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", sets.join(", "))
    };
    format!("ON CONFLICT ({}) DO {action}", table.key.join(", "))
}

fn update(table: &Table) -> String {
    let mut sql = format!("UPDATE \"{}\" SET ", table.name);
    let key = table.key.len();
    for (at, column) in columns(table).enumerate().skip(key) {
        let comma = if at > key { ", " } else { "" };
        let _ = write!(sql, "{comma}{column} = ?{}", at + 1);
    }
    let _ = write!(sql, " WHERE {} AND version = ?{}", key_is(table), table.width() + 1);
    sql
}

pub(super) fn select(table: &Table) -> String {
    format!("SELECT {} FROM \"{}\"", names(table), table.name)
}

fn key_is(table: &Table) -> String {
    let parts = table.key.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1));
    parts.collect::<Vec<_>>().join(" AND ")
}

/// The value is part of the text, so that SQLite sees that the partial index has every row.
fn listed(table: &Table, list: usize) -> String {
    let (list, key) = (table.lists[list], table.key[0]);
    format!(
        "{} WHERE {} = {} AND {key} > ?1 ORDER BY {key} LIMIT ?2",
        select(table),
        list.col,
        list.value,
    )
}

fn range(table: &Table, direction: &str) -> String {
    let n = table.key.len();
    let key = table.key.join(", ");
    let order = table.key.iter().map(|c| format!("{c}{direction}")).collect::<Vec<_>>().join(", ");
    format!(
        "{} WHERE ({key}) >= ({}) AND ({key}) <= ({}) ORDER BY {order} LIMIT ?{}",
        select(table),
        marks(1, n),
        marks(n + 1, n),
        2 * n + 1,
    )
}

#[cfg(test)]
mod tests {
    use jangbu_engine::port::{Col, List, Table};
    use rusqlite::Connection;

    use super::{Op, text};

    const ITEM: Table = Table {
        rank: 1,
        name: "item",
        key: &["id"],
        cols: &[Col::int("state"), Col::int("next_at").or_null()],
        versioned: true,
        due: true,
        lists: &[List { name: "odd", col: "state", value: 9 }],
        hot: false,
    };
    const LEG: Table = Table {
        rank: 2,
        name: "leg",
        key: &["source", "seq", "leg"],
        cols: &[Col::int("amount")],
        versioned: false,
        due: false,
        lists: &[],
        hot: false,
    };

    /// How SQLite would run `op`, one line for each step.
    fn plan(conn: &Connection, table: &Table, op: Op) -> Vec<String> {
        let sql = format!("EXPLAIN QUERY PLAN {}", text(table, op));
        let mut statement = conn.prepare(&sql).unwrap();
        // Parameters that are not bound are null.
        let steps = statement.raw_query().mapped(|row| row.get(3));
        steps.map(Result::unwrap).collect()
    }

    #[test]
    fn every_read_and_change_searches_a_key_or_the_due_index_and_sorts_nothing() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, state INTEGER, next_at INTEGER, version INTEGER);
             CREATE INDEX item_due ON item (next_at) WHERE next_at IS NOT NULL;
             CREATE INDEX item_odd ON item (id) WHERE state = 9;
             CREATE TABLE leg (source INTEGER, seq INTEGER, leg INTEGER, amount INTEGER,
               PRIMARY KEY (source, seq, leg)) WITHOUT ROWID;",
        )
        .unwrap();
        let rowid = "SEARCH item USING INTEGER PRIMARY KEY";
        for op in [Op::Key, Op::Up, Op::Down, Op::Update, Op::Delete, Op::Trim] {
            let steps = plan(&conn, &ITEM, op);
            assert!(steps.len() == 1 && steps[0].starts_with(rowid), "{op:?} {steps:?}");
        }
        let steps = plan(&conn, &ITEM, Op::Due);
        assert_eq!(steps, ["SEARCH item USING INDEX item_due (next_at>? AND next_at<?)"]);
        let steps = plan(&conn, &ITEM, Op::Listed(0));
        assert_eq!(steps, ["SEARCH item USING INDEX item_odd (id>?)"]);
        for op in [Op::Key, Op::Up, Op::Down, Op::Delete] {
            let steps = plan(&conn, &LEG, op);
            let search = steps.len() == 1 && steps[0].starts_with("SEARCH leg USING PRIMARY KEY");
            assert!(search, "{op:?} {steps:?}");
        }
    }
}
