//! Projections are a fold over the truth: the offset moves with the rows, so nothing is taken in
//! twice or left out, and a new store gets the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jangbu_domain::ledger::model::AccountId;
use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{Backend, Fault};
use jangbu_kernel::{OrderId, UserId};
use jangbu_services::consumer::Running;
use jangbu_services::ledger::{ACCOUNT, ENTRY};
use jangbu_services::order::ORDERS;
use jangbu_services::projections::{self, Projections};
use jangbu_services::queries::Queries;
use jangbu_store::{Dump, Faults, Memory, On, Sqlite, dump};
use proptest::prelude::*;

use crate::history::{commerce, compile, history};
use crate::rig::{Bench, Hand, START, cases, int, same_rows};
use crate::stage::{hold, place, refund};

fn follow(truth: &Memory, derived: Arc<dyn Backend>) -> Running {
    Projections::follow(truth, derived, Arc::new(Hand::at(START))).unwrap()
}

/// Takes in everything that the truth has.
fn project(truth: &Memory, derived: &Arc<dyn Backend>) -> Dump {
    follow(truth, Arc::clone(derived)).stop().unwrap();
    rows(&**derived)
}

fn rows(derived: &dyn Backend) -> Dump {
    dump(&mut *derived.reader().unwrap(), projections::TABLES).unwrap()
}

fn memory() -> Arc<dyn Backend> {
    Arc::new(Memory::new())
}

fn last_event(truth: &Memory) -> i64 {
    truth
        .dump()
        .keys()
        .filter(|(table, _)| *table == OUTBOX.name)
        .map(|(_, key)| key[0])
        .max()
        .unwrap_or(0)
}

fn rows_of(dump: &Dump, table: &str) -> Vec<Vec<Option<i64>>> {
    let of_table = dump.iter().filter(|((name, _), _)| *name == table);
    of_table.map(|(_, row)| row.iter().map(int).collect()).collect()
}

/// Asserts that what the queries say is what the truth's rows add up to.
fn assert_folded(truth: &Memory, derived: &Arc<dyn Backend>) {
    let queries = Queries::new(Arc::new(truth.clone()), Arc::clone(derived));
    let dump = truth.dump();
    assert_eq!(queries.projected().unwrap(), last_event(truth));
    assert_eq!(queries.projected_sum().unwrap(), 0);
    let mut by_user: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let user = ORDERS.position("user_id").unwrap();
    for row in rows_of(&dump, ORDERS.name) {
        by_user.entry(row[user].unwrap()).or_default().insert(0, row[0].unwrap());
    }
    for (user, orders) in &by_user {
        let listed = queries.orders_of(UserId(*user), None, u32::MAX).unwrap();
        assert_eq!(listed.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), *orders);
        for (id, _) in listed {
            assert_eq!(queries.timeline(id).unwrap()[0].event, "order.placed");
        }
    }
    let (account, amount) = (ENTRY.position("account").unwrap(), ENTRY.position("amount").unwrap());
    for row in rows_of(&dump, ACCOUNT.name) {
        let id = row[0].unwrap();
        let mut amounts: Vec<_> = rows_of(&dump, ENTRY.name)
            .into_iter()
            .filter(|entry| entry[account] == Some(id))
            .map(|entry| entry[amount].unwrap())
            .collect();
        let listed = queries.entries(AccountId(id), None, u32::MAX).unwrap();
        let balance = listed.first().map_or(0, |entry| entry.balance);
        assert_eq!(balance, amounts.iter().sum::<i64>(), "account {id}");
        let steps = listed.windows(2).all(|two| two[0].balance == two[1].balance + two[0].amount);
        assert!(steps, "running balances of account {id}");
        let mut seen: Vec<_> = listed.iter().map(|entry| entry.amount).collect();
        amounts.sort_unstable();
        seen.sort_unstable();
        assert_eq!(amounts, seen);
        for entry in &listed {
            let then = queries.balance_at(AccountId(id), entry.at).unwrap();
            let last = listed.iter().find(|other| other.at <= entry.at).unwrap();
            assert_eq!(then, last.balance);
        }
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn projections_are_a_fold_over_the_truth_and_a_rebuild_gives_the_same_rows(
        ops in history(commerce(), 5..40),
    ) {
        let (mut bench, derived) = (Bench::new(), memory());
        for (at, sent) in compile(&ops).iter().enumerate() {
            bench.rig.set(sent.now);
            bench.rig.ask(sent.envelope());
            bench.settle_with_gateway();
            if at % 10 == 9 {
                project(&bench.memory, &derived);
            }
        }
        bench.run_out();
        let followed = project(&bench.memory, &derived);
        assert_folded(&bench.memory, &derived);
        same_rows(&followed, &project(&bench.memory, &memory()));
    }
}

