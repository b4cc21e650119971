//! The rows of users.

use std::fmt;

use jangbu_kernel::{Time, UserId, coded, rows};
use serde::{Deserialize, Serialize};

/// The rows that user owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Users.
    pub account: rows::Rows<UserId, Account>,
    /// Who has which e-mail address.
    pub email: rows::Rows<EmailIndex, Holder>,
}

/// Bytes that nobody reads without a key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(pub Box<[u8]>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sealed({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for Sealed {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

/// The blind index of an e-mail address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EmailIndex(pub [i64; 2]);

impl fmt::Debug for EmailIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [high, low] = self.0;
        write!(f, "email({high:016x}{low:016x})")
    }
}

impl From<[u8; 16]> for EmailIndex {
    fn from(bytes: [u8; 16]) -> Self {
        match bytes.as_chunks::<8>() {
            ([high, low], []) => Self([i64::from_be_bytes(*high), i64::from_be_bytes(*low)]),
            _ => unreachable!("16 bytes are twice 8"),
        }
    }
}

/// Who has an e-mail address: nobody, once it was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub user: Option<UserId>,
}

coded! {
    /// Whether a user may come.
    State {
        /// May log in and buy.
        Active = 1 "ACTIVE",
        /// May not, ever again.
        Deactivated = 2 "DEACTIVATED",
    }
}

/// What a user says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The e-mail address, as it was written.
    pub email: Sealed,
    /// The name.
    pub name: Sealed,
    /// The phone number.
    pub phone: Option<Sealed>,
    /// Where things are sent.
    pub address: Option<Sealed>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Whether it may come.
    pub state: State,
    /// By which it is found.
    pub index: EmailIndex,
    /// What it says of itself.
    pub profile: Profile,
    /// The hash of the password.
    pub password: Sealed,
    /// How often the password was changed.
    pub generation: i64,
    /// Wrong passwords in a row, fewer than [`super::decide::FAILURES`].
    pub failures: i64,
    /// Until when no password is right.
    pub locked_until: Option<Time>,
    /// When it registered.
    pub created_at: Time,
    /// When it was changed last, log-ins aside.
    pub changed_at: Time,
}

impl Account {
    /// What a session must have to be good: none has it when the user is deactivated. `None`: every
    /// session is good.
    pub fn bar(&self) -> Option<i64> {
        match self.state {
            State::Deactivated => Some(i64::MAX),
            State::Active => (self.generation > 0).then_some(self.generation),
        }
    }

    /// Until when it is locked, if it is.
    pub fn locked(&self, now: Time) -> Option<Time> {
        self.locked_until.filter(|until| now < *until)
    }
}
