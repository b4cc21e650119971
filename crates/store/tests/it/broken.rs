//! Connections to PostgreSQL that break, fall silent, or lose an answer.

use std::{net::TcpListener, thread, time::Duration};

use jangbu_cluster::wire::{Aim, Lost, Wire};
use jangbu_engine::port::{Backend, CommitError, Fault, Mode, Tenure};
use jangbu_store::{Postgres, PostgresOptions};

use crate::postgres::{execute, fresh, shop};
use crate::shop::{Source, by_ids, commit, insert, item};

/// Ends every connection of an owner, as a crash of the server does.
fn cut(url: &str) {
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name LIKE 'jangbu owner%' AND datname = current_database()",
    );
}

#[test]
fn a_connection_that_breaks_is_made_again() {
    let url = fresh("broken");
    shop(&url)
        .with(&mut |store| {
            commit(store, insert(&[item(1, "before")])).unwrap();
            cut(&url);
            let mut tries = 0;
            while let Err(error) = commit(store, insert(&[item(2, "after")])) {
                let waits = matches!(&error, CommitError::Failed(Fault::Transient(_)));
                assert!(waits || matches!(error, CommitError::Unknown(_)), "{error:?}");
                tries += 1;
                assert!(tries < 5, "{error:?}");
            }
            assert_eq!(store.ids(&by_ids(&[1, 2])).len(), 2);
        })
        .unwrap();
}

#[test]
fn a_commit_whose_answer_does_not_come_is_unknown() {
    let url = fresh("unknown");
    shop(&url)
        .with(&mut |store| {
            commit(store, insert(&[item(1, "before")])).unwrap();
            let mut plan = jangbu_engine::port::WritePlan::default();
            item(2, "who knows").put(&mut plan, Mode::Insert);
            let mut tx = store.begin().unwrap();
            assert_eq!(tx.ids(&by_ids(&[1])), [1]);
            tx.write(&plan).unwrap();
            cut(&url);
            let unknown = tx.commit();
            assert!(matches!(unknown, Err(CommitError::Unknown(_))), "{unknown:?}");
            assert_eq!(store.ids(&by_ids(&[1, 2])), [1]);
        })
        .unwrap();
}

/// What PostgreSQL says when the owner's COMMIT is done.
const COMMIT: Aim = Aim { who: b"jangbu owner of shop'", answer: b"C\0\0\0\x0bCOMMIT\0" };

/// A way to the server of `url`, and the address that leads over it.
fn way_to(url: &str) -> (Wire, String) {
    let host = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let wire = Wire::start(host, COMMIT).unwrap();
    let over = url.replace(host, &format!("127.0.0.1:{}", wire.port()));
    (wire, over)
}

/// An owner that does not wait long for its answers, and seldom renews its lease.
fn hasty(url: &str) -> Postgres {
    let (lease, patience) = (Duration::from_mins(5), Duration::from_secs(3));
    shop(url).with_options(PostgresOptions { lease, patience, ..PostgresOptions::default() })
}

#[test]
fn a_commit_whose_question_or_answer_is_lost_is_unknown_and_the_rows_tell() {
    let (wire, url) = way_to(&fresh("lost"));
    shop(&url)
        .with(&mut |store| {
            for (id, what) in [(1, Lost::Question), (2, Lost::Answer)] {
                // Connected before: what is waited for at first has an answer, too.
                drop(store.begin().unwrap());
                wire.lose(what);
                let lost = commit(store, insert(&[item(id, "who knows")]));
                assert!(matches!(lost, Err(CommitError::Unknown(_))), "{what:?}: {lost:?}");
            }
            assert_eq!(store.ids(&by_ids(&[1, 2])), [2]);
        })
        .unwrap();
    assert_eq!(wire.lost(), 2);
}

#[test]
fn connections_that_say_nothing_any_more_are_given_up() {
    let (wire, url) = way_to(&fresh("silent"));
    let owner = hasty(&url);
    owner.claim("a:1").unwrap();
    owner
        .with(&mut |store| {
            commit(store, insert(&[item(1, "before")])).unwrap();
            wire.freeze();
            let lost = commit(store, insert(&[item(2, "who knows")]));
            assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
            // That of the lease is silent, too, and nobody waits for it any more.
            assert_eq!(owner.claim("a:1").unwrap(), Tenure::Mine { epoch: 1 });
            commit(store, insert(&[item(3, "after")])).unwrap();
            assert_eq!(store.ids(&by_ids(&[1, 2, 3])), [1, 3]);

            // The other way round: what the lease has found out the owner need not find out.
            wire.freeze();
            let claim = owner.claim("a:1");
            assert!(matches!(claim, Err(Fault::Transient(_))), "{claim:?}");
            commit(store, insert(&[item(4, "at once")])).unwrap();
        })
        .unwrap();
}

#[test]
fn a_host_that_takes_connections_and_says_nothing_keeps_nobody_from_the_next() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = fresh("hosts");
    let alive = url.split('@').nth(1).unwrap().split('/').next().unwrap();
    let both = url.replace(alive, &format!("{},{alive}", dead.local_addr().unwrap()));
    let shop = shop(&both);
    shop.with(&mut |store| commit(store, insert(&[item(1, "sold")])).unwrap()).unwrap();
    assert_eq!(shop.reader().unwrap().ids(&by_ids(&[1])), [1]);
}

/// Waits until an owner's commit waits for a standby.
fn until_it_waits(primary: &jangbu_cluster::Postgres) {
    let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep' \
                 and application_name like 'jangbu owner%'";
    while primary.sql(&[waits]).unwrap() == "0" {
        thread::sleep(Duration::from_millis(20));
    }
}

/// A commit that waits for its standby is already on the primary: whoever sees it there when its owner's
/// connection has ended must not believe it before the standby has it, too.
#[test]
fn a_commit_that_no_standby_has_is_not_seen_by_the_next_connection() {
    let dir = tempfile::tempdir().unwrap();
    let primary = jangbu_cluster::Postgres::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    let standby = primary.standby(&dir.path().join("standby")).unwrap();
    let owner = hasty(&url);
    owner
        .with(&mut |store| {
            commit(store, insert(&[item(1, "before")])).unwrap();
            standby.stop();
            let lost = thread::scope(|scope| {
                scope.spawn(|| {
                    until_it_waits(&primary);
                    cut(&url);
                });
                commit(store, insert(&[item(2, "on one disk alone")]))
            });
            assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
            let begun = store.begin().map(drop);
            assert!(matches!(begun, Err(Fault::Transient(_))), "{begun:?}");
            standby.restart().unwrap();
            while let Err(fault) = store.begin().map(drop) {
                assert!(matches!(fault, Fault::Transient(_)), "{fault:?}");
            }
            assert_eq!(store.ids(&by_ids(&[1, 2])), [1, 2]);
        })
        .unwrap();
    let there = standby.sql_in("shop", &["select count(*) from shop.item"]);
    assert_eq!(there.unwrap(), "2", "the standby has what was believed");
}
