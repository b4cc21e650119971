//! What only PostgreSQL can do: have several owners, lose a connection, count its round trips.

use std::{thread, time::Duration};

use jangbu_engine::port::{Backend, CommitError, Fault, Mode, Store, Tenure};
use jangbu_store::{Migration, Postgres, PostgresOptions, postgres::connect};

use crate::shop::{
    FIRST, ITEM, MARK, MIGRATIONS, SECOND, Source, TABLES, by_ids, commit, insert, item, range, row,
};

/// A fresh database.
pub(crate) fn fresh(name: &str) -> String {
    jangbu_cluster::shared::postgres().database(name).unwrap()
}

pub(crate) fn shop(url: &str) -> Postgres {
    Postgres::new(url, "shop", &TABLES, &MIGRATIONS).unwrap()
}

/// Runs `sql` beside everybody.
pub(crate) fn execute(url: &str, sql: &str) {
    let link = connect(url, "shop").unwrap();
    link.run(link.client().batch_execute(sql)).unwrap();
}

fn short(url: &str) -> Postgres {
    let lease = Duration::from_millis(600);
    shop(url).with_options(PostgresOptions { lease, ..PostgresOptions::default() })
}

#[test]
fn the_round_trips_of_a_batch_do_not_depend_on_its_size() {
    let url = fresh("round_trips");
    shop(&url)
        .with(&mut |store| {
            let trips = |store: &mut dyn Store, n: i64| {
                let from = n * 1_000;
                let before = store.counters().round_trips;
                let ids: Vec<i64> = (from..from + n).collect();
                let mut plan = jangbu_engine::port::WritePlan::default();
                let mut tx = store.begin().unwrap();
                assert_eq!(tx.ids(&by_ids(&ids)), [0_i64; 0]);
                for id in ids {
                    item(id, "new").put(&mut plan, Mode::Insert);
                    row(&mut plan, &MARK, Mode::Insert, &[id]);
                }
                plan.sort();
                tx.write(&plan).unwrap();
                tx.commit().unwrap();
                store.counters().round_trips - before
            };
            // The first one prepares its statements, and yet is no longer.
            assert_eq!(trips(store, 1), 2);
            assert_eq!([2, 16, 256].map(|n| trips(store, n)), [2, 2, 2]);
        })
        .unwrap();
}

#[test]
fn a_transaction_that_only_writes_is_one_round_trip() {
    let url = fresh("one_trip");
    shop(&url)
        .with(&mut |store| {
            commit(store, insert(&[item(1, "first")])).unwrap();
            let before = store.counters().round_trips;
            commit(store, insert(&[item(2, "second"), item(3, "third")])).unwrap();
            assert_eq!(store.counters().round_trips - before, 1);
            assert_eq!(store.ids(&by_ids(&[1, 2, 3])).len(), 3);
        })
        .unwrap();
}

#[test]
fn a_look_is_one_round_trip_and_leaves_nothing_open() {
    let url = fresh("look");
    shop(&url)
        .with(&mut |store| {
            commit(store, insert(&[item(1, "first")])).unwrap();
            let before = store.counters().round_trips;
            let mut found = Vec::new();
            store.peek(&[by_ids(&[1, 2])], &mut |_, row| found.push(row.int(0))).unwrap();
            store.between().unwrap();
            assert_eq!((found, store.counters().round_trips - before), (vec![1], 1));
        })
        .unwrap();
}

#[test]
fn another_process_waits_for_the_lease_and_then_fences_the_first_owner() {
    let url = fresh("fenced");
    let (first, second) = (short(&url), short(&url));
    first
        .with(&mut |store| {
            commit(store, insert(&[item(1, "first")])).unwrap();
            let told = second.claim("b:2").unwrap();
            let Tenure::Theirs { left, .. } = told else { panic!("{told:?}") };
            assert!(left <= Duration::from_millis(600));
            // The first owner sleeps through its lease.
            while matches!(second.claim("b:2").unwrap(), Tenure::Theirs { .. }) {
                thread::sleep(Duration::from_millis(20));
            }
            second
                .with(&mut |store| {
                    assert_eq!(store.ids(&by_ids(&[1])), [1]);
                    commit(store, insert(&[item(2, "second")])).unwrap();
                })
                .unwrap();
            let stale = commit(store, insert(&[item(3, "stale")]));
            let Err(CommitError::Failed(fault)) = stale else { panic!("{stale:?}") };
            assert!(matches!(fault, Fault::LostEpoch(_)), "{fault:?}");
        })
        .unwrap();
    assert_eq!(shop(&url).dump().unwrap().len(), 2);
}

#[test]
fn a_transaction_that_was_open_when_its_owner_lost_the_cell_writes_nothing() {
    let url = fresh("stale_tx");
    let (first, second) = (short(&url), short(&url));
    first
        .with(&mut |store| {
            let mut plan = jangbu_engine::port::WritePlan::default();
            item(1, "stale").put(&mut plan, Mode::Insert);
            let mut tx = store.begin().unwrap();
            assert_eq!(tx.ids(&by_ids(&[1])), [0_i64; 0]);
            tx.write(&plan).unwrap();
            while matches!(second.claim("").unwrap(), Tenure::Theirs { .. }) {
                thread::sleep(Duration::from_millis(20));
            }
            second.with(&mut |store| commit(store, insert(&[item(2, "new")])).unwrap()).unwrap();
            assert!(tx.commit().is_err());
        })
        .unwrap();
    assert_eq!(shop(&url).reader().unwrap().ids(&by_ids(&[1, 2])), [2]);
}

