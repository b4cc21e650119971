//! Whether two stores have the same rows, without holding any.

use std::fmt;

use jangbu_engine::port::{Fields, Kind, Table};
use sha2::{Digest, Sha256};

/// The rows of a table, counted and summed up: each row is hashed with everything in it, and the hashes
/// are added, so that it makes no difference in which order they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// How many there are.
    pub rows: u64,
    sum: u128,
}

impl Checksum {
    /// Adds a row.
    pub fn add(&mut self, table: &Table, row: &dyn Fields) {
        let mut hash = Sha256::new();
        for at in 0..table.width() {
            match kind(table, at) {
                Kind::Int => match row.opt_int(at) {
                    Some(value) => feed(&mut hash, 1, &value.to_be_bytes()),
                    None => feed(&mut hash, 0, &[]),
                },
                Kind::Text => match row.opt_text(at) {
                    Some(text) => feed(&mut hash, 2, text.as_bytes()),
                    None => feed(&mut hash, 0, &[]),
                },
                Kind::Blob => feed(&mut hash, 3, row.blob(at)),
            }
        }
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(half));
        self.rows += 1;
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

/// What the column at this place of a row holds.
pub(crate) fn kind(table: &Table, at: usize) -> Kind {
    let col = at.checked_sub(table.key.len()).and_then(|at| table.cols.get(at));
    col.map_or(Kind::Int, |col| col.kind)
}

fn feed(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use jangbu_engine::port::Col;

    use super::*;

    static T: Table = Table {
        rank: 1,
        name: "t",
        key: &["id"],
        cols: &[Col::int("n").or_null(), Col::text("t").or_null(), Col::blob("b")],
        versioned: true,
        due: false,
        lists: &[],
        hot: false,
    };

    /// Key, number, text, bytes, version.
    #[derive(Clone, Copy)]
    struct Row(i64, Option<i64>, Option<&'static str>, &'static [u8], i64);

    impl Fields for Row {
        fn int(&self, at: usize) -> i64 {
            self.opt_int(at).unwrap_or_default()
        }
        fn opt_int(&self, at: usize) -> Option<i64> {
            [Some(self.0), self.1, None, None, Some(self.4)][at]
        }
        fn text(&self, at: usize) -> &str {
            self.opt_text(at).unwrap_or_default()
        }
        fn opt_text(&self, _at: usize) -> Option<&str> {
            self.2
        }
        fn blob(&self, _at: usize) -> &[u8] {
            self.3
        }
    }

    fn sum(rows: &[Row]) -> Checksum {
        let mut sum = Checksum::default();
        for row in rows {
            sum.add(&T, row);
        }
        sum
    }

    #[test]
    fn the_order_of_rows_makes_no_difference_and_every_value_does() {
        let (a, b) = (Row(1, Some(0), Some("x"), b"y", 1), Row(2, None, None, b"", 1));
        assert_eq!(sum(&[a, b]), sum(&[b, a]));
        let others = [
            Row(3, None, None, b"", 1),
            Row(2, Some(0), None, b"", 1),
            Row(2, None, Some(""), b"", 1),
            Row(2, None, None, b"\0", 1),
            Row(2, None, None, b"", 2),
        ];
        for other in others {
            assert_ne!(sum(&[a, b]), sum(&[a, other]));
        }
        assert_ne!(sum(&[a]), sum(&[a, a]), "a row twice is another sum");
        assert_ne!(sum(&[]).to_string(), sum(&[a]).to_string());
    }
}
