//! A row as the port sees it.

use jangbu_engine::port::Fields;
use tokio_postgres::{Row, types::FromSql};

/// A row of PostgreSQL. A type that is not the declared one is drift of the schema; it panics, and the
/// item is set aside, as every row that cannot be read.
pub(super) struct PgRow<'r>(pub(super) &'r Row);

impl<'r> PgRow<'r> {
    fn get<T: FromSql<'r>>(&self, at: usize) -> Option<T> {
        self.0.get(at)
    }
}

impl Fields for PgRow<'_> {
    fn int(&self, at: usize) -> i64 {
        self.get(at).unwrap_or(0)
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        self.get(at)
    }

    fn text(&self, at: usize) -> &str {
        self.get(at).unwrap_or("")
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        self.get(at)
    }

    fn blob(&self, at: usize) -> &[u8] {
        self.get(at).unwrap_or(&[])
    }
}
