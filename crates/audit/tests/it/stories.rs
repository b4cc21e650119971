//! Every way an order can go.

use crate::{
    full::Wishes,
    shop::{Back, Pay, Shop, Story},
};

const CHARGE: u8 = 1;
const AUTHORIZE: u8 = 2;
const CAPTURE: u8 = 3;
const VOID: u8 = 4;
const REFUND: u8 = 5;
const DECLINE: u8 = 6;

/// Sold at once: charged, posted, committed.
pub(crate) fn sold(lines: &[(usize, i64)]) -> Story {
    Story {
        lines: lines.to_vec(),
        state: 8,
        outcome: Some("SOLD"),
        steps: [2, 2],
        reservation: Some(3),
        payment: Some(Pay { state: 6, mode: 1, authorized: true, captured: true, op: 0 }),
        events: vec![(0, "order.placed"), (1, "payment.captured"), (1, "order.completed")],
        psp: vec![(CHARGE, 0, None)],
        ..Story::default()
    }
}

/// Sold for nothing.
pub(crate) fn free() -> Story {
    Story { psp: Vec::new(), ..sold(&[(0, 2)]) }
}

/// Sold in two steps: authorised, then captured.
pub(crate) fn two_step(lines: &[(usize, i64)]) -> Story {
    let mut story = sold(lines);
    story.payment.as_mut().unwrap().mode = 2;
    story.psp = vec![(AUTHORIZE, 0, None), (CAPTURE, 0, None)];
    story.events.insert(1, (1, "payment.authorized"));
    story
}

/// Sold, and some units of line 0 given back.
pub(crate) fn refunded(lines: &[(usize, i64)], units: i64, price: i64, restock: bool) -> Story {
    let mut story = sold(lines);
    story.refund = Some(Back { no: 1, state: 4, at_payment: Some(3), units, restock });
    story.psp.push((REFUND, 1, Some(units * price)));
    let more = ["payment.refund-requested", "payment.refunded", "order.refunded"];
    story.events.extend(more.map(|topic| (2, topic)));
    story
}

/// Sold, and a refund whose answer is not known.
pub(crate) fn refunding(lines: &[(usize, i64)]) -> Story {
    let mut story = sold(lines);
    story.refund = Some(Back { no: 1, state: 2, at_payment: Some(2), units: 1, restock: true });
    story.events.push((2, "payment.refund-requested"));
    story.timer = Some(5);
    story
}

/// The card was declined.
pub(crate) fn declined(lines: &[(usize, i64)]) -> Story {
    Story {
        lines: lines.to_vec(),
        state: 9,
        outcome: Some("DECLINED"),
        steps: [5, 3],
        reservation: Some(4),
        payment: Some(Pay { state: 7, mode: 1, ..Pay::default() }),
        events: vec![(0, "order.placed"), (1, "order.cancelled")],
        psp: vec![(DECLINE, 0, None)],
        ..Story::default()
    }
}

/// Authorised, then cancelled.
pub(crate) fn voided(lines: &[(usize, i64)]) -> Story {
    let mut story = declined(lines);
    story.outcome = Some("CANCELLED");
    story.payment = Some(Pay { state: 8, mode: 2, ..Pay::default() });
    story.psp = vec![(AUTHORIZE, 0, None), (VOID, 0, Some(0))];
    story.events.insert(1, (0, "payment.authorized"));
    story
}

/// Captured after the customer had cancelled: given back in full.
pub(crate) fn reversed(lines: &[(usize, i64)], total: i64) -> Story {
    let mut story = declined(lines);
    story.outcome = Some("CANCELLED");
    story.steps = [5, 5];
    story.payment = Some(Pay { state: 6, mode: 1, authorized: true, captured: true, op: 0 });
    story.refund = Some(Back { no: 0, state: 4, at_payment: Some(3), units: 0, restock: false });
    story.psp = vec![(CHARGE, 0, None), (REFUND, 1_000, Some(total))];
    story.events.push((1, "payment.captured"));
    story.events.push((2, "payment.refunded"));
    story
}

/// Refused at placing; nothing was held.
pub(crate) fn sold_out(lines: &[(usize, i64)]) -> Story {
    Story {
        lines: lines.to_vec(),
        state: 9,
        outcome: Some("SOLD_OUT"),
        steps: [3, 0],
        events: vec![(0, "order.cancelled")],
        ..Story::default()
    }
}

/// Held until the client pays.
pub(crate) fn awaiting(lines: &[(usize, i64)]) -> Story {
    Story {
        lines: lines.to_vec(),
        state: 2,
        steps: [2, 0],
        reservation: Some(1),
        payment: Some(Pay { state: 1, mode: 1, ..Pay::default() }),
        events: vec![(0, "order.placed")],
        timer: Some(60),
        ..Story::default()
    }
}

/// The gateway has been asked.
pub(crate) fn paying(lines: &[(usize, i64)]) -> Story {
    Story {
        state: 3,
        steps: [2, 1],
        reservation: Some(2),
        payment: Some(Pay { state: 2, op: 1, mode: 1, ..Pay::default() }),
        timer: Some(7),
        ..awaiting(lines)
    }
}

/// The gateway charged, and its answer was lost.
pub(crate) fn unknown(lines: &[(usize, i64)]) -> Story {
    let mut story = paying(lines);
    story.state = 4;
    story.payment.as_mut().unwrap().state = 9;
    story.psp = vec![(CHARGE, 0, None)];
    story
}

