//! A process that reads what may be a moment old from a hot standby.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jangbu_cluster::Postgres;
use serde_json::{Value, json};

use crate::server::{Reply, Server};

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

const LIST: &str = "/api/v1/orders?userId=usr_0000000000001&limit=1";

/// A primary with a shop's database, and a standby of it.
struct Servers {
    primary: Postgres,
    standby: Postgres,
    url: String,
    replicas: String,
}

impl Servers {
    fn start(dir: &Path) -> Self {
        let primary = Postgres::start(&dir.join("primary")).unwrap();
        let url = primary.database("shop").unwrap();
        let standby = primary.replica(&dir.join("standby")).unwrap();
        let replicas = json!([standby.url_of("shop")]).to_string();
        Self { primary, standby, url, replicas }
    }

    fn serve(&self, data: &Path) -> Server {
        let settings = [("STORE__URL", &*self.url), ("STORE__REPLICAS", &*self.replicas)];
        Server::start(data, &settings)
    }

    fn pause(&self, on: bool) {
        let what = if on { "pause" } else { "resume" };
        self.standby.sql(&[&format!("select pg_wal_replay_{what}()")]).unwrap();
    }
}

/// The value of a metric whose line begins so.
fn metric(server: &Server, begin: &str) -> u64 {
    let page = server.get("/metrics");
    let Value::String(text) = &page.body else { panic!("{page:?}") };
    let line = text.lines().find(|line| line.starts_with(begin));
    let line = line.unwrap_or_else(|| panic!("no {begin} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn until_used(server: &Server, used: u64) {
    let deadline = Instant::now() + PATIENCE;
    while metric(server, "jangbu_replica_used") != used {
        assert!(Instant::now() < deadline, "{:?}", server.get("/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads answered by the store, and by the replica.
fn reads(server: &Server) -> [u64; 2] {
    ["jangbu_view_reads_total{from=\"store\"}", "jangbu_view_reads_total{from=\"127"]
        .map(|begin| metric(server, begin))
}

/// An order that is sold: its id, and the position of the answer.
fn sell(server: &Server, key: &str, sku: &str) -> (String, String) {
    let body = json!({
        "userId": "usr_0000000000001",
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": { "amount": 1_000, "currency": "KRW" },
        "payment": { "mode": "SERVER", "token": "tok_ok" },
    });
    let bearer = format!("Bearer {}", server.client);
    let headers = [
        ("Authorization", &*bearer),
        ("Idempotency-Key", key),
        ("Content-Type", "application/json"),
    ];
    let answer = server.raw("POST", "/api/v1/orders", &headers, &body.to_string());
    assert!(answer.starts_with("201"), "{answer}");
    let between = |from: &str, to: &str| {
        let (_, rest) = answer.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    (between("{\"id\":\"", "\""), between("\"jangbu-position\": \"", "\""))
}

/// The newest order of the list, as of a position.
fn newest(server: &Server, position: &str) -> String {
    let bearer = format!("Bearer {}", server.client);
    let headers = [("Authorization", &*bearer), ("Jangbu-Read-After", position)];
    let answer = server.raw("GET", LIST, &headers, "");
    assert!(answer.starts_with("200"), "{answer}");
    let (_, rest) = answer.split_once("{\"id\":\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn lists_are_read_from_a_standby_and_never_older_than_is_borne_or_brought() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let servers = Servers::start(dir.path());
    let server = servers.serve(&dir.path().join("data"));
    let sku = server.seed(1, 1_000).remove(0);
    until_used(&server, 1);
    // Whoever brings a position sees its write, whoever answers.
    for n in 0..30 {
        let (id, position) = sell(&server, &format!("a-{n}"), &sku);
        assert_eq!(newest(&server, &position), id, "{n}");
    }
    let [_, before] = reads(&server);
    until_used(&server, 1);
    for _ in 0..20 {
        assert_eq!(server.get(LIST).status, 200);
    }
    assert!(reads(&server)[1] > before, "the standby answers");
    // Its replay stands still: it falls behind, and is not read any more.
    servers.pause(true);
    let (id, position) = sell(&server, "b", &sku);
    assert_eq!(newest(&server, &position), id);
    until_used(&server, 0);
    let listed = |server: &Server| server.get(LIST).body["items"][0]["id"].clone();
    assert_eq!(listed(&server), json!(id));
    let again = server.order("b", &sku, 1, "tok_ok").unwrap();
    assert_eq!((again.status, again.replayed, &again.body["id"]), (201, true, &json!(id)));
    let health = server.get("/readyz");
    assert_eq!((health.status, &health.body["parts"][0]["status"]), (200, &json!("DOWN")));
    servers.pause(false);
    until_used(&server, 1);
    let deadline = Instant::now() + PATIENCE;
    while listed(&server) != json!(id) {
        assert!(Instant::now() < deadline);
    }
    assert!(server.stop().success());
}

/// Reads until `stop`; none may fail.
fn reader(server: &Server, stop: &AtomicBool, done: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let Reply { status, body, .. } = server.get(LIST);
        assert_eq!(status, 200, "{body}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_standby_that_dies_under_load_costs_no_read() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let servers = Servers::start(dir.path());
    let server = servers.serve(&dir.path().join("data"));
    let sku = server.seed(1, 1_000).remove(0);
    sell(&server, "a", &sku);
    until_used(&server, 1);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| reader(&server, &stop, &done));
        }
        let enough = |more: usize| {
            let (begun, from) = (Instant::now(), done.load(Ordering::Relaxed));
            while done.load(Ordering::Relaxed) < from + more && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        enough(100);
        servers.standby.crash();
        until_used(&server, 0);
        enough(100);
        servers.standby.restart().unwrap();
        until_used(&server, 1);
        let [_, before] = reads(&server);
        enough(100);
        stop.store(true, Ordering::Relaxed);
        assert!(reads(&server)[1] > before, "it is read again");
    });
    assert_eq!(servers.primary.sql(&["select 1"]).unwrap(), "1");
    assert!(server.stop().success());
}

#[test]
fn what_a_process_writes_is_read_at_another_one_with_its_position() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let servers = Servers::start(dir.path());
    let one = servers.serve(&dir.path().join("one"));
    let there = dir.path().join("two");
    std::fs::create_dir_all(&there).unwrap();
    let mut copy = std::process::Command::new("cp");
    assert!(
        copy.arg("-r").arg(dir.path().join("one/keys")).arg(&there).status().unwrap().success()
    );
    let two = servers.serve(&there);
    let deadline = Instant::now() + PATIENCE;
    while two.get("/readyz").body["role"] != "FOLLOWER" || two.get("/readyz").status != 200 {
        assert!(Instant::now() < deadline, "{:?}", two.get("/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let sku = one.seed(1, 1_000).remove(0);
    for n in 0..20 {
        let (writes, reads) = if n % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let (id, position) = sell(writes, &format!("w-{n}"), &sku);
        assert_eq!(newest(reads, &position), id, "{n}");
    }
    assert!(two.stop().success());
    assert!(one.stop().success());
}
