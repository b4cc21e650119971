//! A memory of eight entries, blocks of four records: nobody can tell it from one without bounds.

use std::fs::{self, File};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{Limits, Memory};
use crate::{
    gateway::{Currency, Op, Request, Said},
    log::{Log, OpenError, Record, lock, scan_file},
    simulator::{
        book::{Book, Verdict},
        code::Code,
    },
};

const TINY: Limits = Limits { recent: 8, recalled: 4, block: 4, late: 3 };

/// What is asked, and what chance thinks of it.
type Ask = (Request, Verdict);

#[derive(Debug, Clone)]
enum Step {
    /// Requests that are stored in one write.
    Batch(Vec<Ask>),
    /// Requests whose write fails.
    Fail(Vec<Ask>),
    Restart,
}

/// The gateway as it is, beside one that forgets nothing and never restarts.
struct Pair {
    folder: TempDir,
    running: Option<(Memory, Log)>,
    truth: Book,
    written: Log,
}

fn start(folder: &TempDir) -> (Memory, Log) {
    let file = lock(&folder.path().join("bounded.log")).unwrap();
    let (memory, end) = Memory::read(&file, TINY).unwrap();
    (memory, Log::resume(file, end, |file| Box::new(file)).unwrap())
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Some(start(&folder));
        let written = Log::open(&folder.path().join("truth.log"), &mut |_| true).unwrap();
        Self { folder, running, truth: Book::default(), written }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        let mut bytes = fs::read(self.folder.path().join(name)).unwrap();
        bytes.truncate(usize::try_from(self.written.len()).unwrap());
        bytes
    }

    fn run(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Batch(asks) => self.batch(asks, true),
                Step::Fail(asks) => self.batch(asks, false),
                Step::Restart => {
                    self.running = None;
                    self.running = Some(start(&self.folder));
                }
            }
            assert_eq!(self.bytes("bounded.log"), self.bytes("truth.log"), "after {step:?}");
        }
    }

    fn batch(&mut self, asks: &[Ask], works: bool) {
        let mut records: Vec<Record> = asks.iter().filter_map(|ask| self.ask(ask)).collect();
        let (memory, log) = self.running.as_mut().unwrap();
        if works {
            self.written.append(&mut records.clone(), 0).unwrap();
            log.append(&mut records, 0).unwrap();
            memory.stored(&records);
        } else {
            records.iter().rev().for_each(|record| self.truth.undo(record));
            records.iter().rev().for_each(|record| memory.undo(record));
            memory.stored(&[]);
        }
        let (recent, recalled, _) = memory.held();
        assert!(recent <= TINY.recent && recalled <= TINY.recalled, "{recent}, {recalled}");
    }

    fn ask(&mut self, (request, verdict): &Ask) -> Option<Record> {
        let (memory, log) = self.running.as_mut().unwrap();
        let knows = memory.knows(log.file(), request).unwrap();
        assert_eq!(knows, self.truth.knows(request), "{request:?}");
        let decision = memory.decide(log.file(), request, *verdict).unwrap();
        assert_eq!(decision, self.truth.decide(request, *verdict), "{request:?}");
        if let Some(record) = &decision.1 {
            assert!(self.truth.apply(record));
        }
        decision.1
    }

    /// Asks about everything that was ever asked about, and counts what is known.
    fn ask_again(&mut self, steps: &[Step]) {
        let mut payments: Vec<i64> = steps.iter().flat_map(asks).map(|a| a.0.payment).collect();
        payments.sort_unstable();
        payments.dedup();
        let mut known = 0;
        for &payment in &payments {
            for no in 0..4 {
                self.ask(&inquiry(payment, no));
            }
            let (said, _) = self.truth.decide(&inquiry(payment, 0).0, Verdict::default());
            known += u64::from(said != Said::NotFound);
        }
        assert_eq!(self.running.as_ref().unwrap().0.payments(), known);
    }
}

fn asks(step: &Step) -> &[Ask] {
    match step {
        Step::Batch(asks) | Step::Fail(asks) => asks,
        Step::Restart => &[],
    }
}

fn inquiry(payment: i64, no: u32) -> Ask {
    (request(Op::Inquire, payment, no, 0), Verdict::default())
}

fn request(op: Op, payment: i64, no: u32, amount: i64) -> Request {
    Request { payment, op, no, amount, currency: Currency::KRW, token: "tok_visa".into() }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Charge),
        4 => Just(Op::Authorize),
        3 => Just(Op::Capture),
        1 => Just(Op::Void),
        4 => Just(Op::Refund),
        2 => Just(Op::Inquire),
        1 => Just(Op::Fence),
    ]
}

/// How far the request's payment lies behind the newest: mostly new ones, then any older one, and a
/// few far from all others.
fn any_age() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0_i64..2, 4 => 2_i64..60, 1 => Just(i64::MAX), 1 => -40_i64..0]
}

