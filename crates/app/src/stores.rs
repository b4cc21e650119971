//! The databases of a shop: two files in its data directory, or two schemas of a PostgreSQL database. The
//! data directory stays in either case: it has the keys, the gateway's log, and the lock that makes sure that
//! one process uses it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use jangbu_engine::port::{Backend, Replica};
use jangbu_services::projections;
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_store::{DataDir, Durability, Mark, Options, Postgres, PostgresOptions, Sqlite};

use crate::config::Config;
use crate::exit::Usage;

/// What the projections' schema is called beside that of the truth.
pub(crate) const DERIVED: &str = "_derived";

/// How long the owner of the books waits for an answer of PostgreSQL at least, before it makes another connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same of who writes what is derived.
const PATIENCE_DERIVED: Duration = Duration::from_secs(10);

/// The truth and what is derived from it.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    pub(crate) truth: Arc<dyn Backend>,
    pub(crate) derived: Arc<dyn Backend>,
    /// Their schemas, if they are not files.
    schemas: Option<[Postgres; 2]>,
}

impl Stores {
    /// Those of `dir`, or where the settings say.
    pub(crate) fn of(dir: &DataDir, config: &Config) -> Result<Self> {
        if config.store.url.is_empty() {
            here(dir)?;
            let (truth, derived) = (Arc::new(truth(dir, config)), Arc::new(derived(dir)));
            return Ok(Self { truth, derived, schemas: None });
        }
        let name = name(dir)?;
        let lease = Duration::from_millis(config.store.lease_ms);
        let open = |schema: &str, (tables, steps): (&_, &_), durable| {
            let made = Postgres::new(&config.store.url, schema, tables, steps);
            // Who hears nothing for as long as its lease is no owner any more. Batches of what is derived may
            // be large, and nobody waits for them.
            let patience = if durable { lease.max(PATIENCE) } else { PATIENCE_DERIVED };
            let options = PostgresOptions { durable, lease, patience };
            let made = made.map(|made| made.with_options(options).known_as(&name));
            made.map_err(|fault| Usage(fault.into()))
        };
        let truth = open(&config.store.schema, (TABLES, MIGRATIONS), true)?;
        let schema = format!("{}{DERIVED}", config.store.schema);
        let derived = open(&schema, (projections::TABLES, projections::MIGRATIONS), false)?;
        let schemas = Some([truth.clone(), derived.clone()]);
        Ok(Self { truth: Arc::new(truth), derived: Arc::new(derived), schemas })
    }

    /// The replicas that the settings name, which are looked at from now on.
    pub(crate) fn replicas(&self, config: &Config) -> Result<Vec<Arc<dyn Replica>>> {
        let Some([truth, derived]) = &self.schemas else { return Ok(Vec::new()) };
        let most = Duration::from_millis(config.store.replica_lag_ms);
        let found = truth.replicas(derived, &config.store.replicas, most);
        found.map_err(|fault| Usage(fault.into()).into())
    }

    /// Removes the projections, which can be made anew.
    pub(crate) fn remove_derived(&self, dir: &DataDir) -> Result<()> {
        match &self.schemas {
            Some([_, derived]) => Ok(derived.remove()?),
            None => remove_derived(dir),
        }
    }
}

/// Removes the projections of a directory.
pub(crate) fn remove_derived(dir: &DataDir) -> Result<()> {
    for name in ["derived.db", "derived.db-wal", "derived.db-shm"] {
        match fs::remove_file(dir.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {name}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a directory whose shop has moved away, or is still on its way here.
pub(crate) fn here(dir: &DataDir) -> Result<()> {
    match Mark::of_dir(dir.path())? {
        None => Ok(()),
        Some(mark) => Err(Usage(anyhow!("{}: {}", dir.path().display(), mark.refusal())).into()),
    }
}

/// What the process that holds `dir` is called among owners of a schema: who comes back after a crash takes
/// its cell at once. Whoever copies a directory must not copy this file.
fn name(dir: &DataDir) -> Result<String> {
    let path = dir.file("owner");
    match fs::read_to_string(&path) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| path.display().to_string());
        }
        _ => {}
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).context("no random number")?;
    let name = format!("{:032x}", u128::from_be_bytes(id));
    fs::write(&path, &name).with_context(|| path.display().to_string())?;
    Ok(name)
}

/// The truth of a data directory.
pub(crate) fn truth(dir: &DataDir, config: &Config) -> Sqlite {
    let max_pages = Some(config.store.max_pages).filter(|pages| *pages > 0);
    let options = Options { cache_kib: config.store.cache_kib, max_pages, ..Options::default() };
    Sqlite::new(dir.file("jangbu.db"), TABLES, MIGRATIONS).with_options(options)
}

/// Its projections.
pub(crate) fn derived(dir: &DataDir) -> Sqlite {
    let options = Options { durability: Durability::Normal, ..Options::default() };
    Sqlite::new(dir.file("derived.db"), projections::TABLES, projections::MIGRATIONS)
        .with_options(options)
}
