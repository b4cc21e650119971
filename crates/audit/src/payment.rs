//! Payments: their amounts in themselves, and against the order they belong to.

mod refunds;

use crate::{
    book::{Book, rules},
    ids,
    order::{Order, state as order_state},
    rows::{Cells, Unreadable},
    walk::Case,
};

rules! {
    KEY = "payment.key", Mismatched, "A payment of an order has the order's integer as its id.";
    ORDER = "payment.order", Lost, "The order of a payment exists.";
    AMOUNT = "payment.amount", Mismatched, "A payment asks for the order's total, in the order's currency.";
    SPLIT = "payment.split", Mismatched, "The card's shares of the split sum to the amount, all shares to each merchant's lines in the order; what is paid for points has no split and no order.";
    LIMITS = "payment.limits", Mismatched, "0 ≤ refunded + pending ≤ captured ≤ authorised ≤ amount.";
    STATE = "payment.state", Mismatched, "A CAPTURED payment has captured its amount, any other nothing; a question to the gateway stands only in the states that wait for an answer, with a deadline.";
    INTENT = "payment.intent", Mismatched, "An INTENT waits for its client: its order has not ended.";
    REFUNDED = "payment.refunded", Mismatched, "Refunded is the sum of the refunds that are DONE, pending that of those SENT, UNKNOWN or SET_ASIDE.";
    REFUND_SPLIT = "payment.refund-split", Mismatched, "A refund is the sum of the card's shares of its parts without what is deducted, and no merchant gives back more of any share than it got.";
    REFUND_DOUBLED = "payment.refund-doubled", Doubled, "A refund number stands once in a payment.";
    REFUND_ORDER = "payment.refund-order", Mismatched, "Every refund of a payment is one of its order, with the same amount.";
    REFUND_POSTING = "payment.refund-posting", Mismatched, "A merchant's refund, which only a payment without an order has, is DONE exactly when it has one of the payment's postings for itself.";
    TIMER = "payment.timer", Mismatched, "A payment that waits for the gateway will be woken.";
}

/// Payment states of the schema.
pub(crate) mod state {
    pub(crate) const INTENT: i64 = 1;
    pub(crate) const SENT: i64 = 2;
    pub(crate) const AUTHORIZED: i64 = 3;
    pub(crate) const CAPTURE_SENT: i64 = 4;
    pub(crate) const VOID_SENT: i64 = 5;
    pub(crate) const CAPTURED: i64 = 6;
    pub(crate) const DECLINED: i64 = 7;
    pub(crate) const VOIDED: i64 = 8;
    pub(crate) const UNKNOWN: i64 = 9;

    pub(crate) fn name(state: i64) -> &'static str {
        match state {
            INTENT => "INTENT",
            SENT => "SENT",
            AUTHORIZED => "AUTHORIZED",
            CAPTURE_SENT => "CAPTURE_SENT",
            VOID_SENT => "VOID_SENT",
            CAPTURED => "CAPTURED",
            DECLINED => "DECLINED",
            VOIDED => "VOIDED",
            UNKNOWN => "UNKNOWN",
            _ => "in no known state",
        }
    }
}

/// States of a payment's refund.
pub(crate) mod refund_state {
    pub(crate) const SENT: i64 = 1;
    pub(crate) const UNKNOWN: i64 = 2;
    pub(crate) const DONE: i64 = 3;
    pub(crate) const REFUSED: i64 = 4;
    pub(crate) const SET_ASIDE: i64 = 5;
    pub(crate) const RELEASED: i64 = 6;

    /// Whether no money is claimed by it.
    pub(crate) fn is_void(state: i64) -> bool {
        matches!(state, REFUSED | RELEASED)
    }

    pub(crate) fn name(state: i64) -> &'static str {
        match state {
            SENT => "SENT",
            UNKNOWN => "UNKNOWN",
            DONE => "DONE",
            REFUSED => "REFUSED",
            SET_ASIDE => "SET_ASIDE",
            RELEASED => "RELEASED",
            _ => "in no known state",
        }
    }
}

/// How long a payment without an order is inquired about, in microseconds.
const GIVE_UP: i64 = 24 * 3_600 * 1_000_000;

/// The columns that are walked, by key.
pub(crate) const SQL: &str = "SELECT id, order_id, state, pending_op, mode, split, currency, \
     amount, authorized, captured, refunded, pending, psp, postings, sent_at, deadline, refunds, \
     next_at, version, points_of FROM payment ORDER BY id";

