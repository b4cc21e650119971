//! SQL made from a table's const description. Parameters are numbered in the order of a row: key
//! columns, columns, version.

use std::fmt::Write;

use jangbu_engine::port::Table;

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
    /// Selects the row of a key.
    Key,
    /// Selects due rows.
    Due,
    /// Selects a range of keys, upwards.
    Up,
    /// Selects a range of keys, downwards.
    Down,
}

/// Number of operations.
pub(super) const OPS: usize = Op::Down as usize + 1;

/// The statement that does `op` on `table`.
pub(super) fn text(table: &Table, op: Op) -> String {
    match op {
        Op::Insert => insert(table),
        Op::Update => update(table),
        Op::Upsert => format!("{} {}", insert(table), on_conflict(table)),
        Op::Delete => format!("DELETE FROM \"{}\" WHERE {}", table.name, key_is(table)),
        Op::Key => format!("{} WHERE {}", select(table), key_is(table)),
        Op::Due => format!(
            "{} WHERE next_at <= ?1 ORDER BY next_at, {} LIMIT ?2",
            select(table),
            table.key.join(", ")
        ),
        Op::Up => range(table, ""),
        Op::Down => range(table, " DESC"),
    }
}

fn columns(table: &Table) -> impl Iterator<Item = &'static str> {
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

fn select(table: &Table) -> String {
    format!("SELECT {} FROM \"{}\"", names(table), table.name)
}

fn key_is(table: &Table) -> String {
    let parts = table.key.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1));
    parts.collect::<Vec<_>>().join(" AND ")
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
