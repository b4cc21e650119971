//! Redis: gone and back, and a replica that becomes the master.

use jangbu_cluster::Redis;

use crate::until;

#[test]
fn a_redis_that_was_killed_comes_back_empty_on_its_port() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start(&dir.path().join("redis")).unwrap();
    assert_eq!(redis.ask("SET a 1").unwrap(), "OK");
    assert_eq!(redis.ask("GET a").unwrap(), "1");
    redis.kill();
    assert!(redis.ask("PING").is_err());
    redis.start_again().unwrap();
    assert_eq!(redis.ask("PING").unwrap(), "PONG");
    assert_eq!(redis.ask("DBSIZE").unwrap(), "0");
    assert!(redis.url().ends_with(&redis.port().to_string()));
}

#[test]
fn sentinels_make_the_replica_the_master() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::sentinels(&dir.path().join("redis")).unwrap();
    assert_eq!(redis.addresses().len(), 3);
    let old = redis.master().unwrap();
    let killed = redis.kill_master().unwrap();
    until("another master", || redis.master().is_ok_and(|port| port != old));
    redis.start_again(killed).unwrap();
    assert_ne!(redis.master().unwrap(), old);
}
