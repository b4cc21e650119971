//! Rows come back from both stores as they went in, and the tables that the program declares are
//! those that the migrations make.

use std::sync::Arc;

use jangbu_domain::catalog::category::Category;
use jangbu_domain::catalog::code::SkuCode;
use jangbu_domain::catalog::model::{Price, Product, Sku};
use jangbu_domain::coupon::model::{Campaign, Holder, Issue, UserCoupon};
use jangbu_domain::inventory::model::{Movement, Reservation, Stock};
use jangbu_domain::ledger::model::{Account, Entry, Journal, Link};
use jangbu_domain::order::model::{Offer, Order};
use jangbu_domain::payment::model::Payment;
use jangbu_domain::{merchant, point, user};
use jangbu_engine::port::{Backend, By, Kind, Mode, Read, Table, WritePlan};
use jangbu_services::bound::{Keyed, Stored};
use jangbu_services::{projections, registry};
use jangbu_store::{Memory, Migration, Sqlite};
use proptest::prelude::*;
use rusqlite::Connection;

use crate::history::{Sent, commerce, compile, everything, history};
use crate::rig::{Bench, Seen, cases, rows, same_rows, schema};

const WHOLE: ([i64; 3], [i64; 3]) = ([i64::MIN; 3], [i64::MAX; 3]);

/// Every row of a type, with key and version.
fn load<R: Stored>(from: &dyn Backend) -> Vec<(R::Key, R, i64)> {
    let mut found = Vec::new();
    let by = By::Range { from: WHOLE.0, to: WHOLE.1, descending: false, limit: u32::MAX };
    let read = [Read { table: R::TABLE, by }];
    let mut take = |_: usize, row: &dyn jangbu_engine::port::Fields| {
        let key = R::TABLE.key_of(row);
        let version = if R::TABLE.versioned { row.int(R::TABLE.width() - 1) } else { 1 };
        found.push((R::Key::from_parts(key), R::read(row), version));
    };
    from.reader().unwrap().read(&read, &mut take).unwrap();
    found
}

fn save<R: Stored>(loaded: &[(R::Key, R, i64)], plan: &mut WritePlan) {
    for (key, row, version) in loaded {
        let mut to = plan.row(R::TABLE, Mode::Insert);
        for part in &key.parts()[..R::TABLE.key.len()] {
            to.int(*part);
        }
        row.write(&mut to);
        if R::TABLE.versioned {
            to.int(*version);
        }
    }
}

/// Reads every row of every type from `from`, writes it to `to`, and counts them.
fn copy(from: &dyn Backend, to: &dyn Backend) -> usize {
    let mut plan = WritePlan::default();
    macro_rules! each {
        ($($row:ty),+) => {$({
            let loaded = load::<$row>(from);
            save::<$row>(&loaded, &mut plan);
        })+};
    }
    each!(
        Category,
        Product,
        Sku,
        SkuCode,
        Price,
        Stock,
        Movement,
        Reservation,
        Campaign,
        UserCoupon,
        Holder,
        Issue,
        Offer,
        Order,
        Payment,
        Account,
        Entry,
        Link,
        Journal,
        point::model::Account,
        point::model::Timer,
        point::model::Credit,
        point::model::Use,
        merchant::model::Merchant,
        user::model::Account,
        user::model::Holder
    );
    let copy = &mut |store: &mut dyn jangbu_engine::port::Store| {
        let mut tx = store.begin().unwrap();
        tx.write(&plan).unwrap();
        tx.commit().unwrap();
    };
    to.with(copy).unwrap();
    plan.len()
}

const OF_THE_ENGINE: [&str; 6] = ["shard", "idem", "request", "outbox", "poison", "audit_log"];

fn of_domains(backend: &dyn Backend) -> jangbu_store::Dump {
    let mut dump = rows(backend);
    dump.retain(|(table, _), _| !OF_THE_ENGINE.contains(table));
    dump
}

fn assert_round_trip(memory: &Memory) {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::new(dir.path().join("copy.db"), registry::TABLES, registry::MIGRATIONS);
    let (copied, again) = (copy(memory, &file), Memory::new());
    let before = of_domains(memory);
    assert_eq!(copied, before.len(), "a table without a row type");
    same_rows(&before, &of_domains(&file));
    let schema = schema();
    copy(&file, &*schema);
    same_rows(&before, &of_domains(&*schema));
    copy(&*schema, &again);
    same_rows(&before, &of_domains(&again));
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn every_row_comes_back_from_all_stores_as_it_went_in(
        ops in history(everything(), 20..60),
        ends in any::<bool>(),
    ) {
        let mut bench = Bench::new();
        for sent in compile(&ops) {
            bench.rig.set(sent.now);
            bench.rig.send(&sent);
            bench.settle();
        }
        if ends {
            bench.settle_with_gateway();
        }
        assert_round_trip(&bench.memory);
    }
}

