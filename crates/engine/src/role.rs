//! What this process is to a cell, for whoever runs only where the cell is owned: projections,
//! consumers, the relay, backups.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// What a process is to a cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Role {
    /// It is finding out.
    #[default]
    Joining,
    /// It alone writes.
    Owner {
        /// Greater than that of every owner before; 0: the cell is never shared.
        epoch: i64,
    },
    /// Another process writes, and gets what comes here.
    Follower {
        /// Where that process hears others.
        owner: String,
        /// Whether commands get there now.
        linked: bool,
    },
    /// It shared the cell with others, and has ended.
    Ended,
}

/// The role of this process, as it is now.
#[derive(Debug, Default)]
pub struct Standing {
    role: Mutex<Role>,
    owner: AtomicBool,
    changes: AtomicU64,
    changed: Condvar,
}

impl Standing {
    /// The role.
    pub fn role(&self) -> Role {
        self.role.lock().clone()
    }

    /// Whether this process owns the cell.
    pub fn is_owner(&self) -> bool {
        self.owner.load(Ordering::Acquire)
    }

    /// How often the cell has come to this process, or gone to another one.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Waits until the role is `wanted`, at most for `limit`; tells whether it is.
    pub fn wait(&self, limit: Duration, wanted: impl Fn(&Role) -> bool) -> bool {
        let mut role = self.role.lock();
        self.changed.wait_while_for(&mut role, |role| !wanted(role), limit);
        wanted(&role)
    }

    /// The role is `now` from here on.
    pub fn set(&self, now: Role) {
        let mut role = self.role.lock();
        let owner = matches!(now, Role::Owner { .. });
        if self.owner.swap(owner, Ordering::AcqRel) != owner {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        *role = now;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_role_gets_it_or_hears_that_it_did_not_come() {
        let standing = Standing::default();
        assert!(!standing.wait(Duration::ZERO, |role| matches!(role, Role::Owner { .. })));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let second = |role: &Role| matches!(role, Role::Owner { epoch: 2 });
                standing.wait(Duration::from_secs(20), second)
            });
            standing.set(Role::Owner { epoch: 2 });
            assert!(waiting.join().unwrap() && standing.is_owner());
        });
        standing.set(Role::Follower { owner: "there".to_owned(), linked: true });
        assert_eq!((standing.is_owner(), standing.changes()), (false, 2));
    }
}
