//! Hot standbys, with real servers: when one is read, and when it is not.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use jangbu_cluster::{Postgres as Server, Toxiproxy};
use jangbu_engine::{
    books::SHARD,
    port::{Backend, By, Mode, Read, Reader, Replica, Sight, Store, WritePlan},
    position::Position,
};
use jangbu_store::{Migration, Postgres};

/// The longest delay that is borne here.
const MOST: Duration = Duration::from_millis(600);

/// Longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

const MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "shard",
    sql: "CREATE TABLE shard (id INTEGER PRIMARY KEY, commits INTEGER NOT NULL, \
          events INTEGER NOT NULL, requests INTEGER NOT NULL, clock INTEGER NOT NULL, \
          idem_key BLOB NOT NULL, trimmed INTEGER NOT NULL, purged INTEGER NOT NULL, \
          version INTEGER NOT NULL);",
}];

fn schema(url: &str, name: &str) -> Postgres {
    Postgres::new(url, name, &[&SHARD], &MIGRATIONS).unwrap()
}

/// A store at `url`, and its replicas.
struct Shop {
    truth: Postgres,
    replicas: Vec<Arc<dyn Replica>>,
}

impl Shop {
    fn open(url: &str, replicas: &[String]) -> Self {
        let (truth, derived) = (schema(url, "shop"), schema(url, "shop_derived"));
        derived.with(&mut |_| ()).unwrap();
        let replicas = truth.replicas(&derived, replicas, MOST).unwrap();
        let shop = Self { truth, replicas };
        shop.commit(0);
        shop
    }

