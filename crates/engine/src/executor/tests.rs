use std::sync::atomic::{AtomicI64, Ordering};

use jangbu_kernel::{Lane, Origin, UnitId};
use proptest::prelude::*;

use super::*;
use crate::breaker::BreakerState;

const UNIT: UnitId = UnitId("payment");

#[derive(Debug, Default)]
struct HandClock(AtomicI64);

impl HandClock {
    fn set(&self, ms: i64) -> Time {
        self.0.store(ms * 1_000, Ordering::SeqCst);
        self.now()
    }
}

impl Clock for HandClock {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
}

/// What a job asks of [`Remote`].
#[derive(Debug, Clone, Copy)]
enum Ask {
    /// Answer when the test says so.
    Later,
    /// Answer before `start` returns.
    AtOnce,
    /// Let go of `done` before `start` returns.
    HangUp,
    /// Panic before anything was sent.
    Panic,
    /// As `Later`, and the breaker does not hold it back.
    Inquire,
}

#[derive(Debug)]
struct Call(usize, Ask);

/// What a unit hears: the number of the job, and what about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told(usize, &'static str);

/// A destination that does as it is told, and remembers what was started.
#[derive(Default)]
struct Remote {
    waiting: Mutex<Vec<(usize, Done)>>,
    started: Mutex<Vec<usize>>,
}

impl Remote {
    fn done(&self, no: usize) -> Option<Done> {
        let mut waiting = self.waiting.lock();
        let at = waiting.iter().position(|(waits, _)| *waits == no)?;
        Some(waiting.swap_remove(at).1)
    }

    fn answer(&self, no: usize, healthy: bool) {
        if let Some(done) = self.done(no) {
            done(heard(no, healthy));
        }
    }
}

fn heard(no: usize, healthy: bool) -> Heard {
    Heard { answer: Box::new(Told(no, "answer")), healthy }
}

impl Caller for Remote {
    fn name(&self) -> &'static str {
        "remote"
    }

    fn guarded(&self, job: &Job) -> bool {
        !matches!(job.body.expect_ref(), Call(_, Ask::Inquire))
    }

    fn start(&self, job: &Job, done: Done) {
        let Call(no, ask) = *job.body.expect_ref();
        self.started.lock().push(no);
        match ask {
            Ask::Later | Ask::Inquire => self.waiting.lock().push((no, done)),
            Ask::AtOnce => done(heard(no, true)),
            Ask::HangUp => drop(done),
            Ask::Panic => panic!("a bug of the caller"),
        }
    }

    fn timed_out(&self, job: &Job) -> Box<dyn Payload> {
        Box::new(Told(job.body.expect_ref::<Call>().0, "open"))
    }

    fn not_sent(&self, job: &Job, why: &'static str) -> Box<dyn Payload> {
        Box::new(Told(job.body.expect_ref::<Call>().0, why))
    }
}

/// An executor in the hands of a test. Deadlines are 1 s after the start of a call.
struct Bench {
    clock: Arc<HandClock>,
    remote: Arc<Remote>,
    inbox: Arc<Mutex<Vec<Vec<Envelope>>>>,
    executor: Executor,
}

impl Bench {
    fn new(limits: ExecutorLimits) -> Self {
        let clock = Arc::new(HandClock::default());
        let remote = Arc::new(Remote::default());
        let inbox = Arc::new(Mutex::new(Vec::new()));
        let mailbox = Arc::clone(&inbox);
        let deliver: Deliver = Arc::new(move |burst| mailbox.lock().push(burst));
        let (caller, time) = (Arc::<Remote>::clone(&remote), Arc::<HandClock>::clone(&clock));
        let executor = Executor::new(caller, deliver, time, limits);
        Self { clock, remote, inbox, executor }
    }

    /// The same with another mailbox.
    fn with(self, deliver: Deliver) -> Self {
        let caller = Arc::<Remote>::clone(&self.remote);
        let clock = Arc::<HandClock>::clone(&self.clock);
        let executor = Executor::new(caller, deliver, clock, self.executor.0.limits);
        Self { executor, ..self }
    }

    fn small() -> Self {
        let breaker =
            BreakerRules { min_calls: 2, probes: 1, closes_after: 1, ..BreakerRules::default() };
        Self::new(ExecutorLimits { in_flight: 4, grain: Span::millis(1), breaker })
    }

