//! PostgreSQL: what was committed is there, whatever becomes of the server.

use std::net::TcpStream;

use jangbu_cluster::Postgres;

use crate::until;

const COUNT: &str = "select count(*) from t";

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_postgres_crashes_comes_back_and_stops_with_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Postgres::start(&dir.path().join("pg")).unwrap();
    let port = server.port();
    let url = server.database("shop").unwrap();
    assert_eq!(url, format!("postgres://postgres@127.0.0.1:{port}/shop"));
    server.sql_in("shop", &["create table t (n int)", "insert into t values (1)"]).unwrap();
    assert_eq!(server.sql(&["show fsync"]).unwrap(), "on");

    server.crash();
    assert!(!is_open(port));
    server.restart().unwrap();
    assert_eq!((server.port(), server.sql_in("shop", &[COUNT]).unwrap()), (port, "1".into()));

    server.database("shop").unwrap();
    assert!(server.sql_in("shop", &[COUNT]).is_err(), "a fresh database is empty");

    drop(server);
    assert!(!is_open(port));
    // The same files again.
    let server = Postgres::start(&dir.path().join("pg")).unwrap();
    assert_eq!(
        server.sql(&["select count(*) from pg_database where datname = 'shop'"]).unwrap(),
        "1"
    );
}

#[test]
fn a_synchronous_standby_has_every_commit_when_its_primary_dies() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Postgres::start(&dir.path().join("primary")).unwrap();
    let standby = primary.standby(&dir.path().join("standby")).unwrap();
    primary.sql(&["create table t (n int)", "insert into t values (1), (2)"]).unwrap();
    let error = standby.sql(&["insert into t values (3)"]).unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");

    primary.crash();
    standby.promote().unwrap();
    assert_eq!(standby.sql(&[COUNT]).unwrap(), "2");
    // The new primary waits for nobody.
    standby.sql(&["insert into t values (3)"]).unwrap();
    assert_eq!(standby.sql(&[COUNT]).unwrap(), "3");
}

#[test]
fn a_replica_follows_and_no_commit_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let primary = Postgres::start(&dir.path().join("primary")).unwrap();
    let replica = primary.replica(&dir.path().join("replica")).unwrap();
    primary.sql(&["create table t (n int)", "insert into t values (1)"]).unwrap();
    until("the row arrives", || replica.sql(&[COUNT]).is_ok_and(|rows| rows == "1"));
    replica.stop();
    primary.sql(&["insert into t values (2)"]).unwrap();
    replica.restart().unwrap();
    until("the second row arrives", || replica.sql(&[COUNT]).is_ok_and(|rows| rows == "2"));
}
