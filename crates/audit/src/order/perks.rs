//! Coupon, points, earning and shipments of an order.

use super::{
    EARNING, Order, PARTS, PERKS, Range, SHIPPED, is_reversal, refund_state,
    state::{self, COMPLETED, PAYING, REVERSING},
};
use crate::{
    book::Rule,
    payment::{Part, Payment},
};

/// Checks them, in themselves and against the payment.
pub(super) fn check(order: &Order, payment: Option<&Payment>, find: &mut impl FnMut(Rule, String)) {
    coupon_and_points(order, find);
    earning(order, find);
    shipments(order, find);
    let Some(payment) = payment else { return };
    let split = order.parts(&order.whole());
    if payment.order.is_some() && !is_same(&payment.split, &split) {
        find(PARTS, format!("the payment's split is {:?}, by the lines {split:?}", payment.split));
    }
    for refund in order.refunds.iter().filter(|r| r.state != refund_state::REFUSED) {
        let twin = payment.refunds.iter().find(|twin| twin.no == refund.no);
        let units = if is_reversal(refund.no) { order.whole() } else { refund.units.clone() };
        let Some(twin) = twin.filter(|_| !units.is_empty()) else { continue };
        let wanted = order.parts(&units);
        if !is_same(&twin.parts, &wanted) || twin.deduct != refund.deduct {
            let detail = format!("refund {} of {:?}", refund.no, twin.parts);
            find(PARTS, format!("{detail} less {}: by the lines {wanted:?}", twin.deduct));
        }
    }
}

fn is_same(parts: &[Part], wanted: &std::collections::BTreeMap<&str, [i128; 4]>) -> bool {
    let shares = |part: &Part| [part.card, part.paid, part.earned, part.coupon].map(i128::from);
    // Nobody is owed nothing.
    let mut parts = parts.iter().filter(|part| shares(part) != [0; 4]);
    parts.clone().count() == wanted.len()
        && parts.all(|part| wanted.get(&*part.merchant) == Some(&shares(part)))
}

fn coupon_and_points(order: &Order, find: &mut impl FnMut(Rule, String)) {
    let Order { coupon_step, point_step, discount, points, .. } = *order;
    let spent = i128::from(order.points_paid) + i128::from(order.points_earned);
    let funding = order.coupon_funding;
    let none = order.coupon_id.is_some() || (coupon_step == 0 && discount == 0 && funding == 0);
    let few = points > 0 || (points == 0 && point_step == 0 && spent == 0);
    let sound = discount.min(order.points_paid).min(order.points_earned) >= 0;
    if !none || !few || !sound {
        find(
            PERKS,
            format!("coupon step {coupon_step}, {discount} off; {spent} of {points} points"),
        );
    }
    let paying = matches!(order.standing(), PAYING..=REVERSING | COMPLETED | state::AWAIT_PAY);
    if !paying {
        return;
    }
    let off = i128::from(discount) <= order.eligible() && order.card() >= 0;
    let paid = points == 0 || (point_step == 2 && spent == i128::from(points));
    // The last unit that is refunded frees the coupon.
    let used = order.coupon_id.is_none()
        || coupon_step == 2
        || (order.state == COMPLETED && matches!(coupon_step, 4 | 5) && order.is_all_back());
    let expected = order.expects.is_none_or(|expects| i128::from(expects) == order.card());
    if !off || !paid || !used || !expected {
        let detail = format!("{}: {discount} off in step {coupon_step}", state::name(order.state));
        let points = format!("{spent} of {points} points in step {point_step}");
        find(PERKS, format!("{detail}, {points}, the card pays {}", order.card()));
    }
}

