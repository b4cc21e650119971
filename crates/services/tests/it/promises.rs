//! Whatever clients, the gateway and the clock do: limits hold after every step (P5), every saga
//! ends (P6), and the books agree with the gateway (P4).

use std::collections::{BTreeMap, BTreeSet};

use jangbu_engine::port::Table;
use jangbu_services::inventory::{RESERVATION, STOCK};
use jangbu_services::ledger::{ACCOUNT, ENTRY};
use jangbu_services::order::ORDERS;
use jangbu_services::payment::PAYMENT;
use jangbu_store::{Dump, OwnedValue};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::history::{Keyed, commerce, compile, everything, history};
use crate::rig::{Bench, int};

fn rows_of<'a>(dump: &'a Dump, table: &'static Table) -> impl Iterator<Item = Row<'a>> {
    dump.iter().filter(|((t, _), _)| *t == table.name).map(move |(_, row)| Row(table, row))
}

/// A row whose columns have names.
struct Row<'a>(&'static Table, &'a [OwnedValue]);

impl Row<'_> {
    fn int(&self, column: &str) -> i64 {
        int(&self.1[self.0.position(column).unwrap()]).unwrap_or(0)
    }

    fn text(&self, column: &str) -> &str {
        match &self.1[self.0.position(column).unwrap()] {
            OwnedValue::Text(text) => text,
            _ => "",
        }
    }
}

/// P5 for stock: nothing is negative, nothing appears or vanishes, and what is held is what
/// reservations hold.
pub(crate) fn assert_stock_is_kept(dump: &Dump) {
    let (mut reserved, mut sold) = (BTreeMap::new(), BTreeMap::new());
    for row in rows_of(dump, &RESERVATION) {
        let lines: Vec<(i64, i64)> = serde_json::from_str(row.text("lines")).unwrap();
        for (sku, quantity) in lines {
            match row.int("state") {
                1 | 2 => *reserved.entry(sku).or_insert(0) += quantity,
                3 => *sold.entry(sku).or_insert(0) += quantity,
                _ => {}
            }
        }
    }
    for row in rows_of(dump, &STOCK) {
        let n = |column| row.int(column);
        let sku = n("sku");
        let are = n("available") + n("reserved") + n("sold") + n("written_off");
        assert_eq!(n("received") + n("adjusted") + n("returned"), are, "{sku}");
        assert!(n("available") >= 0 && n("written_off") >= 0, "{sku}");
        assert_eq!(n("reserved"), reserved.get(&sku).copied().unwrap_or(0), "{sku}");
        assert_eq!(n("sold"), sold.get(&sku).copied().unwrap_or(0), "{sku}");
    }
}

/// P5 for money: captured ≤ authorised ≤ amount, refunded + pending ≤ captured.
pub(crate) fn assert_money_is_limited(dump: &Dump) {
    for row in rows_of(dump, &PAYMENT) {
        let n = |column| row.int(column);
        assert!(n("captured") <= n("authorized") && n("authorized") <= n("amount"));
        assert!(n("refunded") >= 0 && n("pending") >= 0);
        assert!(n("refunded") + n("pending") <= n("captured"), "{}", n("id"));
    }
}

/// P4: debits equal credits, accounts are the sums of their entries.
pub(crate) fn assert_books_balance(dump: &Dump) {
    let mut sums: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for row in rows_of(dump, &ENTRY) {
        let (sum, amount) = (sums.entry(row.int("account")).or_default(), row.int("amount"));
        if amount > 0 { sum.0 += amount } else { sum.1 -= amount }
    }
    for row in rows_of(dump, &ACCOUNT) {
        let sum = sums.remove(&row.int("id")).unwrap();
        assert_eq!(sum, (row.int("debits"), row.int("credits")), "{}", row.text("code"));
    }
    assert!(sums.is_empty());
    let total: i64 = rows_of(dump, &ENTRY).map(|row| row.int("amount")).sum();
    assert_eq!(total, 0);
}

