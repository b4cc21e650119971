//! Promises of every consumer, shown with one that only writes down what it was given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Fault, Store, WritePlan};
use jangbu_kernel::Time;
use jangbu_services::consumer::{
    BESTSELLER, Consumer, Delivered, Member, Running, Settled, Source, TRIES, Terms, Verb, Work,
};
use jangbu_services::projections::{Keep, Projections};
use jangbu_store::{Memory, On};
use parking_lot::Mutex;

use crate::parking::{healthy, orders, queries, sold};
use crate::rig::{Bench, Hand, START};

/// What a witness does with the events of a key.
type Verdict = fn(&Delivered) -> Result<(), Fault>;

/// Writes down the events that were committed, and the attempts at others.
struct Witness {
    verdict: Verdict,
    open: Vec<(i64, i64)>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// Key and number, in the order of the commits.
    taken: Vec<(i64, i64)>,
    /// Keys of events that were refused.
    refused: Vec<i64>,
}

impl Consumer for Witness {
    fn number(&self) -> i64 {
        BESTSELLER
    }

    fn wants(&self, topic: &str) -> bool {
        topic.starts_with("order.")
    }

    fn load(&mut self, _store: &mut dyn Store) -> Result<(), Fault> {
        self.open.clear();
        Ok(())
    }

    fn take(&mut self, event: &Delivered, _plan: &mut WritePlan) -> Result<i64, Fault> {
        if let Err(fault) = (self.verdict)(event) {
            self.seen.lock().refused.push(event.key);
            return Err(fault);
        }
        self.open.push((event.key, event.seq));
        Ok(0)
    }

    fn finish(&mut self, _work: &mut Work<'_>) -> Result<(), Fault> {
        self.seen.lock().taken.append(&mut self.open);
        Ok(())
    }
}

fn witness(verdict: Verdict, source: Option<Box<dyn Source>>) -> (Member, Arc<Mutex<Seen>>) {
    let seen = Arc::<Mutex<Seen>>::default();
    let witness = Witness { verdict, open: Vec::new(), seen: Arc::clone(&seen) };
    (Member { consumer: Box::new(witness), source }, seen)
}

fn start(bench: &Bench, derived: &Memory, members: Vec<Member>) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(Hand::at(START));
    Running::start(&bench.memory, Arc::new(derived.clone()), Terms::alone(clock, None), members)
        .unwrap()
}

fn settle(running: &Running, consumer: i64, key: i64, verb: Verb) -> Settled {
    let (tell, told) = channel();
    running.handle().settle(consumer, key, verb, Box::new(move |done| tell.send(done).unwrap()));
    told.recv_timeout(Duration::from_secs(30)).unwrap().unwrap()
}

fn not_11(event: &Delivered) -> Result<(), Fault> {
    if event.key == 11 { Err(Fault::Item("not this one".to_owned())) } else { Ok(()) }
}

fn not_yet_11(event: &Delivered) -> Result<(), Fault> {
    if event.key == 11 { Err(Fault::Transient("not yet".to_owned())) } else { Ok(()) }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several witnesses, others of which refuse")]
fn any(_: &Delivered) -> Result<(), Fault> {
    Ok(())
}

fn keys(events: &[(i64, i64)]) -> BTreeSet<i64> {
    events.iter().map(|(key, _)| *key).collect()
}

#[test]
fn a_consumer_that_parks_a_key_holds_up_no_other_consumer() {
    let bench = sold();
    let derived = Memory::new();
    let (member, seen) = witness(not_11, None);
    let running = start(&bench, &derived, vec![Projections::member(Keep::default()), member]);
    let handle = running.handle();
    running.stop().unwrap();
    let queries = queries(&bench, &derived);
    assert_eq!(orders(&queries), [12, 11, 10]);
    assert_eq!(keys(&seen.lock().taken), BTreeSet::from([10, 12]));
    let parked: Vec<_> = handle.members().map(|(_, progress)| progress.parked()).collect();
    assert_eq!(parked, [0, 1]);
    let listed = queries.parked(None, None, 10).unwrap();
    assert_eq!(listed.iter().map(|p| (p.consumer, p.key)).collect::<Vec<_>>(), [(BESTSELLER, 11)]);
    assert_eq!(handle.floor(), listed[0].seq - 1, "the slowest consumer decides what is trimmed");
    assert!(queries.parked(Some(1), None, 10).unwrap().is_empty());
    assert!(queries.parked(None, Some((BESTSELLER, 11)), 10).unwrap().is_empty());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "its thread keeps its own time")]
