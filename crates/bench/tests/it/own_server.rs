//! Runs that start their own server process: a shell script around this test binary as a toy.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jangbu_bench::{Error, Facts, Hooks, Proof, Sums, Verdict, run};
use serde_json::{Value, json};

use crate::args;
use crate::certificate::conforms;
use crate::toy::{Toy, Ways};

/// Set for the process that plays the server.
const ROLE: &str = "JANGBU_BENCH_TOY";

/// The server process: `serve --listen ADDR --data DIR`, played by this very test.
#[test]
fn toy_server_process() {
    let Ok(data) = std::env::var(ROLE) else { return };
    let keys = Path::new(&data).join("keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::write(keys.join("client.key"), "jbc_test\n").unwrap();
    std::fs::write(keys.join("operator.key"), "jbo_test\n").unwrap();
    std::fs::create_dir_all(keys.join("sessions")).unwrap();
    std::fs::write(keys.join("sessions/first.key"), "jbs_test\n").unwrap();
    let toy = Toy::open(Ways::default());
    writeln!(std::io::stdout(), "\nready {} in 5 ms", toy.url).unwrap();
    loop {
        std::thread::park();
    }
}

/// A script that starts the toy, and ends well on SIGTERM.
fn script(dir: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let binary = std::env::current_exe().unwrap();
    let text = format!(
        "#!/bin/sh\n[ \"$1 $2 $3 $4\" = 'serve --listen 127.0.0.1:0 --data' ] || exit 9\n\
         {ROLE}=\"$5\" '{}' --exact own_server::toy_server_process --nocapture &\n\
         trap 'kill $!; exit 0' TERM\nwait\n",
        binary.display()
    );
    let path = dir.join("server.sh");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Runs against the script; gives what the prover saw: data directory and journal.
fn with_server(dir: &Path, lost: u64) -> (jangbu_bench::Done, PathBuf, String) {
    let line = format!(
        "spread --rate 200 --duration 500ms --warmup 100ms --products 10 --users 20 --dir {0} --server-bin {1}",
        dir.display(),
        script(dir).display(),
    );
    let seen = Mutex::new(None);
    let prove = Box::new(|data: &Path, acks: &Path| {
        *seen.lock().unwrap() = Some((data.to_owned(), std::fs::read_to_string(acks)?));
        let sums = Sums { lost, doubled: 0, mismatched: 0 };
        Ok(Proof { sums, report: json!({ "orders": 100 }) })
    });
    let facts = Facts { profile: Some("test".to_owned()), ..Facts::default() };
    let done = run(&args(&line), &Hooks { facts, settings: Vec::new(), prove }).unwrap();
    let (data, acks) = seen.into_inner().unwrap().unwrap();
    (done, data, acks)
}

#[test]
fn the_server_is_started_measured_stopped_and_proven() {
    let dir = tempfile::tempdir().unwrap();
    let (done, data, acks) = with_server(dir.path(), 0);
    // How long the toy took to start says nothing about the run.
    let missed = done.certificate.marks.iter().filter(|mark| !mark.pass && mark.name != "start ms");
    assert_eq!(missed.count(), 0, "{}", done.certificate);
    assert!(matches!(done.verdict, Verdict::Passed | Verdict::Missed), "{}", done.certificate);
    assert_eq!(acks.lines().count() as u64, 1 + 20 + done.certificate.issued);
    assert!(data.starts_with(dir.path()) && data.ends_with("data"));
    assert!(!data.exists() && done.kept.is_none(), "the directory of a good run is removed");
    let certificate = serde_json::to_value(&done.certificate).unwrap();
    conforms(&certificate).unwrap();
    let conditions = &certificate["conditions"];
    assert!(conditions["disk"]["fdatasync_us"].as_f64().unwrap() > 0.0);
    assert_eq!(conditions["start"]["reported_ms"], 5.0);
    assert_eq!(conditions["profile"], "test");
    assert_eq!(conditions["durability"], Value::Null);
    assert!(certificate["memory_mb"]["idle"].as_f64().unwrap() > 0.0);
    assert!(certificate["cpu_us_per_order"]["server"].is_number());
    assert_eq!(certificate["proof_report"]["orders"], 100);
}

#[test]
fn the_directory_of_a_finding_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (done, data, _) = with_server(dir.path(), 1);
    assert_eq!(done.verdict, Verdict::Finding);
    assert!(data.exists());
    assert_eq!(done.kept.as_deref(), data.parent());
}

#[test]
fn a_server_that_does_not_start_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!("spread --rate 10 --dir {} --server-bin /bin/false", dir.path().display());
    let prove = Box::new(|_: &Path, _: &Path| anyhow::bail!("never asked"));
    let error = run(&args(&line), &Hooks { facts: Facts::default(), settings: Vec::new(), prove })
        .unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error}");
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("did not get ready"), "{error}");
}

#[test]
fn memory_is_no_disk() {
    if !Path::new("/dev/shm").is_dir() {
        writeln!(std::io::stderr(), "skipped: there is no /dev/shm here").unwrap();
        return;
    }
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let line = format!("spread --rate 10 --dir {}", dir.path().display());
    let prove = Box::new(|_: &Path, _: &Path| anyhow::bail!("never asked"));
    let error = run(&args(&line), &Hooks { facts: Facts::default(), settings: Vec::new(), prove })
        .unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("tmpfs"), "{error}");
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "spread --rate 0",
        "flash --find-max",
        "spread --connections 0",
        "ledger --postings 501",
        "aged --orders 10000",
        "overload --duration 10s",
        "overload --peak 0",
    ] {
        let prove = Box::new(|_: &Path, _: &Path| anyhow::bail!("never asked"));
        let error =
            run(&args(line), &Hooks { facts: Facts::default(), settings: Vec::new(), prove })
                .unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}: {error}");
    }
}
