//! A proof beside a writer: one snapshot, and what is younger is in flight.

use std::{
    cell::RefCell,
    fs::OpenOptions,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use jangbu_audit::{Options, Progress, prove};
use rusqlite::Connection;

use crate::{clean::whole_shop, shop::psp_record};

/// Proves a live directory and calls `meddle` once, when the snapshot is held.
fn meddled(dir: PathBuf, meddle: impl FnOnce() + Send + 'static) -> jangbu_audit::Report {
    let once = Mutex::new(RefCell::new(Some(meddle)));
    let progress = move |progress: Progress| {
        if progress.phase == "check pages"
            && let Some(meddle) = once.lock().unwrap().take()
        {
            meddle();
        }
    };
    let progress: Box<dyn Fn(Progress) + Send> = Box::new(progress);
    prove(&Options { live: true, progress: Some(progress), ..Options::new(dir) }).unwrap()
}

#[test]
fn what_a_server_writes_meanwhile_is_not_seen() {
    let (dir, _) = whole_shop();
    let writer = Connection::open(dir.path().join("jangbu.db")).unwrap();
    let report = meddled(dir.path().to_owned(), move || {
        let deleted = writer.execute("DELETE FROM payment", []).unwrap();
        assert!(deleted > 0);
    });
    assert!(report.clean(), "{report}");
    assert!(report.conditions.live);
    assert!(report.conditions.wal_growth_bytes > 0, "{report}");
    assert!(!prove(&Options::new(dir.path())).unwrap().clean());
}

#[test]
fn gateway_records_after_the_snapshot_are_in_flight_and_those_before_are_not() {
    let (dir, _) = whole_shop();
    let log = dir.path().join("psp.log");
    let append = move || {
        let mut file = OpenOptions::new().append(true).open(&log).unwrap();
        file.write_all(&psp_record(3_000_000, 77, 1, 0, 500)).unwrap();
    };
    // The log is read before the snapshot, and continued after it.
    let phases = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&phases);
    let once = Mutex::new(Some(append));
    let progress = move |progress: Progress| {
        let mut phases = seen.lock().unwrap();
        phases.push(progress.phase);
        if phases.len() == 2
            && let Some(append) = once.lock().unwrap().take()
        {
            append();
        }
    };
    let progress: Box<dyn Fn(Progress) + Send> = Box::new(progress);
    let options = Options { live: true, progress: Some(progress), ..Options::new(dir.path()) };
    let report = prove(&options).unwrap();
    assert_eq!(phases.lock().unwrap()[..2], ["gateway log"; 2]);
    assert!(report.clean(), "{report}");
    assert_eq!(report.in_flight.psp_newer, 1);
    let report = prove(&Options::new(dir.path())).unwrap();
    assert_eq!(report.lost, 1, "{report}");
}

#[test]
fn a_killed_server_leaves_a_log_that_is_read() {
    let (dir, _) = whole_shop();
    let killed = tempfile::TempDir::new().unwrap();
    let writer = Connection::open(dir.path().join("jangbu.db")).unwrap();
    writer.execute("DELETE FROM payment", []).unwrap();
    for file in ["jangbu.db", "jangbu.db-wal", "psp.log"] {
        std::fs::copy(dir.path().join(file), killed.path().join(file)).unwrap();
    }
    let report = prove(&Options::new(killed.path())).unwrap();
    assert!(!report.clean(), "the write-ahead log was left out");
}
