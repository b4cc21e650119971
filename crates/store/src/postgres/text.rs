//! SQL made from a table's const description. One statement reads or writes any number of rows: its
//! parameters are arrays, of keys or of whole rows, so that a batch costs as many statements as it touches
//! tables, whatever its size.
//!
//! Rows travel as an array of the table's row type. An array for each column says the same, and costs the server
//! three times as much: it unpacks each array into a store of its own before it can put a row together.

use jangbu_engine::port::{Span, Table, Walk};
use tokio_postgres::types::Type;

use super::shape::Shape;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Inserts rows.
    Insert,
    /// Updates rows of a key and a version; fails unless each was there.
    Update,
    /// Inserts rows or replaces their content.
    Upsert,
    /// Deletes the rows of keys.
    Delete,
    /// Deletes the rows up to a key.
    Trim,
    /// Selects the rows of keys.
    Keys,
    /// Selects due rows.
    Due,
    /// Selects a range of keys, upwards.
    Up,
    /// Selects a range of keys, downwards.
    Down,
    /// Selects many ranges, upwards; the last column says which.
    Ranges,
    /// Selects the rows of the table's list with this number.
    Listed(usize),
}

/// Where an operation stands among those of a table.
pub(super) fn place(op: Op) -> usize {
    match op {
        Op::Insert => 0,
        Op::Update => 1,
        Op::Upsert => 2,
        Op::Delete => 3,
        Op::Trim => 4,
        Op::Keys => 5,
        Op::Due => 6,
        Op::Up => 7,
        Op::Down => 8,
        Op::Ranges => 9,
        Op::Listed(list) => 10 + list,
    }
}

/// The statement that does `op` on `table`, whose rows have this shape.
pub(super) fn text(table: &Table, op: Op, shape: &Shape) -> String {
    let (name, key) = (table.name, quoted(table.key[0]));
    match op {
        Op::Insert => insert(table),
        Op::Update => update(table, shape),
        Op::Upsert => format!("{} {}", insert(table), on_conflict(table)),
        Op::Delete => {
            let (arrays, names) = (arrays(table.key.len()), keys(table, "").join(", "));
            let same = same_key(table);
            format!("DELETE FROM \"{name}\" AS t USING unnest({arrays}) AS w({names}) WHERE {same}")
        }
        Op::Trim => format!("DELETE FROM \"{name}\" WHERE {key} <= $1"),
        Op::Keys if table.key.len() == 1 => {
            format!("{} WHERE {key} = ANY($1::bigint[])", select(table))
        }
        Op::Keys => {
            let (arrays, names) = (arrays(table.key.len()), keys(table, "").join(", "));
            let columns: Vec<_> = columns(table).map(|c| format!("t.{}", quoted(c))).collect();
            format!(
                "SELECT {} FROM unnest({arrays}) AS w({names}) JOIN \"{name}\" AS t ON {}",
                columns.join(", "),
                same_key(table),
            )
        }
        Op::Due => format!(
            "{} WHERE next_at <= $1 AND (next_at, {key}) > ($2, $3) ORDER BY next_at, {key} LIMIT $4",
            select(table),
        ),
        Op::Listed(list) => {
            let list = table.lists[list];
            format!(
                "{} WHERE {} = {} AND {key} > $1 ORDER BY {key} LIMIT $2",
                select(table),
                quoted(list.col),
                list.value,
            )
        }
        Op::Up => range(table, ""),
        Op::Down => range(table, " DESC"),
        Op::Ranges => ranges(table),
    }
}

/// The types of its parameters.
pub(super) fn types(table: &Table, op: Op, shape: &Shape) -> Vec<Type> {
    match op {
        Op::Insert | Op::Upsert => vec![shape.array.clone()],
        // … the versions that the rows have now, and how many there are.
        Op::Update => vec![shape.array.clone(), Type::INT8_ARRAY, Type::INT8],
        Op::Delete | Op::Keys => vec![Type::INT8_ARRAY; table.key.len()],
        Op::Trim => vec![Type::INT8],
        Op::Due => vec![Type::INT8; 4],
        Op::Listed(_) => vec![Type::INT8; 2],
        Op::Up | Op::Down => vec![Type::INT8; 2 * table.key.len() + 1],
        Op::Ranges => vec![Type::INT8_ARRAY; 2 * table.key.len() + 1],
    }
}

/// The columns of a row of the port, in its order.
pub(super) fn columns(table: &Table) -> impl Iterator<Item = &'static str> {
    let version = table.versioned.then_some("version");
    table.key.iter().copied().chain(table.cols.iter().map(|c| c.name)).chain(version)
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn names(table: &Table) -> String {
    columns(table).map(quoted).collect::<Vec<_>>().join(", ")
}

