//! A copy made while its owner writes on.

use std::path::Path;

use jangbu_engine::port::{Backend, Copied, Fault, Mode, Store};
use jangbu_store::{Dump, Sqlite};
use tempfile::TempDir;

use crate::shop::{
    ITEM, Item, MARK, MIGRATIONS, Source, TABLES, by_ids, commit, insert, item, row,
};

fn shop() -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::new(dir.path().join("shop.db"), &TABLES, &MIGRATIONS);
    (dir, sqlite)
}

fn long(id: i64) -> Item {
    item(id, &"x".repeat(3_000))
}

fn fill(store: &mut dyn Store, rows: i64) {
    for id in 0..rows {
        commit(store, insert(&[long(id)])).unwrap();
    }
}

/// The rows of a file that nobody has open.
fn rows_of(path: &Path) -> Dump {
    let copy = Sqlite::new(path, &TABLES, &MIGRATIONS);
    assert!(copy.diagnose().unwrap().is_empty());
    copy.dump().unwrap()
}

/// Copies to `to`; `between` works with the store after each slice. Gives what each slice told.
fn copy(
    store: &mut dyn Store,
    to: &Path,
    between: &mut dyn FnMut(&mut dyn Store, usize),
) -> Result<Vec<Copied>, Fault> {
    let mut told = Vec::new();
    store.copying(to, &mut |store| {
        loop {
            let copied = store.copy(64).unwrap();
            told.push(copied);
            if copied.left == 0 {
                return;
            }
            between(store, told.len());
            store.between().unwrap();
        }
    })?;
    Ok(told)
}

/// Every commit changes pages at the front, in the middle and at the end: all that was copied, all
/// that was not, and new ones.
fn busy(store: &mut dyn Store, slice: usize) {
    let at = i64::try_from(slice).unwrap();
    for id in [0, 1_500, 2_999] {
        commit(store, |plan| {
            let mut changed = item(id, &format!("slice {slice}"));
            changed.version = at + 1;
            changed.put(plan, Mode::Update { version: at });
        })
        .unwrap();
    }
    commit(store, insert(&[long(10_000 + at)])).unwrap();
}

#[test]
fn a_copy_under_constant_writes_never_starts_over_and_is_the_last_commit() {
    let (dir, sqlite) = shop();
    let to = dir.path().join("copy.db");
    let mut wanted = Dump::new();
    sqlite
        .with(&mut |store| {
            fill(store, 3_000);
            let told = copy(store, &to, &mut busy).unwrap();
            assert!(told.len() > 3, "{} slices", told.len());
            let grown = |pair: &[Copied]| pair[1].pages - pair[0].pages;
            let once = |pair: &[Copied]| pair[1].left < pair[0].left + grown(pair);
            assert!(told.windows(2).all(once), "a page was copied twice: {told:?}");
            wanted = sqlite.dump().unwrap();
        })
        .unwrap();
    assert_eq!(rows_of(&to), wanted);
}

#[test]
fn a_roll_back_in_the_middle_of_a_copy_spoils_nothing() {
    let (dir, sqlite) = shop();
    let to = dir.path().join("copy.db");
    let mut wanted = Dump::new();
    sqlite
        .with(&mut |store| {
            fill(store, 3_000);
            let mut break_off = |store: &mut dyn Store, slice: usize| {
                busy(store, slice);
                if slice == 2 {
                    let mut plan = jangbu_engine::port::WritePlan::default();
                    long(5_000_000).put(&mut plan, Mode::Insert);
                    row(&mut plan, &ITEM, Mode::Delete, &[7]);
                    let mut tx = store.begin().unwrap();
                    tx.write(&plan).unwrap();
                }
            };
            copy(store, &to, &mut break_off).unwrap();
            assert_eq!(store.ids(&by_ids(&[7, 5_000_000])), [7]);
            wanted = sqlite.dump().unwrap();
        })
        .unwrap();
    assert_eq!(rows_of(&to), wanted);
}

#[test]
fn a_reader_that_holds_its_snapshot_neither_stops_a_copy_nor_is_disturbed() {
    let (dir, sqlite) = shop();
    let to = dir.path().join("copy.db");
    let mut wanted = Dump::new();
    sqlite
        .with(&mut |store| {
            fill(store, 3_000);
            let reader = rusqlite::Connection::open(sqlite.path()).unwrap();
            let count = || {
                let sql = "SELECT count(*), sum(version) FROM item";
                reader.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
            };
            reader.execute_batch("BEGIN").unwrap();
            let before: (i64, i64) = count();
            let told = copy(store, &to, &mut busy).unwrap();
            assert!(told.len() > 3, "{} slices", told.len());
            commit(store, |plan| _ = row(plan, &MARK, Mode::Insert, &[1])).unwrap();
            commit(store, |plan| _ = row(plan, &MARK, Mode::Trim, &[1])).unwrap();
            assert_eq!(count(), before, "its snapshot stands");
            reader.execute_batch("COMMIT").unwrap();
            assert_ne!(count(), before);
            wanted = sqlite.dump().unwrap();
        })
        .unwrap();
    assert_eq!(rows_of(&to), wanted);
}

#[test]
fn what_is_there_is_not_overwritten_and_a_place_that_is_not_there_is_named() {
    let (dir, sqlite) = shop();
    let (taken, nowhere) = (dir.path().join("taken"), dir.path().join("no/such/dir/copy.db"));
    std::fs::write(&taken, "mine").unwrap();
    sqlite
        .with(&mut |store| {
            for to in [&taken, &nowhere] {
                let Err(Fault::Fatal(text)) = copy(store, to, &mut |_, _| {}) else {
                    panic!("{} was taken", to.display())
                };
                assert!(text.contains(to.to_str().unwrap()), "{text}");
            }
            assert!(store.copy(64).is_err(), "no copy is open");
            commit(store, insert(&[long(1)])).unwrap();
        })
        .unwrap();
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
}
