//! The story that every store must live through.

use jangbu_engine::port::{Backend, Fault, Mode, Store};
use jangbu_store::{Memory, Sqlite, dump};

use crate::postgres;
use crate::shop::{
    ITEM, Item, LEG, MARK, MIGRATIONS, PAIR, Source, TABLES, by_ids, commit, due, due_after,
    insert, item, range, refused, row, threes,
};

#[test]
fn memory() {
    story(&Memory::new());
}

#[test]
fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    story(&Sqlite::new(dir.path().join("shop.db"), &TABLES, &MIGRATIONS));
}

#[test]
fn postgres() {
    story(&postgres::shop(&postgres::fresh("story")));
}

#[test]
fn all_stores_end_in_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, sqlite) =
        (Memory::new(), Sqlite::new(dir.path().join("shop.db"), &TABLES, &MIGRATIONS));
    let postgres = postgres::shop(&postgres::fresh("same_rows"));
    story(&memory);
    story(&sqlite);
    story(&postgres);
    let rows = memory.dump();
    assert!(rows.len() > 30, "{} rows", rows.len());
    assert_eq!(rows, sqlite.dump().unwrap());
    assert_eq!(rows, postgres.dump().unwrap());
    assert_eq!(rows, dump(&mut *memory.reader().unwrap(), &TABLES).unwrap());
}

/// Opens `backend` twice: the second owner finds what the first one left.
fn story(backend: &dyn Backend) {
    let mut chapters = 0;
    backend
        .with(&mut |store| {
            inserts_and_reloads(store);
            updates_by_version(store);
            refuses_what_exists(store);
            keeps_every_value(store);
            rolls_back(store);
            sees_its_own_writes(store);
            orders_what_is_due(store);
            keeps_lists(store);
            reads_ranges(store);
            upserts_and_deletes(store);
            readers_see_committed_rows_only(backend, store);
            numbers_an_outbox(store);
            chapters += 1;
        })
        .unwrap();
    let mut left = Vec::new();
    backend.with(&mut |store| left = store.items(&by_ids(&[1, 2, 3]))).unwrap();
    assert_eq!(chapters, 1);
    assert_eq!(left.iter().map(|i| (i.id, i.version)).collect::<Vec<_>>(), [(1, 3), (2, 1)]);
}

fn inserts_and_reloads(store: &mut dyn Store) {
    commit(store, insert(&[item(1, "tee"), item(2, "cup")])).unwrap();
    assert_eq!(store.items(&by_ids(&[2, 1])), [item(2, "cup"), item(1, "tee")]);
    assert_eq!(store.ids(&by_ids(&[7, 1, 8])), [1], "missing keys are not reported");
    assert_eq!(store.ids(&by_ids(&[])), [0_i64; 0]);
}

fn updates_by_version(store: &mut dyn Store) {
    let mut tee = Item { version: 2, count: 5, ..item(1, "tee") };
    commit(store, |plan| tee.put(plan, Mode::Update { version: 1 })).unwrap();
    assert_eq!(store.items(&by_ids(&[1])), [tee.clone()]);
    tee.version = 3;
    let stale = refused(store, |plan| tee.put(plan, Mode::Update { version: 1 }));
    assert!(matches!(&stale, Fault::LostEpoch(text) if text.contains("item")), "{stale:?}");
    let nobody = Item { version: 2, ..item(99, "nobody") };
    let missing = refused(store, |plan| nobody.put(plan, Mode::Update { version: 1 }));
    assert!(matches!(missing, Fault::LostEpoch(_)), "{missing:?}");
    assert_eq!(store.items(&by_ids(&[1]))[0].version, 2);
    commit(store, |plan| tee.put(plan, Mode::Update { version: 2 })).unwrap();
}

fn refuses_what_exists(store: &mut dyn Store) {
    let fault = refused(store, insert(&[item(3, "new"), item(2, "again")]));
    assert!(matches!(&fault, Fault::Item(text) if text.contains("item")), "{fault:?}");
    let fault = refused(store, insert(&[item(3, "one"), item(3, "two")]));
    assert!(matches!(fault, Fault::Item(_)), "{fault:?}");
    assert_eq!(store.ids(&by_ids(&[2, 3])), [2], "nothing of a refused plan is left");
}

fn keeps_every_value(store: &mut dyn Store) {
    let values = [
        item(10, ""),
        Item { note: Some(String::new()), ..item(11, "empty note is not null") },
        Item {
            note: Some("장부 — 원 ₩, emoji 🧾, \u{1} inside".to_owned()), ..item(12, "한글")
        },
        Item { data: vec![0, 255, 1, 0], ..item(13, "bytes") },
        Item { count: i64::MAX, next_at: Some(-1), ..item(14, "limits") },
        Item { data: (0..=255).cycle().take(20_000).collect(), ..item(15, &"long ".repeat(3_000)) },
        item(i64::MIN, "lowest"),
        item(i64::MAX, "highest"),
    ];
    commit(store, insert(&values)).unwrap();
    let ids: Vec<i64> = values.iter().map(|v| v.id).collect();
    assert_eq!(store.items(&by_ids(&ids)), values);
}