/// Authorised, the capture comes next.
pub(crate) fn authorized(lines: &[(usize, i64)]) -> Story {
    let mut story = paying(lines);
    story.payment = Some(Pay { state: 3, mode: 2, authorized: true, ..Pay::default() });
    story.psp = vec![(AUTHORIZE, 0, None)];
    story.events.push((0, "payment.authorized"));
    story
}

/// Captured, the stock is not committed yet.
pub(crate) fn committing(lines: &[(usize, i64)]) -> Story {
    let sold = sold(lines);
    let events = vec![(0, "order.placed"), (1, "payment.captured")];
    Story { state: 5, outcome: None, reservation: Some(2), timer: Some(1), events, ..sold }
}

/// Nobody knows whether it was paid; an operator must say.
pub(crate) fn stuck(lines: &[(usize, i64)]) -> Story {
    Story { state: 10, stuck_in: 4, timer: None, ..unknown(lines) }
}

/// Cancelled, and then the gateway would not give a late capture back.
pub(crate) fn stuck_after_the_end(lines: &[(usize, i64)], total: i64) -> Story {
    let mut story = reversed(lines, total);
    (story.state, story.stuck_in) = (10, 9);
    let refused = Back { no: 0, state: 5, at_payment: Some(4), units: 0, restock: false };
    story.refund = Some(refused);
    story.psp.pop();
    story.events.retain(|(_, topic)| *topic != "payment.refunded");
    story
}

/// The gateway would not give it back; an operator has given it up.
pub(crate) fn abandoned(lines: &[(usize, i64)], total: i64) -> Story {
    let mut story = stuck_after_the_end(lines, total);
    (story.state, story.stuck_in, story.outcome) = (9, 0, Some("ERROR"));
    (story.aside, story.reason) = (Some(5), Some("abandoned: the account is closed"));
    story.events.push((2, "payment.set-aside"));
    story
}

/// And then it had given it back all the same.
pub(crate) fn abandoned_and_returned(lines: &[(usize, i64)], total: i64) -> Story {
    let mut story = reversed(lines, total);
    (story.outcome, story.aside) = (Some("ERROR"), Some(6));
    story.reason = Some("abandoned: the account is closed");
    story.events.extend(["payment.set-aside", "payment.released"].map(|topic| (2, topic)));
    story
}

/// Its units did not answer, and an operator has given it up.
pub(crate) fn left_behind(lines: &[(usize, i64)]) -> Story {
    Story {
        lines: lines.to_vec(),
        state: 9,
        outcome: Some("ERROR"),
        steps: [4, 0],
        reservation: Some(2),
        events: vec![(0, "order.placed"), (1, "order.cancelled")],
        reason: Some("abandoned: the warehouse burnt down"),
        ..Story::default()
    }
}

/// A client paid so late that the hold was gone; whether it was charged is open.
pub(crate) fn hinted(lines: &[(usize, i64)]) -> Story {
    Story { reservation: Some(5), steps: [3, 1], ..unknown(lines) }
}

/// The ids of one order of each kind, under the names that the tests use.
pub(crate) fn one_of_each(shop: &mut Shop) -> Vec<(&'static str, i64)> {
    let two = [(1, 1), (4, 2)];
    let all = [
        ("sold", sold(&two)),
        ("other", sold(&[(3, 3), (4, 1), (4, 1)])),
        ("free", free()),
        ("two_step", two_step(&two)),
        ("refunded", refunded(&[(1, 3), (2, 1)], 2, 1_500, true)),
        ("scrapped", refunded(&[(2, 3)], 1, 3_000, false)),
        ("refunding", refunding(&two)),
        ("declined", declined(&two)),
        ("voided", voided(&two)),
        ("reversed", reversed(&[(2, 2)], 6_000)),
        ("sold_out", sold_out(&two)),
        ("awaiting", awaiting(&two)),
        ("paying", paying(&two)),
        ("unknown", unknown(&two)),
        ("authorized", authorized(&two)),
        ("stuck", stuck(&two)),
        ("stuck_late", stuck_after_the_end(&[(2, 2)], 6_000)),
        ("hinted", hinted(&two)),
        ("abandoned", abandoned(&[(2, 2)], 6_000)),
        ("returned", abandoned_and_returned(&[(2, 2)], 6_000)),
        ("left", left_behind(&two)),
        ("committing", committing(&[(1, 1)])),
    ];
    let mut names: Vec<_> = all.into_iter().map(|(name, story)| (name, shop.add(&story))).collect();
    names.push(("charged", shop.charge()));
    names.push(("shared", shop.shared()));
    names.push(("bought", shop.bought(9, 500)));
    names
}

/// What those orders are about.
pub(crate) const FULL: [(usize, i64); 3] = [(1, 3), (3, 2), (4, 1)];

/// Sold orders with everything; the second gives units back after the customer has spent what
/// they had earned.
pub(crate) fn full() -> [(&'static str, Wishes); 4] {
    let all = Wishes { user: 30, coupon: true, points: [700, 333], back: None, sent: true };
    [
        ("full", all),
        ("full_back", Wishes { back: Some((2, 3)), ..all }),
        ("full_coupon", Wishes { points: [0; 2], sent: false, ..all }),
        ("full_points", Wishes { coupon: false, user: 31, back: Some((1, 0)), ..all }),
    ]
}
