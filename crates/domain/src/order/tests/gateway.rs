//! A scripted gateway that is idempotent by (payment, operation, number), and the money it has
//! really moved.

use std::collections::BTreeMap;

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use crate::payment::command::{Ask, Call, Said};

/// How it answers a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pay {
    Captures,
    Declines,
    /// Time-out, but the money was taken.
    Hidden,
    /// Time-out, and it never arrived.
    Lost,
    /// The call never left.
    NotSent,
    /// The money is only held.
    Holds,
    /// Held, and the capture times out with hidden success.
    HoldsCaptureHidden,
    /// Held, and the void times out with hidden success.
    HoldsVoidHidden,
    /// Held, and let go by the bank before anybody asked again.
    HoldLapses,
    /// The answer comes twice.
    Twice,
    /// Time-out; then the true answer comes late.
    Late,
    /// Time-out, "not found", fenced: and still captured an hour later.
    VeryLate,
    /// Declined, and held all the same.
    LateHold,
    /// Never an answer to anything.
    Mute,
}

impl Pay {
    pub(super) const ALL: [Self; 14] = [
        Self::Captures,
        Self::Declines,
        Self::Hidden,
        Self::Lost,
        Self::NotSent,
        Self::Holds,
        Self::HoldsCaptureHidden,
        Self::HoldsVoidHidden,
        Self::HoldLapses,
        Self::Twice,
        Self::Late,
        Self::VeryLate,
        Self::LateHold,
        Self::Mute,
    ];
}

/// How it answers a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    Done,
    Refused,
    /// Time-out, but it was done.
    Hidden,
    /// Time-out, and the first one never arrived.
    LostOnce,
    /// The first one never left.
    NotSentOnce,
    Twice,
    /// Refused, and done all the same.
    RefusedLate,
}

impl Back {
    pub(super) const ALL: [Self; 7] = [
        Self::Done,
        Self::Refused,
        Self::Hidden,
        Self::LostOnce,
        Self::NotSentOnce,
        Self::Twice,
        Self::RefusedLate,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Book {
    Nothing,
    Held,
    Captured,
    Declined,
    Voided,
    Fenced,
}

#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) pay: Pay,
    pub(super) back: Back,
    pub(super) book: Book,
    /// Before this an inquiry does not see what is in the book.
    seen_from: Time,
    /// Charges that arrived.
    pub(super) charges: u32,
    /// Refunds: the amount if done, 0 if refused.
    pub(super) refunds: BTreeMap<u32, i64>,
    refunds_asked: BTreeMap<u32, u32>,
    pub(super) amount: i64,
}

const SOON: Span = Span::millis(5);
const TIMEOUT: Span = Span::secs(10);
const LATER: Span = Span::secs(25);
const HOUR: Span = Span::mins(60);

type Answers = Vec<(Span, Said)>;

impl Gateway {
    pub(super) fn new(pay: Pay, back: Back) -> Self {
        let (refunds, refunds_asked) = (BTreeMap::new(), BTreeMap::new());
        let (book, seen_from) = (Book::Nothing, Time(0));
        Self { pay, back, book, seen_from, charges: 0, refunds, refunds_asked, amount: 0 }
    }

    /// What the customer has paid and not got back.
    pub(super) fn net(&self) -> i64 {
        let paid = if self.book == Book::Captured { self.amount } else { 0 };
        paid - self.refunds.values().sum::<i64>()
    }

    /// The customer pays at the gateway itself.
    pub(super) fn paid_directly(&mut self, amount: i64) {
        self.book = Book::Captured;
        self.amount = amount;
    }

    pub(super) fn call(&mut self, call: &Call, now: Time) -> Answers {
        match call.ask {
            Ask::Charge => self.charge(call, now),
            Ask::Capture => self.capture(),
            Ask::Void => self.void(),
            Ask::Refund(no) => self.refund(no, call.amount),
            Ask::Inquire => vec![(SOON, self.seen(now))],
            Ask::InquireRefund(no) => vec![(SOON, self.refund_seen(no))],
            Ask::Fence => vec![(SOON, self.fence(now))],
            Ask::Authorize => panic!("orders charge in one step"),
        }
    }

