//! The gateway's codes: why it declined or refused. README.md lists those that the log stores.

use std::borrow::Cow;

use crate::gateway::{Reason, Said};

/// The gateway's codes. The numbers of those that the log stores are part of its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    CardDeclined = 1,
    InsufficientFunds = 2,
    ExpiredCard = 3,
    LimitExceeded = 4,
    NotCaptured = 32,
    RefundExceedsCaptured = 33,
    RefundRefused = 34,
    CurrencyMismatch = 35,
    /// In an opening record: every refund of this payment will be refused.
    RefundsBarred = 64,
    Fenced = 128,
    KeyReused = 129,
    NotAuthorized = 130,
    CaptureExceedsAuthorized = 131,
    InvalidAmount = 132,
    InvalidRefundNumber = 133,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::CardDeclined => "CARD_DECLINED",
            Self::InsufficientFunds => "INSUFFICIENT_FUNDS",
            Self::ExpiredCard => "EXPIRED_CARD",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::NotCaptured => "NOT_CAPTURED",
            Self::RefundExceedsCaptured => "REFUND_EXCEEDS_CAPTURED",
            Self::RefundRefused => "REFUND_REFUSED",
            Self::CurrencyMismatch => "CURRENCY_MISMATCH",
            Self::RefundsBarred => "REFUNDS_BARRED",
            Self::Fenced => "FENCED",
            Self::KeyReused => "KEY_REUSED",
            Self::NotAuthorized => "NOT_AUTHORIZED",
            Self::CaptureExceedsAuthorized => "CAPTURE_EXCEEDS_AUTHORIZED",
            Self::InvalidAmount => "INVALID_AMOUNT",
            Self::InvalidRefundNumber => "INVALID_REFUND_NUMBER",
        }
    }
}

/// The words for a code that came out of the log.
pub(super) fn stored(number: u8) -> Reason {
    let codes = [
        Code::CardDeclined,
        Code::InsufficientFunds,
        Code::ExpiredCard,
        Code::LimitExceeded,
        Code::NotCaptured,
        Code::RefundExceedsCaptured,
        Code::RefundRefused,
        Code::CurrencyMismatch,
    ];
    let known = codes.into_iter().find(|&code| code as u8 == number);
    known.map_or(Cow::Borrowed("OTHER"), |code| Cow::Borrowed(code.name()))
}

pub(super) fn declined(code: Code) -> Said {
    Said::Declined { code: Cow::Borrowed(code.name()) }
}

pub(super) fn refused(code: Code) -> Said {
    Said::Refused { code: Cow::Borrowed(code.name()) }
}
