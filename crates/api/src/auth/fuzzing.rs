//! Signatures from arbitrary bytes.

use std::sync::LazyLock;

use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, Request};
use jangbu_kernel::{Secret, Time};

use super::claim::{Claim, Door};
use super::directory::Directory;
use super::keys::{Keys, MerchantKey};
use super::session::Sessions;
use super::signature::{self, SCHEME};
use crate::route;

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let mut keys =
        Keys::new(Secret::new("jbc_0123456789abcdef"), Secret::new("jbo_0123456789abcdef"));
    let key = MerchantKey {
        id: "k1".to_owned(),
        merchant: "m-1".to_owned(),
        secret: Secret::new("a secret that no input can guess, 3f9c"),
        legacy: true,
    };
    keys.add_merchant(key).unwrap_or_else(|error| panic!("{error}"));
    keys
});

static DIRECTORY: LazyLock<Directory> = LazyLock::new(Directory::default);

static SESSIONS: LazyLock<Sessions> = LazyLock::new(|| {
    Sessions::new(&[("0001".into(), Secret::new("a secret that no input can guess, 77aa"))])
});

/// Reads `data` as a header, as the parts of a request, and as a whole request of a stranger.
pub fn signature(data: &[u8]) {
    header(data);
    text(data);
    stranger(data);
}

/// What is read can be written, and is read again.
fn header(data: &[u8]) {
    let Ok(signed) = signature::parse(data) else { return };
    let sig: String =
        signed.sig.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
    let (key, ts, nonce) = (signed.key, signed.ts, signed.nonce);
    let written = format!("sig={sig},\tnonce={nonce} ,ts={ts},keyId={key}");
    assert_eq!(signature::parse(written.as_bytes()).as_ref(), Ok(&signed), "{written}");
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).unwrap_or('?')
}

/// The parts are the lines of the text, whatever is in them: no two requests share one.
fn text(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'|');
    let mut next = || parts.next().unwrap_or_default();
    let (Ok(method), Ok(target)) = (Method::from_bytes(next()), PathAndQuery::try_from(next()))
    else {
        return;
    };
    let header = [b"keyId=k,sig=", &[b'0'; 64][..], b",", next()].concat();
    let Ok(signed) = signature::parse(&header) else { return };
    let text = signature::text(&method, &target, (signed.ts, signed.nonce), next());
    let lines: Vec<&str> = text.split('\n').collect();
    let ts = signed.ts.to_string();
    assert_eq!(lines[..5], [SCHEME, method.as_str(), target.as_str(), &ts, signed.nonce]);
    assert!(lines.len() == 6 && lines[5].len() == 64, "{text}");
}

/// Nobody is let in who does not know a secret, whatever the headers say.
fn stranger(data: &[u8]) {
    let (value, body) = data.split_at(data.iter().position(|byte| *byte == b'|').unwrap_or(0));
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let now = Time(1_795_000_000_000_000);
    let door = Door {
        keys: &KEYS,
        directory: &DIRECTORY,
        sessions: &SESSIONS,
        unsigned: false,
        nonces: 9,
        started: Time(0),
        now,
    };
    for name in ["authorization", "x-hmac-sha256"] {
        let request = Request::post("/api/payments/authorize").header(name, value.clone());
        let Ok(request) = request.body(()) else { continue };
        let parts = request.into_parts().0;
        for route in route::all().filter(|route| route.role > super::Role::Anybody) {
            let target = parts.uri.path_and_query();
            let caller = Claim::read(&door, &parts, route)
                .and_then(|claim| claim.settle(&door, (&parts.method, target), body));
            assert!(caller.is_err(), "{name}: {value:?} on {}", route.name);
        }
    }
}
