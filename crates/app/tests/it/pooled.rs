//! A `PgBouncer` between the processes and PostgreSQL.

use std::time::{Duration, Instant};

use jangbu_cluster::PgBouncer;
use serde_json::json;

use crate::gateway::Gateway;
use crate::server::{Server, prove_with};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

fn until(server: &Server, role: &str) {
    let deadline = Instant::now() + PATIENCE;
    while server.get("/readyz").body["role"] != role {
        assert!(Instant::now() < deadline, "{:?}", server.get("/readyz"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn everything_works_through_a_pooler_in_session_mode() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let postgres = jangbu_cluster::shared::postgres();
    postgres.database("pooled").unwrap();
    let settings =
        [("pool_mode", "session"), ("default_pool_size", "60"), ("max_client_conn", "200")];
    let pooler = PgBouncer::start(&dir.path().join("pool"), postgres.port(), &settings).unwrap();
    let url = pooler.url("pooled");
    let psp = dir.path().join("gateway");
    let gateway = Gateway::start(&psp, "127.0.0.1:0");
    let log = psp.join("psp.log");
    let settings = [
        ("STORE__URL", &*url),
        ("STORE__LEASE_MS", "2000"),
        ("GATEWAY__URL", &*gateway.url),
        ("GATEWAY__LOG", log.to_str().unwrap()),
    ];
    let (here, there) = (dir.path().join("one"), dir.path().join("two"));
    let one = Server::start(&here, &settings);
    let sku = one.seed(1, 1_000).remove(0);
    let two = Server::start(&there, &settings);
    until(&two, "FOLLOWER");
    let sold = |server: &Server, key: &str| {
        let deadline = Instant::now() + PATIENCE;
        while server.order(key, &sku, 1, "tok_ok").is_none_or(|reply| reply.status != 201) {
            assert!(Instant::now() < deadline, "nothing is sold");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    for n in 0..20 {
        sold(if n % 2 == 0 { &one } else { &two }, &format!("a-{n}"));
    }
    // The connection of an owner that is killed ends with it, and with it what it had locked.
    one.kill();
    sold(&two, "b");
    until(&two, "OWNER");
    let sku = format!("/api/v1/stock/{sku}");
    assert_eq!(two.get(&sku).body["sold"], json!(21));
    assert!(two.stop().success());
    let (code, report) = prove_with(&there, None, &settings);
    assert_eq!(code, 0, "{report:#}");
}
