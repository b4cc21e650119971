//! Who asks: one key for clients, one for operators. An operator may do whatever a client may.

use std::hint::black_box;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jangbu_kernel::Secret;

use crate::codes::Own;
use crate::problem::Problem;

/// The keys of this server.
#[derive(Debug, Clone)]
pub struct Keys {
    /// For shops: orders and everything that can be read without a secret.
    pub client: Secret,
    /// For operators: catalogue, stock, books, administration.
    pub operator: Secret,
}

/// What a route asks for, and what a caller has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Nothing.
    Anybody,
    /// A client key.
    Client,
    /// The operator key.
    Operator,
}

impl Role {
    /// The first part of an idempotency scope.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Client => "client",
            Self::Operator => "operator",
        }
    }
}

/// Lets a caller with enough rights through.
pub(crate) fn admit(keys: &Keys, headers: &HeaderMap, wanted: Role) -> Result<Role, Problem> {
    if wanted == Role::Anybody {
        return Ok(Role::Anybody);
    }
    let role = caller(keys, headers).ok_or_else(|| {
        Problem::of(Own::Unauthorized, "send `Authorization: Bearer KEY` with a key of this server")
    })?;
    if role < wanted {
        let detail = "this call needs the operator key; the key that came is a client's";
        return Err(Problem::of(Own::Forbidden, detail));
    }
    Ok(role)
}

fn caller(keys: &Keys, headers: &HeaderMap) -> Option<Role> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    // Both are always compared, so that the time says nothing about either.
    let client = same(token, keys.client.reveal().as_bytes());
    let operator = same(token, keys.operator.reveal().as_bytes());
    match (operator, client) {
        (true, _) => Some(Role::Operator),
        (false, true) => Some(Role::Client),
        (false, false) => None,
    }
}

/// Compares in a time that depends on the length of what was sent alone. An empty key is no key.
fn same(sent: &[u8], kept: &[u8]) -> bool {
    let mut differs = u8::from(kept.is_empty() || sent.len() != kept.len());
    for (at, byte) in sent.iter().enumerate() {
        differs |= black_box(byte ^ kept.get(at).copied().unwrap_or(0));
    }
    black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_only_as_itself() {
        for (sent, kept, wanted) in
            [("abc", "abc", true), ("abd", "abc", false), ("ab", "abc", false), ("", "", false)]
        {
            assert_eq!(same(sent.as_bytes(), kept.as_bytes()), wanted, "{sent} {kept}");
        }
        assert!(!same(b"abc\0", b"abc"), "zero bytes do not stretch a key");
    }

    #[test]
    fn operators_may_do_what_clients_may_and_not_the_other_way_round() {
        let keys = Keys { client: Secret::new("c"), operator: Secret::new("o") };
        let admitted = |value: &'static str, wanted| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            admit(&keys, &headers, wanted).map_err(|problem| problem.code)
        };
        assert_eq!(admitted("Bearer o", Role::Client), Ok(Role::Operator));
        assert_eq!(admitted("bearer c", Role::Client), Ok(Role::Client));
        assert_eq!(admitted("Bearer c", Role::Operator), Err("FORBIDDEN"));
        assert_eq!(admitted("Bearer x", Role::Client), Err("UNAUTHORIZED"));
        assert_eq!(admitted("Basic c", Role::Client), Err("UNAUTHORIZED"));
    }
}
