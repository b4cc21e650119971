//! Two processes on one PostgreSQL, and a gateway beside them: whichever dies or stops, the other goes on, and
//! nothing that was acknowledged by either is lost.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::crash::{check_replays, wait_until_settled};
use crate::drill::{self, Row};
use crate::gateway::Gateway;
use crate::load::{Journal, Unsold, retry, storm};
use crate::outages::until_sold_again;
use crate::server::{Server, prove_with};

const BUYERS: usize = 8;

/// Lets buyers buy at a process for a while; says who of them heard no outcome.
type Buying<'a> = dyn Fn(&Server) -> Unsold + Sync + 'a;

/// Everybody heard an outcome.
const NOBODY: Unsold = Unsold { refused: 0, silent: 0 };

/// How long buyers buy at least, and how many of them are told an outcome.
const STORM: Duration = Duration::from_millis(700);
const ORDERS: usize = 25;

/// How long a cell may be without an owner.
const TAKEOVER: Duration = Duration::from_secs(10);

/// What is played: for the table of outages, and a database of its own.
struct Scene {
    test: &'static str,
    what: &'static str,
    database: &'static str,
    /// Whether it has one gap in which nobody can be sold anything.
    gap: bool,
}

/// The two processes, the first of which owns the books.
struct Pair {
    one: Server,
    two: Server,
}

/// Both know the same keys.
fn copy_keys(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let copied = Command::new("cp").arg("-r").arg(from.join("keys")).arg(to).status().unwrap();
    assert!(copied.success());
}

fn role(server: &Server) -> String {
    server.get("/readyz").body["role"].as_str().unwrap_or_default().to_owned()
}

fn open(dir: &Path, settings: &[(&str, &str)]) -> Pair {
    let one = Server::start(&dir.join("one"), settings);
    copy_keys(&dir.join("one"), &dir.join("two"));
    let two = Server::start(&dir.join("two"), settings);
    let deadline = Instant::now() + TAKEOVER;
    while (role(&one), role(&two)) != ("OWNER".to_owned(), "FOLLOWER".to_owned()) {
        assert!(Instant::now() < deadline, "{} and {}", role(&one), role(&two));
        std::thread::sleep(Duration::from_millis(50));
    }
    Pair { one, two }
}

