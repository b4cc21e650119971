//! `jangbu rebuild`: the projections of a stopped directory, made anew from rows and outbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::Backend;
use jangbu_services::projections::{Projections, Standing, refill, standing};
use jangbu_services::queries::Queries;
use jangbu_store::DataDir;

use crate::args;
use crate::exit::{self, Exit};
use crate::serve::{derived, truth, whole};

pub(crate) fn rebuild(args: &args::Rebuild) -> Result<Exit> {
    let dir = DataDir::open(&args.data)?;
    whole(&dir)?;
    let (events, trimmed) = anew(&dir)?;
    let from = if trimmed > 0 {
        format!("rows up to event {trimmed}, and {} events", events - trimmed)
    } else {
        format!("{events} events")
    };
    exit::print(&format!("projections rebuilt from {from}\n"))
}

/// Makes the projections of a directory anew; gives the last event, and the last that is trimmed.
pub(crate) fn anew(dir: &DataDir) -> Result<(i64, i64)> {
    let config = crate::config::Config::load(None, None)?;
    let truth: Arc<dyn Backend> = Arc::new(truth(dir, &config));
    // Brings the schema up to date, so that a directory of an older version can be read.
    truth.with(&mut |_| {})?;
    remove(dir)?;
    let derived: Arc<dyn Backend> = Arc::new(derived(dir));
    let trimmed = refill(&*truth, &*derived)?;
    let queries = Queries::new(Arc::clone(&truth), Arc::clone(&derived));
    let (events, _) = queries.progress()?;
    let projections = Projections::follow(&*truth, derived, Arc::new(SystemClock))?;
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {pos}/{len} events")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(events.unsigned_abs()).with_style(style);
    while projections.seq() < events && projections.is_running() {
        bar.set_position(projections.seq().unsigned_abs());
        std::thread::sleep(Duration::from_millis(20));
    }
    projections.stop()?;
    bar.finish_and_clear();
    Ok((events, trimmed))
}

/// Fills new projections with what trimmed events said; those that missed some are made anew.
pub(crate) fn catch_up(dir: &DataDir, truth: &dyn Backend, derived: &dyn Backend) -> Result<()> {
    // Their schemas are brought up to date.
    truth.with(&mut |_| {})?;
    match standing(truth, derived)? {
        Standing::Follows => return Ok(()),
        Standing::New => {}
        Standing::Behind => {
            tracing::warn!("derived.db has missed events that are trimmed: it is made anew");
            remove(dir)?;
        }
    }
    let trimmed = refill(truth, derived)?;
    tracing::info!(trimmed, "derived.db begins with what the rows tell");
    Ok(())
}

fn remove(dir: &DataDir) -> Result<()> {
    for name in ["derived.db", "derived.db-wal", "derived.db-shm"] {
        match std::fs::remove_file(dir.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {name}"));
            }
            _ => {}
        }
    }
    Ok(())
}