    fn start(&self, asks: impl IntoIterator<Item = (usize, Ask)>) {
        let deadline = self.clock.now() + Span::secs(1);
        let job = |(no, ask): (usize, Ask)| {
            let correlation = Some(Arc::from(no.to_string()));
            Job { to: UNIT, deadline, correlation, trace: None, body: Box::new(Call(no, ask)) }
        };
        self.executor.start(asks.into_iter().map(job).collect());
    }

    fn tick(&self, ms: i64) {
        self.executor.tick(self.clock.set(ms));
    }

    /// What the unit has heard since the last look.
    fn told(&self) -> Vec<Told> {
        let envelopes = take(&mut *self.inbox.lock()).into_iter().flatten();
        let told = envelopes.map(|envelope| {
            let told: Told = *envelope.body.expect_ref();
            assert_eq!((envelope.to, envelope.origin), (UNIT, Origin::Event));
            assert_eq!((envelope.lane, envelope.deadline), (Lane::Checkout, None));
            assert_eq!(envelope.correlation.as_deref(), Some(&*told.0.to_string()));
            told
        });
        told.collect()
    }
}

#[test]
fn an_answer_in_time_is_the_only_one() {
    let bench = Bench::small();
    bench.start([(1, Ask::Later)]);
    assert_eq!(bench.told(), []);
    bench.clock.set(20);
    bench.remote.answer(1, true);
    assert_eq!(bench.told(), [Told(1, "answer")]);
    bench.tick(60_000);
    assert_eq!(bench.told(), []);
    let stats = bench.executor.stats();
    let expect = (1, 1, 20_000, 0, 0, 1);
    let ExecutorStats { started, answered, answered_us, timed_out, in_flight, .. } = stats;
    assert_eq!(
        (started, answered, answered_us, timed_out, in_flight, stats.most_in_flight),
        expect
    );
}

#[test]
fn a_late_answer_follows_the_time_out() {
    let bench = Bench::small();
    bench.start([(1, Ask::Later)]);
    bench.tick(1_000);
    assert_eq!(bench.told(), []);
    bench.tick(1_001);
    assert_eq!(bench.told(), [Told(1, "open")]);
    bench.remote.answer(1, true);
    assert_eq!(bench.told(), [Told(1, "answer")]);
    let stats = bench.executor.stats();
    assert_eq!((stats.timed_out, stats.late, stats.answered), (1, 1, 0));
    assert_eq!((stats.breaker.calls, stats.breaker.failed), (1, 1));
}

#[test]
fn deadlines_are_kept_in_steps_and_never_early() {
    let limits = ExecutorLimits { grain: Span::millis(50), ..ExecutorLimits::default() };
    let bench = Bench::new(limits);
    bench.clock.set(20);
    bench.start([(1, Ask::Later)]);
    bench.tick(1_049);
    assert_eq!(bench.told(), []);
    bench.tick(1_050);
    assert_eq!(bench.told(), [Told(1, "open")]);
}

#[test]
fn a_full_bulkhead_refuses_at_once_and_has_room_again() {
    let bench = Bench::small();
    bench.start((1..=6).map(|no| (no, Ask::Later)));
    assert_eq!(bench.inbox.lock().len(), 1, "one delivery for all refusals");
    assert_eq!(bench.told(), [Told(5, BULKHEAD_FULL), Told(6, BULKHEAD_FULL)]);
    assert_eq!(*bench.remote.started.lock(), [1, 2, 3, 4]);
    bench.remote.answer(2, true);
    bench.start([(7, Ask::Later), (8, Ask::Later)]);
    assert_eq!(bench.told(), [Told(2, "answer"), Told(8, BULKHEAD_FULL)]);
    bench.tick(1_001);
    assert_eq!(bench.told().len(), 4);
    bench.clock.set(30_000);
    bench.start([(9, Ask::Inquire)]);
    let stats = bench.executor.stats();
    assert_eq!((stats.in_flight, stats.most_in_flight, stats.bulkhead_full), (1, 4, 3));
}

