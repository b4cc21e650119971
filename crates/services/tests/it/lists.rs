//! The few rows that an operator looks for, and timers behind rows that cannot be processed.

use jangbu_engine::books::POISON;
use jangbu_engine::port::{Backend, Mode};
use jangbu_kernel::time::Span;
use jangbu_kernel::{OrderId, PaymentId};
use jangbu_services::inventory::RESERVATION;
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_store::Sqlite;

use crate::rig::{Bench, write};
use crate::stage::{hold, place};

#[test]
fn lists_have_the_unknown_the_open_and_the_stuck_and_nothing_else() {
    let mut bench = Bench::stocked();
    for id in [1, 2, 3] {
        assert!(bench.run(place(id, &[(0, 1)], "ok")).is_done());
    }
    let unknown = |bench: &Bench, after: Option<i64>| -> Vec<i64> {
        let page = bench.queries().payments_unknown(after.map(PaymentId), 2).unwrap();
        page.into_iter().map(|(id, _)| id.0).collect()
    };
    assert_eq!(unknown(&bench, None), [0_i64; 0]);
    bench.rig.record().jobs.clear();
    bench.rig.advance(Span::secs(60));
    bench.settle();
    assert_eq!((unknown(&bench, None), unknown(&bench, Some(2))), (vec![1, 2], vec![3]));
    assert!(bench.run(hold(4, &[(1, 1)])).is_done());
    let open = bench.queries().orders_open(None, 3).unwrap();
    let (last, order) = open.last().unwrap();
    let rest = bench.queries().orders_open(Some((order.next_at.unwrap(), *last)), 3).unwrap();
    let seen: Vec<_> = open.iter().chain(&rest).map(|(id, order)| (order.next_at, *id)).collect();
    assert_eq!(seen.len(), 4, "three whose payment is unknown, one that waits for its payer");
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(bench.queries().orders_stuck(None, 9).unwrap(), []);
    for _ in 0..30 {
        bench.rig.advance(Span::mins(60));
        bench.settle();
        bench.rig.record().jobs.clear();
    }
    let stuck: Vec<_> = bench.queries().orders_stuck(None, 9).unwrap();
    assert_eq!(stuck.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3].map(OrderId));
    assert_eq!(bench.queries().orders_open(None, 9).unwrap(), []);
}

#[test]
fn a_database_of_the_first_migration_is_brought_up_to_date_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jangbu.db");
    Sqlite::new(&path, TABLES, &MIGRATIONS[..1]).with(&mut |_| ()).unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let row = "'[]','KRW',5,0,0,0,0,'sim',NULL,NULL,0,0,NULL,NULL,'[]',NULL,1,1)";
    for (id, state) in [(1, 9), (2, 6), (3, 9)] {
        let sql = format!("INSERT INTO payment VALUES ({id},NULL,{state},0,1,{row}");
        db.execute(&sql, []).unwrap();
    }
    drop(db);
    let new = std::sync::Arc::new(Sqlite::new(&path, TABLES, MIGRATIONS));
    new.with(&mut |_| ()).unwrap();
    let queries = jangbu_services::queries::Queries::new(new.clone(), new);
    let found = queries.payments_unknown(None, 9).unwrap();
    assert_eq!(found.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn rows_that_cannot_be_processed_do_not_starve_those_that_are_due_after_them() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    let due = bench.rig.now().0;
    write(&bench.memory, &|plan| {
        for id in 1_000..1_600 {
            let mut row = plan.row(&RESERVATION, Mode::Insert);
            row.int(id).int(1).text("[[1,2").text("[]").int(due).int(1);
        }
    });
    bench.rig.restart();
    bench.rig.advance(Span::millis(21));
    bench.settle();
    for _ in 0..4 {
        bench.rig.advance(Span::millis(21));
        bench.settle();
    }
    let poison = || bench.memory.dump().keys().filter(|(t, _)| *t == POISON.name).count();
    assert_eq!(poison(), 600, "each of them was found, although the first 256 stay due");
    bench.rig.advance(Span::secs(1));
    bench.settle();
    assert_eq!(bench.memory.dump().keys().filter(|(t, _)| *t == POISON.name).count(), 600);
}
