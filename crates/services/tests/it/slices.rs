//! How long a slice of long work takes, on a machine whose speed the test decides: the clock goes
//! on with every row that is read and every event that is trimmed.

use std::sync::Arc;

use jangbu_engine::books::{OUTBOX, REQUEST, SHARD};
use jangbu_engine::chore::AIM;
use jangbu_engine::clock::Clock as _;
use jangbu_engine::keep::{Keep, Keeper};
use jangbu_engine::port::{CommitError, Each, Fault, Mode, ReadPlan, Store, Tx, Value, WritePlan};
use jangbu_kernel::time::Span;

use crate::rig::{Bench, Hand, START, int, write};

const DAY: i64 = 86_400_000_000;

/// Microseconds that a machine takes for a row that is read, an event that is trimmed, a commit.
#[derive(Clone, Copy)]
struct Speed {
    row: i64,
    event: i64,
    commit: i64,
}

/// A store on such a machine.
struct Slow<'a> {
    store: &'a mut dyn Store,
    clock: Arc<Hand>,
    speed: Speed,
    trimmed: i64,
}

impl Store for Slow<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        let (clock, speed, trimmed) = (&*self.clock, self.speed, self.trimmed);
        Ok(Box::new(SlowTx { tx: self.store.begin()?, clock, speed, trimmed }))
    }
}

struct SlowTx<'a> {
    tx: Box<dyn Tx + 'a>,
    clock: &'a Hand,
    speed: Speed,
    trimmed: i64,
}

impl Tx for SlowTx<'_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        let (clock, row) = (self.clock, self.speed.row);
        self.tx.read(plan, &mut |at, fields| {
            clock.pass(Span(row));
            each(at, fields);
        })
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        for (_, mode, values) in plan.iter() {
            if let (Mode::Trim, Value::Int(last)) = (mode, values.get(0)) {
                self.clock.pass(Span(self.speed.event * (last - self.trimmed)));
            }
        }
        self.tx.write(plan)
    }

    fn commit(self: Box<Self>) -> Result<(), CommitError> {
        self.clock.pass(Span(self.speed.commit));
        self.tx.commit()
    }
}

/// A shop with `events` and `requests` of long ago.
fn aged(events: i64, requests: i64) -> Bench {
    let bench = Bench::new();
    write(&bench.memory, &|plan| {
        for seq in 1..=events {
            let mut row = plan.row(&OUTBOX, Mode::Insert);
            row.int(seq).int(1).int(START).text("order.completed").int(seq).int(3);
            row.opt_text(None).blob(&[7; 60]).opt_text(None);
        }
        for seq in 1..=requests {
            let mut row = plan.row(&REQUEST, Mode::Insert);
            row.int(seq).text("client:order.place").text("3f25").blob(&[1; 17]).int(seq).int(START);
        }
        let mut row = plan.row(&SHARD, Mode::Upsert);
        row.int(0).int(1).int(events).int(requests).int(START).blob(&[7; 16]).int(0).int(0).int(2);
    });
    bench.rig.advance(Span(30 * DAY));
    bench.rig.post(Box::new(Keeper::new(
        Keep::default(),
        Arc::new(move || events),
        Arc::default(),
    )));
    bench
}

fn shard(bench: &Bench, column: &str) -> i64 {
    int(&bench.memory.dump()[&(SHARD.name, [0; 3])][SHARD.position(column).unwrap()]).unwrap()
}

/// Events and requests that are gone, as the cell counts them.
fn gone(bench: &Bench) -> (i64, i64) {
    let counted = bench.rig.counters().snapshot();
    (i64::try_from(counted.trimmed).unwrap(), i64::try_from(counted.purged).unwrap())
}

/// What a step that did something has done: events, requests, and how long it took beside commits.
type Slice = (i64, i64, i64);