/// Lets buyers buy at both while `event` happens to one of them; the other is what it gives back. Then everybody asks
/// there again, and the books are proven.
fn under_load(scene: Scene, event: impl FnOnce(Pair, &Buying<'_>) -> Server) {
    under_load_with(scene, |pair, buying, _| event(pair, buying));
}

/// The same, where a process that has gone can be started again.
fn under_load_with(
    Scene { test, what, database, gap }: Scene,
    event: impl FnOnce(Pair, &Buying<'_>, &dyn Fn(&str) -> Server) -> Server,
) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = jangbu_cluster::shared::postgres().database(database).unwrap();
    let psp = dir.path().join("gateway");
    let gateway = Gateway::start(&psp, "127.0.0.1:0");
    let log = psp.join("psp.log");
    let settings = [
        ("STORE__URL", url.as_str()),
        ("GATEWAY__URL", gateway.url.as_str()),
        ("GATEWAY__LOG", log.to_str().unwrap()),
    ];
    let acks = dir.path().join("acks.csv");
    let journal = Journal::create(&acks);
    let (next, unsold, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    let pair = open(dir.path(), &settings);
    let skus = pair.one.seed(50, 100_000);
    let buying = |server: &Server| {
        let stop = AtomicBool::new(false);
        let (begun, told) = (Instant::now(), journal.told().len());
        std::thread::scope(|scope| {
            let load = scope.spawn(|| storm(server, &skus, &journal, (&next, &stop), BUYERS));
            // A loaded machine sells less in the same time.
            let enough = || journal.told().len() >= told + ORDERS && begun.elapsed() >= STORM;
            while !load.is_finished() && !enough() {
                assert!(begun.elapsed() < Duration::from_mins(1), "nobody sells");
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
            let heard = load.join().unwrap();
            unsold.fetch_add(heard.refused + heard.silent, Ordering::Relaxed);
            heard
        })
    };
    let left = event(pair, &buying, &|name| Server::start(&dir.path().join(name), &settings));
    let row = Row {
        what: what.to_owned(),
        offered: next.load(Ordering::Relaxed),
        unsold: unsold.load(Ordering::Relaxed),
        pause: gap.then(|| journal.longest_pause(begun)),
        ..Row::default()
    };
    until_sold_again(&left, &skus);
    retry(&left, &skus, &journal, next.load(Ordering::Relaxed));
    check_replays(&left, &skus, &journal, 0);
    wait_until_settled(&left);
    assert!(left.stop().success());
    let (code, report) = prove_with(&dir.path().join("one"), Some(&acks), &settings);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["in_flight"]["orders_open"], 0, "every saga ends: {report}");
    assert!(journal.told().len() >= ORDERS, "the storm was a breeze: {}", journal.told().len());
    drill::tell(test, &[row], &report);
}

/// Waits until this process owns the books.
fn takes_over(server: &Server) {
    let begun = Instant::now();
    while role(server) != "OWNER" {
        assert!(begun.elapsed() < TAKEOVER, "nobody takes over");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn until_follows(server: &Server) {
    let begun = Instant::now();
    while role(server) != "FOLLOWER" {
        assert!(begun.elapsed() < TAKEOVER, "it is {}", role(server));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_follower_takes_over_within_ten_seconds_when_the_owner_is_killed() {
    let scene = Scene {
        test: "a_follower_takes_over_within_ten_seconds_when_the_owner_is_killed",
        what: "kill -9 of the owner of two processes",
        database: "owner_killed",
        gap: true,
    };
    under_load(scene, |Pair { one, two }, buying| {
        std::thread::scope(|scope| {
            let load = scope.spawn(|| buying(&two));
            std::thread::sleep(Duration::from_millis(300));
            one.kill();
            load.join().unwrap();
        });
        takes_over(&two);
        assert_eq!(buying(&two), NOBODY);
        two
    });
}

#[test]
fn an_owner_does_not_notice_that_a_follower_is_killed() {
    let scene = Scene {
        test: "an_owner_does_not_notice_that_a_follower_is_killed",
        what: "kill -9 of the follower of two processes",
        database: "follower_killed",
        gap: false,
    };
    under_load(scene, |Pair { one, two }, buying| {
        std::thread::scope(|scope| {
            let load = scope.spawn(|| buying(&two));
            std::thread::sleep(Duration::from_millis(300));
            Command::new("kill").args(["-9", &two.pid().to_string()]).status().unwrap();
            load.join().unwrap();
        });
        assert_eq!(buying(&one), NOBODY, "the owner goes on");
        one
    });
}

#[test]
fn an_owner_that_slept_through_its_lease_is_fenced_when_it_wakes_up() {
    let signal = |server: &Server, name: &str| {
        let pid = server.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    let scene = Scene {
        test: "an_owner_that_slept_through_its_lease_is_fenced_when_it_wakes_up",
        what: "the owner of two processes stands still (SIGSTOP) beyond its lease, and wakes up",
        database: "sleeper",
        gap: true,
    };
    under_load(scene, |Pair { one, two }, buying| {
        buying(&two);
        signal(&one, "-STOP");
        takes_over(&two);
        buying(&two);
        signal(&one, "-CONT");
        until_follows(&one);
        buying(&one);
        assert_eq!(role(&two), "OWNER");
        assert!(one.stop().success());
        two
    });
}

/// Clients of both buy while `going` ends by SIGTERM. Whoever it has taken a request of is told an outcome.
fn stop_under_load(going: Server, staying: &Server, buying: &Buying<'_>) {
    std::thread::scope(|scope| {
        let here = scope.spawn(|| buying(staying));
        let there = scope.spawn(|| buying(&going));
        std::thread::sleep(Duration::from_millis(200));
        going.terminate();
        let there = there.join().unwrap();
        assert_eq!(there.refused, 0, "requests failed where it ended");
        assert_eq!(here.join().unwrap(), NOBODY, "requests failed where it did not");
    });
    assert!(going.stop().success());
}

#[test]
fn no_request_fails_when_either_of_two_processes_is_stopped_and_who_comes_back_follows() {
    let scene = Scene {
        test: "no_request_fails_when_either_of_two_processes_is_stopped_and_who_comes_back_follows",
        what: "SIGTERM of the owner, and then of the follower",
        database: "stopped",
        gap: false,
    };
    under_load_with(scene, |Pair { one, two }, buying, start| {
        stop_under_load(one, &two, buying);
        assert_eq!(role(&two), "OWNER");
        let one = start("one");
        until_follows(&one);
        assert_eq!(buying(&one), NOBODY);
        stop_under_load(one, &two, buying);
        assert_eq!(role(&two), "OWNER");
        two
    });
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
    let Pair { one, two } = open(dir.path(), &[("STORE__URL", &url)]);
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
