//! The gateway's books: what it decides, apart from threads, files and chance.
//!
//! ```text
//!          charge                     refund no. 1, 2, … : refunded | refused
//!   (none) ───────────────────────► CAPTURED
//!     │    authorize            capture ▲
//!     ├───────────────► AUTHORIZED ─────┤
//!     │                                 └─ void ──► VOIDED
//!     ├─ charge / authorize ──► DECLINED
//!     └─ fence ──► FENCED        (everything later under this key is declined or refused)
//! ```
//!
//! 1. [`decide`](Book::decide) reads, [`apply`](Book::apply) changes, and only by a [`Record`]: what is
//!    in the log and what is in memory cannot differ, and [`undo`](Book::undo) is the exact inverse.
//! 2. A key that was decided gets its first answer again; with another body, `KEY_REUSED`.
//! 3. captured ≤ authorised, refunds ≤ captured, one currency per payment.
//!
//! A book grows for ever; [`Memory`](super::memory::Memory) decides which payments stand in it. An
//! account takes 24 bytes. Payment ids grow with time, so a B-tree keeps the payments of the moment
//! together in the processor's cache, never stops to rehash, and gives the oldest up first.

use std::collections::BTreeMap;

use super::code::{Code, declined, refused, stored};
use crate::{
    gateway::{Currency, Op, Request, Said},
    log::{Kind, Record},
};

/// The gateway's own name of a payment, made from ours.
pub(super) fn psp_ref(payment: i64) -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut name = String::with_capacity(20);
    name.push_str("sim_");
    for byte in payment.to_be_bytes() {
        name.push(char::from(DIGITS[usize::from(byte >> 4)]));
        name.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    name.into_boxed_str()
}

/// What chance, or a special token, wants of a request that the books would allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    pub(super) decline: Option<Code>,
    pub(super) only_authorize: bool,
    pub(super) refuse_refund: bool,
    pub(super) bar_refunds: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fenced,
    Declined,
    Authorized,
    Voided,
    Captured,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    asked: i64,
    captured: i64,
    currency: Currency,
    state: State,
    code: u8,
    opened_by: Op,
    charged: bool,
}

const _: () = assert!(size_of::<Account>() == 24, "a million payments must stay small");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refund {
    amount: i64,
    kind: Kind,
    code: u8,
}

/// An answer, and the record that must be stored before it is given.
pub(super) type Decision = (Said, Option<Record>);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Book {
    accounts: BTreeMap<i64, Account>,
    refunds: BTreeMap<(i64, u32), Refund>,
}

impl Book {
    /// How many accounts and refunds stand in it.
    pub(super) fn entries(&self) -> usize {
        self.accounts.len() + self.refunds.len()
    }

    /// Whether anything is written about the payment.
    pub(super) fn mentions(&self, payment: i64) -> bool {
        let mut refunds = self.refunds.range((payment, 0)..=(payment, u32::MAX));
        self.accounts.contains_key(&payment) || refunds.next().is_some()
    }

    /// Forgets all that is written about the payment with the lowest id, and tells the id.
    pub(super) fn forget_lowest(&mut self) -> Option<i64> {
        let account = self.accounts.first_key_value().map(|(&payment, _)| payment);
        let refund = |book: &Self| book.refunds.first_key_value().map(|(&(payment, _), _)| payment);
        let lowest = account.into_iter().chain(refund(self)).min()?;
        if account == Some(lowest) {
            self.accounts.pop_first();
        }
        while refund(self) == Some(lowest) {
            self.refunds.pop_first();
        }
        Some(lowest)
    }

    /// Takes over what is written in another book, about other payments.
    pub(super) fn absorb(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.refunds.extend(other.refunds);
    }

    /// Whether the request was decided before, so that it only asks for its answer again.
    pub(super) fn knows(&self, request: &Request) -> bool {
        match (request.op, self.accounts.get(&request.payment)) {
            (Op::Refund, _) => self.refunds.contains_key(&(request.payment, request.no)),
            (Op::Charge | Op::Authorize, account) => account.is_some(),
            (Op::Capture | Op::Void, Some(account)) => account.state != State::Authorized,
            (Op::Capture | Op::Void, None) => false,
            (Op::Inquire | Op::Fence, _) => true,
        }
    }

