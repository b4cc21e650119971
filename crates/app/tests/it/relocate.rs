//! A shop on its way to PostgreSQL and back: whole, killed, refused; and proven there.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use jangbu_engine::port::Backend;
use jangbu_services::registry;
use jangbu_store::{Dump, Postgres, PostgresOptions, Sqlite};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::server::{Server, jangbu, prove};

fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn database(name: &str) -> String {
    jangbu_cluster::shared::postgres().database(name).unwrap()
}

/// Exit code, and what was printed.
fn run(args: &[&str]) -> (i32, String) {
    let out = jangbu(args, &[]).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn moved(from: &str, to: &str) -> String {
    let (code, said) = run(&["move", "--from", from, "--to", to]);
    assert_eq!(code, 0, "{said}");
    said
}

fn prove_postgres(url: &str, data: &Path) -> (i32, Value) {
    let (code, said) = run(&["prove", "--json", "--store", url, "--data", text(data)]);
    (code, serde_json::from_str(&said).unwrap_or(Value::String(said)))
}

/// The usual patience, so that a busy machine sheds nothing.
const PATIENT: &[(&str, &str)] = &[("SAGA__PATIENCE_PERCENT", "100")];

/// A stopped shop in which something has happened in every way that a test can bring about quickly.
fn sold(data: &Path, orders: usize) {
    let server = Server::start(data, PATIENT);
    let skus = server.seed(3, 100_000);
    for n in 0..orders {
        let token = if n % 7 == 3 { "tok_declined" } else { "tok_ok" };
        let answer =
            server.order(&format!("o-{n}"), &skus[n % 3], [1, 2, 3][n / 3 % 3], token).unwrap();
        assert!([201, 402].contains(&answer.status), "{answer:?}");
    }
    assert!(server.stop().success());
}

fn dump_of(dir: &Path) -> Dump {
    let store = Sqlite::new(dir.join("jangbu.db"), registry::TABLES, registry::MIGRATIONS);
    store.dump().unwrap()
}

fn postgres(url: &str) -> Postgres {
    Postgres::new(url, "jangbu", registry::TABLES, registry::MIGRATIONS).unwrap()
}

/// Somebody who looks into a database.
struct Looker {
    client: Client,
    runtime: Runtime,
}

impl Looker {
    fn new(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (client, connection) = runtime.block_on(tokio_postgres::connect(url, NoTls)).unwrap();
        drop(runtime.spawn(connection));
        Self { client, runtime }
    }

    fn run(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap();
    }

    /// The first value; `None` while the table is not there.
    fn count(&self, sql: &str) -> Option<i64> {
        let row = self.runtime.block_on(self.client.query_one(sql, &[]));
        row.ok().map(|row| row.get(0))
    }
}

/// Serves a shop of so many orders: it remembers what it was asked, and sells one more.
fn goes_on(data: &Path, settings: &[(&str, &str)], orders: usize) {
    let server = Server::start(data, settings);
    let list = server.get("/api/v1/orders?userId=usr_0000000000001&limit=100");
    assert_eq!(list.body["items"].as_array().unwrap().len(), orders, "{list:?}");
    let sku = list.body["items"][orders - 1]["lines"][0]["skuId"].as_str().unwrap();
    let again = server.order("o-0", sku, 1, "tok_ok").unwrap();
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    let sold = server.order(&format!("new-{orders}"), sku, 1, "tok_ok").unwrap();
    assert_eq!(sold.status, 201, "{sold:?}");
    assert!(server.stop().success());
}

#[test]
fn a_shop_moves_to_postgresql_and_back_and_is_the_same() {
    let dir = scratch();
    let (data, url) = (dir.path().join("data"), database("move_and_back"));
    sold(&data, 40);
    let before = dump_of(&data);
    let said = moved(text(&data), &url);
    assert!(said.contains("orders") && said.contains("the same on both sides"), "{said}");
    assert_eq!(postgres(&url).dump().unwrap(), before);
    let (code, report) = prove_postgres(&url, &data);
    assert_eq!((code, report["conditions"]["orders"].as_i64()), (0, Some(40)), "{report}");
    // Lists are there, made from the rows.
    let lists = Looker::new(&url).count("SELECT count(*) FROM jangbu_derived.user_order");
    assert_eq!(lists, Some(40));
    // What has left is not served, and not moved again.
    let (code, said) = run(&["serve", "--data", text(&data), "--listen", "127.0.0.1:0"]);
    assert!(code == 2 && said.contains("has moved to postgres://"), "{code}: {said}");
    let (code, said) = run(&["move", "--from", text(&data), "--to", &url]);
    assert!(code == 2 && said.contains("has moved to"), "{code}: {said}");
    // It is served where it is, with its lists and the answers that it gave before.
    goes_on(&data, &[PATIENT[0], ("STORE__URL", &url)], 40);
    assert_eq!(prove_postgres(&url, &data).0, 0);
    let before = postgres(&url).dump().unwrap();
    // And back, beside the gateway's log and the keys.
    moved(&url, text(&data));
    assert_eq!(dump_of(&data), before);
    assert_eq!(prove(&data, None).0, 0);
    let refused = postgres(&url).with(&mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("has moved to"), "{refused}");
    assert!(std::fs::read_dir(&data).unwrap().any(|entry| {
        entry.unwrap().file_name().to_str().unwrap().starts_with("jangbu.db.left-")
    }));
    goes_on(&data, PATIENT, 41);
    // Once more to the same place, where the old rows are set aside.
    let before = dump_of(&data);
    moved(text(&data), &url);
    assert_eq!(postgres(&url).dump().unwrap(), before);
    let kept = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'jangbu_left_%'";
    assert_eq!(Looker::new(&url).count(kept), Some(1));
}

/// Starts a move and kills it as soon as `seen`; false if it came to its end before.
fn kill_when(args: &[&str], mut seen: impl FnMut() -> bool) -> bool {
    let mut child: Child =
        jangbu(args, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success(), "it came to its end, but badly: {ended:?}");
            return false;
        }
        if seen() {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
    }
}

