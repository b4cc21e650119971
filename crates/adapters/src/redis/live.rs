//! One connection, and when it is given up: at once when it fails, after a few late answers in a row
//! when it is only slow. Giving it up is all that a caller ever does about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use jangbu_kernel::time::Span;
use jangbu_services::cache::Value;
use jangbu_services::shared::{Bucket, Verdict};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, cmd, pipe};
use tokio::sync::Notify;

use super::Core;
use super::scripts;

/// Late answers in a row that end a connection.
const STRIKES: u32 = 5;

/// The names that the server has given to the scripts.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) tell: String,
    pub(super) put: String,
    pass: String,
    pub(super) close: String,
    pub(super) closed: String,
    pub(super) best: String,
}

impl Scripts {
    pub(super) async fn load(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let mut load = pipe();
        let all = [
            scripts::TELL,
            scripts::PUT,
            scripts::PASS,
            scripts::CLOSE,
            scripts::CLOSED,
            scripts::BEST,
        ];
        for script in all {
            load.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        let (tell, put, pass, close, closed, best) = load.query_async(connection).await?;
        Ok(Self { tell, put, pass, close, closed, best })
    }
}

/// A connection at work.
pub(super) struct Live {
    connection: MultiplexedConnection,
    pub(super) scripts: Scripts,
    /// The name of this run of the server.
    pub(super) run: String,
    joined: AtomicBool,
    strikes: AtomicU32,
    given_up: AtomicBool,
    /// Told when it is given up.
    pub(super) end: Notify,
}

impl Live {
    pub(super) fn new(connection: MultiplexedConnection, scripts: Scripts, run: String) -> Self {
        Self {
            connection,
            scripts,
            run,
            joined: AtomicBool::new(false),
            strikes: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
            end: Notify::new(),
        }
    }

    /// Whether the server knows every change that this process has seen: values may be given out.
    pub(super) fn is_joined(&self) -> bool {
        self.joined.load(Ordering::Acquire)
    }

    pub(super) fn join(&self) {
        self.joined.store(true, Ordering::Release);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    fn give_up(&self, core: &Core) {
        if !self.given_up.swap(true, Ordering::AcqRel) {
            let mut live = core.live.write();
            // The keeper may have made another one.
            if live.as_ref().is_some_and(|live| std::ptr::eq(Arc::as_ptr(live), self)) {
                *live = None;
            }
            drop(live);
            self.end.notify_one();
        }
    }

    /// Asks, and waits for so long; none: there is no answer.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        core: &Core,
        question: &Cmd,
        patience: Duration,
    ) -> Option<T> {
        let mut connection = self.connection.clone();
        let answer = tokio::time::timeout(patience, question.query_async(&mut connection));
        self.judge(core, answer.await.ok())
    }

    /// The same of several questions at once.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        core: &Core,
        questions: &Pipeline,
    ) -> Option<T> {
        let mut connection = self.connection.clone();
        let answers = questions.query_async(&mut connection);
        let answers = tokio::time::timeout(core.settings.patience, answers);
        self.judge(core, answers.await.ok())
    }

    fn judge<T>(&self, core: &Core, answer: Option<Result<T, RedisError>>) -> Option<T> {
        let counts = &core.counts;
        match answer {
            Some(Ok(answer)) => {
                counts.answered.fetch_add(1, Ordering::Relaxed);
                self.strikes.store(0, Ordering::Relaxed);
                Some(answer)
            }
            // Full: what is there can still be read, and goes with time.
            Some(Err(error)) if error.code() == Some("OOM") => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                None
            }
            Some(Err(error)) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "Redis failed; the connection is given up");
                self.give_up(core);
                None
            }
            None => {
                counts.late.fetch_add(1, Ordering::Relaxed);
                if self.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
                    tracing::debug!("Redis is too slow; the connection is given up");
                    self.give_up(core);
                }
                None
            }
        }
    }

    /// The value under `[value, mark, head]`, if it is good.
    pub(super) async fn value(&self, core: &Core, keys: &[String; 3]) -> Option<Value> {
        let [value, ..] = keys;
        let mut questions = pipe();
        questions.cmd("MGET").arg(keys.as_slice()).cmd("PTTL").arg(value);
        let ((value, mark, head), left): (Found, i64) = self.ask_all(core, &questions).await?;
        let until = core.clock.now() + Span::millis(left).min(core.settings.life);
        let (value, head) = (value?, head?);
        let (number, bytes) = good(&value, mark.unwrap_or(0), &head)?;
        (left > 0).then(|| Value { number, until, bytes: bytes.into() })
    }

    /// Whether one more is within a limit.
    pub(super) async fn pass(&self, core: &Core, bucket: Bucket) -> Option<Verdict> {
        let Bucket { limit, whom, per_second, burst } = bucket;
        let key = core.key("limit", format_args!("{limit}:{whom:016x}"));
        let interval = 1_000_000.0 / f64::from(per_second.max(1));
        let mut question = cmd("EVALSHA");
        question.arg(&self.scripts.pass).arg(1).arg(key).arg(interval).arg(burst);
        let wait: u64 = self.ask(core, &question, core.settings.patience).await?;
        Some(match wait {
            0 => Verdict::Passes,
            us => Verdict::Waits(Duration::from_micros(us)),
        })
    }
}

/// What is under `[value, mark, head]`.
type Found = (Option<Vec<u8>>, Option<i64>, Option<String>);

/// Number and bytes of a value, if it is of this generation and nothing has changed since.
fn good<'a>(value: &'a [u8], mark: i64, head: &str) -> Option<(i64, &'a [u8])> {
    let mut words = head.split(' ');
    let (generation, floor) = (words.next()?, words.nth(1)?.parse::<i64>().ok()?);
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let about = std::str::from_utf8(&value[..end]).ok()?;
    let (of, number) = about.split_once(' ')?;
    let number = number.parse().ok()?;
    (of == generation && number >= floor.max(mark)).then(|| (number, &value[end + 1..]))
}

/// The run that a server says it is, if it is a master.
pub(super) async fn run_of(connection: &mut impl ConnectionLike) -> Result<String, RedisError> {
    let info: String = cmd("INFO").query_async(connection).await?;
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    match (field("role"), field("run_id"), field("loading")) {
        (Some("master"), Some(run), Some("0")) => Ok(run.chars().take(12).collect()),
        (role, _, loading) => Err(RedisError::from((
            redis::ErrorKind::Client,
            "the server is no master that is ready",
            format!("role {role:?}, loading {loading:?}"),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_generation_or_from_before_a_change_is_not_good() {
        let value = b"run-1 12\n{\"a\":1}";
        assert_eq!(good(value, 0, "run-1 20 5"), Some((12, &b"{\"a\":1}"[..])));
        assert_eq!(good(value, 12, "run-1 20 12"), Some((12, &b"{\"a\":1}"[..])));
        for (mark, head) in [(13, "run-1 20 5"), (0, "run-1 20 13"), (0, "run-2 20 5"), (0, "")] {
            assert_eq!(good(value, mark, head), None, "{mark} {head}");
        }
        assert_eq!(good(b"run-1 12", 0, "run-1 20 5"), None);
    }
}
