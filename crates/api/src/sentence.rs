//! Why is this not done? How an order or a payment stands, in one sentence for somebody who does
//! not know its states: what it waits for, how often that was tried, when it is tried again, and
//! since when it waits.

use std::fmt::{self, Display};

use jangbu_domain::order::model::{Order, Outcome, Refund, RefundState, State};
use jangbu_domain::order::operate::verbs;
use jangbu_domain::payment::model::Payment;
use jangbu_kernel::Time;

use crate::text::At;

/// A span as people say it: its two largest units.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ago(pub(crate) i64);

impl Ago {
    /// From `since` to `now`, never negative.
    pub(crate) fn between(since: Time, now: Time) -> Self {
        Self((now - since).0.max(0) / 1_000_000)
    }
}

impl Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours, minutes) = (self.0 / 86_400, self.0 / 3_600 % 24, self.0 / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{} s", self.0),
            (0, 0, minutes) => write!(f, "{minutes} min"),
            (0, hours, minutes) => write!(f, "{hours} h {minutes} min"),
            (days, hours, _) => write!(f, "{days} d {hours} h"),
        }
    }
}

/// How an order stands.
pub(crate) fn of_order(order: &Order, now: Time) -> String {
    let mut clauses = vec![what(order)];
    let aside = order.refunds.iter().filter(|refund| refund.state == RefundState::SetAside);
    clauses.extend(aside.map(|refund| {
        let money = format!("{} {}", refund.amount, order.currency);
        format!("{money} that no gateway gives back are set aside for the customer")
    }));
    if order.is_settled() && order.next_at.is_none() {
        let said = clauses.join("; ");
        return match order.settled_at {
            Some(at) => format!("{said}. Settled at {}.", At(at)),
            None => said + ".",
        };
    }
    if order.cancel_wanted && order.outcome.is_none() {
        clauses.push("it is not wanted any more".to_owned());
    }
    if order.tries > 1 {
        clauses.push(format!("tried {} times", order.tries));
    }
    clauses.push(next(order, now));
    clauses.push(format!("the order is {} old", Ago::between(order.placed_at, now)));
    clauses.join("; ") + "."
}

/// When it goes on, and who has to make it go on.
fn next(order: &Order, now: Time) -> String {
    if order.state == State::Stuck {
        let verbs: Vec<_> = verbs(order).iter().map(|verb| verb.name()).collect();
        return format!("an operator may {}", verbs.join(" or "));
    }
    when(order.next_at, now)
}

fn when(next_at: Option<Time>, now: Time) -> String {
    match next_at {
        None => "nothing is scheduled".to_owned(),
        Some(at) if at > now => {
            format!("the next step is due at {}, in {}", At(at), Ago::between(now, at))
        }
        Some(at) => format!("the next step is due since {}", Ago::between(at, now)),
    }
}

fn what(order: &Order) -> String {
    let reason = order.reason.as_deref().unwrap_or("no reason given");
    match order.state {
        State::Holding => "The units are being set aside".to_owned(),
        State::AwaitPay => "The units are set aside; the buyer has to pay".to_owned(),
        State::Paying => "The payment gateway is being asked".to_owned(),
        State::PayUnknown => {
            format!("Whether the money was taken is not known yet ({reason}); we keep asking")
        }
        State::Committing => "It is paid; the units are being booked as sold".to_owned(),
        State::Reversing => "It was paid and cancelled; the money is going back".to_owned(),
        State::Unwinding => format!("It is being undone ({reason})"),
        State::Completed if order.refunds.iter().any(Refund::is_open) => {
            "It was sold; a refund is under way".to_owned()
        }
        State::Completed if order.refunded >= order.total && order.refunded > 0 => {
            "It was sold, and everything was refunded".to_owned()
        }
        State::Completed if order.refunded > 0 => {
            format!("It was sold; {} {} were refunded", order.refunded, order.currency)
        }
        State::Completed => "It is paid and sold".to_owned(),
        State::Cancelled => {
            let outcome = order.outcome.map_or("CANCELLED", Outcome::name);
            format!("It ended without a sale: {outcome} ({reason})")
        }
        State::Stuck => format!("It cannot go on by itself: {} ({reason})", stuck(order)),
    }
}

fn stuck(order: &Order) -> &'static str {
    let refused = order.reversal().is_some_and(Refund::is_open);
    match order.stuck_in {
        Some(State::PayUnknown) => "the gateway does not say whether the money was taken",
        Some(State::Committing) => "it is paid, and its units are gone",
        Some(State::Reversing) => "the gateway refuses to give the money back",
        Some(State::Unwinding) => "what was held for it cannot be let go",
        Some(State::Cancelled) if refused => "the gateway refuses to give a late payment back",
        Some(State::Cancelled) => "the gateway holds money for it and does not let it go",
        _ => "it waits for an operator",
    }
}

/// How a payment of unknown outcome stands; `next_at` is when the gateway is asked again.
pub(crate) fn of_payment(payment: &Payment, next_at: Option<Time>, now: Time) -> String {
    let operation = payment.pending_op.name().to_ascii_lowercase();
    let reason = payment.reason.as_deref().unwrap_or("no reason given");
    let sent = Ago::between(payment.sent_at.unwrap_or(payment.at), now);
    let mut clauses =
        vec![format!("What became of the {operation} sent {sent} ago is not known ({reason})")];
    if payment.not_found > 0 {
        clauses.push(format!("the gateway has not found it {} times", payment.not_found));
    }
    clauses.push(match next_at {
        None => "nobody asks any more, so ask now or resolve it by evidence".to_owned(),
        next_at => when(next_at, now),
    });
    clauses.join("; ") + "."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_two_largest_units() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h 0 min"),
            (90_061, "1 d 1 h"),
        ] {
            assert_eq!(Ago(seconds).to_string(), said);
        }
        assert_eq!(Ago::between(Time(5_000_000), Time(1)).to_string(), "0 s");
    }
}
