//! kill -9 at random moments: nothing that was acknowledged is lost, every saga ends, the books
//! balance, and a repeated key hears its first answer.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::drill::{self, Row};
use crate::load::{Journal, buy, essence, storm};
use crate::server::{Server, prove_with};

const BUYERS: usize = 16;

/// Who asked for many rounds sees how far they are.
fn tell(round: u64, told: usize, report: &Value) {
    if std::env::var_os("JANGBU_CRASH_ROUNDS").is_none() {
        return;
    }
    let mut out = std::io::stderr().lock();
    let open = &report["in_flight"]["orders_open"];
    let line = format!("round {round}: {told} orders were told, {open} are open, books balance\n");
    out.write_all(line.as_bytes()).unwrap();
}

/// Rounds in the test; `cargo xtask kills --rounds 200` for more.
fn rounds() -> u64 {
    let wanted = std::env::var("JANGBU_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(10)
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged() {
    let test = "a_process_killed_at_any_moment_loses_nothing_that_was_acknowledged";
    survive(test, "kill -9 of the server on files", &[]);
}

#[test]
fn a_process_on_postgresql_killed_at_any_moment_loses_nothing_that_was_acknowledged() {
    let url = jangbu_cluster::shared::postgres().database("kills").unwrap();
    let test = "a_process_on_postgresql_killed_at_any_moment_loses_nothing_that_was_acknowledged";
    survive(test, "kill -9 of the server on PostgreSQL", &[("STORE__URL", &url)]);
}

/// Kills a server with these settings, round by round.
fn survive(test: &str, what: &str, settings: &[(&str, &str)]) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, acks) = (dir.path().join("data"), dir.path().join("acks.csv"));
    let journal = Journal::create(&acks);
    let next = AtomicUsize::new(0);
    let mut skus = Vec::new();
    let mut random = u64::from(std::process::id()) | 1;
    for round in 0..rounds() {
        let hasty = [&[("SERVER__WAIT_MS", "1000")], settings].concat();
        let server = Server::start(&data, &hasty);
        if skus.is_empty() {
            skus = server.seed(50, 10_000);
        }
        check_replays(&server, &skus, &journal, round);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        let moment = Duration::from_millis(200 + (random >> 33) % 800);
        kill_during_storm(server, &skus, &journal, &next, moment);
        let report = assert_sound(&data, &acks, settings, round);
        tell(round, journal.told().len(), &report);
    }
    let row = Row {
        what: format!("{what}, {} times", rounds()),
        offered: next.load(Ordering::Relaxed),
        unsold: next.load(Ordering::Relaxed) - journal.told().len(),
        ..Row::default()
    };
    let server = Server::start(&data, settings);
    check_replays(&server, &skus, &journal, u64::MAX);
    wait_until_settled(&server);
    assert!(server.stop().success());
    let report = assert_sound(&data, &acks, settings, u64::MAX);
    assert_eq!(report["in_flight"]["orders_open"], 0, "every saga ends: {report}");
    assert!(journal.told().len() > 100, "the storm was a breeze: {}", journal.told().len());
    drill::tell(test, &[row], &report);
}

fn kill_during_storm(
    server: Server,
    skus: &[String],
    journal: &Journal,
    next: &AtomicUsize,
    moment: Duration,
) {
    let stop = AtomicBool::new(false);
    let pid = server.pid().to_string();
    std::thread::scope(|scope| {
        scope.spawn(|| storm(&server, skus, journal, (next, &stop), BUYERS));
        std::thread::sleep(moment);
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        stop.store(true, Ordering::Relaxed);
    });
    server.kill();
}

/// A sample of the keys that were answered is sent again: same order, same outcome.
pub(crate) fn check_replays(server: &Server, skus: &[String], journal: &Journal, round: u64) {
    let told = journal.told();
    let step = (told.len() / 20).max(1);
    for (key, plan, first) in told.iter().step_by(step).filter(|(_, _, first)| first.status != 202)
    {
        let again = buy(server, skus, key, *plan).unwrap();
        assert_eq!(essence(&again), essence(first), "round {round}, key {key}: {again:?}");
        assert!(again.replayed, "round {round}, key {key}: {again:?}");
    }
}

/// Nothing is in flight any more, as the running server proves itself.
pub(crate) fn wait_until_settled(server: &Server) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let report = server.operate("/api/v1/admin/prove", "none", &serde_json::json!({})).body;
        if report["in_flight"]["orders_open"] == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "sagas do not end: {report}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn assert_sound(data: &Path, acks: &Path, settings: &[(&str, &str)], round: u64) -> Value {
    let (code, report) = prove_with(data, Some(acks), settings);
    assert_eq!(code, 0, "round {round}: {report:#}");
    report
}
