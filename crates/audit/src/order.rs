//! Orders: the saga's state against lines, reservation, payment and refunds.
//!
//! ```text
//! HOLDING → AWAIT_PAY → PAYING ⇄ PAY_UNKNOWN → COMMITTING → COMPLETED
//!     └──────────┴─────────┴──────────┴─→ (REVERSING →) UNWINDING → CANCELLED      STUCK
//! ```

mod perks;
mod refunds;
mod row;
mod shares;

use crate::{
    book::{Book, Rule, rules},
    ids,
    payment::state as pay,
    walk::{Case, World},
};

use row::{Range, Shipment};

pub(crate) use row::{Line, Order, Refund, SQL};

rules! {
    LINES = "order.lines", Mismatched, "An order has lines, each of one unit or more at no negative price.";
    TOTAL = "order.total", Mismatched, "The total is the sum of quantity × unit price over the lines.";
    SKU = "order.sku", Mismatched, "Every line names a SKU of the catalog, of that merchant and, until its price changes, in the order's currency.";
    PRICE = "order.price", Mismatched, "The price of every line is one that its SKU has had.";
    RESERVATION = "order.reservation", Mismatched, "COMPLETED holds COMMITTED stock, CANCELLED none; a payment is asked over PINNED stock (or was hinted at too late).";
    RESERVED = "order.reserved", Mismatched, "A reservation has the order's lines summed by SKU.";
    PAYMENT = "order.payment", Mismatched, "COMPLETED, COMMITTING and REVERSING have captured the total; before, nothing is; CANCELLED waits for nothing.";
    UNPAID = "order.unpaid", Lost, "An order that asked for its payment, or completed, has a payment row.";
    NET = "order.net", Mismatched, "A CANCELLED order keeps no money: captured − refunded − pending = 0.";
    OUTCOME = "order.outcome", Mismatched, "Outcome and settling time stand when an order has ended, SOLD exactly when COMPLETED.";
    STEPS = "order.steps", Mismatched, "COMPLETED has done both steps, CANCELLED waits for neither (units that an operator gave up on may still be held); only STUCK remembers where it got stuck.";
    ABANDONED = "order.abandoned", Mismatched, "What an operator has abandoned says so as CANCELLED with an outcome that is no sale, and owes no money to a merchant.";
    REFUNDED = "order.refunded", Mismatched, "Refunded is the sum of the refunds that are DONE (those RESTORING may be in it).";
    REFUND_LINES = "order.refund-lines", Mismatched, "A refund is the price of its units, and no unit is refunded twice.";
    REFUND_DOUBLED = "order.refund-doubled", Doubled, "A refund number stands once in an order.";
    REFUND_PAYMENT = "order.refund-payment", Mismatched, "A refund past its pivot is DONE at the payment, one at the gateway is known to it.";
    PERKS = "order.perks", Mismatched, "An order that is paid, or about to be, has used its coupon on goods of its scope and spent the points that it wanted, takes off no more than its goods cost, and costs the card what the buyer expected.";
    PARTS = "order.parts", Mismatched, "The payment's split, and each refund's, is what the units bear of card, points and coupon, to the last won.";
    EARNING = "order.earning", Mismatched, "A sold order earns its rate of what the card pays; a refund has taken back, or kept from the cash, what its units had earned.";
    SHIPPED = "order.shipped", Mismatched, "Only a sold order is sent, each unit once.";
    TIMER = "order.timer", Mismatched, "An order that has not ended, and one that refunds, will be woken by a timer.";
    OVERDUE = "order.overdue", Mismatched, "No timer of an open order is due for more than five minutes.";
    COMMITTING = "order.committing", Mismatched, "No order is COMMITTING for more than 30 seconds after its capture.";
}

/// Order states of the schema.
pub(crate) mod state {
    pub(crate) const HOLDING: i64 = 1;
    pub(crate) const AWAIT_PAY: i64 = 2;
    pub(crate) const PAYING: i64 = 3;
    pub(crate) const PAY_UNKNOWN: i64 = 4;
    pub(crate) const COMMITTING: i64 = 5;
    pub(crate) const REVERSING: i64 = 6;
    pub(crate) const UNWINDING: i64 = 7;
    pub(crate) const COMPLETED: i64 = 8;
    pub(crate) const CANCELLED: i64 = 9;
    pub(crate) const STUCK: i64 = 10;

