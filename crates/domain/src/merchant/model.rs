//! A merchant's row.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use jangbu_kernel::{KeyId, Time, coded, rows};

use super::fees::Fee;

/// Keys that may be live at a time.
pub const LIVE: usize = 2;
/// Keys that a merchant can have had: revoked ones are remembered, without their secret.
pub const REMEMBERED: usize = 1_000;

/// The key of a row: the first 63 bits of SHA-256 over the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MerchantId(pub i64);

impl MerchantId {
    /// The key of the merchant with this code.
    pub fn of(code: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(code).into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Self(i64::from_be_bytes(first) & i64::MAX)
    }
}

impl From<MerchantId> for i64 {
    fn from(id: MerchantId) -> i64 {
        id.0
    }
}

impl From<i64> for MerchantId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

coded! {
    /// How a merchant stands.
    State {
        /// It sells.
        Active = 1 "ACTIVE",
        /// It is refused.
        Suspended = 2 "SUSPENDED",
    }
}

/// A key with which a merchant signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Names it in a signature.
    pub id: KeyId,
    /// Whether authorizations may carry the legacy signature.
    pub legacy: bool,
    /// When it was made.
    pub made_at: Time,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// The sealed secret; empty once it is revoked.
    pub sealed: Box<[u8]>,
}

impl Key {
    /// Whether it verifies signatures.
    pub fn is_live(&self) -> bool {
        self.revoked_at.is_none()
    }
}

/// A row of `merchant`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its name in products, payments and accounts.
    pub code: Arc<str>,
    /// What people call it.
    pub name: Box<str>,
    /// How it stands.
    pub state: State,
    /// Its keys, oldest first.
    pub keys: Vec<Key>,
    /// Its fee schedule, in order of time.
    pub fees: Vec<Fee>,
    /// When it was made.
    pub at: Time,
}

impl Merchant {
    /// The keys that verify signatures.
    pub fn live(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.is_live())
    }

    /// What the shop keeps of a sale at `time`; none: nothing was agreed.
    pub fn fee_at(&self, time: Time) -> Option<&Fee> {
        self.fees.iter().find(|fee| fee.holds_at(time))
    }

    /// What the module's invariants say about one row; a finding is named.
    pub fn unsound(&self) -> Option<&'static str> {
        let kept = |key: &Key| key.is_live() == key.sealed.is_empty();
        [
            (self.live().count() > LIVE, "more than two live keys"),
            (self.keys.iter().any(kept), "a secret does not fit the state of its key"),
            (self.keys.len() > REMEMBERED, "too many keys"),
            (super::fees::fault(&self.fees).is_some(), "a schedule without order"),
        ]
        .into_iter()
        .find_map(|(broken, name)| broken.then_some(name))
    }
}

/// What merchant owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Table `merchant`.
    pub merchant: rows::Rows<MerchantId, Merchant>,
}
