//! The operator's desk on the command line, against a running server.

use serde_json::Value;

use crate::server::{Server, jangbu, prove};

/// Runs a command against `server`: exit code, standard output, standard error.
pub(crate) fn desk(
    server: &Server,
    data: &std::path::Path,
    args: &[&str],
) -> (i32, String, String) {
    let key = data.join("keys/operator.key");
    let fixed = ["--server", &server.url, "--key", key.to_str().unwrap()];
    let all: Vec<&str> = args.iter().copied().chain(fixed).collect();
    let out = jangbu(&all, &[]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// The state of an order, once it is one of those.
fn until(server: &Server, order: &str, states: &[&str]) -> Value {
    let mut last = Value::Null;
    for _ in 0..2_000 {
        last = server.get(&format!("/api/v1/orders/{order}")).body;
        if states.iter().any(|state| last["state"] == *state) {
            return last;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{order} stays {last}");
}

/// An order that was cancelled while it was paid, and whose money the gateway does not give back.
fn stuck(server: &Server, sku: &str) -> String {
    let body = serde_json::json!({
        "userId": "usr_0000000000001",
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": { "amount": 1_000, "currency": "KRW" },
        "payment": { "mode": "CLIENT" },
    });
    let placed = server.post("/api/v1/orders", "stuck", &body).unwrap();
    let id = placed.body["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/orders/{id}");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let amount = serde_json::json!({ "amount": 1_000, "currency": "KRW" });
            let body = serde_json::json!({ "amount": amount, "token": "tok_refund_refused" });
            server.post(&format!("{path}/confirm"), "pay", &body)
        });
        until(server, &id, &["PAYING", "PAY_UNKNOWN"]);
        let why = serde_json::json!({ "reason": "changed my mind" });
        server.post(&format!("{path}/cancel"), "cancel", &why).unwrap();
    });
    until(server, &id, &["STUCK"]);
    id
}

#[test]
fn a_stuck_order_is_found_retried_and_abandoned_and_the_books_balance() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // The gateway takes its time, so that the cancellation comes before its answer.
    let slow = [("GATEWAY__LATENCY__MIN_MS", "1000"), ("GATEWAY__LATENCY__MAX_MS", "1000")];
    let patience = [("SAGA__PATIENCE_PERCENT", "100")];
    let settings: Vec<_> = slow.into_iter().chain(patience).collect();
    let server = Server::start(dir.path(), &settings);
    let sku = server.seed(1, 10).remove(0);
    let id = stuck(&server, &sku);
    let run = |args: &[&str]| desk(&server, dir.path(), args);

    let (code, table, error) = run(&["saga", "list"]);
    assert_eq!(code, 0, "{error}");
    assert!(table.starts_with("ORDER") && table.contains(&id) && table.contains("REVERSING"));
    let (code, shown, _) = run(&["saga", "show", &id]);
    assert!(code == 0 && shown.contains("refuses to give the money back"), "{shown}");
    let (code, _, error) = run(&["saga", "compensate", &id, "--reason", "try"]);
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("VERB_NOT_ALLOWED") && error.contains("request "), "{error}");
    let (code, _, error) = run(&["saga", "retry", &id]);
    assert!(code == 2 && error.contains("--reason"), "{error}");
    let (code, _, error) = run(&["saga", "retry", &id, "--reason", "they say it works"]);
    assert_eq!(code, 0, "{error}");
    let tried = |order: &Value| order["refunds"].as_array().map_or(0, Vec::len);
    while tried(&until(&server, &id, &["STUCK", "REVERSING"])) < 2 {}
    until(&server, &id, &["STUCK"]);
    let (code, json, error) = run(&["saga", "abandon", &id, "--reason", "closed", "--json"]);
    assert_eq!(code, 0, "{error}");
    let saga: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&saga["state"], &saga["reason"]),
        (&"CANCELLED".into(), &"abandoned: closed".into())
    );
    let payment = id.replace("ord_", "pay_");
    let (code, shown, _) = run(&["payment", "show", &payment]);
    assert!(code == 0 && shown.contains("SET_ASIDE"), "{shown}");
    let (code, shown, _) = run(&["payment", "unknown"]);
    assert!(code == 0 && shown.contains("nothing") && shown.contains("count"), "{shown}");
    let (code, _, error) = run(&["payment", "ask", &payment, "--reason", "x"]);
    assert!(code == 1 && error.contains("NOT_UNKNOWN"), "{error}");
    let resolve = ["--verdict", "CAPTURED", "--evidence", "file"];
    let (code, _, error) = run(&[&["payment", "resolve", &payment][..], &resolve].concat());
    assert!(code == 1 && error.contains("NOT_UNKNOWN"), "{error}");
    let (code, lines, error) = run(&["audit", "--resource", &id]);
    assert_eq!(code, 0, "{error}");
    assert!(lines.contains("saga.abandon") && lines.contains("they say it works"), "{lines}");
    let (code, key, error) = run(&["idempotency", "stuck"]);
    assert!(code == 0 && key.contains("order.place"), "{error}{key}");
    let (code, report) = prove(dir.path(), None);
    assert_eq!((code, &report["in_flight"]["orders_abandoned"]), (0, &1.into()), "{report:#}");
    assert!(server.stop().success());
}

