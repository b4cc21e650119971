//! `jangbu rebuild`: the projections of a stopped directory, made anew from rows and outbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::{Backend, Tenure};
use jangbu_services::consumer::{self, BESTSELLER};
use jangbu_services::projections::{Projections, Standing, refill, standing};
use jangbu_services::queries::Queries;
use jangbu_services::relay;
use jangbu_store::DataDir;

use crate::args;
use crate::config::Config;
use crate::exit::{self, Exit};
use crate::serve::whole;
use crate::stores::Stores;

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
    let stores = Stores::of(dir, &Config::load(None, None)?)?;
    // Brings the schema up to date, so that a shop of an older version can be read.
    stores.truth.with(&mut |_| {})?;
    let place = published(&*stores.derived);
    stores.remove_derived(dir)?;
    let rebuilt = fill(&stores.truth, &stores.derived)?;
    keep(&*stores.derived, place)?;
    Ok(rebuilt)
}

/// Fills empty projections; gives the last event, and the last that is trimmed.
pub(crate) fn fill(truth: &Arc<dyn Backend>, derived: &Arc<dyn Backend>) -> Result<(i64, i64)> {
    let trimmed = refill(&**truth, &**derived)?;
    consumer::begin(&**truth, &**derived, &[BESTSELLER])?;
    let queries = Queries::new(Arc::clone(truth), Arc::clone(derived));
    let events = queries.number()?;
    let clock = Arc::new(SystemClock);
    let projections = Projections::follow(&**truth, Arc::clone(derived), clock)?;
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
/// Consumers that are not among `running` lose their places.
pub(crate) fn catch_up(dir: &DataDir, stores: &Stores, running: &[i64]) -> Result<()> {
    let (truth, derived) = (&*stores.truth, &*stores.derived);
    // Of several processes on one database, the one that owns it does this.
    if matches!(truth.claim("")?, Tenure::Theirs { .. }) {
        return Ok(());
    }
    // Their schemas are brought up to date.
    truth.with(&mut |_| {})?;
    let standing = standing(truth, derived)?;
    let place = published(derived);
    if standing == Standing::Behind {
        tracing::warn!("derived.db has missed events that are trimmed: it is made anew");
        stores.remove_derived(dir)?;
    }
    if standing != Standing::Follows {
        let trimmed = refill(truth, derived)?;
        keep(derived, place)?;
        tracing::info!(trimmed, "derived.db begins with what the rows tell");
    }
    Ok(consumer::begin(truth, derived, running)?)
}

/// Up to which event the old projections know that everything is published. If that cannot be read it
/// is published again.
fn published(derived: &dyn Backend) -> Option<i64> {
    relay::stored(derived).ok().flatten()
}

fn keep(derived: &dyn Backend, place: Option<i64>) -> Result<()> {
    match place {
        Some(seq) => Ok(relay::store(derived, seq)?),
        None => Ok(()),
    }
}
