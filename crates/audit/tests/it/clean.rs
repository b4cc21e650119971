//! Sound books are clean, whatever is in flight.

use jangbu_audit::{InFlight, Options, Report, prove};
use tempfile::TempDir;

use crate::{full::Full, shop::Shop, stories};

/// A shop with one order of each kind.
pub(crate) fn whole_shop() -> (TempDir, Vec<(&'static str, i64)>) {
    let dir = TempDir::new().unwrap();
    let mut shop = Shop::open(dir.path(), 6);
    let mut names = stories::one_of_each(&mut shop);
    let mut full = Full::open(&mut shop);
    for (name, wishes) in stories::full() {
        names.push((name, full.add(&stories::FULL, wishes)));
    }
    full.close();
    names.push(("journal", shop.journal()));
    names.push(("granted", shop.points(&names)));
    names.push(("regretted", shop.regretted()));
    shop.coupons(&names);
    shop.merchants();
    shop.poisoned();
    shop.finish();
    // One order is COMMITTING, which is no finding in the first seconds only.
    let db = rusqlite::Connection::open(dir.path().join("jangbu.db")).unwrap();
    db.execute("UPDATE shard SET clock = (SELECT max(at) FROM outbox)", []).unwrap();
    let log = "INSERT INTO hot_log SELECT 7, json_group_array(json_array('stock', json_array(sku, \
               received, adjusted, returned, available, reserved, sold, written_off, version))) FROM stock";
    db.execute(log, []).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(db);
    (dir, names)
}

#[test]
fn one_order_of_each_kind_is_clean() {
    let (dir, names) = whole_shop();
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
    assert!(report.conditions.walked && !report.conditions.live);
    // Six of them are payments without an order, a grant and a journal.
    assert_eq!(report.conditions.orders, u64::try_from(names.len() - 6).unwrap());
    assert_eq!(report.conditions.journals, 1);
    let in_flight = InFlight {
        orders_open: 6,
        orders_stuck: 2,
        orders_abandoned: 3,
        payments_open: 5,
        refunds_pending: 1,
        ..InFlight::default()
    };
    assert_eq!(report.in_flight, in_flight);
}

#[test]
fn a_hot_row_counts_as_its_log_has_it() {
    let (dir, _) = whole_shop();
    let db = rusqlite::Connection::open(dir.path().join("jangbu.db")).unwrap();
    let older = "UPDATE stock SET version = version - 1, available = available + 1, sold = sold - 1 \
                 WHERE sold > 0";
    assert!(db.execute(older, []).unwrap() > 0);
    drop(db);
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
}

/// The shop as its own retention leaves it: events up to one number gone, and the keys of requests.
fn trim(dir: &std::path::Path, events: i64, requests: i64) {
    let db = rusqlite::Connection::open(dir.join("jangbu.db")).unwrap();
    db.execute("DELETE FROM outbox WHERE seq <= ?1", [events]).unwrap();
    let bare = "UPDATE request SET scope = substr(scope, instr(scope, ':') + 1), key = '', \
                body = x'' WHERE id <= ?1";
    db.execute(bare, [requests]).unwrap();
    let kept = "UPDATE shard SET trimmed = ?1, purged = ?2";
    db.execute(kept, [events, requests]).unwrap();
}

fn count(dir: &std::path::Path, table: &str) -> i64 {
    let db = rusqlite::Connection::open(dir.join("jangbu.db")).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_retention_leaves_is_clean_wherever_the_outbox_begins() {
    let (dir, _) = whole_shop();
    let (events, requests) = (count(dir.path(), "outbox"), count(dir.path(), "request"));
    assert!(events > 40 && requests > 10, "{events} events, {requests} requests");
    for trimmed in 1..=events {
        trim(dir.path(), trimmed, trimmed.min(requests));
        let report = prove(&Options::new(dir.path())).unwrap();
        assert!(report.clean(), "{trimmed} trimmed: {report}");
        assert_eq!(report.conditions.events, (events - trimmed).unsigned_abs());
    }
}

#[test]
fn an_empty_shop_is_clean() {
    let dir = TempDir::new().unwrap();
    Shop::open(dir.path(), 0).finish();
    let report = prove(&Options::new(dir.path())).unwrap();
    assert!(report.clean(), "{report}");
    assert_eq!(serde_json::to_value(&report).unwrap()["lost"], 0);
}

#[test]
fn no_database_is_an_error_and_not_a_clean_report() {
    let dir = TempDir::new().unwrap();
    let answer: Result<Report, _> = prove(&Options::new(dir.path()));
    assert!(answer.unwrap_err().to_string().contains("there is no database"));
}
