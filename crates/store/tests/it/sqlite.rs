//! What only SQLite can do: fill a disk, be damaged, keep its log short, have its schema drift.

use std::{
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jangbu_engine::port::{Backend, CommitError, Fault, Mode, Store, StoreCounters};
use jangbu_store::{Durability, Migration, Options, Sqlite};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::shop::{
    ITEM, Item, MARK, MIGRATIONS, SECOND, Source, TABLES, by_ids, commit, insert, item, range,
    refused, row,
};

fn shop(options: Options) -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::new(dir.path().join("shop.db"), &TABLES, &MIGRATIONS);
    (dir, sqlite.with_options(options))
}

/// Opens the store for `body`.
fn with<R>(sqlite: &Sqlite, body: impl FnOnce(&mut dyn Store) -> R) -> R {
    let (mut body, mut result) = (Some(body), None);
    sqlite.with(&mut |store| result = body.take().map(|body| body(store))).unwrap();
    result.unwrap()
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn long(id: i64) -> Item {
    item(id, &"x".repeat(3_000))
}

fn fatal(result: Result<(), Fault>) -> String {
    match result {
        Err(Fault::Fatal(text)) => text,
        other => panic!("not fatal: {other:?}"),
    }
}

#[test]
fn a_full_disk_is_full_and_nothing_is_lost() {
    let (_dir, small) = shop(Options { max_pages: Some(60), ..Options::default() });
    let kept = with(&small, |store| {
        let mut kept = 0;
        let fault = loop {
            match commit(store, insert(&[long(kept)])) {
                Ok(()) => kept += 1,
                Err(CommitError::Failed(fault)) => break fault,
                Err(unknown) => panic!("{unknown}"),
            }
        };
        assert!(matches!(&fault, Fault::Full(text) if text.contains("free some space")), "{fault}");
        assert!(matches!(refused(store, insert(&[long(kept)])), Fault::Full(_)), "still full");
        assert_eq!(store.ids(&by_ids(&[kept - 1, kept])), [kept - 1], "reads go on");
        commit(store, |plan| {
            row(plan, &ITEM, Mode::Delete, &[0]);
        })
        .unwrap();
        commit(store, insert(&[long(kept)])).unwrap();
        kept
    });
    assert!(kept > 20, "{kept}");
    let roomy = small.with_options(Options::default());
    assert!(roomy.diagnose().unwrap().is_empty());
    with(&roomy, |store| {
        commit(store, insert(&[long(1_000)])).unwrap();
        let all = range(&ITEM, [0; 3], [2_000, 0, 0], false, u32::MAX);
        let wanted: Vec<i64> = (1..=kept).chain([1_000]).collect();
        assert_eq!(store.ids(&all), wanted);
    });
}

/// A page of `table` in the middle of the file.
fn leaf_of(path: &Path, table: &str) -> u64 {
    let conn = Connection::open(path).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf'";
    let mut statement = conn.prepare(sql).unwrap();
    let pages = statement.query_map([table], |row| row.get::<_, i64>(0)).unwrap();
    let pages: Vec<i64> = pages.map(Result::unwrap).collect();
    u64::try_from(pages[pages.len() / 2]).unwrap()
}

fn overwrite(path: &Path, page: u64) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
    file.write_all(&[0xA5; 4096]).unwrap();
}