/// Steps `steps` times on a machine of that speed.
fn slices(bench: &mut Bench, speed: Speed, steps: usize) -> Vec<Slice> {
    let mut seen = Vec::new();
    let (mut trimmed, mut purged) = gone(bench);
    for _ in 0..steps {
        let (clock, mut store) = (bench.rig.clock(), bench.memory.open());
        let begun = clock.now();
        let mut slow = Slow { store: &mut store, clock: Arc::clone(&clock), speed, trimmed };
        bench.rig.step(&mut |_, f| f(&mut slow), 0).unwrap();
        let took = (clock.now() - begun).0;
        let now = gone(bench);
        if now != (trimmed, purged) {
            seen.push((now.0 - trimmed, now.1 - purged, took - speed.commit));
        }
        (trimmed, purged) = now;
        clock.pass(Span(10_000));
    }
    seen
}

const FAST: Speed = Speed { row: 0, event: 0, commit: 50 };

#[test]
fn a_slice_is_as_long_as_its_aim_and_no_longer_on_a_machine_of_any_speed() {
    for (row, event) in [(3, 1), (10, 2), (14, 3)] {
        let mut bench = aged(40_000, 8_000);
        let speed = Speed { row, event, commit: 400 };
        let all = slices(&mut bench, speed, 80);
        let longest = all[20..].iter().map(|(_, _, took)| *took).max().unwrap();
        let bound = AIM.0 + AIM.0 / 8 + 4 * row + event;
        assert!(longest <= bound, "{row} {event}: {longest} of {bound}: {all:?}");
        let most = |of: &dyn Fn(&Slice) -> i64| all[20..].iter().map(of).max().unwrap();
        let (events, requests) = (most(&|slice| slice.0), most(&|slice| slice.1));
        let fit = |cost: i64, most: i64| (AIM.0 / cost).min(most) * 8 / 10;
        assert!(events >= fit(event, 2_000), "{events} events");
        assert!(requests >= fit(row, 500), "{requests} requests");
    }
}

#[test]
fn a_machine_that_becomes_slow_gets_small_slices_at_once_and_large_ones_later_again() {
    let mut bench = aged(90_000, 20_000);
    let fast = slices(&mut bench, FAST, 40);
    assert!(
        fast[30..].iter().all(|(e, r, _)| [(2_000, 0), (0, 500)].contains(&(*e, *r))),
        "{fast:?}"
    );
    let slow = slices(&mut bench, Speed { row: 48, event: 6, commit: 50 }, 8);
    let late = slow.iter().filter(|(_, _, took)| *took > 5_000).count();
    assert_eq!(late, 2, "one of each kind finds it out: {slow:?}");
    assert!(slow[2..].iter().all(|(e, r, _)| *e <= 250 && *r <= 64), "{slow:?}");
    let (last, again) = (slow.last().unwrap(), slices(&mut bench, FAST, 50));
    assert!(again[0].0 <= 250 && again[0].1 <= 64, "{last:?} {:?}", again[0]);
    assert!(again[2].0 + again[2].1 < 300, "slowly: {:?}", again[2]);
    assert!(again[45..].iter().all(|(e, r, _)| e + r >= 500), "{again:?}");
}

#[test]
fn a_slow_flush_makes_no_slice_smaller_and_kinds_take_turns() {
    let mut bench = aged(50_000, 12_000);
    let all = slices(&mut bench, Speed { row: 0, event: 0, commit: 25_000 }, 40);
    assert!(
        all[30..].iter().all(|(e, r, _)| [(2_000, 0), (0, 500)].contains(&(*e, *r))),
        "{all:?}"
    );
    let events = all[..20].iter().filter(|(events, ..)| *events > 0).count();
    assert_eq!(events, 10, "neither waits for the other to be done: {all:?}");
}

#[test]
fn everything_goes_that_is_old_however_slow_the_machine() {
    let mut bench = aged(3_001, 777);
    let speed = Speed { row: 500, event: 90, commit: 9_000 };
    let all = slices(&mut bench, speed, 40);
    assert_eq!((shard(&bench, "trimmed"), shard(&bench, "purged")), (3_001, 777), "{all:?}");
}
