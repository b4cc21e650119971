//! What is sent about users, and what it means.

use std::borrow::Cow;

use jangbu_domain::user::command::Change;
use jangbu_kernel::words::is_line;
use jangbu_kernel::{Secret, UserId};
use serde::{Deserialize, Deserializer};

use crate::call::Call;
use crate::problem::Problem;
use crate::text::id;

const EMAIL: usize = 254;
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegisterIn<'a> {
    #[serde(borrow)]
    pub(super) email: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) password: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) phone: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) address: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateIn<'a> {
    #[serde(borrow, default)]
    pub(super) email: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) name: Option<Cow<'a, str>>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "said")]
    pub(super) phone: Change<String>,
    #[serde(default, deserialize_with = "said")]
    pub(super) address: Change<String>,
}

/// Null is something that was said; a field that is missing is not.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<Change<String>, D::Error> {
    Ok(Option::deserialize(from)?.map_or(Change::Clear, Change::Set))
}

/// The same change of something else, if that can be made.
pub(super) fn to<T>(
    change: &Change<String>,
    make: impl FnOnce(&str) -> Result<T, Problem>,
) -> Result<Change<T>, Problem> {
    Ok(match change {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(text) => Change::Set(make(text)?),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordIn<'a> {
    #[serde(borrow, default)]
    pub(super) current: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) password: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeactivateIn<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginIn<'a> {
    #[serde(borrow)]
    pub(super) email: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) password: Cow<'a, str>,
}

/// The user that the path names.
pub(super) fn user_id(call: &Call) -> Result<UserId, Problem> {
    id(UserId::parse, UserId::PREFIX, call.param(), || "id".into())
}

/// An address as it is looked for: case says nothing. `None`: it is none.
pub(super) fn normal(email: &str) -> Option<String> {
    let (local, domain) = email.split_once('@')?;
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
    };
    let fits = email.len() <= EMAIL && plain(local) && plain(domain);
    fits.then(|| email.to_lowercase())
}

pub(super) fn email(text: &str) -> Result<String, Problem> {
    normal(text).ok_or_else(|| {
        Problem::field(
            "email",
            "must be an e-mail address of at most 254 bytes: someone@example.com",
        )
    })
}

pub(super) fn name(text: &str) -> Result<&str, Problem> {
    line("name", text, 100)
}

pub(super) fn phone(text: &str) -> Result<&str, Problem> {
    let fits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-() ".contains(&byte));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if fits && (5..=20).contains(&digits) && text.len() <= 40 {
        return Ok(text);
    }
    Err(Problem::field("phone", "must have 5 to 20 digits; + - ( ) and blanks may stand between"))
}

pub(super) fn address(text: &str) -> Result<&str, Problem> {
    line("address", text, 300)
}

/// A new password.
pub(super) fn password(text: &str) -> Result<Secret, Problem> {
    if PASSWORD.contains(&text.chars().count()) {
        return Ok(Secret::new(text));
    }
    Err(Problem::field("password", "must have 8 to 128 characters"))
}

fn line<'a>(field: &str, text: &'a str, most: usize) -> Result<&'a str, Problem> {
    if is_line(text, most) && text.trim() == text {
        return Ok(text);
    }
    let message = format!("must be a line of 1 to {most} characters without blanks around it");
    Err(Problem::field(field, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_however_it_is_written() {
        for (text, wanted) in [
            ("Kim@Example.COM", Some("kim@example.com")),
            ("김@예시.한국", Some("김@예시.한국")),
            ("a@b", Some("a@b")),
            ("@b", None),
            ("a@", None),
            ("a", None),
            ("", None),
            ("a@b@c", None),
            ("a b@c", None),
            ("a@b\n", None),
        ] {
            assert_eq!(normal(text).as_deref(), wanted, "{text}");
        }
        let long = format!("{}@b", "a".repeat(252));
        assert!(normal(&long).is_some() && normal(&format!("a{long}")).is_none());
    }

    #[test]
    fn fields_have_their_forms() {
        assert!(name("김장부").is_ok() && name("").is_err() && name(" x").is_err());
        assert!(name(&"x".repeat(100)).is_ok() && name(&"x".repeat(101)).is_err());
        assert!(name("a\u{7}").is_err());
        assert!(phone("+82 (10) 1234-5678").is_ok());
        assert!(phone("1234").is_err() && phone("123456x").is_err() && phone("+++++").is_err());
        assert!(address("서울시 종로구 1").is_ok() && address(&"x".repeat(301)).is_err());
        assert!(password("12345678").is_ok() && password("1234567").is_err());
        assert!(password(&"x".repeat(128)).is_ok() && password(&"x".repeat(129)).is_err());
    }
}
