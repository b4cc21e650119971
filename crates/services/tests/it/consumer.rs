//! Promises of every consumer, shown with one that only writes down what it was given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Backend, By, Fault, Read, Store, WritePlan};
use jangbu_kernel::time::Span;
use jangbu_services::consumer::{
    BESTSELLER, Consumer, Delivered, INBOX, Member, OVERDUE, Running, Settled, Source, TRIES,
    Terms, Verb, Work,
};
use jangbu_services::events::{Row, Topic};
use jangbu_services::projections::{Keep, Projections};
use jangbu_store::{Memory, On, dump};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

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
        topic.starts_with("order.") && Topic::of(topic).is_some()
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
fn all_of_them(_: &Delivered) -> Result<(), Fault> {
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

/// Gives the same events again and again. Each time they stand further behind in their topics: a relay that
/// has died publishes again what it did not know to be there.
struct Again {
    events: Vec<Delivered>,
    rounds: i64,
}

/// More rounds than anybody gives.
const ROUNDS: i64 = 10;

impl Source for Again {
    fn next(&mut self, most: u32) -> Result<Arc<[Delivered]>, Fault> {
        if self.rounds == 0 {
            return Ok(Arc::default());
        }
        self.rounds -= 1;
        let behind = |event: &Delivered| event.offset + 1_000 * (ROUNDS - self.rounds);
        let again = |event: &Delivered| Delivered { offset: behind(event), ..event.clone() };
        Ok(self.events.iter().take(most as usize).map(again).collect())
    }

    fn taken(&mut self, _place: &[(i32, i64)]) {}
}

#[test]
fn a_whole_topic_that_comes_again_has_one_effect() {
    let bench = sold();
    let all = published(&bench);
    let events: Vec<_> = [1, 0, 1, 3, 2].iter().map(|at: &usize| all[*at].clone()).collect();
    let wanted = [1, 0, 3, 2].map(|at: usize| (all[at].key, all[at].seq));
    for faults in 0..2 {
        let (derived, mut taken) = (Memory::new(), Vec::new());
        derived.faults().fail(On::Commit, faults, Fault::Transient("busy".to_owned()));
        for _ in 0..2 {
            let source = Again { events: events.clone(), rounds: 4 };
            let (member, seen) = witness(all_of_them, Some(Box::new(source)));
            start(&bench, &derived, vec![member]).stop().unwrap();
            taken.append(&mut seen.lock().taken);
        }
        // The witness has seen the attempt whose commit failed, too.
        assert_eq!(taken, wanted.repeat(1 + faults as usize));
    }
}

/// The events of the shop that the witness wants, as topics give them: each topic has two partitions.
fn published(bench: &Bench) -> Vec<Delivered> {
    let (mut found, mut ends) = (Vec::new(), BTreeMap::new());
    let (from, to) = ([1, 0, 0], [i64::MAX; 3]);
    let by = By::Range { from, to, descending: false, limit: u32::MAX };
    let mut reader = bench.memory.reader().unwrap();
    reader
        .read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
            let row = Row::of(row);
            let Some(topic) = Topic::of(row.topic).filter(|t| t.name.starts_with("order.")) else {
                return;
            };
            let stream = topic.stream(i32::from(row.key % 2 == 0)).unwrap();
            let end: &mut i64 = ends.entry(stream).or_default();
            *end += 1;
            found.push(Delivered {
                stream,
                offset: *end,
                seq: row.seq,
                at: row.at,
                topic: topic.name.into(),
                key: row.key,
                version: row.version,
                correlation: None,
                trace: None,
                payload: row.payload.to_vec(),
            });
        })
        .unwrap();
    found
}

/// Follows the log, or what topics give, to the end; what was taken in, and up to where everything is.
fn consume(bench: &Bench, derived: &Memory, given: Option<Vec<Delivered>>) -> (Vec<i64>, i64) {
    let source = given.map(|events| Box::new(Again { events, rounds: 2 }) as Box<dyn Source>);
    let (member, seen) = witness(all_of_them, source);
    let running = start(bench, derived, vec![member]);
    let handle = running.handle();
    running.stop().unwrap();
    let seqs = seen.lock().taken.iter().map(|(_, seq)| *seq).collect();
    (seqs, handle.floor())
}

