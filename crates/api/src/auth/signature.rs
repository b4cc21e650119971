//! What a merchant signs, and how it is read.
//!
//! ```text
//! Authorization: JANGBU-HMAC-SHA256 keyId=ID, ts=UNIX_SECONDS, nonce=NONCE, sig=HEX
//!
//! sig = HMAC-SHA-256(secret,  JANGBU-HMAC-SHA256 \n
//!                             METHOD \n
//!                             path and query, as sent \n
//!                             ts \n
//!                             nonce \n
//!                             lower hex of SHA-256(raw body))
//! ```
//!
//! No line can hold a line break, so no two requests have the same text to sign (test:
//! `requests_that_differ_have_different_texts`).

use std::fmt::Write as _;

use axum::http::Method;
use axum::http::uri::PathAndQuery;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The name of the scheme; it also begins what is signed.
pub(super) const SCHEME: &str = "JANGBU-HMAC-SHA256";
const KEY_ID_MAX: usize = 64;
const NONCE_MIN: usize = 16;
const NONCE_MAX: usize = 64;
const TS_MAX: usize = 11;

/// A key's secret, ready to check with; it cannot be printed.
#[derive(Clone)]
pub(super) struct Checker(Hmac<Sha256>);

impl std::fmt::Debug for Checker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Checker {
    /// None never comes: HMAC takes a secret of any length.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(secret).ok().map(Self)
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(super) fn agrees(&self, text: &[u8], sig: &[u8; 32]) -> bool {
        self.0.clone().chain_update(text).verify_slice(sig).is_ok()
    }
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed<'a> {
    pub(super) key: &'a str,
    pub(super) ts: i64,
    pub(super) nonce: &'a str,
    pub(super) sig: [u8; 32],
}

/// Reads what follows the scheme: four parameters, each once, in any order, with commas between
/// them and blanks where one likes. The error is a sentence about the form.
pub(super) fn parse(value: &[u8]) -> Result<Signed<'_>, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "the signature is not ASCII")?;
    let (mut key, mut ts, mut nonce, mut sig) = (None, None, None, None);
    for pair in text.split(',') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=').ok_or(FORM)?;
        let place = match name {
            "keyId" => &mut key,
            "ts" => &mut ts,
            "nonce" => &mut nonce,
            "sig" => &mut sig,
            _ => return Err("a signature has keyId, ts, nonce and sig, and nothing else"),
        };
        if place.replace(value).is_some() {
            return Err("a part of the signature comes twice");
        }
    }
    let (Some(key), Some(ts), Some(nonce), Some(sig)) = (key, ts, nonce, sig) else {
        return Err(FORM);
    };
    if !is_word(key, 1, KEY_ID_MAX) {
        return Err("keyId is 1 to 64 of A-Z a-z 0-9 _ -");
    }
    if !is_word(nonce, NONCE_MIN, NONCE_MAX) {
        return Err("nonce is 16 to 64 of A-Z a-z 0-9 _ -");
    }
    let ts = seconds(ts).ok_or("ts is the time in whole seconds since 1970")?;
    let sig = from_hex(sig.as_bytes()).ok_or("sig is 64 hexadecimal digits")?;
    Ok(Signed { key, ts, nonce, sig })
}

const FORM: &str = "a signature is `JANGBU-HMAC-SHA256 keyId=…, ts=…, nonce=…, sig=…`";

fn is_word(text: &str, min: usize, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (min..=max).contains(&text.len()) && text.bytes().all(plain)
}

/// Digits as they are printed: no sign, and no zero in front, because the text is signed.
fn seconds(text: &str) -> Option<i64> {
    let plain = text.len() <= TS_MAX && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}

