//! Laws that hold under any commands, whatever the order and the grouping into commits.

use std::collections::BTreeMap;

use jangbu_kernel::id::MovementId;
use jangbu_kernel::rows::RowSet;
use jangbu_kernel::{Domain, OrderId, SkuId, Time};
use proptest::prelude::*;

use super::world::{Store, World, load};
use crate::inventory::Inventory;
use crate::inventory::command::{Command, Line};
use crate::inventory::model::{Kind, LIMIT, Returned, State, Stock};

/// Mostly a few units; sometimes nonsense or the very limit.
fn quantity() -> impl Strategy<Value = i64> {
    prop_oneof![12 => 1_i64..6, 1 => any::<i64>(), 1 => LIMIT - 2..=LIMIT, 1 => -2_i64..1]
}

fn some_lines() -> impl Strategy<Value = Vec<Line>> {
    let line =
        (1_i64..4, quantity()).prop_map(|(sku, quantity)| Line { sku: SkuId(sku), quantity });
    prop::collection::vec(line, 0..4)
}

fn some_command() -> impl Strategy<Value = Command> {
    let (order, sku) = (|| (1_i64..5).prop_map(OrderId), || (1_i64..4).prop_map(SkuId));
    let movement = || (1_i64..15).prop_map(MovementId);
    let received = (movement(), sku(), prop_oneof![4 => 10_i64..60, 1 => quantity()]);
    let adjusted = (movement(), sku(), prop_oneof![4 => -9_i64..9, 1 => quantity()]);
    prop_oneof![
        3 => received.prop_map(|(movement, sku, quantity)|
            Command::Receive { movement, sku, quantity, reason: "in".into() }),
        1 => adjusted.prop_map(|(movement, sku, delta)|
            Command::Adjust { movement, sku, delta, reason: "count".into() }),
        4 => (order(), some_lines(), any::<bool>(), 0_i64..200).prop_map(|(order, lines, pin, at)|
            Command::Reserve { order, lines, pin, expires_at: Time(at) }),
        3 => order().prop_map(|order| Command::Pin { order }),
        4 => order().prop_map(|order| Command::Commit { order }),
        1 => order().prop_map(|order| Command::Release { order }),
        1 => order().prop_map(|order| Command::Expire { order }),
        3 => (order(), 0_u32..4, some_lines(), any::<bool>()).prop_map(|(order, no, lines, restock)|
            Command::Return { order, no, lines, restock }),
    ]
}

/// Commands with times that never go back.
fn some_commands() -> impl Strategy<Value = Vec<(Time, Command)>> {
    prop::collection::vec((0_i64..9, some_command()), 1..60).prop_map(|steps| {
        let mut now = 0;
        let dated = steps.into_iter().map(|(later, command)| {
            now += later;
            (Time(now), command)
        });
        dated.collect()
    })
}

fn sum(lines: &[Line], sku: SkuId) -> i64 {
    lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity).sum()
}

/// What the counters of `sku` must be, from the other tables alone.
fn counted(store: &Store, sku: SkuId) -> Stock {
    let mut stock = Stock::default();
    for (movement, _) in store.movement.values().filter(|(row, _)| row.sku == sku) {
        match movement.kind {
            Kind::Receive => stock.received += movement.quantity,
            Kind::Adjust => stock.adjusted += movement.quantity,
        }
    }
    for (row, _) in store.reservation.values() {
        match row.state {
            State::Held | State::Pinned => stock.reserved += sum(&row.lines, sku),
            State::Committed => stock.sold += sum(&row.lines, sku),
            State::Released | State::Expired => {}
        }
        for Returned { lines, restock, .. } in &row.returns {
            stock.returned += sum(lines, sku);
            stock.written_off += if *restock { 0 } else { sum(lines, sku) };
        }
    }
    stock.available = stock.received + stock.adjusted + stock.returned
        - stock.reserved
        - stock.sold
        - stock.written_off;
    stock
}

fn assert_laws(store: &Store) {
    for (sku, (stock, _)) in &store.stock {
        assert_eq!(*stock, counted(store, *sku), "{sku}");
        assert!(stock.available >= 0 && stock.reserved >= 0, "{sku}: {stock:?}");
    }
    for (order, (row, _)) in &store.reservation {
        assert_eq!(row.next_at.is_some(), row.state == State::Held, "{order}: {row:?}");
        assert!(row.lines.is_sorted_by(|a, b| a.sku < b.sku), "{order}: {row:?}");
        assert!(row.returns.is_empty() || row.state == State::Committed, "{order}: {row:?}");
        for line in &row.lines {
            let back: i64 = row.returns.iter().map(|back| sum(&back.lines, line.sku)).sum();
            assert!(back <= line.quantity, "{order}: {row:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn counters_follow_from_movements_and_reservations(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let _answer = world.run(&command);
            assert_laws(&world.store);
        }
    }

    #[test]
    fn an_accepted_command_again_changes_nothing(commands in some_commands()) {
        let mut world = World::default();
        for (now, command) in commands {
            world.now = now.0;
            let Ok(reply) = world.run(&command) else { continue };
            let before = world.store.clone();
            prop_assert_eq!(world.run(&command), Ok(reply.clone()));
            prop_assert_eq!(&world.store, &before, "{:?}", command);
            prop_assert_eq!(&world.changed, &vec![]);

            let mut retry = command.clone();
            Inventory::adopt(&mut retry, 1_000);
            prop_assert_eq!(Inventory::resource(&retry), 1_000);
            Inventory::adopt(&mut retry, Inventory::resource(&command));
            prop_assert_eq!(&retry, &command);
            Inventory::want(&retry, &mut world.rows);
            load(&mut world.rows.reservation, &before.reservation);
            load(&mut world.rows.movement, &before.movement);
            let nothing = matches!(&command, Command::Expire { order }
                if !before.reservation.contains_key(order));
            let known = (!nothing).then_some(reply);
            prop_assert_eq!(Inventory::recall(&retry, &world.rows), known);
            world.rows.stock.clear();
            world.rows.reservation.clear();
            world.rows.movement.clear();
        }
    }

    #[test]
    fn any_split_into_commits_gives_the_same(
        commands in some_commands(),
        cuts in prop::collection::vec(1_usize..9, 60),
    ) {
        let (mut single, mut split, mut whole) = <(World, World, World)>::default();
        let one: Vec<_> = commands.iter().flat_map(|c| single.commit(std::slice::from_ref(c))).collect();
        let (mut rest, mut some) = (commands.as_slice(), Vec::new());
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            some.extend(split.commit(head));
            rest = tail;
        }
        let all = whole.commit(&commands);
        prop_assert_eq!(&one, &some);
        prop_assert_eq!(&one, &all);
        prop_assert_eq!(&single.store, &split.store);
        prop_assert_eq!(&single.store, &whole.store);
        for world in [&single, &split, &whole] {
            let available = world.store.stock.iter().map(|(sku, (row, _))| (*sku, row.available));
            prop_assert_eq!(&world.told, &available.collect::<BTreeMap<_, _>>());
        }
    }
}
