//! What will probably follow from a command of order. Its parts elsewhere have its number, so most
//! of them can be named before the order itself is there.

use jangbu_domain::order::Rows;
use jangbu_domain::order::command::{Command, SagaEvent, Units};
use jangbu_domain::order::model::{Order, Refund, Step};
use jangbu_domain::payment::command::{Intent, Part, Purpose, SOON};
use jangbu_domain::{coupon, inventory, payment, point};
use jangbu_engine::unit::Hints;
use jangbu_kernel::{OrderId, PaymentId};

/// Names it.
pub(super) fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
    match command {
        Command::Place { .. } => placed(command, rows, hints),
        Command::Confirm { order, .. } => {
            hints.add(inventory::command::UNIT, inventory::command::Command::Pin { order: *order });
            look_at_payment(*order, hints);
        }
        Command::Hear { order, event: SagaEvent::PayCaptured { .. } } => sold(*order, rows, hints),
        Command::Hear { order, event: SagaEvent::RefundRefused { no, .. } } => {
            whole(*order, rows, hints);
            given_again(*order, *no, rows, hints);
        }
        Command::Hear { order, .. }
        | Command::Cancel { order, .. }
        | Command::Refund { order, .. }
        | Command::Operate { order, .. } => whole(*order, rows, hints),
        Command::Learn { .. } | Command::Ship { .. } | Command::Deliver { .. } => {}
    }
}

/// A new order: what it asks for, and what it needs to be turned round. Points and a coupon may pay
/// for all of it, and then the books follow at once.
fn placed(command: &Command, rows: &Rows, hints: &mut Hints) {
    let Command::Place { order, user, lines, expected, coupon, points, .. } = command else {
        return;
    };
    let (order, user) = (*order, *user);
    hints.add(inventory::command::UNIT, reserve(order, lines));
    if coupon.is_none() && *points == 0 {
        return look_at_payment(order, hints);
    }
    if let Some(coupon) = *coupon {
        let command = coupon::command::Command::Restore { coupon, order };
        hints.add(coupon::command::UNIT, command);
    }
    if *points > 0 {
        hints.add(point::command::UNIT, give_back(order, user));
    }
    let part = |units: &Units| {
        let merchant = rows.offer.peek(units.sku)?.merchant.clone();
        Some(Part { merchant, card: 0, paid: 1, earned: 1, coupon: 1 })
    };
    let intent = Intent {
        payment: PaymentId::from(order),
        order: Some(order),
        purpose: Purpose::Sale,
        amount: 0,
        currency: expected.currency,
        split: lines.iter().filter_map(part).collect(),
        capture_later: false,
    };
    let intend = payment::Command::Intend { intent, token: None, deadline: SOON };
    hints.add(payment::UNIT, intend);
}

fn reserve(order: OrderId, lines: &[Units]) -> inventory::command::Command {
    let line =
        |units: &Units| inventory::command::Line { sku: units.sku, quantity: units.quantity };
    let lines = lines.iter().map(line).collect();
    inventory::command::Command::Reserve { order, lines, pin: true, expires_at: SOON }
}

/// The payment, whatever is asked of it.
fn look_at_payment(order: OrderId, hints: &mut Hints) {
    let payment = PaymentId::from(order);
    let inquire = payment::Command::Inquire { payment, refund: None, deadline: SOON };
    hints.add(payment::UNIT, inquire);
}

fn give_back(order: OrderId, user: jangbu_kernel::UserId) -> point::command::Command {
    point::command::Command::Restore { order, user, no: 0, paid: 0, earned: 0 }
}

/// The money is taken.
fn sold(id: OrderId, rows: &Rows, hints: &mut Hints) {
    let found = rows.order.peek(id);
    if found.is_some_and(|order| order.cancel_wanted) {
        return whole(id, rows, hints);
    }
    let commit = inventory::command::Command::Commit { order: id };
    hints.add(inventory::command::UNIT, commit);
    let Some(order) = found else { return };
    let (user, currency) = (order.user, order.currency);
    if rows.rules.earn_bp > 0 && currency == rows.rules.earn_in {
        let earn = point::command::Command::Earn { order: id, user, amount: 1, currency };
        hints.add(point::command::UNIT, earn);
    }
}

/// Everything that the order has to do with.
fn whole(id: OrderId, rows: &Rows, hints: &mut Hints) {
    let release = inventory::command::Command::Release { order: id };
    hints.add(inventory::command::UNIT, release);
    let Some(order) = rows.order.peek(id) else { return look_at_payment(id, hints) };
    money(id, order, hints);
    if let Some(coupon) = order.coupon_id() {
        let restore = coupon::command::Command::Restore { coupon, order: id };
        hints.add(coupon::command::UNIT, restore);
    }
    if order.points.wanted > 0 || order.earning.step != Step::None {
        hints.add(point::command::UNIT, give_back(id, order.user));
    }
    if order.earning.step != Step::None {
        for no in refunds(order) {
            let (user, amount) = (order.user, 1);
            let claw = point::command::Command::ClawBack { order: id, user, no, amount };
            hints.add(point::command::UNIT, claw);
        }
    }
}

/// What the card has not paid goes back at once, without the gateway.
fn money(id: OrderId, order: &Order, hints: &mut Hints) {
    if order.card() > 0 || order.pay != Step::Done {
        return look_at_payment(id, hints);
    }
    let (payment, no, amount, parts) = (PaymentId::from(id), 0, 0, Vec::new());
    let refund = payment::Command::Refund { payment, no, amount, parts, deduct: 0, deadline: SOON };
    hints.add(payment::UNIT, refund);
}

/// The refunds that are under way, and the next one.
fn refunds(order: &Order) -> impl Iterator<Item = u32> {
    let last = order.refunds.iter().map(|refund| refund.no).max().unwrap_or(0);
    let open = order.refunds.iter().filter(|refund| refund.is_open());
    open.map(|refund: &Refund| refund.no).chain([last.saturating_add(1)])
}

/// What refund `no` took back comes again.
fn given_again(id: OrderId, no: u32, rows: &Rows, hints: &mut Hints) {
    let Some(order) = rows.order.peek(id) else { return };
    let unclaw = point::command::Command::UnClaw { order: id, user: order.user, no };
    hints.add(point::command::UNIT, unclaw);
}