#[test]
fn an_open_breaker_starts_nothing_but_what_it_may_not_hold_back() {
    let bench = Bench::small();
    bench.start([(1, Ask::Later), (2, Ask::Later)]);
    bench.remote.answer(1, false);
    bench.remote.answer(2, false);
    bench.start([(3, Ask::Later), (4, Ask::Inquire)]);
    assert_eq!(*bench.remote.started.lock(), [1, 2, 4]);
    assert_eq!(bench.told()[2..], [Told(3, BREAKER_OPEN)]);
    bench.remote.answer(4, true);
    assert_eq!(bench.executor.stats().breaker.state, BreakerState::Open);
    bench.clock.set(10_000);
    bench.start([(5, Ask::Inquire), (6, Ask::Later)]);
    assert_eq!(bench.told(), [Told(4, "answer"), Told(6, BREAKER_OPEN)]);
    bench.remote.answer(5, true);
    let stats = bench.executor.stats();
    assert_eq!((stats.breaker.state, stats.breaker_open), (BreakerState::Closed, 2));
    assert_eq!((stats.answered, stats.unhealthy), (4, 2));
}

#[test]
fn refusals_of_business_never_open_the_breaker() {
    let bench = Bench::small();
    for no in 0..100 {
        bench.start([(no, Ask::AtOnce)]);
    }
    assert_eq!(bench.told().len(), 100);
    assert_eq!(bench.executor.stats().breaker.state, BreakerState::Closed);
}

#[test]
fn a_deadline_that_has_passed_is_not_sent() {
    let bench = Bench::small();
    let body = Box::new(Call(1, Ask::AtOnce));
    let correlation = Some(Arc::from("1"));
    bench.clock.set(5);
    let deadline = Time(5_000);
    bench.executor.start(vec![Job { to: UNIT, deadline, correlation, trace: None, body }]);
    assert_eq!(bench.told(), [Told(1, TOO_LATE)]);
    assert!(bench.remote.started.lock().is_empty());
    assert_eq!(bench.executor.stats().breaker.calls, 0);
}

#[test]
fn done_may_be_called_or_dropped_inside_start() {
    let bench = Bench::small();
    bench.start([(1, Ask::AtOnce), (2, Ask::AtOnce), (3, Ask::HangUp)]);
    assert_eq!(bench.told(), [Told(1, "answer"), Told(2, "answer"), Told(3, "open")]);
    let stats = bench.executor.stats();
    assert_eq!((stats.in_flight, stats.given_up, stats.breaker.failed), (0, 1, 1));
}

#[test]
fn a_caller_that_hangs_up_does_not_wait_for_the_deadline() {
    let bench = Bench::small();
    bench.start([(1, Ask::Later)]);
    drop(bench.remote.done(1));
    assert_eq!(bench.told(), [Told(1, "open")]);
    bench.tick(60_000);
    assert_eq!(bench.told(), []);
}

#[test]
fn a_panic_of_the_caller_is_an_open_outcome() {
    let bench = Bench::small();
    bench.start([(1, Ask::Panic), (2, Ask::AtOnce)]);
    assert_eq!(bench.told(), [Told(1, "open"), Told(2, "answer")]);
}

#[test]
fn a_mailbox_may_start_calls_while_it_takes_answers() {
    let bench = Bench::small();
    let again = Arc::new(Mutex::new(None::<Executor>));
    let (handle, heard) = (Arc::clone(&again), Arc::new(Mutex::new(Vec::new())));
    let list = Arc::clone(&heard);
    let deliver: Deliver = Arc::new(move |burst| {
        for envelope in burst {
            let Told(no, what) = *envelope.body.expect_ref();
            list.lock().push(no);
            let body = Box::new(Call(no + 1, Ask::AtOnce));
            let deadline = Time(1_000_000);
            let executor = handle.lock().clone();
            let job = Job { to: UNIT, deadline, correlation: None, trace: None, body };
            if let Some(executor) = executor.filter(|_| no < 5 && what == "answer") {
                executor.start(vec![job]);
            }
        }
    });
    let bench = bench.with(deliver);
    *again.lock() = Some(bench.executor.clone());
    bench.start([(1, Ask::AtOnce)]);
    assert_eq!(*heard.lock(), [1, 2, 3, 4, 5]);
    *again.lock() = None;
}

