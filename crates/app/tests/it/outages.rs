//! PostgreSQL goes down under load: nothing that was acknowledged is lost, nothing is doubled, and work goes on by
//! itself when it, or its standby, is there.

use std::time::{Duration, Instant};

use jangbu_cluster::Postgres;

use crate::drill::{Drill, hold};
use crate::server::Server;

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

#[test]
fn a_postgresql_that_crashes_under_load_loses_nothing() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let postgres = Postgres::start(&dir.path().join("pg")).unwrap();
    let url = postgres.database("shop").unwrap();
    let test = "a_postgresql_that_crashes_under_load_loses_nothing";
    let drill = Drill::begin(test, dir.path(), &[("STORE__URL", &url)]);
    let crash = || {
        postgres.crash();
        hold(1);
    };
    let restart = || postgres.restart().unwrap();
    drill.outage("PostgreSQL crashes, and is started again after 1 s", crash, restart);
    drill.end();
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
    let test = "a_primary_that_dies_is_replaced_by_its_synchronous_standby_without_a_loss";
    let drill = Drill::begin(test, dir.path(), &[("STORE__URL", &both)]);
    let what = "PostgreSQL's primary is killed, and its synchronous standby promoted";
    drill.outage(what, || primary.crash(), || standby.promote().unwrap());
    drill.end();
}
