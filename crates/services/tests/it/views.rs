//! Which server answers a read that may be a moment old.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jangbu_engine::port::{Backend, Fault, Mode, Reader, Replica, Sight};
use jangbu_engine::position::Position;
use jangbu_kernel::UserId;
use jangbu_services::consumer::OFFSET;
use jangbu_services::queries::{Missed, Needs, Queries, View, Views};
use jangbu_store::Memory;

use crate::rig::{Bench, write};
use crate::stage::place;

/// A server that shows `truth` and `derived`.
#[derive(Debug)]
struct Copy {
    name: &'static str,
    truth: Memory,
    derived: Memory,
    reached: Position,
    away: AtomicBool,
    dead: AtomicBool,
}

impl Copy {
    fn of(name: &'static str, truth: &Memory, derived: &Memory, reached: Position) -> Arc<Self> {
        let (truth, derived) = (truth.clone(), derived.clone());
        let (away, dead) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { name, truth, derived, reached, away, dead })
    }

    fn open(&self, of: &Memory) -> Result<Box<dyn Reader>, Fault> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(Fault::Fatal("dead".to_owned()));
        }
        of.reader()
    }
}

impl Replica for Copy {
    fn name(&self) -> &str {
        self.name
    }

    fn sight(&self) -> Sight {
        let away = self.away.load(Ordering::Relaxed).then_some("it is too far behind");
        Sight { away, lag: None, reached: self.reached }
    }

    fn truth(&self) -> Result<Box<dyn Reader>, Fault> {
        self.open(&self.truth)
    }

    fn derived(&self) -> Result<Box<dyn Reader>, Fault> {
        self.open(&self.derived)
    }

    fn most_readers(&self) -> usize {
        2
    }
}

/// Projections that have come to event `seq`, and have taken nothing in.
fn projected(seq: i64) -> Memory {
    let memory = Memory::new();
    write(&memory, &|plan| {
        plan.row(&OFFSET, Mode::Insert).int(0).int(seq);
    });
    memory
}

/// Who answered so far: the store, then each replica.
fn answered(views: &Views) -> Vec<u64> {
    let replicas = views.replicas().map(|standing| standing.reads);
    [views.reads()].into_iter().chain(replicas).collect()
}

fn events(view: &View) -> Result<i64, Fault> {
    view.number()
}

/// A shop with one order, its position, and a database without anything.
fn shop() -> (Arc<Queries>, Position, Memory) {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
    let truth: Arc<dyn Backend> = Arc::new(bench.memory.clone());
    let queries = Arc::new(Queries::new(truth, Arc::new(projected(0))));
    let position = queries.position().unwrap();
    (queries, position, Memory::new())
}

#[test]
fn reads_go_in_turn_to_replicas_that_are_near_and_have_come_so_far() {
    let (queries, now, empty) = shop();
    let near = Copy::of("near", &empty, &projected(0), now);
    let behind = Copy::of("behind", &empty, &projected(0), Position::default());
    let far = Copy::of("far", &empty, &projected(0), now);
    far.away.store(true, Ordering::Relaxed);
    let all = [&near, &behind, &far].map(|copy| Arc::clone(copy) as Arc<dyn Replica>);
    let views = Views::new(queries, all.to_vec());
    let read =
        |reached: Position| views.read(Needs { reached, projected: 0 }, events, |_| true).unwrap();
    for _ in 0..6 {
        assert_eq!(read(Position::default()), 0, "they have nothing");
    }
    let turns = answered(&views);
    assert_eq!((turns[0], turns[1] + turns[2], turns[3]), (0, 6, 0));
    assert!(turns[1] > 0 && turns[2] > 0, "{turns:?}");
    for _ in 0..4 {
        assert_eq!(read(now), 0);
    }
    assert_eq!(answered(&views), [0, turns[1] + 4, turns[2], 0]);
    let later = Position { commit: now.commit + 1, ..now };
    assert_eq!(read(later), now.event, "by the store");
    near.away.store(true, Ordering::Relaxed);
    assert_eq!(read(now), now.event);
    assert_eq!(answered(&views)[0], 2);
}

#[test]
fn what_fails_or_is_missing_on_a_replica_is_read_from_the_store() {
    let (queries, now, empty) = shop();
    let copy = Copy::of("copy", &empty, &projected(0), now);
    let views = Views::new(queries, vec![Arc::clone(&copy) as Arc<dyn Replica>]);
    copy.dead.store(true, Ordering::Relaxed);
    assert_eq!(views.read(Needs::default(), events, |_| true).unwrap(), now.event);
    copy.dead.store(false, Ordering::Relaxed);
    let some = |view: &View| Ok(Some(view.number()?).filter(|number| *number > 0));
    let found = views.read(Needs::default(), some, Option::is_some).unwrap();
    assert_eq!(found, Some(now.event));
    let standing = views.replicas().next().unwrap();
    assert_eq!((standing.reads, standing.again, standing.failed), (0, 1, 1));
    assert_eq!(views.reads(), 2);
}

#[test]
fn lists_are_not_shown_before_they_have_taken_in_what_is_asked_for() {
    let (queries, now, empty) = shop();
    let list = |view: &View| view.orders_of(UserId(1), None, 10).map(|found| found.len());
    // The replica has the rows, its lists are behind; those of the store are, too.
    let copy = Copy::of("copy", &empty, &projected(now.event - 1), now);
    let views = Views::new(queries, vec![copy as Arc<dyn Replica>]);
    let needs = Needs { reached: now, projected: now.event };
    assert!(matches!(views.read(needs, list, |_| true), Err(Missed::Behind(_))));
    assert_eq!(answered(&views), [1, 0]);
    // Rows are no lists.
    assert_eq!(views.read(needs, events, |_| true).unwrap(), 0);
    let needs = Needs { projected: now.event - 1, ..needs };
    assert_eq!(views.read(needs, list, |_| true).unwrap(), 0);
    assert_eq!(answered(&views), [1, 2]);
}
