//! Rows that a decision only ever adds, in bulk. They cannot be looked up again, so they need no
//! hash map, no pre-images and no versions: a list, and how long it was when the command began.

use crate::rows::RowSet;

/// The new rows of one table since the last commit, in the order of their addition.
#[derive(Debug)]
pub struct Appends<K, R> {
    rows: Vec<(K, R)>,
    mark: usize,
}

impl<K, R> Default for Appends<K, R> {
    fn default() -> Self {
        Self { rows: Vec::new(), mark: 0 }
    }
}

impl<K, R> Appends<K, R> {
    /// Adds a row. That its key is new is the caller's to know; the store refuses it otherwise.
    pub fn push(&mut self, key: K, row: R) {
        self.rows.push((key, row));
    }

    /// What was added since the last commit.
    pub fn added(&self) -> &[(K, R)] {
        &self.rows
    }
}

/// A list that grew to this many rows is given back after its commit.
const ROOM: usize = 1 << 16;

impl<K, R> RowSet for Appends<K, R> {
    fn mark(&mut self) {
        self.mark = self.rows.len();
    }

    fn rollback(&mut self) {
        self.rows.truncate(self.mark);
    }

    fn settle(&mut self) {
        self.clear();
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.rows.shrink_to(ROOM);
        self.mark = 0;
    }

    fn evict(&mut self, _keep: usize) {}

    fn held(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_takes_back_what_its_command_added_and_no_more() {
        let mut rows = Appends::default();
        rows.mark();
        rows.push(1, "one");
        rows.mark();
        rows.push(2, "two");
        rows.push(3, "three");
        rows.rollback();
        assert_eq!(rows.added(), [(1, "one")]);
        rows.settle();
        assert_eq!(rows.added(), []);
    }
}
