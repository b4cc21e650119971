//! Merchants: their ids, their keys and their fee schedules.
//!
//! What a merchant sells and is owed is checked where it stands, by its code: a product of a
//! merchant without a row is no finding.

use sha2::{Digest, Sha256};

use crate::{
    Error,
    book::{Book, rules},
    rows::{Source, scan},
};

rules! {
    ID = "merchant.id", Mismatched, "A merchant's id is the hash of its code.";
    KEYS = "merchant.keys", Mismatched, "A merchant has at most two live keys; a live one has a sealed secret, a revoked one has none, and no key stands twice.";
    FEES = "merchant.fees", Mismatched, "The periods of a fee schedule stand in order of time, do not overlap, and have rates of 0 to 10000 and a fixed fee from 0 on.";
}

/// Key id, nonce and tag: what a sealed secret is longer than, in digits.
const SEAL: usize = 2 * (1 + 12 + 16);

/// A key, `[id,legacy 0|1,made at,revoked at|0,"sealed secret"]`.
#[derive(Debug, serde::Deserialize)]
struct Key(i64, i64, i64, i64, String);

/// A period, `[from,to|0,rate bp,fixed,vat bp]`.
#[derive(Debug, serde::Deserialize)]
struct Fee(i64, i64, i64, i64, i64);

/// What requests may have made: merchants and their keys.
#[derive(Debug, Default)]
pub(crate) struct Merchants(Vec<i64>);

impl Merchants {
    /// Reads all merchants and checks each.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("merchants");
        let (mut made, mut all_keys) = (Vec::new(), Vec::new());
        let sql = "SELECT id, code, name, state, keys, fees FROM merchant ORDER BY id";
        scan(from, book, sql, |cells, book| {
            let (id, code, _name) = (cells.int()?, cells.text()?, cells.text()?);
            let _state = cells.int_in(1..=2)?;
            let (keys, fees): (Vec<Key>, Vec<Fee>) = (cells.json()?, cells.json()?);
            made.push(id);
            if id != id_of(code) {
                book.find(ID, code.to_owned(), format!("id {id}, its code gives {}", id_of(code)));
            }
            if let Some(why) = keys_wrong(&keys) {
                book.find(KEYS, code.to_owned(), why);
            }
            if let Some(why) = fees_wrong(&fees) {
                book.find(FEES, code.to_owned(), why);
            }
            all_keys.extend(keys.iter().map(|key| (key.0, code.to_owned())));
            Ok(())
        })?;
        all_keys.sort_unstable();
        for twins in all_keys.windows(2).filter(|twins| twins[0].0 == twins[1].0) {
            book.find(KEYS, twins[1].1.clone(), format!("key {} stands twice", twins[1].0));
        }
        made.extend(all_keys.into_iter().map(|(key, _)| key));
        made.sort_unstable();
        Ok(Self(made))
    }

    /// Whether this is a merchant or a key of one.
    pub(crate) fn knows(&self, id: i64) -> bool {
        self.0.binary_search(&id).is_ok()
    }
}

fn keys_wrong(keys: &[Key]) -> Option<String> {
    let live = keys.iter().filter(|key| key.3 == 0).count();
    if live > 2 {
        return Some(format!("{live} live keys"));
    }
    let wrong = keys.iter().find(|Key(_, legacy, made, revoked, sealed)| {
        let hex = sealed.bytes().all(|byte| byte.is_ascii_hexdigit()) && sealed.len() % 2 == 0;
        let secret = if *revoked == 0 { sealed.len() > SEAL } else { sealed.is_empty() };
        let times = *made > 0 && (*revoked == 0 || *revoked >= *made);
        !hex || !secret || !times || !(0..=1).contains(legacy)
    })?;
    let Key(id, _, made, revoked, sealed) = wrong;
    let digits = sealed.len();
    Some(format!("key {id}, made at {made}, revoked at {revoked}, {digits} digits of a secret"))
}

fn fees_wrong(fees: &[Fee]) -> Option<String> {
    let mut end = Some(i64::MIN);
    for (at, Fee(from, to, rate, fixed, vat)) in fees.iter().enumerate() {
        let begins = end.is_some_and(|end| end <= *from);
        let rates = [rate, vat].into_iter().all(|rate| (0..=10_000).contains(rate));
        if !begins || !rates || *fixed < 0 || (*to != 0 && to <= from) {
            return Some(format!("period {at}: {from} to {to} at {rate}, {fixed} and {vat}"));
        }
        end = (*to != 0).then_some(*to);
    }
    None
}

/// The first 8 bytes of the SHA-256 of the code, without the top bit.
fn id_of(code: &str) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(code)[..8]);
    i64::from_be_bytes(first) & i64::MAX
}