#[test]
fn users_and_merchants_come_back_as_they_went_in() {
    let memory = crate::refusals::world().memory;
    let rows = of_domains(&memory);
    let count = |name| rows.keys().filter(|(table, _)| *table == name).count();
    assert_eq!(["users", "user_email", "merchant"].map(count), [2, 2, 1]);
    assert_round_trip(&memory);
}

#[test]
fn a_cell_with_cold_caches_goes_on_as_one_that_remembers() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..12 {
        let tree = history(commerce(), 10..40).new_tree(&mut runner).unwrap();
        let sent = compile(&proptest::strategy::ValueTree::current(&tree));
        let ends = [false, true].map(|forgets| live(&sent, forgets));
        assert_eq!(ends[0].0, ends[1].0);
        same_rows(&ends[0].1, &ends[1].1);
    }
}

fn live(sent: &[Sent], forgets: bool) -> (Vec<Seen>, jangbu_store::Dump) {
    let mut bench = Bench::new();
    for sent in sent {
        if forgets {
            bench.rig.restart();
        }
        bench.rig.set(sent.now);
        bench.rig.send(sent);
        bench.settle_with_gateway();
    }
    bench.run_out();
    (bench.rig.answers(), bench.memory.dump())
}

/// Name, kind and nullability of each column, as the database has them.
fn columns(db: &Connection, table: &str) -> Vec<(String, String, bool)> {
    let mut info = db.prepare(&format!("PRAGMA table_info({table})")).unwrap();
    let column = |row: &rusqlite::Row<'_>| {
        let (not_null, key) = (row.get::<_, i64>("notnull")? > 0, row.get::<_, i64>("pk")? > 0);
        Ok((row.get("name")?, row.get("type")?, !not_null && !key))
    };
    info.query_map([], column).unwrap().map(Result::unwrap).collect()
}

/// The same, as the program declares them.
fn declared(table: &Table) -> Vec<(String, String, bool)> {
    let kind = |kind| match kind {
        Kind::Int => "INTEGER",
        Kind::Text => "TEXT",
        Kind::Blob => "BLOB",
    };
    let column = |name: &str, kind: &str, null| (name.to_owned(), kind.to_owned(), null);
    let keys = table.key.iter().map(|name| column(name, "INTEGER", false));
    let cols = table.cols.iter().map(|col| column(col.name, kind(col.kind), col.null));
    let version = table.versioned.then(|| column("version", "INTEGER", false));
    keys.chain(cols).chain(version).collect()
}

