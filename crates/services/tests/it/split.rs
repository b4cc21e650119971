//! A batch equals its items one by one, and any split of them: same answers, same rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::Backend;
use jangbu_services::events::Fact;
use jangbu_services::registry::TABLES;
use jangbu_store::{Dump, OwnedValue};
use proptest::prelude::*;

use crate::history::{Sent, compile, everything, history};
use crate::rig::{ONE, Rig, Seen, files, memories, memory, open_all, rows, same_rows, schemas};

/// Everything that may depend on how commands were grouped into commits: whole tables, columns,
/// and the folded events. Nothing else may.
const SCOPED_TABLES: [&str; 3] = ["shard", "chain", "outbox"];
const SCOPED_COLUMNS: [(&str, &str); 1] = [("entry", "commit_no")];
const FOLDED: [&str; 3] = ["stock.changed", "coupon.changed", "point.changed"];

/// Rows without what is commit-scoped.
pub(crate) fn unscoped(dump: &Dump) -> Dump {
    let mut rows = dump.clone();
    rows.retain(|(table, _), _| !SCOPED_TABLES.contains(table));
    for (table, column) in SCOPED_COLUMNS {
        let at = TABLES.iter().find(|t| t.name == table).unwrap().position(column).unwrap();
        for (_, row) in rows.iter_mut().filter(|((name, _), _)| *name == table) {
            row[at] = OwnedValue::Null;
        }
    }
    rows
}

/// What folded events say, by thing.
pub(crate) type Told = BTreeMap<(&'static str, i64), Vec<i64>>;

/// Events in order without number and commit; of the folded ones, what they say in the end of each
/// thing they are about.
pub(crate) fn events(dump: &Dump) -> (Vec<Vec<OwnedValue>>, Told) {
    let topic = OUTBOX.position("topic").unwrap();
    let (mut events, mut told) = (Vec::new(), Told::new());
    for (_, row) in dump.iter().filter(|((table, _), _)| *table == OUTBOX.name) {
        let OwnedValue::Blob(payload) = &row[OUTBOX.position("payload").unwrap()] else {
            panic!("{row:?}")
        };
        if FOLDED.iter().all(|folded| row[topic] != OwnedValue::Text((*folded).to_owned())) {
            events.push(row[2..].to_vec());
            continue;
        }
        match Fact::decode(payload) {
            Ok(Fact::StockChanged { stocks }) => {
                told.extend(stocks.into_iter().map(|(sku, n)| (("stock", sku), vec![n])));
            }
            Ok(Fact::CouponChanged { tally, issued, moved }) => {
                let OwnedValue::Int(key) = row[topic + 1] else { panic!("{row:?}") };
                told.insert(("campaign", key), tally.to_vec());
                let all = issued.into_iter().chain(moved);
                told.extend(all.map(|(id, a, b, c)| (("coupon", id), vec![a, b, c])));
            }
            // Every movement counts, and those of an account have an order.
            Ok(Fact::PointChanged { moves }) => {
                for m in moves {
                    let all = told.entry(("points", m.user)).or_default();
                    all.extend([m.what, m.about, m.paid, m.earned, m.seq, m.balance]);
                }
            }
            _ => panic!("{row:?}"),
        }
    }
    (events, told)
}

/// Runs the list in pieces of these sizes; what is left at the end is one more.
fn run(sent: &[Sent], sizes: &[usize], backends: &[Arc<dyn Backend>]) -> (Vec<Seen>, Dump) {
    let mut rig = Rig::new(ONE);
    open_all(backends, &mut |stores| {
        let (mut rest, mut sizes) = (sent, sizes.iter());
        while !rest.is_empty() {
            let size = sizes.next().map_or(rest.len(), |size| (*size).min(rest.len()));
            let (piece, later) = rest.split_at(size);
            for sent in piece {
                rig.send(sent);
            }
            rig.settle(stores);
            rest = later;
        }
    });
    (rig.answers(), rows(&*backends[0]))
}

pub(crate) fn compare(one: &(Vec<Seen>, Dump), other: &(Vec<Seen>, Dump)) {
    for (at, (a, b)) in one.0.iter().zip(&other.0).enumerate() {
        assert_eq!(a, b, "answer {at}");
    }
    assert_eq!(one.0.len(), other.0.len());
    same_rows(&unscoped(&one.1), &unscoped(&other.1));
    assert_eq!(events(&one.1), events(&other.1));
}

proptest! {
    #![proptest_config(crate::rig::cases(64))]

    #[test]
    fn a_batch_equals_its_items_one_by_one_and_any_split_of_them(
        ops in history(everything(), 10..60),
        sizes in prop::collection::vec(1..12_usize, 0..12),
    ) {
        let sent = compile(&ops);
        let whole = run(&sent, &[], &memories(1));
        compare(&whole, &run(&sent, &vec![1; sent.len()], &memories(1)));
        compare(&whole, &run(&sent, &sizes, &memories(1)));
    }

    #[test]
    fn what_is_read_ahead_changes_nothing(
        ops in history(everything(), 10..60),
        sizes in prop::collection::vec(1..12_usize, 0..12),
    ) {
        let sent = compile(&ops);
        let far: Arc<dyn Backend> = Arc::new(memory().far());
        compare(&run(&sent, &sizes, &memories(1)), &run(&sent, &sizes, &[far]));
    }
}

proptest! {
    #![proptest_config(crate::rig::cases(6))]

    #[test]
    fn all_stores_give_the_same_answers_and_rows(
        ops in history(everything(), 20..60),
        sizes in prop::collection::vec(1..12_usize, 0..4),
    ) {
        let sent = compile(&ops);
        let dir = tempfile::tempdir().unwrap();
        let memory = run(&sent, &sizes, &memories(1));
        compare(&memory, &run(&sent, &sizes, &files(1, dir.path())));
        compare(&memory, &run(&sent, &sizes, &schemas(1)));
    }
}