#[test]
fn a_mailbox_that_panics_costs_one_burst_only() {
    let bench = Bench::small();
    let inbox = Arc::clone(&bench.inbox);
    let deliver: Deliver = Arc::new(move |burst| {
        let Told(no, _) = *burst[0].body.expect_ref();
        assert_ne!(no, 1, "a bug of the mailbox");
        inbox.lock().push(burst);
    });
    let bench = bench.with(deliver);
    bench.start([(1, Ask::AtOnce), (2, Ask::AtOnce)]);
    assert_eq!(bench.told(), [Told(2, "answer")]);
}

#[test]
fn drain_waits_for_what_is_in_flight() {
    let bench = Bench::small();
    assert_eq!(bench.executor.drain(Duration::ZERO), 0);
    bench.start([(1, Ask::Later), (2, Ask::Later)]);
    assert_eq!(bench.executor.drain(Duration::from_millis(1)), 2);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| bench.executor.drain(Duration::from_mins(1)));
        while bench.executor.0.state.lock().draining == 0 {
            std::thread::yield_now();
        }
        bench.remote.answer(1, true);
        bench.remote.answer(2, true);
        assert_eq!(waits.join().unwrap(), 0);
    });
    assert_eq!(bench.told().len(), 2);
}

#[test]
fn answers_that_meet_a_busy_mailbox_go_in_one_burst_and_drain_waits_for_them() {
    let bench = Bench::small();
    let (inbox, gate) = (Arc::clone(&bench.inbox), Arc::new(Mutex::new(())));
    let door = Arc::clone(&gate);
    let deliver: Deliver = Arc::new(move |burst| {
        inbox.lock().push(burst);
        drop(door.lock());
    });
    let bench = bench.with(deliver);
    bench.start((0..4).map(|no| (no, Ask::Later)));
    let closed = gate.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| bench.remote.answer(0, true));
        while bench.inbox.lock().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(bench.executor.drain(Duration::ZERO), 3);
        let drained = scope.spawn(|| bench.executor.drain(Duration::from_mins(1)));
        while bench.executor.0.state.lock().draining == 0 {
            std::thread::yield_now();
        }
        (1..4).for_each(|no| bench.remote.answer(no, true));
        assert!(!bench.executor.0.state.lock().is_quiet());
        drop(closed);
        assert_eq!(drained.join().unwrap(), 0);
        assert_eq!(bench.inbox.lock().iter().map(Vec::len).collect::<Vec<_>>(), [1, 3]);
    });
}

#[test]
fn what_is_being_delivered_is_not_quiet() {
    let bench = Bench::small();
    let (seen, handle) = (Arc::new(AtomicI64::new(-1)), Arc::new(Mutex::new(None::<Executor>)));
    let (quiet, executor) = (Arc::clone(&seen), Arc::clone(&handle));
    let deliver: Deliver = Arc::new(move |_| {
        let executor = executor.lock().clone().unwrap();
        quiet.store(i64::from(executor.0.state.lock().is_quiet()), Ordering::SeqCst);
    });
    let bench = bench.with(deliver);
    *handle.lock() = Some(bench.executor.clone());
    bench.start([(1, Ask::AtOnce)]);
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    assert!(handle.lock().take().unwrap().0.state.lock().is_quiet());
}

#[test]
fn the_ticker_keeps_deadlines_and_stops() {
    let bench = Bench::small();
    bench.start([(1, Ask::Later)]);
    let ticker = bench.executor.keep_time().unwrap();
    bench.clock.set(2_000);
    assert_eq!(bench.executor.drain(Duration::from_mins(1)), 0);
    drop(ticker);
    assert_eq!(bench.told(), [Told(1, "open")]);
    assert_eq!(Arc::strong_count(&bench.executor.0), 2, "only the call's own way back is left");
}

/// What may be heard about one job, in this order.
const STORIES: [&[&str]; 6] =
    [&["answer"], &["open"], &["open", "answer"], &[BULKHEAD_FULL], &[BREAKER_OPEN], &[TOO_LATE]];