prop_compose! {
    fn any_ask()(
        op in any_op(), age in any_age(), no in 0_u32..4, amount in 0_i64..60,
        chance in 0_u32..20, dollars in 0_u32..20,
    ) -> (i64, Ask) {
        let no = if matches!(op, Op::Refund | Op::Inquire | Op::Fence) { no } else { 0 };
        let verdict = Verdict {
            decline: (chance == 0).then_some(Code::CardDeclined),
            only_authorize: chance == 1,
            refuse_refund: chance == 2,
            bar_refunds: chance == 3,
        };
        let request = request(op, 0, no, amount);
        let currency = if dollars == 0 { Currency(*b"USD") } else { request.currency };
        (age, (Request { currency, ..request }, verdict))
    }
}

fn any_step() -> impl Strategy<Value = (u32, Vec<(i64, Ask)>)> {
    (0_u32..8, prop::collection::vec(any_ask(), 0..6))
}

/// Payment ids grow with the requests, by one for each that has no age.
fn plan(drawn: Vec<(u32, Vec<(i64, Ask)>)>) -> Vec<Step> {
    let mut newest = 0_i64;
    let mut place = |(age, (request, verdict)): (i64, Ask)| {
        newest += i64::from(age == 0);
        (Request { payment: newest.wrapping_sub(age), ..request }, verdict)
    };
    let step = |(kind, asks): (u32, Vec<_>)| match (kind, asks.into_iter().map(&mut place)) {
        (0, _) => Step::Restart,
        (1, asks) => Step::Fail(asks.collect()),
        (_, asks) => Step::Batch(asks.collect()),
    };
    drawn.into_iter().map(step).collect()
}

/// How an unbounded book reads the log.
fn read_unbounded(file: &File) -> String {
    let mut book = Book::default();
    outcome(scan_file(file, &mut |record| book.apply(&record)).map(|end| end.offset))
}

fn outcome(result: Result<u64, OpenError>) -> String {
    result.map_or_else(|e| e.to_string(), |offset| format!("ends at {offset}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Same answers, same log, whatever was forgotten, failed to be written or restarted.
    #[test]
    fn a_bounded_memory_answers_as_an_unbounded_one(
        drawn in prop::collection::vec(any_step(), 1..60),
    ) {
        let (steps, mut pair) = (plan(drawn), Pair::new());
        pair.run(&steps);
        pair.ask_again(&steps);
        pair.run(&[Step::Restart]);
        pair.ask_again(&steps);
    }

    /// A record too many, or one missing: found at the same place as with everything in memory.
    #[test]
    fn a_contradiction_is_found_however_old_the_payment(
        drawn in prop::collection::vec(any_step(), 10..60),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        removes in any::<bool>(),
    ) {
        let mut pair = Pair::new();
        pair.run(&plan(drawn));
        let mut records = Vec::new();
        let keep = &mut |record| { records.push(record); true };
        scan_file(&File::open(pair.folder.path().join("truth.log")).unwrap(), keep).unwrap();
        prop_assume!(!records.is_empty());
        if removes {
            records.remove(from.index(records.len()));
        } else {
            records.insert(to.index(records.len() + 1), records[from.index(records.len())]);
        }
        let path = pair.folder.path().join("bad.log");
        Log::open(&path, &mut |_| true).unwrap().append(&mut records, 0).unwrap();
        let file = || File::open(&path).unwrap();
        let bounded = Memory::read(&file(), TINY).map(|(_, end)| end.offset);
        prop_assert_eq!(outcome(bounded), read_unbounded(&file()));
    }
}

/// Charges come in order, each is asked about once more soon after, and refunds of the latest are
/// among them: the file is empty, so that any look at it would fail.
#[test]
fn a_million_payments_take_the_room_of_a_thousand() {
    let limits = Limits { recent: 1_000, ..Limits::default() };
    let mut memory = Memory::new(limits);
    let unread = tempfile::tempfile().unwrap();
    let mut records = Vec::new();
    for payment in 0..1_000_000 {
        let charge = request(Op::Charge, payment, 0, 100);
        records.extend(memory.decide(&unread, &charge, Verdict::default()).unwrap().1);
        if payment % 100 == 99 {
            let refund = request(Op::Refund, payment - 50, 1, 10);
            records.extend(memory.decide(&unread, &refund, Verdict::default()).unwrap().1);
            let inquiry = request(Op::Inquire, payment - 300, 0, 0);
            memory.decide(&unread, &inquiry, Verdict::default()).unwrap();
            memory.stored(&records);
            records.clear();
            let (recent, recalled, _) = memory.held();
            assert!(recent <= 1_000 && recalled == 0, "{recent}, {recalled}");
        }
    }
    assert_eq!(memory.payments(), 1_000_000);
    let (_, _, index) = memory.held();
    assert!(index < 128 << 10, "{index} bytes for a log of 40 MB");
    let forgotten = request(Op::Inquire, 5, 0, 0);
    assert!(memory.decide(&unread, &forgotten, Verdict::default()).is_err(), "it is in the log");
}