fn a_fault_that_may_pass_is_tried_again_and_parks_its_key_in_the_end() {
    let bench = sold();
    let derived = Memory::new();
    let (member, seen) = witness(not_yet_11, None);
    let running = start(&bench, &derived, vec![member]);
    let handle = running.handle();
    while handle.progress().parked() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.stop().unwrap();
    let refused = seen.lock().refused.len();
    assert!(refused >= TRIES as usize, "{refused}");
    assert_eq!(keys(&seen.lock().taken), BTreeSet::from([10, 12]));
}

#[test]
fn a_dry_run_says_what_a_replay_does_and_leaves_nothing() {
    let bench = sold();
    let healthy = healthy(&bench);
    let (seq, repair) = crate::parking::damage(&bench, "order.placed", 11);
    let derived = Memory::new();
    let dump = || crate::parking::rows(&derived);
    start(&bench, &derived, vec![Projections::member(Keep::default())]).stop().unwrap();
    let before = dump();
    let running = start(&bench, &derived, vec![Projections::member(Keep::default())]);
    let broken = settle(&running, 1, 11, Verb::DryRun);
    let left = broken.left.unwrap();
    assert_eq!((broken.taken, left.seq, left.tries), (0, seq, 2));
    crate::rig::same_rows(&before, &dump());
    repair(&bench);
    let dry = settle(&running, 1, 11, Verb::DryRun);
    crate::rig::same_rows(&before, &dump());
    assert_eq!(running.handle().progress().parked(), 1);
    let done = settle(&running, 1, 11, Verb::Replay);
    assert_eq!(done, dry);
    assert!(done.taken > 1 && done.left.is_none(), "{done:?}");
    running.stop().unwrap();
    crate::rig::same_rows(&healthy, &dump());
}

/// Gives the same events again and again, those of two streams in turn, until all were taken in and
/// then once more from the beginning.
struct Again {
    events: Vec<Delivered>,
    rounds: usize,
}

impl Source for Again {
    fn next(&mut self, most: u32) -> Result<Arc<[Delivered]>, Fault> {
        if self.rounds == 0 {
            return Ok(Arc::default());
        }
        self.rounds -= 1;
        Ok(self.events.iter().take(most as usize).cloned().collect())
    }

    fn taken(&mut self, _place: &[(i32, i64)]) {}
}

#[test]
fn a_whole_topic_that_comes_again_has_one_effect() {
    let bench = sold();
    let derived = Memory::new();
    let event = |partition, seq, key| Delivered {
        partition,
        seq,
        at: Time(START),
        topic: "order.completed".into(),
        key,
        version: 1,
        correlation: None,
        trace: None,
        payload: Vec::new(),
    };
    let events =
        vec![event(1, 4, 10), event(2, 3, 11), event(1, 4, 10), event(1, 9, 12), event(2, 5, 11)];
    let wanted = [(10, 4), (11, 3), (12, 9), (11, 5)];
    for fault in [None, Some(Fault::Transient("busy".to_owned()))] {
        let derived = if fault.is_some() { Memory::new() } else { derived.clone() };
        if let Some(fault) = fault {
            derived.faults().fail_after(0, On::Commit, 1, fault);
        }
        for _ in 0..2 {
            let source = Again { events: events.clone(), rounds: 4 };
            let (member, seen) = witness(any, Some(Box::new(source)));
            let running = start(&bench, &derived, vec![member]);
            let handle = running.handle();
            running.stop().unwrap();
            assert_eq!(handle.floor(), i64::MAX, "it needs nothing of the outbox");
            let taken = seen.lock().taken.clone();
            if taken.is_empty() {
                continue; // the second time: all of it was there
            }
            let first = &taken[taken.len() - wanted.len()..];
            assert_eq!(first, wanted);
        }
    }
}
