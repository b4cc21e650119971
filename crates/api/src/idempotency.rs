//! Idempotency keys: their header, their scope, and the fingerprint of the command.
//!
//! The fingerprint covers what the request means, not how it was written: blanks, the order of
//! fields and escapes in its JSON do not matter. What the server adds, such as a minted id, is not
//! part of it. Its first byte is the version of this rule.

use jangbu_kernel::IdemKey;
use sha2::{Digest, Sha256};

use crate::auth::Caller;
use crate::codes::Own;
use crate::problem::Problem;

/// The longest key.
const MAX: usize = 255;
const VERSION: u8 = 1;

/// Collects the meaning of a command. Numbers have a fixed width and texts their length in front,
/// so that no two commands look the same.
#[derive(Clone)]
pub(crate) struct Canon(Sha256);

impl Canon {
    /// Begins with the operation's name.
    pub(crate) fn new(operation: &str) -> Self {
        Self(Sha256::new()).text(operation)
    }

    pub(crate) fn int(mut self, value: i64) -> Self {
        self.0.update(value.to_be_bytes());
        self
    }

    pub(crate) fn text(self, value: &str) -> Self {
        let mut with = self.int(i64::try_from(value.len()).unwrap_or(i64::MAX));
        with.0.update(value);
        with
    }

    pub(crate) fn option(self, value: Option<&str>) -> Self {
        match value {
            None => self.int(-1),
            Some(value) => self.text(value),
        }
    }

    fn finish(self) -> [u8; 17] {
        let digest = self.0.finalize();
        let mut body = [VERSION; 17];
        body[1..].copy_from_slice(&digest[..16]);
        body
    }
}

/// The key of a command: scope `client:order.place`, the client's key, the fingerprint. Customers
/// have a scope each (`customer:usr_…:order.place`): what one chooses is no key of another.
pub(crate) fn key(caller: &Caller, operation: &str, key: &str, canon: Canon) -> IdemKey {
    let scope = match caller.customer {
        None => [caller.role.name(), ":", operation].concat().into(),
        Some(_) => [caller.role.name(), ":", &caller.name, ":", operation].concat().into(),
    };
    IdemKey { scope, key: key.into(), body: canon.finish() }
}

/// As [`key`], for payments of a merchant: the scope is the same whoever signs for it.
pub(crate) fn merchant_key(merchant: &str, operation: &str, key: &str, canon: Canon) -> IdemKey {
    let scope = ["merchant:", merchant, ":", operation].concat().into();
    IdemKey { scope, key: key.into(), body: canon.finish() }
}

/// Reads the header.
pub(crate) fn header(value: Option<&[u8]>) -> Result<Box<str>, Problem> {
    let Some(value) = value else {
        let detail = "send an `Idempotency-Key` of your own choice, such as a UUID: the same key \
                      and body again is the same request, however often it arrives";
        return Err(Problem::of(Own::KeyRequired, detail));
    };
    let visible = value.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(value) {
        Ok(text) if visible && (1..=MAX).contains(&text.len()) => Ok(text.into()),
        _ => Err(Problem::of(
            Own::KeyInvalid,
            "an Idempotency-Key is 1 to 255 visible ASCII characters without blanks",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_ascii_characters() {
        let long = "x".repeat(256);
        for (value, wanted) in [
            (None, Err("IDEMPOTENCY_KEY_REQUIRED")),
            (Some("a-1"), Ok("a-1")),
            (Some(&long[..255]), Ok(&long[..255])),
            (Some(&*long), Err("IDEMPOTENCY_KEY_INVALID")),
            (Some(""), Err("IDEMPOTENCY_KEY_INVALID")),
            (Some("a b"), Err("IDEMPOTENCY_KEY_INVALID")),
            (Some("é"), Err("IDEMPOTENCY_KEY_INVALID")),
        ] {
            let read = header(value.map(str::as_bytes));
            assert_eq!(read.as_deref().map_err(|problem| problem.code), wanted);
        }
    }

    #[test]
    fn texts_that_run_together_differ() {
        let of = |a: &str, b: &str| Canon::new("x").text(a).text(b).finish();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_eq!(of("a", "b")[0], 1);
        assert_ne!(
            Canon::new("x").option(None).finish(),
            Canon::new("x").option(Some("")).finish()
        );
    }
}