/// A few orders with every posting.
fn sold() -> Bench {
    let mut bench = Bench::stocked();
    for id in [10, 11, 12] {
        assert!(bench.run(place(id, &[(0, 1), (1, 1)], "ok")).is_done());
        bench.settle_with_gateway();
    }
    assert!(bench.run(refund(10, Some(&[(0, 1)]))).is_done());
    assert!(bench.run(hold(13, &[(2, 1)])).is_done());
    bench.settle_with_gateway();
    bench
}

/// Projects all there is, then lets `plan` go wrong while more comes in. One projector lives
/// through all of it; the rows must be those of one that saw no fault.
fn projected_through(plan: impl Fn(&Faults)) {
    let (mut bench, derived) = (sold(), Memory::new());
    let shared: Arc<dyn Backend> = Arc::new(derived.clone());
    let projections = follow(&bench.memory, shared);
    follow_up(&projections, &bench, &derived);
    plan(derived.faults());
    assert!(bench.run(place(14, &[(0, 1), (2, 1)], "ok")).is_done());
    bench.settle_with_gateway();
    follow_up(&projections, &bench, &derived);
    projections.stop().unwrap();
    assert!(derived.faults().is_spent());
    same_rows(&project(&bench.memory, &memory()), &rows(&derived));
}

fn follow_up(projections: &Running, bench: &Bench, derived: &Memory) {
    for _ in 0..2_000 {
        if projections.seq() == last_event(&bench.memory) && derived.faults().is_spent() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("the projections stand still");
}

#[test]
fn a_fault_while_projecting_doubles_nothing_and_leaves_no_gap() {
    let busy = || Fault::Transient("busy".to_owned());
    for on in [On::Begin, On::Write, On::Commit] {
        projected_through(|faults| faults.fail(on, 2, busy()));
    }
    projected_through(|faults| faults.lose_answers(0, 1));
    projected_through(|faults| faults.lose_commits(0, 1));
    projected_through(|faults| {
        faults.fail(On::Commit, 1, busy());
        faults.fail(On::Read, 2, busy());
    });
}

#[test]
fn projections_wait_while_their_disk_is_full() {
    projected_through(|faults| faults.fail(On::Commit, 2, Fault::Full("no space".to_owned())));
}

#[test]
fn both_stores_project_the_same() {
    let bench = sold();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("derived.db");
    let file: Arc<dyn Backend> =
        Arc::new(Sqlite::new(path, projections::TABLES, projections::MIGRATIONS));
    same_rows(&project(&bench.memory, &memory()), &project(&bench.memory, &file));
    assert_folded(&bench.memory, &file);
}

#[test]
fn the_lag_of_every_event_is_counted_once() {
    let bench = sold();
    let clock = Arc::new(Hand::at(START + 30_000));
    let projections = Projections::follow(&bench.memory, memory(), clock).unwrap();
    let handle = projections.handle();
    let progress = handle.progress();
    projections.stop().unwrap();
    let (lag, events) = (progress.lag.snapshot(), last_event(&bench.memory).unsigned_abs());
    let below = |ms| {
        let bound = Some(Duration::from_millis(ms));
        lag.cumulative().find(|(other, _)| *other == bound).unwrap().1
    };
    assert_eq!((below(25), below(50), lag.count()), (0, events, events));
    assert_eq!(lag.sum_us, 30_000 * events);
    assert_eq!(progress.seq(), last_event(&bench.memory));
}

#[test]
fn a_page_of_orders_goes_on_where_the_last_one_ended() {
    let bench = sold();
    let derived = memory();
    project(&bench.memory, &derived);
    let queries = Queries::new(Arc::new(bench.memory), derived);
    let page = |before| {
        let page = queries.orders_of(UserId(7), before, 2).unwrap();
        page.into_iter().map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(page(None), [13, 12]);
    assert_eq!(page(Some(OrderId(12))), [11, 10]);
    assert_eq!(page(Some(OrderId(10))), [0_i64; 0]);
}
