//! `jangbu rebuild`: the projections of a stopped directory, made anew from the outbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::Backend;
use jangbu_services::projections::Projections;
use jangbu_services::queries::Queries;
use jangbu_store::DataDir;

use crate::args;
use crate::exit::{self, Exit};
use crate::serve::{derived, truth};

pub(crate) fn rebuild(args: &args::Rebuild) -> Result<Exit> {
    let dir = DataDir::open(&args.data)?;
    let config = crate::config::Config::load(None, None)?;
    let truth: Arc<dyn Backend> = Arc::new(truth(&dir, &config));
    // Brings the schema up to date, so that a directory of an older version can be read.
    truth.with(&mut |_| {})?;
    for name in ["derived.db", "derived.db-wal", "derived.db-shm"] {
        match std::fs::remove_file(dir.file(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {name}"));
            }
            _ => {}
        }
    }
    let derived: Arc<dyn Backend> = Arc::new(derived(&dir));
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
    exit::print(&format!("projections rebuilt from {events} events\n"))
}
