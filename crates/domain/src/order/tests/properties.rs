//! Properties: refunds in any order of answers, and commands that come again.

use jangbu_kernel::{Currency, Domain, Money, Secret, SkuId};
use proptest::prelude::*;

use super::gateway::{Back, Pay};
use super::world::{Body, ID, Msg, World};
use crate::order::Orders;
use crate::order::command::{Command, Reject, Reply, SagaEvent, Units};
use crate::order::model::{Offer, PayMode, Refund, RefundState, State};
use crate::order::units::{Which, free};
use crate::payment::command::Part;
use crate::payment::model::RefundState as Moved;

/// A sold order, nothing under way.
fn sold(perks: bool) -> World {
    let mut world = World::new(Pay::Captures, Back::Done, true, false);
    if perks {
        world = world.with_perks();
    }
    world.client(&world.placing(PayMode::Server)).unwrap();
    while let Some(msg) = world.next() {
        world.deliver(msg);
    }
    assert_eq!(world.state(), Some(State::Completed));
    world
}

fn refund(sku: i64, quantity: i64, restock: bool) -> Command {
    let units = Some(vec![Units { sku: SkuId(sku), quantity }]);
    Command::Refund { order: ID, units, restock, reason: "broken".into(), returned: false }
}

/// No unit is claimed twice, and no more money than the order had.
fn assert_claims(world: &World) {
    let order = world.order().unwrap();
    let free = free(order, Which::Any);
    assert!(free.iter().all(|range| range.from >= 0 && range.quantity > 0), "{order:?}");
    for (at, line) in order.lines.iter().enumerate() {
        let live = order.refunds.iter().filter(|refund| refund.state != RefundState::Refused);
        let units = live.flat_map(|refund| &refund.units).filter(|range| range.line == at);
        assert!(units.map(|range| range.quantity).sum::<i64>() <= line.quantity);
    }
    let live = order.refunds.iter().filter(|refund| refund.state != RefundState::Refused);
    assert!(live.map(|refund| refund.amount).sum::<i64>() <= order.total);
    assert!(order.refunded <= order.total);
}

/// Refunds the rest. Then cash, points, coupon and books are as if nothing had been sold, but for
/// what was kept of the cash in place of points that are spent.
fn assert_sums_to_the_whole(world: &mut World) {
    let rest = Command::Refund {
        order: ID,
        units: None,
        restock: true,
        reason: "rest".into(),
        returned: false,
    };
    let asked = world.client(&rest);
    assert!(matches!(asked, Ok(()) | Err(Reject::NothingToRefund)), "{asked:?}");
    while let Some(msg) = world.next() {
        world.deliver(msg);
    }
    world.assert_right();
    let order = world.order().unwrap();
    let done = || order.refunds.iter().filter(|refund| refund.state == RefundState::Done);
    let sum = |of: fn(&Refund) -> i64| done().map(of).sum::<i64>();
    assert_eq!(sum(|refund| refund.amount + refund.deduct), order.card());
    assert_eq!(sum(|refund| refund.paid), order.points.paid);
    assert_eq!(sum(|refund| refund.earned), order.points.earned);
    assert_eq!(sum(|refund| refund.clawed + refund.deduct), order.earning.points);
    let payment = world.payment().unwrap();
    let back = payment.refunds.iter().filter(|refund| refund.state == Moved::Done);
    for part in &payment.split {
        let theirs = back.clone().flat_map(|refund| &refund.parts);
        let theirs = theirs.filter(|back| back.merchant == part.merchant).map(Part::shares);
        let mut sum = [0; 4];
        theirs.for_each(|more| sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more));
        assert_eq!(sum, part.shares(), "{}", part.merchant);
    }
}

/// A gateway that gives back what it has refused could give back more than it took: the tables
/// have that one.
fn back() -> impl Strategy<Value = Back> {
    let honest = Back::ALL.into_iter().filter(|back| *back != Back::RefusedLate);
    prop::sample::select(honest.collect::<Vec<_>>())
}

