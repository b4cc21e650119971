//! The search for earlier requests: by the numbers that their keys have in `idem`, then by their own.
//! It takes its turns in the rounds of reads of a batch: one when nothing comes again, two when
//! something does. Keys that share a hash live side by side, the later one under the next free
//! number; only then is there more to read.

use jangbu_kernel::{IdemKey, Time};

use super::{Books, IDEM, REQUEST, Request, key_of};
use crate::port::{By, Fields, Read};

/// A search under way.
#[derive(Debug, Default)]
pub(crate) struct Search<'a> {
    /// Each key with the number that is looked at.
    probes: Vec<(&'a IdemKey, i64)>,
    /// Numbers that are taken, and by which requests; these are read next.
    hits: Vec<(i64, i64)>,
}

impl Search<'_> {
    /// Whether nothing is left to be looked at.
    pub(crate) fn is_over(&self) -> bool {
        self.probes.is_empty()
    }

    /// What it reads in the next round.
    pub(crate) fn next(&self) -> Option<Read> {
        if self.is_over() {
            return None;
        }
        let key = |n: i64| [n, 0, 0];
        Some(if self.hits.is_empty() {
            let slots = self.probes.iter().map(|(_, slot)| key(*slot)).collect();
            Read { table: &IDEM, by: By::Keys(slots) }
        } else {
            let ids = self.hits.iter().map(|(_, id)| key(*id)).collect();
            Read { table: &REQUEST, by: By::Keys(ids) }
        })
    }
}

/// What a round of a search has found.
#[derive(Debug, Default)]
pub(crate) struct Round {
    slots: Vec<(i64, i64)>,
    requests: Vec<(i64, Request)>,
}

impl Round {
    /// Takes in a row of what [`Search::next`] has asked for.
    pub(crate) fn take(&mut self, search: &Search<'_>, row: &dyn Fields) {
        if search.hits.is_empty() {
            self.slots.push((row.int(0), row.int(1)));
        } else {
            let (resource, at) = (row.int(4), Time(row.int(5)));
            self.requests.push((row.int(0), Request { key: key_of(row), resource, at }));
        }
    }
}

impl Books {
    /// Begins to look for the earlier requests of `keys`.
    pub(crate) fn search<'a>(&self, keys: impl Iterator<Item = &'a IdemKey>) -> Search<'a> {
        Search { probes: keys.map(|key| (key, self.hash(key))).collect(), hits: Vec::new() }
    }

    /// A round of `search` is done.
    pub(crate) fn searched(&mut self, search: &mut Search<'_>, round: Round) {
        if search.is_over() {
            return;
        }
        if search.hits.is_empty() {
            search.hits = round.slots;
            if search.hits.is_empty() {
                search.probes.clear();
            }
            return;
        }
        for (id, request) in round.requests {
            for (slot, _) in search.hits.iter().filter(|(_, hit)| *hit == id) {
                self.found.push((*slot, request.clone()));
            }
        }
        search.hits.clear();
        // A slot that another key holds: this key may stand under the next number.
        search.probes.retain_mut(|(key, slot)| self.goes_on(key, slot));
    }

    /// Whether the search for a key goes on with the next number: another key stands under this one.
    /// A request that has lost its key speaks for the one whose hash leads to it.
    fn goes_on(&mut self, key: &IdemKey, slot: &mut i64) -> bool {
        let mut here = self.found.iter().filter(|(at, _)| at == slot).map(|(_, request)| request);
        if let Some(bare) = here.clone().find(|request| request.is_bare()) {
            let request = Request { key: key.clone(), ..*bare };
            self.found.push((*slot, request));
            return false;
        }
        let taken = here.any(|request| !request.key.is_same(key));
        *slot = slot.wrapping_add(1);
        taken
    }
}