    pub(super) fn decide(&self, request: &Request, verdict: Verdict) -> Decision {
        let account = self.accounts.get(&request.payment);
        match (request.op, account) {
            (Op::Refund, account) => self.refund(request, account, verdict),
            (Op::Inquire, _) => (self.inquire(request), None),
            (Op::Fence, _) => self.fence(request),
            (Op::Charge | Op::Authorize, None) => open(request, verdict),
            (Op::Charge | Op::Authorize, Some(account)) => (account.opening(request), None),
            (Op::Capture | Op::Void, None) => (Said::NotFound, None),
            (Op::Capture, Some(account)) => account.capture(request),
            (Op::Void, Some(account)) => account.void(request),
        }
    }

    fn inquire(&self, request: &Request) -> Said {
        if request.no == 0 {
            let account = self.accounts.get(&request.payment);
            return account.map_or(Said::NotFound, |a| a.tell(request.payment));
        }
        let refund = self.refunds.get(&(request.payment, request.no));
        refund.map_or(Said::NotFound, Refund::tell)
    }

    fn fence(&self, request: &Request) -> Decision {
        match self.inquire(request) {
            Said::NotFound => {
                (Said::Fenced, Some(Record { amount: 0, ..record(request, Kind::Fence, 0) }))
            }
            said => (said, None),
        }
    }

    fn refund(&self, request: &Request, account: Option<&Account>, v: Verdict) -> Decision {
        if let Some(old) = self.refunds.get(&(request.payment, request.no)) {
            return (old.repeat_of(request), None);
        }
        if request.no == 0 {
            return (refused(Code::InvalidRefundNumber), None);
        }
        if request.amount <= 0 {
            return (refused(Code::InvalidAmount), None);
        }
        let Some(account) = account else { return (Said::NotFound, None) };
        let code = if account.state != State::Captured {
            Code::NotCaptured
        } else if account.currency != request.currency {
            Code::CurrencyMismatch
        } else if v.refuse_refund || account.code == Code::RefundsBarred as u8 {
            Code::RefundRefused
        } else if request.amount > account.captured - self.refunded(request.payment) {
            Code::RefundExceedsCaptured
        } else {
            let said = Said::Refunded { amount: request.amount };
            return (said, Some(record(request, Kind::Refund, 0)));
        };
        (refused(code), Some(record(request, Kind::Refuse, code as u8)))
    }

    fn refunded(&self, payment: i64) -> i64 {
        let of_payment = self.refunds.range((payment, 0)..=(payment, u32::MAX));
        of_payment.filter(|(_, r)| r.kind == Kind::Refund).map(|(_, r)| r.amount).sum()
    }

    /// Enters what happened; false if it contradicts what is there, and then nothing is changed.
    #[must_use]
    pub(super) fn apply(&mut self, record: &Record) -> bool {
        let Record { payment, no, kind, .. } = *record;
        let account = self.accounts.get_mut(&payment);
        match (kind, account) {
            (Kind::Refund | Kind::Refuse | Kind::Fence, _) if no > 0 => self.apply_refund(record),
            (Kind::Charge | Kind::Authorize | Kind::Decline | Kind::Fence, None) => {
                self.accounts.insert(payment, Account::opened(record));
                true
            }
            (Kind::Capture, Some(account)) => account.settle(State::Captured, record.amount),
            (Kind::Void, Some(account)) => account.settle(State::Voided, 0),
            _ => false,
        }
    }

    fn apply_refund(&mut self, record: &Record) -> bool {
        let Record { payment, no, kind, amount, code, .. } = *record;
        let captured = self.accounts.get(&payment).map_or(0, |a| a.captured);
        let left = captured - self.refunded(payment);
        if self.refunds.contains_key(&(payment, no)) || kind == Kind::Refund && amount > left {
            return false;
        }
        self.refunds.insert((payment, no), Refund { amount, kind, code });
        true
    }

    /// Takes the last record of its payment back, because it could not be stored.
    pub(super) fn undo(&mut self, record: &Record) {
        match record.kind {
            Kind::Refund | Kind::Refuse | Kind::Fence if record.no > 0 => {
                self.refunds.remove(&(record.payment, record.no));
            }
            Kind::Capture | Kind::Void => {
                if let Some(account) = self.accounts.get_mut(&record.payment) {
                    (account.state, account.captured) = (State::Authorized, 0);
                }
            }
            _ => {
                self.accounts.remove(&record.payment);
            }
        }
    }
}

fn record(request: &Request, kind: Kind, code: u8) -> Record {
    let Request { payment, op, no, amount, currency, token: _ } = *request;
    Record { at_us: 0, payment, kind, no, amount, currency, op, code, place: 0 }
}