/// The clock of a process that was stopped says that its lease was renewed a moment ago, and who took the cell
/// over may not have reached its connection: then only the comparison in each transaction is left.
#[test]
fn an_owner_that_has_not_noticed_its_end_is_refused_by_the_comparison_alone() {
    let url = fresh("compared");
    let lease = Duration::from_mins(5);
    let owner = shop(&url).with_options(PostgresOptions { lease, ..PostgresOptions::default() });
    owner
        .with(&mut |store| {
            commit(store, insert(&[item(1, "mine")])).unwrap();
            execute(&url, "UPDATE shop.owner SET epoch = epoch + 1, holder = 'b/b' WHERE cell = 0");
            let written = commit(store, insert(&[item(2, "stale")]));
            let Err(CommitError::Failed(Fault::LostEpoch(_))) = written else {
                panic!("{written:?}")
            };
            let read = store.begin().unwrap().read(&[by_ids(&[1])], &mut |_, _| ());
            assert!(matches!(read, Err(Fault::LostEpoch(_))), "{read:?}");
        })
        .unwrap();
    assert_eq!(owner.reader().unwrap().ids(&by_ids(&[1, 2])), [1]);
}

#[test]
fn a_released_cell_is_taken_at_once_and_so_is_that_of_the_same_name() {
    let url = fresh("released");
    let (first, second, third) = (shop(&url), shop(&url), shop(&url).known_as("twin"));
    assert_eq!(first.claim("a:1").unwrap(), Tenure::Mine { epoch: 1 });
    assert_eq!(first.claim("a:1").unwrap(), Tenure::Mine { epoch: 1 });
    let told = second.claim("b:2").unwrap();
    assert!(matches!(told, Tenure::Theirs { address, .. } if address == "a:1"));
    first.release().unwrap();
    assert_eq!(second.claim("b:2").unwrap(), Tenure::Mine { epoch: 2 });
    second.release().unwrap();
    assert_eq!(third.claim("").unwrap(), Tenure::Mine { epoch: 3 });
    let again = shop(&url).known_as("twin");
    assert_eq!(again.claim("").unwrap(), Tenure::Mine { epoch: 4 });
}

#[test]
fn ranges_longer_than_a_page_are_read_to_their_end_in_one_snapshot() {
    let url = fresh("pages");
    let shop = shop(&url);
    let many: Vec<i64> = (0..25_000).collect();
    let write = |store: &mut dyn Store, ids: &[i64]| {
        let each =
            |plan: &mut _| ids.iter().for_each(|id| _ = row(plan, &MARK, Mode::Insert, &[*id]));
        commit(store, each).unwrap();
    };
    shop.with(&mut |store| write(store, &many)).unwrap();
    let mut reader = shop.reader().unwrap();
    let all = |descending| range(&MARK, [i64::MIN; 3], [i64::MAX; 3], descending, u32::MAX);
    assert_eq!(reader.ids(&all(false)), many);
    let mut backwards = many.clone();
    backwards.reverse();
    assert_eq!(reader.ids(&all(true)), backwards);
    let most = range(&MARK, [5, 0, 0], [i64::MAX; 3], false, 20_000);
    assert_eq!(reader.ids(&most), many[5..20_005]);
    let mut both = Vec::new();
    reader.read(&[all(false), by_ids(&[1]), all(true)], &mut |at, _| both.push(at)).unwrap();
    assert!(both.is_sorted() && both.len() == 50_000, "{}", both.len());
}

#[test]
fn a_schema_that_drifted_is_refused() {
    let url = fresh("drift");
    let with = |migrations: &[Migration]| {
        Postgres::new(&url, "shop", &TABLES, migrations).unwrap().with(&mut |_| ())
    };
    let fatal = |result| match result {
        Err(Fault::Fatal(text)) => text,
        other => panic!("not fatal: {other:?}"),
    };
    with(&MIGRATIONS[..1]).unwrap();
    with(&MIGRATIONS).unwrap();
    with(&MIGRATIONS).unwrap();
    assert!(fatal(with(&MIGRATIONS[..1])).contains("newer version"));
    let edited = Migration { sql: "CREATE TABLE mark (id INTEGER PRIMARY KEY, x)", ..SECOND };
    assert!(fatal(with(&[FIRST, edited])).contains("was changed after"));
    assert!(shop(&url).check().is_ok());
    let broken =
        Migration { version: 3, name: "half", sql: "CREATE TABLE half (id INTEGER); CREATE" };
    fatal(with(&[FIRST, SECOND, broken]));
    with(&MIGRATIONS).unwrap();
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let refused = |url: &str, schema: &str| match Postgres::new(url, schema, &TABLES, &MIGRATIONS) {
        Err(Fault::Fatal(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(refused("postgres://u@h/d", "Shop; DROP").contains("store.schema"));
    assert!(refused("mysql://u@h/d", "shop").contains("store.url"));
    assert!(refused("postgres://u@h/d?sslmode=require", "shop").contains("TLS"));
    let nobody = Postgres::new("postgres://u@127.0.0.1:1/d", "shop", &TABLES, &MIGRATIONS).unwrap();
    assert!(matches!(nobody.with(&mut |_| ()), Err(Fault::Transient(_))));
    assert_eq!(ITEM.key.len(), 1);
}
