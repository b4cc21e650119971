//! Columns that nobody may read without a key: personal data, credentials, merchants' secrets.
//!
//! ```text
//! sealed column:  key id (1 byte) | nonce (12) | AES-256-GCM(text) | tag (16)
//! authenticated:  TABLE.COLUMN | 0 | row id (8, big endian)
//! blind index:    HMAC-SHA-256(index key, kind | 0 | normalised text), its first 16 bytes
//! ```
//!
//! What is authenticated ties a value to its place: one that is copied into another row or column
//! does not open there. The newest key seals and every key opens, so that a new key is one more
//! file; a row is sealed anew when it is written next. Equal texts look different, so a row is
//! found by the blind index, which has a key of its own that is never replaced: a new one would
//! find nothing that was stored before.
//!
//! Nothing here is asked by a cell: rows carry sealed bytes, and the edge seals and opens them.

use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::aead::{Aead, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use hmac::{Hmac, Mac};
use jangbu_kernel::Secret;
use sha2::Sha256;

const NONCE: usize = 12;
const TAG: usize = 16;
/// Digits of a key: 32 bytes.
const DIGITS: usize = 64;

/// Fills bytes that nobody can guess. A parameter, so that a simulation can repeat itself.
pub type Random = fn(&mut [u8]);

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It is too short to be one.
    #[error("it is not a sealed value")]
    Malformed,
    /// The key that sealed it is not there.
    #[error("sealing key {0:03} is missing")]
    NoKey(u8),
    /// It was changed, or belongs to another row or column.
    #[error("it was changed, or sealed for another place")]
    Foreign,
}

/// Seals and opens columns, and makes blind indexes.
pub struct Sealing {
    keys: BTreeMap<u8, Aes256Gcm>,
    newest: u8,
    index: Hmac<Sha256>,
    random: Random,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

impl Sealing {
    /// With these keys (id and 64 hexadecimal digits each), of which the highest id is the newest,
    /// and the key of the blind indexes. The error says in a sentence what is wrong.
    pub fn new(keys: &[(u8, Secret)], index: &Secret, random: Random) -> Result<Self, String> {
        let mut ready = BTreeMap::new();
        for (id, secret) in keys {
            let bytes = bytes(secret).ok_or_else(|| format!("sealing key {id:03} {FORM}"))?;
            if *id == 0 || ready.insert(*id, Aes256Gcm::new(&bytes.into())).is_some() {
                return Err(format!("sealing key {id:03}: ids are 1 to 255, each once"));
            }
        }
        let newest = *ready.keys().next_back().ok_or("there is no sealing key")?;
        let index = bytes(index).ok_or_else(|| format!("the index key {FORM}"))?;
        let index = Hmac::new_from_slice(&index).map_err(|_| format!("the index key {FORM}"))?;
        Ok(Self { keys: ready, newest, index, random })
    }

    /// Seals `text` for `column` (as `user.email`) of row `row`.
    pub fn seal(&self, column: &str, row: i64, text: &str) -> Vec<u8> {
        self.seal_bytes(column, row, text.as_bytes())
    }

    /// As [`Sealing::seal`], for what is no text.
    pub fn seal_bytes(&self, column: &str, row: i64, bytes: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        (self.random)(&mut nonce);
        let aad = place(column, row);
        let payload = Payload { msg: bytes, aad: &aad };
        let key = &self.keys[&self.newest];
        let sealed = key.encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload);
        let sealed = sealed.unwrap_or_else(|_| unreachable!("a column is far below 64 GiB"));
        [&[self.newest], &nonce[..], &sealed].concat()
    }

    /// The text that was sealed for this column of this row.
    pub fn open(&self, column: &str, row: i64, sealed: &[u8]) -> Result<Secret, Unopened> {
        let bytes = self.open_bytes(column, row, sealed)?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| Unopened::Foreign)
    }

    /// As [`Sealing::open`], for what is no text.
    pub fn open_bytes(&self, column: &str, row: i64, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        let [id, rest @ ..] = sealed else { return Err(Unopened::Malformed) };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE>() else {
            return Err(Unopened::Malformed);
        };
        if sealed.len() < TAG {
            return Err(Unopened::Malformed);
        }
        let key = self.keys.get(id).ok_or(Unopened::NoKey(*id))?;
        let aad = place(column, row);
        let payload = Payload { msg: sealed, aad: &aad };
        let opened = key.decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload);
        opened.map_err(|_| Unopened::Foreign)
    }

    /// The blind index of a normalised text of one kind, such as `user.email`.
    pub fn index(&self, kind: &str, text: &str) -> [u8; 16] {
        let mac = self.index.clone().chain_update(kind).chain_update([0]).chain_update(text);
        let mut short = [0; 16];
        short.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        short
    }

    /// The id of the key that seals.
    pub fn newest(&self) -> u8 {
        self.newest
    }

    /// Fills bytes that nobody can guess: salts are made here, too.
    pub fn random(&self, bytes: &mut [u8]) {
        (self.random)(bytes);
    }
}

