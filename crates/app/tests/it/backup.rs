//! Backups from outside: made under load, killed, damaged, restored, kept for a while.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::{Journal, storm};
use crate::server::{Server, jangbu, prove};

fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Exit code, and what was printed.
fn run(args: &[&str]) -> (i32, String) {
    let out = jangbu(args, &[("SAGA__PATIENCE_PERCENT", "2")]).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    (out.status.code().unwrap_or(-1), String::from_utf8(said).unwrap())
}

fn back_up(server: Option<&Server>, data: &Path, to: &Path) -> Value {
    let mut args = vec!["backup", text(to), "--json", "--data", text(data)];
    if let Some(server) = server {
        args.extend(["--server", &server.url]);
    }
    let (code, said) = run(&args);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap()
}

fn verify(from: &Path, within: &Path) -> (i32, String) {
    run(&["verify", text(from), "--json", "--scratch", text(within)])
}

fn assert_verified(from: &Path, within: &Path) -> Value {
    let (code, said) = verify(from, within);
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap()
}

/// Names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A small shop that has sold something and is stopped.
fn sold(data: &Path) {
    let server = Server::start(data, &[]);
    let skus = server.seed(2, 1_000);
    for n in 0..20 {
        let sold = server.order(&format!("o-{n}"), &skus[n % 2], 1, "tok_ok").unwrap();
        assert_eq!(sold.status, 201, "{sold:?}");
    }
    assert!(server.stop().success());
}

/// Runs `body` while eight buyers buy as fast as they can.
fn under_load<R>(server: &Server, acks: &Path, body: impl FnOnce() -> R) -> R {
    let skus = server.seed(50, 1_000_000);
    let (journal, next, stop) =
        (Journal::create(acks), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| storm(server, &skus, &journal, (&next, &stop), 8));
        let stopped = Stop(&stop);
        let result = body();
        drop(stopped);
        result
    })
}

/// Ends the load whatever becomes of the test.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backup_taken_under_full_load_proves_clean_ten_times() {
    let dir = scratch();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let mut last = (0, 0);
    under_load(&server, &dir.path().join("acks.csv"), || {
        for round in 0..10 {
            let to = dir.path().join(format!("copy-{round}"));
            let manifest = back_up(Some(&server), &data, &to);
            let report = assert_verified(&to, dir.path());
            let seen = |name: &str| report["conditions"][name].as_i64().unwrap();
            let now = (seen("watermark"), seen("orders"));
            assert_eq!(Some(now.0), manifest["commit"].as_i64(), "it is that commit, no other");
            assert!(now.0 > last.0 && now.1 > last.1, "{now:?} after {last:?}: no load?");
            assert_eq!(manifest["keys"], json!(false));
            assert!(!to.join("keys").exists());
            last = now;
        }
    });
    assert!(server.stop().success());
    assert_eq!(prove(&data, None).0, 0);
    let scratches = names(dir.path());
    assert!(!scratches.iter().any(|name| name.starts_with("jangbu-verify")), "{scratches:?}");
}

#[test]
fn a_restored_shop_serves_and_remembers_its_keys_its_lists_and_its_gateway() {
    let dir = scratch();
    let (data, new) = (dir.path().join("data"), dir.path().join("new"));
    sold(&data);
    for (name, keys) in [("plain", false), ("with-keys", true)] {
        let to = dir.path().join(name);
        let mut args = vec!["backup", text(&to), "--data", text(&data)];
        args.extend(keys.then_some("--keys"));
        let (code, said) = run(&args);
        assert_eq!(code, 0, "{said}");
        assert_eq!(to.join("keys/operator.key").exists(), keys);
    }
    let from = dir.path().join("with-keys");
    let (code, said) = run(&["restore", text(&from), "--data", text(&new)]);
    assert_eq!(code, 0, "{said}");
    let key = |data: &Path| std::fs::read(data.join("keys/operator.key")).unwrap();
    assert_eq!(key(&data), key(&new));
    let server = Server::start(&new, &[]);
    let list = server.get("/api/v1/orders?userId=usr_0000000000001&limit=100");
    assert_eq!(list.body["items"].as_array().unwrap().len(), 20, "{list:?}");
    let sku = list.body["items"][0]["lines"][0]["skuId"].as_str().unwrap().to_owned();
    let first = list.body["items"][19]["lines"][0]["skuId"].as_str().unwrap().to_owned();
    let again = server.order("o-0", &first, 1, "tok_ok").unwrap();
    assert_eq!((again.status, again.replayed), (201, true), "{again:?}");
    assert_eq!(server.order("new", &sku, 1, "tok_ok").unwrap().status, 201);
    assert!(server.stop().success());
    assert_eq!(prove(&new, None).0, 0);
    // What is there is not written over.
    let (code, said) = run(&["restore", text(&from), "--data", text(&new)]);
    assert!(code == 2 && said.contains("not empty"), "{code}: {said}");
    let (code, said) = run(&["backup", text(&from), "--data", text(&data)]);
    assert!(code == 2 && said.contains("there already"), "{code}: {said}");
    let (code, said) = run(&["backup", text(&dir.path().join("x")), "--data", text(dir.path())]);
    assert!(code == 2 && said.contains("no shop"), "{code}: {said}");
}

