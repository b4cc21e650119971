//! What the gateway says it did, compared with what the store believes.
//!
//! A charge or a capture moves money to us, a refund moves it back. A record that may be younger than
//! the snapshot ([`crate::psp_log`]) may explain what the snapshot has, and is otherwise in flight.

use crate::{
    book::{Book, rules},
    ids,
    payment::{Payment, Refund, refund_state, state},
    psp_log::Record,
    walk::Case,
};

rules! {
    LOST = "gateway.lost", Lost, "Everything the gateway was asked about a payment belongs to a payment row.";
    DOUBLED = "gateway.doubled", Doubled, "The gateway took the money of a payment at most once.";
    REFUND_DOUBLED = "gateway.refund-doubled", Doubled, "The gateway gave a refund at most once.";
    LAW = "gateway.law", Mismatched, "At the gateway: captured ≤ authorised, refunded ≤ captured, capture or void, one currency.";
    CAPTURED = "gateway.captured", Mismatched, "What the gateway took is what the payment says was captured.";
    AUTHORIZED = "gateway.authorized", Mismatched, "What the gateway holds is what an AUTHORIZED or VOIDED payment says; a payment in two steps is never charged in one.";
    REFUNDED = "gateway.refunded", Mismatched, "A refund that is DONE was given by the gateway, a REFUSED one was not, and it was never asked for one that is only booked or of which the card has no share.";
    REFUND_LOST = "gateway.refund-lost", Lost, "Every refund that the gateway gave is known to the payment.";
    CURRENCY = "gateway.currency", Mismatched, "The gateway and the payment use one currency.";
}

/// Kinds of records.
pub(crate) mod kind {
    pub(crate) const CHARGE: u8 = 1;
    pub(crate) const AUTHORIZE: u8 = 2;
    pub(crate) const CAPTURE: u8 = 3;
    pub(crate) const VOID: u8 = 4;
    pub(crate) const REFUND: u8 = 5;
    pub(crate) const DECLINE: u8 = 6;
    pub(crate) const FENCE: u8 = 8;
}

/// Compares what the gateway did with the payment row.
pub(crate) fn check(case: &Case<'_>, book: &mut Book) {
    let Some(first) = case.psp.first() else {
        if let Some(payment) = &case.payment {
            against_payment(case, payment, book);
        }
        return;
    };
    laws(case, first, book);
    match &case.payment {
        Some(payment) => against_payment(case, payment, book),
        None if case.psp.iter().any(|record| !record.newer) => {
            let detail = format!("the gateway has {}, the store no payment", list(case.psp));
            book.find(LOST, ids::payment(case.id), detail);
        }
        None => {}
    }
}

/// What the gateway owes us for a payment: charges and captures minus refunds.
pub(crate) fn net<'r>(records: impl Iterator<Item = &'r Record>) -> i128 {
    records
        .map(|record| match record.kind {
            kind::CHARGE | kind::CAPTURE => i128::from(record.amount),
            kind::REFUND => -i128::from(record.amount),
            _ => 0,
        })
        .sum()
}

/// Records that may be younger than the snapshot and that it does not have to explain.
pub(crate) fn newer(records: &[Record]) -> u64 {
    to_u64(records.iter().filter(|record| record.newer).count())
}

fn laws(case: &Case<'_>, first: &Record, book: &mut Book) {
    let records = case.psp;
    let subject = || ids::payment(case.id);
    let count = |wanted: &dyn Fn(&Record) -> bool| records.iter().filter(|r| wanted(r)).count();
    let sum = |wanted: &dyn Fn(&Record) -> bool| -> i128 {
        records.iter().filter(|r| wanted(r)).map(|r| i128::from(r.amount)).sum()
    };
    let taken = |r: &Record| matches!(r.kind, kind::CHARGE | kind::CAPTURE);
    if count(&taken) > 1 {
        book.find(DOUBLED, subject(), format!("the gateway has {}", list(records)));
    }
    for (at, record) in records.iter().enumerate().filter(|(_, r)| r.kind == kind::REFUND) {
        if records[..at].iter().any(|other| other.kind == kind::REFUND && other.no == record.no) {
            let detail = format!("refund {} stands twice: {}", record.no, list(records));
            book.find(REFUND_DOUBLED, subject(), detail);
        }
    }
    let opening = |r: &Record| {
        r.no == 0 && matches!(r.kind, kind::CHARGE | kind::AUTHORIZE | kind::DECLINE | kind::FENCE)
    };
    let refunded = sum(&|r| r.kind == kind::REFUND);
    let sound = (count(&opening) <= 1 || count(&taken) > 1)
        && sum(&|r| r.kind == kind::CAPTURE) <= sum(&|r| r.kind == kind::AUTHORIZE)
        && refunded <= sum(&taken)
        && (count(&|r| r.kind == kind::CAPTURE) == 0 || count(&|r| r.kind == kind::VOID) == 0)
        && records.iter().all(|r| r.currency == first.currency && r.amount >= 0)
        && records.iter().enumerate().all(|(at, r)| r.no == 0 || settles_once(&records[..at], r));
    if !sound {
        book.find(LAW, subject(), format!("the gateway has {}", list(records)));
    }
}

