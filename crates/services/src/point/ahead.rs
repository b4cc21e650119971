//! What will probably follow from a command of point: postings, and the money of a refund.

use jangbu_domain::point::command::{Command, Kind, Moved, What, posting};
use jangbu_domain::point::model::Rows;
use jangbu_domain::{ledger, payment};
use jangbu_engine::unit::Hints;
use jangbu_kernel::{Currency, Time, UserId};

/// Lots end with a month: seldom more than these end at once.
const LOTS: usize = 2;

/// Names it.
pub(super) fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
    match *command {
        Command::Earn { order, currency, .. } => {
            post((order.0, posting::EARN), (What::Earned, Kind::Earned), currency, hints);
        }
        Command::Grant { grant, currency, .. } => {
            post((grant.0, posting::GRANT), (What::Granted, Kind::Earned), currency, hints);
        }
        Command::ClawBack { order, user, no, .. } => {
            let seq = posting::CLAW + i64::from(no);
            post((order.0, seq), (What::ClawedBack, Kind::Earned), of(user, rows), hints);
        }
        Command::UnClaw { order, user, no } => {
            let seq = posting::UNCLAW + i64::from(no);
            post((order.0, seq), (What::Unclawed, Kind::Earned), of(user, rows), hints);
        }
        Command::Expire { user } => expired(user, rows, hints),
        Command::Refund { refund, payment, .. } => {
            let (amount, reason) = (0, Box::default());
            let give = payment::Command::ReturnPoints { payment, refund, amount, reason };
            hints.add(payment::UNIT, give);
        }
        Command::Charge { .. }
        | Command::Spend { .. }
        | Command::Restore { .. }
        | Command::RefundEnded { .. } => {}
    }
}

/// The currency of an account; that of the shop's points while nobody knows it.
fn of(user: UserId, rows: &Rows) -> Currency {
    rows.account.peek(user).map_or(rows.rules.currency, |account| account.currency)
}

fn post(
    (source, seq): (i64, i64),
    (what, kind): (What, Kind),
    currency: Currency,
    hints: &mut Hints,
) {
    let moved = Moved { source, seq, what, kind, amount: 1, currency };
    if let Some(post) = ledger::points::posting(&moved, Time(0)) {
        hints.add(ledger::UNIT, post);
    }
}

/// Lots whose time is over: the first ones, each with a posting.
fn expired(user: UserId, rows: &Rows, hints: &mut Hints) {
    let Some(account) = rows.account.peek(user) else { return };
    for (lot, n) in account.lots.iter().take(LOTS).zip(1..) {
        let source = (user.0, account.postings.saturating_add(n));
        post(source, (What::Expired, lot.kind), account.currency, hints);
    }
}