/// P6: completed, cancelled or stuck with a reason; and of the ended ones, everything is right.
pub(crate) fn assert_sagas_ended(dump: &Dump) {
    for row in rows_of(dump, &ORDERS) {
        let (id, state) = (row.int("id"), row.int("state"));
        assert!((8..=10).contains(&state), "order {id} is in state {state}");
        assert!(state != 10 || !row.text("reason").is_empty(), "stuck without a reason");
        assert_eq!(row.int("next_at"), 0, "order {id} has ended and still has a timer");
        let payment = rows_of(dump, &PAYMENT).find(|payment| payment.int("id") == id);
        let kept = payment.map_or(0, |p| p.int("captured") - p.int("refunded"));
        match state {
            8 => {
                let off = ["discount", "points_paid", "points_earned", "refunded"];
                let off: i64 = off.into_iter().map(|column| row.int(column)).sum();
                assert_eq!(kept, row.int("total") - off, "sold order {id}");
            }
            9 => assert_eq!(kept, 0, "money kept for cancelled order {id}"),
            _ => {}
        }
    }
    for row in rows_of(dump, &RESERVATION) {
        let order = rows_of(dump, &ORDERS).find(|order| order.int("id") == row.int("order_id"));
        let sold = order.unwrap().int("state") == 8;
        assert_eq!(row.int("state") == 3, sold, "reservation of order {}", row.int("order_id"));
    }
}

/// The receivable of the gateway is what the gateway says it owes.
fn assert_gateway_agrees(bench: &Bench, dump: &Dump) {
    let receivable = rows_of(dump, &ACCOUNT).find(|row| row.text("code") == "psp:sim:receivable");
    let booked = receivable.map_or(0, |row| row.int("debits") - row.int("credits"));
    assert_eq!(booked, bench.gateway.kept().values().sum::<i64>());
    for row in rows_of(dump, &PAYMENT) {
        let kept = bench.gateway.kept().get(&row.int("id")).copied().unwrap_or(0);
        assert_eq!(row.int("captured") - row.int("refunded"), kept, "{}", row.int("id"));
    }
}

fn live(ops: &[Keyed]) -> (Bench, Dump) {
    let mut bench = Bench::new();
    for sent in compile(ops) {
        bench.rig.set(sent.now.max(bench.rig.now()));
        bench.rig.ask(sent.envelope());
        bench.settle_with_gateway();
        let dump = bench.memory.dump();
        assert_stock_is_kept(&dump);
        assert_money_is_limited(&dump);
    }
    bench.run_out();
    let dump = bench.memory.dump();
    (bench, dump)
}

proptest! {
    #![proptest_config(crate::rig::cases(64))]

    #[test]
    fn every_saga_ends_with_stock_money_and_books_right(ops in history(commerce(), 5..50)) {
        let (bench, dump) = live(&ops);
        assert_stock_is_kept(&dump);
        assert_money_is_limited(&dump);
        assert_books_balance(&dump);
        assert_sagas_ended(&dump);
        assert_gateway_agrees(&bench, &dump);
        prop_assert!(bench.gateway.most_charges() <= 1);
    }

    #[test]
    fn limits_hold_whatever_a_lying_gateway_and_early_timers_do(
        ops in history(everything(), 10..80),
    ) {
        let mut bench = Bench::new();
        for sent in compile(&ops) {
            bench.rig.send(&sent);
            bench.settle();
            let dump = bench.memory.dump();
            assert_stock_is_kept(&dump);
            assert_money_is_limited(&dump);
        }
        assert_books_balance(&bench.memory.dump());
    }
}

#[test]
fn the_drawn_histories_reach_every_outcome() {
    let mut runner = TestRunner::deterministic();
    let mut outcomes = BTreeSet::new();
    for _ in 0..60 {
        let ops = history(commerce(), 20..50).new_tree(&mut runner).unwrap().current();
        let (_, dump) = live(&ops);
        outcomes.extend(rows_of(&dump, &ORDERS).map(|row| row.text("outcome").to_owned()));
        outcomes.extend(rows_of(&dump, &ORDERS).map(|row| format!("{}", row.int("state"))));
        let refunded = rows_of(&dump, &ORDERS).any(|row| row.int("refunded") > 0);
        outcomes.extend(refunded.then(|| "refunded".to_owned()));
    }
    let known =
        ["SOLD", "SOLD_OUT", "DECLINED", "EXPIRED", "CANCELLED", "SHED", "refunded", "8", "9"];
    let missing: Vec<_> = known.iter().filter(|known| !outcomes.contains(**known)).collect();
    assert!(missing.is_empty(), "{missing:?} of {outcomes:?}");
}
