//! A backup is the shop as of one commit; what is not whole, or not what was written, is refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jangbu_engine::clock::Clock;
use jangbu_engine::port::Backend;
use jangbu_kernel::Time;
use jangbu_psp::{SimConfig, Simulator};
use jangbu_services::backup::{
    Backups, Error, From, MANIFEST, Manifest, Schedule, carry, check, make_stopped, restore,
};
use jangbu_services::projections::{self, Projections};
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_services::shop::{Layout, Shop};
use jangbu_store::Sqlite;
use tempfile::TempDir;

use crate::races::{PATIENCE, World, by_client};
use crate::rig::{Hand, START, rows, same_rows};
use crate::stage::place;

const MADE: Time = Time(START);

fn truth(dir: &Path) -> Arc<dyn Backend> {
    Arc::new(Sqlite::new(dir.join("jangbu.db"), TABLES, MIGRATIONS))
}

/// A directory that was served: three orders, projections, a key.
fn served() -> (TempDir, Arc<dyn Backend>) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::made(truth(dir.path()), dir.path(), |_| {});
    world.stock(0, 3);
    for _ in 0..3 {
        let id = world.id();
        let ended = world.watch(id);
        assert!(
            world.run(by_client(place(id, &[(0, 1)], "tok_visa"), &format!("k-{id}"))).is_done()
        );
        ended.recv_timeout(PATIENCE).unwrap();
    }
    let backend = world.end();
    let path = dir.path().join("derived.db");
    let derived = Arc::new(Sqlite::new(path, projections::TABLES, projections::MIGRATIONS));
    let truth = Sqlite::new(dir.path().join("jangbu.db"), TABLES, MIGRATIONS);
    let clock = Arc::new(Hand::at(START));
    Projections::follow(&truth, derived, clock).unwrap().stop().unwrap();
    fs::create_dir(dir.path().join("keys")).unwrap();
    fs::write(dir.path().join("keys/001"), "secret").unwrap();
    (dir, backend)
}

/// A backup of `dir` named `name`, beside it.
fn back_up(dir: &TempDir, name: &str, keys: bool) -> Result<Manifest, Error> {
    let from = From { data: dir.path().to_owned(), keys };
    make_stopped(&from, &dir.path().join(name), MADE, &*truth(dir.path()))
}

fn names(manifest: &Manifest) -> Vec<&str> {
    manifest.files.iter().map(|file| &*file.name).collect()
}

#[test]
fn what_is_restored_is_what_was_there_and_its_books_balance() {
    let (dir, backend) = served();
    let made = back_up(&dir, "b", true).unwrap();
    assert_eq!(names(&made), ["derived.db", "jangbu.db", "keys/001", "psp.log"]);
    assert!(made.made_at == MADE && made.keys && made.commit > 0);
    assert_eq!(made.bytes, made.files.iter().map(|file| file.bytes).sum::<u64>());
    let (from, to) = (dir.path().join("b"), dir.path().join("new"));
    assert_eq!(check(&from).unwrap(), made);
    assert_eq!(restore(&from, &to).unwrap(), made);
    same_rows(&rows(&*backend), &rows(&*truth(&to)));
    assert_eq!(fs::read_to_string(to.join("keys/001")).unwrap(), "secret");
    let report = jangbu_audit::prove(&jangbu_audit::Options::new(&to)).unwrap();
    assert_eq!((report.lost, report.doubled, report.mismatched), (0, 0, 0), "{report:?}");
    assert_eq!(report.conditions.orders, 3);
}

#[test]
fn keys_are_left_out_unless_they_are_wanted_and_can_be_carried_along_later() {
    let (dir, _) = served();
    let made = back_up(&dir, "b", false).unwrap();
    assert_eq!((made.keys, names(&made)), (false, vec!["derived.db", "jangbu.db", "psp.log"]));
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("far.partial")).unwrap();
    fs::write(at("far.partial/rest"), "of a carrying that was broken off").unwrap();
    let carried = carry(&at("b"), &at("far"), Some(&at("keys"))).unwrap();
    assert_eq!((carried.keys, carried.commit, carried.made_at), (true, made.commit, MADE));
    assert_eq!(names(&carried), ["derived.db", "jangbu.db", "keys/001", "psp.log"]);
    assert_eq!(check(&at("far")).unwrap(), carried);
    assert!(matches!(carry(&at("b"), &at("far"), None), Err(Error::Taken(_))));
    fs::write(at("b/psp.log"), "another").unwrap();
    assert!(matches!(carry(&at("b"), &at("third"), None), Err(Error::Damaged { .. })));
    assert!(!at("third").exists() && !at("third.partial").exists());
}

#[test]
fn a_name_that_is_taken_and_a_directory_that_is_not_empty_are_left_alone() {
    let (dir, _) = served();
    back_up(&dir, "b", false).unwrap();
    let before = check(&dir.path().join("b")).unwrap();
    assert!(matches!(back_up(&dir, "b", true), Err(Error::Taken(_))));
    assert_eq!(check(&dir.path().join("b")).unwrap(), before);
    let refused = restore(&dir.path().join("b"), dir.path());
    assert!(matches!(refused, Err(Error::NotEmpty(_))), "{refused:?}");
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = restore(&dir.path().join("b"), &dir.path().join("file"));
    assert!(matches!(refused, Err(Error::Io { what: "reading", .. })), "{refused:?}");
    let nowhere = back_up(&dir, "file/b", false);
    assert!(matches!(nowhere, Err(Error::Io { .. })), "{nowhere:?}");
}

/// Why the backup in `from` is refused, by a check and by a restore alike.
fn refused(from: &Path) -> String {
    let to = tempfile::tempdir().unwrap();
    let (checked, restored) = (check(from).unwrap_err(), restore(from, to.path()).unwrap_err());
    assert_eq!(checked.to_string(), restored.to_string());
    assert!(!to.path().join("jangbu.db").exists(), "no shop");
    checked.to_string()
}