#[test]
fn a_merchant_is_made_gets_keys_and_fees_and_is_suspended() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(dir.path(), &[]);
    let run = |args: &[&str]| desk(&server, dir.path(), &[&["merchant"][..], args].concat());
    let (code, _, error) = run(&["create", "tees", "--name", "Kim's Tees"]);
    assert_eq!(code, 0, "{error}");
    let (code, _, error) = run(&["create", "tees", "--name", "Kim's Tees"]);
    assert!(code == 1 && error.contains("MERCHANT_EXISTS"), "{error}");
    let (code, made, error) = run(&["keys", "add", "tees", "--json"]);
    assert_eq!(code, 0, "{error}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let (key, secret) = (made["keyId"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let (code, shown, _) = run(&["show", "tees"]);
    assert!(code == 0 && shown.contains(key) && !shown.contains(secret), "{shown}");
    let from = ["--from", "2027-01-01T00:00:00+09:00", "--rate-bp", "350"];
    let (code, shown, error) = run(&[&["fees", "tees"][..], &from].concat());
    assert!(code == 0 && shown.contains("2026-12-31T15:00:00.000000Z"), "{error}{shown}");
    let (code, shown, error) = run(&["suspend", "tees", "--reason", "fraud"]);
    assert!(code == 0 && shown.contains("SUSPENDED"), "{error}{shown}");
    let (code, shown, error) = run(&["keys", "revoke", "tees", key, "--reason", "fraud"]);
    assert!(code == 0 && shown.contains("revokedAt"), "{error}{shown}");
    let (code, table, _) = run(&["list"]);
    assert!(code == 0 && table.starts_with("MERCHANT") && table.contains("Kim's Tees"), "{table}");
    let (code, _, error) = run(&["resume", "tees", "--reason", "cleared"]);
    assert_eq!(code, 0, "{error}");
    let (code, report) = prove(dir.path(), None);
    assert_eq!(code, 0, "{report:#}");
    assert!(server.stop().success());
}

#[test]
fn a_wrong_key_is_two_and_no_server_is_four() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(dir.path(), &[]);
    let key = |name: &str| dir.path().join("keys").join(name).to_str().unwrap().to_owned();
    let run = |server: &str, key: &str| {
        let out =
            jangbu(&["saga", "list", "--server", server, "--key", key], &[]).output().unwrap();
        (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, error) = run(&server.url, &key("client.key"));
    assert!(code == 2 && error.contains("FORBIDDEN"), "{error}");
    assert_eq!(run(&server.url, "/nonexistent/key").0, 2);
    let (code, error) = run("http://127.0.0.1:1", &key("operator.key"));
    assert!(code == 4 && error.contains("is the server running?"), "{error}");
}

