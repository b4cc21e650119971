//! Sessions of the buyers: a token for every user, as a log-in would have given it, made with the
//! session key of the own server. So the load needs no passwords and the server checks what it
//! checks for a browser.

use std::fs;
use std::path::Path;

use crate::Error;
use crate::purse::user;
use crate::signature::Key;

/// Sessions live this long: longer than any run.
const LIFE: i64 = 7 * 24 * 3_600;

/// Tokens of all users, one after the other; each has the same length.
#[derive(Debug)]
pub(crate) struct Passes {
    tokens: Vec<u8>,
    length: usize,
}

impl Passes {
    /// Tokens for users `0..users`, signed with the newest key below `keys`.
    pub(crate) fn mint(keys: &Path, users: u64, now: i64) -> Result<Self, Error> {
        let (kid, secret) = newest(&keys.join("sessions"))?;
        let key = Key::new(secret.as_bytes());
        let head = base64(format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#).as_bytes());
        let mut passes = Self { tokens: Vec::new(), length: 0 };
        for number in 0..users {
            let start = passes.tokens.len();
            passes.tokens.extend_from_slice(head.as_bytes());
            passes.tokens.push(b'.');
            let id = user(number);
            let sub = std::str::from_utf8(&id).unwrap_or_default();
            let claims = format!(r#"{{"sub":"{sub}","iat":{now},"exp":{},"ver":0}}"#, now + LIFE);
            passes.tokens.extend_from_slice(base64(claims.as_bytes()).as_bytes());
            let signature = key.sign(&passes.tokens[start..]);
            passes.tokens.push(b'.');
            passes.tokens.extend_from_slice(base64(&signature).as_bytes());
            passes.length = passes.tokens.len() - start;
        }
        Ok(passes)
    }

    /// The token of user `number`.
    pub(crate) fn of(&self, number: u64) -> &[u8] {
        let start = usize::try_from(number).unwrap_or(0) * self.length;
        &self.tokens[start..start + self.length]
    }
}

/// Name and secret of the key that signs: the last by name.
fn newest(dir: &Path) -> Result<(String, String), Error> {
    let fail = |why: String| Error::Server(format!("{}: {why}", dir.display()));
    let entries = fs::read_dir(dir).map_err(|error| fail(error.to_string()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let file = files.last().ok_or_else(|| fail("no session key".to_owned()))?;
    let secret = fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
    let kid = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((kid, secret.trim().to_owned()))
}

/// Base 64 of RFC 4648 for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let joined = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=three.len() {
            text.push(char::from(DIGITS[(joined >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        let cases = [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, text) in cases {
            assert_eq!(base64(plain.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF]), "-_8");
    }

    #[test]
    fn every_user_has_a_token_of_the_newest_key() {
        let dir = tempfile::tempdir().unwrap();
        let sessions = dir.path().join("sessions");
        fs::create_dir(&sessions).unwrap();
        fs::write(sessions.join("1.key"), "old\n").unwrap();
        fs::write(sessions.join("2.key"), "secret\n").unwrap();
        let passes = Passes::mint(dir.path(), 3, 1_790_000_000).unwrap();
        let parts: Vec<&[u8]> = passes.of(2).split(|byte| *byte == b'.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{parts:?}") };
        assert_eq!(head, base64(br#"{"alg":"HS256","typ":"JWT","kid":"2"}"#).as_bytes());
        let sub = String::from_utf8(user(2).to_vec()).unwrap();
        let expected = format!(r#"{{"sub":"{sub}","iat":1790000000,"exp":1790604800,"ver":0}}"#);
        assert_eq!(claims, base64(expected.as_bytes()).as_bytes());
        let signed = Key::new(b"secret").sign(&[head, b".", claims].concat());
        assert_eq!(signature, base64(&signed).as_bytes());
        assert!(Passes::mint(&dir.path().join("none"), 1, 0).is_err());
    }
}
