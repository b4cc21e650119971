//! Two processes on one PostgreSQL: either may go, by SIGTERM or by kill -9, and the other goes on.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::server::Server;

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process on the database at `url`, whose leases are short.
fn process(data: &Path, url: &str) -> Server {
    Server::start(data, &[("STORE__URL", url), ("STORE__LEASE_MS", "3000")])
}

/// Waits until a process has this role, and takes orders in it.
fn until(server: &Server, role: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = server.get("/readyz");
        if health.status == 200 && health.body["role"] == role {
            return;
        }
        assert!(Instant::now() < deadline, "it is no {role}: {health:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Orders through `server` until `stop` or until it takes no connection any more; counts them, and
/// those that were refused.
fn shop(server: &Server, sku: &str, name: &str, stop: &AtomicBool, counts: &[AtomicUsize; 2]) {
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Some(reply) = server.order(&format!("{name}-{n}"), sku, 1, "tok_ok") else { return };
        counts[usize::from(reply.status >= 300)].fetch_add(1, Ordering::Relaxed);
    }
}

/// Clients of both while `meanwhile` happens: how many orders were taken, and how many were not.
fn under_load(
    (one, two): (&Server, &Server),
    (sku, round): (&str, &str),
    meanwhile: impl FnOnce(),
) -> [usize; 2] {
    let (stop, counts) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = if client % 2 == 0 { one } else { two };
            let (stop, counts) = (&stop, &counts);
            scope.spawn(move || shop(server, sku, &format!("{round}-{client}"), stop, counts));
        }
        std::thread::sleep(Duration::from_millis(500));
        meanwhile();
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
    });
    counts.map(AtomicUsize::into_inner)
}

/// An order through `server`, tried again until it is sold.
fn sells(server: &Server, sku: &str, key: &str) {
    let deadline = Instant::now() + PATIENCE;
    while server.order(key, sku, 1, "tok_ok").is_none_or(|reply| reply.status != 201) {
        assert!(Instant::now() < deadline, "nothing is sold");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn term(server: &Server) {
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
}

#[test]
fn of_two_processes_on_postgresql_either_may_go_and_the_other_goes_on() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = jangbu_cluster::shared::postgres().database("two").unwrap();
    let (here, there) = (dir.path().join("one"), dir.path().join("two"));
    let one = process(&here, &url);
    until(&one, "OWNER");
    let two = process(&there, &url);
    until(&two, "FOLLOWER");
    let sku = one.seed(1, 1_000_000).remove(0);
    // The owner goes in order: nobody is refused.
    let [taken, refused] = under_load((&one, &two), (&sku, "owner"), || {
        term(&one);
        until(&two, "OWNER");
    });
    assert!(taken > 0 && refused == 0, "{refused} of {taken} are refused");
    assert!(one.stop().success());
    // So does a follower.
    let one = process(&here, &url);
    until(&one, "FOLLOWER");
    let [taken, refused] = under_load((&one, &two), (&sku, "follower"), || term(&one));
    assert!(taken > 0 && refused == 0, "{refused} of {taken} are refused");
    assert!(one.stop().success());
    // The owner dies: the follower takes over when its lease is over.
    let one = process(&here, &url);
    until(&one, "FOLLOWER");
    sells(&one, &sku, "before");
    two.kill();
    sells(&one, &sku, "after");
    until(&one, "OWNER");
    assert!(one.stop().success());
}

/// An operator's request: status and body.
fn operate(server: &Server, data: &Path, method: &str, path: &str, body: &str) -> String {
    let key = std::fs::read_to_string(data.join("keys/operator.key")).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    server.raw(method, path, &headers, body)
}

/// What only the process can do that has the consumers is refused by the other one, and not noted.
#[test]
fn a_follower_notes_nothing_that_only_the_owner_of_the_consumers_can_do() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = jangbu_cluster::shared::postgres().database("desk").unwrap();
    let (here, there) = (dir.path().join("one"), dir.path().join("two"));
    let one = process(&here, &url);
    until(&one, "OWNER");
    let two = process(&there, &url);
    until(&two, "FOLLOWER");
    let text = r#"{"subject":"Thank you","body":"Thank you","reason":"shorter"}"#;
    let template = "/api/v1/notifications/templates/completed/en";
    let reason = r#"{"reason":"repaired"}"#;
    let key = "/api/v1/dlq/bestseller/ord_0000000000001";
    for (method, path, body) in [
        ("PUT", template.to_owned(), text),
        ("POST", "/api/v1/notifications/64/retry".to_owned(), reason),
        ("POST", format!("{key}/replay"), reason),
        ("POST", format!("{key}/discard"), reason),
        ("GET", format!("{key}/dry-run"), ""),
    ] {
        let refused = operate(&two, &there, method, &path, body);
        assert!(refused.starts_with("503") && refused.contains("NOT_OWNER"), "{path}: {refused}");
    }
    let changed = operate(&one, &here, "PUT", template, text);
    assert!(changed.starts_with("200"), "{changed}");
    let shown = operate(&two, &there, "GET", "/api/v1/notifications/templates", "");
    assert!(shown.contains("\"subject\":\"Thank you\""), "a follower reads it: {shown}");
    let lines = one.get("/api/v1/audit?limit=100").body.to_string();
    assert_eq!(lines.matches("notification.template").count(), 1, "{lines}");
    assert!(!lines.contains("notification.retry") && !lines.contains("dlq."), "{lines}");
    assert!(two.stop().success() && one.stop().success());
}
