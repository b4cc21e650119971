//! What can be read of points: accounts, charges and grants, histories.

use jangbu_domain::point::command::What;
use jangbu_domain::point::model::{Account, Credit};
use jangbu_engine::port::Fault;
use jangbu_kernel::{Time, UserId};

use super::{Queries, View, reverse};
use crate::packed;
use crate::projections::POINT_HISTORY;

/// A line of an account's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Its number; ascending.
    pub n: i64,
    /// When.
    pub at: Time,
    /// What happened.
    pub what: What,
    /// The order, grant or payment behind it; 0: time.
    pub about: i64,
    /// Paid points that came, or went.
    pub paid: i64,
    /// Earned points that came, or went.
    pub earned: i64,
    /// Points after it.
    pub balance: i64,
}

impl Queries {
    /// The points of a user; none: there never were any.
    pub fn points(&self, user: UserId) -> Result<Option<Account>, Fault> {
        self.one(user)
    }

    /// A charge by its payment, or a grant by its id.
    pub fn point_credit(&self, id: i64) -> Result<Option<Credit>, Fault> {
        self.one(id)
    }
}

impl View {
    /// Movements of a user's points before number `before`, newest first.
    pub fn point_history(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Movement>, Fault> {
        let to = before.map_or(i64::MAX, |n| n - 1);
        let mut found = Vec::new();
        let read = reverse(&POINT_HISTORY, [user.0, i64::MIN, 0], [user.0, to, 0], limit);
        self.derived.read(&[read], &mut |_, row| {
            found.push(Movement {
                n: row.int(1),
                at: Time(row.int(2)),
                what: packed::coded("point_history.what", row.int(3), What::from_code),
                about: row.int(4),
                paid: row.int(5),
                earned: row.int(6),
                balance: row.int(7),
            });
        })?;
        Ok(found)
    }
}