/// A payment that was not seen before.
fn open(request: &Request, verdict: Verdict) -> Decision {
    if request.amount <= 0 {
        return (refused(Code::InvalidAmount), None);
    }
    let record = |kind, code| Some(Record { no: 0, ..record(request, kind, code) });
    if let Some(code) = verdict.decline {
        return (declined(code), record(Kind::Decline, code as u8));
    }
    let code = if verdict.bar_refunds { Code::RefundsBarred as u8 } else { 0 };
    let (psp_ref, amount) = (psp_ref(request.payment), request.amount);
    if request.op == Op::Charge && !verdict.only_authorize {
        return (Said::Captured { psp_ref, amount }, record(Kind::Charge, code));
    }
    (Said::Authorized { psp_ref, amount }, record(Kind::Authorize, code))
}

impl Account {
    fn opened(record: &Record) -> Self {
        let (state, captured) = match record.kind {
            Kind::Charge => (State::Captured, record.amount),
            Kind::Authorize => (State::Authorized, 0),
            Kind::Decline => (State::Declined, 0),
            _ => (State::Fenced, 0),
        };
        let Record { amount: asked, currency, op: opened_by, code, .. } = *record;
        let charged = record.kind == Kind::Charge;
        Self { asked, captured, currency, state, code, opened_by, charged }
    }

    /// The state, as an inquiry hears it.
    fn tell(&self, payment: i64) -> Said {
        match self.state {
            State::Fenced => Said::Fenced,
            State::Declined => Said::Declined { code: stored(self.code) },
            State::Authorized => Said::Authorized { psp_ref: psp_ref(payment), amount: self.asked },
            State::Voided => Said::Voided,
            State::Captured => Said::Captured { psp_ref: psp_ref(payment), amount: self.captured },
        }
    }

    /// The answer to the charge or authorisation, given again whatever came after it.
    fn opening(&self, request: &Request) -> Said {
        let same = (self.opened_by, self.asked, self.currency)
            == (request.op, request.amount, request.currency);
        match self.state {
            State::Fenced => declined(Code::Fenced),
            _ if !same => refused(Code::KeyReused),
            State::Declined => Said::Declined { code: stored(self.code) },
            _ => {
                let (psp_ref, amount) = (psp_ref(request.payment), self.asked);
                if self.charged {
                    Said::Captured { psp_ref, amount }
                } else {
                    Said::Authorized { psp_ref, amount }
                }
            }
        }
    }

    fn capture(&self, request: &Request) -> Decision {
        let Request { payment, amount, currency, .. } = *request;
        let code = match self.state {
            _ if self.charged => Code::NotAuthorized,
            State::Fenced => Code::Fenced,
            State::Declined | State::Voided => Code::NotAuthorized,
            State::Authorized | State::Captured if currency != self.currency => {
                Code::CurrencyMismatch
            }
            State::Captured if amount == self.captured => return (self.tell(payment), None),
            State::Captured => Code::KeyReused,
            State::Authorized if amount <= 0 => Code::InvalidAmount,
            State::Authorized if amount > self.asked => Code::CaptureExceedsAuthorized,
            State::Authorized => {
                let said = Said::Captured { psp_ref: psp_ref(payment), amount };
                return (said, Some(Record { no: 0, ..record(request, Kind::Capture, 0) }));
            }
        };
        (refused(code), None)
    }

    fn void(&self, request: &Request) -> Decision {
        match self.state {
            State::Voided => (Said::Voided, None),
            State::Authorized => {
                let currency = self.currency;
                let record = record(request, Kind::Void, 0);
                (Said::Voided, Some(Record { no: 0, amount: 0, currency, ..record }))
            }
            State::Fenced => (refused(Code::Fenced), None),
            State::Declined | State::Captured => (refused(Code::NotAuthorized), None),
        }
    }

    fn settle(&mut self, state: State, captured: i64) -> bool {
        if self.state != State::Authorized || captured > self.asked {
            return false;
        }
        (self.state, self.captured) = (state, captured);
        true
    }
}

impl Refund {
    fn tell(&self) -> Said {
        match self.kind {
            Kind::Refund => Said::Refunded { amount: self.amount },
            Kind::Fence => Said::Fenced,
            _ => Said::Refused { code: stored(self.code) },
        }
    }

    fn repeat_of(&self, request: &Request) -> Said {
        match self.kind {
            Kind::Fence => refused(Code::Fenced),
            _ if self.amount != request.amount => refused(Code::KeyReused),
            _ => self.tell(),
        }
    }
}
