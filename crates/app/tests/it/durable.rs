//! An answer leaves only after the commit that it reports is on the disk.

use std::path::Path;
use std::process::Command;

use crate::server::{Server, prove};

/// `strace` lines of the calls that matter, in order.
fn trace(pid: u32, out: &Path) -> std::process::Child {
    let calls = "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg";
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", calls, "-o"]).arg(out).arg("-p").arg(pid.to_string());
    let child = strace.stderr(std::process::Stdio::null()).spawn();
    let child = child.expect("strace is needed: ./test installs it");
    let attached = || std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    while !attached().lines().any(|l| l.starts_with("TracerPid:") && !l.ends_with("\t0")) {
        std::thread::yield_now();
    }
    child
}

#[test]
fn the_answer_leaves_after_the_fsync_of_its_commit() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = dir.path().join("data");
    // Slowed down by strace, so with the usual deadlines.
    let server = Server::start(&data, &[("SAGA__PATIENCE_PERCENT", "100")]);
    let skus = server.seed(1, 10);
    let log = dir.path().join("trace");
    let mut strace = trace(server.pid(), &log);
    let sold = server.order("traced", &skus[0], 1, "tok_ok").unwrap();
    assert_eq!((sold.status, &sold.body["outcome"]), (201, &"SOLD".into()), "{sold:?}");
    assert!(server.stop().success());
    strace.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let answer = position(&lines, 0, |l| l.contains("HTTP/1.1 201"), "the answer");
    let before = &lines[..answer];
    let wal = |l: &str| l.contains("jangbu.db-wal") && !l.contains("derived");
    let last_write = before.iter().rposition(|l| wal(l) && l.contains("pwrite64"));
    let last_write = last_write.unwrap_or_else(|| panic!("no write of the log: {text}"));
    // The settling commit is the last one before the answer: written, flushed, then told.
    let flush = |l: &str| wal(l) && (l.contains("fsync(") || l.contains("fdatasync("));
    position(before, last_write, flush, "the flush of the log");
    // And the gateway's own log was flushed before it answered.
    position(before, 0, |l| l.contains("psp.log") && l.contains("sync("), "the gateway's flush");
    assert_eq!(prove(&data, None).0, 0);
}

fn position(lines: &[&str], from: usize, is: impl Fn(&str) -> bool, what: &str) -> usize {
    let at = lines[from..].iter().position(|line| is(line));
    from + at.unwrap_or_else(|| panic!("{what} is not in the trace:\n{}", lines.join("\n")))
}
