//! Sealing a commit: one row that binds its entries to all commits before it.
//!
//! The newest row of the chain is the only state that sealing needs, and it must not be lost or
//! run ahead when a transaction is aborted, repeated, or committed without our hearing of it. So
//! [`Chain`] keeps no hash, only the numbers of the *two commits that may be the newest*: the last
//! one known and the one sealed since. Their rows are read like any other row, and the one that is
//! there with the higher number is the end. An aborted commit's row is not there; a lost COMMIT's
//! is: both come out right without anybody being told.

use sha2::{Digest, Sha256};

use jangbu_kernel::{Ctx, Rows as Table, Time};

use super::Rows;
use super::model::{Entry, EntryKey, Link};

/// The bytes of one leg in the digest: six big-endian integers.
const LEG_BYTES: usize = 48;

/// Where the chain ends.
#[derive(Debug, Default)]
pub struct Chain {
    /// Two numbers of commits, the newer one first; 0 is no commit.
    last: [i64; 2],
    legs: Vec<(EntryKey, Entry)>,
    bytes: Vec<u8>,
}

impl Chain {
    /// The chain ends with commit `last` (0: there is none), as the store says at the start.
    pub fn resume(&mut self, last: i64) {
        self.last = [last, 0];
    }

    /// Names the rows that may be the end.
    pub(super) fn want(&self, chain: &mut Table<i64, Link>) {
        for commit in self.last {
            chain.want(commit);
        }
    }

    /// The newest commit in the chain, and its hash.
    fn end(&self, chain: &Table<i64, Link>) -> (i64, [u8; 32]) {
        let there = |&last: &i64| Some((last, chain.get(last)?.hash));
        self.last.iter().filter_map(there).max().unwrap_or_default()
    }
}

/// Seals the entries of this commit, if there are any.
pub(super) fn seal(ctx: &Ctx, rows: &mut Rows) {
    let Rows { entry, booked, chain, end, .. } = rows;
    end.legs.clear();
    end.legs.extend(entry.changed().map(|entry| (*entry.key, *entry.row)));
    end.legs.extend_from_slice(booked.added());
    if end.legs.is_empty() {
        return;
    }
    // The order of decision must not show: one commit, one hash.
    end.legs.sort_unstable_by_key(|(key, _)| *key);
    let (last, before) = end.end(chain);
    let digest = digest(&end.legs, &mut end.bytes);
    let entries = i64::try_from(end.legs.len()).unwrap_or(i64::MAX);
    let hash = link(before, (ctx.commit, ctx.now, entries), digest);
    chain.insert(ctx.commit, Link { at: ctx.now, entries, digest, hash });
    end.last = [ctx.commit, last];
}

/// SHA-256 over the legs, in their order, in one go.
fn digest(legs: &[(EntryKey, Entry)], bytes: &mut Vec<u8>) -> [u8; 32] {
    bytes.clear();
    bytes.reserve(legs.len().saturating_mul(LEG_BYTES));
    for (EntryKey { source, seq, leg }, Entry { account, amount, at, commit: _ }) in legs {
        for number in [*source, *seq, *leg, account.0, *amount, at.0] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
    }
    Sha256::digest(&bytes[..]).into()
}

/// The hash of a row: over the hash before it and everything in it.
fn link(before: [u8; 32], (commit, at, entries): (i64, Time, i64), digest: [u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(before);
    for number in [commit, at.0, entries] {
        hash.update(number.to_be_bytes());
    }
    hash.update(digest);
    hash.finalize().into()
}