fn rolls_back(store: &mut dyn Store) {
    let mut plan = jangbu_engine::port::WritePlan::default();
    item(20, "ghost").put(&mut plan, Mode::Insert);
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    assert_eq!(tx.ids(&by_ids(&[20])), [20]);
    drop(tx);
    assert_eq!(store.ids(&by_ids(&[20])), [0_i64; 0]);
    commit(store, insert(&[item(20, "real")])).unwrap();
}

fn sees_its_own_writes(store: &mut dyn Store) {
    let mut plan = jangbu_engine::port::WritePlan::default();
    Item { version: 2, next_at: Some(5), ..item(20, "real") }
        .put(&mut plan, Mode::Update { version: 1 });
    Item { next_at: Some(4), ..item(21, "fresh") }.put(&mut plan, Mode::Insert);
    row(&mut plan, &ITEM, Mode::Delete, &[10]);
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    assert_eq!(tx.ids(&by_ids(&[10, 20, 21])), [20, 21]);
    assert_eq!(tx.ids(&due(10, 10)), [14, 21, 20]);
    assert_eq!(tx.ids(&range(&ITEM, [9, 0, 0], [21, 0, 0], true, 3)), [21, 20, 15]);
    let mut both = Vec::new();
    tx.read(&[by_ids(&[1]), due(4, 1)], &mut |at, row| both.push((at, row.int(0)))).unwrap();
    assert_eq!(both, [(0, 1), (1, 14)], "each row says which read it answers");
    tx.commit().unwrap();
}

fn orders_what_is_due(store: &mut dyn Store) {
    let at = |id, at| Item { next_at: Some(at), ..item(id, "due") };
    commit(store, insert(&[at(30, 300), at(31, 100), at(32, 200), at(33, 100)])).unwrap();
    commit(store, insert(&[item(34, "never")])).unwrap();
    assert_eq!(store.ids(&due(250, 10)), [14, 21, 20, 31, 33, 32]);
    assert_eq!(store.ids(&due(300, 4)), [14, 21, 20, 31]);
    assert_eq!(store.ids(&due(-2, 10)), [0_i64; 0]);
    assert_eq!(store.ids(&due_after((5, 20), 250, 2)), [31, 33], "a page goes on after the last");
    assert_eq!(store.ids(&due_after((100, 31), 250, 9)), [33, 32]);
    assert_eq!(store.ids(&due_after((300, 30), 250, 9)), [0_i64; 0]);
    let done = Item { version: 2, next_at: None, ..item(31, "due") };
    commit(store, |plan| done.put(plan, Mode::Update { version: 1 })).unwrap();
    assert_eq!(store.ids(&due(200, 10)), [14, 21, 20, 33, 32]);
}

fn keeps_lists(store: &mut dyn Store) {
    let three = |id| Item { count: 3, ..item(id, "three") };
    commit(store, insert(&[three(50), item(51, "none"), three(52), three(53)])).unwrap();
    assert_eq!(store.ids(&threes(i64::MIN, 10)), [50, 52, 53]);
    assert_eq!(store.ids(&threes(50, 1)), [52], "a page goes on after the last key");
    assert_eq!(store.ids(&threes(53, 10)), [0_i64; 0]);
    let mut plan = jangbu_engine::port::WritePlan::default();
    Item { version: 2, ..item(50, "no more") }.put(&mut plan, Mode::Update { version: 1 });
    Item { version: 2, ..three(51) }.put(&mut plan, Mode::Update { version: 1 });
    row(&mut plan, &ITEM, Mode::Delete, &[53]);
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    assert_eq!(tx.ids(&threes(i64::MIN, 10)), [51, 52]);
    tx.commit().unwrap();
    assert_eq!(store.ids(&threes(i64::MIN, 10)), [51, 52]);
}

