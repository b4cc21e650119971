//! Which postings the events of payments make (DESIGN section 6). Those of points that no payment
//! carries are in [`points`](super::points).
//!
//! | event | debit | credit |
//! |---|---|---|
//! | captured | `psp:{x}:receivable` card · `points:paid` · `points:earned` · `promo:coupon` | `merchant:{m}:payable` all shares of the part |
//! | captured for points | `psp:{x}:receivable` amount | `points:paid` |
//! | refunded of points | `points:paid` amount | `psp:{x}:receivable` |
//! | refunded | `merchant:{m}:payable` all shares of the part | `psp:{x}:receivable` amount · `promo:points` deducted · `points:paid` · `points:earned` · `promo:coupon` |
//! | set aside | `merchant:{m}:payable` all shares of the part | `customer:refundable` amount · the others as refunded |
//! | released | the reverse | the reverse |
//!
//! Nothing else moves money. What a capture or a refund has none of gets no leg, and a payment of
//! nothing at all posts nothing. Points are worth one minor unit.

use jangbu_kernel::Time;

use super::chart::{
    CUSTOMER_REFUNDABLE, POINTS_EARNED, POINTS_PAID, PROMO_COUPON, PROMO_POINTS, merchant_payable,
    psp_receivable,
};
use super::command::{Command, Leg};
use crate::payment::command::{Event, Part, Purpose};

/// The posting of `event`, if it moves money; `at` is when it happened.
pub fn postings(event: &Event, at: Time) -> Option<Command> {
    let (about, seq, legs) = match event {
        Event::Captured { about, seq, amount, split } => {
            let receivable = psp_receivable(&about.psp);
            let legs = match about.purpose {
                Purpose::Sale => legs(receivable, (*amount, 0), split, 1),
                Purpose::Points { .. } => between(receivable, POINTS_PAID, *amount),
            };
            (about, *seq, legs)
        }
        Event::Refunded { about, seq, amount, parts, deduct, .. } => {
            let receivable = psp_receivable(&about.psp);
            let legs = match about.purpose {
                Purpose::Sale => legs(receivable, (*amount, *deduct), parts, -1),
                Purpose::Points { .. } => between(POINTS_PAID.into(), &receivable, *amount),
            };
            (about, *seq, legs)
        }
        Event::SetAside { about, seq, amount, parts, .. } => {
            (about, *seq, legs(CUSTOMER_REFUNDABLE.into(), (*amount, 0), parts, -1))
        }
        Event::Released { about, seq, amount, parts, .. } => {
            (about, *seq, legs(CUSTOMER_REFUNDABLE.into(), (*amount, 0), parts, 1))
        }
        Event::Authorized { .. }
        | Event::CaptureRequested { .. }
        | Event::Declined { .. }
        | Event::NotSent { .. }
        | Event::Unknown { .. }
        | Event::NotFound { .. }
        | Event::Voided { .. }
        | Event::RefundRequested { .. }
        | Event::RefundRefused { .. }
        | Event::RefundUnknown { .. } => return None,
    };
    let (source, currency) = (about.payment.0, about.currency);
    (!legs.is_empty()).then_some(Command::Post { source, seq, currency, at, legs })
}

/// What the merchants get (`sign` 1) or lose (-1): `amount` by way of account `cash`, `deduct` out
/// of earned points that are spent, the other shares by way of their own accounts.
pub fn legs(cash: Box<str>, (amount, deduct): (i64, i64), parts: &[Part], sign: i64) -> Vec<Leg> {
    let mut legs = Vec::with_capacity(parts.len().saturating_add(1));
    let mut leg = |code: Box<str>, amount: i64| {
        if amount != 0 {
            legs.push(Leg { code, amount: amount.saturating_mul(sign) });
        }
    };
    let sum = |share: fn(&Part) -> i64| parts.iter().map(share).fold(0, i64::saturating_add);
    leg(cash, amount);
    for (code, amount) in [
        (PROMO_POINTS, deduct),
        (POINTS_PAID, sum(|part| part.paid)),
        (POINTS_EARNED, sum(|part| part.earned)),
        (PROMO_COUPON, sum(|part| part.coupon)),
    ] {
        if amount != 0 {
            leg(code.into(), amount);
        }
    }
    for part in parts {
        leg(merchant_payable(&part.merchant), part.payable().saturating_neg());
    }
    legs
}

