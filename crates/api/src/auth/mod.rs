//! Who asks. Shops and operators show a bearer key; merchants sign their requests.
//!
//! | role | may do | shows |
//! |---|---|---|
//! | anybody | health, metrics, the document | nothing |
//! | merchant | its own payments | a signature; nothing in the unsigned loopback mode |
//! | client | orders, everything that is read without a secret, payments of known merchants | the client key |
//! | operator | everything | an operator's key |

mod claim;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keys;
mod nonces;
mod signature;

use std::sync::Arc;

use jangbu_kernel::Operator;

pub(crate) use claim::{Claim, Door};
pub use keys::{Keys, MerchantKey};

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
}

/// Whether the caller may act for `merchant`: one that signs for itself alone, a holder of a bearer
/// key for every merchant that has a key, and anybody for anybody in the unsigned mode.
pub(crate) fn act_for(api: &Api, call: &Call, merchant: &str) -> Result<(), Problem> {
    let detail = match &call.caller {
        Caller { merchant: Some(own), .. } if **own == *merchant => return Ok(()),
        Caller { merchant: Some(_), .. } => "the request is signed by another merchant",
        _ if api.settings.unsigned_payments || api.keys.knows(merchant) => return Ok(()),
        _ => "no key was given to this merchant: `jangbu merchant-key MERCHANT_ID` makes one",
    };
    Err(Problem::of(Own::Forbidden, format!("merchantId: {detail}")).at("merchantId", detail))
}

/// Who is behind an operator's command, for the audit log. `why` is the reason in the body; without
/// one it is the header `X-Reason`.
pub(crate) fn operator(call: &Call, why: &str) -> Operator {
    let why = if why.is_empty() { call.reason() } else { why };
    let who = Arc::clone(&call.caller.name);
    Operator { who, why: why.into(), operation: call.name }
}
