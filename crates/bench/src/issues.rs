//! Coupons of a campaign that does not have enough of them: a million people, first come.
//!
//! Request `n` comes from user `n`; one in a hundred comes from somebody who has asked just before,
//! with another key. What the server says is held against itself: positions run from 1 without a
//! gap or a double, and what remains is what the position leaves.

use std::collections::VecDeque;
use std::io;

use memchr::memmem::Finder;
use serde::Serialize;

use crate::journal::{Ack, Journal};
use crate::outcome::Outcome;
use crate::purse::user;
use crate::tally::Tally;
use crate::trade::Trade;
use crate::wire::{Answer, id_after, quoted_after};
use crate::world::{Id, Mix, push_number};

/// Requests of the preset.
pub(crate) const REQUESTS: f64 = 1_000_000.0;
/// One request in so many comes from the user before it.
const AGAIN_ONE_IN: u64 = 100;
/// One coupon in so many is asked for again with the same key.
const REPEAT_ONE_IN: u64 = 100;
/// Time between the first answer and its repeat.
const REPEAT_AFTER: u64 = 50_000_000;

/// What the server said of positions.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Positions {
    /// Coupons of the campaign.
    pub total: u64,
    /// Different positions that were told.
    pub told: u64,
    /// Positions that were told to two people, or are out of range.
    pub doubled: u64,
    /// Answers whose remaining count is not what their position leaves.
    pub lies: u64,
    /// Answers, refusals included, per second until the last answer.
    pub requests_per_second: f64,
}

/// What a connection waits for.
#[derive(Debug)]
pub(crate) enum Job {
    Issue { n: u64, intended: u64 },
    Repeat { intended: u64, first: Repeat },
}

/// A coupon that is going to be asked for again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    n: u64,
    coupon: Id,
    ready: u64,
}

/// The trade in first-come coupons.
#[derive(Debug)]
pub(crate) struct Issues {
    tag: String,
    /// Request heads up to the idempotency key: the campaign of the measured phase, and another.
    heads: [Vec<u8>; 2],
    total: u64,
    journal: Journal,
    reader: Reader,
    mix: Mix,
    tally: Tally,
    next: u64,
    repeats: VecDeque<Repeat>,
    seen: Vec<bool>,
    positions: Positions,
}

impl Issues {
    pub(crate) fn new(
        tag: String,
        (host, client_key): (&str, &str),
        campaigns: &[String; 2],
        total: u64,
        journal: Journal,
    ) -> Self {
        let head = |campaign: &String| {
            format!(
                "POST /api/v1/campaigns/{campaign}/issue HTTP/1.1\r\nHost: {host}\r\n\
                 Authorization: Bearer {client_key}\r\nContent-Type: application/json\r\n\
                 Content-Length: 30\r\nIdempotency-Key: "
            )
        };
        Self {
            tag,
            heads: [head(&campaigns[0]).into_bytes(), head(&campaigns[1]).into_bytes()],
            total,
            journal,
            reader: Reader::new(),
            mix: Mix::Only(0),
            tally: Tally::new(0, 0),
            next: 1,
            repeats: VecDeque::new(),
            seen: vec![false; usize::try_from(total).unwrap_or(0)],
            positions: Positions { total, ..Positions::default() },
        }
    }

    /// What was said of positions in the measured phase.
    pub(crate) fn positions(&self) -> Positions {
        self.positions
    }

    fn render(&self, n: u64, request: &mut Vec<u8>) {
        request.extend_from_slice(&self.heads[usize::from(self.mix != Mix::Only(0))]);
        self.push_key(n, request);
        request.extend_from_slice(b"\r\n\r\n{\"userId\":\"");
        let again = n % AGAIN_ONE_IN == AGAIN_ONE_IN - 1;
        request.extend_from_slice(&user(n - u64::from(again)));
        request.extend_from_slice(b"\"}");
    }