/// A copy of a backup, so that each damage is the only one.
fn again(from: &Path, name: &str) -> PathBuf {
    let to = from.with_file_name(name);
    std::fs::create_dir(&to).unwrap();
    for file in names(from) {
        std::fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
    to
}

#[test]
fn a_damaged_backup_is_refused_by_the_name_of_its_file() {
    let dir = scratch();
    let (data, good) = (dir.path().join("data"), dir.path().join("good"));
    sold(&data);
    back_up(None, &data, &good);
    assert_verified(&good, dir.path());
    assert_eq!(names(&good), ["derived.db", "jangbu.db", "manifest.json", "psp.log"]);
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    };
    let lie = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::write(path, text.replace("psp.log", "../data/psp.log")).unwrap();
    };
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    let damages = [
        ("jangbu.db", "take another one", &flip as &dyn Fn(&Path)),
        ("jangbu.db", "take another one", &cut),
        ("derived.db", "take another one", &flip),
        ("psp.log", "take another one", &cut),
        ("psp.log", "reading", &remove),
        ("manifest.json", "take another one", &cut),
        ("manifest.json", "outside of the backup", &lie),
        ("manifest.json", "no whole backup", &remove),
    ];
    for (at, (file, words, damage)) in damages.iter().enumerate() {
        let bad = again(&good, &format!("bad-{at}"));
        damage(&bad.join(file));
        let new = dir.path().join(format!("new-{at}"));
        for (code, said) in
            [verify(&bad, dir.path()), run(&["restore", text(&bad), "--data", text(&new)])]
        {
            let told = said.contains(file) && said.contains(words);
            assert!([1, 4].contains(&code) && told, "{at}: {code}: {said}");
        }
        assert!(!new.join("jangbu.db").exists(), "{at}: a damaged backup became a shop");
    }
}

#[test]
fn what_a_kill_leaves_of_a_backup_is_never_taken_for_one() {
    let dir = scratch();
    let (data, acks) = (dir.path().join("data"), dir.path().join("acks.csv"));
    let backups = data.join("backups");
    let mut server = Server::start(&data, &[]);
    for round in 0..6_u64 {
        under_load(&server, &acks, || {
            let begun = server.operate("/api/v1/backups", "", &json!({}));
            assert_eq!(begun.status, 202, "{begun:?}");
            std::thread::sleep(Duration::from_millis(round * 7));
            let pid = server.pid().to_string();
            assert!(
                std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success()
            );
        });
        server.kill();
        let (code, report) = prove(&data, Some(&acks));
        assert_eq!(code, 0, "round {round}: {report:#}");
        for name in names(&backups) {
            let (code, said) = verify(&backups.join(&name), dir.path());
            let wanted = i32::from(name.ends_with(".partial"));
            assert_eq!(code, wanted, "{name}: {said}");
        }
        server = Server::start(&data, &[]);
    }
    // The next one clears away what was broken off.
    back_up(Some(&server), &data, &dir.path().join("copy"));
    let left = names(&backups);
    assert!(!left.iter().any(|name| name.ends_with(".partial")), "{left:?}");
    assert_verified(&dir.path().join("copy"), dir.path());
}

#[test]
fn a_directory_that_never_got_its_name_is_no_backup_however_whole_it_is() {
    let dir = scratch();
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    sold(&data);
    back_up(None, &data, &copy);
    let partial = dir.path().join("copy.partial");
    std::fs::rename(&copy, &partial).unwrap();
    for path in [text(&partial).to_owned(), format!("{}/", text(&partial))] {
        let (code, said) = verify(Path::new(&path), dir.path());
        assert!(code == 1 && said.contains("no whole backup"), "{code}: {said}");
    }
}

#[test]
fn a_restore_that_was_broken_off_is_not_served() {
    let dir = scratch();
    let (data, from, new) =
        (dir.path().join("data"), dir.path().join("copy"), dir.path().join("new"));
    sold(&data);
    back_up(None, &data, &from);
    std::fs::create_dir(&new).unwrap();
    std::fs::copy(from.join("jangbu.db"), new.join("jangbu.db.partial")).unwrap();
    let (code, said) = run(&["serve", "--data", text(&new), "--listen", "127.0.0.1:0"]);
    assert!(code == 2 && said.contains("restore was broken off"), "{code}: {said}");
    assert!(!new.join("jangbu.db").exists());
}

/// Waits until `holds`.
fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{what}: never");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn until_projected(server: &Server) {
    until("the lists", || {
        let events = metric(server, "jangbu_outbox_seq");
        metric(server, "jangbu_projection_seq{name=\"derived\"}") >= events
    });
}

