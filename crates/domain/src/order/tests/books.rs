//! What must be right when nothing is left to do: stock, money and the ledger, each compared with
//! the others and with the gateway's own book.

use jangbu_kernel::{Currency, SkuId};

use super::gateway::Book;
use super::world::{EARNED_POINTS, LINES, PAID_POINTS, World};
use crate::coupon::model::State as Coupon;
use crate::inventory::model::State as Held;
use crate::ledger::AccountId;
use crate::order::allocation::Allocation;
use crate::order::model::{Order, Refund, RefundState, State, Step};
use crate::payment::command::Part;
use crate::payment::model::{Payment, RefundState as Back, State as Paid};

impl World {
    /// Nothing is left to do, and all books are right.
    pub(super) fn assert_right(&self) {
        let order = self.order().expect("an order that was placed");
        let ended = matches!(order.state, State::Completed | State::Cancelled | State::Stuck);
        assert!(ended && order.next_at.is_none(), "{order:?}");
        assert!(self.queue.is_empty() && self.later.is_empty());
        self.assert_stock(order);
        self.assert_money(order);
        self.assert_perks(order);
        self.assert_ledger();
        let ends = self.facts.iter().filter(|fact| matches!(**fact, "completed" | "cancelled"));
        assert!(ends.count() <= 1, "an order ends once: {:?}", self.facts);
    }

    fn assert_stock(&self, order: &Order) {
        let held = self.reservation().map(|reservation| reservation.state);
        let fits = match order.state {
            State::Completed => held == Some(Held::Committed),
            State::Cancelled => matches!(held, None | Some(Held::Released | Held::Expired)),
            _ => held != Some(Held::Committed),
        };
        assert!(fits, "{:?} with a reservation {held:?}", order.state);
        let pinned = matches!(held, Some(Held::Held | Held::Pinned));
        for (index, (sku, quantity, ..)) in LINES.into_iter().enumerate() {
            let stock = self.inventory.stock.get(SkuId(sku)).unwrap();
            stock.assert_lawful(SkuId(sku));
            let sold = if held == Some(Held::Committed) { quantity } else { 0 };
            assert_eq!((stock.reserved, stock.sold), (if pinned { quantity } else { 0 }, sold));
            let done = order.refunds.iter().filter(|refund| !refund.is_open());
            let live = done.filter(|refund| refund.state != RefundState::Refused);
            let units = live.flat_map(|refund| &refund.units).filter(|range| range.line == index);
            assert_eq!(stock.returned, units.map(|range| range.quantity).sum::<i64>());
            assert!(stock.returned <= quantity);
        }
    }

    fn assert_money(&self, order: &Order) {
        let net = self.gateway.net();
        let done = order.refunds.iter().filter(|refund| refund.state == RefundState::Done);
        assert_eq!(order.refunded, done.map(|refund| refund.amount).sum::<i64>());
        assert!(order.refunded <= order.card().max(0) && self.gateway.charges <= 1);
        let (captured, refunded) = self.payment().map_or((0, 0), |p| (p.captured, p.refunded));
        if order.state == State::Stuck {
            return; // an operator compares the gateway's book with ours
        }
        assert!(!order.refunds.iter().any(Refund::is_open), "{order:?}");
        assert_eq!(net, captured - refunded, "{:?}", self.payment());
        assert_eq!(refunded, order.refunded);
        let aside = set_aside(order);
        let sold = order.state == State::Completed;
        let owed = if sold { order.card() - order.refunded } else { aside };
        assert_eq!(net, owed, "{order:?} {:?}", self.payment());
        assert_ne!(self.gateway.book, Book::Held, "a hold was forgotten");
        if let Some(payment) = self.payment() {
            assert_eq!(payment.unsound(), None);
            let paid = payment.state == Paid::Captured;
            assert!(paid || order.state == State::Cancelled);
        }
    }