    fn push_key(&self, n: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tag.as_bytes());
        out.push(b'-');
        push_number(n, out);
    }

    fn issued(&mut self, n: u64, intended: u64, said: &Said<'_>, now: u64) {
        if said.outcome == Outcome::Issued && self.mix == Mix::Only(0) {
            self.count(said);
        }
        let amount = i64::try_from(said.position.unwrap_or(0)).unwrap_or(0);
        let ack = Ack { id: said.coupon, outcome: said.outcome.name(), amount };
        if said.outcome == Outcome::Issued {
            let tag = &self.tag;
            self.journal.note(
                |line| {
                    line.extend_from_slice(tag.as_bytes());
                    line.push(b'-');
                    push_number(n, line);
                },
                &ack,
            );
        }
        self.tally.ended(said.outcome, said.code, intended, now);
        if let Some(coupon) = said.coupon
            && n.is_multiple_of(REPEAT_ONE_IN)
        {
            self.repeats.push_back(Repeat { n, coupon, ready: now + REPEAT_AFTER });
        }
    }

    fn count(&mut self, said: &Said<'_>) {
        let position = said.position.unwrap_or(0);
        let at = position.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        match at.and_then(|at| self.seen.get_mut(at)) {
            Some(seen) if !*seen => {
                *seen = true;
                self.positions.told += 1;
            }
            _ => self.positions.doubled += 1,
        }
        if said.remaining != self.total.checked_sub(position) {
            self.positions.lies += 1;
        }
    }

    fn repeated(&mut self, intended: u64, first: &Repeat, said: &Said<'_>, now: u64) {
        let (outcome, code) = if said.outcome == Outcome::Issued {
            (Outcome::Replay, "REPLAY")
        } else {
            (said.outcome, said.code)
        };
        if said.coupon != Some(first.coupon) && said.outcome.is_complete() {
            self.tally.repeats_different += 1;
        }
        self.tally.ended(outcome, code, intended, now);
    }

    fn lost(&mut self, job: &Job, code: &'static str, now: u64) {
        let (Job::Issue { intended, .. } | Job::Repeat { intended, .. }) = *job;
        self.tally.ended(Outcome::Error, code, intended, now);
    }
}

impl Trade for Issues {
    type Job = Job;

    fn begin(&mut self, mix: Mix, tally: Tally) {
        (self.mix, self.tally) = (mix, tally);
        self.repeats.clear();
    }

    fn end(&mut self) -> io::Result<Tally> {
        self.journal.flush()?;
        let seconds = self.tally.seconds();
        if seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
            let completed = self.tally.completed() as f64;
            self.positions.requests_per_second = completed / seconds;
        }
        Ok(std::mem::replace(&mut self.tally, Tally::new(0, 0)))
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn arrival(&mut self, intended: u64, now: u64, request: &mut Vec<u8>) -> Job {
        if let Some(first) = self.repeats.pop_front_if(|repeat| repeat.ready <= now) {
            self.render(first.n, request);
            return Job::Repeat { intended, first };
        }
        let n = self.next;
        self.next += 1;
        self.render(n, request);
        Job::Issue { n, intended }
    }

    fn open(&self) -> usize {
        0
    }

    fn next_due(&self) -> Option<u64> {
        None
    }

    fn follow(&mut self, _: u64, _: &mut Vec<u8>) -> Option<Job> {
        None
    }

    fn answered(&mut self, job: Job, answer: &Answer<'_>, now: u64) {
        let said = self.reader.read(answer);
        match job {
            Job::Issue { n, intended } => {
                if said.outcome.is_complete() {
                    self.tally.accepted.record(now.saturating_sub(intended));
                }
                self.issued(n, intended, &said, now);
            }
            Job::Repeat { intended, first } => self.repeated(intended, &first, &said, now),
        }
    }

    fn broken(&mut self, job: Job, now: u64) {
        self.lost(&job, "CONNECTION_LOST", now);
    }

    fn unanswered(&mut self, job: Job, now: u64) {
        self.lost(&job, "NO_ANSWER", now);
    }

    fn close(&mut self, _: u64) {}
}

/// What an answer says about a coupon.
#[derive(Debug, PartialEq, Eq)]
struct Said<'a> {
    outcome: Outcome,
    coupon: Option<Id>,
    position: Option<u64>,
    remaining: Option<u64>,
    code: &'a str,
}

/// Finds the fields of a coupon or a problem in a body.
#[derive(Debug)]
struct Reader {
    coupon: Finder<'static>,
    position: Finder<'static>,
    remaining: Finder<'static>,
    code: Finder<'static>,
}