/// Each job was answered by one of the stories, and was started unless it was refused.
fn check_stories(bench: &Bench, jobs: usize) {
    let told = bench.told();
    let started = take(&mut *bench.remote.started.lock());
    for no in 0..jobs {
        let story: Vec<_> = told.iter().filter(|told| told.0 == no).map(|told| told.1).collect();
        assert!(STORIES.contains(&&*story), "job {no} heard {story:?}");
        let times = started.iter().filter(|call| **call == no).count();
        assert_eq!(times, usize::from(matches!(story[0], "answer" | "open")), "job {no}");
    }
    let stats = bench.executor.stats();
    assert_eq!(stats.in_flight, 0);
    assert_eq!(stats.started, stats.answered + stats.timed_out + stats.given_up);
    assert_eq!(stats.started, started.len() as u64);
    assert!(stats.most_in_flight <= bench.executor.0.limits.in_flight);
}

#[derive(Debug, Clone)]
enum Step {
    Start(Vec<Ask>),
    Answer(usize, bool),
    HangUp(usize),
    Advance(i64),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let ask = prop_oneof![
        6 => Just(Ask::Later),
        2 => Just(Ask::AtOnce),
        1 => Just(Ask::HangUp),
        1 => Just(Ask::Inquire),
    ];
    prop_oneof![
        3 => prop::collection::vec(ask, 1..6).prop_map(Step::Start),
        6 => (0..8_usize, prop::bool::weighted(0.8)).prop_map(|(at, ok)| Step::Answer(at, ok)),
        1 => (0..8_usize).prop_map(Step::HangUp),
        3 => (0..700_i64).prop_map(Step::Advance),
        3 => Just(Step::Tick),
    ]
}

proptest! {
    #[test]
    fn every_job_is_answered_whatever_the_schedule(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let bench = Bench::small();
        let (mut jobs, mut ms) = (0, 0);
        let pick = |at: usize| {
            let waiting = bench.remote.waiting.lock();
            (!waiting.is_empty()).then(|| waiting[at % waiting.len()].0)
        };
        for step in steps {
            match step {
                Step::Start(asks) => {
                    let from = jobs;
                    jobs += asks.len();
                    bench.start(asks.into_iter().enumerate().map(|(i, ask)| (from + i, ask)));
                }
                Step::Answer(at, ok) => {
                    if let Some(no) = pick(at) {
                        bench.remote.answer(no, ok);
                    }
                }
                Step::HangUp(at) => drop(pick(at).map(|no| bench.remote.done(no))),
                Step::Advance(by) => ms += by,
                Step::Tick => bench.executor.tick(bench.clock.now()),
            }
            bench.clock.set(ms);
        }
        bench.tick(ms + 1_001);
        while let Some(no) = pick(0) {
            bench.remote.answer(no, true);
        }
        check_stories(&bench, jobs);
    }
}

/// Answers, hang-ups, starts and time-outs at the same time, on four threads.
#[test]
fn every_job_is_answered_under_contention() {
    const JOBS: usize = 4_000;
    let breaker = BreakerRules { min_calls: u32::MAX, ..BreakerRules::default() };
    let limits = ExecutorLimits { in_flight: 64, grain: Span::millis(1), breaker };
    let bench = Bench::new(limits);
    let ended = AtomicI64::new(0);
    let starts = || {
        for no in 0..JOBS {
            let asks = [Ask::Later, Ask::Later, Ask::AtOnce, Ask::HangUp, Ask::Later];
            bench.start([(no, asks[no % asks.len()])]);
            if no % 16 == 0 {
                bench.clock.set(bench.clock.now().0 / 1_000 + 300);
                std::thread::yield_now();
            }
        }
        ended.store(1, Ordering::SeqCst);
    };
    let answers = || {
        while ended.load(Ordering::SeqCst) == 0 || !bench.remote.waiting.lock().is_empty() {
            let next = bench.remote.waiting.lock().pop();
            match next {
                Some((no, done)) if no % 7 == 0 => drop((no, done)),
                Some((no, done)) => done(heard(no, true)),
                None => std::thread::yield_now(),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(starts);
        scope.spawn(answers);
        scope.spawn(answers);
        scope.spawn(|| {
            while ended.load(Ordering::SeqCst) == 0 {
                bench.executor.tick(bench.clock.now());
            }
        });
    });
    check_stories(&bench, JOBS);
}
