//! What a move asks of both stores.

use std::sync::Arc;

use anyhow::Result;
use indicatif::ProgressBar;
use jangbu_engine::port::{Backend, Fault, Fields, Key, Table, WritePlan};
use jangbu_store::Mark;

/// Receives rows.
pub(super) type EachRow<'a> = dyn FnMut(&dyn Fields) + 'a;

/// A store that a shop leaves or comes to. As long as it lives, nobody else serves it.
pub(super) trait Side {
    /// What it is called, without a password.
    fn shown(&self) -> String;

    /// The mark of a move, if there is one.
    fn mark(&self) -> Result<Option<Mark>>;

    /// Sets its mark.
    fn set(&self, mark: &Mark) -> Result<()>;

    /// Takes its mark away: it may be served.
    fn clear(&self) -> Result<()>;

    /// Makes it an empty shop with this mark, or finds one that was begun with the same.
    fn prepare(&mut self, mark: &Mark) -> Result<()>;

    /// So many rows from a key on, in the order of keys.
    fn rows(
        &mut self,
        table: &'static Table,
        from: (Key, u32),
        each: &mut EachRow<'_>,
    ) -> Result<(), Fault>;

    /// The highest key of a table.
    fn last(&mut self, table: &'static Table) -> Result<Option<Key>, Fault>;

    /// Adds rows of a table, all or none.
    fn put(&mut self, table: &'static Table, plan: &WritePlan) -> Result<(), Fault>;

    /// After the last row: everything is on the disk, and the planner knows it.
    fn filled(&mut self) -> Result<()>;

    /// Its truth, to be read.
    fn truth(&self) -> Result<Arc<dyn Backend>>;

    /// Projections that are empty; old ones are gone.
    fn new_derived(&self) -> Result<Arc<dyn Backend>>;

    /// What `prove` is to look at.
    fn books(&self) -> jangbu_audit::Options;

    /// What its operator should know after the move.
    fn advice(&self) -> String;
}

/// Every row of a table.
pub(super) fn all(
    side: &mut dyn Side,
    table: &'static Table,
    page: u32,
    each: &mut EachRow<'_>,
    bar: &ProgressBar,
) -> Result<(), Fault> {
    let mut from = Some([i64::MIN; 3]);
    while let Some(first) = from.take() {
        let (mut last, mut count) = (None, 0);
        side.rows(table, (first, page), &mut |row| {
            (last, count) = (Some(table.key_of(row)), count + 1);
            each(row);
        })?;
        bar.inc(count);
        from = last.and_then(|last| following(last, table.key.len()));
    }
    Ok(())
}

/// The key after this one, if there can be one.
pub(super) fn following(mut key: Key, parts: usize) -> Option<Key> {
    for part in key[..parts].iter_mut().rev() {
        if let Some(next) = part.checked_add(1) {
            *part = next;
            return Some(key);
        }
        *part = i64::MIN;
    }
    None
}

/// An address as it may be shown: without user, password and settings.
pub(super) fn shown_url(url: &str, schema: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    let bare = bare.split('?').next().unwrap_or_default();
    let place = bare.rsplit_once('@').map_or(bare, |(_, place)| place);
    format!("postgres://{place} ({schema})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_follows_carries_over() {
        assert_eq!(following([7, 0, 0], 1), Some([8, 0, 0]));
        assert_eq!(following([7, i64::MAX, 0], 2), Some([8, i64::MIN, 0]));
        assert_eq!(following([i64::MAX, 0, 0], 1), None);
        assert_eq!(following([i64::MAX; 3], 3), None);
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        let shown =
            shown_url("postgres://kim:p@ss?@db.example:5432/shop?connect_timeout=3", "jangbu");
        assert!(!shown.contains("p@ss"), "{shown}");
        let shown = shown_url("postgresql://kim:secret@db:5432/shop?x=secret", "jangbu");
        assert_eq!(shown, "postgres://db:5432/shop (jangbu)");
    }
}
