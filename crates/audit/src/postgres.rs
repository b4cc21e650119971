//! A shop on PostgreSQL: one consistent snapshot of its schema, copied into a scratch database.
//!
//! ```text
//! BEGIN (repeatable read, read only) ─▶ the catalog ─▶ COPY each table, binary ─▶ SQLite, in a file
//!                                                                                that nobody sees
//! ```
//!
//! The rules are statements of SQLite, well over a hundred of them. On a copy the same text of each rule
//! judges both kinds of store, everything is seen as of one moment, and the server has no more to do
//! than one sequential reading of its tables. The copy has the names, types and primary keys of the
//! original; its file has no name and goes with the process, however that ends. Memory: the page cache
//! ([`CACHE_KIB`]) and a few messages of the server, whose sending waits for our writing.
//!
//! Pages and the log of hot rows are SQLite's own: their rules have nothing to judge here. Instead
//! `promised` looks whether PostgreSQL keeps the promises that the schema makes.

mod binary;
mod catalog;
mod promised;

use std::{fmt, future::Future, pin::pin};

use futures_util::StreamExt;
use rusqlite::{
    Connection, Statement,
    types::{ToSqlOutput, ValueRef},
};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

pub(crate) use self::promised::RULES;
use self::{binary::Decoder, catalog::Table};
use crate::{Error, Step, book::Book, store, watch::Watch};

/// Page cache of the scratch database: trees whose keys come in no order fit for a while.
const CACHE_KIB: u32 = 65_536;

/// One moment: every statement sees it, and no setting of the server ends it early.
const BEGIN: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                     SET application_name = 'jangbu prove'; \
                     BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A snapshot of a schema that is held open.
pub(crate) struct Snapshot {
    // Before the runtime, which its connection needs to end.
    client: Client,
    runtime: Runtime,
    schema: String,
    tables: Vec<Table>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// Says what could not be done.
fn failed(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let doing = doing.into();
    move |source| Error::Postgres { doing, source }
}

impl Snapshot {
    /// Connects and takes the snapshot: everything that is read from now on is as of this moment.
    pub(crate) fn take(url: &str, schema: &str) -> Result<Self, Error> {
        let thread = |source| Error::Read { file: "the network".into(), source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(thread)?;
        let (client, tables) = runtime.block_on(async {
            let (client, connection) =
                tokio_postgres::connect(url, NoTls).await.map_err(failed("connecting"))?;
            // Its errors come back to whoever waits for an answer.
            drop(runtime.spawn(connection));
            client.batch_execute(BEGIN).await.map_err(failed("beginning the snapshot"))?;
            let tables = catalog::tables(&client, schema).await?;
            Ok::<_, Error>((client, tables))
        })?;
        if !tables.iter().any(|table| table.name == "shard") {
            return Err(Error::NoShop(schema.to_owned()));
        }
        Ok(Self { client, runtime, schema: schema.to_owned(), tables })
    }

    /// Copies every table, looks at what the schema promises, and ends the snapshot.
    pub(crate) fn copy(
        self,
        steps: &[Step],
        watch: &Watch<'_>,
        book: &mut Book,
    ) -> Result<Connection, Error> {
        watch.phase("check the schema");
        self.wait(promised::check(&self.client, &self.schema, book))?;
        watch.phase("copy from PostgreSQL");
        let copy = scratch()?;
        for table in &self.tables {
            copy.execute_batch(&table.made())?;
            let mut insert = copy.prepare(&table.insert())?;
            self.wait(self.carry(table, &mut insert, watch))?;
        }
        copy.execute_batch("COMMIT")?;
        self.wait(self.client.batch_execute("ROLLBACK")).map_err(failed("ending the snapshot"))?;
        promised::steps(&copy, steps, book)?;
        store::begin(&copy, || Error::Older(self.schema.clone()))?;
        Ok(copy)
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Carries one table over, row by row.
    async fn carry(
        &self,
        table: &Table,
        insert: &mut Statement<'_>,
        watch: &Watch<'_>,
    ) -> Result<(), Error> {
        let reading = || failed(format!("copying the table {}", table.name));
        let sent = self.client.copy_out(&table.copied(&self.schema)).await.map_err(reading())?;
        let mut sent = pin!(sent);
        let mut rows = Decoder::new(table.columns.len());
        while let Some(bytes) = sent.next().await {
            rows.feed(&bytes.map_err(reading())?);
            while rows.next().map_err(|why| why.of(&table.name))? {
                watch.tick();
                put(table, &rows, insert)?;
            }
        }
        rows.end().map_err(|why| why.of(&table.name))
    }
}

/// Puts the last row that was cut into the copy.
fn put(table: &Table, rows: &Decoder, insert: &mut Statement<'_>) -> Result<(), Error> {
    for (at, column) in table.columns.iter().enumerate() {
        let value = rows.field(at).map_or(Ok(ValueRef::Null), |bytes| column.kind.value(bytes));
        let value = ToSqlOutput::Borrowed(value.map_err(|why| why.of(&table.name))?);
        insert.raw_bind_parameter(at + 1, value)?;
    }
    insert.raw_execute()?;
    Ok(())
}

/// A database in a file without a name, in which nothing needs to survive.
fn scratch() -> Result<Connection, Error> {
    let copy = Connection::open("")?;
    copy.execute_batch(&format!(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
         PRAGMA cache_size = -{CACHE_KIB}; BEGIN"
    ))?;
    Ok(copy)
}
