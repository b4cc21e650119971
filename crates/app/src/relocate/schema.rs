//! A schema of a PostgreSQL database as one end of a move.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use jangbu_engine::port::{Backend, Fault, Key, Table, WritePlan};
use jangbu_services::{projections, registry};
use jangbu_store::postgres::{self, Link, bulk, moving};
use jangbu_store::{Mark, Postgres, PostgresOptions, Way};

use crate::exit::Usage;
use crate::stores;

use super::side::{EachRow, Side, shown_url};

/// The schema, and once it is a shop's, its lock.
pub(super) struct Schema {
    url: String,
    name: String,
    /// Where the gateway's log and the keys are.
    data: PathBuf,
    link: Link,
}

impl Schema {
    /// Connects. Nothing is made or locked yet.
    pub(super) fn open(url: &str, name: &str, data: &Path) -> Result<Self> {
        let link = postgres::connect(url, name)?;
        let (url, name, data) = (url.to_owned(), name.to_owned(), data.to_owned());
        moving::unhurried(&link)?;
        Ok(Self { url, name, data, link })
    }

    /// As a source: there is a shop of this version, and nobody serves it.
    pub(super) fn ready(&self) -> Result<()> {
        if self.mark()?.is_some() {
            return Ok(());
        }
        if !moving::tables(&self.link, &self.name)?.iter().any(|table| table == "shard") {
            return Err(self.refused("there is no shop (--from)").into());
        }
        self.backend()?.check()?;
        Ok(moving::hold(&self.link, &self.name)?)
    }

    fn backend(&self) -> Result<Postgres, Fault> {
        Postgres::new(&self.url, &self.name, registry::TABLES, registry::MIGRATIONS)
    }

    fn refused(&self, why: &str) -> Usage {
        Usage(anyhow!("{}: {why}", self.shown()))
    }

    /// Makes the schema where there is none, or finds one in which nothing has ever happened.
    fn make(&self) -> Result<()> {
        let tables = moving::tables(&self.link, &self.name)?;
        if !tables.is_empty() && !tables.iter().any(|table| table == "shard") {
            return Err(self.refused("it has tables that are not a shop's (--schema)").into());
        }
        self.backend()?.with(&mut |_| {})?;
        moving::hold(&self.link, &self.name)?;
        for table in registry::TABLES {
            let used = match table.name {
                "shard" => moving::commits(&self.link, &self.name)? > 0,
                _ => bulk::last(&self.link, &self.name, table)?.is_some(),
            };
            if used {
                let why = "there is a shop already; name another schema (--schema)";
                return Err(self.refused(why).into());
            }
        }
        Ok(())
    }
}

impl Side for Schema {
    fn shown(&self) -> String {
        shown_url(&self.url, &self.name)
    }

    fn mark(&self) -> Result<Option<Mark>> {
        Ok(moving::mark(&self.link, &self.name)?)
    }

    fn set(&self, mark: &Mark) -> Result<()> {
        Ok(moving::set(&self.link, &self.name, mark, "")?)
    }

    fn clear(&self) -> Result<()> {
        Ok(moving::clear(&self.link, &self.name)?)
    }

    fn prepare(&mut self, mark: &Mark) -> Result<()> {
        match self.mark()? {
            Some(begun) if begun.way == Way::Arriving => {
                if begun.shop != mark.shop {
                    let why = "another move was begun here; drop the schema, if nobody needs it";
                    return Err(self.refused(why).into());
                }
                return Ok(moving::hold(&self.link, &self.name)?);
            }
            Some(Mark { commit, .. }) => {
                moving::set_aside(&self.link, &self.name, &format!("{}_left_{commit}", self.name))?;
            }
            None => {}
        }
        self.make()?;
        // The row that the schema begins with is not this shop's.
        let begin = format!("DELETE FROM \"{}\".shard;", self.name);
        Ok(moving::set(&self.link, &self.name, mark, &begin)?)
    }

    fn rows(
        &mut self,
        table: &'static Table,
        from: (Key, u32),
        each: &mut EachRow<'_>,
    ) -> Result<(), Fault> {
        bulk::rows(&self.link, &self.name, table, from, each)
    }

    fn last(&mut self, table: &'static Table) -> Result<Option<Key>, Fault> {
        bulk::last(&self.link, &self.name, table)
    }

    fn put(&mut self, table: &'static Table, plan: &WritePlan) -> Result<(), Fault> {
        bulk::put(&self.link, &self.name, table, plan)
    }

    fn filled(&mut self) -> Result<()> {
        for table in registry::TABLES {
            moving::analyze(&self.link, &self.name, table)?;
        }
        Ok(())
    }

    fn truth(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.backend()?))
    }

    fn new_derived(&self) -> Result<Arc<dyn Backend>> {
        let name = format!("{}{}", self.name, stores::DERIVED);
        moving::drop_schema(&self.link, &name).context("removing old projections")?;
        let options = PostgresOptions { durable: false, ..PostgresOptions::default() };
        let derived =
            Postgres::new(&self.url, &name, projections::TABLES, projections::MIGRATIONS)?;
        Ok(Arc::new(derived.with_options(options)))
    }

    fn books(&self) -> jangbu_audit::Options {
        crate::prove::on_postgres(&self.url, &self.name, &self.data)
    }

    fn advice(&self) -> String {
        let data = self.data.display();
        format!(
            "Served by `jangbu serve --data {data}` with store.url and store.schema = \"{}\". The \
             gateway's log and the keys are not moved: they are in {data}\n",
            self.name
        )
    }
}
