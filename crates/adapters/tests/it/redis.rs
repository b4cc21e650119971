//! Redis that is there, goes, comes back empty or with data of long ago, is slow, and changes its
//! place: what is given out is never from before a change, and nobody waits.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_adapters::redis::{Nodes, Redis, Settings};
use jangbu_cluster::{Redis as Server, Sentinels};
use jangbu_engine::clock::{Clock as _, SystemClock};
use jangbu_kernel::time::Span;
use jangbu_kernel::{ProductId, SkuId};
use jangbu_services::bestseller::{Best, REFRESH, Window};
use jangbu_services::cache::{Cache, Group, Key, Value};
use jangbu_services::shared::{Bucket, Shared, Verdict};
use parking_lot::Mutex;

const LIFE: Span = Span::secs(600);
const TEE: Group = Group::Product(1);

fn with(nodes: Nodes) -> Redis {
    // A busy machine is no slow server.
    patient(nodes, Duration::from_secs(10))
}

fn patient(nodes: Nodes, patience: Duration) -> Redis {
    let settings = Settings { nodes, prefix: "test".to_owned(), patience, life: LIFE };
    Redis::start(settings, Arc::new(SystemClock)).unwrap()
}

/// A process whose tail has come to event `place`.
fn process(server: &Server, place: i64) -> Redis {
    let redis = with(Nodes::new(&server.url(), Vec::new(), "").unwrap());
    redis.changed(&[], place);
    redis
}

fn joined(server: &Server, place: i64) -> Redis {
    let redis = process(server, place);
    until("joined", || redis.is_joined());
    redis
}

fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let start = Instant::now();
    while !wanted() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

fn tee() -> Key {
    Key { group: TEE, name: "tee".into() }
}

fn value(number: i64, text: &str) -> Value {
    Value { number, until: SystemClock.now() + LIFE, bytes: text.as_bytes().into() }
}

/// What is kept of the tee: its number and its text.
fn kept(redis: &Redis) -> Option<(i64, String)> {
    let found = now(redis.get(&tee()))?;
    assert!(found.until <= SystemClock.now() + LIFE);
    Some((found.number, String::from_utf8(found.bytes.to_vec()).unwrap()))
}

/// Puts it until it is there: without a connection it would not be put at all.
fn put(redis: &Redis, number: i64, text: &str) {
    until("put", || {
        redis.put(&tee(), &value(number, text));
        kept(redis) == Some((number, text.to_owned()))
    });
}

fn bucket(whom: u64) -> Bucket {
    Bucket { limit: "user", whom, per_second: 1, burst: 5 }
}

#[test]
fn without_a_server_every_question_is_answered_at_once_and_it_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    server.kill();
    let redis = process(&server, 1);
    redis.put(&tee(), &value(1, "lost"));
    redis.close(SkuId(1), Duration::from_secs(1));
    assert_eq!((kept(&redis), now(redis.pass(bucket(1)))), (None, None));
    assert_eq!((redis.link().up, redis.link().away), (false, 2));
    server.start_again().unwrap();
    until("joined", || redis.is_joined());
    assert_eq!(kept(&redis), None, "what could not be put is not put later");
    put(&redis, 1, "tee");
    assert_eq!(redis.link().connects, 1);
}

#[test]
fn a_port_that_nobody_listens_on_is_no_error() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("redis://127.0.0.1:{port}");
    let redis = with(Nodes::new(&url, Vec::new(), "").unwrap());
    assert_eq!(now(redis.pass(bucket(1))), None);
    drop(redis);
}

#[test]
fn a_change_that_one_process_tells_ends_the_value_for_all_and_no_slow_reader_brings_it_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let (one, two) = (joined(&server, 4), joined(&server, 4));
    put(&one, 5, "old");
    assert_eq!(kept(&two), Some((5, "old".to_owned())));
    two.changed(&[(TEE, 7), (Group::Shelf, 7)], 8);
    until("the change is told", || kept(&one).is_none());
    one.put(&tee(), &value(6, "slow"));
    let mug = Key { group: Group::Product(2), name: "mug".into() };
    until("another product", || {
        one.put(&mug, &value(6, "mug"));
        now(two.get(&mug)).is_some()
    });
    assert_eq!(kept(&two), None, "its reader began before the change");
    put(&one, 7, "new");
    put(&one, 7, "again");
    put(&two, 9, "newer");
    one.put(&tee(), &value(8, "older"));
    until("another product", || {
        one.put(&mug, &value(8, "mug 8"));
        now(two.get(&mug)).is_some_and(|mug| mug.number == 8)
    });
    assert_eq!(kept(&one), Some((9, "newer".to_owned())), "a later state stays");
}

