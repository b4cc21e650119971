//! The server that all tests of a binary share, and how it ends.

use std::{path::PathBuf, process::Command};

use jangbu_cluster::{Identity, shared};

use crate::until;

/// Where the server's files are, and which process it is.
fn whereabouts() -> (PathBuf, u32) {
    let data = PathBuf::from(shared::postgres().sql(&["show data_directory"]).unwrap());
    let lock = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    (data.parent().unwrap().to_owned(), lock.lines().next().unwrap().parse().unwrap())
}

/// Also run by itself, in a process that then ends.
#[test]
fn tests_share_a_server_and_each_has_its_database() {
    let server = shared::postgres();
    server.database("one").unwrap();
    server.database("two").unwrap();
    server.sql_in("one", &["create table t (n int)"]).unwrap();
    assert!(server.sql_in("two", &["select * from t"]).is_err());
    let (dir, pid) = whereabouts();
    let mut out = std::io::stdout().lock();
    std::io::Write::write_fmt(&mut out, format_args!("\nAT {} {pid}\n", dir.display())).unwrap();
}

#[test]
fn the_shared_server_and_its_files_are_gone_when_their_process_has_ended() {
    let test = "shared::tests_share_a_server_and_each_has_its_database";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let out = command.args(["--exact", test, "--nocapture"]).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("AT ")).unwrap();
    let (dir, pid) = line.split_once(' ').unwrap();
    let pid = pid.parse().unwrap();
    until("the server has ended", || Identity::of(pid).is_none());
    until("its files are gone", || !PathBuf::from(dir).exists());
}