/// Sells one unit.
fn sell(server: &Server, key: &str, sku: &str) -> String {
    let body = serde_json::json!({
        "userId": "usr_0000000000001",
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": { "amount": 1_000, "currency": "KRW" },
        "payment": { "mode": "SERVER", "token": "tok_visa" },
    });
    let sold = server.post("/api/v1/orders", key, &body).unwrap();
    assert_eq!(sold.status, 201, "{sold:?}");
    sold.body["id"].as_str().unwrap().to_owned()
}

/// Damages a stopped shop: a command that was set aside, and an event that cannot be read.
fn damage(data: &std::path::Path) {
    let db = rusqlite::Connection::open(data.join("jangbu.db")).unwrap();
    db.execute_batch(
        "INSERT INTO poison (id, at, unit, command, error, owner, origin) VALUES \
         (1, unixepoch() * 1000000, 'order', 'Hear { .. }', 'a row was refused', 'operator', 'EVENT'); \
         UPDATE outbox SET payload = x'ff' WHERE topic = 'order.placed' \
         AND key = (SELECT min(id) FROM orders);",
    )
    .unwrap();
    for file in ["derived.db", "derived.db-wal", "derived.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
}

#[test]
fn what_was_set_aside_or_parked_is_seen_and_given_up() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Server::start(dir.path(), &[]);
    let sku = server.seed(1, 10).remove(0);
    let (first, second) = (sell(&server, "a", &sku), sell(&server, "b", &sku));
    assert!(server.stop().success());
    damage(dir.path());
    let server = Server::start(dir.path(), &[]);
    let run = |args: &[&str]| desk(&server, dir.path(), args);

    let (code, table, error) = run(&["poison", "list"]);
    assert!(code == 0 && table.contains("a row was refused") && table.contains("OPEN"), "{error}");
    let (code, _, error) = run(&["poison", "retry", "1", "--reason", "try"]);
    assert!(code == 1 && error.contains("POISON_NOT_RETRYABLE"), "{error}");
    let (code, _, error) = run(&["poison", "discard", "1", "--reason", "seen to by hand"]);
    assert_eq!(code, 0, "{error}");
    let (code, shown, _) = run(&["poison", "show", "1", "--json"]);
    assert!(code == 0 && shown.contains("DISCARDED"), "{shown}");

    let orders = "/api/v1/orders?userId=usr_0000000000001";
    let listed = |id: &str| server.get(orders).body.to_string().contains(id);
    while !listed(&second) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(!listed(&first), "its event waits");
    let (code, table, error) = run(&["dlq", "list"]);
    assert!(
        code == 0 && table.contains(&first) && table.contains("order.placed"),
        "{error}{table}"
    );
    let (code, _, error) = run(&["dlq", "replay", "projections", &first]);
    assert!(code == 2 && error.contains("--reason"), "{error}");
    let (code, told, _) = run(&["dlq", "replay", "projections", &first, "--dry-run", "--json"]);
    assert!(code == 0 && told.contains("\"taken\": 0") && told.contains("damaged"), "{told}");
    let (code, _, error) = run(&["dlq", "replay", "projections", &first, "--reason", "again"]);
    assert_eq!(code, 0, "it stays parked, and the answer says why: {error}");
    let (code, shown, _) = run(&["dlq", "show", "projections", &first, "--json"]);
    assert!(code == 0 && shown.contains("\"tries\": 2"), "{shown}");
    let (code, _, error) = run(&["dlq", "discard", "projections", &first, "--reason", "lost"]);
    assert_eq!(code, 0, "{error}");
    let (_, table, _) = run(&["dlq", "list"]);
    assert!(!table.contains(&first), "{table}");
    let (_, lines, _) = run(&["audit"]);
    assert!(lines.contains("poison.discard") && lines.contains("dlq.discard"), "{lines}");
    assert!(server.stop().success());
}