    pub(crate) fn name(state: i64) -> &'static str {
        match state {
            HOLDING => "HOLDING",
            AWAIT_PAY => "AWAIT_PAY",
            PAYING => "PAYING",
            PAY_UNKNOWN => "PAY_UNKNOWN",
            COMMITTING => "COMMITTING",
            REVERSING => "REVERSING",
            UNWINDING => "UNWINDING",
            COMPLETED => "COMPLETED",
            CANCELLED => "CANCELLED",
            STUCK => "STUCK",
            _ => "in no known state",
        }
    }
}

/// States of an order's refund.
pub(crate) mod refund_state {
    pub(crate) const REQUESTED: i64 = 1;
    pub(crate) const PSP_REFUND: i64 = 2;
    pub(crate) const RESTORING: i64 = 3;
    pub(crate) const DONE: i64 = 4;
    pub(crate) const REFUSED: i64 = 5;
    pub(crate) const SETTING_ASIDE: i64 = 6;
    pub(crate) const SET_ASIDE: i64 = 7;
    pub(crate) const CLAWING: i64 = 8;
    pub(crate) const UNCLAWING: i64 = 9;
}

/// Whether a refund with this number gives back a whole payment, and no units.
pub(crate) fn is_reversal(no: i64) -> bool {
    !(1..=999).contains(&no)
}

const SECOND: i64 = 1_000_000;

/// Checks the order of a case.
pub(crate) fn check(case: &Case<'_>, world: &World<'_>, book: &mut Book) {
    let Some(order) = &case.order else { return };
    let mut find = |rule, detail| book.find(rule, ids::order(case.id), detail);
    lines(order, world, &mut find);
    ending(order, &mut find);
    stock(case, order, &mut find);
    money(case, order, &mut find);
    refunds::check(order, case.payment.as_ref(), &mut find);
    perks::check(order, case.payment.as_ref(), &mut find);
    refunds::abandoned(order, case.payment.as_ref(), &mut find);
    timers(case, order, world, &mut find);
}

fn lines(order: &Order, world: &World<'_>, find: &mut impl FnMut(Rule, String)) {
    if order.lines.is_empty() || order.lines.iter().any(|l| l.quantity < 1 || l.price < 0) {
        find(LINES, "no line, or one without units or with a negative price".to_owned());
    }
    let sum: i128 = order.lines.iter().map(Line::amount).sum();
    if sum != i128::from(order.total) {
        find(TOTAL, format!("total {}, its lines sum to {sum}", order.total));
    }
    for line in &order.lines {
        let Some(sku) = world.catalog.sku(line.sku) else {
            find(SKU, format!("{} is in no catalog", ids::sku(line.sku)));
            continue;
        };
        let merchant = world.catalog.merchant(sku);
        if merchant.is_some_and(|m| m != line.merchant) || sku.currency != order.currency {
            let ours = format!("{} of {} in {}", ids::sku(line.sku), line.merchant, order.currency);
            let theirs = format!("{} in {}", merchant.unwrap_or("?"), sku.currency);
            find(SKU, format!("{ours}; the catalog says {theirs}"));
        }
        if !world.catalog.has_cost(line.sku, line.price) {
            let detail = format!("{} for {}, which it never cost", ids::sku(line.sku), line.price);
            find(PRICE, format!("{detail}; it costs {}", sku.price));
        }
    }
}

fn ending(order: &Order, find: &mut impl FnMut(Rule, String)) {
    let name = state::name(order.state);
    let sold = order.outcome.as_deref() == Some("SOLD");
    let ended = matches!(order.state, state::COMPLETED | state::CANCELLED);
    let named = match order.state {
        state::COMPLETED => sold,
        state::CANCELLED => order.outcome.is_some() && !sold,
        state::REVERSING | state::UNWINDING | state::STUCK => !sold,
        _ => order.outcome.is_none(),
    };
    let settled = order.state == state::STUCK || order.settled_at.is_some() == ended;
    if !named || !settled {
        let detail = format!(
            "{name} with outcome {} and settled_at {:?}",
            order.outcome.as_deref().unwrap_or("none"),
            order.settled_at
        );
        find(OUTCOME, detail);
    }
    let steps = [order.stock_step, order.pay_step];
    let stepped = match order.state {
        state::COMPLETED => steps == [2, 2],
        state::CANCELLED if order.left_units() => !matches!(order.pay_step, 1 | 4),
        state::CANCELLED => {
            let all = [order.stock_step, order.pay_step, order.coupon_step, order.point_step];
            !all.iter().any(|step| matches!(step, 1 | 4))
        }
        _ => true,
    };
    if !stepped || (order.state == state::STUCK) != (order.stuck_in != 0) {
        let [stock, pay] = steps;
        let detail = format!("{name} with steps {stock}, {pay}, stuck in {}", order.stuck_in);
        find(STEPS, detail);
    }
}

