//! Walks along an index: for lists of a projection in an order other than that of their keys.

use super::Table;

/// An index of a table whose key is one integer. The columns are followed by the key.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name in the database.
    pub name: &'static str,
    /// Of which table.
    pub table: &'static Table,
    /// Its columns: integers, the last one perhaps text.
    pub cols: &'static [&'static str],
}

/// A value to look for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Datum {
    /// An integer.
    Int(i64),
    /// Text; it is ordered by its bytes.
    Text(Box<str>),
}

/// Which part of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Where all columns have the values of [`Walk::same`], the keys from one to another.
    Keys(i64, i64),
    /// Where all columns but the last have the values of [`Walk::same`], the values of the last one
    /// from one to another.
    Values(Datum, Datum),
}

/// A walk: rows in the order of an index, by the value of its last column and then by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The index.
    pub index: &'static Index,
    /// Values of its first columns.
    pub same: Vec<Datum>,
    /// What of it; both ends belong to it.
    pub span: Span,
    /// Backwards.
    pub descending: bool,
    /// At most so many rows.
    pub limit: u32,
}