    fn assert_ledger(&self) {
        let (captured, refunded) = self.payment().map_or((0, 0), |p| (p.captured, p.refunded));
        let sum = |code: &str| {
            let id = AccountId::of(code, Currency::KRW);
            let rows = &self.ledger.account;
            let account = if rows.holds(id) { rows.get(id) } else { None };
            account.map_or(0, |account| account.debits - account.credits)
        };
        let payables = sum("merchant:m-1:payable") + sum("merchant:m-2:payable");
        let aside = self.order().map_or(0, set_aside);
        assert_eq!(sum("psp:sim:receivable"), captured - refunded);
        assert_eq!(sum("customer:refundable"), -aside);
        let (shares, deducted) = self.payment().map_or(([0; 4], 0), shares);
        assert_eq!(payables, -shares.iter().sum::<i64>(), "{:?}", self.payment());
        assert_eq!(sum("promo:coupon"), shares[3]);
        assert_eq!(captured - refunded - aside, shares[0] + deducted);
        let given: i64 = ["promo:points", "points:earned", "points:paid"].map(sum).iter().sum();
        assert_eq!(
            given,
            shares[1] + shares[2] - deducted,
            "what no merchant has is the customers'"
        );
    }

    /// Coupon and points are where the order says, and the buyer has the rest.
    fn assert_perks(&self, order: &Order) {
        if order.state == State::Stuck {
            return;
        }
        let sold = order.state == State::Completed;
        let used = self.coupon().is_some_and(|coupon| coupon.state == Coupon::Used);
        let units: i64 = order.lines.iter().map(|line| line.quantity).sum();
        let done = || order.refunds.iter().filter(|refund| refund.state == RefundState::Done);
        let back: i64 = done().flat_map(|refund| &refund.units).map(|range| range.quantity).sum();
        assert_eq!(used, self.perks && sold && back < units, "{order:?} {:?}", self.coupon());
        let Some(account) = self.account() else { return };
        let spent = if sold { (order.points.paid, order.points.earned) } else { (0, 0) };
        let paid: i64 = done().map(|refund| refund.paid).sum();
        let earned: i64 = done().map(|refund| refund.earned).sum();
        let first = if self.coupon().is_some() { (PAID_POINTS, EARNED_POINTS) } else { (0, 0) };
        assert_eq!(account.left.paid, first.0 - spent.0 + paid, "{order:?}");
        let earns = if order.earning.step == Step::Done { order.earning.points } else { 0 };
        let clawed: i64 = done().map(|refund| refund.clawed).sum();
        assert_eq!(account.left.earned, first.1 - spent.1 + earned + earns - clawed, "{order:?}");
        assert!(order.earning.step != Step::Asked && order.earning.step != Step::Refused);
        for refund in done().filter(|refund| !refund.units.is_empty()) {
            let share = Allocation::of(order).sum(&refund.units);
            assert_eq!((refund.paid, refund.earned), (share.paid, share.earned));
            assert_eq!(refund.amount + refund.deduct, share.card);
        }
    }
}

/// Card, paid points, earned points and coupon that the payment has moved to merchants, and what
/// was kept of refunds.
fn shares(payment: &Payment) -> ([i64; 4], i64) {
    let (mut sum, mut deducted) = ([0; 4], 0);
    let mut add = |parts: &[Part], sign: i64| {
        for part in parts {
            sum.iter_mut().zip(part.shares()).for_each(|(sum, share)| *sum += sign * share);
        }
    };
    if payment.state == Paid::Captured {
        add(&payment.split, 1);
    }
    for refund in &payment.refunds {
        if matches!(refund.state, Back::Done | Back::SetAside) {
            add(&refund.parts, -1);
            deducted += refund.deduct;
        }
    }
    (sum, deducted)
}

/// What an operator has set aside for the customer.
fn set_aside(order: &Order) -> i64 {
    let aside = order.refunds.iter().filter(|refund| refund.state == RefundState::SetAside);
    aside.map(|refund| refund.amount).sum()
}
