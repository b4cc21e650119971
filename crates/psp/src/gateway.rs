//! The port: what we ask of a payment gateway, and everything that it may say.
//!
//! A gateway is another company's computer. Three rules follow, and the types carry them:
//!
//! 1. **Every request has a key** that is ours: ([`payment`](Request::payment), [`op`](Request::op),
//!    [`no`](Request::no)). The same key twice has one effect and gets the first answer; the same
//!    key with another amount is refused.
//! 2. **Silence is not a failure.** [`Said::Unknown`] means that the money may have moved; only
//!    [`Op::Inquire`] (or a webhook) tells. [`Said::NotSent`] is the one answer that rules an effect out
//!    without asking.
//! 3. **A refusal is an answer.** [`Said::Declined`] and [`Said::Refused`] are the gateway working as
//!    it should; only [`Said::is_fault`] answers may open a breaker.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

/// A code or a cause in the gateway's words: borrowed when it is one of a known set.
pub type Reason = Cow<'static, str>;

/// Takes the answer of one request; see [`Gateway::submit`].
pub type Done = Box<dyn FnOnce(Said) + Send>;

/// An ISO 4217 currency code, as the gateway wants it: three upper-case ASCII letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Currency(pub [u8; 3]);

impl Currency {
    /// The Korean won, which has no minor unit.
    pub const KRW: Self = Self(*b"KRW");
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&b| write!(f, "{}", b.escape_ascii()))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wanted of the gateway. The numbers are stored in logs and must not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Op {
    /// Authorise and capture in one step.
    Charge = 1,
    /// Set the amount aside on the card, to be captured or voided later.
    Authorize = 2,
    /// Take an authorised amount, or a part of it; the rest of the authorisation is given up.
    Capture = 3,
    /// Give an authorisation up.
    Void = 4,
    /// Give captured money back; several refunds of one payment differ in their number.
    Refund = 5,
    /// Ask for the state of the payment, or of refund `no` when that is not 0. Moves nothing.
    Inquire = 6,
    /// Cancel a key: if nothing arrived under it, nothing ever will (a late arrival is refused) and
    /// the answer is [`Said::Fenced`]; otherwise the answer is that of an inquiry.
    Fence = 7,
}

impl Op {
    /// Whether the request may move money or set it aside.
    pub fn moves_money(self) -> bool {
        !matches!(self, Self::Inquire | Self::Fence)
    }
}

/// One request to a gateway.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Our payment id.
    pub payment: i64,
    /// What is wanted.
    pub op: Op,
    /// The number of the refund, from 1; 0 in everything that concerns the payment itself.
    pub no: u32,
    /// In minor units; not looked at by `Void`, `Inquire` and `Fence`.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// Stands for the card. A secret: it is left out of `Debug`.
    pub token: Box<str>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { payment, op, no, amount, currency, token: _ } = self;
        write!(f, "{op:?}(payment {payment}, no {no}, {amount} {currency}, token ***)")
    }
}

/// Everything that a gateway, or the way to it, may answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The money is taken.
    Captured {
        /// The gateway's own name of the payment.
        psp_ref: Box<str>,
        /// How much was captured.
        amount: i64,
    },
    /// The money is set aside, not taken.
    Authorized {
        /// The gateway's own name of the payment.
        psp_ref: Box<str>,
        /// How much is set aside.
        amount: i64,
    },
    /// The authorisation is given up.
    Voided,
    /// The money went back.
    Refunded {
        /// How much, in this refund.
        amount: i64,
    },
    /// The bank or the gateway said no to a charge or an authorisation: nothing moved, and under
    /// this key nothing ever will.
    Declined {
        /// The gateway's code.
        code: Reason,
    },
    /// The gateway will not do it: a capture, void or refund that its books do not allow, or a key
    /// that was used before with another body. This request moved nothing.
    Refused {
        /// The gateway's code.
        code: Reason,
    },
    /// Nothing is known under this key. It may still arrive, unless it is fenced.
    NotFound,
    /// Nothing arrived under this key and nothing ever will.
    Fenced,
    /// Sent, and the outcome is not known: time-out, broken connection, an answer that says nothing.
    Unknown {
        /// The cause, for people.
        why: Reason,
    },
    /// It certainly did not reach the gateway: breaker open, bulkhead full, connection refused.
    NotSent {
        /// The cause, for people.
        why: Reason,
    },
}

impl Said {
    /// Whether this counts against the gateway's health. Business refusals never do.
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::NotSent { .. })
    }

    /// Whether the answer settles what became of the request, so that nobody has to inquire.
    pub fn is_certain(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

/// News that a gateway sends by itself: a late answer, or one that was already given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Our payment id.
    pub payment: i64,
    /// What had been asked.
    pub op: Op,
    /// The number of the refund, or 0.
    pub no: u32,
    /// The answer to it.
    pub said: Said,
}

/// A payment gateway.
pub trait Gateway: Send + Sync {
    /// The name under which accounts, metrics and breakers know this gateway.
    fn name(&self) -> &str;

    /// Sends a request and returns at once; the answer goes to `done`.
    ///
    /// `done` runs at most once, **or never**: silence is one of the things that a gateway does, so
    /// the caller keeps a deadline of its own. It may run on any thread, before `submit` returns
    /// too, must not block, and is dropped without being called when the gateway gives up.
    fn submit(&self, request: Request, done: Done);

    /// The same of a request that belongs to a trace: its `traceparent` goes along, if the request
    /// leaves the process.
    fn submit_traced(&self, request: Request, _traceparent: String, done: Done) {
        self.submit(request, done);
    }
}
