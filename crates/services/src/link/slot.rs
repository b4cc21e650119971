//! Numbers that keep the ids of two processes apart.
//!
//! An id ends with ten bits of slot ([`jangbu_kernel::id`]). The owner gives each follower one when
//! it connects:
//!
//! ```text
//! slot = epoch mod 16 (4 bits) | number (6 bits): 0 the owner, 1 to 62 its followers, 63 nobody's
//! ```
//!
//! Followers of one owner differ by their numbers. A process that has not found the new owner yet
//! still has a number of the old one, whose epoch was another: both may mint in the same
//! millisecond. Sixteen owners later the first group comes again; who was away so long gets a new
//! number before any of its commands can be carried out. A follower keeps its number when it
//! connects again. And if, against all of this, two ids were the same, the second command would
//! be refused as one that differs: a row is inserted once.

use std::collections::BTreeSet;

const NUMBERS: u16 = 64;
const GROUPS: u16 = 16;

/// The slot of the owner of `epoch`.
pub(super) fn owner(epoch: i64) -> u16 {
    let group = epoch.rem_euclid(i64::from(GROUPS));
    u16::try_from(group).unwrap_or_default() * NUMBERS
}

/// The slot of a process at `address` that has not met an owner yet.
pub(super) fn stranger(address: &str) -> u16 {
    let group = address.bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31) ^ u16::from(byte));
    group % GROUPS * NUMBERS + NUMBERS - 1
}

/// The slots of an owner's followers.
#[derive(Debug)]
pub(super) struct Slots {
    owner: u16,
    next: u16,
    taken: BTreeSet<u16>,
}

impl Slots {
    /// None is taken.
    pub(super) fn new(epoch: i64) -> Self {
        Self { owner: owner(epoch), next: 1, taken: BTreeSet::new() }
    }

    /// Those of the owner of `epoch`, after these. If it is the same one again, its followers have
    /// not come back yet, and what they have is given to nobody else soon.
    pub(super) fn again(self, epoch: i64) -> Self {
        let next = if self.owner == owner(epoch) { self.next } else { 1 };
        Self { next, ..Self::new(epoch) }
    }

    /// A slot for a follower that has `known`: the same, if it is from here and free; otherwise the
    /// one that was free for longest. None: there are 62 followers.
    pub(super) fn take(&mut self, known: u16) -> Option<u16> {
        let all = self.owner + 1..self.owner + NUMBERS - 1;
        if all.contains(&known) && self.taken.insert(known) {
            return Some(known);
        }
        let count = NUMBERS - 2;
        for _ in 0..count {
            let slot = self.owner + self.next;
            self.next = self.next % count + 1;
            if self.taken.insert(slot) {
                return Some(slot);
            }
        }
        None
    }

    /// Its follower has gone.
    pub(super) fn give_back(&mut self, slot: u16) {
        self.taken.remove(&slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_an_epoch_and_of_the_epochs_around_it_share_a_slot() {
        let mut seen = BTreeSet::new();
        for epoch in 5..21 {
            let mut slots = Slots::new(epoch);
            assert!(seen.insert(owner(epoch)));
            for _ in 0..62 {
                assert!(seen.insert(slots.take(0).unwrap()));
            }
            assert_eq!(slots.take(0), None, "62 followers");
        }
        assert_eq!((seen.len(), seen.last()), (16 * 63, Some(&1022)));
        assert!(!seen.contains(&stranger("127.0.0.1:4711")));
        assert_eq!((owner(0), owner(-1)), (0, 960));
    }

    #[test]
    fn a_follower_keeps_its_slot_and_a_free_one_is_not_given_at_once() {
        let mut slots = Slots::new(3);
        let first = slots.take(0).unwrap();
        slots.give_back(first);
        assert_eq!(slots.take(first), Some(first), "it comes again");
        slots.give_back(first);
        assert_ne!(slots.take(first + 64), Some(first), "a stranger");
        assert_ne!(slots.take(first + 64), Some(first), "another one");
        let mut again = slots.again(3);
        assert_ne!(again.take(0), Some(first), "its follower may come again");
        assert_eq!(again.again(4).take(0), Some(owner(4) + 1));
    }
}