#[test]
fn a_move_that_is_killed_anywhere_goes_on_and_loses_nothing() {
    let dir = scratch();
    let (data, url) = (dir.path().join("data"), database("move_killed"));
    sold(&data, 120);
    let before = dump_of(&data);
    let looker = Looker::new(&url);
    let there = ["--from", text(&data), "--to", &url, "--chunk", "3"];
    let there = [&["move"], &there[..]].concat();
    let mut kills = 0;
    for sql in [
        "SELECT count(*) FROM jangbu.moving",
        "SELECT count(*) FROM jangbu.request",
        "SELECT count(*) FROM jangbu.orders",
        "SELECT count(*) - 50 FROM jangbu.orders",
        "SELECT count(*) FROM jangbu.entry",
        "SELECT count(*) FROM jangbu_derived.migration",
    ] {
        kills += i32::from(kill_when(&there, || looker.count(sql).is_some_and(|n| n > 0)));
        let half = postgres(&url).with(&mut |_| {});
        assert_eq!(half.is_err(), looker.count("SELECT count(*) FROM jangbu.moving").is_some());
    }
    assert!(kills >= 4, "only {kills} moves were killed");
    moved(text(&data), &url);
    assert_eq!(postgres(&url).dump().unwrap(), before);
    assert_eq!(prove_postgres(&url, &data).0, 0);

    let rows = |table: &str| {
        let db = rusqlite::Connection::open(data.join("jangbu.db")).unwrap();
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    let arriving = || {
        std::fs::read_to_string(data.join("moving")).is_ok_and(|mark| mark.starts_with("arriving"))
    };
    let back = ["move", "--from", &url, "--to", text(&data), "--chunk", "3"];
    let mut kills = 0;
    for (table, more) in
        [("migration", 0), ("request", 0), ("orders", 0), ("orders", 50), ("entry", 0)]
    {
        kills += i32::from(kill_when(&back, || arriving() && rows(table) > more));
        let (code, said) = run(&["serve", "--data", text(&data), "--listen", "127.0.0.1:0"]);
        assert!(code == 2 && said.contains("jangbu move"), "{code}: {said}");
    }
    assert!(kills >= 3, "only {kills} moves were killed");
    moved(&url, text(&data));
    assert_eq!(dump_of(&data), before);
    assert_eq!(prove(&data, None).0, 0);
}

/// A copy of a stopped directory.
fn copy(data: &Path, name: &str) -> PathBuf {
    let to = data.with_file_name(name);
    std::fs::create_dir(&to).unwrap();
    for file in ["jangbu.db", "psp.log"] {
        std::fs::copy(data.join(file), to.join(file)).unwrap();
    }
    to
}

/// Statements that both databases understand, and how PostgreSQL comes back from them.
const BREACHES: &[(&str, &str)] = &[
    (
        "UPDATE orders SET total = total + 1 WHERE id = (SELECT min(id) FROM orders)",
        "total = total - 1",
    ),
    ("UPDATE orders SET state = 9 WHERE id = (SELECT min(id) FROM orders)", "state = 8"),
    (
        "UPDATE payment SET amount = amount + 1 WHERE id = (SELECT min(id) FROM payment)",
        "amount = amount - 1",
    ),
    (
        "UPDATE reservation SET state = 4 WHERE order_id = (SELECT min(order_id) FROM reservation)",
        "state = 3",
    ),
    (
        "UPDATE stock SET received = received + 1, available = available + 1 WHERE sku = (SELECT min(sku) FROM stock)",
        "received = received - 1, available = available - 1",
    ),
    (
        "UPDATE account SET debits = debits + 1 WHERE id = (SELECT min(id) FROM account)",
        "debits = debits - 1",
    ),
    (
        "UPDATE entry SET amount = amount + 1 WHERE source = (SELECT min(source) FROM entry) AND seq = 1 AND leg = 0",
        "amount = amount - 1",
    ),
    (
        "UPDATE chain SET entries = entries + 1 WHERE commit_no = (SELECT max(commit_no) FROM chain)",
        "entries = entries - 1",
    ),
    (
        "UPDATE outbox SET topic = topic || 'x' WHERE seq = (SELECT max(seq) FROM outbox)",
        "topic = substr(topic, 1, length(topic) - 1)",
    ),
    (
        "UPDATE idem SET request = request + 1 WHERE hash = (SELECT min(hash) FROM idem)",
        "request = request - 1",
    ),
    ("UPDATE shard SET events = events + 1 WHERE id = 0", "events = events - 1"),
    (
        "UPDATE sku SET product = product + 1 WHERE id = (SELECT min(id) FROM sku)",
        "product = product - 1",
    ),
    (
        "UPDATE offer SET price = price + 1 WHERE sku = (SELECT min(sku) FROM offer)",
        "price = price - 1",
    ),
];

#[test]
fn a_breach_made_by_sql_is_found_on_postgresql_as_in_the_directory() {
    let dir = scratch();
    let (data, url) = (dir.path().join("data"), database("move_breaches"));
    sold(&data, 20);
    moved(text(&data), &url);
    let looker = Looker::new(&url);
    looker.run("SET search_path = jangbu");
    let about = |report: &Value| {
        let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report}"));
        let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let about = |f| (word(f, "rule"), word(f, "subject"), word(f, "detail"));
        let mut found: Vec<_> = findings.iter().map(about).collect();
        found.sort();
        found
    };
    let mut rules = std::collections::BTreeSet::new();
    for (at, (breach, repair)) in BREACHES.iter().enumerate() {
        let broken = copy(&data, &format!("broken-{at}"));
        let db = rusqlite::Connection::open(broken.join("jangbu.db")).unwrap();
        assert_eq!(db.execute(breach, []).unwrap(), 1, "{breach}");
        drop(db);
        looker.run(breach);
        let (file, server) = (prove(&broken, None), prove_postgres(&url, &data));
        assert_eq!((file.0, server.0), (1, 1), "{breach}: {} {}", file.1, server.1);
        assert_eq!(about(&server.1), about(&file.1), "{breach}");
        rules.extend(about(&server.1).into_iter().map(|(rule, ..)| rule));
        let (table, rest) = breach.split_once(" SET ").unwrap();
        let (_, which) = rest.split_once(" WHERE ").unwrap();
        looker.run(&format!("{table} SET {repair} WHERE {which}"));
    }
    assert!(rules.len() >= BREACHES.len(), "{rules:?}");
    assert_eq!(prove_postgres(&url, &data).0, 0);
    // What would have refused a wrong row is missed, too.
    looker.run("ALTER TABLE orders DROP CONSTRAINT orders_state_check");
    let (code, report) = prove_postgres(&url, &data);
    let found = about(&report);
    let named = |(rule, subject, _): &(String, String, String)| {
        rule == "store.constraint" && subject == "table orders"
    };
    assert!(code == 1 && found.len() == 1 && found.iter().all(named), "{report}");
}