#[test]
fn a_server_that_was_killed_costs_nothing_but_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let redis = joined(&server, 4);
    put(&redis, 5, "tee");
    server.kill();
    until("away", || !redis.link().up);
    redis.changed(&[(TEE, 6)], 6);
    assert_eq!((kept(&redis), now(redis.pass(bucket(1)))), (None, None));
    server.start_again().unwrap();
    until("joined again", || redis.is_joined());
    assert_eq!(kept(&redis), None);
    redis.put(&tee(), &value(5, "from before the change"));
    put(&redis, 6, "tee");
    assert_eq!(redis.link().connects, 2);
}

#[test]
fn a_server_that_comes_back_with_data_of_long_ago_gives_none_of_it_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let redis = joined(&server, 4);
    put(&redis, 5, "old");
    assert_eq!(server.ask("SAVE").unwrap(), "OK");
    redis.changed(&[(TEE, 6)], 6);
    until("the change is told", || kept(&redis).is_none());
    put(&redis, 6, "new");
    server.kill();
    server.start_again().unwrap();
    until("joined again", || redis.link().connects == 2 && redis.is_joined());
    assert_eq!(server.ask("EXISTS test:value:tee").unwrap(), "1", "it has the old value");
    assert_eq!(kept(&redis), None);
    put(&redis, 6, "new");
}

#[test]
fn a_connection_that_is_cut_is_made_again_and_what_changed_meanwhile_is_told_first() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let (one, two) = (joined(&server, 4), joined(&server, 4));
    put(&one, 5, "old");
    for round in 2..5 {
        server.ask("CLIENT KILL TYPE normal").unwrap();
        until("up again", || one.link().connects >= round && one.is_joined() && two.is_joined());
    }
    assert_eq!(kept(&two), Some((5, "old".to_owned())), "nothing has changed");
    server.ask("CLIENT KILL TYPE normal").unwrap();
    one.changed(&[(TEE, 6)], 6);
    until("the change is told", || two.is_joined() && kept(&two).is_none() && one.is_joined());
    put(&two, 6, "new");
}

#[test]
fn who_joins_ends_nothing_that_others_keep_unless_nobody_has_told_what_changed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let one = joined(&server, 4);
    one.changed(&[], 10);
    put(&one, 9, "tee");
    let two = joined(&server, 10);
    assert_eq!(kept(&two), Some((9, "tee".to_owned())));
    drop((one, two));
    // Events 11 to 20 were committed while nobody looked.
    let three = joined(&server, 20);
    assert_eq!(kept(&three), None);
    put(&three, 20, "tee");
}

#[test]
fn after_a_restore_from_a_backup_nothing_of_the_other_history_is_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let before = joined(&server, 100);
    put(&before, 100, "another history");
    drop(before);
    let after = joined(&server, 50);
    assert_eq!(kept(&after), None);
    put(&after, 51, "this one");
}

#[test]
fn more_changes_than_can_be_remembered_end_everything() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let redis = joined(&server, 4);
    put(&redis, 5, "tee");
    redis.missed(8);
    until("told", || kept(&redis).is_none());
    redis.put(&tee(), &value(7, "from before"));
    put(&redis, 8, "tee");
}

#[test]
fn a_limit_holds_for_all_processes_together() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let processes: Vec<_> = (0..3).map(|_| process(&server, 0)).collect();
    until("up", || processes.iter().all(|process| process.link().up));
    // So slow that none comes back while the test runs.
    let hourly = Bucket { per_second: 1, burst: 3_600, ..bucket(7) };
    let verdicts = std::thread::scope(|scope| {
        let ask = |redis: &Redis| (0..1_500).map(|_| now(redis.pass(hourly)).unwrap()).collect();
        let each = processes.iter().map(|redis| scope.spawn(move || ask(redis)));
        let each: Vec<_> = each.collect();
        each.into_iter()
            .flat_map(|thread| -> Vec<Verdict> { thread.join().unwrap() })
            .collect::<Vec<_>>()
    });
    let passed = verdicts.iter().filter(|verdict| **verdict == Verdict::Passes).count();
    // One comes back each second.
    assert!((3_600..3_660).contains(&passed), "{passed}");
    let waits = verdicts.iter().filter_map(|verdict| match verdict {
        Verdict::Passes => None,
        Verdict::Waits(wait) => Some(*wait),
    });
    let longest = waits.max().unwrap();
    assert!(longest > Duration::ZERO && longest <= Duration::from_secs(1), "{longest:?}");
    assert_eq!(now(processes[0].pass(bucket(8))), Some(Verdict::Passes), "somebody else");
}