fn stock(case: &Case<'_>, order: &Order, find: &mut impl FnMut(Rule, String)) {
    let held = case.reservation.as_ref().map(|reservation| reservation.state);
    let asked = case.payment.as_ref().is_some_and(|payment| payment.state != pay::INTENT);
    let fits = match order.standing() {
        // After a hint that it was paid, a hold that has expired meanwhile cannot be pinned.
        state::PAYING | state::PAY_UNKNOWN if asked => held == Some(2) || order.stock_step == 3,
        state::COMMITTING => matches!(held, Some(2 | 3)),
        state::COMPLETED => held == Some(3),
        state::CANCELLED if order.left_units() => matches!(held, Some(1 | 2 | 4 | 5)),
        state::CANCELLED => matches!(held, None | Some(4 | 5)),
        _ => held != Some(3),
    };
    if !fits {
        let what = match held {
            None => "no reservation".to_owned(),
            Some(held) => format!("a reservation {}", crate::inventory::state_name(held)),
        };
        find(RESERVATION, format!("{} with {what}", state::name(order.state)));
    }
    if let Some(reservation) = &case.reservation
        && !reservation.is_tombstone()
    {
        let all = order.whole();
        let ordered = order.by_sku(&all);
        let same = reservation.lines.iter().map(|(sku, q)| (*sku, i128::from(*q))).eq(ordered);
        if !same {
            find(RESERVED, format!("reserved {:?} (sku, quantity)", reservation.lines));
        }
    }
}

fn money(case: &Case<'_>, order: &Order, find: &mut impl FnMut(Rule, String)) {
    let name = state::name(order.state);
    let standing = order.standing();
    let must_exist = matches!(standing, state::PAY_UNKNOWN..=state::REVERSING | state::COMPLETED);
    let Some(payment) = &case.payment else {
        if must_exist {
            find(UNPAID, format!("{name}, and {} is absent", ids::payment(case.id)));
        }
        return;
    };
    let fits = match standing {
        state::COMMITTING | state::REVERSING | state::COMPLETED => {
            payment.state == pay::CAPTURED && i128::from(payment.captured) == order.card()
        }
        state::HOLDING | state::AWAIT_PAY | state::PAYING | state::PAY_UNKNOWN => {
            payment.captured == 0
        }
        state::CANCELLED => {
            matches!(payment.state, pay::INTENT | pay::CAPTURED | pay::DECLINED | pay::VOIDED)
        }
        _ => true,
    };
    if !fits {
        let theirs = pay::name(payment.state);
        let detail = format!("{name}, {} by card: the payment is {theirs}", order.card());
        find(PAYMENT, format!("{detail} with {} captured", payment.captured));
    }
    if order.state == state::CANCELLED && payment.kept() != 0 {
        find(NET, format!("CANCELLED, and {} of the customer's money is kept", payment.kept()));
    }
}

fn timers(case: &Case<'_>, order: &Order, world: &World<'_>, find: &mut impl FnMut(Rule, String)) {
    if !order.is_open() && !order.refunds_open() && order.earn_step != 1 {
        return;
    }
    let name = state::name(order.state);
    let theirs = [
        order.next_at,
        case.payment.as_ref().and_then(|payment| payment.next_at),
        case.reservation.as_ref().and_then(|reservation| reservation.next_at),
    ];
    match theirs.iter().flatten().min() {
        None if order.state != state::STUCK => find(TIMER, format!("{name} without any timer")),
        Some(due) if world.clock.saturating_sub(*due) > 300 * SECOND => {
            let late = (world.clock - due) / SECOND;
            find(OVERDUE, format!("{name}, and a timer is {late} s overdue"));
        }
        _ => {}
    }
    let age = case.legs.first().map(|leg| world.clock.saturating_sub(leg.at));
    if let Some(age) = age.filter(|age| order.state == state::COMMITTING && *age > 30 * SECOND) {
        find(COMMITTING, format!("COMMITTING for {} s", age / SECOND));
    }
}
