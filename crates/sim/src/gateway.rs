//! The simulated payment gateway: books of its own, and a fate for every call.
//!
//! What it *does* is decided when a request arrives, once for each key; what is *heard* of it is
//! another matter, and the world decides that ([`crate::world`]).

use std::collections::BTreeMap;

use jangbu_domain::payment::command::{Ask, Call, Said};

use crate::dice::Dice;
use crate::plan::GatewayRisks;

/// Why no money will come under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Declined,
    Voided,
    Fenced,
}

/// What the gateway has of one payment.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) captured: i64,
    pub(crate) held: i64,
    /// How often money was taken or held.
    charges: u32,
    /// How often that was asked: more than once is what must never happen, although this gateway
    /// would notice.
    pub(crate) asked: u32,
    end: Option<End>,
    refuses_refunds: bool,
    /// An inquiry before this moment finds nothing.
    visible_from: i64,
    /// By number: the amount, or none if it was refused or fenced.
    pub(crate) refunds: BTreeMap<u32, Option<i64>>,
}

impl Account {
    pub(crate) fn given_back(&self) -> i64 {
        self.refunds.values().flatten().sum()
    }

    /// What was taken and not given back.
    pub(crate) fn kept(&self) -> i64 {
        self.captured - self.given_back()
    }

    fn stand(&self) -> Said {
        let psp_ref = "ref".into();
        match (self.captured, self.held, self.end) {
            (1.., _, _) => Said::Captured { psp_ref, amount: self.captured },
            (_, 1.., _) => Said::Authorized { psp_ref, amount: self.held },
            (_, _, Some(End::Voided)) => Said::Voided,
            (_, _, Some(End::Declined)) => Said::Declined { code: "card_declined".into() },
            (_, _, Some(End::Fenced)) => Said::Fenced,
            (_, _, None) => Said::NotFound,
        }
    }

    fn opened(&self) -> bool {
        self.charges > 0 || self.end.is_some()
    }

    fn fence(&mut self) {
        if !self.opened() {
            self.end = Some(End::Fenced);
        }
    }

    fn charge(&mut self, call: &Call, now: i64, (dice, risks): (&mut Dice, &GatewayRisks)) -> Said {
        self.asked += 1;
        if self.opened() {
            return self.stand();
        }
        if dice.chance(risks.decline) {
            self.end = Some(End::Declined);
            return self.stand();
        }
        self.charges += 1;
        if call.ask == Ask::Authorize || dice.chance(risks.hold) {
            self.held = call.amount;
        } else {
            self.captured = call.amount;
        }
        self.refuses_refunds = dice.chance(risks.refuse_refund);
        if dice.chance(risks.lag) {
            self.visible_from = now + dice.between(0, 50_000_000);
        }
        self.stand()
    }

    fn capture(&mut self, call: &Call) -> Said {
        if self.held > 0 {
            self.held = 0;
            self.captured = call.amount;
        }
        self.stand()
    }

    fn void(&mut self) -> Said {
        if self.captured > 0 {
            return Said::Refused { code: "captured".into() };
        }
        if self.held > 0 {
            self.end = Some(End::Voided);
        }
        self.held = 0;
        self.stand()
    }

    fn refund(&mut self, no: u32, amount: i64) -> Said {
        let left = self.kept();
        let fits = self.captured > 0 && amount <= left && !self.refuses_refunds;
        let fate = self.refunds.entry(no).or_insert_with(|| fits.then_some(amount));
        refunded(*fate)
    }
}

fn refunded(fate: Option<i64>) -> Said {
    match fate {
        Some(amount) => Said::Refunded { amount },
        None => Said::Refused { code: "refund_refused".into() },
    }
}

/// The gateway's books.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    accounts: BTreeMap<i64, Account>,
}

impl Gateway {
    /// A request arrives: what the gateway does about it, and says.
    pub(crate) fn hear(&mut self, call: &Call, now: i64, luck: (&mut Dice, &GatewayRisks)) -> Said {
        let account = self.accounts.entry(call.payment.0).or_default();
        match call.ask {
            Ask::Charge | Ask::Authorize => account.charge(call, now, luck),
            Ask::Capture => account.capture(call),
            Ask::Void => account.void(),
            Ask::Refund(no) => account.refund(no, call.amount),
            Ask::InquireRefund(no) => {
                account.refunds.get(&no).map_or(Said::NotFound, |f| refunded(*f))
            }
            Ask::Inquire if now < account.visible_from => Said::NotFound,
            Ask::Inquire => account.stand(),
            Ask::Fence => {
                account.fence();
                account.stand()
            }
        }
    }

    /// Nothing that has not arrived under this key ever will: what an operator arranges by
    /// telephone before a verdict.
    pub(crate) fn fence(&mut self, payment: i64) {
        self.accounts.entry(payment).or_default().fence();
    }

    pub(crate) fn account(&self, payment: i64) -> Option<&Account> {
        self.accounts.get(&payment)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = (i64, &Account)> {
        self.accounts.iter().map(|(id, account)| (*id, account))
    }
}
