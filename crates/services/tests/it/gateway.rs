//! A gateway that answers at once, as its token says. It keeps books, so that an inquiry finds
//! what a charge without an answer has done, and a second charge shows.

use std::collections::BTreeMap;

use jangbu_domain::payment::command::{Ask, Call, Command, Said};
use jangbu_kernel::Job;

/// What becomes of a charge.
pub(crate) const TOKENS: [&str; 7] =
    ["ok", "declined", "hidden", "lost", "unsent", "held", "refund_refused"];

#[derive(Debug, Default)]
struct Account {
    token: String,
    charges: u32,
    captured: i64,
    held: i64,
    declined: bool,
    fenced: bool,
    refunds: BTreeMap<u32, i64>,
}

/// The gateway's books.
#[derive(Debug, Default)]
pub(crate) struct Gateway {
    accounts: BTreeMap<i64, Account>,
}

impl Gateway {
    /// The answer to a call.
    pub(crate) fn hear(&mut self, job: &Job) -> Command {
        let call: &Call = job.body.expect_ref();
        let account = self.accounts.entry(call.payment.0).or_default();
        let said = account.hear(call);
        Command::Said { payment: call.payment, ask: call.ask, said }
    }

    /// What was taken and not given back.
    pub(crate) fn kept(&self) -> BTreeMap<i64, i64> {
        let kept = |a: &Account| a.captured - a.refunds.values().sum::<i64>();
        self.accounts.iter().map(|(id, account)| (*id, kept(account))).collect()
    }

    /// The most charges that any payment was asked for.
    pub(crate) fn most_charges(&self) -> u32 {
        self.accounts.values().map(|account| account.charges).max().unwrap_or(0)
    }
}

impl Account {
    fn hear(&mut self, call: &Call) -> Said {
        match call.ask {
            Ask::Charge | Ask::Authorize => self.charge(call),
            Ask::Capture => {
                self.captured = call.amount;
                self.stand()
            }
            Ask::Void if self.captured == 0 => {
                self.held = 0;
                Said::Voided
            }
            Ask::Void => Said::Refused { code: "captured".into() },
            Ask::Refund(_) if self.token == "refund_refused" => {
                Said::Refused { code: "account_closed".into() }
            }
            Ask::Refund(no) => {
                self.refunds.insert(no, call.amount);
                Said::Refunded { amount: call.amount }
            }
            Ask::InquireRefund(no) => match self.refunds.get(&no) {
                Some(amount) => Said::Refunded { amount: *amount },
                None => Said::NotFound,
            },
            Ask::Inquire => self.stand(),
            Ask::Fence => {
                self.fenced = true;
                if self.captured > 0 { self.stand() } else { Said::Fenced }
            }
        }
    }

    fn charge(&mut self, call: &Call) -> Said {
        let token = call.token.as_ref().map_or("", |token| token.reveal());
        token.clone_into(&mut self.token);
        self.charges += 1;
        match token {
            "unsent" => return Said::NotSent { why: "breaker_open".into() },
            "lost" => return Said::Unknown { why: "timeout".into() },
            "declined" => self.declined = true,
            "held" => self.held = call.amount,
            _ if call.ask == Ask::Authorize => self.held = call.amount,
            _ => self.captured = call.amount,
        }
        match token {
            "hidden" => Said::Unknown { why: "timeout".into() },
            _ => self.stand(),
        }
    }

    fn stand(&self) -> Said {
        let psp_ref: Box<str> = "ref".into();
        match (self.captured, self.held, self.declined) {
            (1.., _, _) => Said::Captured { psp_ref, amount: self.captured },
            (_, 1.., _) => Said::Authorized { psp_ref, amount: self.held },
            (_, _, true) => Said::Declined { code: "card_declined".into() },
            _ if self.fenced => Said::Fenced,
            _ => Said::NotFound,
        }
    }
}