proptest! {
    #![proptest_config(crate::rig::cases(64))]

    /// The log and topics take turns at any event, topics leave out, repeat and mix what they give.
    #[test]
    fn whichever_source_gives_an_event_and_however_often_it_has_one_effect(
        turns in vec(proptest::option::of(vec(any::<Index>(), 0..40)), 0..6),
    ) {
        let (bench, derived) = (sold(), Memory::new());
        let all = published(&bench);
        let (mut taken, mut before) = (Vec::new(), 0);
        for turn in turns {
            let given = turn.map(|picks| picks.iter().map(|pick| pick.get(&all).clone()).collect());
            let (seqs, floor) = consume(&bench, &derived, given);
            taken.extend(seqs);
            let missing = all.iter().map(|event| event.seq).find(|seq| !taken.contains(seq));
            prop_assert!(floor >= before && missing.is_none_or(|seq| floor < seq), "what is missing is kept");
            before = floor;
        }
        let (seqs, floor) = consume(&bench, &derived, None);
        taken.extend(seqs);
        taken.sort_unstable();
        prop_assert_eq!(&taken, &all.iter().map(|event| event.seq).collect::<Vec<_>>());
        let (again, _) = consume(&bench, &derived, Some(all));
        prop_assert!(again.is_empty() && floor >= *taken.last().unwrap());
    }
}

#[test]
fn an_outbox_is_needed_no_more_when_topics_have_given_all_of_it_in_any_order() {
    let (bench, derived) = (sold(), Memory::new());
    let (all, log) = (published(&bench), Memory::new());
    let (_, end) = consume(&bench, &log, None);
    let (odd, even) = all.iter().rev().cloned().partition(|event| event.seq % 2 == 1);
    let (first, floor) = consume(&bench, &derived, Some(odd));
    assert!(floor < all.iter().map(|event| event.seq).filter(|seq| seq % 2 == 0).min().unwrap());
    let (second, floor) = consume(&bench, &derived, Some(even));
    assert_eq!((first.len() + second.len(), floor), (all.len(), end));
    let inbox = [&INBOX];
    let left = dump(&mut *derived.reader().unwrap(), &inbox).unwrap();
    assert!(left.is_empty(), "what the place covers needs no row: {left:?}");
}

#[test]
fn an_event_that_no_topic_gives_is_taken_from_the_outbox_in_the_end() {
    let (bench, derived) = (sold(), Memory::new());
    let all = published(&bench);
    let later = |after: Span, given: Vec<Delivered>| {
        let source = Box::new(Again { events: given, rounds: 2 });
        let (member, seen) = witness(all_of_them, Some(source));
        let last = all.iter().map(|event| event.at).max().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Hand::at(last.0 + after.0));
        let terms = Terms::alone(clock, None);
        let derived = Arc::new(derived.clone());
        let running = Running::start(&bench.memory, derived, terms, vec![member]).unwrap();
        let handle = running.handle();
        (running, handle, seen)
    };
    let some: Vec<_> = all.iter().skip(2).step_by(2).cloned().collect();
    let (running, _, seen) = later(Span(0), some.clone());
    running.stop().unwrap();
    assert_eq!(seen.lock().taken.len(), some.len(), "the others may still come");
    let (running, handle, seen) = later(OVERDUE, Vec::new());
    while handle.floor() < all.last().unwrap().seq {
        std::thread::yield_now();
    }
    running.stop().unwrap();
    assert_eq!(seen.lock().taken.len(), all.len() - some.len());
}

#[test]
fn what_another_shop_or_a_time_before_a_restore_says_has_no_effect() {
    let (bench, derived) = (sold(), Memory::new());
    let all = published(&bench);
    let strange = |change: fn(&mut Delivered)| {
        let mut events = all.clone();
        events.iter_mut().for_each(change);
        events
    };
    for events in [
        strange(|event| event.at = event.at + Span(1)),
        strange(|event| event.key += 1_000),
        strange(|event| event.version += 1),
        strange(|event| event.seq += 1_000_000),
    ] {
        let (taken, floor) = consume(&bench, &derived, Some(events));
        assert!(taken.is_empty() && floor < all[0].seq, "{taken:?}");
    }
    let (taken, _) = consume(&bench, &derived, Some(all.clone()));
    assert_eq!(taken.len(), all.len());
}