#[test]
fn a_damaged_page_ends_writing_and_is_named() {
    let (_dir, sqlite) = shop(Options::default());
    with(&sqlite, |store| {
        for id in 0..40 {
            commit(store, insert(&[long(id)])).unwrap();
        }
    });
    let page = leaf_of(sqlite.path(), "item");
    overwrite(sqlite.path(), page);
    let all = range(&ITEM, [0; 3], [50, 0, 0], false, u32::MAX);
    with(&sqlite, |store| {
        let text = fatal(store.run(&all, &mut |_, row| assert_eq!(row.text(1).len(), 3_000)));
        for wanted in ["item", &format!("page {page}"), "restore the last backup"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert_eq!(fatal(store.begin().map(|_| ())), text, "nothing is written any more");
    });
    let found = sqlite.diagnose().unwrap().join("\n");
    assert!(found.contains("item") && found.contains(&page.to_string()), "{found}");
    let mut reader = sqlite.reader().unwrap();
    let text = fatal(reader.run(&all, &mut |_, _| ()));
    assert!(text.contains("item") && text.contains("backup"), "{text}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let (_dir, sqlite) = shop(Options::default());
    fs::write(sqlite.path(), "certainly not a database ".repeat(1_000)).unwrap();
    let text = fatal(sqlite.with(&mut |_| ()));
    assert!(text.contains("not a database"), "{text}");
}

#[test]
fn the_log_stays_short_under_load() {
    let (_dir, sqlite) = shop(Options {
        durability: Durability::Normal,
        checkpoint_frames: 200,
        finish_frames: 1_000,
        ..Options::default()
    });
    let log = log_of(sqlite.path());
    with(&sqlite, |store| {
        let mut longest = 0;
        for id in 0..20_000 {
            commit(store, insert(&[Item { next_at: Some(id), ..item(id, "small") }])).unwrap();
            store.between().unwrap();
            longest = longest.max(fs::metadata(&log).unwrap().len());
        }
        let counters = store.counters();
        // Four times the length at which the owner finishes, and one commit.
        assert!(
            longest < 4_010 * 4_120 && counters.wal_bytes > 100_000_000,
            "{longest} {counters:?}"
        );
        assert!(counters.checkpoints > 10, "{counters:?}");
    });
    assert!(!log.exists(), "the log is gone after the end");
}

#[test]
fn the_log_starts_over_after_a_pause() {
    let idle = Duration::from_millis(20);
    let (_dir, sqlite) = shop(Options { idle, ..Options::default() });
    let log = log_of(sqlite.path());
    // Changes whenever the log is written from its beginning.
    let salt = || fs::read(&log).unwrap()[16..24].to_vec();
    with(&sqlite, |store| {
        commit(store, insert(&[item(0, "first")])).unwrap();
        let (first, end) = (salt(), Instant::now() + Duration::from_secs(20));
        commit(store, insert(&[item(1, "at once")])).unwrap();
        for id in 2.. {
            std::thread::sleep(3 * idle);
            commit(store, insert(&[item(id, "after a pause")])).unwrap();
            if salt() != first {
                break;
            }
            assert!(Instant::now() < end, "the log did not start over");
        }
        assert!(store.counters().checkpoints > 0);
    });
}

#[test]
fn commits_are_counted() {
    let (_dir, sqlite) = shop(Options::default());
    with(&sqlite, |store| {
        assert_eq!(store.counters(), StoreCounters::default());
        commit(store, insert(&[item(1, "a")])).unwrap();
        let first = store.counters();
        assert!((1..=3).contains(&first.pages), "{first:?}");
        assert_eq!(first.wal_bytes, first.pages * 4120);
        assert_eq!(store.ids(&by_ids(&[1])), [1]);
        commit(store, |_| ()).unwrap();
        assert_eq!(store.counters(), first, "nothing was written, nothing is counted");
        commit(store, insert(&[item(2, "b")])).unwrap();
        assert_eq!(store.counters().fsyncs, first.fsyncs + 1);
        assert!(refused(store, insert(&[item(2, "b")])).to_string().contains("item [2]"));
        assert_eq!(store.counters().fsyncs, first.fsyncs + 1);
    });
}

#[test]
fn checks_of_the_schema_are_item_faults() {
    let (_dir, sqlite) = shop(Options::default());
    with(&sqlite, |store| {
        let negative = Item { count: -1, ..item(1, "less than none") };
        let fault = refused(store, insert(&[negative]));
        assert!(matches!(&fault, Fault::Item(text) if text.contains("CHECK")), "{fault}");
        commit(store, insert(&[item(1, "fine")])).unwrap();
    });
}

#[test]
fn another_writer_is_noticed() {
    let quick = Options { busy: Duration::from_millis(20), ..Options::default() };
    let (_dir, sqlite) = shop(quick);
    with(&sqlite, |store| {
        commit(store, insert(&[item(1, "mine")])).unwrap();
        let other = Connection::open(sqlite.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE; UPDATE item SET version = 7").unwrap();
        assert!(matches!(store.begin().err(), Some(Fault::Transient(_))));
        other.execute_batch("COMMIT").unwrap();
        let mine = Item { version: 2, ..item(1, "mine") };
        let fault = refused(store, |plan| mine.put(plan, Mode::Update { version: 1 }));
        assert!(matches!(&fault, Fault::LostEpoch(text) if text.contains("item [1]")), "{fault}");
    });
}

#[test]
fn a_value_of_another_type_is_damage_not_an_answer() {
    let (_dir, sqlite) = shop(Options::default());
    with(&sqlite, |store| commit(store, insert(&[item(1, "a")])).unwrap());
    Connection::open(sqlite.path()).unwrap().execute("UPDATE item SET count = 'many'", []).unwrap();
    with(&sqlite, |store| {
        let text = fatal(store.run(&by_ids(&[1]), &mut |_, row| assert_eq!(row.int(4), 0)));
        assert!(text.contains("item") && text.contains("column 4"), "{text}");
    });
}

fn migrated(path: &Path, migrations: &[Migration]) -> Result<(), Fault> {
    Sqlite::new(path, &TABLES, migrations).with(&mut |_| ())
}

#[test]
fn migrations_go_forward_and_never_drift() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    migrated(&path, &MIGRATIONS[..1]).unwrap();
    let old = Sqlite::new(&path, &TABLES[..3], &MIGRATIONS[..1]);
    with(&old, |store| commit(store, insert(&[item(1, "from the old version")])).unwrap());

    let new = Sqlite::new(&path, &TABLES, &MIGRATIONS);
    with(&new, |store| {
        commit(store, |plan| {
            row(plan, &MARK, Mode::Insert, &[1]);
        })
        .unwrap();
        assert_eq!(store.items(&by_ids(&[1])), [item(1, "from the old version")]);
    });
    migrated(&path, &MIGRATIONS).unwrap();

    let text = fatal(migrated(&path, &MIGRATIONS[..1]));
    assert!(text.contains("migration 2 (mark)") && text.contains("newer version"), "{text}");
    let edited = Migration { sql: "CREATE TABLE mark (id INTEGER PRIMARY KEY, x)", ..SECOND };
    let text = fatal(migrated(&path, &[MIGRATIONS[0], edited]));
    assert!(text.contains("migration 2 (mark)") && text.contains("changed"), "{text}");
    let text = fatal(migrated(&path, &[MIGRATIONS[0], Migration { version: 3, ..SECOND }]));
    assert!(text.contains("1, 2, 3"), "{text}");
}

#[test]
fn a_migration_that_fails_leaves_the_old_schema() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let broken = Migration { sql: "CREATE TABLE half (id INTEGER); CREATE TABLE", ..SECOND };
    let text = fatal(migrated(&path, &[MIGRATIONS[0], broken]));
    assert!(text.contains("migration 2 (mark)"), "{text}");
    let conn = Connection::open(&path).unwrap();
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0, "all or nothing");
    drop(conn);
    migrated(&path, &MIGRATIONS).unwrap();
}
