//! Where a damaged file is damaged, in words.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use jangbu_engine::port::Fault;
use rusqlite::{Connection, Result};

use super::{fault::fault_of, reader};

/// At most so many findings.
const FINDINGS: u32 = 20;

/// Looks through the whole file.
pub(super) fn whole(path: &Path) -> Result<Vec<String>, Fault> {
    let look = || check(&reader::connect(path)?, None);
    look().map_err(|e| fault_of(&e, &format!("checking {}", path.display())))
}

/// Looks through `table`, or the whole file, for as long as `limit`; the answer goes into a fault.
pub(super) fn within(path: &Path, table: Option<&str>, limit: Duration) -> String {
    let look = || -> Result<Vec<String>> {
        let mut conn = reader::connect(path)?;
        let end = Instant::now() + limit;
        conn.progress_handler(10_000, Some(move || Instant::now() > end))?;
        check(&conn, table)
    };
    match look() {
        Ok(found) if found.is_empty() => "nothing (the damage may be in the log)".to_owned(),
        Ok(found) => found.join("; "),
        Err(error) => format!("no page ({error})"),
    }
}

fn check(conn: &Connection, table: Option<&str>) -> Result<Vec<String>> {
    let sql = match table {
        Some(table) => format!("PRAGMA quick_check(\"{table}\")"),
        None => format!("PRAGMA quick_check({FINDINGS})"),
    };
    let roots = roots(conn).unwrap_or_default();
    let mut statement = conn.prepare(&sql)?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut found = Vec::new();
    for line in lines {
        // A check that stumbles over the damage ends with an error after its findings.
        let text = match line {
            Ok(text) => text,
            Err(_) if !found.is_empty() => break,
            Err(error) => return Err(error),
        };
        let parts = text.lines().filter(|l| !l.starts_with("***") && *l != "ok");
        found.extend(parts.map(|part| name_tree(part, &roots)));
    }
    Ok(found)
}

/// Root page and name of each table and index.
fn roots(conn: &Connection) -> Result<Vec<(i64, String)>> {
    let mut statement =
        conn.prepare("SELECT rootpage, type || ' ' || name FROM sqlite_schema WHERE rootpage > 0")?;
    let roots = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    roots.collect()
}

/// SQLite speaks of "Tree 7"; this adds which table or index that is.
fn name_tree(finding: &str, roots: &[(i64, String)]) -> String {
    let number = finding.strip_prefix("Tree ").and_then(|rest| rest.split(' ').next());
    let root = number.and_then(|n| n.parse::<i64>().ok());
    match roots.iter().find(|(page, _)| Some(*page) == root) {
        Some((_, name)) => format!("{name}: {finding}"),
        None => finding.to_owned(),
    }
}
