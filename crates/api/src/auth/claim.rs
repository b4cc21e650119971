//! From a request to its caller, in two steps: what the headers alone decide, so that strangers are
//! refused before their body is read, and then the signature, which covers the body.

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, Method};
use jangbu_kernel::Time;
use serde::Deserialize;

use super::keys::{Keys, Signing};
use super::nonces::{Refused, in_window};
use super::signature::{self, SCHEME, Signed};
use super::{Caller, Directory, Role, Sessions, suspended};
use crate::codes::Own;
use crate::problem::Problem;
use crate::route::Route;

const LEGACY: HeaderName = HeaderName::from_static("x-hmac-sha256");
/// The one operation that a legacy signature may ask for: its body names all that happens. Over the
/// body of a capture or a refund it would be a skeleton key.
const LEGACY_ROUTE: &str = "payment.authorize";
const SECOND: i64 = 1_000_000;
/// How the header of a token begins: `{"`. No key begins so.
const TOKEN: &[u8] = b"eyJ";

/// What admission depends on beside the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) directory: &'a Directory,
    pub(crate) sessions: &'a Sessions,
    /// Payments are taken from anybody.
    pub(crate) unsigned: bool,
    /// Nonces that are remembered of one key.
    pub(crate) nonces: usize,
    /// When the server began to remember nonces.
    pub(crate) started: Time,
    pub(crate) now: Time,
}

/// What a request's headers say about its caller.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Nothing more to check.
    Proven(Caller),
    /// Good if the signature is.
    Signed { key: Arc<Signing>, ts: i64, nonce: Box<str>, sig: [u8; 32] },
    /// Good if the body alone is signed by a legacy key of the merchant that it names.
    Legacy([u8; 32]),
}

/// All that a legacy signature needs to know of a body.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "merchantId", borrow)]
    merchant: std::borrow::Cow<'a, str>,
}

impl Claim {
    /// Reads the headers.
    pub(crate) fn read(door: &Door<'_>, parts: &Parts, route: &Route) -> Result<Self, Problem> {
        if route.role == Role::Anybody {
            return Ok(Self::Proven(door.keys.anybody()));
        }
        let value = parts.headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
        match value {
            Some(value) => match after(value, SCHEME.as_bytes()) {
                Some([b' ', rest @ ..]) if route.role == Role::Merchant => Self::signed(door, rest),
                _ => bearer(door, value, route.role).map(Self::Proven),
            },
            None if route.role != Role::Merchant => Err(nobody(route.role)),
            None if door.unsigned => Ok(Self::Proven(door.keys.unsigned())),
            None => Self::legacy(parts, route),
        }
    }

    fn signed(door: &Door<'_>, value: &[u8]) -> Result<Self, Problem> {
        let Signed { key, ts, nonce, sig } = signature::parse(value).map_err(invalid)?;
        let key = door.signing(key).ok_or_else(|| invalid("keyId names no live key"))?;
        door.fresh(ts)?;
        Ok(Self::Signed { key, ts, nonce: nonce.into(), sig })
    }

    fn legacy(parts: &Parts, route: &Route) -> Result<Self, Problem> {
        let value = parts.headers.get(LEGACY).ok_or_else(|| nobody(route.role))?;
        if route.name != LEGACY_ROUTE {
            return Err(no_legacy("X-HMAC-SHA256 signs the body alone: it is for authorizations"));
        }
        let sig = signature::from_hex(value.as_bytes());
        sig.map(Self::Legacy).ok_or_else(|| invalid("X-HMAC-SHA256 is 64 hexadecimal digits"))
    }

    /// Checks what the headers left open, with the body as it came.
    pub(crate) fn settle(
        self,
        door: &Door<'_>,
        (method, target): (&Method, Option<&PathAndQuery>),
        body: &[u8],
    ) -> Result<Caller, Problem> {
        match self {
            Self::Proven(caller) => Ok(caller),
            Self::Signed { key, ts, nonce, sig } => {
                let root = PathAndQuery::from_static("/");
                let target = target.unwrap_or(&root);
                let text = signature::text(method, target, (ts, &nonce), body);
                if !key.checker.agrees(text.as_bytes(), &sig) {
                    return Err(invalid("it is not the signature of this request by this key"));
                }
                door.remember(&key, ts, &nonce)?;
                door.serves(key.caller.clone())
            }
            Self::Legacy(sig) => legacy(door, body, &sig).and_then(|caller| door.serves(caller)),
        }
    }
}