    /// Commit number `n`; the first one is 0. Another server may have to be looked for first.
    fn commit(&self, n: i64) {
        let deadline = Instant::now() + PATIENCE;
        let mut write = |store: &mut dyn Store| {
            let mode = if n == 0 { Mode::Insert } else { Mode::Update { version: n } };
            let mut plan = WritePlan::default();
            let mut row = plan.row(&SHARD, mode);
            row.int(0).int(n).int(n * 2).int(0).int(0).blob(&[0; 16]).int(0).int(0).int(n + 1);
            let mut tx = store.begin().unwrap();
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
        };
        while let Err(fault) = self.truth.with(&mut write) {
            assert!(Instant::now() < deadline, "{fault}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn sight(&self) -> Sight {
        self.replicas[0].sight()
    }

    fn until(&self, wanted: impl Fn(&Sight) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(&self.sight()) {
            assert!(Instant::now() < deadline, "{:?}", self.sight());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn until_used(&self) {
        self.until(|sight| sight.away.is_none());
    }

    /// The number of the last commit, as the replica has it.
    fn read(&self) -> i64 {
        last(&mut *self.replicas[0].truth().unwrap()).unwrap()
    }
}

fn last(reader: &mut dyn Reader) -> Result<i64, jangbu_engine::port::Fault> {
    let mut found = -1;
    let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
    reader.read(&read, &mut |_, row| found = row.int(1))?;
    Ok(found)
}

fn at(n: i64) -> Position {
    Position { commit: n, event: 2 * n }
}

#[test]
fn a_replica_is_read_unless_its_replay_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Server::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    let standby = primary.replica(&dir.path().join("standby")).unwrap();
    let shop = Shop::open(&url, &[standby.url_of("shop")]);
    shop.until_used();
    // What it says that it has, every read of it sees.
    shop.commit(1);
    shop.until(|sight| sight.reached == at(1));
    assert_eq!(shop.read(), 1);
    // Nobody is behind an idle primary, however long it is idle.
    thread::sleep(2 * MOST);
    assert_eq!(shop.sight().away, None);
    standby.sql(&["select pg_wal_replay_pause()"]).unwrap();
    shop.commit(2);
    shop.until(|sight| sight.away.is_some());
    assert_eq!((shop.read(), shop.truth.reader().map(|mut r| last(&mut *r)).unwrap()), (1, Ok(2)));
    // It never says that it has what it has not.
    assert_eq!(shop.sight().reached, at(1));
    standby.sql(&["select pg_wal_replay_resume()"]).unwrap();
    shop.until(|sight| sight.away.is_none() && sight.reached == at(2));
    assert_eq!(shop.read(), 2);
}

#[test]
fn a_replica_that_dies_or_does_not_answer_is_not_used_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Server::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    let standby = primary.replica(&dir.path().join("standby")).unwrap();
    let proxy = Toxiproxy::start(&dir.path().join("proxy")).unwrap();
    let port = proxy.proxy("standby", &format!("127.0.0.1:{}", standby.port())).unwrap();
    let shop = Shop::open(&url, &[format!("postgres://postgres@127.0.0.1:{port}/shop")]);
    shop.until_used();
    let mut reader = shop.replicas[0].truth().unwrap();
    assert_eq!(last(&mut *reader), Ok(0));
    // Half-open: whoever reads is not kept for the half minute that the primary would get.
    proxy.half_open("standby").unwrap();
    let begun = Instant::now();
    assert!(last(&mut *reader).is_err());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    shop.until(|sight| sight.away.is_some());
    proxy.heal("standby").unwrap();
    shop.until_used();
    assert_eq!(last(&mut *reader), Ok(0));
    standby.crash();
    shop.until(|sight| sight.away.is_some());
    assert!(last(&mut *reader).is_err());
    standby.restart().unwrap();
    shop.until_used();
    assert_eq!(last(&mut *reader), Ok(0));
}

/// Waits until a replica is not used for this reason.
fn until_away(replica: &Arc<dyn Replica>, why: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !replica.sight().away.is_some_and(|away| away.contains(why)) {
        assert!(Instant::now() < deadline, "{}: {:?}", replica.name(), replica.sight());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn other_data_and_who_is_no_standby_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Server::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    // Another database of the same server, and another server with a database of this name.
    let (second, other) = (primary.database("other").unwrap(), {
        jangbu_cluster::shared::postgres().database("shop").unwrap()
    });
    Shop::open(&second, &[]);
    Shop::open(&other, &[]);
    let standby = primary.replica(&dir.path().join("standby")).unwrap();
    let shop = Shop::open(&url, &[standby.url_of("other"), other, url.clone()]);
    until_away(&shop.replicas[0], "other data");
    until_away(&shop.replicas[1], "other data");
    until_away(&shop.replicas[2], "does not follow");
}

#[test]
fn a_promoted_standby_and_one_that_did_not_follow_it_are_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Server::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    let next = primary.replica(&dir.path().join("next")).unwrap();
    let left = primary.replica(&dir.path().join("left")).unwrap();
    let host = |url: &str| url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
    let both = url.replace(&host(&url), &format!("{},{}", host(&url), host(&next.url())));
    let shop = Shop::open(&both, &[left.url_of("shop"), next.url_of("shop")]);
    shop.until_used();
    // Everything is on the one that is left, and nothing more will come to it.
    shop.commit(1);
    shop.until(|sight| sight.reached == at(1));
    primary.crash();
    next.promote().unwrap();
    shop.commit(2);
    until_away(&shop.replicas[0], "promotion");
    until_away(&shop.replicas[1], "does not follow");
}

#[test]
fn replicas_are_looked_at_by_a_user_without_rights() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Server::start(&dir.path().join("primary")).unwrap();
    let url = primary.database("shop").unwrap();
    primary
        .sql_in("shop", &["create role plain login", "grant create on database shop to plain"])
        .unwrap();
    let standby = primary.replica(&dir.path().join("standby")).unwrap();
    let plain = |url: &str| url.replace("postgres@", "plain@");
    let shop = Shop::open(&plain(&url), &[plain(&standby.url_of("shop"))]);
    shop.until_used();
    assert_eq!(shop.read(), 0);
}
