//! What the ledger can be asked, what it answers, why it refuses.

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, Time, UnitId};

/// Where the ledger's commands go.
pub const UNIT: UnitId = UnitId("ledger");

/// One leg of a posting: an account and a signed amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Account code, such as `merchant:m-1:payable`.
    pub code: Box<str>,
    /// Debit > 0, credit < 0; never 0.
    pub amount: i64,
}

/// What the ledger can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Book the legs of posting `seq` of `source`. They balance. Accounts open by themselves.
    Post { source: i64, seq: i64, currency: Currency, at: Time, legs: Vec<Leg> },
}

/// What the ledger answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The posting is in the books (now, or since before).
    Posted,
}

/// Why the ledger refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::Unbalanced => "UNBALANCED",
            Self::PostingDiffers => "POSTING_DIFFERS",
            Self::AccountUnknown { .. } => "ACCOUNT_UNKNOWN",
            Self::AccountIdTaken { .. } => "ACCOUNT_ID_TAKEN",
            Self::BalanceOverflow => "BALANCE_OVERFLOW",
        }
    }
}

/// The ledger states nothing: entries are read from its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {}