impl Reader {
    fn new() -> Self {
        Self {
            coupon: Finder::new("\"cpn_"),
            position: Finder::new("\"position\":"),
            remaining: Finder::new("\"remaining\":"),
            code: Finder::new("\"code\":\""),
        }
    }

    fn read<'a>(&self, answer: &Answer<'a>) -> Said<'a> {
        let body = answer.body;
        if (200..300).contains(&answer.status) {
            return Said {
                outcome: Outcome::Issued,
                coupon: id_after(&self.coupon, body),
                position: number_after(&self.position, body),
                remaining: number_after(&self.remaining, body),
                code: "",
            };
        }
        let code = quoted_after(&self.code, body).unwrap_or("");
        let outcome = Outcome::of_problem(answer.status, code);
        let code = if code.is_empty() { outcome.name() } else { code };
        Said { outcome, coupon: None, position: None, remaining: None, code }
    }
}

fn number_after(finder: &Finder<'_>, body: &[u8]) -> Option<u64> {
    let rest = &body[finder.find(body)? + finder.needle().len()..];
    let end = rest.iter().position(|b| !b.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_issue(act: impl FnOnce(&mut Issues)) -> (Tally, Positions, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acks.csv");
        let journal = Journal::create(&path).unwrap();
        let campaigns = ["cmp_one".to_owned(), "cmp_two".to_owned()];
        let mut issues = Issues::new("t".to_owned(), ("h", "k"), &campaigns, 3, journal);
        issues.begin(Mix::Only(0), Tally::new(0, 10));
        act(&mut issues);
        let tally = issues.end().unwrap();
        (tally, issues.positions(), std::fs::read_to_string(path).unwrap())
    }

    fn answer(status: u16, body: &str) -> Answer<'_> {
        Answer { status, accept_ms: None, settle_ms: None, close: false, body: body.as_bytes() }
    }

    #[test]
    fn a_request_is_whole_and_one_in_a_hundred_asks_again() {
        at_issue(|issues| {
            let mut request = Vec::new();
            issues.next = 98;
            let mut users = Vec::new();
            for _ in 0..3 {
                request.clear();
                issues.arrival(0, 0, &mut request);
                let text = String::from_utf8(request.clone()).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                assert!(head.starts_with("POST /api/v1/campaigns/cmp_one/issue "), "{head}");
                assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                users.push(body["userId"].as_str().unwrap().to_owned());
            }
            assert_eq!(users[0], users[1], "98 and 99");
            assert_ne!(users[1], users[2]);
        });
    }

    #[test]
    fn doubles_and_lies_are_counted() {
        let (tally, positions, journal) = at_issue(|issues| {
            let body = |position: u64, left: u64| {
                format!(
                    "{{\"couponId\":\"cpn_000000000000{position}\",\"position\":{position},\
                     \"remaining\":{left}}}"
                )
            };
            for (position, left) in [(1, 2), (2, 1), (2, 1), (3, 1)] {
                let job = issues.arrival(0, 1, &mut Vec::new());
                issues.answered(job, &answer(201, &body(position, left)), 5);
            }
            let job = issues.arrival(0, 1, &mut Vec::new());
            issues.answered(job, &answer(409, r#"{"code":"COUPON_EXHAUSTED"}"#), 5);
        });
        assert_eq!((tally.of(Outcome::Issued), tally.of(Outcome::SoldOut)), (4, 1));
        assert_eq!((positions.told, positions.doubled, positions.lies), (3, 1, 1));
        assert_eq!(journal.lines().nth(1), Some("t-1,cpn_0000000000001,ISSUED,1"));
    }

    #[test]
    fn another_coupon_for_the_same_key_is_different() {
        let (tally, ..) = at_issue(|issues| {
            let first = Repeat { n: 100, coupon: *b"cpn_0000000000001", ready: 0 };
            let body = r#"{"couponId":"cpn_0000000000001","position":1,"remaining":2}"#;
            issues.answered(Job::Repeat { intended: 0, first }, &answer(201, body), 5);
            let other = body.replace("0001", "0002");
            issues.answered(Job::Repeat { intended: 0, first }, &answer(201, &other), 5);
        });
        assert_eq!((tally.of(Outcome::Replay), tally.repeats_different), (2, 1));
    }
}
