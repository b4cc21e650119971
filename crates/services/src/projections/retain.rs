//! What the projections do not keep for ever. A slice between two batches, never within one:
//!
//! | rows | go when | what is lost |
//! |---|---|---|
//! | a parked key, of any consumer | [`Keep::parked`] after it was parked | nothing of what can be taken in: it is; the events that still cannot be are left out |
//! | lines of the timeline | older than [`Keep::timelines`], once their order or payment has ended | how rare turns were told; the order and its refunds stay |
//!
//! A key that is given up lets the outbox be trimmed again: without an end, one damaged event that
//! nobody looks at would keep all later ones. Every event is a commit of its own, as when an operator
//! settles the key, so a kill loses none and takes none in twice.
//!
//! Lists of orders and coupons, entries of accounts and movements of points are what the books are
//! read by. They stay.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_domain::order::model::State;
use jangbu_engine::chore::Portion;
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{By, Fault, Key, Mode, Read, Reader, Store, WritePlan};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::{Projections, TIMELINE};
use crate::consumer::commit;
use crate::order::ORDERS;
use crate::payment::PAYMENT;

/// How long rows of `derived.db` are kept; none: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Keys that nobody settles.
    pub parked: Option<Span>,
    /// Lines of the timelines of what has ended.
    pub timelines: Option<Span>,
}

/// Lines of the timeline that a slice looks at.
const LINES: Portion = Portion::new(100, 16, 1_000);

/// How often the timeline is looked through.
const LOOK: Span = Span(60_000_000);

/// Where the work stands.
#[derive(Debug)]
pub(super) struct Retention {
    keep: Keep,
    lines: Portion,
    /// The next line to be looked at, and when.
    from: Key,
    next: Time,
}

impl Retention {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, lines: LINES, from: [i64::MIN; 3], next: Time(0) }
    }
}

/// How an order, or a payment without one, stands.
#[derive(Clone, Copy)]
struct Stand {
    /// When it began. Those with higher numbers began later.
    began: Time,
    ended: bool,
}

/// A page of the timeline.
#[derive(Default)]
struct Lines {
    /// Key and time.
    all: Vec<(Key, Time)>,
    /// What they are about.
    about: BTreeSet<i64>,
}

impl Projections {
    /// Deletes the next lines of what has ended long ago; says whether there may be more.
    pub(super) fn forget(
        &mut self,
        store: &mut dyn Store,
        truth: &mut dyn Reader,
        clock: &dyn Clock,
    ) -> Result<bool, Fault> {
        let Some(keep) = self.retention.keep.timelines else { return Ok(false) };
        let now = clock.now();
        // A clock that was set back must not stop it.
        if now < self.retention.next && self.retention.next.0 - LOOK.0 <= now.0 {
            return Ok(false);
        }
        let (limit, size) = (Time(now.0 - keep.0), self.retention.lines.size());
        let begun = clock.now();
        let lines = self.lines(store, size)?;
        let stands = stands(truth, &lines.about)?;
        let mut plan = WritePlan::default();
        let mut young = false;
        for ([about, seq, _], at) in &lines.all {
            let stand = stands.get(about);
            // What began within the time has no older line, nor has anything behind it.
            young |= stand.is_some_and(|stand| stand.began > limit);
            if *at <= limit && stand.is_none_or(|stand| stand.ended) {
                plan.row(&TIMELINE, Mode::Delete).int(*about).int(*seq);
            }
        }
        if !plan.is_empty() {
            let mut tx = store.begin()?;
            tx.write(&plan)?;
            commit(tx)?;
        }
        let seen = u32::try_from(lines.all.len()).unwrap_or(u32::MAX);
        let retention = &mut self.retention;
        retention.lines.took(seen, clock.now() - begun);
        let more = seen == size && !young;
        match lines.all.last() {
            Some(([about, seq, _], _)) if more => retention.from = [*about, seq + 1, 0],
            _ => (retention.from, retention.next) = ([i64::MIN; 3], now + LOOK),
        }
        Ok(more)
    }

    fn lines(&self, store: &mut dyn Store, limit: u32) -> Result<Lines, Fault> {
        let (from, to) = (self.retention.from, [i64::MAX; 3]);
        let by = By::Range { from, to, descending: false, limit };
        let mut lines = Lines::default();
        store.begin()?.read(&[Read { table: &TIMELINE, by }], &mut |_, row| {
            lines.all.push(([row.int(0), row.int(1), 0], Time(row.int(2))));
            lines.about.insert(row.int(0));
        })?;
        Ok(lines)
    }
}

/// How what the lines are about stands. A payment has the number of its order, and the order
/// decides.
fn stands(truth: &mut dyn Reader, about: &BTreeSet<i64>) -> Result<BTreeMap<i64, Stand>, Fault> {
    let at = |table: &jangbu_engine::port::Table, name| table.position(name).unwrap_or_default();
    let (state, placed, next) =
        (at(&ORDERS, "state"), at(&ORDERS, "placed_at"), at(&ORDERS, "next_at"));
    let (made, due) = (at(&PAYMENT, "at"), at(&PAYMENT, "next_at"));
    let by = || By::Keys(about.iter().map(|id| [*id, 0, 0]).collect());
    let reads = [Read { table: &PAYMENT, by: by() }, Read { table: &ORDERS, by: by() }];
    let mut stands = BTreeMap::<i64, Stand>::new();
    truth.read(&reads, &mut |read, row| {
        let id = row.int(0);
        if read == 0 {
            let (began, ended) = (Time(row.int(made)), row.opt_int(due).is_none());
            stands.insert(id, Stand { began, ended });
            return;
        }
        let final_state = State::from_code(row.int(state))
            .is_some_and(|state| matches!(state, State::Completed | State::Cancelled));
        let paid = stands.get(&id).is_none_or(|payment| payment.ended);
        let ended = final_state && row.opt_int(next).is_none() && paid;
        stands.insert(id, Stand { began: Time(row.int(placed)), ended });
    })?;
    Ok(stands)
}