fn reads_ranges(store: &mut dyn Store) {
    commit(store, |plan| {
        for (source, seq, leg) in [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1), (2, 1, 2), (3, 1, 1)]
        {
            row(plan, &LEG, Mode::Insert, &[source, seq, leg]).int(source * 100 + seq * 10 + leg);
        }
        for (a, b) in [(1, 1), (1, 5), (2, -3), (2, 0)] {
            row(plan, &PAIR, Mode::Insert, &[a, b]).text("word");
        }
    })
    .unwrap();
    let max = i64::MAX;
    let keys = store.keys(&range(&LEG, [1, 1, 2], [2, 1, 1], false, 10));
    assert_eq!(keys, [[1, 1, 2], [1, 2, 1], [2, 1, 1]]);
    let keys = store.keys(&range(&LEG, [1, 0, 0], [2, max, max], true, 3));
    assert_eq!(keys, [[2, 1, 2], [2, 1, 1], [1, 2, 1]]);
    let keys = store.keys(&range(&LEG, [2, 0, 0], [2, max, max], false, 10));
    assert_eq!(keys, [[2, 1, 1], [2, 1, 2]]);
    let keys = store.keys(&range(&PAIR, [1, 2, 0], [2, -1, 0], false, 10));
    assert_eq!(keys, [[1, 5, 0], [2, -3, 0]]);
    let keys = store.keys(&range(&PAIR, [1, 2, 0], [2, 0, 0], true, 2));
    assert_eq!(keys, [[2, 0, 0], [2, -3, 0]]);
    assert_eq!(store.ids(&range(&ITEM, [11, 0, 0], [13, 0, 0], false, 10)), [11, 12, 13]);
    assert_eq!(store.ids(&range(&ITEM, [11, 0, 0], [13, 0, 0], true, 2)), [13, 12]);
    assert_eq!(store.ids(&range(&ITEM, [13, 0, 0], [11, 0, 0], false, 9)), [0_i64; 0]);
    assert_eq!(store.ids(&range(&ITEM, [11, 0, 0], [13, 0, 0], false, 0)), [0_i64; 0]);
}

fn upserts_and_deletes(store: &mut dyn Store) {
    let word = |word: &'static str| {
        move |plan: &mut _| {
            row(plan, &PAIR, Mode::Upsert, &[7, 7]).text(word);
            row(plan, &MARK, Mode::Upsert, &[7]);
        }
    };
    commit(store, word("old")).unwrap();
    commit(store, word("new")).unwrap();
    let mut words = Vec::new();
    let read = range(&PAIR, [7, 0, 0], [7, 9, 0], false, 9);
    store.run(&read, &mut |_, row| words.push(row.text(2).to_owned())).unwrap();
    assert_eq!(words, ["new"]);
    commit(store, |plan| {
        row(plan, &LEG, Mode::Delete, &[3, 1, 1]);
        row(plan, &LEG, Mode::Delete, &[3, 1, 9]);
    })
    .unwrap();
    assert_eq!(store.keys(&range(&LEG, [3, 0, 0], [3, 9, 9], false, 9)), [[0; 3]; 0]);
    trims(store);
    assert_eq!(store.ids(&range(&MARK, [0; 3], [9, 0, 0], false, 9)), [7]);
}

/// Rows up to a key go, those of the same transaction, too; the others stay.
fn trims(store: &mut dyn Store) {
    let marks = range(&MARK, [0; 3], [90, 0, 0], false, 99);
    let mark = |store: &mut dyn Store, mode: Mode, ids: &[i64]| {
        let each = |plan: &mut _| ids.iter().for_each(|id| _ = row(plan, &MARK, mode, &[*id]));
        commit(store, each).unwrap();
    };
    mark(store, Mode::Insert, &[50, 51, 56, 57, 58]);
    commit(store, |plan| {
        row(plan, &MARK, Mode::Insert, &[54]);
        row(plan, &MARK, Mode::Insert, &[60]);
        row(plan, &MARK, Mode::Trim, &[56]);
        plan.sort();
    })
    .unwrap();
    assert_eq!(store.ids(&marks), [57, 58, 60]);
    mark(store, Mode::Trim, &[56]);
    assert_eq!(store.ids(&marks), [57, 58, 60], "nothing to trim is fine");
    mark(store, Mode::Delete, &[57, 58, 60]);
    mark(store, Mode::Insert, &[7]);
}

fn readers_see_committed_rows_only(backend: &dyn Backend, store: &mut dyn Store) {
    let mut reader = backend.reader().unwrap();
    let mut plan = jangbu_engine::port::WritePlan::default();
    item(40, "soon").put(&mut plan, Mode::Insert);
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    assert_eq!(reader.ids(&by_ids(&[1, 40])), [1]);
    tx.commit().unwrap();
    assert_eq!(reader.ids(&by_ids(&[1, 40])), [1, 40]);
    let mut rows = Vec::new();
    let plan = [by_ids(&[40]), range(&LEG, [2, 0, 0], [2, 9, 9], false, 9)];
    reader.read(&plan, &mut |at, row| rows.push((at, row.int(0)))).unwrap();
    assert_eq!(rows, [(0, 40), (1, 2), (1, 2)]);
}

/// As the loop does: sequence numbers of one commit follow those of the last.
fn numbers_an_outbox(store: &mut dyn Store) {
    for batch in 0..5 {
        commit(store, |plan| {
            for seq in 1..=3 {
                row(plan, &MARK, Mode::Insert, &[100 + batch * 3 + seq]);
            }
            plan.sort();
        })
        .unwrap();
    }
    let seqs = store.ids(&range(&MARK, [101, 0, 0], [i64::MAX, 0, 0], false, u32::MAX));
    assert_eq!(seqs, (101..=115).collect::<Vec<_>>());
}
