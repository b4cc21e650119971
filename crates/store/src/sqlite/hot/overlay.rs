//! Hot rows out of the log, in SQL: for readers whose snapshot has to be exact, and when a file is
//! opened or closed. Each hot table has a temporary twin with the newest state of the rows in the log.

use jangbu_engine::port::Table;
use rusqlite::{Connection, Result};

use super::super::text::columns;

/// The log itself.
pub(in crate::sqlite) const LOG: &str =
    "CREATE TABLE IF NOT EXISTS hot_log (no INTEGER PRIMARY KEY, rows TEXT NOT NULL)";

/// Puts every row in its place and empties the log.
pub(in crate::sqlite) fn settle(conn: &Connection, tables: &[&'static Table]) -> Result<()> {
    if is_empty(conn)? {
        return Ok(());
    }
    let mut sql = "BEGIN IMMEDIATE;".to_owned();
    for table in hot(tables) {
        sql += &(twin(table) + &put(table) + &format!("DROP TABLE temp.\"hot_{}\";", table.name));
    }
    sql += "DELETE FROM main.hot_log; COMMIT;";
    let done = conn.execute_batch(&sql);
    if done.is_err() && !conn.is_autocommit() {
        conn.execute_batch("ROLLBACK")?;
    }
    done
}

/// Within a snapshot, and until it is rolled back: the names of hot tables stand for their newest rows.
pub(in crate::sqlite) fn show(conn: &Connection, tables: &[&'static Table]) -> Result<()> {
    if is_empty(conn)? {
        return Ok(());
    }
    let sql: String = hot(tables).map(|table| twin(table) + &view(table)).collect();
    conn.execute_batch(&sql)
}

fn hot<'a>(tables: &'a [&'static Table]) -> impl Iterator<Item = &'static Table> + 'a {
    tables.iter().copied().filter(|table| table.hot)
}

/// Whether every row is in its place. A file of another kind has no log.
fn is_empty(conn: &Connection) -> Result<bool> {
    let known = "SELECT NOT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'hot_log')";
    if conn.prepare_cached(known)?.query_row([], |row| row.get(0))? {
        return Ok(true);
    }
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM main.hot_log)";
    conn.prepare_cached(empty)?.query_row([], |row| row.get(0))
}

/// The newest state of each row in the log.
fn twin(table: &Table) -> String {
    let (name, key) = (table.name, table.key.join(", "));
    let cols: Vec<_> = columns(table).collect();
    let values: Vec<_> =
        (0..cols.len()).map(|at| format!("json_extract(r.value, '$[1][{at}]')")).collect();
    format!(
        "CREATE TEMP TABLE \"hot_{name}\" ({}, PRIMARY KEY ({key}));
         INSERT OR REPLACE INTO temp.\"hot_{name}\" SELECT {} FROM main.hot_log l, json_each(l.rows) r
         WHERE json_extract(r.value, '$[0]') = '{name}' ORDER BY l.no;",
        cols.join(", "),
        values.join(", "),
    )
}

/// When a row of the twin is that in its place.
fn same(table: &Table) -> String {
    let parts = table.key.iter().map(|key| format!("h.{key} = s.{key}"));
    parts.collect::<Vec<_>>().join(" AND ")
}

fn view(table: &Table) -> String {
    let (name, same) = (table.name, same(table));
    let cols =
        |of: &str| columns(table).map(|c| format!("{of}.{c}")).collect::<Vec<_>>().join(", ");
    let (placed, new) = (cols("s"), cols("h"));
    let (twin, place) = (format!("temp.\"hot_{name}\" h"), format!("main.\"{name}\" s"));
    let rows = if table.versioned {
        let newer = format!("{same} AND h.version > s.version");
        format!(
            "SELECT {placed} FROM {place} WHERE NOT EXISTS (SELECT 1 FROM {twin} WHERE {newer})
             UNION ALL SELECT {new} FROM {twin} JOIN {place} ON {newer}"
        )
    } else {
        format!(
            "SELECT {placed} FROM {place}
             UNION ALL SELECT {new} FROM {twin} WHERE NOT EXISTS (SELECT 1 FROM {place} WHERE {same})"
        )
    };
    format!("CREATE TEMP VIEW \"{name}\" AS {rows};")
}

fn put(table: &Table) -> String {
    let (name, cols) = (table.name, columns(table).collect::<Vec<_>>());
    if !table.versioned {
        let cols = cols.join(", ");
        return format!(
            "INSERT OR IGNORE INTO main.\"{name}\" ({cols}) SELECT {cols} FROM temp.\"hot_{name}\";"
        );
    }
    let sets: Vec<_> = cols[table.key.len()..].iter().map(|c| format!("{c} = h.{c}")).collect();
    format!(
        "UPDATE main.\"{name}\" AS s SET {} FROM temp.\"hot_{name}\" h
         WHERE {} AND h.version > s.version;",
        sets.join(", "),
        same(table),
    )
}
