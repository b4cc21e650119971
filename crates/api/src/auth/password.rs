//! Passwords: hashed with Argon2id, a few at a time, on threads that may block.
//!
//! ```text
//! hash: version 1 (1 byte) | memory in KiB (4) | passes (4) | lanes (4) | salt (16) | digest (32)
//! ```
//!
//! Each hash says how it was made, so that old ones stay good when the cost is raised. It is sealed
//! before it is stored: whoever gets the file alone cannot even begin to guess.
//!
//! A guess at an address that nobody has costs what a wrong one at another costs: it is compared
//! with a hash that no password has.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use jangbu_kernel::Secret;
use tokio::sync::Semaphore;

use crate::codes::Own;
use crate::problem::Problem;

const FORM: u8 = 1;
const SALT: usize = 16;
const DIGEST: usize = 32;
const LENGTH: usize = 1 + 3 * 4 + SALT + DIGEST;
/// Those who may wait for their turn; more are sent away.
const WAITING: usize = 64;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory in KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Hashes that are made at a time.
    pub at_once: usize,
}

impl Default for PasswordCost {
    /// 19 MiB and two passes: the least that is recommended today.
    fn default() -> Self {
        Self { memory: 19 * 1_024, passes: 2, at_once: 2 }
    }
}

/// Makes and checks hashes.
#[derive(Debug)]
pub(crate) struct Passwords {
    cost: PasswordCost,
    at_work: Arc<Semaphore>,
    waiting: Semaphore,
    nobody: Arc<[u8]>,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost) -> Self {
        let PasswordCost { memory, passes, at_once } = cost;
        let mut nobody = vec![FORM];
        for number in [memory, passes, 1] {
            nobody.extend(number.to_be_bytes());
        }
        nobody.resize(LENGTH, 0); // no text is known to have this digest
        Self {
            cost,
            at_work: Arc::new(Semaphore::new(at_once.max(1))),
            waiting: Semaphore::new(WAITING),
            nobody: nobody.into(),
        }
    }

    /// The hash of a new password.
    pub(crate) async fn hash(
        &self,
        password: Secret,
        salt: [u8; SALT],
    ) -> Result<Vec<u8>, Problem> {
        let PasswordCost { memory, passes, .. } = self.cost;
        self.run(move || made(&password, (memory, passes, 1), salt)).await?.ok_or_else(broken)
    }

    /// Whether it is the password of `hash`; of `None`, which is nobody's, it never is, and that is
    /// found out as slowly.
    pub(crate) async fn is(
        &self,
        password: Secret,
        hash: Option<Vec<u8>>,
    ) -> Result<bool, Problem> {
        let known = hash.is_some();
        let hash = hash.map_or_else(|| Arc::clone(&self.nobody), Into::into);
        let same = self.run(move || compared(&password, &hash)).await?;
        Ok(same.ok_or_else(broken)? && known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let full = |_| {
            let mut problem = Problem::of(Own::RateLimited, "too many passwords are looked at");
            problem.after = Some(1);
            problem
        };
        let _place = self.waiting.try_acquire().map_err(full)?;
        let turn = Arc::clone(&self.at_work).acquire_owned().await;
        let turn = turn.map_err(|_| broken())?;
        // The turn goes along: a client that hangs up does not make room for one more.
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| broken())
    }
}

fn broken() -> Problem {
    Problem::of(Own::Internal, "a password could not be looked at")
}

fn made(
    password: &Secret,
    (memory, passes, lanes): (u32, u32, u32),
    salt: [u8; SALT],
) -> Option<Vec<u8>> {
    let mut hash = vec![FORM];
    for number in [memory, passes, lanes] {
        hash.extend(number.to_be_bytes());
    }
    hash.extend(salt);
    hash.extend(digest(password, (memory, passes, lanes), &salt)?);
    Some(hash)
}

/// None: the hash is none.
fn compared(password: &Secret, hash: &[u8]) -> Option<bool> {
    let ([FORM], rest) = hash.split_first_chunk::<1>()? else { return None };
    let (memory, rest) = rest.split_first_chunk::<4>()?;
    let (passes, rest) = rest.split_first_chunk::<4>()?;
    let (lanes, rest) = rest.split_first_chunk::<4>()?;
    let (salt, kept) = rest.split_first_chunk::<SALT>()?;
    let cost = (*memory, *passes, *lanes);
    let cost = (u32::from_be_bytes(cost.0), u32::from_be_bytes(cost.1), u32::from_be_bytes(cost.2));
    let found = digest(password, cost, salt)?;
    Some(super::keys::same(&found, kept))
}

fn digest(
    password: &Secret,
    (memory, passes, lanes): (u32, u32, u32),
    salt: &[u8],
) -> Option<[u8; DIGEST]> {
    let params = Params::new(memory, passes, lanes, Some(DIGEST)).ok()?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut digest = [0; DIGEST];
    hasher.hash_password_into(password.reveal().as_bytes(), salt, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory: 64, passes: 1, at_once: 1 };

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_whatever_hashes_cost_now() {
        let cheap = Passwords::new(CHEAP);
        let dear = Passwords::new(PasswordCost { memory: 128, passes: 2, ..CHEAP });
        let hash = cheap.hash(secret("correct horse"), [7; SALT]).await.unwrap();
        assert_eq!(hash.len(), LENGTH);
        for passwords in [&cheap, &dear] {
            assert!(passwords.is(secret("correct horse"), Some(hash.clone())).await.unwrap());
            assert!(!passwords.is(secret("correct hors"), Some(hash.clone())).await.unwrap());
        }
        let other = cheap.hash(secret("correct horse"), [8; SALT]).await.unwrap();
        assert_ne!(hash, other, "another salt");
        for password in ["", "correct horse"] {
            assert!(!cheap.is(secret(password), None).await.unwrap(), "nobody's");
        }
    }

    #[tokio::test]
    async fn what_is_no_hash_is_a_defect_and_no_answer() {
        let passwords = Passwords::new(CHEAP);
        let hash = passwords.hash(secret("x"), [7; SALT]).await.unwrap();
        for spoilt in [vec![], vec![FORM], hash[..20].to_vec(), [&[2], &hash[1..]].concat()] {
            let problem = passwords.is(secret("x"), Some(spoilt)).await.unwrap_err();
            assert_eq!(problem.code, "INTERNAL");
        }
    }

    /// One at work, 63 who wait, and the rest is sent away: memory is bounded.
    #[tokio::test]
    async fn too_many_at_a_time_are_sent_away() {
        let passwords = Arc::new(Passwords::new(CHEAP));
        let turn = Arc::clone(&passwords.at_work).acquire_owned().await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        let guess =
            |passwords: Arc<Passwords>| async move { passwords.is(secret("x"), None).await };
        for _ in 0..WAITING + 10 {
            tasks.spawn(guess(Arc::clone(&passwords)));
        }
        let mut refused = 0;
        while refused < 10 {
            let ended = tasks.join_next().await.unwrap().unwrap();
            let problem = ended.unwrap_err();
            assert_eq!((problem.code, problem.after), ("RATE_LIMITED", Some(1)));
            refused += 1;
        }
        drop(turn);
        while let Some(ended) = tasks.join_next().await {
            assert!(!ended.unwrap().unwrap());
        }
    }
}
