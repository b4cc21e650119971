//! A customer logs in.
//!
//! ```text
//! limits by address and e-mail ─▶ row by blind index ─▶ Argon2 ─▶ Login (counts) ─▶ token
//! ```
//!
//! Whoever guesses learns nothing about who is registered: an address that nobody has costs the
//! same hash, gives the same answers, and locks after as many guesses (in memory, where a flood of
//! such addresses forgets the oldest half).

use std::collections::HashMap;
use std::sync::Arc;

use jangbu_domain::user::command::{Command, Reply as Answer};
use jangbu_domain::user::decide::{FAILURES, LOCK};
use jangbu_domain::user::model::{Account, EmailIndex, State};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Secret, Time, UserId};
use jangbu_services::user::column;
use parking_lot::Mutex;
use serde::Serialize;

use super::act::{ask, opened};
use super::form::{LoginIn, normal};
use crate::Api;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, shown};

/// Addresses of each half of what is remembered of nobody's.
const HALF: usize = 1 << 15;
/// How a log-in is refused by the domain.
const DECIDED: [&str; 3] = ["USER_UNKNOWN", "USER_DEACTIVATED", "PASSWORD_CHANGED"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionOut<'a> {
    token: &'a str,
    expires_at: At,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
}

pub(super) async fn login(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: LoginIn<'_> = call.json()?;
    // What cannot be an address is nobody's.
    let email = normal(&body.email).ok_or_else(failed)?;
    let index = EmailIndex::from(api.sealing.index(column::EMAIL, &email));
    api.limits.login(index.0).await?;
    let found = api.read(move |queries| queries.user_of(index)).await?;
    let password = Secret::new(&*body.password);
    let Some((user, account)) = found else {
        api.passwords.is(password, None).await?;
        return Err(stranger(api, index));
    };
    let generation = tried(api, call, (user, &account), password).await?;
    begun(api, user, generation)
}

/// Looks whether it is the password, and has the answer counted: the generation if it is.
pub(super) async fn tried(
    api: &Arc<Api>,
    call: &Call,
    (user, account): (UserId, &Account),
    password: Secret,
) -> Result<i64, Problem> {
    let hash = opened(api.sealing.open_bytes(column::PASSWORD, user.0, &account.password.0))?;
    let good = api.passwords.is(password, Some(hash)).await?;
    if account.state != State::Active {
        return Err(stranger(api, account.index));
    }
    let command = Command::Login { user, seen: account.generation, good };
    match ask(api, call, command, "").await {
        Ok(Answer::LoggedIn { generation }) => Ok(generation),
        Ok(Answer::Failed { locked_until: Some(until) }) => Err(locked((until, api.shop.now()))),
        Ok(Answer::Failed { locked_until: None } | Answer::Done(_)) => Err(failed()),
        // It has been deactivated, or has another password, since it was read.
        Err(problem) if DECIDED.contains(&problem.code) => Err(failed()),
        Err(problem) => Err(problem),
    }
}

fn stranger(api: &Api, index: EmailIndex) -> Problem {
    api.strangers.failed(index, api.shop.now()).map_or_else(failed, locked)
}

fn begun(api: &Api, user: UserId, generation: i64) -> Result<Reply, Problem> {
    let now = api.shop.now();
    let length = i64::try_from(api.settings.session.as_micros()).unwrap_or(i64::MAX);
    // The token has whole seconds.
    let until = Time((now + Span(length)).0 / 1_000_000 * 1_000_000);
    let none = || Problem::of(Own::Internal, "the server has no session key");
    let token = api.sessions.issue(user, generation, now, until).ok_or_else(none)?;
    let out = SessionOut { token: token.reveal(), expires_at: At(until), user_id: user };
    Ok(Reply::json(201, &out))
}

/// One answer for every way in which a log-in can fail.
pub(super) fn failed() -> Problem {
    let detail = "email or password is wrong";
    Problem::of(Own::LoginFailed, detail).at("email", detail).at("password", detail)
}

fn locked((until, now): (Time, Time)) -> Problem {
    // Rounded up: a stranger's lock is as old as its answer, a user's is older by a commit.
    let seconds = u32::try_from(((until - now).0 + 999_999) / 1_000_000).unwrap_or(0).max(1);
    let detail = format!("no password is taken for this email for {seconds} s");
    let mut problem = Problem::of(Own::LoginLocked, detail);
    problem.after = Some(seconds);
    problem.at("email", "too many wrong passwords").at("password", "is not looked at")
}

/// Guesses at addresses that nobody has.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<[HashMap<EmailIndex, Guesses>; 2]>);

#[derive(Debug, Clone, Copy, Default)]
struct Guesses {
    failures: i64,
    until: Option<Time>,
}

impl Strangers {
    /// One more guess: until when the address is locked, and the time, if it is.
    fn failed(&self, index: EmailIndex, now: Time) -> Option<(Time, Time)> {
        let mut halves = self.0.lock();
        let [young, old] = &mut *halves;
        let mut guesses =
            young.get(&index).or_else(|| old.get(&index)).copied().unwrap_or_default();
        let locked = guesses.until.filter(|until| now < *until);
        if locked.is_none() {
            guesses.until = None;
            guesses.failures += 1;
            if guesses.failures >= FAILURES {
                guesses = Guesses { failures: 0, until: Some(now + LOCK) };
            }
        }
        if young.len() >= HALF {
            *old = std::mem::take(young);
        }
        young.insert(index, guesses);
        guesses.until.map(|until| (until, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_told_alike_whether_a_commit_lies_between_or_not() {
        let after = |left: i64| locked((Time(left), Time(0))).after;
        assert_eq!([LOCK.0, LOCK.0 - 1, LOCK.0 - 999_999].map(after), [Some(900); 3]);
        assert_eq!([1, 0, -1].map(after), [Some(1); 3]);
    }

    #[test]
    fn an_address_that_nobody_has_locks_like_any_other() {
        let strangers = Strangers::default();
        let (index, at) = (EmailIndex([1, 2]), |seconds: i64| Time(seconds * 1_000_000));
        for guess in 1..FAILURES {
            assert_eq!(strangers.failed(index, at(0)), None, "guess {guess}");
        }
        let until = at(0) + LOCK;
        assert_eq!(strangers.failed(index, at(0)), Some((until, at(0))), "the fifth is told");
        assert_eq!(strangers.failed(index, at(9)), Some((until, at(9))), "later ones do not count");
        assert_eq!(strangers.failed(EmailIndex([1, 3]), at(9)), None, "another address");
        assert_eq!(strangers.failed(index, until), None, "it is over");
    }

    #[test]
    fn memory_is_bounded_whoever_guesses() {
        let strangers = Strangers::default();
        for n in 0..3 * i64::try_from(HALF).unwrap() {
            strangers.failed(EmailIndex([n, n]), Time(0));
        }
        assert!(strangers.0.lock().iter().all(|half| half.len() <= HALF));
    }
}
