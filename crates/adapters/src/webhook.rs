//! Hooks: a POST of a JSON object, signed, to an address that the shop's operator has set.
//!
//! ```text
//! Idempotency-Key:   the id of the delivery, the same for each attempt
//! Jangbu-Signature:  t=SECONDS,v1=HEX      HMAC-SHA-256 over "SECONDS.BODY" with the key of hooks
//! ```
//!
//! A receiver compares the signature in constant time, refuses what is older than five minutes, and
//! knows a repeat by its id. Plain HTTP: a proxy speaks TLS to the world.
//!
//! | the other side | the call |
//! |---|---|
//! | 2xx | is done |
//! | does not answer, or breaks off | waits: the channel rests |
//! | 400, 410, 413, 422 | is given up |
//! | any other answer | is tried again later |

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jangbu_kernel::{Secret, Time};
use jangbu_services::notification::{Channel, Letter, Undelivered};
use sha2::Sha256;
use ureq::Agent;

/// How long a call may take in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers that mean: never.
const NEVER: [u16; 4] = [400, 410, 413, 422];

/// An address that is called.
pub struct Webhook {
    agent: Agent,
    name: String,
    url: String,
    key: Secret,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Calls `url` (`http://…`), signing with `key`. The error is a sentence.
    pub fn new(name: &str, url: &str, key: Secret) -> Result<Self, String> {
        if !url.starts_with("http://") {
            return Err("must begin with http:// (a proxy speaks TLS to the world)".to_owned());
        }
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        let (name, url) = (name.to_owned(), url.to_owned());
        Ok(Self { agent: config.into(), name, url, key })
    }
}

/// The signature of a body at a moment in seconds since 1970.
pub fn signature(key: &Secret, seconds: i64, body: &str) -> String {
    // A key of any length is one.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Channel for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_mail(&self) -> bool {
        false
    }

    fn send(&mut self, letter: &Letter, now: Time) -> Result<(), Undelivered> {
        let Letter::Hook { id, topic, body } = letter else {
            return Err(Undelivered::Never("it is no call".to_owned()));
        };
        let call = self
            .agent
            .post(&self.url)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", id)
            .header("Jangbu-Event", *topic)
            .header("Jangbu-Signature", signature(&self.key, now.0.div_euclid(1_000_000), body));
        match call.send(body).map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => Ok(()),
            Ok(code) if NEVER.contains(&code) => {
                Err(Undelivered::Never(format!("it answered {code}")))
            }
            Ok(code) => Err(Undelivered::Later(format!("it answered {code}"))),
            Err(_) => Err(Undelivered::Away("there is no answer".to_owned())),
        }
    }
}