impl Door<'_> {
    /// The live key with this id, of a file or of the store.
    fn signing(&self, id: &str) -> Option<Arc<Signing>> {
        self.keys.signing(id).cloned().or_else(|| self.directory.signing(id))
    }

    /// The live keys of a merchant, of files and of the store.
    fn of_merchant(&self, merchant: &str) -> Vec<Arc<Signing>> {
        let mut keys = self.keys.of_merchant(merchant).to_vec();
        keys.extend(self.directory.of_merchant(merchant));
        keys
    }

    /// Who has signed, unless it is suspended: told to the merchant alone, after its signature.
    fn serves(&self, caller: Caller) -> Result<Caller, Problem> {
        let code = caller.merchant.as_deref();
        let refused = code.is_some_and(|code| self.directory.is_suspended(code));
        if refused { Err(suspended()) } else { Ok(caller) }
    }

    fn second(&self) -> i64 {
        self.now.0.div_euclid(SECOND)
    }

    /// Refuses what is out of the window, and what may have come to a process before this one,
    /// whose nonces are forgotten.
    fn fresh(&self, ts: i64) -> Result<(), Problem> {
        if !in_window(ts, self.second()) {
            return Err(stale("ts is more than 300 s away from the server's time"));
        }
        if ts <= self.started.0.div_euclid(SECOND) {
            return Err(stale("ts is before the start of the server; sign the request again"));
        }
        Ok(())
    }

    /// Takes the nonce: only of a good signature, so that strangers cannot fill the memory.
    fn remember(&self, key: &Signing, ts: i64, nonce: &str) -> Result<(), Problem> {
        let taken = key.nonces.lock().take(nonce, ts, self.second(), self.nonces);
        taken.map_err(|refused| match refused {
            Refused::Stale => stale("ts is more than 300 s away from the server's time"),
            Refused::Reused => {
                Problem::of(Own::NonceReused, "the nonce came before; sign with a new one")
            }
            Refused::Full(seconds) => {
                let detail = format!(
                    "{} requests of this key are remembered; there is room in {seconds} s",
                    self.nonces
                );
                let mut problem = Problem::of(Own::NonceStoreFull, detail);
                problem.after = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
                problem
            }
        })
    }
}

fn legacy(door: &Door<'_>, body: &[u8], sig: &[u8; 32]) -> Result<Caller, Problem> {
    let named: Named<'_> = serde_json::from_slice(body)
        .map_err(|_| invalid("X-HMAC-SHA256 needs a body with one merchantId"))?;
    let keys = door.of_merchant(&named.merchant);
    if !keys.is_empty() && keys.iter().all(|key| !key.legacy) {
        return Err(no_legacy("no key of this merchant takes X-HMAC-SHA256"));
    }
    let mut good = None;
    for key in keys.iter().filter(|key| key.legacy) {
        if key.checker.agrees(body, sig) {
            good = Some(key.caller.clone());
        }
    }
    good.ok_or_else(|| invalid("X-HMAC-SHA256 is not the signature of this body"))
}

fn bearer(door: &Door<'_>, value: &[u8], wanted: Role) -> Result<Caller, Problem> {
    let token = after(value, b"bearer ").ok_or_else(|| nobody(wanted))?;
    if token.starts_with(TOKEN) {
        return session(door, token, wanted);
    }
    let caller = door.keys.bearer(token).ok_or_else(|| nobody(wanted))?;
    if caller.role < wanted {
        let detail = "this call needs an operator's key; the key that came is a client's";
        return Err(Problem::of(Own::Forbidden, detail));
    }
    Ok(caller)
}

fn session(door: &Door<'_>, token: &[u8], wanted: Role) -> Result<Caller, Problem> {
    let caller = door.sessions.caller(token, door.now).ok_or_else(|| {
        let detail = "the session is over, or of another server; POST /api/v1/sessions begins one";
        Problem::of(Own::Unauthorized, detail)
    })?;
    if wanted == Role::Customer {
        return Ok(caller);
    }
    let detail = "this call is not for customers; the token that came is a customer's";
    Err(Problem::of(Own::Forbidden, detail))
}

/// What follows the scheme, in any case.
fn after<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn nobody(wanted: Role) -> Problem {
    let detail = match wanted {
        Role::Merchant => {
            "sign the request with a merchant's key, or send `Authorization: Bearer KEY`"
        }
        Role::Customer => {
            "send `Authorization: Bearer TOKEN` of a session, or a key of this server"
        }
        _ => "send `Authorization: Bearer KEY` with a key of this server",
    };
    Problem::of(Own::Unauthorized, detail)
}

fn invalid(detail: &'static str) -> Problem {
    Problem::of(Own::SignatureInvalid, detail)
}

fn stale(detail: &'static str) -> Problem {
    Problem::of(Own::SignatureStale, detail)
}

fn no_legacy(detail: &'static str) -> Problem {
    Problem::of(Own::LegacyForbidden, detail)
}

#[cfg(test)]
mod tests;