fn assert_schema(tables: &[&'static Table], migrations: &[Migration]) {
    let db = Connection::open_in_memory().unwrap();
    for migration in migrations {
        db.execute_batch(migration.sql).unwrap();
    }
    let names = "SELECT name FROM sqlite_schema WHERE type = ?1 AND name NOT LIKE 'sqlite_%'";
    let mut names = db.prepare(names).unwrap();
    let mut all = |kind: &str| -> Vec<String> {
        names.query_map([kind], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (mut there, mut indexes) = (all("table"), all("index"));
    let mut wanted: Vec<_> = tables.iter().map(|table| table.name.to_owned()).collect();
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
    for table in tables {
        // A column that came later stands behind the version.
        let (mut there, mut wanted) = (columns(&db, table.name), declared(table));
        if table.hot {
            assert_eq!(there, wanted, "whoever reads the log of {} goes by the order", table.name);
            assert!(table.cols.iter().all(|col| col.kind != Kind::Blob), "{}", table.name);
            assert!(!table.due && table.lists.is_empty(), "{}", table.name);
        }
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted, "{}", table.name);
        let due = table.cols.iter().any(|col| col.name == "next_at" && col.null);
        assert_eq!(due, table.due, "{}", table.name);
    }
    let mut declared: Vec<String> = Vec::new();
    for table in tables {
        declared.extend(table.due.then(|| format!("{}_due", table.name)));
        declared.extend(table.lists.iter().map(|list| format!("{}_{}", table.name, list.name)));
    }
    let walked = projections::shelf::INDEXES.iter().filter(|index| tables.contains(&index.table));
    for index in walked {
        let info = format!("PRAGMA index_info({})", index.name);
        let mut info = db.prepare(&info).unwrap();
        let cols = info.query_map([], |row| row.get::<_, String>(2)).unwrap();
        assert_eq!(cols.map(Result::unwrap).collect::<Vec<_>>(), index.cols, "{}", index.name);
        declared.push(index.name.to_owned());
    }
    declared.sort();
    indexes.sort();
    assert_eq!(indexes, declared, "an index for each timer and list, and no other");
    let ranks: std::collections::BTreeSet<_> = tables.iter().map(|table| table.rank).collect();
    assert_eq!(ranks.len(), tables.len(), "each table has a rank of its own");
}

#[test]
fn the_tables_of_the_truth_are_those_of_its_migrations() {
    assert_schema(registry::TABLES, registry::MIGRATIONS);
}

#[test]
fn the_tables_of_the_projections_are_those_of_their_migrations() {
    assert_schema(projections::TABLES, projections::MIGRATIONS);
}

#[test]
fn the_database_itself_refuses_what_the_limits_forbid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jangbu.db");
    let file: Arc<dyn Backend> =
        Arc::new(Sqlite::new(&path, registry::TABLES, registry::MIGRATIONS));
    file.with(&mut |_| {}).unwrap();
    let db = Connection::open(&path).unwrap();
    let refused = [
        "INSERT INTO stock VALUES (1, 4, 0, 0, -1, 5, 0, 0, 1)",
        "INSERT INTO stock VALUES (1, 4, 0, 0, 4, 1, 0, 0, 1)",
        "INSERT INTO payment VALUES (1,NULL,6,0,1,'[]','KRW',5,5,6,0,0,'sim',NULL,NULL,0,1,NULL,NULL,'[]',NULL,1,1,NULL)",
        "INSERT INTO payment VALUES (1,NULL,6,0,1,'[]','KRW',5,5,5,3,3,'sim',NULL,NULL,0,1,NULL,NULL,'[]',NULL,1,1,NULL)",
        "INSERT INTO entry VALUES (1, 1, 0, 7, 0, 1, 1)",
        "INSERT INTO journal VALUES (1, 1, '', 'x', 1, 2, '[]')",
        "INSERT INTO journal VALUES (1, 1, 'kim', '', 1, 2, '[]')",
        "INSERT INTO journal VALUES (1, 1, 'kim', 'x', 1, 1, '[]')",
        "INSERT INTO campaign VALUES (1,'x',1,5,NULL,'KRW',0,0,9,9,NULL,1,2,1,NULL,3,0,3,0,0,NULL,0,0,9,1)",
        "INSERT INTO campaign VALUES (1,'x',1,5,NULL,'KRW',0,0,9,9,NULL,1,2,1,NULL,2,0,1,0,0,NULL,0,0,9,1)",
        "INSERT INTO campaign VALUES (1,'x',1,5,NULL,'KRW',0,0,9,9,NULL,1,2,1,NULL,1,2,-1,0,0,NULL,0,0,9,1)",
        "INSERT INTO campaign VALUES (1,'x',1,5,NULL,'KRW',0,0,9,9,NULL,1,2,2,NULL,0,0,0,0,0,NULL,0,0,9,1)",
        "INSERT INTO user_coupon VALUES (1,1,1,1,2,NULL,5,'[]',1,9,NULL,1)",
        "INSERT INTO user_coupon VALUES (1,1,1,1,1,7,5,'[]',1,9,NULL,1)",
        "INSERT INTO coupon_holder VALUES (1,1,2,1,1)",
        "INSERT INTO coupon_issue VALUES (1,0,1,1,1)",
        "INSERT INTO category VALUES (1, NULL, 'a', 'A', 6, 1)",
        "INSERT INTO category VALUES (1, NULL, '', 'A', 1, 1)",
        "INSERT INTO price VALUES (1, 1, 1, -1)",
        "INSERT INTO shard VALUES (1, 0, 0, 0, 0, x'00', 1, 0, 0)",
    ];
    for sql in refused {
        let error = db.execute(sql, []).unwrap_err();
        let code = error.sqlite_error_code();
        assert_eq!(code, Some(rusqlite::ErrorCode::ConstraintViolation), "{sql}: {error}");
    }
    let lawful = "INSERT INTO stock VALUES (1, 4, 0, 0, 3, 1, 0, 0, 1)";
    assert_eq!(db.execute(lawful, []), Ok(1));
}
