//! Who asks. Shops and operators show a bearer key; merchants sign their requests; customers show
//! the token of a session.
//!
//! | role | may do | shows |
//! |---|---|---|
//! | anybody | health, metrics, the document | nothing |
//! | merchant | its own payments | a signature; nothing in the unsigned loopback mode |
//! | customer | what is its own: orders, coupons, points, its data | a session's token |
//! | client | orders, everything that is read without a secret, payments of known merchants | the client key |
//! | operator | everything | an operator's key |

mod claim;
mod directory;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hs256;
mod keys;
mod nonces;
mod password;
mod session;
mod signature;

use std::sync::Arc;

use jangbu_kernel::{Operator, UserId};

pub(crate) use claim::{Claim, Door};
pub(crate) use directory::Directory;
pub use keys::{Keys, MerchantKey};
pub use password::PasswordCost;
pub(crate) use password::Passwords;
pub(crate) use session::Sessions;
pub use session::session_token;

use crate::Api;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;

/// What a route asks for, and what a caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Nothing.
    Anybody,
    /// A merchant's signature.
    Merchant,
    /// A customer's session, or a key that acts for customers. Routes of this role look with
    /// [`owner`] or [`owns`] at whose things they show or change.
    Customer,
    /// A client key.
    Client,
    /// An operator's key.
    Operator,
}

impl Role {
    /// The first part of an idempotency scope.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Merchant => "merchant",
            Self::Customer => "customer",
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    /// The name of the key that came, or `unsigned`, or `anybody`.
    pub(crate) name: Arc<str>,
    /// The merchant that signed.
    pub(crate) merchant: Option<Arc<str>>,
    /// The customer whose session it is.
    pub(crate) customer: Option<UserId>,
}

/// Whether the caller may see and change what belongs to `user`: a customer its own things alone,
/// whoever shows a key those of every user. Another's thing is answered as one that is not there.
pub(crate) fn owns(call: &Call, user: UserId) -> bool {
    call.caller.customer.is_none_or(|own| own == user)
}

/// As [`owns`], where the request itself names the user.
pub(crate) fn owner(call: &Call, user: UserId) -> Result<(), Problem> {
    if owns(call, user) {
        return Ok(());
    }
    Err(Problem::of(Own::Forbidden, "the session is another user's"))
}

/// The user that a request is about: the one that it names, or else the one whose session it is.
pub(crate) fn user_or_own(
    call: &Call,
    named: Option<UserId>,
    missing: impl FnOnce() -> Problem,
) -> Result<UserId, Problem> {
    let user = named.or(call.caller.customer).ok_or_else(missing)?;
    owner(call, user).map(|()| user)
}

/// Whether the caller may act for `merchant`: one that signs for itself alone, a holder of a bearer
/// key for every merchant that has a key, and anybody for anybody in the unsigned mode. For a
/// suspended merchant only operators act.
pub(crate) fn act_for(api: &Api, call: &Call, merchant: &str) -> Result<(), Problem> {
    if call.caller.role < Role::Operator && api.directory.is_suspended(merchant) {
        return Err(suspended());
    }
    let known = || api.keys.knows(merchant) || api.directory.has_key(merchant);
    let detail = match &call.caller {
        Caller { merchant: Some(own), .. } if **own == *merchant => return Ok(()),
        Caller { merchant: Some(_), .. } => "the request is signed by another merchant",
        _ if api.settings.unsigned_payments || known() => return Ok(()),
        _ => "no key was given to this merchant: `jangbu merchant keys` makes one",
    };
    Err(Problem::of(Own::Forbidden, format!("merchantId: {detail}")).at("merchantId", detail))
}

/// The refusal of a suspended merchant.
fn suspended() -> Problem {
    Problem::of(Own::MerchantSuspended, "the merchant is suspended; ask the shop")
}

/// Who is behind an operator's command, for the audit log. `why` is the reason in the body; without
/// one it is the header `X-Reason`.
pub(crate) fn operator(call: &Call, why: &str) -> Operator {
    let why = if why.is_empty() { call.reason() } else { why };
    let who = Arc::clone(&call.caller.name);
    Operator { who, why: why.into(), operation: call.name.into() }
}
