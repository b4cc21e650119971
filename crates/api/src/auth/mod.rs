//! Who asks. Shops and operators show a bearer key; merchants sign their requests.
//!
//! | role | may do | shows |
//! |---|---|---|
//! | anybody | health, metrics, the document | nothing |
//! | merchant | its own payments | a signature; nothing in the unsigned loopback mode |
//! | client | orders, everything that is read without a secret, payments of known merchants | the client key |
//! | operator | everything | an operator's key |

mod keys;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jangbu_kernel::Operator;

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

/// Lets a caller with enough rights through.
pub(crate) fn admit(api: &Api, headers: &HeaderMap, wanted: Role) -> Result<Caller, Problem> {
    bearer(&api.keys, headers, wanted, api.settings.unsigned_payments)
}

fn bearer(
    keys: &Keys,
    headers: &HeaderMap,
    wanted: Role,
    unsigned: bool,
) -> Result<Caller, Problem> {
    if wanted == Role::Anybody {
        return Ok(keys.anybody());
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return match wanted {
            Role::Merchant if unsigned => Ok(keys.unsigned()),
            wanted => Err(nobody(wanted)),
        };
    };
    let token = after(value.as_bytes(), b"bearer ");
    let caller = token.and_then(|token| keys.bearer(token)).ok_or_else(|| nobody(wanted))?;
    if caller.role < wanted {
        let detail = "this call needs an operator's key; the key that came is a client's";
        return Err(Problem::of(Own::Forbidden, detail));
    }
    Ok(caller)
}

fn nobody(wanted: Role) -> Problem {
    let detail = match wanted {
        Role::Merchant => {
            "sign the request with a merchant's key, or send `Authorization: Bearer KEY`"
        }
        _ => "send `Authorization: Bearer KEY` with a key of this server",
    };
    Problem::of(Own::Unauthorized, detail)
}

/// What follows the scheme, in any case.
fn after<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether the caller may act for `merchant`: one that signs for itself alone, a holder of a bearer
/// key for every merchant that has a key, and anybody for anybody in the unsigned mode.
#[expect(dead_code, reason = "for the payment routes")]
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

#[cfg(test)]
mod tests {
    use jangbu_kernel::Secret;

    use super::*;

    fn admitted(value: &'static str, wanted: Role, unsigned: bool) -> Result<String, &'static str> {
        let keys = Keys::new(Secret::new("c"), Secret::new("o"));
        let mut headers = HeaderMap::new();
        if !value.is_empty() {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        let caller = bearer(&keys, &headers, wanted, unsigned);
        caller.map(|caller| caller.name.to_string()).map_err(|problem| problem.code)
    }

    #[test]
    fn operators_may_do_what_clients_may_and_not_the_other_way_round() {
        for (value, wanted, who) in [
            ("", Role::Anybody, Ok("anybody")),
            ("Bearer o", Role::Client, Ok("operator")),
            ("bearer c", Role::Client, Ok("client")),
            ("Bearer c", Role::Merchant, Ok("client")),
            ("Bearer c", Role::Operator, Err("FORBIDDEN")),
            ("Bearer x", Role::Client, Err("UNAUTHORIZED")),
            ("Basic c", Role::Client, Err("UNAUTHORIZED")),
            ("", Role::Merchant, Err("UNAUTHORIZED")),
        ] {
            let came = admitted(value, wanted, false);
            assert_eq!(came.as_deref().map_err(|code| *code), who, "{value} {wanted:?}");
        }
    }

    #[test]
    fn the_unsigned_mode_opens_payments_alone_and_never_excuses_a_bad_key() {
        assert_eq!(admitted("", Role::Merchant, true).as_deref(), Ok("unsigned"));
        assert_eq!(admitted("Bearer x", Role::Merchant, true), Err("UNAUTHORIZED"));
        for wanted in [Role::Client, Role::Operator] {
            assert_eq!(admitted("", wanted, true), Err("UNAUTHORIZED"));
        }
    }
}