fn earning(order: &Order, find: &mut impl FnMut(Rule, String)) {
    let Order { earn_step, earned, .. } = *order;
    let points = i128::from(order.earn_bp) * order.card().max(0) / 10_000;
    let stands = match earn_step {
        0 => earned == 0 && order.earn_bp == 0,
        1..=3 => order.state == COMPLETED && i128::from(earned) == points && earned > 0,
        _ => false,
    };
    if !stands || !(0..=10_000).contains(&order.earn_bp) {
        let detail = format!("{earned} points in step {earn_step}");
        find(EARNING, format!("{detail}, by {} hundredths of a percent {points}", order.earn_bp));
    }
    let early = |refund: &&super::Refund| {
        refund.state != refund_state::CLAWING && !is_reversal(refund.no) && !refund.units.is_empty()
    };
    for refund in order.refunds.iter().filter(early) {
        let claimed = order.shares(&refund.units).earns;
        let kept = i128::from(refund.clawed) + i128::from(refund.deduct);
        // What was refused has given back what it had taken.
        let fits = match (refund.state, earn_step) {
            (refund_state::REFUSED, _) => refund.clawed == 0 && kept <= claimed,
            (_, 1 | 2) => kept == claimed || (refund.clawed == 0 && kept <= claimed),
            _ => kept == 0,
        };
        if !fits || refund.clawed.min(refund.deduct) < 0 {
            let super::Refund { no, clawed, deduct, .. } = refund;
            find(EARNING, format!("refund {no}: {clawed} taken, {deduct} kept of {claimed}"));
        }
    }
}

fn shipments(order: &Order, find: &mut impl FnMut(Rule, String)) {
    let Some(shipments) = &order.shipments else { return };
    let sold = order.state == COMPLETED;
    if !sold || shipments.is_empty() {
        find(
            SHIPPED,
            format!("{} shipments, and it is {}", shipments.len(), state::name(order.state)),
        );
    }
    for (at, shipment) in shipments.iter().enumerate() {
        let numbered = i64::try_from(at + 1) == Ok(shipment.no);
        let arrived = shipment.delivered_at == 0 || shipment.delivered_at >= shipment.shipped_at;
        if !numbered || !arrived || shipment.units.is_empty() || shipment.carrier.is_empty() {
            find(SHIPPED, format!("shipment {} by {}", shipment.no, shipment.carrier));
        }
    }
    let all = || shipments.iter().flat_map(|shipment| &shipment.units);
    if let Some(detail) = order.overlap(all()) {
        find(SHIPPED, format!("sent twice, or never ordered: {detail}"));
    }
}

impl Order {
    /// How many parcels have left.
    pub(crate) fn shipped(&self) -> usize {
        self.shipments.as_ref().map_or(0, Vec::len)
    }

    /// How many of them have arrived.
    pub(crate) fn delivered(&self) -> usize {
        let arrived = |shipment: &&super::Shipment| shipment.delivered_at != 0;
        self.shipments.iter().flatten().filter(arrived).count()
    }

    /// Whether refunds hold every unit.
    fn is_all_back(&self) -> bool {
        let back = |state| matches!(state, refund_state::RESTORING | refund_state::DONE);
        let live = self.refunds.iter().filter(|r| back(r.state)).flat_map(|r| &r.units);
        let back: i64 = live.map(|range| range.quantity).sum();
        back == self.lines.iter().map(|line| line.quantity).sum::<i64>()
    }

    /// A range that is outside of its line, or meets another.
    pub(super) fn overlap<'a>(&self, ranges: impl Iterator<Item = &'a Range>) -> Option<String> {
        let mut ranges: Vec<&Range> = ranges.collect();
        ranges.sort_unstable_by_key(|range| (range.line, range.from));
        let outside = |range: &&&Range| {
            let units = self.lines.get(range.line).map_or(0, |line| line.quantity);
            range.from < 0 || range.quantity < 1 || range.from + range.quantity > units
        };
        let meet = |pair: &&[&Range]| {
            pair[0].line == pair[1].line && pair[0].from + pair[0].quantity > pair[1].from
        };
        let found = ranges.iter().find(outside).copied();
        let found = found.or_else(|| ranges.windows(2).find(meet).map(|pair| pair[1]));
        found.map(|range| format!("units {}+{} of line {}", range.from, range.quantity, range.line))
    }
}
