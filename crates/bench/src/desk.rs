//! The desk: what each answer means for the counts, the journal, repeats and look-ups.

use std::collections::VecDeque;
use std::io;

use crate::journal::{Ack, Journal};
use crate::outcome::Outcome;
use crate::tally::Tally;
use crate::trade::Trade;
use crate::wire::{Answer, Reader, Said};
use crate::world::{Id, Mix, World};

/// Time between the first answer and its repeat.
const REPEAT_AFTER: u64 = 50_000_000;
/// Time between two look-ups of one open order.
const LOOK_EVERY: u64 = 250_000_000;

/// What a connection waits for.
#[derive(Debug)]
pub(crate) enum Job {
    /// A new order.
    Place(Arrival),
    /// A request for the second time, and what was answered first.
    Repeat(Arrival, Repeat),
    /// Whether an order that was open is settled now.
    Look(Open),
}

/// One arrival and the request sent for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    n: u64,
    intended: u64,
    sent: u64,
    total: i64,
}

/// A settled answer that is going to be asked for again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repeat {
    n: u64,
    order: Id,
    outcome: Outcome,
    ready: u64,
}

/// An order that was accepted and not settled yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    arrival: Arrival,
    order: Id,
    due: u64,
}

/// Takes answers; hands out the next thing to send.
#[derive(Debug)]
pub(crate) struct Desk {
    world: World,
    journal: Journal,
    reader: Reader,
    mix: Mix,
    tally: Tally,
    next: u64,
    repeats: VecDeque<Repeat>,
    open: VecDeque<Open>,
}

impl Desk {
    pub(crate) fn new(world: World, journal: Journal) -> Self {
        Self {
            world,
            journal,
            reader: Reader::new(),
            mix: Mix::Spread,
            tally: Tally::new(0, 0),
            next: 1,
            repeats: VecDeque::new(),
            open: VecDeque::new(),
        }
    }
}

impl Trade for Desk {
    type Job = Job;

    fn begin(&mut self, mix: Mix, tally: Tally) {
        (self.mix, self.tally) = (mix, tally);
        self.repeats.clear();
    }

    fn end(&mut self) -> io::Result<Tally> {
        self.journal.flush()?;
        Ok(std::mem::replace(&mut self.tally, Tally::new(0, 0)))
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn arrival(&mut self, intended: u64, now: u64, request: &mut Vec<u8>) -> Job {
        let ready = |repeat: &mut Repeat| repeat.ready <= now;
        let repeat = self.repeats.pop_front_if(ready);
        let n = repeat.map_or(self.next, |first| first.n);
        let total = self.world.place(self.mix, n, request);
        let arrival = Arrival { n, intended, sent: now, total };
        if let Some(first) = repeat {
            return Job::Repeat(arrival, first);
        }
        self.next += 1;
        self.tally.with_coupon += u64::from(self.world.coupon(self.mix, n).is_some());
        self.tally.with_points += u64::from(self.world.points(self.mix, n).is_some());
        Job::Place(arrival)
    }

    /// Orders that are accepted and not settled.
    fn open(&self) -> usize {
        self.open.len()
    }

    fn next_due(&self) -> Option<u64> {
        self.open.front().map(|open| open.due)
    }

    /// The next look-up.
    fn follow(&mut self, now: u64, request: &mut Vec<u8>) -> Option<Job> {
        let open = self.open.pop_front_if(|open| open.due <= now)?;
        self.world.look(&open.order, request);
        Some(Job::Look(open))
    }

    fn answered(&mut self, job: Job, answer: &Answer<'_>, now: u64) {
        let said = self.reader.read(answer);
        match job {
            Job::Place(arrival) => {
                self.accepted(&arrival, answer, said.outcome, now);
                match said.order {
                    Some(order) if said.outcome == Outcome::Pending => {
                        self.note(&arrival, &said);
                        self.open.push_back(Open { arrival, order, due: now + LOOK_EVERY });
                    }
                    _ => self.settled(&arrival, &said, now),
                }
            }
            Job::Repeat(arrival, first) => self.repeated(&arrival, &first, &said, now),
            Job::Look(open) if answer.status == 200 && said.outcome != Outcome::Pending => {
                let said = Said { order: Some(open.order), ..said };
                self.settled(&open.arrival, &said, now);
            }
            Job::Look(open) => self.open.push_back(Open { due: now + LOOK_EVERY, ..open }),
        }
    }

    fn broken(&mut self, job: Job, now: u64) {
        match job {
            Job::Place(arrival) | Job::Repeat(arrival, _) => {
                self.settled(&arrival, &failure("CONNECTION_LOST"), now);
            }
            Job::Look(open) => self.open.push_back(Open { due: now + LOOK_EVERY, ..open }),
        }
    }

    fn unanswered(&mut self, job: Job, now: u64) {
        match job {
            Job::Place(arrival) | Job::Repeat(arrival, _) => {
                self.settled(&arrival, &failure("NO_ANSWER"), now);
            }
            Job::Look(open) => self.open.push_back(open),
        }
    }

    /// What is still open stays PENDING.
    fn close(&mut self, now: u64) {
        while let Some(open) = self.open.pop_front() {
            self.tally.ended(Outcome::Pending, "PENDING", open.arrival.intended, now);
        }
    }
}

impl Desk {
    /// accepted = total - (settle - accept); when not settled: lateness + accept.
    fn accepted(&mut self, arrival: &Arrival, answer: &Answer<'_>, outcome: Outcome, now: u64) {
        if !outcome.is_complete() && outcome != Outcome::Pending {
            return;
        }
        let total = now.saturating_sub(arrival.intended);
        let accepted = match (answer.accept_ms, answer.settle_ms) {
            (Some(_), Some(_)) => total.saturating_sub(answer.settling()),
            (Some(accept), None) if outcome == Outcome::Pending => {
                arrival.sent.saturating_sub(arrival.intended) + from_ms(accept)
            }
            _ => total,
        };
        self.tally.accepted.record(accepted);
    }