/// A payment row.
#[derive(Debug)]
pub(crate) struct Payment {
    pub(crate) order: Option<i64>,
    pub(crate) state: i64,
    pub(crate) pending_op: i64,
    pub(crate) mode: i64,
    pub(crate) split: Vec<Part>,
    pub(crate) currency: String,
    pub(crate) amount: i64,
    pub(crate) authorized: i64,
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
    pub(crate) pending: i64,
    pub(crate) psp: String,
    pub(crate) postings: i64,
    pub(crate) sent_at: Option<i64>,
    pub(crate) deadline: Option<i64>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) next_at: Option<i64>,
    pub(crate) version: i64,
    /// The user whose points it buys.
    pub(crate) points_of: Option<i64>,
}

/// A merchant's part, `["merchant",card]` or `["merchant",card,paid points,earned points,coupon]`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Part {
    pub(crate) merchant: String,
    pub(crate) card: i64,
    #[serde(default)]
    pub(crate) paid: i64,
    #[serde(default)]
    pub(crate) earned: i64,
    #[serde(default)]
    pub(crate) coupon: i64,
}

impl Part {
    /// Its shares.
    fn shares(&self) -> [i64; 4] {
        [self.card, self.paid, self.earned, self.coupon]
    }

    /// What the merchant gets.
    pub(crate) fn payable(&self) -> i128 {
        self.shares().into_iter().map(i128::from).sum()
    }
}

/// The sum of one share.
pub(crate) fn sum_of(parts: &[Part], share: impl Fn(&Part) -> i64) -> i128 {
    parts.iter().map(|part| i128::from(share(part))).sum()
}

/// A refund of a payment, `[no,state,amount,[part,…],deadline|null,id,"reason",posting,deducted]`.
/// Rows of the first version have none of the last four.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Refund {
    pub(crate) no: i64,
    pub(crate) state: i64,
    pub(crate) amount: i64,
    pub(crate) parts: Vec<Part>,
    pub(crate) deadline: Option<i64>,
    /// 0: its order's.
    #[serde(default)]
    pub(crate) id: i64,
    #[serde(default)]
    #[expect(dead_code, reason = "free text, about which there is no rule")]
    pub(crate) reason: String,
    /// 0: not moved, or moved before postings were written down here.
    #[serde(default)]
    pub(crate) posting: i64,
    /// Kept of the card's shares for earned points that were spent.
    #[serde(default)]
    pub(crate) deduct: i64,
}

impl Payment {
    /// Reads the columns of [`SQL`] after the key.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            order: cells.int_or_null()?,
            state: cells.int_in(state::INTENT..=state::UNKNOWN)?,
            pending_op: cells.int_in(0..=4)?,
            mode: cells.int_in(1..=2)?,
            split: cells.json()?,
            currency: cells.text()?.to_owned(),
            amount: cells.int()?,
            authorized: cells.int()?,
            captured: cells.int()?,
            refunded: cells.int()?,
            pending: cells.int()?,
            psp: cells.text()?.to_owned(),
            postings: cells.int()?,
            sent_at: cells.int_or_null()?,
            deadline: cells.int_or_null()?,
            refunds: cells.json()?,
            next_at: cells.int_or_null()?,
            version: cells.int()?,
            points_of: cells.int_or_null()?,
        })
    }

    /// Whether an answer of the gateway is awaited about the payment itself.
    pub(crate) fn in_flight(&self) -> bool {
        matches!(self.state, state::SENT | state::CAPTURE_SENT | state::VOID_SENT | state::UNKNOWN)
    }

    /// Captured and neither given back nor about to be.
    pub(crate) fn kept(&self) -> i128 {
        i128::from(self.captured) - i128::from(self.refunded) - i128::from(self.pending)
    }

    /// Whether its capture is posted: anything at all is paid.
    pub(crate) fn moves_money(&self) -> bool {
        self.amount != 0 || self.split.iter().any(|part| part.payable() != 0)
    }

    /// Refunds whose money has not moved.
    pub(crate) fn refunds_pending(&self) -> usize {
        self.refunds.iter().filter(|refund| refund.is_pending()).count()
    }
}

impl Refund {
    fn is_pending(&self) -> bool {
        matches!(self.state, refund_state::SENT | refund_state::UNKNOWN)
    }
}

