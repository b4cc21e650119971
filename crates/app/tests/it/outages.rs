//! The servers that Jangbu stands on go down under load: nothing that was acknowledged is lost, nothing is
//! doubled, and work goes on by itself when they are back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jangbu_cluster::Postgres;

use crate::crash::{check_replays, wait_until_settled};
use crate::load::{Journal, buy, storm};
use crate::server::{Server, prove_with};

const BUYERS: usize = 16;

/// Lets buyers buy while `outage` happens, then everybody asks again for what was not answered, and the books
/// are proven against what was told.
fn under_load(dir: &Path, settings: &[(&str, &str)], outage: impl FnOnce()) {
    let (data, acks) = (dir.join("data"), dir.join("acks.csv"));
    let journal = Journal::create(&acks);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let server = Server::start(&data, settings);
    let skus = server.seed(50, 100_000);
    std::thread::scope(|scope| {
        scope.spawn(|| storm(&server, &skus, &journal, (&next, &stop), BUYERS));
        std::thread::sleep(Duration::from_millis(500));
        let before = journal.told().len();
        outage();
        until_sold_again(&server, &skus);
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        assert!(journal.told().len() > before, "nothing was sold after the outage");
    });
    retry(&server, &skus, &journal, next.load(Ordering::Relaxed));
    check_replays(&server, &skus, &journal, 0);
    wait_until_settled(&server);
    assert!(server.stop().success());
    let (code, report) = prove_with(&data, Some(&acks), settings);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["in_flight"]["orders_open"], 0, "every saga ends: {report}");
}

/// Waits until a new order is answered with an outcome.
pub(crate) fn until_sold_again(server: &Server, skus: &[String]) {
    let deadline = Instant::now() + Duration::from_mins(1);
    for n in 0.. {
        let reply = server.order(&format!("probe-{n}"), &skus[0], 1, "tok_ok");
        if reply.is_some_and(|reply| reply.status == 201) {
            return;
        }
        assert!(Instant::now() < deadline, "nothing is sold any more");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Who heard no outcome asks again with the same key: each plan ends in an outcome.
pub(crate) fn retry(server: &Server, skus: &[String], journal: &Journal, plans: usize) {
    let told: std::collections::HashSet<usize> =
        journal.told().iter().map(|(_, plan, _)| *plan).collect();
    let open: Vec<usize> = (0..plans).filter(|plan| !told.contains(plan)).collect();
    let again = |plan: usize| {
        let reply = buy(server, skus, &format!("storm-{plan}"), plan).unwrap();
        assert!(reply.status < 500, "plan {plan}: {reply:?}");
    };
    std::thread::scope(|scope| {
        for share in open.chunks(open.len().div_ceil(BUYERS).max(1)) {
            scope.spawn(move || share.iter().for_each(|plan| again(*plan)));
        }
    });
}

#[test]
fn a_postgresql_that_crashes_under_load_loses_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let postgres = Postgres::start(&dir.path().join("pg")).unwrap();
    let url = postgres.database("shop").unwrap();
    under_load(dir.path(), &[("STORE__URL", &url)], || {
        postgres.crash();
        std::thread::sleep(Duration::from_secs(1));
        postgres.restart().unwrap();
    });
}

#[test]
fn a_primary_that_dies_is_replaced_by_its_synchronous_standby_without_a_loss() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let primary = Postgres::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    let standby = primary.standby(&dir.path().join("standby")).unwrap();
    // Both are in the address; whoever takes writes is the one.
    let host = |url: &str| url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let (one, two) = (host(&url), host(&standby.url()));
    let both = url.replace(&one, &format!("{one},{two}"));
    under_load(dir.path(), &[("STORE__URL", &both)], || {
        primary.crash();
        standby.promote().unwrap();
    });
}
