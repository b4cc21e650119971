//! Changes that Redis has not been told.

use std::collections::HashMap;

use jangbu_services::cache::Group;

/// Groups that are remembered one by one; beyond it everything counts as changed.
const MOST: usize = 5_000;

/// What the tail of the outbox has said since Redis was last told.
#[derive(Debug, Default)]
pub(super) struct Pending {
    groups: HashMap<Group, i64>,
    /// Up to this event Redis has been told, or others have to: where the tail began.
    told: Option<i64>,
    /// Up to this event the tail has come; none: it has not looked yet.
    place: Option<i64>,
    /// Up to this event something is missing in `groups`.
    lost: Option<i64>,
}

/// What to tell: changes with events after `from` up to `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Telling {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) groups: Vec<(Group, i64)>,
}

impl Pending {
    pub(super) fn add(&mut self, groups: &[(Group, i64)], place: i64) {
        self.place = self.place.max(Some(place));
        self.told.get_or_insert(place);
        for (group, number) in groups {
            let mark = self.groups.entry(*group).or_insert(0);
            *mark = (*mark).max(*number);
        }
        if self.groups.len() > MOST {
            self.lose(place);
        }
    }

    /// Not every change up to `place` is known.
    pub(super) fn lose(&mut self, place: i64) {
        self.place = self.place.max(Some(place));
        self.groups = HashMap::new();
        self.lost = self.place;
    }

    /// Whether something has changed.
    pub(super) fn is_urgent(&self) -> bool {
        self.lost.is_some() || !self.groups.is_empty()
    }

    /// Everything there is to tell; none: the tail has not looked yet.
    pub(super) fn telling(&self) -> Option<Telling> {
        let to = self.place?;
        let groups = self.groups.iter().map(|(group, number)| (*group, *number)).collect();
        // What is lost cannot have been told by anybody.
        let from = if self.lost.is_some() { i64::MAX } else { self.told.unwrap_or(to) };
        Some(Telling { from, to, groups })
    }

    /// It has been told.
    pub(super) fn done(&mut self, telling: &Telling) {
        for (group, number) in &telling.groups {
            if self.groups.get(group).is_some_and(|known| known <= number) {
                self.groups.remove(group);
            }
        }
        if telling.from == i64::MAX && self.lost <= Some(telling.to) {
            self.lost = None;
        }
        self.told = self.told.max(Some(telling.to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEE: Group = Group::Product(1);

    #[test]
    fn what_changes_while_it_is_told_is_told_again() {
        let mut pending = Pending::default();
        assert_eq!(pending.telling(), None, "the tail has not looked");
        pending.add(&[], 10);
        let first = pending.telling().unwrap();
        assert_eq!((first.from, first.to, pending.is_urgent()), (10, 10, false));
        pending.done(&first);
        pending.add(&[(TEE, 12), (Group::Shelf, 12)], 13);
        let second = pending.telling().unwrap();
        assert_eq!((second.from, second.to, second.groups.len()), (10, 13, 2));
        pending.add(&[(TEE, 15)], 16);
        pending.done(&second);
        let third = pending.telling().unwrap();
        assert_eq!((third.from, third.to, third.groups), (13, 16, vec![(TEE, 15)]));
    }

    #[test]
    fn too_many_changes_are_a_change_of_everything() {
        let mut pending = Pending::default();
        pending.add(&[], 1);
        pending.done(&pending.telling().unwrap());
        let many: Vec<_> = (0..=5_000).map(|n| (Group::Product(n), 2 + n)).collect();
        pending.add(&many, 6_000);
        let telling = pending.telling().unwrap();
        assert_eq!((telling.from, telling.to, telling.groups.len()), (i64::MAX, 6_000, 0));
        assert!(pending.is_urgent());
        pending.done(&telling);
        assert_eq!((pending.is_urgent(), pending.telling().unwrap().from), (false, 6_000));
    }
}
