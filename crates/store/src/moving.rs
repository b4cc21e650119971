//! A shop on its way from one store to another: the mark that says so, on both sides.
//!
//! ```text
//! source            -          -             Away       Away (its rows are kept under another name)
//! target            Arriving   Arriving      Arriving   -
//!                   mark ────▶ copy, compare ─────────▶ the target is served from now on
//! ```
//!
//! Nobody may serve a store with a mark: one that is arriving is not whole, and one that is away has an
//! heir. So at no moment two stores can be served, whenever the move is killed. A directory has its mark in
//! the file [`FILE`], a PostgreSQL schema in a table of that name, both in the same words.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// The file of a data directory, or the table of a schema, with the mark.
pub const FILE: &str = "moving";

/// Which way a shop goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It comes here and is not whole yet.
    Arriving,
    /// It has left.
    Away,
}

/// Why a store is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which way.
    pub way: Way,
    /// What tells this state of this shop from every other: the checksum of its shard row.
    pub shop: String,
    /// Its last commit.
    pub commit: i64,
    /// The store at the other end, as it may be shown.
    pub other: String,
}

impl Mark {
    /// In words, one a line.
    pub fn text(&self) -> String {
        let Self { way, shop, commit, other } = self;
        let way = match way {
            Way::Arriving => "arriving",
            Way::Away => "away",
        };
        format!("{way}\n{shop}\n{commit}\n{other}\n")
    }

    /// From words; `None` if they are no mark.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let way = match lines.next()? {
            "arriving" => Way::Arriving,
            "away" => Way::Away,
            _ => return None,
        };
        let (shop, commit) = (lines.next()?.to_owned(), lines.next()?.parse().ok()?);
        Some(Self { way, shop, commit, other: lines.next()?.to_owned() })
    }

    /// Why a store with this mark is not served, and what to do.
    pub fn refusal(&self) -> String {
        let Self { way, commit, other, .. } = self;
        match way {
            Way::Arriving => format!(
                "a move from {other} (commit {commit}) has not come to its end here: run the same \
                 `jangbu move` again"
            ),
            Way::Away => format!(
                "the shop has moved to {other} with commit {commit}: serve it there, or move it \
                 back with `jangbu move`"
            ),
        }
    }

    /// That of a data directory. One that cannot be read counts as a fault, not as none.
    pub fn of_dir(dir: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read_to_string(dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let garbled = || io::Error::other("the file `moving` is not the mark of a move");
        Self::parse(&text).map(Some).ok_or_else(garbled)
    }

    /// Sets that of a data directory, whole or not at all.
    pub fn set_dir(&self, dir: &Path) -> io::Result<()> {
        let partial = dir.join("moving.partial");
        let mut file = File::create(&partial)?;
        file.write_all(self.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(partial, dir.join(FILE))?;
        File::open(dir)?.sync_all()
    }

    /// Takes that of a data directory away.
    pub fn clear_dir(dir: &Path) -> io::Result<()> {
        match fs::remove_file(dir.join(FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.and_then(|()| File::open(dir)?.sync_all()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_of_a_directory_is_read_as_it_was_set() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Mark::of_dir(dir.path()).unwrap(), None);
        let other = "postgres://127.0.0.1:5432/shop (jangbu)".to_owned();
        let mark = Mark { way: Way::Arriving, shop: "ab".to_owned(), commit: 7, other };
        let away = Mark { way: Way::Away, ..mark.clone() };
        for mark in [mark, away] {
            mark.set_dir(dir.path()).unwrap();
            assert_eq!(Mark::of_dir(dir.path()).unwrap(), Some(mark));
        }
        fs::write(dir.path().join(FILE), "away\n").unwrap();
        assert!(Mark::of_dir(dir.path()).is_err(), "half a mark is not none");
        Mark::clear_dir(dir.path()).unwrap();
        Mark::clear_dir(dir.path()).unwrap();
        assert_eq!(Mark::of_dir(dir.path()).unwrap(), None);
    }
}