    /// The end of an order, as far as its client is concerned.
    fn settled(&mut self, arrival: &Arrival, said: &Said<'_>, now: u64) {
        let Arrival { n, intended, sent, total } = *arrival;
        self.note(arrival, said);
        if said.outcome == Outcome::Sold && said.total.is_some_and(|sum| sum != total) {
            self.tally.ended(Outcome::Error, "WRONG_TOTAL", intended, now);
            return;
        }
        self.tally.ended(said.outcome, said.code, intended, now);
        if said.outcome.is_complete() {
            self.tally.served(intended, sent, now);
        }
        if let Some(order) = said.order
            && said.outcome.is_complete()
            && self.world.repeats(n)
        {
            let outcome = said.outcome;
            self.repeats.push_back(Repeat { n, order, outcome, ready: now + REPEAT_AFTER });
        }
    }

    /// The first answer has to come again: same order, same outcome.
    fn repeated(&mut self, arrival: &Arrival, first: &Repeat, said: &Said<'_>, now: u64) {
        self.note(arrival, said);
        if !said.outcome.is_complete() {
            self.tally.ended(said.outcome, said.code, arrival.intended, now);
            return;
        }
        if said.order != Some(first.order) || said.outcome != first.outcome {
            self.tally.repeats_different += 1;
        }
        self.tally.ended(Outcome::Replay, "REPLAY", arrival.intended, now);
    }

    fn note(&mut self, arrival: &Arrival, said: &Said<'_>) {
        let amount = match said.outcome {
            Outcome::Sold => said.total.unwrap_or(arrival.total),
            _ => 0,
        };
        let ack = Ack { id: said.order, outcome: said.outcome.name(), amount };
        self.journal.note(|line| self.world.push_key(arrival.n, line), &ack);
    }
}

fn failure(code: &'static str) -> Said<'static> {
    Said { outcome: Outcome::Error, order: None, total: None, code }
}

/// Milliseconds of a header as nanoseconds; negative ones are none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative and huge values saturate"
)]
fn from_ms(ms: f64) -> u64 {
    (ms.max(0.0) * 1e6) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::purse::Purse;
    use crate::world::{Door, Goods, Product};

    const ORDER: Id = *b"ord_0000000000001";

    fn said(outcome: Outcome, total: Option<i64>) -> Said<'static> {
        Said { outcome, order: Some(ORDER), total, code: outcome.name() }
    }

    /// Runs `act` at a desk; gives the counts and the journal.
    fn at_desk(act: impl FnOnce(&mut Desk)) -> (Tally, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acks.csv");
        let product = Product { sku: *b"sku_0000000000001", price: 1_000 };
        let door = Door { host: "h", client_key: "k" };
        let goods = Goods { products: vec![product], purse: Purse::empty(100), passes: None };
        let world = World::new(1, "t".to_owned(), goods, &door);
        let mut desk = Desk::new(world, Journal::create(&path).unwrap());
        desk.begin(Mix::Only(0), Tally::new(0, 10));
        desk.next = 5;
        act(&mut desk);
        let tally = desk.end().unwrap();
        (tally, std::fs::read_to_string(path).unwrap())
    }

    fn arrival(desk: &mut Desk) -> Arrival {
        match desk.arrival(0, 1, &mut Vec::new()) {
            Job::Place(arrival) => arrival,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn another_total_than_expected_is_an_error_and_the_journal_has_what_was_said() {
        let (tally, journal) = at_desk(|desk| {
            let arrival = arrival(desk);
            desk.settled(&arrival, &said(Outcome::Sold, Some(999)), 20);
        });
        assert_eq!((tally.of(Outcome::Error), tally.of(Outcome::Sold)), (1, 0));
        assert_eq!(tally.codes["WRONG_TOTAL"], 1);
        assert_eq!(journal.lines().nth(1), Some("t-5,ord_0000000000001,SOLD,999"));
    }

    #[test]
    fn what_never_settles_is_pending_and_what_is_never_answered_an_error() {
        let (tally, journal) = at_desk(|desk| {
            let open = arrival(desk);
            desk.open.push_back(Open { arrival: open, order: ORDER, due: 0 });
            let silent = Job::Place(arrival(desk));
            desk.unanswered(silent, 30);
            desk.close(30);
        });
        assert_eq!((tally.of(Outcome::Pending), tally.of(Outcome::Error)), (1, 1));
        assert_eq!(tally.codes["NO_ANSWER"], 1);
        assert_eq!(tally.completed(), 0);
        assert_eq!(journal.lines().nth(1), Some("t-6,,ERROR,0"));
    }

    #[test]
    fn a_repeat_with_another_outcome_is_different() {
        let first = Repeat { n: 5, order: ORDER, outcome: Outcome::Declined, ready: 0 };
        let (tally, _) = at_desk(|desk| {
            let arrival = arrival(desk);
            desk.repeated(&arrival, &first, &said(Outcome::Declined, None), 20);
            desk.repeated(&arrival, &first, &said(Outcome::Sold, None), 20);
        });
        assert_eq!((tally.of(Outcome::Replay), tally.repeats_different), (2, 1));
    }
}
