//! Requests that were carried out, found by scope and key beside the owner.
//!
//! `idem` is a hash of scope and key together, so a key alone cannot be looked up: whoever asks
//! names the scopes that it may have been used in. There are few: one for each keyed operation and
//! kind of caller.

use std::collections::BTreeMap;

use jangbu_engine::books::{IDEM, REQUEST, SHARD, key_of, slot};
use jangbu_engine::port::{By, Fault, Read};
use jangbu_kernel::{IdemKey, Time};

use crate::queries::Queries;

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Scope, key and fingerprint of the command.
    pub key: IdemKey,
    /// What it made or changed.
    pub resource: i64,
    /// When.
    pub at: Time,
}

impl Queries {
    /// The requests of `key` in those of `scopes` where it was used, in the order of the scopes.
    pub fn requests(&self, scopes: &[String], key: &str) -> Result<Vec<Carried>, Fault> {
        let mut idem_key = [0; 16];
        let by = By::Keys(vec![[0; 3]]);
        self.truth.read(&[Read { table: &SHARD, by }], &mut |_, row| {
            let stored = row.blob(5);
            let n = stored.len().min(16);
            idem_key[..n].copy_from_slice(&stored[..n]);
        })?;
        let probe = |scope: &String| (scope.clone(), slot(&idem_key, scope, key));
        let mut probes: Vec<_> = scopes.iter().map(probe).collect();
        let mut found = BTreeMap::new();
        while !probes.is_empty() {
            let held = self.at_slots(probes.iter().map(|(_, slot)| *slot))?;
            let hits =
                probes.into_iter().filter_map(|(scope, at)| Some((scope, at, held.get(&at)?)));
            let same = |(scope, _, carried): &(String, i64, &Carried)| {
                *carried.key.scope == **scope && *carried.key.key == *key
            };
            let (mine, others): (Vec<_>, Vec<_>) = hits.partition(same);
            found.extend(mine.into_iter().map(|(scope, _, carried)| (scope, carried.clone())));
            // Another key holds the slot: this one may stand under the next number.
            let next = |(scope, at, _): (String, i64, _)| (scope, at.wrapping_add(1));
            probes = others.into_iter().map(next).collect();
        }
        Ok(scopes.iter().filter_map(|scope| found.remove(scope)).collect())
    }

    /// The requests that stand in `idem` under these numbers.
    fn at_slots(&self, slots: impl Iterator<Item = i64>) -> Result<BTreeMap<i64, Carried>, Fault> {
        let by = By::Keys(slots.map(|slot| [slot, 0, 0]).collect());
        let mut ids = BTreeMap::new();
        self.truth.read(&[Read { table: &IDEM, by }], &mut |_, row| {
            ids.insert(row.int(0), row.int(1));
        })?;
        let by = By::Keys(ids.values().map(|id| [*id, 0, 0]).collect());
        let mut requests = BTreeMap::new();
        self.truth.read(&[Read { table: &REQUEST, by }], &mut |_, row| {
            let (resource, at) = (row.int(4), Time(row.int(5)));
            requests.insert(row.int(0), Carried { key: key_of(row), resource, at });
        })?;
        let with = |(slot, id)| Some((slot, requests.get(&id)?.clone()));
        Ok(ids.into_iter().filter_map(with).collect())
    }
}
