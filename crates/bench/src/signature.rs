//! `--signed`: every request of a merchant carries its signature, as API.md describes it.
//!
//! HMAC-SHA-256 (RFC 2104) over the hash of this workspace. The two padded keys of a merchant are
//! hashed once; a signature continues from there.

use std::fs::{self, DirBuilder};
use std::io;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::dice::Dice;
use crate::world::push_number;

/// The block of SHA-256 in bytes.
const BLOCK: usize = 64;

/// A key in two halves: hashes that have taken in the padded secret.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    inner: Sha256,
    outer: Sha256,
}

impl Key {
    /// A secret of at most one block.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, secret) in block.iter_mut().zip(secret) {
                *byte ^= secret;
            }
            Sha256::new_with_prefix(block)
        };
        Self { inner: padded(0x36), outer: padded(0x5C) }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// Signs for the merchants 1 to N.
#[derive(Debug)]
pub(crate) struct Signer {
    keys: Vec<Key>,
    nonce: u64,
    text: Vec<u8>,
}

impl Signer {
    /// Keys for `merchants` merchants, and their files for the server below `keys`.
    pub(crate) fn create(seed: u64, merchants: u64, keys: &Path) -> io::Result<Self> {
        let dir = keys.join("merchants");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut made = Vec::new();
        for merchant in 1..=merchants {
            let secret = secret(seed, merchant);
            let path = dir.join(format!("{merchant}.toml"));
            let mut file =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            writeln!(file, "[[key]]\nid = \"bench-{merchant}\"\nsecret = \"{secret}\"")?;
            writeln!(file, "legacy = false")?;
            made.push(Key::new(secret.as_bytes()));
        }
        Ok(Self { keys: made, nonce: 0, text: Vec::with_capacity(256) })
    }

    /// Appends the Authorization header. `line` is where method and path stand in `out`.
    pub(crate) fn sign(
        &mut self,
        merchant: u64,
        line: Range<usize>,
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        let now = jiff::Timestamp::now().as_second().unsigned_abs();
        self.nonce += 1;
        let Some(key) = usize::try_from(merchant - 1).ok().and_then(|at| self.keys.get(at)) else {
            return;
        };
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(b"JANGBU-HMAC-SHA256\n");
        let method = text.len();
        text.extend_from_slice(&out[line]);
        if let Some(space) = memchr::memchr(b' ', &text[method..]) {
            text[method + space] = b'\n';
        }
        text.push(b'\n');
        push_number(now, text);
        text.push(b'\n');
        push_nonce(self.nonce, text);
        text.push(b'\n');
        push_hex(&Sha256::digest(body).into(), text);
        let signature = key.sign(text);
        out.extend_from_slice(b"\r\nAuthorization: JANGBU-HMAC-SHA256 keyId=bench-");
        push_number(merchant, out);
        out.extend_from_slice(b", ts=");
        push_number(now, out);
        out.extend_from_slice(b", nonce=");
        push_nonce(self.nonce, out);
        out.extend_from_slice(b", sig=");
        push_hex(&signature, out);
    }
}

/// 48 hexadecimal digits by the seed: enough for a server that lives as long as a run.
fn secret(seed: u64, merchant: u64) -> String {
    let mut dice = Dice::of(seed ^ 0x0005_EC2E, merchant);
    format!("{:016x}{:016x}{:016x}", dice.next(), dice.next(), dice.next())
}

/// Sixteen digits.
fn push_nonce(nonce: u64, out: &mut Vec<u8>) {
    push_number(1_000_000_000_000_000 + nonce, out);
}

fn push_hex(bytes: &[u8; 32], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8; 32]) -> String {
        let mut out = Vec::new();
        push_hex(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_vectors_of_rfc_4231() {
        let tag = Key::new(&[0x0b; 20]).sign(b"Hi There");
        assert_eq!(hex(&tag), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let tag = Key::new(b"Jefe").sign(b"what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_signed_request_has_the_documented_header() {
        let dir = tempfile::tempdir().unwrap();
        let mut signer = Signer::create(1, 3, dir.path()).unwrap();
        let mut out = b"POST /api/payments/authorize".to_vec();
        signer.sign(2, 0..out.len(), b"{}", &mut out);
        let text = String::from_utf8(out).unwrap();
        let header = text.split("\r\nAuthorization: JANGBU-HMAC-SHA256 ").nth(1).unwrap();
        let field = |name: &str| {
            let at = header.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            at.unwrap().to_owned()
        };
        assert_eq!(field("keyId"), "bench-2");
        let (ts, nonce) = (field("ts"), field("nonce"));
        assert!(nonce.len() >= 16);
        let body = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let signed =
            format!("JANGBU-HMAC-SHA256\nPOST\n/api/payments/authorize\n{ts}\n{nonce}\n{body}");
        let key = Key::new(secret(1, 2).as_bytes());
        assert_eq!(field("sig"), hex(&key.sign(signed.as_bytes())));
        let file = fs::read_to_string(dir.path().join("merchants/2.toml")).unwrap();
        assert!(file.contains(&secret(1, 2)) && secret(1, 2).len() >= 32);
    }
}