/// A refund is given, refused or fenced, once (given twice is a finding of its own).
fn settles_once(before: &[Record], record: &Record) -> bool {
    let refund = |r: &Record| r.kind == kind::REFUND;
    before.iter().all(|r| r.no != record.no || (refund(r) && refund(record)))
}

fn against_payment(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let subject = || ids::payment(case.id);
    if case.psp.iter().any(|record| record.currency != payment.currency.as_bytes()) {
        let detail = format!("the payment is in {}; {}", payment.currency, list(case.psp));
        book.find(CURRENCY, subject(), detail);
    }
    if payment.in_flight() {
        return;
    }
    let taken = |record: &&Record| matches!(record.kind, kind::CHARGE | kind::CAPTURE);
    let sure = case.psp.iter().filter(|record| !record.newer);
    let captured = i128::from(payment.captured);
    let all = net(case.psp.iter().filter(taken));
    if all != captured && net(sure.filter(taken)) != captured {
        let detail = format!("the payment has captured {captured}, the gateway took {all}");
        book.find(CAPTURED, subject(), detail);
    }
    authorization(case, payment, book);
    refunds(case, payment, book);
}

fn authorization(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let amount = |wanted: u8| {
        case.psp.iter().find(|record| record.kind == wanted).map(|record| record.amount)
    };
    let sound = match payment.state {
        state::AUTHORIZED => {
            let gone =
                case.psp.iter().any(|r| !r.newer && matches!(r.kind, kind::VOID | kind::CAPTURE));
            amount(kind::AUTHORIZE) == Some(payment.authorized) && !gone
        }
        state::VOIDED => amount(kind::AUTHORIZE).is_none() || amount(kind::VOID).is_some(),
        _ => true,
    };
    if !sound || (payment.mode == 2 && amount(kind::CHARGE).is_some()) {
        let detail = format!(
            "the payment (mode {}) is {} with {} authorised; the gateway has {}",
            payment.mode,
            state::name(payment.state),
            payment.authorized,
            list(case.psp)
        );
        book.find(AUTHORIZED, ids::payment(case.id), detail);
    }
}

/// Matches the payment's refunds with the gateway's by number.
fn refunds(case: &Case<'_>, payment: &Payment, book: &mut Book) {
    let given =
        |refund: &Refund| case.psp.iter().find(|r| r.kind == kind::REFUND && is_of(r, refund));
    for refund in &payment.refunds {
        let record = given(refund);
        let sound = match refund.state {
            refund_state::DONE if refund.amount == 0 => record.is_none(),
            refund_state::DONE => record.is_some_and(|record| record.amount == refund.amount),
            refund_state::REFUSED => record.is_none_or(|record| record.newer),
            refund_state::SET_ASIDE | refund_state::RELEASED => record.is_none(),
            _ => true,
        };
        if !sound {
            let detail = format!(
                "refund {} of {} is {}; the gateway has {}",
                refund.no,
                refund.amount,
                refund_state::name(refund.state),
                list(case.psp)
            );
            book.find(REFUNDED, ids::payment(case.id), detail);
        }
    }
    let known = |record: &Record| payment.refunds.iter().any(|refund| is_of(record, refund));
    for record in case.psp.iter().filter(|r| r.kind == kind::REFUND && !r.newer && !known(r)) {
        let detail = format!("the gateway gave refund {} of {}", record.no, record.amount);
        book.find(REFUND_LOST, ids::payment(case.id), detail);
    }
}

/// Refund 0, the first attempt to reverse a payment, goes under a number of its own at the gateway:
/// one above those of an order's refunds, which are at most 999. Later attempts follow it.
fn is_of(record: &Record, refund: &Refund) -> bool {
    let no = i64::from(record.no);
    if refund.no == 0 { no == 1_000 } else { no == refund.no }
}

fn list(records: &[Record]) -> String {
    if records.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = records
        .iter()
        .map(|record| {
            let what = match record.kind {
                kind::CHARGE => "charge",
                kind::AUTHORIZE => "authorize",
                kind::CAPTURE => "capture",
                kind::VOID => "void",
                kind::REFUND => "refund",
                kind::DECLINE => "decline",
                kind::FENCE => "fence",
                _ => "refuse",
            };
            let currency = String::from_utf8_lossy(&record.currency);
            format!("{what} {} {currency} (no {})", record.amount, record.no)
        })
        .collect();
    shown.join(", ")
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
