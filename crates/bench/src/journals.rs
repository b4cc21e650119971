//! Journals: many two-legged postings in one request of an operator, and the balances that they must
//! leave behind.
//!
//! Journal `n` is a pure function of the seed and `n`: which accounts, which amounts. So the
//! expected balances are computed after the run, from the numbers of the journals that were
//! acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use memchr::memmem::Finder;
use serde::Serialize;
use serde_json::Value;

use crate::Error;
use crate::control::{Call, Client};
use crate::dice::Dice;
use crate::journal::Journal;
use crate::outcome::Outcome;
use crate::tally::Tally;
use crate::trade::Trade;
use crate::wire::{Answer, id_after, quoted_after};
use crate::world::{Id, Mix, push_number};

/// Accounts of the load.
const ACCOUNTS: u64 = 1_000;
/// The account on one side of every posting of a hot load.
const HOT: &str = "bank";
/// One journal in so many is posted again with the same key.
const REPEAT_ONE_IN: u64 = 1_000;
/// Time between the first answer and its repeat.
const REPEAT_AFTER: u64 = 50_000_000;

/// What journals look like.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    /// Start of every idempotency key of this run.
    pub(crate) tag: String,
    /// Postings of one journal; two entries each.
    pub(crate) postings: u64,
    /// One account on one side of every posting.
    pub(crate) hot: bool,
}

/// One posting: the numbers of its accounts, or none for the hot one, and its amount.
type Posting = (u64, Option<u64>, i64);

impl Shape {
    fn postings(&self, n: u64) -> impl Iterator<Item = Posting> {
        let (mut dice, hot) = (Dice::of(self.seed, n), self.hot);
        (0..self.postings).map(move |_| {
            let debit = dice.below(ACCOUNTS);
            let credit = (debit + 1 + dice.below(ACCOUNTS - 1)) % ACCOUNTS;
            let amount = i64::try_from(dice.below(100_000) + 1).unwrap_or(1);
            (debit, (!hot).then_some(credit), amount)
        })
    }

    fn body(&self, n: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"reason\":\"load test\",\"postings\":[");
        for (at, (debit, credit, amount)) in self.postings(n).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"currency\":\"KRW\",\"legs\":[{\"account\":\"");
            push_account(Some(debit), out);
            out.extend_from_slice(b"\",\"amount\":");
            push_number(amount.unsigned_abs(), out);
            out.extend_from_slice(b"},{\"account\":\"");
            push_account(credit, out);
            out.extend_from_slice(b"\",\"amount\":-");
            push_number(amount.unsigned_abs(), out);
            out.extend_from_slice(b"}]}");
        }
        out.extend_from_slice(b"]}");
    }
}

fn push_account(number: Option<u64>, out: &mut Vec<u8>) {
    let Some(number) = number else { return out.extend_from_slice(HOT.as_bytes()) };
    out.extend_from_slice(b"merchant:bench-");
    push_number(number, out);
    out.extend_from_slice(b":payable");
}

/// What a connection waits for: number and intended start of a journal, and the id that a repeat
/// has to bring.
#[derive(Debug)]
pub(crate) struct Job {
    n: u64,
    intended: u64,
    again: Option<Id>,
}

/// The trade in journals.
#[derive(Debug)]
pub(crate) struct Journals {
    shape: Shape,
    /// Head of a request up to the idempotency key.
    head: Vec<u8>,
    body: Vec<u8>,
    acks: Journal,
    id: Finder<'static>,
    code: Finder<'static>,
    tally: Tally,
    next: u64,
    repeats: VecDeque<(u64, u64, Id)>,
    /// Numbers of the journals that the server has acknowledged, in all phases.
    posted: Vec<u64>,
    /// Journals of which the client does not know whether they stand.
    lost: u64,
}

impl Journals {
    pub(crate) fn new(shape: Shape, host: &str, operator_key: &str, acks: Journal) -> Self {
        let head = format!(
            "POST /api/v1/ledger/journals HTTP/1.1\r\nHost: {host}\r\n\
             Authorization: Bearer {operator_key}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: "
        );
        Self {
            shape,
            head: head.into_bytes(),
            body: Vec::with_capacity(128 << 10),
            acks,
            id: Finder::new("\"jnl_"),
            code: Finder::new("\"code\":\""),
            tally: Tally::new(0, 0),
            next: 1,
            repeats: VecDeque::new(),
            posted: Vec::new(),
            lost: 0,
        }
    }

    fn render(&mut self, n: u64, request: &mut Vec<u8>) {
        self.body.clear();
        self.shape.body(n, &mut self.body);
        request.extend_from_slice(&self.head);
        request.extend_from_slice(self.shape.tag.as_bytes());
        request.push(b'-');
        push_number(n, request);
        request.extend_from_slice(b"\r\nContent-Length: ");
        push_number(self.body.len() as u64, request);
        request.extend_from_slice(b"\r\n\r\n");
        request.extend_from_slice(&self.body);
    }

    fn lost(&mut self, job: &Job, code: &str, now: u64) {
        self.lost += u64::from(job.again.is_none());
        self.tally.ended(Outcome::Error, code, job.intended, now);
    }

