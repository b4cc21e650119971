//! Which idempotency keys were accepted lately: a table of hashes that forgets by being overwritten.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};

/// Places: some seconds of orders at the highest rate, minutes at a usual one, in 256 KiB.
const PLACES: usize = 1 << 16;

/// Keys by hash: the lower half says where, the upper half is kept there.
#[derive(Debug)]
pub(super) struct Recent {
    places: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl Recent {
    pub(super) fn new() -> Self {
        let places = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Self { places, hasher: RandomState::new() }
    }

    /// Never 0, which stands for no key.
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key) | 1 << 32
    }

    pub(super) fn note(&self, hash: u64) {
        if hash != 0 {
            self.place(hash).store(tag(hash), Ordering::Relaxed);
        }
    }

    pub(super) fn has(&self, hash: u64) -> bool {
        self.place(hash).load(Ordering::Relaxed) == tag(hash)
    }

    fn place(&self, hash: u64) -> &AtomicU32 {
        let at = usize::try_from(hash % PLACES as u64).unwrap_or_default();
        &self.places[at]
    }
}

fn tag(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_after_it_was_noted_and_others_hardly_ever() {
        let recent = Recent::new();
        let hash = |n: u32| recent.hash(&n.to_be_bytes());
        (0..10_000).for_each(|n| recent.note(hash(n)));
        let known = (0..10_000).filter(|n| recent.has(hash(*n))).count();
        assert!(known > 8_000, "{known}: some share a place");
        let wrong = (10_000..20_000).filter(|n| recent.has(hash(*n))).count();
        assert!(wrong < 5, "{wrong}");
        recent.note(0);
    }
}
