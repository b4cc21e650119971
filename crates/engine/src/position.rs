//! How far a cell has come, as a client can carry it from a write to its next read.
//!
//! The shard row counts commits and events anyway, so a position costs a commit two stores into memory and
//! nothing else: no column, no question, no round trip. An answer carries the position of its process, which
//! is that of its own commit or a later one; a read that brings it is never answered from a state before it.

use std::fmt::{Display, Formatter};
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

/// The numbers of a commit and of the last event up to it. As text `commit.event`, which is nobody's business
/// but ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Of the commit.
    pub commit: i64,
    /// Of the event.
    pub event: i64,
}

impl Position {
    /// Whether a state of this position has everything that one of `other` has.
    pub const fn covers(self, other: Self) -> bool {
        self.commit >= other.commit && self.event >= other.event
    }
}

impl Display for Position {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.commit, self.event)
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position")]
pub struct NoPosition;

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).ok_or(NoPosition)
        };
        let (commit, event) = text.split_once('.').ok_or(NoPosition)?;
        Ok(Self { commit: number(commit)?, event: number(event)? })
    }
}

/// The position that a process knows its cell to have reached: of its own commits, or of its owner's.
#[derive(Debug, Default)]
pub struct Reached {
    commit: AtomicI64,
    event: AtomicI64,
}

impl Reached {
    /// The cell has come to `to`. Told before anybody hears of that commit.
    pub fn raise(&self, to: Position) {
        self.commit.fetch_max(to.commit, Ordering::Release);
        self.event.fetch_max(to.event, Ordering::Release);
    }

    /// The store says that it is at `at`, also when that is less than was known: a server that took over may
    /// have lost commits.
    pub fn set(&self, at: Position) {
        self.commit.store(at.commit, Ordering::Release);
        self.event.store(at.event, Ordering::Release);
    }

    /// Where it is, or was a moment ago.
    pub fn get(&self) -> Position {
        let commit = self.commit.load(Ordering::Acquire);
        Position { commit, event: self.event.load(Ordering::Acquire) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_and_nothing_else_is_one() {
        for (commit, event) in [(0, 0), (7, 3), (i64::MAX, i64::MAX)] {
            let position = Position { commit, event };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for text in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "1.2.3",
            "-1.2",
            "+1.2",
            "1.+2",
            " 1.2",
            "1.2 ",
            "a.b",
            "1,2",
            "9223372036854775808.1",
            "1.99999999999999999999",
        ] {
            assert_eq!(text.parse::<Position>(), Err(NoPosition), "{text:?}");
        }
    }

    #[test]
    fn what_is_known_only_rises_until_the_store_says_otherwise() {
        let at = |commit, event| Position { commit, event };
        let reached = Reached::default();
        reached.raise(at(5, 9));
        reached.raise(at(4, 8));
        assert_eq!(reached.get(), at(5, 9));
        assert!(reached.get().covers(at(5, 9)) && !reached.get().covers(at(6, 9)));
        assert!(!at(6, 8).covers(at(5, 9)));
        reached.set(at(4, 8));
        assert_eq!(reached.get(), at(4, 8));
    }
}
