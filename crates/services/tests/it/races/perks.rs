//! Races about coupons, points and parcels.

use jangbu_domain::coupon::command as coupon;
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::order::model::{Order, Outcome, Step};
use jangbu_domain::point::command as point;
use jangbu_kernel::{CampaignId, CouponId, Currency, Envelope, GrantId, Origin, Time, UserId};

use super::{PATIENCE, World, at_once, by_client, in_memory};
use crate::rig::Seen;
use crate::stage::{PRICE, cancel, place_with, refund, ship};

const BUYER: UserId = UserId(7);
const OFF: i64 = 301;

impl World {
    /// A campaign of as many coupons as one likes.
    fn campaign(&self) -> CampaignId {
        let campaign = CampaignId(self.id());
        let terms = Terms {
            name: "race".into(),
            kind: Kind::Fixed { amount: OFF },
            currency: Currency::KRW,
            minimum: 0,
            starts: Time(0),
            ends: Time(i64::MAX / 2),
            valid: Valid::Until(Time(i64::MAX / 2)),
            per_user: 1_000_000,
            total: 1_000_000,
            funding: Funding::Platform,
            scope: None,
        };
        self.coupon(coupon::Command::CreateCampaign { campaign, terms });
        campaign
    }

    fn coupon(&self, command: coupon::Command) {
        let seen = self.run(Envelope::new(coupon::UNIT, Origin::Client, command));
        assert!(seen.is_done(), "{seen:?}");
    }

    fn issue(&self, campaign: CampaignId) -> i64 {
        let coupon = CouponId(self.id());
        self.coupon(coupon::Command::Issue { campaign, coupon, user: BUYER });
        coupon.0
    }

    fn give_points(&self, user: UserId, amount: i64) {
        let grant = GrantId(self.id());
        let (currency, expires_at) = (Currency::KRW, None);
        let reason = "race".into();
        let grant = point::Command::Grant { grant, user, amount, currency, expires_at, reason };
        let seen = self.run(Envelope::new(point::UNIT, Origin::Client, grant));
        assert!(seen.is_done(), "{seen:?}");
    }

    /// An order of `quantity` units with a coupon and points, when it has ended.
    fn buy(&self, user: UserId, quantity: i64, coupon: Option<i64>, points: i64) -> (i64, Order) {
        let id = self.id();
        let ended = self.watch(id);
        let with = (Some("tok_visa"), coupon, points, None);
        let order = place_with((id, user.0), &[(0, quantity)], with);
        assert!(self.run(by_client(order, &format!("k-{id}"))).is_done());
        (id, ended.recv_timeout(PATIENCE).unwrap())
    }
}

/// One wins; the other is told why.
fn assert_one_wins(ended: &[(i64, Order)], why: &str) {
    let sold = ended.iter().filter(|(_, order)| order.outcome == Some(Outcome::Sold));
    assert_eq!(sold.count(), 1, "{ended:?}");
    let lost = ended.iter().find(|(_, order)| order.outcome != Some(Outcome::Sold));
    let (_, lost) = lost.unwrap();
    assert_eq!((lost.outcome, lost.reason.as_deref()), (Some(Outcome::Limit), Some(why)));
}

pub(super) fn one_coupon_twice(world: &World, rounds: usize) {
    let campaign = world.campaign();
    for _ in 0..rounds {
        world.stock(0, 2);
        let coupon = world.issue(campaign);
        let ended = at_once(2, |_| world.buy(BUYER, 1, Some(coupon), 0));
        assert_one_wins(&ended, "COUPON_USED");
    }
}

pub(super) fn points_from_two_orders(world: &World, rounds: usize) {
    for _ in 0..rounds {
        world.stock(0, 2);
        let user = UserId(world.id());
        world.give_points(user, PRICE);
        let ended = at_once(2, |_| world.buy(user, 1, None, PRICE));
        assert_one_wins(&ended, "POINTS_INSUFFICIENT");
    }
}

pub(super) fn partial_refunds(world: &World, rounds: usize) {
    let campaign = world.campaign();
    for _ in 0..rounds {
        world.stock(0, 8);
        world.give_points(BUYER, 503);
        let (id, order) = world.buy(BUYER, 8, Some(world.issue(campaign)), 503);
        assert_eq!(order.card(), 8 * PRICE - OFF - 503);
        let asked: Vec<_> = (0..64).map(|_| world.ask(refund(id, Some(&[(0, 1)])))).collect();
        let seen: Vec<_> = asked.iter().map(|wait| wait.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(seen.iter().filter(|seen| seen.is_done()).count(), 8);
        let refused = |seen: &&Seen| matches!(seen, Seen::Refused("REFUND_EXCEEDS_ORDER", _));
        assert_eq!(seen.iter().filter(refused).count(), 56);
        let order = world.until(id, |order| order.next_at.is_none());
        let sum = |of: fn(&jangbu_domain::order::model::Refund) -> i64| {
            order.refunds.iter().map(of).sum::<i64>()
        };
        assert_eq!(order.refunded + sum(|refund| refund.deduct), order.card());
        assert_eq!(sum(|refund| refund.paid + refund.earned), 503);
        assert_eq!(sum(|refund| refund.clawed + refund.deduct), order.earning.points);
        assert_eq!(order.coupon_step(), Step::Undone, "the coupon is free again");
    }
}

pub(super) fn cancel_against_ship(world: &World, rounds: usize) -> [usize; 2] {
    let mut wins = [0, 0];
    for round in 0..rounds {
        world.stock(0, 1);
        let id = world.sell(0, 1);
        let seen = at_once(2, |at| {
            let first = (at + round) % 2 == 0;
            (first, world.run(if first { cancel(id) } else { ship(id, None) }))
        });
        let done: Vec<_> = seen.iter().filter(|(_, seen)| seen.is_done()).collect();
        assert_eq!(done.len(), 1, "{seen:?}");
        wins[usize::from(done[0].0)] += 1;
        let order = world.until(id, |order| order.next_at.is_none());
        let (sent, refunded) = (order.shipments.len(), order.refunded);
        assert_eq!((sent == 1, refunded == 0), (!done[0].0, !done[0].0), "{order:?}");
    }
    wins
}

#[test]
fn one_coupon_is_used_by_one_of_two_orders() {
    in_memory(|world| one_coupon_twice(world, 1_000));
}

#[test]
fn the_same_points_pay_one_of_two_orders() {
    in_memory(|world| points_from_two_orders(world, 1_000));
}

#[test]
fn parallel_refunds_of_an_order_with_coupon_and_points_sum_to_the_whole() {
    in_memory(|world| partial_refunds(world, 1_000));
}

#[test]
fn an_order_is_cancelled_or_sent_and_never_both() {
    in_memory(|world| {
        let [sent, cancelled] = cancel_against_ship(world, 1_000);
        assert_eq!(sent + cancelled, 1_000);
    });
}
