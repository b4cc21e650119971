//! What a move tells at its end.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::Sums;

/// A move that has come to its end.
pub(super) struct Told {
    pub from: String,
    pub to: String,
    pub commit: i64,
    pub sums: Sums,
    pub begun: Instant,
}

impl Told {
    /// As a table, or as one JSON document.
    pub(super) fn text(&self, advice: &str, as_json: bool) -> Result<String> {
        let Self { from, to, commit, sums, begun } = self;
        let (rows, seconds) = (super::total(sums), begun.elapsed().as_secs_f64());
        if as_json {
            let table = |(table, sum): &(&jangbu_engine::port::Table, jangbu_store::Checksum)| json!({ "table": table.name, "rows": sum.rows, "checksum": sum.to_string() });
            let tables: Vec<_> = sums.iter().map(table).collect();
            let told = json!({
                "from": from, "to": to, "commit": commit, "rows": rows, "seconds": seconds,
                "tables": tables,
            });
            return Ok(serde_json::to_string_pretty(&told)? + "\n");
        }
        let mut text =
            format!("{:<14} {:>12}  checksum, the same on both sides\n", "table", "rows");
        for (table, sum) in sums {
            writeln!(text, "{:<14} {:>12}  {sum}", table.name, sum.rows)?;
        }
        writeln!(text, "{:<14} {rows:>12}  in {seconds:.1} s", "all")?;
        writeln!(text, "moved from {from} to {to} with commit {commit}, proven before and after")?;
        write!(text, "{from} is not served any more; its rows stay there as they were\n{advice}")?;
        Ok(text)
    }
}
