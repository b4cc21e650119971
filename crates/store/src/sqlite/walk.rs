//! Walks along an index. The statement names its index: a list must not become slow because a
//! statistic changed the planner's mind.

use jangbu_engine::port::{Datum, Each, Span, Walk};
use rusqlite::{Connection, Result, Statement};

use super::{held::all, text::select};

/// The statement of a walk.
pub(super) fn text(walk: &Walk) -> String {
    let (index, n) = (walk.index, walk.same.len());
    let key = index.table.key[0];
    let same = index.cols[..n].iter().zip(1..).map(|(col, at)| format!("{col} = ?{at}"));
    let by = match &walk.span {
        Span::Keys(..) => key,
        Span::Values(..) => index.cols[n],
    };
    let wanted: Vec<_> = same.chain([format!("{by} BETWEEN ?{} AND ?{}", n + 1, n + 2)]).collect();
    let order = if walk.descending { " DESC" } else { "" };
    let then = if by == key { String::new() } else { format!(", {key}{order}") };
    format!(
        "{} INDEXED BY {} WHERE {} ORDER BY {by}{order}{then} LIMIT ?{}",
        select(index.table),
        index.name,
        wanted.join(" AND "),
        n + 3,
    )
}

/// Runs a walk; reports each row with `at`.
pub(super) fn run(conn: &Connection, walk: &Walk, at: usize, each: &mut Each<'_>) -> Result<()> {
    let mut statement = conn.prepare_cached(&text(walk))?;
    let n = walk.same.len();
    for (at, datum) in walk.same.iter().enumerate() {
        bind(&mut statement, at + 1, datum)?;
    }
    match &walk.span {
        Span::Keys(from, to) => {
            statement.raw_bind_parameter(n + 1, *from)?;
            statement.raw_bind_parameter(n + 2, *to)?;
        }
        Span::Values(from, to) => {
            bind(&mut statement, n + 1, from)?;
            bind(&mut statement, n + 2, to)?;
        }
    }
    statement.raw_bind_parameter(n + 3, i64::from(walk.limit))?;
    all(&mut statement, at, each)
}

fn bind(statement: &mut Statement<'_>, at: usize, datum: &Datum) -> Result<()> {
    match datum {
        Datum::Int(n) => statement.raw_bind_parameter(at, *n),
        Datum::Text(text) => statement.raw_bind_parameter(at, &**text),
    }
}

#[cfg(test)]
mod tests {
    use jangbu_engine::port::{Col, Index, Table};

    use super::*;

    static ITEM: Table = Table {
        rank: 1,
        name: "item",
        key: &["id"],
        cols: &[Col::int("a"), Col::text("b"), Col::int("c")],
        versioned: false,
        due: false,
        lists: &[],
        hot: false,
    };
    static ITEM_AB: Index = Index { name: "item_ab", table: &ITEM, cols: &["a", "b"] };

    #[test]
    fn a_walk_searches_its_index_and_sorts_nothing() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE item (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c INTEGER);
             CREATE INDEX item_ab ON item (a, b);",
        )
        .unwrap();
        let text_of = |text: &str| Datum::Text(text.into());
        let keys = Span::Keys(5, 9);
        let values = Span::Values(text_of("k"), text_of("z"));
        for descending in [false, true] {
            for (same, span, wanted) in [
                (vec![Datum::Int(1), text_of("x")], &keys, "(a=? AND b=? AND rowid>? AND rowid<?)"),
                (vec![Datum::Int(1)], &values, "(a=? AND b>? AND b<?)"),
            ] {
                let walk = Walk { index: &ITEM_AB, same, span: span.clone(), descending, limit: 3 };
                let sql = format!("EXPLAIN QUERY PLAN {}", text(&walk));
                let mut statement = conn.prepare(&sql).unwrap();
                let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
                let steps: Vec<_> = steps.map(Result::unwrap).collect();
                assert_eq!(steps, [format!("SEARCH item USING INDEX item_ab {wanted}")]);
            }
        }
    }
}