    /// Compares every account of the load with what was posted to it.
    pub(crate) fn check(&self, client: &mut Client) -> Result<Balances, Error> {
        let answer = client.expect(&Call::get("/api/v1/ledger/trial-balance"))?;
        let trial: Value = serde_json::from_slice(&answer)
            .map_err(|error| Error::Http(format!("the trial balance is no JSON: {error}")))?;
        let mut expected: BTreeMap<Option<u64>, [i64; 2]> = BTreeMap::new();
        for (debit, credit, amount) in self.posted.iter().flat_map(|&n| self.shape.postings(n)) {
            expected.entry(Some(debit)).or_default()[0] += amount;
            expected.entry(credit).or_default()[1] += amount;
        }
        let named = |(account, sums): (Option<u64>, [i64; 2])| {
            let mut name = Vec::new();
            push_account(account, &mut name);
            (String::from_utf8_lossy(&name).into_owned(), sums)
        };
        let expected: BTreeMap<String, [i64; 2]> = expected.into_iter().map(named).collect();
        let differing = differing(&trial, &expected);
        Ok(Balances {
            balanced: trial["balanced"].as_bool(),
            accounts: expected.len() as u64,
            differing,
            unanswered: self.lost,
        })
    }
}

/// Accounts whose sums in the trial balance are not the expected ones.
fn differing(trial: &Value, expected: &BTreeMap<String, [i64; 2]>) -> u64 {
    let mut rest = expected.clone();
    for account in trial["accounts"].as_array().into_iter().flatten() {
        let sums = [account["debits"].as_i64(), account["credits"].as_i64()];
        let code = account["code"].as_str().unwrap_or_default();
        if rest.get(code).is_some_and(|wanted| sums == wanted.map(Some)) {
            rest.remove(code);
        }
    }
    rest.len() as u64
}

/// The accounts after the run, against what was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Balances {
    /// What the server says about the sum of all accounts.
    pub balanced: Option<bool>,
    /// Accounts that were posted to.
    pub accounts: u64,
    /// Those whose debits or credits are not the sum of the acknowledged postings.
    pub differing: u64,
    /// Journals without an answer: with any of them, `differing` may be no fault.
    pub unanswered: u64,
}

impl Trade for Journals {
    type Job = Job;

    fn begin(&mut self, _: Mix, tally: Tally) {
        self.tally = tally;
        self.repeats.clear();
    }

    fn end(&mut self) -> io::Result<Tally> {
        self.acks.flush()?;
        Ok(std::mem::replace(&mut self.tally, Tally::new(0, 0)))
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn arrival(&mut self, intended: u64, now: u64, request: &mut Vec<u8>) -> Job {
        if let Some((_, n, id)) = self.repeats.pop_front_if(|(ready, ..)| *ready <= now) {
            self.render(n, request);
            return Job { n, intended, again: Some(id) };
        }
        let n = self.next;
        self.next += 1;
        self.render(n, request);
        Job { n, intended, again: None }
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
        let Job { n, intended, again } = job;
        let id = id_after(&self.id, answer.body);
        if !matches!((answer.status, id), (200 | 201, Some(_))) {
            let code = quoted_after(&self.code, answer.body).unwrap_or("ERROR");
            let outcome = Outcome::of_problem(answer.status, code);
            self.lost += u64::from(outcome == Outcome::Error);
            return self.tally.ended(outcome, code, intended, now);
        }
        if let Some(first) = again {
            self.tally.repeats_different += u64::from(id != Some(first));
            return self.tally.ended(Outcome::Replay, "REPLAY", intended, now);
        }
        self.posted.push(n);
        self.tally.accepted.record(now.saturating_sub(intended));
        self.tally.ended(Outcome::Posted, "", intended, now);
        if let Some(id) = id
            && Dice::of(self.shape.seed ^ 0x5EED, n).below(REPEAT_ONE_IN) == 0
        {
            self.repeats.push_back((now + REPEAT_AFTER, n, id));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(hot: bool) -> Shape {
        Shape { seed: 1, tag: "t".to_owned(), postings: 500, hot }
    }

    #[test]
    fn every_posting_balances_and_names_two_accounts() {
        for hot in [false, true] {
            let mut body = Vec::new();
            shape(hot).body(3, &mut body);
            let body: Value = serde_json::from_slice(&body).unwrap();
            let postings = body["postings"].as_array().unwrap();
            assert_eq!(postings.len(), 500);
            for posting in postings {
                assert_eq!(posting["legs"].as_array().unwrap().len(), 2);
                let [debit, credit] = [&posting["legs"][0], &posting["legs"][1]];
                let sum = debit["amount"].as_i64().unwrap() + credit["amount"].as_i64().unwrap();
                assert_eq!(sum, 0);
                assert_ne!(debit["account"], credit["account"]);
                assert_eq!(credit["account"] == HOT, hot);
            }
        }
    }

    #[test]
    fn an_account_that_differs_is_counted() {
        let expected = BTreeMap::from([("a".to_owned(), [5, 0]), ("b".to_owned(), [0, 5])]);
        let account = |code: &str, debits: i64, credits: i64| json!({ "code": code, "debits": debits, "credits": credits });
        let trial = |b| json!({ "accounts": [account("a", 5, 0), account("c", 1, 1), b] });
        assert_eq!(differing(&trial(account("b", 0, 5)), &expected), 0);
        assert_eq!(differing(&trial(account("b", 0, 6)), &expected), 1);
        assert_eq!(differing(&json!({}), &expected), 2);
    }
}
