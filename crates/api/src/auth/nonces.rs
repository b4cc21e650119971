//! Nonces that came, for as long as their signatures could come again.
//!
//! A store belongs to one key. It holds fingerprints of 8 bytes in one set per minute of the
//! signatures' times, so that a minute that is over is forgotten whole.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// A signature is good for so many seconds before and after its time.
pub(super) const WINDOW: i64 = 300;
const MINUTE: i64 = 60;

/// Why a nonce is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its time is over, or not yet there.
    Stale,
    /// It came before.
    Reused,
    /// No more can be remembered; there is room again after so many seconds.
    Full(u64),
}

/// The nonces of one key.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    keyed: RandomState,
    by_minute: BTreeMap<i64, HashSet<u64>>,
    held: usize,
    /// What is signed for an earlier second is not remembered any more.
    floor: i64,
}

impl Nonces {
    /// Takes the nonce of a signature with time `ts`, at `now`, if it did not come before.
    pub(super) fn take(
        &mut self,
        nonce: &str,
        ts: i64,
        now: i64,
        capacity: usize,
    ) -> Result<(), Refused> {
        self.forget(now);
        if ts < self.floor || !in_window(ts, now) {
            return Err(Refused::Stale);
        }
        let print = self.keyed.hash_one(nonce);
        if self.by_minute.values().any(|minute| minute.contains(&print)) {
            return Err(Refused::Reused);
        }
        if self.held >= capacity {
            return Err(Refused::Full(self.room_in(now)));
        }
        self.held += 1;
        self.by_minute.entry(ts.div_euclid(MINUTE)).or_default().insert(print);
        Ok(())
    }

    /// Drops minutes of which no second is in the window, also when the clock is set back later.
    fn forget(&mut self, now: i64) {
        while let Some(minute) = self.by_minute.first_entry()
            && now > end_of(*minute.key())
        {
            self.floor = (minute.key() + 1) * MINUTE;
            self.held -= minute.remove().len();
        }
    }

    fn room_in(&self, now: i64) -> u64 {
        let oldest = self.by_minute.keys().next().map_or(now, |minute| end_of(*minute) + 1);
        oldest.saturating_sub(now).try_into().unwrap_or(0)
    }
}

/// The last second in which a signature of this minute is good.
fn end_of(minute: i64) -> i64 {
    (minute + 1) * MINUTE - 1 + WINDOW
}

/// Whether a signature made at `ts` is good at `now`, both in seconds.
pub(super) fn in_window(ts: i64, now: i64) -> bool {
    ts.abs_diff(now) <= WINDOW.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    #[test]
    fn a_nonce_is_taken_once_while_its_signature_is_good() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.take("a", NOW, NOW, 9), Ok(()));
        assert_eq!(nonces.take("a", NOW, NOW, 9), Err(Refused::Reused));
        assert_eq!(nonces.take("a", NOW + 200, NOW + 9, 9), Err(Refused::Reused), "another time");
        assert_eq!(nonces.take("a", NOW, NOW + WINDOW, 9), Err(Refused::Reused), "to the end");
        assert_eq!(nonces.take("a", NOW, NOW + WINDOW + 1, 9), Err(Refused::Stale));
        assert_eq!(nonces.take("b", NOW + WINDOW + 1, NOW, 9), Err(Refused::Stale), "the future");
        assert_eq!(nonces.take("a", NOW + 400, NOW + 400, 9), Ok(()), "forgotten by then");
    }

    #[test]
    fn a_full_store_says_when_there_is_room() {
        let mut nonces = Nonces::default();
        nonces.take("a", NOW, NOW, 2).unwrap();
        nonces.take("b", NOW + 100, NOW, 2).unwrap();
        let Err(Refused::Full(seconds)) = nonces.take("c", NOW, NOW, 2) else { panic!("room") };
        let then = NOW + i64::try_from(seconds).unwrap();
        assert_eq!(nonces.take("c", then - 1, then - 1, 2), Err(Refused::Full(1)));
        assert_eq!(nonces.take("c", then, then, 2), Ok(()));
        assert_eq!(nonces.held, 2);
    }

    #[test]
    fn a_clock_that_goes_back_brings_nothing_back() {
        let mut nonces = Nonces::default();
        nonces.take("a", NOW, NOW, 9).unwrap();
        nonces.take("b", NOW + 500, NOW + 500, 9).unwrap();
        assert_eq!(nonces.take("a", NOW, NOW + 100, 9), Err(Refused::Stale));
    }

    proptest! {
        /// Whatever the order of times: no pair of nonce and time is taken twice.
        #[test]
        fn nothing_is_taken_twice(
            steps in proptest::collection::vec((0_u8..4, -700_i64..700, -90_i64..400), 1..60),
        ) {
            let (mut nonces, mut now, mut taken) = (Nonces::default(), NOW, HashSet::new());
            for (nonce, offset, passed) in steps {
                now += passed;
                let ts = now + offset;
                if nonces.take(&nonce.to_string(), ts, now, 20).is_ok() {
                    prop_assert!(taken.insert((nonce, ts)), "{nonce} at {ts} twice");
                    prop_assert!(offset.abs() <= WINDOW);
                }
                let held: usize = nonces.by_minute.values().map(HashSet::len).sum();
                prop_assert!(held == nonces.held && held <= 20 && nonces.by_minute.len() <= 20);
            }
        }
    }
}
