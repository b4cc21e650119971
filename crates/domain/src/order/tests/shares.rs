//! Properties of the allocation: generated orders of several merchants with coupon and points.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_kernel::{CouponId, SkuId};
use proptest::prelude::*;

use super::gateway::{Back, Pay};
use super::world::World;
use crate::order::allocation::{Allocation, Share, eligible};
use crate::order::decide::refund_of;
use crate::order::model::{
    CouponUse, Earning, Line, Order, PayMode, PointUse, Range, RefundState, Step,
};
use crate::order::units::{Which, free};
use crate::payment::command::Part;

/// Merchant, quantity, price.
type LineOf = (usize, i64, i64);

/// Discount, points and rate in thousandths of what is possible.
#[derive(Clone, Debug)]
struct Perks {
    scope: Option<usize>,
    merchant_funded: bool,
    discount: i64,
    paid: i64,
    earned: i64,
    bp: i64,
}

fn lines() -> impl Strategy<Value = Vec<LineOf>> {
    let price = prop_oneof![0..5_i64, 1..2_000_i64, Just(99_999_999_i64)];
    prop::collection::vec((0..3_usize, 1..7_i64, price), 1..6)
}

fn perks() -> impl Strategy<Value = Perks> {
    let share = || prop_oneof![Just(0_i64), 0..=1_000_i64, Just(1_000_i64)];
    let scope = prop::option::of(0..3_usize);
    (scope, any::<bool>(), share(), share(), share(), 0..=10_000_i64).prop_map(
        |(scope, merchant_funded, discount, paid, earned, bp)| {
            let merchant_funded = merchant_funded && scope.is_some();
            Perks { scope, merchant_funded, discount, paid, earned, bp }
        },
    )
}

/// A sold order.
fn sold(lines: &[LineOf], perks: &Perks) -> Order {
    let mut world = World::new(Pay::Captures, Back::Done, true, false);
    world.client(&world.placing(PayMode::Server)).unwrap();
    let mut order = world.order().unwrap().clone();
    let name = |merchant: usize| Arc::<str>::from(format!("m-{merchant}"));
    let line = |(at, (merchant, quantity, unit_price)): (i64, &LineOf)| Line {
        sku: SkuId(at),
        quantity: *quantity,
        unit_price: *unit_price,
        merchant: name(*merchant),
    };
    order.lines = (1..).zip(lines).map(line).collect();
    order.total = eligible(&order.lines, None);
    let scope = perks.scope.map(name);
    let part =
        |of: i64, thousandths: i64| of / 1_000 * thousandths + of % 1_000 * thousandths / 1_000;
    let discount = part(eligible(&order.lines, scope.as_deref()), perks.discount);
    let merchant_funded = perks.merchant_funded;
    let step = Step::Done;
    let coupon = CouponUse { coupon: CouponId(1), step, discount, scope, merchant_funded };
    order.coupon = Some(Box::new(coupon));
    let rest = order.total - discount;
    let paid = part(rest, perks.paid);
    let earned = part(rest - paid, perks.earned);
    order.points = PointUse { wanted: paid + earned, step, paid, earned };
    order.earning = Earning { step, bp: perks.bp, points: 0 };
    order.earning.points = Allocation::of(&order).earns();
    order
}

fn of_merchants(parts: &[Part]) -> BTreeMap<&str, [i64; 4]> {
    let mut sums: BTreeMap<&str, [i64; 4]> = BTreeMap::new();
    for part in parts {
        let sum = sums.entry(&part.merchant).or_default();
        sum.iter_mut().zip(part.shares()).for_each(|(sum, share)| *sum += share);
    }
    sums
}

fn assert_no_debt(share: Share) {
    let Share { goods, coupon, paid, earned, card, points } = share;
    assert!([goods, coupon, paid, earned, card, points].iter().all(|of| *of >= 0), "{share:?}");
    assert_eq!(coupon + paid + earned + card, goods);
    assert!(points <= card, "what was earned can be kept from the cash");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_partition_of_the_units_adds_up_to_the_whole(
        lines in lines(),
        perks in perks(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 1..4_i64, any::<bool>()), 0..30),
    ) {
        let mut order = sold(&lines, &perks);
        // Refunds of some units, in any order, some of which are refused.
        let again = picks.iter().map(|pick| (pick.0, pick.1, false)).collect::<Vec<_>>();
        for (pick, quantity, refused) in picks.into_iter().chain(again) {
            let free = free(&order, Which::Any);
            if free.is_empty() {
                break;
            }
            let range = *pick.get(&free);
            let units = vec![Range { quantity: quantity.min(range.quantity), ..range }];
            let mut refund = refund_of(&order, units, true, "broken");
            refund.state = if refused { RefundState::Refused } else { RefundState::Done };
            order.refunds.push(refund);
        }
        let rest = free(&order, Which::Any);
        if !rest.is_empty() {
            let refund = refund_of(&order, rest, true, "rest");
            order.refunds.push(crate::order::model::Refund { state: RefundState::Done, ..refund });
        }
        let shares = Allocation::of(&order);
        let done: Vec<_> =
            order.refunds.iter().filter(|refund| refund.state == RefundState::Done).collect();
        let mut sum = Share::default();
        let mut parts = Vec::new();
        for refund in &done {
            let share = shares.sum(&refund.units);
            assert_no_debt(share);
            assert_eq!((refund.amount, refund.paid, refund.earned), (share.card, share.paid, share.earned));
            sum = sum.plus(share);
            parts.extend(shares.parts(&refund.units));
        }
        let PointUse { paid, earned, .. } = order.points;
        assert_eq!(sum, Share {
            goods: order.total,
            coupon: order.discount(),
            paid,
            earned,
            card: order.card(),
            points: order.earning.points,
        });
        let split = shares.split();
        assert_eq!(of_merchants(&parts), of_merchants(&split), "to the won, merchant by merchant");
        let payable: i64 = split.iter().map(Part::payable).sum();
        let own = if perks.merchant_funded { order.discount() } else { 0 };
        assert_eq!(payable, order.total - own, "what fees are taken of");
        assert_eq!(split.is_empty(), order.is_free());
    }
}
