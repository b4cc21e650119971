//! A data directory as one end of a move.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use jangbu_engine::books::SHARD;
use jangbu_engine::port::{Backend, By, Fault, Key, Read, Reader, Table, WritePlan};
use jangbu_services::registry;
use jangbu_store::{DataDir, Filling, Mark, Sqlite, Way};

use crate::exit::Usage;
use crate::stores;

use super::side::{EachRow, Side};

/// The directory, locked.
pub(super) struct Directory {
    dir: DataDir,
    /// Where the gateway's log and the keys are.
    data: PathBuf,
    store: Sqlite,
    reader: Option<Box<dyn Reader>>,
    filling: Option<Filling>,
}

impl Directory {
    /// The one that a shop leaves.
    pub(super) fn source(path: &Path) -> Result<Self> {
        if !path.join("jangbu.db").exists() {
            return Err(Usage(anyhow!("there is no shop in {} (--from)", path.display())).into());
        }
        let this = Self::open(path, path)?;
        if this.mark()?.is_none() {
            crate::serve::whole(&this.dir)?;
            // Brings the schema up to date, and hot rows to their places.
            this.store.with(&mut |_| {})?;
        }
        Ok(this)
    }

    /// The one that a shop comes to.
    pub(super) fn target(path: &Path, data: &Path) -> Result<Self> {
        Self::open(path, data)
    }

    fn open(path: &Path, data: &Path) -> Result<Self> {
        let dir = DataDir::open(path)?;
        let store = Sqlite::new(dir.file("jangbu.db"), registry::TABLES, registry::MIGRATIONS);
        Ok(Self { dir, data: data.to_owned(), store, reader: None, filling: None })
    }

    fn reader(&mut self) -> Result<&mut (dyn Reader + 'static), Fault> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.store.reader()?,
        };
        Ok(self.reader.insert(reader).as_mut())
    }

    fn read(&mut self, table: &'static Table, by: By, each: &mut EachRow<'_>) -> Result<(), Fault> {
        self.reader()?.read(&[Read { table, by }], &mut |_, row| each(row))
    }

    /// The rows of a shop that went away keep their file under another name.
    fn set_aside(&self, commit: i64) -> Result<()> {
        for ending in ["-wal", "-shm", ""] {
            let old = self.dir.file(&format!("jangbu.db{ending}"));
            if old.exists() {
                let new = self.dir.file(&format!("jangbu.db.left-{commit}{ending}"));
                fs::rename(&old, &new).with_context(|| format!("renaming {}", old.display()))?;
            }
        }
        Ok(())
    }
}

impl Side for Directory {
    fn shown(&self) -> String {
        self.dir.path().display().to_string()
    }

    fn mark(&self) -> Result<Option<Mark>> {
        let path = self.dir.path();
        Mark::of_dir(path).with_context(|| format!("reading {}/moving", path.display()))
    }

    fn set(&self, mark: &Mark) -> Result<()> {
        mark.set_dir(self.dir.path()).context("setting the mark of the move")
    }

    fn clear(&self) -> Result<()> {
        Mark::clear_dir(self.dir.path()).context("taking the mark of the move away")
    }

    fn prepare(&mut self, mark: &Mark) -> Result<()> {
        let refuse = |why: &str| Usage(anyhow!("{}: {why}", self.dir.path().display()));
        match self.mark()? {
            Some(begun) if begun.way == Way::Arriving => {
                if begun.shop != mark.shop {
                    let why = "another move was begun here; remove jangbu.db, jangbu.db-wal, \
                               jangbu.db-shm and moving, if nobody needs it";
                    return Err(refuse(why).into());
                }
            }
            None if self.dir.file("jangbu.db").exists() => {
                return Err(refuse("there is a shop already; name another directory").into());
            }
            old => {
                if let Some(Mark { commit, .. }) = old {
                    self.set_aside(commit)?;
                }
                self.set(mark)?;
            }
        }
        let filling = self.filling.insert(self.store.fill()?);
        // The row that the schema begins with is not this shop's.
        Ok(filling.clear(&SHARD)?)
    }

    fn rows(
        &mut self,
        table: &'static Table,
        (from, limit): (Key, u32),
        each: &mut EachRow<'_>,
    ) -> Result<(), Fault> {
        self.read(table, By::Range { from, to: [i64::MAX; 3], descending: false, limit }, each)
    }

    fn last(&mut self, table: &'static Table) -> Result<Option<Key>, Fault> {
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let mut last = None;
        let by = By::Range { from, to, descending: true, limit: 1 };
        self.read(table, by, &mut |row| last = Some(table.key_of(row)))?;
        Ok(last)
    }

    fn put(&mut self, _table: &'static Table, plan: &WritePlan) -> Result<(), Fault> {
        match &mut self.filling {
            Some(filling) => filling.put(plan),
            None => Err(Fault::Fatal("the directory is not prepared".to_owned())),
        }
    }

    fn filled(&mut self) -> Result<()> {
        self.reader = None;
        Ok(self.filling.take().map_or(Ok(()), Filling::finish)?)
    }

    fn truth(&self) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(self.store.clone()))
    }

    fn new_derived(&self) -> Result<Arc<dyn Backend>> {
        stores::remove_derived(&self.dir)?;
        Ok(Arc::new(stores::derived(&self.dir)))
    }

    fn books(&self) -> jangbu_audit::Options {
        let psp_log = Some(self.data.join("psp.log"));
        jangbu_audit::Options { psp_log, ..jangbu_audit::Options::new(self.dir.path()) }
    }

    fn advice(&self) -> String {
        let (here, data) = (self.dir.path().display(), self.data.display());
        format!(
            "{here} is a data directory. The gateway's log and the keys are not moved: they are in \
             {data}\n"
        )
    }
}
