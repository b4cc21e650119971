//! Cascade on equals cascade off: all units in one cell, or each cell with a mailbox and a
//! database of its own.
//!
//! Histories are without races between cells: each command, and each answer of the gateway, has
//! settled everywhere before the next begins, and cells are driven in the order of the registry.
//! A client's answer shows its resource as the first commit leaves it, which is earlier when the
//! rest happens elsewhere, so verdicts are compared, and all rows when everything has settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::{catalog, coupon, inventory, ledger, order, payment, point};
use jangbu_engine::books::{AUDIT, OUTBOX};
use jangbu_engine::port::Backend;
use jangbu_kernel::UnitId;
use jangbu_kernel::time::Span;
use jangbu_store::{Dump, OwnedValue};
use proptest::prelude::*;

use crate::gateway::Gateway;
use crate::history::{Sent, commerce, compile, history};
use crate::rig::{ONE, Rig, files, memories, open_all, rows, same_rows};
use crate::split::{Told, events, unscoped};

pub(crate) const TWO: &[&[UnitId]] = &[
    &[
        catalog::command::UNIT,
        inventory::command::UNIT,
        coupon::command::UNIT,
        point::command::UNIT,
    ],
    &[order::command::UNIT, payment::UNIT, ledger::UNIT],
];

pub(crate) const APART: &[&[UnitId]] = &[
    &[catalog::command::UNIT],
    &[inventory::command::UNIT],
    &[coupon::command::UNIT],
    &[point::command::UNIT],
    &[order::command::UNIT],
    &[payment::UNIT],
    &[ledger::UNIT],
];

/// Besides what is commit-scoped: numbers of requests and of audited lines, which each cell counts
/// by itself, and states in those lines, which are those after the cascade within the cell.
fn across_cells(backends: &[Arc<dyn Backend>]) -> (Dump, Vec<String>, Told) {
    let (mut all, mut facts, mut told) = (Dump::new(), Vec::new(), Told::new());
    let (mut requests, mut audited) = (Vec::new(), Vec::new());
    for backend in backends {
        let dump = rows(&**backend);
        let (events, changed) = events(&dump);
        facts.extend(events);
        told.extend(changed);
        let mut dump = unscoped(&dump);
        requests.extend(
            dump.iter().filter(|((t, _), _)| *t == "request").map(|(_, r)| r[1..].to_vec()),
        );
        audited.extend(
            dump.iter().filter(|((t, _), _)| *t == AUDIT.name).map(|(_, r)| r[1..7].to_vec()),
        );
        dump.retain(|(table, _), _| !["request", "idem", AUDIT.name].contains(table));
        let (before, more) = (all.len(), dump.len());
        all.extend(dump);
        assert_eq!(all.len(), before + more, "two cells hold one row");
    }
    requests.sort();
    audited.sort();
    all.extend(audited.into_iter().zip(0..).map(|(row, n)| ((AUDIT.name, [n, 0, 0]), row)));
    all.extend(requests.into_iter().zip(0..).map(|(row, n)| (("request", [n, 0, 0]), row)));
    (all, by_aggregate(facts), told)
}

/// Events of one aggregate keep their order; those of different cells have none.
fn by_aggregate(mut facts: Vec<Vec<OwnedValue>>) -> Vec<String> {
    let topic = OUTBOX.position("topic").unwrap() - 2;
    let family = |fact: &Vec<OwnedValue>| match &fact[topic] {
        OwnedValue::Text(topic) => topic.split('.').next().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    facts.sort_by_key(|fact| (family(fact), fact[topic + 1].clone()));
    facts.iter().map(|fact| format!("{fact:?}")).collect()
}

struct Ended {
    verdicts: Vec<String>,
    rows: (Dump, Vec<String>, Told),
    kept: BTreeMap<i64, i64>,
}

fn live(
    sent: &[Sent],
    layout: &'static [&'static [UnitId]],
    backends: &[Arc<dyn Backend>],
) -> Ended {
    let (mut rig, mut gateway) = (Rig::new(layout), Gateway::default());
    open_all(backends, &mut |stores| {
        for sent in sent {
            rig.set(sent.now.max(rig.now() + Span::millis(21)));
            let mut envelope = sent.envelope();
            envelope.now = rig.now();
            rig.settle_with(stores, &mut gateway);
            rig.ask(envelope);
            rig.settle_with(stores, &mut gateway);
        }
        rig.run_out(stores, &mut gateway, backends);
    });
    assert!(gateway.most_charges() <= 1, "a payment was charged twice");
    let verdicts = rig.answers().iter().map(crate::rig::Seen::verdict).collect();
    Ended { verdicts, rows: across_cells(backends), kept: gateway.kept() }
}

fn compare(on: &Ended, off: &Ended) {
    assert_eq!(on.verdicts, off.verdicts);
    same_rows(&on.rows.0, &off.rows.0);
    assert_eq!(on.rows.1, off.rows.1);
    assert_eq!(on.rows.2, off.rows.2);
    assert_eq!(on.kept, off.kept);
}

proptest! {
    #![proptest_config(crate::rig::cases(32))]

    #[test]
    fn cascade_on_equals_cascade_off(ops in history(commerce(), 5..40)) {
        let sent = compile(&ops);
        let on = live(&sent, ONE, &memories(1));
        compare(&on, &live(&sent, TWO, &memories(2)));
        compare(&on, &live(&sent, APART, &memories(APART.len())));
    }
}

proptest! {
    #![proptest_config(crate::rig::cases(2))]

    #[test]
    fn cascade_on_equals_cascade_off_with_a_file_for_each_cell(ops in history(commerce(), 10..30)) {
        let sent = compile(&ops);
        let dir = tempfile::tempdir().unwrap();
        let on = live(&sent, ONE, &memories(1));
        compare(&on, &live(&sent, APART, &files(APART.len(), dir.path())));
    }
}
