//! Which postings a payment's events make (DESIGN section 6, the card's part).
//!
//! | event | debit | credit |
//! |---|---|---|
//! | captured | `psp:{x}:receivable` amount | `merchant:{m}:payable` per part |
//! | refunded | `merchant:{m}:payable` per part | `psp:{x}:receivable` amount |
//! | set aside | `merchant:{m}:payable` per part | `customer:refundable` amount |
//! | released | `customer:refundable` amount | `merchant:{m}:payable` per part |
//!
//! Nothing else moves money. A payment of 0 posts nothing.

use jangbu_kernel::Time;

use super::chart::{CUSTOMER_REFUNDABLE, merchant_payable, psp_receivable};
use super::command::{Command, Leg};
use crate::payment::command::{Event, Part};

/// The posting of `event`, if it moves money; `at` is when it happened.
pub fn postings(event: &Event, at: Time) -> Option<Command> {
    let (about, seq, legs) = match event {
        Event::Captured { about, seq, amount, split } => {
            (about, *seq, legs(psp_receivable(&about.psp), *amount, split, 1))
        }
        Event::Refunded { about, seq, amount, parts, .. } => {
            (about, *seq, legs(psp_receivable(&about.psp), *amount, parts, -1))
        }
        Event::SetAside { about, seq, amount, parts, .. } => {
            (about, *seq, legs(CUSTOMER_REFUNDABLE.into(), *amount, parts, -1))
        }
        Event::Released { about, seq, amount, parts, .. } => {
            (about, *seq, legs(CUSTOMER_REFUNDABLE.into(), *amount, parts, 1))
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

/// What the merchants get by way of account `code` (`sign` 1), or lose (-1).
pub fn legs(code: Box<str>, amount: i64, parts: &[Part], sign: i64) -> Vec<Leg> {
    if amount == 0 {
        return Vec::new();
    }
    let mut legs = Vec::with_capacity(parts.len().saturating_add(1));
    legs.push(Leg { code, amount: amount.saturating_mul(sign) });
    for part in parts.iter().filter(|part| part.amount != 0) {
        let payable = part.amount.saturating_mul(sign).saturating_neg();
        legs.push(Leg { code: merchant_payable(&part.merchant), amount: payable });
    }
    legs
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jangbu_kernel::time::Span;
    use jangbu_kernel::{Ctx, Currency, Domain, OrderId, Out, PaymentId, RowSet, Secret};

    use super::*;
    use crate::payment;
    use crate::payment::command::{About, Ask, Intent, Said};

    const NOW: Time = Time(1_800_000_000_000_000);

    fn about() -> About {
        let psp = Arc::from("sim");
        About { payment: PaymentId(7), order: Some(OrderId(7)), currency: Currency::KRW, psp }
    }

    fn parts(parts: &[(&str, i64)]) -> Vec<Part> {
        let part = |&(merchant, amount): &(&str, i64)| Part { merchant: merchant.into(), amount };
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
        let event = Event::Refunded { about: about(), seq: 2, no: 1, amount: 10, parts };
        assert_eq!(posted(&event), "7/2 KRW psp:sim:receivable=-10 merchant:m-1:payable=10");
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
            let ctx = Ctx { now, commit: 1, correlation: None };
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
            amount: 100,
            currency: Currency::KRW,
            split: parts(&[("m", 100)]),
            capture_later: false,
        };
        let heard = |ask, said| Heard { payment, ask, said };
        let posted = history(vec![
            Intend { intent, token: Some(Secret::new("tok")), deadline },
            heard(Ask::Charge, Said::Captured { psp_ref: "p".into(), amount: 100 }),
            Refund { payment, no: 1, amount: 30, parts: parts(&[("m", 30)]), deadline },
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