#[test]
fn a_wrong_end_of_a_move_is_refused_and_nothing_is_touched() {
    let dir = scratch();
    let (data, url) = (dir.path().join("data"), database("move_refused"));
    sold(&data, 3);
    let before = dump_of(&data);
    let refused = |args: &[&str], wanted: i32, words: &str| {
        let (code, said) = run(&[&["move"], args].concat());
        assert!(code == wanted && said.contains(words), "{args:?}: {code}: {said}");
    };
    let (here, nowhere) = (text(&data), dir.path().join("nowhere"));
    refused(&["--from", here, "--to", text(&nowhere)], 2, "postgres://");
    refused(&["--from", &url, "--to", &url], 2, "postgres://");
    refused(&["--from", text(&nowhere), "--to", &url], 2, "no shop in");
    refused(&["--from", &url, "--to", text(&nowhere)], 2, "there is no shop");
    refused(&["--from", here, "--to", &url, "--schema", "Jang bu"], 4, "store.schema");
    let away = "postgres://postgres@127.0.0.1:1/none";
    refused(&["--from", here, "--to", away], 4, "connecting");
    // Tables of somebody else.
    let looker = Looker::new(&url);
    looker.run("CREATE SCHEMA theirs; CREATE TABLE theirs.thing (id INT)");
    refused(&["--from", here, "--to", &url, "--schema", "theirs"], 2, "not a shop's");
    // A served directory, and a schema that somebody owns.
    let server = Server::start(&data, PATIENT);
    refused(&["--from", here, "--to", &url], 3, "in use by process");
    assert!(server.stop().success());
    let mut held = None;
    let lease = std::time::Duration::from_mins(10);
    let options = PostgresOptions { lease, ..PostgresOptions::default() };
    postgres(&url)
        .with_options(options)
        .with(&mut |_| held = Some(run(&["move", "--from", here, "--to", &url])))
        .unwrap();
    let (code, said) = held.unwrap();
    assert!(code == 4 && said.contains("owns"), "{code}: {said}");
    // Books that do not balance stay where they are, unless it is wanted.
    let broken = copy(&data, "broken");
    let db = rusqlite::Connection::open(broken.join("jangbu.db")).unwrap();
    db.execute("UPDATE account SET debits = debits + 1", []).unwrap();
    drop(db);
    refused(&["--from", text(&broken), "--to", &url], 1, "nothing was moved");
    assert_eq!(looker.count("SELECT commits FROM jangbu.shard"), Some(0));
    let all = ["--from", text(&broken), "--to", &url, "--despite-findings"];
    let (code, said) = run(&[&["move"], &all[..]].concat());
    assert_eq!(code, 0, "{said}");
    // The way back needs the gateway's log, which did not move.
    let elsewhere = dir.path().join("elsewhere");
    refused(&["--from", &url, "--to", text(&elsewhere)], 1, "say with --data where it is");
    // Now there is a shop already, at both ends.
    refused(&["--from", here, "--to", &url], 2, "there is a shop already");
    let all = ["--from", &url, "--to", here, "--data", text(&broken), "--despite-findings"];
    refused(&all, 2, "there is a shop already");
    assert_eq!(dump_of(&data), before);
    // A move of another commit was begun.
    let other = database("move_begun");
    let looker = Looker::new(&other);
    let begun = ["move", "--from", here, "--to", &other, "--chunk", "1"];
    let is_begun = || looker.count("SELECT count(*) FROM jangbu.request").is_some_and(|n| n > 0);
    assert!(kill_when(&begun, is_begun));
    let server = Server::start(&data, PATIENT);
    // The first three are there.
    server.seed(4, 100_000);
    assert!(server.stop().success());
    refused(&["--from", here, "--to", &other], 2, "another move was begun here");
}