fn keys(table: &Table, of: &str) -> Vec<String> {
    table.key.iter().map(|column| format!("{of}{}", quoted(column))).collect()
}

fn same_key(table: &Table) -> String {
    let same = keys(table, "t.").into_iter().zip(keys(table, "w."));
    same.map(|(stored, wanted)| format!("{stored} = {wanted}")).collect::<Vec<_>>().join(" AND ")
}

pub(super) fn select(table: &Table) -> String {
    format!("SELECT {} FROM {}", names(table), quoted(table.name))
}

/// `$1::bigint[], $2::bigint[], …`, `n` of them.
fn arrays(n: usize) -> String {
    (1..=n).map(|at| format!("${at}::bigint[]")).collect::<Vec<_>>().join(", ")
}

fn insert(table: &Table) -> String {
    let names = names(table);
    format!("INSERT INTO {} ({names}) SELECT {names} FROM unnest($1)", quoted(table.name))
}

fn on_conflict(table: &Table) -> String {
    let of = |c: &str| format!("{0} = excluded.{0}", quoted(c));
    let sets: Vec<String> = columns(table).skip(table.key.len()).map(of).collect();
    let action = if sets.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", sets.join(", "))
    };
    format!("ON CONFLICT ({}) DO {action}", keys(table, "").join(", "))
}

/// A row that is not in the version that its owner holds must undo everything, and the commit is on its way
/// already: so the statement itself fails, by a division by zero, unless it found as many rows as it was
/// given.
fn update(table: &Table, shape: &Shape) -> String {
    let set = |c: &str| format!("{0} = w.{0}", quoted(c));
    let sets: Vec<String> = columns(table).skip(table.key.len()).map(set).collect();
    let all: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name)).collect();
    format!(
        "WITH changed AS (UPDATE {} AS t SET {} FROM unnest($1, $2) AS w({}, was) \
         WHERE {} AND t.version = w.was RETURNING 1) \
         SELECT 1 / (count(*) = $3)::int FROM changed",
        quoted(table.name),
        sets.join(", "),
        all.join(", "),
        same_key(table),
    )
}

fn range(table: &Table, direction: &str) -> String {
    let n = table.key.len();
    let key = keys(table, "");
    let marks =
        |from: usize| (from..from + n).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ");
    let order: Vec<_> = key.iter().map(|c| format!("{c}{direction}")).collect();
    let key = key.join(", ");
    format!(
        "{} WHERE ({key}) >= ({}) AND ({key}) <= ({}) ORDER BY {} LIMIT ${}",
        select(table),
        marks(1),
        marks(n + 1),
        order.join(", "),
        2 * n + 1,
    )
}

/// Ranges by their first and last keys and their limits, in order.
fn ranges(table: &Table) -> String {
    let n = table.key.len();
    let named =
        |letter: char| (0..n).map(|at| format!("{letter}{at}")).collect::<Vec<_>>().join(", ");
    let (from, to) = (named('f'), named('t'));
    let columns: Vec<_> = columns(table).map(|c| format!("r.{}", quoted(c))).collect();
    let (key, ordered) = (keys(table, "").join(", "), keys(table, "r.").join(", "));
    format!(
        "SELECT {}, w.n FROM unnest({}) WITH ORDINALITY AS w({from}, {to}, most, n) \
         CROSS JOIN LATERAL ({} WHERE ({key}) >= ({from}) AND ({key}) <= ({to}) ORDER BY {key} \
         LIMIT most) AS r ORDER BY w.n, {ordered}",
        columns.join(", "),
        arrays(2 * n + 1),
        select(table),
    )
}

/// The statement of a walk. Its parameters are [`Walk::same`], both ends of the span, and the limit.
pub(super) fn walk(walk: &Walk) -> String {
    let (index, n) = (walk.index, walk.same.len());
    let key = index.table.key[0];
    let same = index.cols[..n].iter().zip(1..);
    let same = same.map(|(col, at)| format!("{} = ${at}", quoted(col)));
    let by = match &walk.span {
        Span::Keys(..) => key,
        Span::Values(..) => index.cols[n],
    };
    let between = format!("{} BETWEEN ${} AND ${}", quoted(by), n + 1, n + 2);
    let wanted: Vec<_> = same.chain([between]).collect();
    let order = if walk.descending { " DESC" } else { "" };
    let then = if by == key { String::new() } else { format!(", {}{order}", quoted(key)) };
    format!(
        "{} WHERE {} ORDER BY {}{order}{then} LIMIT ${}",
        select(index.table),
        wanted.join(" AND "),
        quoted(by),
        n + 3,
    )
}