/// What a step does: ask a refund, or deliver a message that waits (any of them).
fn steps() -> impl Strategy<Value = Vec<(bool, i64, i64, bool, usize, Back)>> {
    let step = (any::<bool>(), 1..3_i64, 1..3_i64, any::<bool>(), any::<usize>(), back());
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn refunds_never_claim_a_unit_twice(steps in steps(), perks in any::<bool>()) {
        let mut world = sold(perks);
        for (asks, sku, quantity, restock, pick, back) in steps {
            world.gateway.back = back;
            if asks {
                _ = world.client(&refund(sku, quantity, restock));
            } else if !world.queue.is_empty() {
                let at = pick % world.queue.len();
                let msg = world.queue.remove(at).unwrap();
                world.deliver(msg);
            } else if let Some(msg) = world.next() {
                world.deliver(msg);
            }
            assert_claims(&world);
        }
        world.gateway.back = Back::Done;
        while let Some(msg) = world.next() {
            world.deliver(msg);
            assert_claims(&world);
        }
        world.assert_right();
        assert_sums_to_the_whole(&mut world);
    }

    #[test]
    fn an_accepted_command_that_comes_again_changes_nothing(
        client in any::<bool>(),
        cancel_at in 0..12_usize,
        pay in prop::sample::select(Pay::ALL.to_vec()),
    ) {
        let mut world = World::new(pay, Back::Done, true, false);
        let mode = if client { PayMode::Client } else { PayMode::Server };
        let placing = world.placing(mode);
        twice(&mut world, &placing);
        for delivery in 0..200 {
            if delivery == cancel_at {
                twice(&mut world, &Command::Cancel { order: ID, reason: "no".into() });
            }
            if world.state() == Some(State::AwaitPay) && world.queue.is_empty() {
                let confirming = world.confirming();
                twice(&mut world, &confirming);
            }
            if world.state() == Some(State::Completed) {
                let units = None;
                let reason = "broken".into();
                let command =
                    Command::Refund { order: ID, units, restock: true, reason, returned: false };
                twice(&mut world, &command);
            }
            let Some(msg) = world.next() else { break };
            world.deliver(msg);
        }
    }
}

/// Asks twice; if the first was carried out, the second changes neither row nor queue.
fn twice(world: &mut World, command: &Command) {
    if world.client(command).is_err() {
        return;
    }
    let before = (world.order().cloned(), world.queue.clone(), world.orders.order.version(ID));
    let again = world.client(command);
    let after = (world.order().cloned(), world.queue.clone(), world.orders.order.version(ID));
    assert_eq!(before, after, "{command:?} again: {again:?}");
    let recalled = Orders::recall(command, &world.orders);
    let order = world.order().cloned().unwrap();
    assert_eq!(recalled, Some(Reply::Order(ID, Box::new(order))), "a key finds the order");
}

#[test]
fn an_order_has_at_most_999_refunds() {
    let mut world = World::new(Pay::Captures, Back::Done, true, true);
    let (sku, quantity) = (SkuId(3), 1_000);
    let movement = jangbu_kernel::id::MovementId(3);
    let receive =
        crate::inventory::command::Command::Receive { movement, sku, quantity, reason: "x".into() };
    world.deliver(Msg { reply: None, body: Body::Stock(receive) });
    let offer = Offer {
        merchant: "m-1".into(),
        currency: Currency::KRW,
        price: 1,
        on_sale: true,
        price_version: 1,
    };
    world.client(&Command::Learn { offers: vec![(sku, offer)] }).unwrap();
    let place = Command::Place {
        order: ID,
        user: jangbu_kernel::UserId(1),
        lines: vec![Units { sku, quantity }],
        expected: Money::new(1_000, Currency::KRW),
        mode: PayMode::Server,
        token: Some(Secret::new("tok")),
        coupon: None,
        points: 0,
        pay: None,
    };
    world.client(&place).unwrap();
    for round in 0..=1_000 {
        while let Some(msg) = world.next() {
            world.deliver(msg);
        }
        let expected = if round < 999 { Ok(()) } else { Err(Reject::TooManyRefunds) };
        assert_eq!(world.client(&refund(3, 1, true)), expected, "refund {round}");
    }
    assert_claims(&world);
    assert_eq!(world.order().unwrap().refunded, 999);
}

#[test]
fn commands_are_pointed_at_the_resource_of_their_key() {
    let world = sold(false);
    let token = Secret::new("tok");
    let all = [
        world.placing(PayMode::Server),
        Command::Confirm { order: ID, amount: Money::new(1, Currency::KRW), token },
        Command::Cancel { order: ID, reason: "no".into() },
        refund(1, 1, true),
        Command::Hear { order: ID, event: SagaEvent::PayVoided },
    ];
    for mut command in all {
        assert_eq!(Orders::resource(&command), ID.0);
        Orders::adopt(&mut command, 99);
        assert_eq!(Orders::resource(&command), 99);
    }
    let wake = Orders::wake("orders", 5);
    let order = jangbu_kernel::OrderId(5);
    assert_eq!(wake, Command::Hear { order, event: SagaEvent::Timer });
}
