//! The chain of hashes over the ledger's commits, computed again from the entries.
//!
//! ```text
//! leg    = source, seq, leg, account, amount, at              6 × 8 bytes, big-endian
//! digest = SHA-256 over the legs of a commit, in (source, seq, leg) order
//! hash   = SHA-256(previous hash ‖ commit_no ‖ at ‖ entries ‖ digest)
//! ```
//!
//! Entries are walked by source, chain rows are by commit: each commit that has begun keeps a running
//! SHA-256 until its number of entries is reached. Commits overlap little in source order, so few
//! are open at a time.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::{
    Error,
    book::{Book, rules},
    ledger::Leg,
    rows::{Source, scan},
};

rules! {
    LINK = "chain.link", Mismatched, "The hash of a chain row covers its predecessor, number, time, count and digest.";
    DIGEST = "chain.digest", Mismatched, "The digest of a chain row covers exactly the entries of its commit.";
    MISSING = "chain.missing", Lost, "Every commit that has entries has a chain row.";
}

#[derive(Debug)]
struct Link {
    commit: i64,
    entries: i64,
    seen: i64,
    digest: [u8; 32],
}

/// The chain rows, and the digests that are being computed.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
    open: HashMap<usize, Sha256>,
    /// Where the last leg was found; the next one is mostly near.
    last: usize,
    unchained: HashSet<i64>,
}

impl Chain {
    /// Reads the rows and checks that each continues the one before.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        let mut links = Vec::new();
        let mut previous = [0; 32];
        let sql = "SELECT commit_no, at, entries, digest, hash FROM chain ORDER BY commit_no";
        scan(from, book, sql, |cells, book| {
            let (commit, at, entries) = (cells.int()?, cells.int()?, cells.int()?);
            let (digest, hash) = (cells.hash()?, cells.hash()?);
            let mut sha = Sha256::new();
            sha.update(previous);
            for number in [commit, at, entries] {
                sha.update(number.to_be_bytes());
            }
            sha.update(digest);
            if sha.finalize().as_slice() != hash {
                let detail = "its hash does not follow from the row and its predecessor";
                book.find(LINK, format!("commit {commit}"), detail.to_owned());
            }
            previous = hash;
            links.push(Link { commit, entries, seen: 0, digest });
            Ok(())
        })?;
        Ok(Self { links, ..Self::default() })
    }

    /// The number of the last commit in the chain.
    pub(crate) fn last_commit(&self) -> i64 {
        self.links.last().map_or(0, |link| link.commit)
    }

    /// Adds a leg to the digest of its commit.
    pub(crate) fn absorb(&mut self, source: i64, leg: &Leg, book: &mut Book) {
        let Some(at) = self.locate(leg.commit) else {
            if self.unchained.insert(leg.commit) {
                let detail = "has entries and no chain row".to_owned();
                book.find(MISSING, format!("commit {}", leg.commit), detail);
            }
            return;
        };
        self.last = at;
        let link = &mut self.links[at];
        link.seen += 1;
        if link.seen > link.entries {
            return;
        }
        let mut bytes = [0; 48];
        let numbers = [source, leg.seq, leg.number, leg.account, leg.amount, leg.at];
        for (word, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            word.copy_from_slice(&number.to_be_bytes());
        }
        self.open.entry(at).or_default().update(bytes);
        if link.seen == link.entries
            && let Some(sha) = self.open.remove(&at)
            && sha.finalize().as_slice() != link.digest
        {
            let detail = "its digest is not that of its entries".to_owned();
            book.find(DIGEST, format!("commit {}", link.commit), detail);
        }
    }

    /// Reports the commits whose number of entries is another one.
    pub(crate) fn close(self, book: &mut Book) {
        for link in self.links.iter().filter(|link| link.seen != link.entries) {
            let detail = format!("{} entries promised, {} there", link.entries, link.seen);
            book.find(DIGEST, format!("commit {}", link.commit), detail);
        }
    }

    fn locate(&self, commit: i64) -> Option<usize> {
        let near = self.links.get(self.last..).unwrap_or_default();
        let near = &near[..near.len().min(2)];
        if let Some(step) = near.iter().position(|link| link.commit == commit) {
            return Some(self.last + step);
        }
        self.links.binary_search_by_key(&commit, |link| link.commit).ok()
    }
}