/// Checks the payment of a case.
pub(crate) fn check(case: &Case<'_>, clock: i64, book: &mut Book) {
    let Some(payment) = &case.payment else { return };
    let mut find = |rule, detail| book.find(rule, ids::payment(case.id), detail);
    amounts(payment, &mut find);
    shape(payment, &mut find);
    refunds::check(payment, &mut find);
    match (payment.order, &case.order) {
        (Some(order), _) if order != case.id => {
            find(KEY, format!("belongs to {}", ids::order(order)));
        }
        (Some(_), None) => find(ORDER, format!("{} is absent", ids::order(case.id))),
        (Some(_), Some(order)) => against_order(payment, order, &mut find),
        (None, Some(_)) => find(KEY, "belongs to no order, but has the id of one".to_owned()),
        (None, None) => {}
    }
    let waits = payment.in_flight() || payment.refunds_pending() > 0;
    let theirs = case.order.as_ref().and_then(|order| order.next_at);
    let woken = payment.next_at.is_some() || theirs.is_some();
    let stuck = case.order.as_ref().is_some_and(|order| order.state == order_state::STUCK);
    // Without an order it stops to inquire after a day, and waits for an operator.
    let given_up = payment.order.is_none()
        && payment.sent_at.is_some_and(|sent_at| clock.saturating_sub(sent_at) >= GIVE_UP);
    if waits && !woken && !stuck && !given_up {
        let detail = format!("{} without any timer", state::name(payment.state));
        book.find(TIMER, ids::payment(case.id), detail);
    }
}

fn amounts(payment: &Payment, find: &mut impl FnMut(crate::Rule, String)) {
    let Payment { amount, authorized, captured, refunded, pending, .. } = *payment;
    let given = i128::from(refunded) + i128::from(pending);
    let sound = authorized <= amount
        && captured <= authorized
        && given <= i128::from(captured)
        && refunded.min(pending).min(captured).min(authorized) >= 0;
    if !sound {
        let detail = format!(
            "amount {amount}, authorised {authorized}, captured {captured}, refunded {refunded}, \
             pending {pending}"
        );
        find(LIMITS, detail);
    }
    if payment.points_of.is_some() {
        if !payment.split.is_empty() || payment.order.is_some() || amount <= 0 {
            find(SPLIT, format!("{amount} for points with a split or an order"));
        }
        return;
    }
    let card = sum_of(&payment.split, |part| part.card);
    if card != i128::from(amount) || payment.split.iter().any(is_negative) {
        find(SPLIT, format!("the card's shares sum to {card}, the amount is {amount}"));
    }
}

fn is_negative(part: &Part) -> bool {
    part.shares().into_iter().any(|share| share < 0)
}

fn shape(payment: &Payment, find: &mut impl FnMut(crate::Rule, String)) {
    let name = state::name(payment.state);
    let captured = if payment.state == state::CAPTURED { payment.amount } else { 0 };
    if payment.captured != captured {
        find(STATE, format!("{name} with {} of {} captured", payment.captured, payment.amount));
    }
    let asked = match payment.state {
        state::SENT => matches!(payment.pending_op, 1 | 2),
        state::CAPTURE_SENT => payment.pending_op == 3,
        state::VOID_SENT => payment.pending_op == 4,
        state::UNKNOWN => matches!(payment.pending_op, 1..=4),
        _ => payment.pending_op == 0,
    };
    if !asked {
        find(STATE, format!("{name} while operation {} is asked", payment.pending_op));
    }
    let sent = payment.in_flight() && payment.state != state::UNKNOWN;
    if sent && payment.deadline.is_none() {
        find(STATE, format!("{name} without a deadline"));
    }
    let late = |refund: &&Refund| refund.state == refund_state::SENT && refund.deadline.is_none();
    if let Some(refund) = payment.refunds.iter().find(late) {
        find(STATE, format!("refund {} is SENT without a deadline", refund.no));
    }
}

fn against_order(payment: &Payment, order: &Order, find: &mut impl FnMut(crate::Rule, String)) {
    let asked: i128 = payment.split.iter().map(Part::payable).sum();
    if asked != order.payable() || payment.currency != order.currency {
        let detail = format!(
            "asks for {asked} {}, the order's merchants get {} {}",
            payment.currency,
            order.payable(),
            order.currency
        );
        find(AMOUNT, detail);
    }
    for part in &payment.split {
        let (ordered, gets) = (order.of_merchant(&part.merchant), part.payable());
        if ordered != gets {
            find(SPLIT, format!("{} gets {gets}, its lines are {ordered}", part.merchant));
        }
    }
    if payment.state == state::INTENT
        && matches!(order.state, order_state::COMPLETED | order_state::CANCELLED)
    {
        find(INTENT, "its order has ended".to_owned());
    }
    for refund in &payment.refunds {
        let twin = order.refunds.iter().find(|other| other.no == refund.no);
        if twin.map(|twin| twin.amount) != Some(refund.amount) {
            let detail = format!(
                "refund {} of {} is {:?} in the order",
                refund.no,
                refund.amount,
                twin.map(|twin| twin.amount)
            );
            find(REFUND_ORDER, detail);
        }
    }
}
