//! The ways to PostgreSQL and Redis break, become slow, or are half-open; answers of COMMIT get lost.

use std::cell::OnceCell;

use jangbu_cluster::wire::{Aim, Lost, Wire};
use jangbu_cluster::{Postgres, Redis, Toxiproxy};

use crate::drill::{Drill, hold, until};

/// `host:port` of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    rest.split('@').next_back().unwrap().split('/').next().unwrap()
}

/// The same address over another port.
fn over(url: &str, port: u16) -> String {
    url.replace(host(url), &format!("127.0.0.1:{port}"))
}

#[test]
fn the_way_to_postgresql_is_cut_slowed_and_held_and_every_order_is_answered_honestly() {
    let test = "the_way_to_postgresql_is_cut_slowed_and_held_and_every_order_is_answered_honestly";
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let postgres = Postgres::start(&dir.path().join("pg")).unwrap();
    let url = postgres.database("shop").unwrap();
    let proxy = Toxiproxy::start(&dir.path().join("proxy")).unwrap();
    let url = over(&url, proxy.proxy("pg", host(&url)).unwrap());
    let drill = Drill::begin(test, dir.path(), &[("STORE__URL", &url)]);
    let heal = || proxy.heal("pg").unwrap();
    let cut = || {
        proxy.cut("pg").unwrap();
        hold(2);
    };
    drill.outage("the connections to PostgreSQL are cut for 2 s", cut, heal);
    for ms in [100, 300] {
        let slow = || {
            proxy.slow("pg", ms).unwrap();
            hold(6);
        };
        let what = format!("PostgreSQL's answers take {} ms longer for 6 s", 2 * ms);
        drill.outage(&what, slow, heal);
    }
    // Longer than the owner waits for an answer.
    let half_open = || {
        proxy.half_open("pg").unwrap();
        hold(7);
    };
    drill.outage("the connections to PostgreSQL are half-open for 7 s", half_open, heal);
    drill.end();
}

/// What PostgreSQL says to who owns the books when a COMMIT is done.
const COMMIT: Aim = Aim { who: b"jangbu owner of jangbu'", answer: b"C\0\0\0\x0bCOMMIT\0" };

/// How many commits are lost.
const COMMITS: u64 = 20;

#[test]
fn commits_whose_answers_are_lost_are_looked_up_and_silent_connections_are_given_up() {
    let test = "commits_whose_answers_are_lost_are_looked_up_and_silent_connections_are_given_up";
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let postgres = Postgres::start(&dir.path().join("pg")).unwrap();
    let url = postgres.database("shop").unwrap();
    let wire = Wire::start(host(&url), COMMIT).unwrap();
    let url = over(&url, wire.port());
    let drill = Drill::begin(test, dir.path(), &[("STORE__URL", &url)]);
    let lose = |what| {
        for _ in 0..COMMITS {
            let lost = wire.lost();
            wire.lose(what);
            until("nobody commits", || wire.lost() > lost);
        }
    };
    let what = format!("the answers of {COMMITS} COMMITs are lost, with their connections");
    drill.outage(&what, || lose(Lost::Answer), || {});
    let what =
        format!("{COMMITS} requests of the owner do not arrive, and their connections break");
    drill.outage(&what, || lose(Lost::Question), || {});
    let what = "all connections to PostgreSQL fall silent for ever; new ones are fine";
    drill.outage(what, || wire.freeze(), || {});
    drill.end();
    assert_eq!(wire.lost(), 2 * COMMITS);
}

#[test]
fn redis_may_be_away_at_the_start_die_come_back_empty_or_hang_and_no_order_notices() {
    let test = "redis_may_be_away_at_the_start_die_come_back_empty_or_hang_and_no_order_notices";
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let redis = Redis::start(&dir.path().join("redis")).unwrap();
    redis.kill();
    let proxy = Toxiproxy::start(&dir.path().join("proxy")).unwrap();
    let url = over(&redis.url(), proxy.proxy("redis", host(&redis.url())).unwrap());
    let settings = [
        ("REDIS__URL", &*url),
        // A loaded machine is no slow Redis.
        ("REDIS__PATIENCE_MS", "200"),
        // A limit that is never reached, and so small a burst that every order is asked about.
        ("RATES__USER_PER_SECOND", "100000"),
        ("RATES__USER_BURST", "15"),
    ];
    let drill = Drill::begin(test, dir.path(), &settings);
    let is_up = || drill.server.get("/readyz").body["cache"]["shared"] == "UP";
    let shared = || drill.server.metric("jangbu_rate_decisions_total{by=\"all\"}");
    let start = || redis.start_again().unwrap();
    let heal = || proxy.heal("redis").unwrap();
    let goes_on = |what: &str, hurt: &dyn Fn(), heal: &dyn Fn()| {
        // Redis is there, and decides on orders again.
        let mark = OnceCell::new();
        let back = || shared() > *mark.get_or_init(shared) && is_up();
        let hurt = || {
            hurt();
            drill.keeps_selling();
        };
        drill.outage_until(what, hurt, heal, Some(&back));
    };
    assert!(!is_up());
    assert_eq!(shared(), 0);
    goes_on("Redis is not there at the start, and comes after 2 s", &|| hold(2), &start);
    goes_on(
        "Redis is killed, and comes back empty after 2 s",
        &|| {
            redis.kill();
            hold(2);
        },
        &start,
    );
    goes_on(
        "the connections to Redis are cut for 2 s",
        &|| {
            proxy.cut("redis").unwrap();
            hold(2);
        },
        &heal,
    );
    goes_on(
        "Redis's answers take 600 ms longer for 2 s",
        &|| {
            proxy.slow("redis", 300).unwrap();
            hold(2);
        },
        &heal,
    );
    goes_on(
        "the connections to Redis are half-open for 2 s",
        &|| {
            proxy.half_open("redis").unwrap();
            hold(2);
        },
        &heal,
    );
    drill.end();
}
