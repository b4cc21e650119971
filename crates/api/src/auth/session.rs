//! Customers' sessions: signed tokens that say who it is, until when, and of which generation.
//!
//! A token is a JWT (RFC 7519) signed with HMAC-SHA-256. Its header has `alg` HS256 and `kid`, the
//! name of the session key (the stem of `keys/sessions/KID.key`); its claims are
//!
//! | claim | meaning |
//! |---|---|
//! | `sub` | the user, `usr_…` |
//! | `iat` | when it was made, in seconds since 1970 |
//! | `exp` | from when on it is worth nothing, in seconds since 1970 |
//! | `ver` | the user's generation when it was made; none is 0 |
//!
//! The newest key signs, all keys verify, so that a key can be replaced while its tokens live. A
//! token that was verified is remembered by its SHA-256 with its caller: the next request with it
//! costs a hash and one look-up. Nothing else is asked of the store, so a session works as long as
//! the server does; what ends it early is the user's *bar*: the least generation that is still
//! good. A new password raises it, and a deactivated user has none that is good enough. Bars are
//! read at the start and follow every commit that changes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_kernel::{Secret, Time, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Caller, Role, hs256};

/// Tokens of each of the two halves of the memory.
const HALF: usize = 1 << 17;
/// The longest token that is looked at.
const TOKEN_MAX: usize = 1_024;
const SECOND: i64 = 1_000_000;

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    iat: i64,
    exp: i64,
    #[serde(default)]
    ver: i64,
}

/// A token that was verified.
#[derive(Debug, Clone)]
struct Session {
    caller: Caller,
    user: UserId,
    exp: i64,
    ver: i64,
}

struct SessionKey {
    id: Arc<str>,
    sign: EncodingKey,
    verify: DecodingKey,
}

/// The keys of sessions, the tokens that are known to be good, and who was barred since.
pub(crate) struct Sessions {
    /// Oldest first.
    keys: Vec<SessionKey>,
    validation: Validation,
    known: RwLock<Known>,
    bars: RwLock<HashMap<UserId, i64>>,
    refused: AtomicBool,
}

/// Two halves, so that what is not used any more is forgotten without looking for it: when the
/// young half is full it becomes the old one, and who is found there moves.
#[derive(Default)]
struct Known {
    young: HashMap<Print, Session>,
    old: HashMap<Print, Session>,
}

/// The SHA-256 of a token: a sixth of its size, and of no use to whoever reads the memory.
type Print = [u8; 32];

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|key| &key.id).collect();
        f.debug_struct("Sessions").field("keys", &ids).finish_non_exhaustive()
    }
}

impl Sessions {
    /// With these keys, oldest first; without any, no session is good.
    pub(crate) fn new(keys: &[(Arc<str>, Secret)]) -> Self {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Time is the shop's clock, and is looked at with every request.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = |(id, secret): &(Arc<str>, Secret)| {
            let secret = secret.reveal().as_bytes();
            let (sign, verify) =
                (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
            SessionKey { id: Arc::clone(id), sign, verify }
        };
        Self {
            keys: keys.iter().map(key).collect(),
            validation,
            known: RwLock::default(),
            bars: RwLock::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// A token for `user` that is good until `until`; none without a key.
    pub(crate) fn issue(&self, user: UserId, ver: i64, now: Time, until: Time) -> Option<Secret> {
        let key = self.keys.last()?;
        let claims = Claims { sub: user.to_string(), iat: second(now), exp: second(until), ver };
        let header = Header { kid: Some(key.id.to_string()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &claims, &key.sign).ok().map(Secret::new)
    }

    /// Who shows `token`, if it is good now.
    pub(super) fn caller(&self, token: &[u8], now: Time) -> Option<Caller> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let print = print(token);
        let session = self.remembered(print).or_else(|| self.verified(token, print, now))?;
        let bars = self.bars.read();
        let barred = !bars.is_empty() && bars.get(&session.user).is_some_and(|b| session.ver < *b);
        let refused = barred || self.refused.load(Ordering::Relaxed);
        (second(now) < session.exp && !refused).then_some(session.caller)
    }

    /// Tokens of generations below `least` are worth nothing any more. Bars only rise.
    pub(crate) fn bar(&self, user: UserId, least: i64) {
        let mut bars = self.bars.write();
        let bar = bars.entry(user).or_insert(least);
        *bar = least.max(*bar);
    }

    /// No session is good any more.
    pub(crate) fn refuse_all(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// It can be read again which have ended.
    pub(crate) fn refuse_no_more(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    fn remembered(&self, print: Print) -> Option<Session> {
        let known = self.known.read();
        if let Some(session) = known.young.get(&print) {
            return Some(session.clone());
        }
        let session = known.old.get(&print)?.clone();
        drop(known);
        self.remember(print, &session);
        Some(session)
    }

    fn remember(&self, print: Print, session: &Session) {
        let mut known = self.known.write();
        if known.young.len() >= HALF {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(print, session.clone());
    }

    fn verified(&self, token: &[u8], print: Print, now: Time) -> Option<Session> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.keys.iter().find(|key| *key.id == *kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verify, &self.validation);
        let Claims { sub, iat: _, exp, ver } = claims.ok()?.claims;
        let user = UserId::parse(&sub)?;
        let caller =
            Caller { role: Role::Customer, name: sub.into(), merchant: None, customer: Some(user) };
        let session = Session { caller, user, exp, ver };
        // What has ended would only take room.
        if second(now) < exp {
            self.remember(print, &session);
        }
        Some(session)
    }
}

/// A token for `user` as a log-in gives it, for whoever holds the keys: load generators, tests, and
/// operators who look at something with a customer's eyes. None without a session key.
pub fn session_token(keys: &super::Keys, user: UserId, now: Time, until: Time) -> Option<Secret> {
    Sessions::new(keys.sessions()).issue(user, 0, now, until)
}

fn print(token: &[u8]) -> Print {
    Sha256::digest(token).into()
}

fn second(time: Time) -> i64 {
    time.0.div_euclid(SECOND)
}

#[cfg(test)]
mod tests;
