//! What user can be asked, what it answers, why it refuses, what it states.

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Time, UnitId, UserId};

use super::model::{EmailIndex, Profile, Sealed};

/// Where user's commands go.
pub const UNIT: UnitId = UnitId("user");

/// What becomes of something that need not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Clear,
    /// It becomes this.
    Set(T),
}

/// What changes of a profile; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The address and its blind index.
    pub email: Option<(EmailIndex, Sealed)>,
    /// The name.
    pub name: Option<Sealed>,
    /// The phone number.
    pub phone: Change<Sealed>,
    /// Where things are sent.
    pub address: Change<Sealed>,
}

/// What user can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A new user with an address that nobody has.
    Register { user: UserId, index: EmailIndex, profile: Profile, password: Sealed },
    /// Changes what a user says of itself.
    Update { user: UserId, changes: Changes },
    /// A password was tried against the hash of generation `seen`.
    Login { user: UserId, seen: i64, good: bool },
    /// A new password instead of the one of generation `seen`; `None`: whatever it was.
    ChangePassword { user: UserId, seen: Option<i64>, password: Sealed },
    /// The user may not come any more.
    Deactivate { user: UserId },
}

impl Command {
    /// Whom it is about.
    pub const fn user(&self) -> UserId {
        match self {
            Self::Register { user, .. }
            | Self::Update { user, .. }
            | Self::Login { user, .. }
            | Self::ChangePassword { user, .. }
            | Self::Deactivate { user } => *user,
        }
    }
}

/// What user answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The user is as asked.
    Done(UserId),
    /// The password was right: sessions are issued for this generation.
    LoggedIn { generation: i64 },
    /// It was wrong, or not looked at: no password is taken until then, if there is a time.
    Failed { locked_until: Option<Time> },
}

/// Why user refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// There is a user of that id with another address.
    UserExists,
    /// Another user has the address.
    EmailTaken,
    /// There is no such user.
    UserUnknown,
    /// The user is deactivated.
    UserDeactivated,
    /// The password has been changed meanwhile.
    PasswordChanged,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::UserExists => "USER_EXISTS",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::UserUnknown => "USER_UNKNOWN",
            Self::UserDeactivated => "USER_DEACTIVATED",
            Self::PasswordChanged => "PASSWORD_CHANGED",
        }
    }
}

/// What user states: to whoever checks sessions, after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Sessions of generations below `least` are worth nothing any more.
    Barred { user: UserId, least: i64 },
}