/// Writes the manifest with `from` replaced by `to`.
fn edit(backup: &Path, from: &str, to: &str) -> Vec<u8> {
    let path = backup.join(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    text.into_bytes()
}

#[test]
fn whatever_is_damaged_is_named() {
    let (dir, _) = served();
    back_up(&dir, "b", false).unwrap();
    let from = dir.path().join("b");
    for (file, text) in [("psp.log", "its content is not"), ("derived.db", "its content is not")] {
        let whole = fs::read(from.join(file)).unwrap();
        let mut spoilt = whole.clone();
        *spoilt.last_mut().unwrap() ^= 1;
        fs::write(from.join(file), &spoilt).unwrap();
        let why = refused(&from);
        assert!(why.contains(file) && why.contains(text), "{why}");
        fs::write(from.join(file), &whole[..whole.len() - 1]).unwrap();
        assert!(refused(&from).contains(&format!("it has {} bytes", whole.len() - 1)));
        fs::remove_file(from.join(file)).unwrap();
        assert!(refused(&from).contains("reading"));
        fs::write(from.join(file), &whole).unwrap();
    }
    for (was, is, why) in [
        ("\"format\": 1", "\"format\": 2", "its form is version 2"),
        ("\"psp.log\"", "\"../psp.log\"", "outside of the backup"),
        ("\"psp.log\"", "\"/psp.log\"", "outside of the backup"),
        ("\"commit\"", "\"comment\"", "missing field `commit`"),
    ] {
        let whole = edit(&from, was, is);
        assert!(refused(&from).contains(why), "{}", refused(&from));
        fs::write(from.join(MANIFEST), whole).unwrap();
    }
    check(&from).unwrap();
    fs::rename(&from, dir.path().join("b.partial")).unwrap();
    assert!(refused(&dir.path().join("b.partial")).contains("no whole backup"));
    assert!(refused(&from).contains("no whole backup"));
}

#[test]
fn a_manifest_without_a_database_restores_no_shop() {
    let (dir, _) = served();
    let made = back_up(&dir, "b", false).unwrap();
    let (from, to) = (dir.path().join("b"), dir.path().join("new"));
    let without = Manifest {
        files: made.files.into_iter().filter(|file| file.name != "jangbu.db").collect(),
        ..made
    };
    fs::write(from.join(MANIFEST), serde_json::to_vec(&without).unwrap()).unwrap();
    let Err(Error::Damaged { why, .. }) = restore(&from, &to) else { panic!("restored") };
    assert_eq!(why, "it names no jangbu.db");
    assert!(!to.join("jangbu.db").exists());
}

/// A clock that is a second further each time that it is looked at.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Time {
        Time(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

fn running(data: &Path, to: &Path) -> Arc<Backups> {
    let gateway = Simulator::start(&data.join("psp.log"), SimConfig::default(), None).unwrap();
    let clock = Arc::new(Ticking(AtomicI64::new(START)));
    let layout = Layout::one_cell(truth(data), Arc::new(gateway), clock);
    let schedule = Schedule { to: to.to_owned(), every: None, keep: 2, keys: false };
    Arc::new(Backups::new(Arc::new(Shop::open(layout).unwrap()), data, schedule))
}

#[test]
fn a_running_shop_keeps_as_many_backups_as_it_is_told_and_lists_the_newest_first() {
    let (dir, _) = served();
    let to = dir.path().join("backups");
    fs::create_dir_all(to.join("backup-19990101T000000.000Z.partial")).unwrap();
    fs::create_dir_all(to.join("somebody-elses")).unwrap();
    let backups = running(dir.path(), &to);
    assert!(backups.follow().unwrap().is_none(), "only when asked");
    assert_eq!(backups.counted().last, None);
    let made: Vec<Manifest> = (0..3).map(|_| backups.make().unwrap()).collect();
    let known = backups.known();
    let manifests: Vec<_> = known.iter().map(|known| known.manifest.clone().unwrap()).collect();
    assert_eq!(manifests, [made[2].clone(), made[1].clone()]);
    for known in &known {
        assert_eq!(check(&backups.path(&known.name)).ok(), known.manifest);
    }
    let counted = backups.counted();
    assert_eq!((counted.made, counted.failed, counted.last), (3, 0, Some(made[2].made_at)));
    let mut left: Vec<_> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    let [old, new] = [&known[1].name, &known[0].name].map(std::ffi::OsString::from);
    assert_eq!(left, [old, new, "somebody-elses".into()], "what was broken off is swept away");
}

#[test]
fn a_backup_that_fails_is_known_with_its_reason_until_one_is_made() {
    let (dir, _) = served();
    let to = dir.path().join("backups");
    fs::write(&to, "a file where the directory should be").unwrap();
    let backups = running(dir.path(), &to);
    let why = backups.make().unwrap_err().to_string();
    let known = backups.known();
    assert_eq!((known.len(), known[0].error.as_ref()), (1, Some(&why)));
    assert_eq!((backups.counted().made, backups.counted().failed), (0, 1));
    fs::remove_file(&to).unwrap();
    let name = backups.begin().unwrap();
    let again = backups.make();
    if let Err(error) = again {
        assert!(matches!(&error, Error::Running(running) if *running == name), "{error}");
    }
    for _ in 0..PATIENCE.as_millis() {
        if backups.known().iter().all(|known| known.manifest.is_some()) {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    let known = backups.known();
    assert!(known.iter().any(|known| known.name == name), "{known:?}");
    assert!(known.iter().all(|known| known.error.is_none() && known.manifest.is_some()));
}
