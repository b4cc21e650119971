//! Values that cannot be printed (promise P8): `Debug`, `Display` and `Serialize` mask them. Between
//! two processes of one shop they travel inside commands ([`carried`]).

use std::cell::Cell;
use std::fmt;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MASK: &str = "***";

/// A key or a personal datum. The only way to its text is [`Secret::reveal`], which a reviewer
/// can search for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must hand it on.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

thread_local! {
    /// Whether this thread encodes something for another process of the shop.
    static CARRIED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `encode`, in which secrets may go into a *binary* form: the one that goes to another
/// process of the same shop and is never stored. Text masks them here, too.
pub fn carried<T>(encode: impl FnOnce() -> T) -> T {
    /// Ends it, also when `encode` panics.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            CARRIED.set(self.0);
        }
    }
    let _before = Before(CARRIED.replace(true));
    encode()
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Binary forms are read back by this program: a mask would be taken for the secret.
        if serializer.is_human_readable() {
            serializer.serialize_str(MASK)
        } else if CARRIED.get() {
            serializer.serialize_str(&self.0)
        } else {
            Err(S::Error::custom("a secret is not written"))
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new("tok_visa_4242");
        assert_eq!(format!("{secret:?} {secret}"), "*** ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(secret.reveal(), "tok_visa_4242");
        let carried = carried(|| serde_json::to_string(&secret).unwrap());
        assert_eq!(carried, "\"***\"", "text masks it, wherever it goes");
    }
}