    fn charge(&mut self, call: &Call, now: Time) -> Answers {
        assert!(call.token.is_some());
        self.amount = call.amount;
        let said = match self.pay {
            Pay::NotSent => return vec![(SOON, Said::NotSent { why: "breaker".into() })],
            Pay::Lost | Pay::Mute => return vec![(TIMEOUT, unknown())],
            _ if self.book == Book::Fenced => return vec![(SOON, declined())],
            Pay::Declines => {
                self.book = Book::Declined;
                declined()
            }
            Pay::Holds
            | Pay::HoldsCaptureHidden
            | Pay::HoldsVoidHidden
            | Pay::HoldLapses
            | Pay::LateHold => {
                self.book = Book::Held;
                self.held()
            }
            Pay::Captures | Pay::Hidden | Pay::Twice | Pay::Late | Pay::VeryLate => {
                self.book = Book::Captured;
                self.captured()
            }
        };
        self.charges += 1;
        match self.pay {
            Pay::Twice => vec![(SOON, said.clone()), (SOON, said)],
            Pay::Hidden => vec![(TIMEOUT, unknown())],
            Pay::Late => vec![(TIMEOUT, unknown()), (LATER, said)],
            Pay::VeryLate => {
                self.seen_from = now + HOUR;
                vec![(TIMEOUT, unknown()), (HOUR, said)]
            }
            Pay::LateHold => vec![(SOON, declined()), (LATER, said)],
            Pay::HoldLapses => {
                self.book = Book::Voided;
                vec![(TIMEOUT, unknown())]
            }
            _ => vec![(SOON, said)],
        }
    }

    fn captured(&self) -> Said {
        Said::Captured { psp_ref: "psp-1".into(), amount: self.amount }
    }

    fn held(&self) -> Said {
        Said::Authorized { psp_ref: "psp-1".into(), amount: self.amount }
    }

    fn capture(&mut self) -> Answers {
        if self.book == Book::Held {
            self.book = Book::Captured;
        }
        let said = match self.book {
            Book::Captured => self.captured(),
            _ => Said::Refused { code: "voided".into() },
        };
        let hidden = self.pay == Pay::HoldsCaptureHidden;
        vec![if hidden { (TIMEOUT, unknown()) } else { (SOON, said) }]
    }

    fn void(&mut self) -> Answers {
        if self.book == Book::Held {
            self.book = Book::Voided;
        }
        let said = match self.book {
            Book::Voided => Said::Voided,
            _ => Said::Refused { code: "captured".into() },
        };
        let hidden = self.pay == Pay::HoldsVoidHidden;
        vec![if hidden { (TIMEOUT, unknown()) } else { (SOON, said) }]
    }

    fn seen(&self, now: Time) -> Said {
        match self.book {
            _ if self.pay == Pay::Mute => unknown(),
            _ if now < self.seen_from => Said::NotFound,
            Book::Nothing => Said::NotFound,
            Book::Held => self.held(),
            Book::Captured => self.captured(),
            Book::Declined => declined(),
            Book::Voided => Said::Voided,
            Book::Fenced => Said::Fenced,
        }
    }

    fn fence(&mut self, now: Time) -> Said {
        if self.pay != Pay::Mute && now < self.seen_from {
            return Said::Fenced; // a promise that it does not keep
        }
        if self.book == Book::Nothing && self.pay != Pay::Mute {
            self.book = Book::Fenced;
        }
        self.seen(now)
    }

    fn refund(&mut self, no: u32, amount: i64) -> Answers {
        assert_eq!(self.book, Book::Captured, "a refund of money that was not taken");
        if self.refunds.contains_key(&no) {
            return vec![(SOON, self.refund_seen(no))];
        }
        let asked = self.refunds_asked.entry(no).or_default();
        *asked += 1;
        let first = *asked == 1;
        match self.back {
            Back::LostOnce if first => return vec![(TIMEOUT, unknown())],
            Back::NotSentOnce if first => {
                return vec![(SOON, Said::NotSent { why: "breaker".into() })];
            }
            // More than was taken is refused by any gateway.
            _ if amount > self.net() => _ = self.refunds.insert(no, 0),
            Back::Refused => _ = self.refunds.insert(no, 0),
            _ => _ = self.refunds.insert(no, amount),
        }
        let said = self.refund_seen(no);
        match self.back {
            Back::Hidden => vec![(TIMEOUT, unknown())],
            Back::Twice => vec![(SOON, said.clone()), (SOON, said)],
            Back::RefusedLate if first => vec![(SOON, refused()), (LATER, said)],
            _ => vec![(SOON, said)],
        }
    }

    fn refund_seen(&self, no: u32) -> Said {
        match self.refunds.get(&no) {
            None => Said::NotFound,
            Some(0) => refused(),
            Some(amount) => Said::Refunded { amount: *amount },
        }
    }
}

fn unknown() -> Said {
    Said::Unknown { why: "time-out".into() }
}

fn declined() -> Said {
    Said::Declined { code: "no_funds".into() }
}

fn refused() -> Said {
    Said::Refused { code: "too_old".into() }
}
