//! One moment of a shop, from whichever store: what is younger is not seen, and nothing that is seen changes.

use std::path::Path;

use rusqlite::Connection;

use crate::{Error, Step, Store, book::Book, hot, postgres, rows::Source, store, watch::Watch};

/// A snapshot that is held.
#[derive(Debug)]
pub(crate) enum Snapshot {
    /// A read transaction of the database file.
    File(Connection),
    /// A transaction of a PostgreSQL server.
    Server(postgres::Snapshot),
}

impl Snapshot {
    /// Takes it.
    pub(crate) fn take(from: &Store, file: &Path) -> Result<Self, Error> {
        match from {
            Store::Directory => Ok(Self::File(store::open(file)?)),
            Store::Postgres { url, schema } => {
                Ok(Self::Server(postgres::Snapshot::take(url, schema)?))
            }
        }
    }

    /// Makes it what the rules read. `None`: it is so damaged that reading it would prove nothing.
    pub(crate) fn readable(
        self,
        steps: &[Step],
        watch: &Watch<'_>,
        book: &mut Book,
    ) -> Result<Option<Connection>, Error> {
        let db = match self {
            Self::Server(server) => return server.copy(steps, watch, book).map(Some),
            Self::File(db) => db,
        };
        let from = Source { db: &db, watch };
        if !store::check(from, book)? {
            return Ok(None);
        }
        hot::show(from, book)?;
        Ok(Some(db))
    }
}
