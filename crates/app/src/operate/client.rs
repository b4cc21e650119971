//! Requests to a running server, as the operator whose key is given.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::args::{Desk, Page};
use crate::exit::Usage;
use crate::keys;

/// The server has refused: its code, its words, and the id under which it is found in the log.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {detail} (status {status}, request {request})")]
pub(crate) struct Refused {
    pub code: String,
    pub detail: String,
    pub status: u16,
    pub request: String,
}

impl Refused {
    /// 1: it will not; 2: the key is not the right one; 4: it cannot now.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.status {
            401 | 403 => 2,
            400..500 => 1,
            _ => 4,
        }
    }
}

/// A server and the key for it.
#[derive(Debug)]
pub(crate) struct Client {
    url: String,
    bearer: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn open(desk: &Desk) -> Result<Self> {
        let key = keys::read(&desk.key).map_err(Usage)?;
        Ok(Self {
            url: desk.server.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {}", key.reveal()),
            agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
        })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.url);
        let request = self.agent.get(&url).header("Authorization", &self.bearer);
        read(request.call().with_context(|| reach(&url))?)
    }

    /// A page of a list.
    pub(super) fn list(
        &self,
        path: &str,
        filters: &[(&str, Option<&str>)],
        page: &Page,
    ) -> Result<Value> {
        let mut query = format!("{path}?limit={}", page.limit);
        let cursor = [("cursor", page.cursor.as_deref())];
        for (name, value) in filters.iter().chain(&cursor) {
            if let Some(value) = value {
                query = format!("{query}&{name}={}", escaped(value));
            }
        }
        self.get(&query)
    }

    /// As [`Client::post`], with the method PUT.
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.url);
        let request = self.agent.put(&url).header("Authorization", &self.bearer);
        let request = request.header("Idempotency-Key", fresh_key()?);
        read(request.send_json(body).with_context(|| reach(&url))?)
    }

    /// A command, under a key of its own: one call is one effect.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}{path}", self.url);
        let request = self.agent.post(&url).header("Authorization", &self.bearer);
        let request = request.header("Idempotency-Key", fresh_key()?);
        read(request.send_json(body).with_context(|| reach(&url))?)
    }
}

fn reach(url: &str) -> String {
    format!("{url}; is the server running?")
}

fn fresh_key() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Ok(random.iter().fold("desk-".to_owned(), hex))
}

/// Every byte that is not safe in a part of a path or a query, escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let status = answer.status().as_u16();
    let body: Value = answer.body_mut().read_json().unwrap_or_default();
    if (200..300).contains(&status) {
        return Ok(body);
    }
    let word = |name: &str, missing: &str| {
        body[name].as_str().map_or_else(|| missing.to_owned(), str::to_owned)
    };
    Err(Refused {
        code: word("code", "NO_CODE"),
        detail: word("detail", "the answer is no problem of this server"),
        status,
        request: word("requestId", "unknown"),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_safe_in_a_path_is_escaped() {
        assert_eq!(escaped("ord_1-a.b~c:d"), "ord_1-a.b~c:d");
        assert_eq!(escaped("a/b?c&d é"), "a%2Fb%3Fc%26d%20%C3%A9");
    }
}
