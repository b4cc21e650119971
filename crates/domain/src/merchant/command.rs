//! What merchant can be asked, what it answers, why it refuses, what it states.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{KeyId, UnitId};

use super::fees::Fee;
use super::model::{Merchant, MerchantId};

/// Where merchant's commands go.
pub const UNIT: UnitId = UnitId("merchant");

/// What merchant can be asked; all of it by operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A new merchant.
    Create { code: Arc<str>, name: Box<str> },
    /// One more key, minted and sealed at the edge.
    AddKey { code: Arc<str>, key: KeyId, sealed: Box<[u8]>, legacy: bool },
    /// The key verifies nothing any more, and its secret is forgotten.
    RevokeKey { code: Arc<str>, key: KeyId },
    /// What the shop keeps, from the first of these periods on.
    SetFees { code: Arc<str>, fees: Vec<Fee> },
    /// The merchant is refused from now on.
    Suspend { code: Arc<str> },
    /// It is served again.
    Resume { code: Arc<str> },
}

impl Command {
    /// The code of the merchant that it is about.
    pub fn code(&self) -> &Arc<str> {
        match self {
            Self::Create { code, .. }
            | Self::AddKey { code, .. }
            | Self::RevokeKey { code, .. }
            | Self::SetFees { code, .. }
            | Self::Suspend { code }
            | Self::Resume { code } => code,
        }
    }

    /// The key of its row.
    pub fn merchant(&self) -> MerchantId {
        MerchantId::of(self.code())
    }
}

/// The merchant as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The row.
    pub merchant: Box<Merchant>,
    /// The key that was made.
    pub key: Option<KeyId>,
}

/// Why merchant refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// A code is 1 to 32 of A-Z a-z 0-9 _ -.
    CodeInvalid,
    /// A name has 1 to 100 characters.
    NameInvalid,
    /// There is a merchant with this code.
    Exists,
    /// There is none.
    Unknown,
    /// Two keys are live, or a thousand have been.
    KeysFull,
    /// The merchant has no such key.
    KeyUnknown,
    /// The schedule says of this period what no schedule may.
    FeesInvalid {
        /// Its place, from 0.
        at: usize,
        /// What is wrong.
        why: Cow<'static, str>,
    },
    /// The schedule would change what it says of the past.
    FeesPast,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::CodeInvalid => "MERCHANT_CODE_INVALID",
            Self::NameInvalid => "MERCHANT_NAME_INVALID",
            Self::Exists => "MERCHANT_EXISTS",
            Self::Unknown => "MERCHANT_UNKNOWN",
            Self::KeysFull => "MERCHANT_KEYS_FULL",
            Self::KeyUnknown => "MERCHANT_KEY_UNKNOWN",
            Self::FeesInvalid { .. } => "FEES_INVALID",
            Self::FeesPast => "FEES_PAST",
        }
    }
}

/// What merchant states: for those who keep merchants in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The row has changed.
    Changed {
        /// Which.
        merchant: MerchantId,
    },
}