/// From one account to another.
fn between(debit: Box<str>, credit: &str, amount: i64) -> Vec<Leg> {
    let credit = Leg { code: credit.into(), amount: amount.saturating_neg() };
    vec![Leg { code: debit, amount }, credit]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jangbu_kernel::time::Span;
    use jangbu_kernel::{Ctx, Currency, Domain, OrderId, Out, PaymentId, RowSet, Secret, UserId};

    use super::*;
    use crate::payment;
    use crate::payment::command::{About, Ask, Intent, Said};

    const NOW: Time = Time(1_800_000_000_000_000);

    fn about() -> About {
        let psp = Arc::from("sim");
        let (payment, order) = (PaymentId(7), Some(OrderId(7)));
        About { payment, order, purpose: Purpose::Sale, currency: Currency::KRW, psp }
    }

    fn parts(parts: &[(&str, i64)]) -> Vec<Part> {
        let part = |&(merchant, amount): &(&str, i64)| Part::card(merchant.into(), amount);
        parts.iter().map(part).collect()
    }

    fn posted(event: &Event) -> String {
        let Some(Command::Post { source, seq, currency, at, legs }) = postings(event, NOW) else {
            return "nothing".to_owned();
        };
        assert_eq!((at, legs.iter().map(|leg| leg.amount).sum::<i64>()), (NOW, 0));
        let legs: Vec<_> = legs.iter().map(|leg| format!("{}={}", leg.code, leg.amount)).collect();
        format!("{source}/{seq} {currency} {}", legs.join(" "))
    }

    #[test]
    fn a_capture_owes_each_merchant_its_part() {
        let split = parts(&[("m-1", 60), ("m:2", 40), ("free", 0)]);
        let event = Event::Captured { about: about(), seq: 1, amount: 100, split };
        assert_eq!(
            posted(&event),
            "7/1 KRW psp:sim:receivable=100 merchant:m-1:payable=-60 merchant:m:2:payable=-40"
        );
        let event = Event::Captured { about: about(), seq: 0, amount: 0, split: Vec::new() };
        assert_eq!(posted(&event), "nothing");
    }

    #[test]
    fn a_refund_takes_it_back() {
        let parts = parts(&[("m-1", 10)]);
        let event = Event::Refunded { about: about(), seq: 2, no: 1, amount: 10, parts, deduct: 0 };
        assert_eq!(posted(&event), "7/2 KRW psp:sim:receivable=-10 merchant:m-1:payable=10");
    }

    fn shared() -> Vec<Part> {
        let part = |merchant: &str, [card, paid, earned, coupon]: [i64; 4]| Part {
            merchant: merchant.into(),
            card,
            paid,
            earned,
            coupon,
        };
        vec![part("m", [50, 3, 0, 7]), part("n", [30, 2, 4, 0])]
    }

    #[test]
    fn points_and_coupons_have_legs_of_their_own() {
        let (about, parts) = (about, shared());
        let event = Event::Captured { about: about(), seq: 1, amount: 80, split: parts.clone() };
        let taken = "7/1 KRW psp:sim:receivable=80 points:paid=5 points:earned=4 promo:coupon=7 \
                     merchant:m:payable=-60 merchant:n:payable=-36";
        assert_eq!(posted(&event), taken);
        let (seq, no, amount, deduct) = (2, 1, 70, 10);
        let event =
            Event::Refunded { about: about(), seq, no, amount, parts: parts.clone(), deduct };
        let back = "7/2 KRW psp:sim:receivable=-70 promo:points=-10 points:paid=-5 \
                    points:earned=-4 promo:coupon=-7 merchant:m:payable=60 merchant:n:payable=36";
        assert_eq!(posted(&event), back);
        let event = Event::SetAside { about: about(), seq, no, amount: 80, parts };
        let aside = "7/2 KRW customer:refundable=-80 points:paid=-5 points:earned=-4 \
                     promo:coupon=-7 merchant:m:payable=60 merchant:n:payable=36";
        assert_eq!(posted(&event), aside);
    }

    #[test]
    fn what_the_card_does_not_pay_has_no_leg_at_the_gateway() {
        let part = Part { merchant: "m".into(), card: 0, paid: 0, earned: 9, coupon: 0 };
        let event = Event::Captured { about: about(), seq: 1, amount: 0, split: vec![part] };
        assert_eq!(posted(&event), "7/1 KRW points:earned=9 merchant:m:payable=-9");
    }

    #[test]
    fn a_charge_of_points_is_owed_to_its_customer() {
        let about = About { order: None, purpose: Purpose::Points { user: UserId(3) }, ..about() };
        let event = Event::Captured { about, seq: 1, amount: 500, split: Vec::new() };
        assert_eq!(posted(&event), "7/1 KRW psp:sim:receivable=500 points:paid=-500");
        let about =
            About { order: None, purpose: Purpose::Points { user: UserId(3) }, ..self::about() };
        let (seq, no, amount, parts, deduct) = (2, 1, 200, Vec::new(), 0);
        let event = Event::Refunded { about, seq, no, amount, parts, deduct };
        assert_eq!(posted(&event), "7/2 KRW points:paid=200 psp:sim:receivable=-200");
    }

    #[test]
    fn what_is_set_aside_leaves_the_merchants_and_not_the_gateway() {
        let parts = parts(&[("m-1", 6), ("m-2", 4)]);
        let (about, no, amount) = (about(), 1_001, 10);
        let event = Event::SetAside { about, seq: 2, no, amount, parts: parts.clone() };
        let there = "7/2 KRW customer:refundable=-10 merchant:m-1:payable=6 merchant:m-2:payable=4";
        assert_eq!(posted(&event), there);
        let event = Event::Released { about: self::about(), seq: 3, no, amount, parts };
        let back = "7/3 KRW customer:refundable=10 merchant:m-1:payable=-6 merchant:m-2:payable=-4";
        assert_eq!(posted(&event), back);
    }

    #[test]
    fn nothing_else_moves_money() {
        let (text, amount, no) = (|| Box::from("x"), 10, 1);
        let silent = [
            Event::Authorized { about: about(), amount, again: false },
            Event::CaptureRequested { about: about(), amount },
            Event::Declined { about: about(), code: text() },
            Event::NotSent { about: about(), why: text() },
            Event::Unknown { about: about(), why: text() },
            Event::NotFound { about: about() },
            Event::Voided { about: about() },
            Event::RefundRequested { about: about(), no, amount },
            Event::RefundRefused { about: about(), no, code: text() },
            Event::RefundUnknown { about: about(), no, why: text() },
        ];
        for event in silent {
            assert_eq!(posted(&event), "nothing", "{event:?}");
        }
    }

    /// Decides `commands` a minute apart and says what each of them posts.
    fn history(commands: Vec<payment::Command>) -> Vec<String> {
        let mut rows = payment::Rows::new(payment::Rules::new("sim"));
        rows.payment.load(PaymentId(7), None);
        let mut all = Vec::new();
        for (n, command) in (0..).zip(commands) {
            let now = Time(NOW.0.saturating_add(Span::mins(n).0));
            let ctx = Ctx { now, commit: 1, correlation: None, trace: None };
            let mut out = Out::default();
            rows.payment.mark();
            payment::Payments::decide(&command, &ctx, &mut rows, &mut out).unwrap();
            let moves = |event: &&Event| postings(event, NOW).is_some();
            all.extend(
                out.events.iter().filter(moves).map(|event| format!("{n}: {}", posted(event))),
            );
        }
        all
    }

    #[test]
    fn defect_11_a_retried_refund_writes_the_ledger() {
        use payment::Command::{Inquire, Intend, Refund, Said as Heard};
        let (payment, deadline) = (PaymentId(7), Time(NOW.0.saturating_add(9)));
        let intent = Intent {
            payment,
            order: None,
            purpose: Purpose::Sale,
            amount: 100,
            currency: Currency::KRW,
            split: parts(&[("m", 100)]),
            capture_later: false,
        };
        let heard = |ask, said| Heard { payment, ask, said };
        let posted = history(vec![
            Intend { intent, token: Some(Secret::new("tok")), deadline },
            heard(Ask::Charge, Said::Captured { psp_ref: "p".into(), amount: 100 }),
            Refund { payment, no: 1, amount: 30, parts: parts(&[("m", 30)]), deduct: 0, deadline },
            heard(Ask::Refund(1), Said::NotSent { why: "breaker".into() }),
            Inquire { payment, refund: Some(1), deadline },
            heard(Ask::InquireRefund(1), Said::NotFound),
            heard(Ask::Refund(1), Said::Refunded { amount: 30 }),
            heard(Ask::Refund(1), Said::Refunded { amount: 30 }),
        ]);
        assert_eq!(
            posted,
            [
                "1: 7/1 KRW psp:sim:receivable=100 merchant:m:payable=-100",
                "6: 7/2 KRW psp:sim:receivable=-30 merchant:m:payable=30",
            ]
        );
    }
}