fn metric(server: &Server, name: &str) -> i64 {
    let page = server.get("/metrics").body;
    let line = page.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn backups_are_made_by_themselves_and_the_oldest_go() {
    let dir = scratch();
    let data = dir.path().join("data");
    let settings = [("BACKUP__EVERY", "1s"), ("BACKUP__KEEP", "2"), ("BACKUP__KEYS", "true")];
    let server = Server::start(&data, &settings);
    server.seed(2, 10);
    until("four backups", || metric(&server, "jangbu_backups_total") >= 4);
    let list = server.get("/api/v1/backups").body;
    assert_eq!((&list["everySeconds"], &list["keep"]), (&json!(1), &json!(2)));
    let whole = |item: &&Value| item["state"] == "WHOLE";
    let items: Vec<&Value> = list["items"].as_array().unwrap().iter().filter(whole).collect();
    assert!((2..=3).contains(&items.len()), "{list:#}");
    assert!(items.is_sorted_by(|a, b| a["madeAt"].as_str() > b["madeAt"].as_str()), "{list:#}");
    assert!(items.iter().all(|item| item["keys"] == true), "{list:#}");
    let newest = items[0]["name"].as_str().unwrap().to_owned();
    assert!(server.stop().success());
    assert!(names(&data.join("backups")).len() <= 3);
    assert_verified(&data.join("backups").join(newest), dir.path());
}

#[test]
fn a_backup_that_cannot_be_written_fails_and_the_shop_goes_on() {
    let dir = scratch();
    let data = dir.path().join("data");
    let blocked = dir.path().join("file");
    std::fs::write(&blocked, "no directory").unwrap();
    let to = blocked.join("backups");
    let server = Server::start(&data, &[("BACKUP__TO", text(&to))]);
    let skus = server.seed(1, 10);
    let copy = dir.path().join("copy");
    let (code, said) =
        run(&["backup", text(&copy), "--data", text(&data), "--server", &server.url]);
    assert!(code == 4 && said.contains(text(&to)), "{code}: {said}");
    let list = server.get("/api/v1/backups").body;
    assert_eq!(list["items"][0]["state"], "FAILED", "{list:#}");
    assert_eq!(metric(&server, "jangbu_backups_failed_total"), 1);
    assert_eq!(server.order("o", &skus[0], 1, "tok_ok").unwrap().status, 201);
    assert_eq!(server.get("/readyz").status, 200);
    assert!(!copy.exists());
}

#[test]
fn a_shop_that_takes_no_new_business_can_be_backed_up() {
    let dir = scratch();
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    let server = Server::start(&data, &[]);
    let skus = server.seed(1, 10);
    assert_eq!(server.order("o", &skus[0], 1, "tok_ok").unwrap().status, 201);
    let set = server.operate("/api/v1/admin/read-only", "", &json!({ "on": true }));
    assert_eq!(set.status, 200, "{set:?}");
    back_up(Some(&server), &data, &copy);
    assert_verified(&copy, dir.path());
}

/// Rounds of kills while events are trimmed.
#[test]
fn a_kill_in_the_middle_of_trimming_loses_nothing() {
    let dir = scratch();
    let (data, acks) = (dir.path().join("data"), dir.path().join("acks.csv"));
    let settings = [
        ("RETENTION__OUTBOX", "2s"),
        ("RETENTION__PARKED", "2s"),
        ("RETENTION__TIMELINES", "2s"),
        ("SERVER__WAIT_MS", "1000"),
    ];
    let mut trimmed = 0;
    for round in 0..5_u64 {
        let server = Server::start(&data, &settings);
        under_load(&server, &acks, || {
            until("trimming", || metric(&server, "jangbu_outbox_trimmed_seq") > trimmed);
            std::thread::sleep(Duration::from_millis(round * 31));
            trimmed = metric(&server, "jangbu_outbox_trimmed_seq");
            let pid = server.pid().to_string();
            assert!(
                std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success()
            );
        });
        server.kill();
        let (code, report) = prove(&data, Some(&acks));
        assert_eq!(code, 0, "round {round}: {report:#}");
    }
    assert!(trimmed > 0);
    let server = Server::start(&data, &settings);
    // A server is ready before its lists have what was committed just before a kill.
    until_projected(&server);
    let orders = server.get("/api/v1/orders?userId=usr_0000000000001&limit=100").body;
    assert!(server.stop().success());
    // A backup of it has the lists; without them they come from the rows.
    let (copy, new) = (dir.path().join("copy"), dir.path().join("new"));
    back_up(None, &data, &copy);
    assert_verified(&copy, dir.path());
    let (code, said) = run(&["restore", text(&copy), "--data", text(&new)]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&["rebuild", "--data", text(&new)]);
    assert!(code == 0 && said.contains("rows up to event"), "{said}");
    std::fs::remove_file(new.join("derived.db")).unwrap();
    let server = Server::start(&new, &settings);
    until_projected(&server);
    let again = server.get("/api/v1/orders?userId=usr_0000000000001&limit=100").body;
    let ids = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&orders));
    assert_eq!(ids(&orders).len(), 100);
}
