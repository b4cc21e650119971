//! A running shop with threads: many want the last coupon, and two orders bring the same one.

use jangbu_domain::coupon::command::{Command, UNIT};
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::order::command::Command as Buy;
use jangbu_domain::order::model::{Outcome, PayMode};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Envelope, OrderId, Origin, Secret, Time, UserId,
};

use crate::races::{PATIENCE, World, at_once, by_client, in_memory, on_disk};
use crate::rig::Seen;
use crate::stage::{PRICE, units, won};

const OFF: i64 = 300;

fn coupon(command: Command) -> Envelope {
    Envelope::new(UNIT, Origin::Client, command)
}

fn campaign(world: &World, total: i64) -> CampaignId {
    let campaign = CampaignId(world.id());
    let terms = Terms {
        name: "spring".into(),
        kind: Kind::Fixed { amount: OFF },
        currency: Currency::KRW,
        minimum: 0,
        starts: Time(0),
        ends: Time(i64::MAX / 2),
        valid: Valid::For(Span::mins(60)),
        per_user: 1,
        total,
        funding: Funding::Platform,
        scope: None,
    };
    assert!(world.run(coupon(Command::CreateCampaign { campaign, terms })).is_done());
    campaign
}

fn issue(world: &World, campaign: CampaignId, user: i64) -> (CouponId, Seen) {
    let (id, user) = (CouponId(world.id()), UserId(user));
    (id, world.run(coupon(Command::Issue { campaign, coupon: id, user })))
}

fn the_last_coupon(world: &World, rounds: usize) {
    for _ in 0..rounds {
        let campaign = campaign(world, 1);
        let seen = at_once(8, |at| issue(world, campaign, 100 + i64::try_from(at).unwrap()).1);
        let refused = |seen: &&Seen| matches!(seen, Seen::Refused("COUPON_EXHAUSTED", _));
        let done = seen.iter().filter(|seen| seen.is_done()).count();
        assert_eq!((done, seen.iter().filter(refused).count()), (1, 7), "{seen:?}");
        let row = world.queries.campaign(campaign).unwrap().unwrap();
        assert_eq!((row.tally.issued, row.remaining()), (1, 0));
    }
}

fn one_coupon_two_orders(world: &World, rounds: usize) {
    for _ in 0..rounds {
        world.stock(0, 2);
        let (campaign, user) = (campaign(world, 1), 7);
        let (coupon, issued) = issue(world, campaign, user);
        assert!(issued.is_done(), "{issued:?}");
        let ended = at_once(2, |_| {
            let id = world.id();
            let ended = world.watch(id);
            let place = Buy::Place {
                order: OrderId(id),
                user: UserId(user),
                lines: units(&[(0, 1)]),
                expected: won(PRICE),
                mode: PayMode::Server,
                token: Some(Secret::new("tok_visa")),
                coupon: Some(coupon),
                points: 0,
                pay: None,
            };
            let place = crate::stage::buy(place);
            assert!(world.run(by_client(place, &format!("k-{id}"))).is_done());
            (id, ended.recv_timeout(PATIENCE).unwrap().outcome)
        });
        let count = |outcome| ended.iter().filter(|(_, ended)| *ended == Some(outcome)).count();
        assert_eq!((count(Outcome::Sold), count(Outcome::Limit)), (1, 1), "{ended:?}");
        let row = world.queries.coupon(coupon).unwrap().unwrap();
        let winner = ended.iter().find(|(_, ended)| *ended == Some(Outcome::Sold)).unwrap().0;
        assert_eq!((row.order, row.discount), (Some(OrderId(winner)), OFF));
    }
}

#[test]
fn of_many_who_want_the_last_coupon_exactly_one_gets_it() {
    in_memory(|world| the_last_coupon(world, 1_000));
}

#[test]
fn of_two_orders_that_bring_one_coupon_exactly_one_uses_it() {
    in_memory(|world| one_coupon_two_orders(world, 1_000));
}

#[test]
fn after_every_race_for_coupons_on_disk_the_auditor_finds_nothing() {
    on_disk(|world| {
        the_last_coupon(world, 20);
        one_coupon_two_orders(world, 20);
    });
}