#[test]
fn what_one_finds_sold_out_the_others_hear_until_there_is_stock_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let (one, two) = (process(&server, 0), process(&server, 0));
    until("up", || one.link().up && two.link().up);
    let heard: Arc<Mutex<Vec<(SkuId, Duration)>>> = Arc::default();
    let note = Arc::clone(&heard);
    two.listen(Box::new(move |closed| *note.lock() = closed.to_vec()));
    let minute = Duration::from_mins(1);
    one.close(SkuId(5), minute);
    one.close(SkuId(6), minute);
    until("heard", || heard.lock().len() == 2);
    assert!(heard.lock().iter().all(|(_, left)| *left > minute / 2 && *left <= minute));
    one.open(&[SkuId(5)]);
    until("open again", || {
        *heard.lock().iter().map(|(sku, _)| *sku).collect::<Vec<_>>() == [SkuId(6)]
    });
}

#[test]
fn a_server_that_does_not_answer_is_given_up_and_taken_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let nodes = Nodes::new(&server.url(), Vec::new(), "").unwrap();
    let redis = patient(nodes, Duration::from_millis(200));
    redis.changed(&[], 4);
    put(&redis, 5, "tee");
    server.ask("CLIENT PAUSE 4000").unwrap();
    until("given up", || {
        assert_eq!(now(redis.pass(bucket(1))), None);
        !redis.link().up
    });
    let (late, away) = (redis.link().late, redis.link().away);
    assert!(late >= 5, "{late}");
    for _ in 0..1_000 {
        assert_eq!(now(redis.pass(bucket(1))), None);
    }
    assert!(redis.link().away >= away + 1_000 && late == redis.link().late, "nobody waits");
    until("taken again", || redis.is_joined());
    assert_eq!(
        kept(&redis),
        Some((5, "tee".to_owned())),
        "it is the same one, and nothing changed"
    );
}

#[test]
fn a_full_server_is_still_read() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let redis = joined(&server, 4);
    put(&redis, 5, "tee");
    assert_eq!(server.ask("CONFIG SET maxmemory 1").unwrap(), "OK");
    until("a put fails", || {
        redis.put(&tee(), &value(6, "full"));
        redis.link().failed > 0
    });
    assert!(redis.link().up);
    assert_eq!(kept(&redis), Some((5, "tee".to_owned())));
}

#[test]
fn a_promoted_replica_is_found_by_the_sentinels() {
    let dir = tempfile::tempdir().unwrap();
    let servers = Server::sentinels(dir.path()).unwrap();
    let redis = with(Nodes::new("", servers.addresses(), Sentinels::MASTER).unwrap());
    redis.changed(&[], 4);
    until("joined", || redis.is_joined());
    put(&redis, 5, "tee");
    let killed = servers.kill_master().unwrap();
    until("away", || !redis.link().up);
    assert_eq!((kept(&redis), now(redis.pass(bucket(1)))), (None, None));
    redis.changed(&[(TEE, 6)], 6);
    until("joined at the new master", || redis.is_joined());
    assert_eq!(kept(&redis), None, "whatever the replica had");
    put(&redis, 6, "tee");
    servers.start_again(killed).unwrap();
    assert_eq!(now(redis.pass(bucket(1))), Some(Verdict::Passes));
}

fn ranked(units: i64) -> Arc<[Best]> {
    let best = |product: i64, units: i64| Best {
        product: ProductId(product),
        units,
        skus: vec![(SkuId(10 * product), units)],
    };
    // Ties are in the order of age, however many digits an id has.
    [best(9, units), best(2, 3), best(10, 3)].into()
}

#[test]
fn a_ranking_is_shared_for_a_second_and_comes_again_after_a_loss() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).unwrap();
    let (one, two) = (joined(&server, 1), joined(&server, 1));
    let (window, to) = (Window::Week, 20_000);
    let heard = |redis: &Redis| now(redis.ranking(window, to));
    let share = |units: i64| {
        let mut head = None;
        until("a ranking", || {
            one.ranked(window, to, ranked(units));
            head = heard(&two).filter(|head| head.best == *ranked(units));
            head.is_some()
        });
        head.unwrap()
    };
    let head = share(7);
    assert!(head.whole && head.age < REFRESH, "{head:?}");
    assert_eq!(now(two.ranking(Window::Day, to)), None, "another window");
    assert_eq!(now(two.ranking(window, to + 1)), None, "another day");
    // The next one stands in the place of it as a whole.
    let head = share(4);
    assert_eq!(head.best.len(), 3);
    until("its end", || heard(&two).is_none());
    share(5);
    server.kill();
    until("the loss", || heard(&two).is_none());
    server.start_again().unwrap();
    until("both", || one.is_joined() && two.is_joined());
    share(6);
    let many: Arc<[Best]> = (1..=1_500)
        .map(|n| Best { product: ProductId(n), units: 2_000 - n, skus: Vec::new() })
        .collect();
    until("a long one", || {
        one.ranked(window, to, Arc::clone(&many));
        heard(&two).is_some_and(|head| head.best == many[..200] && !head.whole)
    });
}
