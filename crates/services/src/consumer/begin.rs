//! How a consumer begins that is new, or has missed events that are trimmed.
//!
//! Nobody writes the truth meanwhile: before a server takes its first order, or in a directory that
//! is stopped. So the rows of the truth tell of all events up to the last one, and that is the place
//! of a consumer that begins with them.

use jangbu_engine::books::SHARD;
use jangbu_engine::port::{Backend, By, Fault, Mode, Read, Reader, Store, WritePlan};

use super::{BESTSELLER, CONSUMERS, INBOX, OFFSET, PROJECTIONS, commit, name, place_id};
use crate::bestseller;

/// Brings the consumers that are going to run, but not the projections, to where they can follow the
/// outbox of `truth`. One that is not run loses its place: it will begin with what comes then.
pub fn begin(truth: &dyn Backend, derived: &dyn Backend, running: &[i64]) -> Result<(), Fault> {
    let mut reader = truth.reader()?;
    let mut done = Ok(());
    derived.with(&mut |store| {
        let mut others = CONSUMERS.iter().map(|(number, _)| *number).filter(|n| *n != PROJECTIONS);
        done = others.try_for_each(|consumer| {
            let wanted = running.contains(&consumer);
            if wanted { settle(consumer, &mut *reader, store) } else { forget(consumer, store) }
        });
    })?;
    done
}

/// Places by the key of their rows.
type Places = Vec<(i64, i64)>;

fn settle(consumer: i64, truth: &mut dyn Reader, store: &mut dyn Store) -> Result<(), Fault> {
    let (mut events, mut trimmed, log) = (0, 0, place_id(consumer, 0));
    let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
    truth.read(&read, &mut |_, row| (events, trimmed) = (row.int(2), row.int(6)))?;
    if places(consumer, store)?.iter().any(|(id, seq)| *id == log && *seq >= trimmed) {
        return Ok(());
    }
    if consumer == BESTSELLER {
        bestseller::from_rows(truth, store)?;
    }
    let mut plan = WritePlan::default();
    // Where it stands in topics stays true: what comes from there again is known.
    plan.row(&OFFSET, Mode::Upsert).int(log).int(events);
    empty(consumer, store, &mut plan)?;
    let mut tx = store.begin()?;
    tx.write(&plan)?;
    commit(tx)?;
    tracing::info!(consumer = name(consumer), events, "a consumer begins with the rows");
    Ok(())
}

fn forget(consumer: i64, store: &mut dyn Store) -> Result<(), Fault> {
    let mut plan = WritePlan::default();
    for (id, _) in places(consumer, store)? {
        plan.row(&OFFSET, Mode::Delete).int(id);
    }
    empty(consumer, store, &mut plan)?;
    if plan.is_empty() {
        return Ok(());
    }
    let mut tx = store.begin()?;
    tx.write(&plan)?;
    commit(tx)
}

/// Its inbox is of no use any more.
fn empty(consumer: i64, store: &mut dyn Store, plan: &mut WritePlan) -> Result<(), Fault> {
    let (from, to) = ([consumer, i64::MIN, 0], [consumer, i64::MAX, 0]);
    let by = By::Range { from, to, descending: false, limit: u32::MAX };
    store.begin()?.read(&[Read { table: &INBOX, by }], &mut |_, row| {
        plan.row(&INBOX, Mode::Delete).int(consumer).int(row.int(1));
    })
}

fn places(consumer: i64, store: &mut dyn Store) -> Result<Places, Fault> {
    let mut found = Places::new();
    let (from, to) = ([place_id(consumer, 0), 0, 0], [place_id(consumer, i32::MAX), 0, 0]);
    let by = By::Range { from, to, descending: false, limit: u32::MAX };
    store.begin()?.read(&[Read { table: &OFFSET, by }], &mut |_, row| {
        found.push((row.int(0), row.int(1)));
    })?;
    Ok(found)
}
