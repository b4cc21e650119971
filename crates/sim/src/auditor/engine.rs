//! The engine's own rows: numbers without gaps, and nothing set aside without a cause.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_services::events::Fact;

use super::rows::{Rows, int};
use super::{Auditor, Broken, Change, law};
use crate::tally::Tally;

/// Events that follow from the rows of their aggregates.
const TOPICS: [&str; 5] =
    ["order.placed", "order.completed", "order.cancelled", "payment.captured", "payment.refunded"];

pub(super) fn judge(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
    let Some(row) = change.after else { return Err("a row of the engine is gone".to_owned()) };
    match change.table {
        "outbox" => {
            law(change.before.is_none(), || "an event has changed".to_owned())?;
            tally.add(&format!("event {}", row.text("topic")));
            let payload = row.blobs.get("payload").map(Vec::as_slice).unwrap_or_default();
            if let Ok(Fact::OrderAdvanced { from, to, .. }) = Fact::decode(payload) {
                tally.add(&format!("saga {from} → {to}"));
            }
            Ok(())
        }
        "request" | "audit_log" => law(change.before.is_none(), || "it has changed".to_owned()),
        // A store that refuses a row says so; everything else that is set aside is a bug.
        "poison" => {
            tally.add("set aside");
            // Run again, it may be refused, for the world has gone on: that stays open, too.
            let error = row.text("error");
            let known = error.contains("as planned") || error.starts_with("refused: ");
            law(known, || format!("a command was set aside: {error}"))
        }
        _ => Ok(()),
    }
}

impl Auditor {
    /// P1: what was committed is published, once, and nothing else is.
    pub(super) fn event_sums(&self) -> Result<(), Broken> {
        let mut expected = BTreeMap::new();
        let mut expect = |topic: &str, id: i64, times: usize| {
            if times > 0 {
                expected.insert((topic.to_owned(), id), u32::try_from(times).unwrap_or(0));
            }
        };
        for (key, row) in self.table("orders") {
            let state = row.int("state");
            expect("order.placed", key[0], 1);
            expect("order.completed", key[0], usize::from(state == 8));
            let cancelled = state == 9 || row.int("stuck_in") == 9;
            expect("order.cancelled", key[0], usize::from(cancelled));
        }
        for (key, row) in self.table("payment") {
            expect("payment.captured", key[0], usize::from(row.int("state") == 6));
            let refunds = row.packed("refunds");
            let done = refunds.iter().filter(|refund| int(refund, 1) == 3).count();
            expect("payment.refunded", key[0], done);
        }
        let known: BTreeSet<&str> = TOPICS.into_iter().collect();
        let published = self.published.iter().filter(|((topic, _), _)| known.contains(&**topic));
        for (about, times) in published {
            let should = expected.remove(about).unwrap_or(0);
            law(*times == should, || {
                format!("{about:?} was published {times} times, not {should}")
            })?;
        }
        law(expected.is_empty(), || format!("committed, and never published: {expected:?}"))
    }

    pub(super) fn engine_sums(&self) -> Result<(), Broken> {
        for own in &self.own {
            let none = Rows::new();
            let rows = |name: &str| own.get(name).unwrap_or(&none);
            let Some(shard) = rows("shard").values().next() else { continue };
            for (table, counter) in [("outbox", "events"), ("request", "requests")] {
                numbered(rows(table), shard.int(counter))
                    .map_err(|law| format!("{table}: {law}"))?;
            }
        }
        Ok(())
    }

    /// What was set aside was run again or given up.
    pub(super) fn engine_rest(&self) -> Result<(), Broken> {
        let open = self.chores().poison;
        law(open.is_empty(), || format!("still set aside: {open:?}"))
    }
}

/// Numbers begin at 1 and end with the one that the shard row names.
fn numbered(rows: &Rows, named: i64) -> Result<(), Broken> {
    let count = i64::try_from(rows.len()).unwrap_or(0);
    let last = rows.keys().next_back().map_or(0, |key| key[0]);
    let gapless = count == last && last == named;
    law(gapless, || format!("{count} rows, the last is {last}, the shard says {named}"))
}
