//! What the ledger can be asked, what it answers, why it refuses.

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Currency, Time, UnitId};

use super::journal::Draft;

/// Where the ledger's commands go.
pub const UNIT: UnitId = UnitId("ledger");

/// One leg of a posting: an account and a signed amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Account code, such as `merchant:m-1:payable`.
    pub code: Box<str>,
    /// Debit > 0, credit < 0; never 0.
    pub amount: i64,
}

/// What the ledger can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Book the legs of posting `seq` of `source`. They balance. Accounts open by themselves.
    Post { source: i64, seq: i64, currency: Currency, at: Time, legs: Vec<Leg> },
    /// Book a journal.
    Book(Box<Draft>),
}

/// What the ledger answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The posting is in the books (now, or since before).
    Posted,
    /// The journal is in the books (now, or since before).
    Booked {
        /// The journal.
        journal: JournalId,
        /// When it was booked.
        at: Time,
        /// Number of its postings.
        postings: i64,
        /// Number of their legs.
        entries: i64,
    },
}

/// Why the ledger refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// Debits and credits differ, a leg is 0, or there are fewer than two.
    Unbalanced,
    /// The posting exists with other legs.
    PostingDiffers,
    /// A code is not in the chart of accounts.
    AccountUnknown { code: Box<str> },
    /// Another account code has the same id (2^-63 by chance).
    AccountIdTaken { code: Box<str> },
    /// A balance would leave its range.
    BalanceOverflow,
    /// A code in a journal is not in the chart of accounts.
    CodeUnknown { code: Box<str> },
    /// A journal has 1 to 500 postings, a posting of a journal 2 to 20 legs.
    PostingsInvalid,
    /// Where in a journal, counted from 0.
    At { posting: usize, leg: Option<usize>, why: Box<Self> },
}

impl Reject {
    /// Names the place in a journal.
    pub(super) fn at(posting: usize, leg: Option<usize>) -> impl FnOnce(Self) -> Self {
        move |why| Self::At { posting, leg, why: Box::new(why) }
    }
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::Unbalanced => "UNBALANCED",
            Self::PostingDiffers => "POSTING_DIFFERS",
            Self::AccountUnknown { .. } => "ACCOUNT_UNKNOWN",
            Self::AccountIdTaken { .. } => "ACCOUNT_ID_TAKEN",
            Self::BalanceOverflow => "BALANCE_OVERFLOW",
            Self::CodeUnknown { .. } => "ACCOUNT_CODE_UNKNOWN",
            Self::PostingsInvalid => "POSTINGS_INVALID",
            Self::At { why, .. } => why.code(),
        }
    }
}

/// What the ledger states. Postings of payments are told by the payments' own events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A journal was booked.
    Booked {
        /// The journal.
        journal: JournalId,
        /// Number of its postings.
        postings: i64,
        /// Number of their legs.
        entries: i64,
    },
}
