//! What must be right when nothing is left to do: stock, money and the ledger, each compared with
//! the others and with the gateway's own book.

use jangbu_kernel::{Currency, SkuId};

use super::gateway::Book;
use super::world::{LINES, World};
use crate::inventory::model::State as Held;
use crate::ledger::AccountId;
use crate::order::model::{Order, Refund, RefundState, State};
use crate::payment::model::State as Paid;

impl World {
    /// Nothing is left to do, and all books are right.
    pub(super) fn assert_right(&self) {
        let order = self.order().expect("an order that was placed");
        let ended = matches!(order.state, State::Completed | State::Cancelled | State::Stuck);
        assert!(ended && order.next_at.is_none(), "{order:?}");
        assert!(self.queue.is_empty() && self.later.is_empty());
        self.assert_stock(order);
        self.assert_money(order);
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
        assert!(order.refunded <= order.total && self.gateway.charges <= 1);
        let (captured, refunded) = self.payment().map_or((0, 0), |p| (p.captured, p.refunded));
        if order.state == State::Stuck {
            return; // an operator compares the gateway's book with ours
        }
        assert!(!order.refunds.iter().any(Refund::is_open), "{order:?}");
        assert_eq!(net, captured - refunded, "{:?}", self.payment());
        assert_eq!(refunded, order.refunded);
        let aside = set_aside(order);
        let sold = order.state == State::Completed;
        let owed = if sold { order.total - order.refunded } else { aside };
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
        assert_eq!(payables, refunded + aside - captured);
    }
}

/// What an operator has set aside for the customer.
fn set_aside(order: &Order) -> i64 {
    let aside = order.refunds.iter().filter(|refund| refund.state == RefundState::SetAside);
    aside.map(|refund| refund.amount).sum()
}