/// 32 bytes from 64 digits of either case.
pub(super) fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// What is signed.
pub(super) fn text(
    method: &Method,
    target: &PathAndQuery,
    (ts, nonce): (i64, &str),
    body: &[u8],
) -> String {
    let (method, target) = (method.as_str(), target.as_str());
    let mut text = String::with_capacity(method.len() + target.len() + 192);
    let _ = write!(text, "{SCHEME}\n{method}\n{target}\n{ts}\n{nonce}\n");
    for byte in Sha256::digest(body) {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 15)].into());
    }
    text
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIG: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

    #[test]
    fn a_header_is_read_in_any_order_and_with_any_blanks() {
        let text = format!("keyId=k-1,ts=17,nonce=0123456789abcdef,sig={SIG}");
        let wanted = parse(text.as_bytes()).unwrap();
        assert_eq!((wanted.key, wanted.ts, wanted.nonce), ("k-1", 17, "0123456789abcdef"));
        assert_eq!((wanted.sig[1], wanted.sig[31]), (0x11, 0xff), "digits of either case");
        for text in [
            format!(" sig={SIG} ,\tnonce=0123456789abcdef,ts=17,  keyId=k-1\t"),
            format!("ts=17, sig={SIG}, keyId=k-1, nonce=0123456789abcdef"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn a_header_of_another_form_is_refused() {
        let good = format!("keyId=k,ts=17,nonce=0123456789abcdef,sig={SIG}");
        assert!(parse(good.as_bytes()).is_ok());
        for (part, other) in [
            ("keyId=k", "keyId="),
            ("keyId=k", "keyId=k k"),
            ("keyId=k", "keyid=k"),
            ("keyId=k", "keyId =k"),
            ("keyId=k", "keyId=\"k\""),
            ("keyId=k,", ""),
            ("keyId=k,", "keyId=k,,"),
            ("keyId=k,", "keyId=k,keyId=k,"),
            ("keyId=k,", "keyId=k,alg=none,"),
            ("ts=17", "ts=+17"),
            ("ts=17", "ts=-17"),
            ("ts=17", "ts=017"),
            ("ts=17", "ts=17.0"),
            ("ts=17", "ts="),
            ("ts=17", "ts=123456789012"),
            ("nonce=0123456789abcdef", "nonce=0123456789abcde"),
            ("nonce=0123456789abcdef", "nonce=0123456789abcde\n"),
            ("ff0011", "ff001"),
            ("ff0011", "ff001g"),
            ("ff0011", "ff00 1"),
        ] {
            let text = good.replacen(part, other, 1);
            assert_ne!(text, good);
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let long = good.replace("0123456789abcdef", &"n".repeat(65));
        assert!(parse(long.as_bytes()).is_err());
        assert!(parse(b"").is_err() && parse(b"\xff").is_err());
    }

    fn checker(secret: &str) -> Checker {
        Checker::new(secret.as_bytes()).unwrap()
    }

    fn sign(secret: &str, text: &str) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.chain_update(text).finalize().into_bytes().into()
    }

    #[derive(Debug, Clone, PartialEq)]
    struct Request {
        method: Method,
        target: PathAndQuery,
        ts: i64,
        nonce: String,
        body: Vec<u8>,
    }

    impl Request {
        fn text(&self) -> String {
            text(&self.method, &self.target, (self.ts, &self.nonce), &self.body)
        }
    }

    fn requests() -> impl Strategy<Value = Request> {
        // Few letters and digits, so that parts of one request look like parts of another.
        let methods = prop_oneof![Just("GET"), Just("POST"), Just("POSTa"), Just("PUT")];
        let targets = "/[a1]{0,3}(/[a1]{0,2})?(\\?[a1&=%2]{0,4})?";
        let nonces = "[a1]{0,3}";
        let body =
            proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..6);
        (methods, targets, 0_i64..20, nonces, body).prop_map(|(method, target, ts, nonce, body)| {
            let (method, target) = (method.parse().unwrap(), target.parse().unwrap());
            Request { method, target, ts, nonce, body }
        })
    }

    /// The same request with one byte of one part changed; none when nothing else is possible.
    fn spoilt(request: &Request, part: u8, at: usize, to: u8) -> Option<Request> {
        let mut other = request.clone();
        let changed = |text: &str| {
            let mut bytes = text.as_bytes().to_vec();
            let place = at % bytes.len().max(1);
            *bytes.get_mut(place)? = to;
            String::from_utf8(bytes).ok()
        };
        match part {
            0 => other.method = changed(request.method.as_str())?.parse().ok()?,
            1 => other.target = changed(request.target.as_str())?.parse().ok()?,
            2 => other.ts = changed(&request.ts.to_string())?.parse().ok()?,
            3 => other.nonce = changed(&request.nonce).filter(|nonce| is_word(nonce, 0, 64))?,
            _ => {
                let place = at % request.body.len().max(1);
                *other.body.get_mut(place)? = to;
            }
        }
        // The target `#` reads as an empty path, which is written `/`: the same request.
        let same_target = part == 1 && other.target.as_str() == request.target.as_str();
        (other != *request && !same_target).then_some(other)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn requests_that_differ_have_different_texts(a in requests(), b in requests()) {
            prop_assert_eq!(a == b, a.text() == b.text(), "{:?} {:?}", a, b);
        }

        #[test]
        fn a_signature_covers_every_byte(
            request in requests(), part in 0_u8..5, at in 0_usize..40, to in any::<u8>(),
        ) {
            let sig = sign("secret", &request.text());
            prop_assert!(checker("secret").agrees(request.text().as_bytes(), &sig));
            prop_assert!(!checker("secreu").agrees(request.text().as_bytes(), &sig));
            let mut other = sig;
            other[at % 32] ^= 1 << (to % 8);
            prop_assert!(!checker("secret").agrees(request.text().as_bytes(), &other));
            if let Some(spoilt) = spoilt(&request, part, at, to) {
                prop_assert!(!checker("secret").agrees(spoilt.text().as_bytes(), &sig));
            }
        }
    }

    /// The example of API.md, section Signing.
    #[test]
    fn the_example_of_the_document_is_right() {
        let document = include_str!("../../../../API.md");
        let after = |mark: &str| {
            let start = document.find(mark).unwrap_or_else(|| panic!("{mark} is not in API.md"));
            document[start + mark.len()..].lines().next().unwrap()
        };
        let (secret, body) = (after("secret: `"), after("body: `"));
        let (secret, body) = (secret.trim_end_matches('`'), body.trim_end_matches('`'));
        let header = format!("keyId=m-1-a{}", after("JANGBU-HMAC-SHA256 keyId=m-1-a"));
        let signed = parse(header.as_bytes()).unwrap();
        let target: PathAndQuery = "/api/payments/authorize".parse().unwrap();
        let text = text(&Method::POST, &target, (signed.ts, signed.nonce), body.as_bytes());
        assert!(document.contains(&text), "the text to sign:\n{text}");
        let sig = sign(secret, &text);
        assert!(checker(secret).agrees(text.as_bytes(), &signed.sig), "it is {sig:02x?}");
    }
}