const FORM: &str = "is not 64 hexadecimal digits";

fn place(column: &str, row: i64) -> Vec<u8> {
    [column.as_bytes(), &[0], &row.to_be_bytes()].concat()
}

fn bytes(secret: &Secret) -> Option<[u8; DIGITS / 2]> {
    let (pairs, []) = secret.reveal().as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; DIGITS / 2];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    static NEXT: AtomicU8 = AtomicU8::new(0);

    fn counted(bytes: &mut [u8]) {
        bytes.fill(NEXT.fetch_add(1, Ordering::Relaxed));
    }

    fn key(digit: char) -> Secret {
        Secret::new(digit.to_string().repeat(DIGITS))
    }

    fn sealing(ids: &[(u8, char)]) -> Sealing {
        let keys: Vec<_> = ids.iter().map(|(id, digit)| (*id, key(*digit))).collect();
        Sealing::new(&keys, &key('f'), counted).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let sealing = sealing(&[(1, 'a')]);
        let sealed = sealing.seal("user.email", 7, "kim@example.com");
        let again = sealing.seal("user.email", 7, "kim@example.com");
        assert_ne!(sealed, again, "equal texts look different");
        let text = String::from_utf8_lossy(&sealed).into_owned();
        assert!(!text.contains("kim"), "{text}");
        let open = |column, row, sealed: &[u8]| {
            sealing.open(column, row, sealed).map(|text| text.reveal().to_owned())
        };
        assert_eq!(open("user.email", 7, &sealed).as_deref(), Ok("kim@example.com"));
        assert_eq!(open("user.email", 8, &sealed), Err(Unopened::Foreign), "another row");
        assert_eq!(open("user.name", 7, &sealed), Err(Unopened::Foreign), "another column");
        for at in 0..sealed.len() {
            let mut spoilt = sealed.clone();
            spoilt[at] ^= 1;
            let wanted = if at == 0 { Unopened::NoKey(0) } else { Unopened::Foreign };
            assert_eq!(open("user.email", 7, &spoilt), Err(wanted), "byte {at}");
        }
        for length in 0..=NONCE + TAG {
            let cut = open("user.email", 7, &sealed[..length]);
            assert_eq!(cut, Err(Unopened::Malformed), "{length} bytes");
        }
        assert_eq!(open("x", 1, &sealing.seal("x", 1, "")).as_deref(), Ok(""), "nothing at all");
    }

    #[test]
    fn the_newest_key_seals_and_all_keys_open() {
        let (old, both) = (sealing(&[(1, 'a')]), sealing(&[(2, 'b'), (1, 'a')]));
        let new = sealing(&[(2, 'b')]);
        let (by_old, by_both) = (old.seal("c", 1, "text"), both.seal("c", 1, "text"));
        assert_eq!((by_old[0], by_both[0], both.newest()), (1, 2, 2));
        assert_eq!(both.open("c", 1, &by_old).unwrap().reveal(), "text");
        assert_eq!(new.open("c", 1, &by_both).unwrap().reveal(), "text");
        assert_eq!(new.open("c", 1, &by_old), Err(Unopened::NoKey(1)));
        let lied = [&[2], &by_old[1..]].concat();
        assert_eq!(both.open("c", 1, &lied), Err(Unopened::Foreign), "another key's id in front");
    }

    #[test]
    fn a_blind_index_finds_the_same_text_of_the_same_kind() {
        let (one, two) = (sealing(&[(1, 'a')]), sealing(&[(2, 'b')]));
        let index = one.index("user.email", "kim@example.com");
        assert_eq!(index, two.index("user.email", "kim@example.com"), "whatever key seals");
        assert_ne!(index, one.index("user.phone", "kim@example.com"));
        assert_ne!(index, one.index("user.email", "lee@example.com"));
        let other = Sealing::new(&[(1, key('a'))], &key('e'), counted).unwrap();
        assert_ne!(index, other.index("user.email", "kim@example.com"), "its key is a secret");
    }

    #[test]
    fn keys_are_read_strictly_and_never_shown() {
        let new = |keys: &[(u8, Secret)], index| {
            Sealing::new(keys, &index, counted).map(|_| ()).unwrap_err()
        };
        for (keys, index, wanted) in [
            (&[][..], key('f'), "there is no sealing key"),
            (&[(0, key('a'))], key('f'), "ids are 1 to 255"),
            (&[(1, key('a')), (1, key('b'))], key('f'), "each once"),
            (&[(1, Secret::new("ab"))], key('f'), "is not 64 hexadecimal digits"),
            (&[(1, key('g'))], key('f'), "is not 64 hexadecimal digits"),
            (&[(1, key('a'))], Secret::new(""), "the index key is not"),
        ] {
            let why = new(keys, index);
            assert!(why.contains(wanted) && !why.contains("aa"), "{why}");
        }
        let shown = format!("{:?}", sealing(&[(1, 'a')]));
        assert_eq!(shown, "Sealing { keys: [1], .. }");
    }
}
