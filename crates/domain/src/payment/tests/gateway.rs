//! A model of a gateway with books of its own, a network that loses, delays and repeats, and
//! commands in any order. Whatever happens, the row and the gateway's books agree in the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use proptest::prelude::*;

use super::bench::{Bench, ID};
use crate::payment::Command;
use crate::payment::command::{Ask, Call, Event, Part, Said};
use crate::payment::model::{Payment, State, after};

/// The gateway's books of one payment.
#[derive(Debug, Default)]
struct Book {
    authorized: i64,
    captured: i64,
    voided: bool,
    fenced: bool,
    refunds: BTreeMap<u32, i64>,
    charges: u32,
}

impl Book {
    fn refunded(&self) -> i64 {
        self.refunds.values().sum()
    }

    /// Does what is asked, once per key, and answers.
    fn serve(&mut self, call: &Call) -> Said {
        let refused = || Said::Refused { code: "books".into() };
        match call.ask {
            Ask::Charge | Ask::Authorize if self.fenced => Said::Fenced,
            Ask::Charge => {
                self.charges += 1;
                (self.authorized, self.captured) = (call.amount, call.amount);
                self.status()
            }
            Ask::Authorize => {
                self.charges += 1;
                self.authorized = call.amount;
                self.status()
            }
            Ask::Capture if self.voided || self.authorized == 0 => refused(),
            Ask::Capture => {
                self.captured = self.authorized;
                self.status()
            }
            Ask::Void if self.captured > 0 || self.authorized == 0 => refused(),
            Ask::Void => {
                self.voided = true;
                Said::Voided
            }
            Ask::Refund(no) => {
                let fits = self.refunded() + call.amount <= self.captured;
                if !self.refunds.contains_key(&no) && !fits {
                    return refused();
                }
                self.refunds.insert(no, call.amount);
                Said::Refunded { amount: call.amount }
            }
            Ask::Inquire => self.status(),
            Ask::InquireRefund(no) => match self.refunds.get(&no) {
                Some(&amount) => Said::Refunded { amount },
                None => Said::NotFound,
            },
            Ask::Fence => {
                self.fenced |= self.authorized == 0;
                if self.fenced { Said::Fenced } else { self.status() }
            }
        }
    }

    fn status(&self) -> Said {
        let psp_ref = "psp-1".into();
        match *self {
            Self { captured: 1.., .. } => Said::Captured { psp_ref, amount: self.captured },
            Self { voided: true, .. } => Said::Voided,
            Self { authorized: 1.., .. } => Said::Authorized { psp_ref, amount: self.authorized },
            Self { fenced: true, .. } => Said::Fenced,
            _ => Said::NotFound,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Refund {
        no: u32,
        parts: [i64; 2],
    },
    Capture,
    Void,
    Inquire(Option<u32>),
    /// One of the waiting calls arrives, or is lost, or never leaves; its answer may be lost.
    Network {
        pick: usize,
        fate: Fate,
    },
    /// One of the old answers comes once more.
    Repeat(usize),
    /// One of the late calls arrives; nobody waits for its answer.
    Arrive(usize),
    Wait(i64),
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    DoneAndSilent,
    /// Silence now, and it arrives later.
    Late,
    Lost,
    NeverLeft,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        3 => Just(Fate::Answered),
        1 => Just(Fate::DoneAndSilent),
        1 => Just(Fate::Late),
        1 => Just(Fate::Lost),
        1 => Just(Fate::NeverLeft),
    ];
    prop_oneof![
        3 => (0..6_u32, [0..40_i64, 0..40_i64]).prop_map(|(no, parts)| Step::Refund { no, parts }),
        1 => Just(Step::Capture),
        1 => Just(Step::Void),
        2 => prop::option::of(0..6_u32).prop_map(Step::Inquire),
        6 => (any::<usize>(), fate).prop_map(|(pick, fate)| Step::Network { pick, fate }),
        1 => any::<usize>().prop_map(Step::Repeat),
        1 => any::<usize>().prop_map(Step::Arrive),
        2 => (0..40_i64).prop_map(Step::Wait),
    ]
}

struct World {
    bench: Bench,
    book: Book,
    calls: Vec<Call>,
    /// Called, given up, and still on the way.
    late: Vec<Call>,
    heard: Vec<(Ask, Said)>,
    /// What the events have stated: captured, and refunded per merchant.
    captured: i64,
    refunded: BTreeMap<Arc<str>, i64>,
}

impl World {
    fn new(later: bool, with_order: bool) -> Self {
        let bench = Bench::new(with_order);
        let mut world = Self {
            bench,
            book: Book::default(),
            calls: Vec::new(),
            late: Vec::new(),
            heard: Vec::new(),
            captured: 0,
            refunded: BTreeMap::new(),
        };
        let line = if later { "intend later a=60 b=40 token" } else { "intend a=60 b=40 token" };
        let intend = world.bench.parse(line);
        world.decide(&intend);
        world
    }

    fn row(&self) -> &Payment {
        self.bench.row().unwrap()
    }

    fn decide(&mut self, command: &Command) {
        // A refusal is an answer; the bench has checked that it changed nothing.
        _ = self.bench.decide(command);
        assert_eq!(self.row().unsound(), None, "after {command:?}");
        let mut parts: Vec<Part> = Vec::new();
        for event in &self.bench.out.events {
            if let Event::Captured { amount, .. } = event {
                self.captured += amount;
            } else if let Event::Refunded { parts: refunded, .. } = event {
                parts.extend_from_slice(refunded);
            }
        }
        for Part { merchant, card, .. } in parts {
            *self.refunded.entry(merchant).or_default() += card;
        }
        let jobs = std::mem::take(&mut self.bench.out.calls);
        self.calls.extend(jobs.iter().map(|job| job.body.expect_ref::<Call>().clone()));
    }

    fn hear(&mut self, ask: Ask, said: Said) {
        self.heard.push((ask, said.clone()));
        self.decide(&Command::Said { payment: ID, ask, said });
    }

    fn network(&mut self, pick: usize, fate: Fate) {
        if self.calls.is_empty() {
            return;
        }
        let call = self.calls.swap_remove(pick % self.calls.len());
        let unknown = Said::Unknown { why: "time-out".into() };
        let said = match fate {
            Fate::Answered => self.book.serve(&call),
            Fate::DoneAndSilent => {
                self.book.serve(&call);
                unknown
            }
            Fate::Late => {
                self.late.push(call.clone());
                unknown
            }
            Fate::Lost => unknown,
            Fate::NeverLeft => Said::NotSent { why: "breaker".into() },
        };
        self.hear(call.ask, said);
    }

    fn run(&mut self, step: Step) {
        let deadline = after(self.bench.now, Span::secs(10));
        match step {
            Step::Refund { no, parts: [a, b] } => {
                let parts = [("a", a), ("b", b)];
                let parts = parts.map(|(name, amount)| Part::card(name.into(), amount));
                let parts = parts.to_vec();
                self.decide(&Command::Refund {
                    payment: ID,
                    no,
                    amount: a + b,
                    parts,
                    deduct: 0,
                    deadline,
                });
            }
            Step::Capture => {
                self.decide(&Command::Capture { payment: ID, merchant: None, deadline });
            }
            Step::Void => {
                self.decide(&Command::Void { payment: ID, merchant: None, deadline });
            }
            Step::Inquire(refund) => {
                self.decide(&Command::Inquire { payment: ID, refund, deadline });
            }
            Step::Network { pick, fate } => self.network(pick, fate),
            Step::Repeat(pick) => {
                if let Some((ask, said)) = self.heard.get(pick % self.heard.len().max(1)).cloned() {
                    self.hear(ask, said);
                }
            }
            Step::Arrive(pick) if !self.late.is_empty() => {
                let call = self.late.swap_remove(pick % self.late.len());
                self.book.serve(&call);
            }
            Step::Arrive(_) => {}
            Step::Wait(seconds) => self.bench.now = after(self.bench.now, Span::secs(seconds)),
        }
    }

    /// The network is well again and somebody keeps asking, until nothing is open.
    fn heal(&mut self) {
        for _ in 0..60 {
            while let Some(call) = self.calls.pop() {
                let said = self.book.serve(&call);
                self.hear(call.ask, said);
            }
            self.bench.now = after(self.bench.now, Span::secs(61));
            let deadline = Time(0);
            self.decide(&Command::Inquire { payment: ID, refund: None, deadline });
        }
        assert!(self.calls.is_empty(), "it never ends: {:?} {:#?}", self.calls, self.row());
    }
}

proptest! {
    #[test]
    fn the_row_and_the_gateway_agree_in_the_end(
        later in any::<bool>(),
        with_order in any::<bool>(),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(later, with_order);
        for step in steps {
            world.run(step);
        }
        world.heal();
        // The worst moment for what is still on the way: everything looks settled.
        while !world.late.is_empty() {
            world.run(Step::Arrive(0));
        }
        // Held money is nobody's end: its owner lets it go, and hears what became of it.
        world.run(Step::Void);
        world.heal();
        let row = world.row();
        let book = &world.book;
        prop_assert!(!matches!(row.state, State::Sent | State::CaptureSent | State::VoidSent | State::Unknown), "{row:#?}");
        prop_assert!(book.charges <= 1, "charged twice");
        prop_assert_eq!(row.captured, book.captured);
        prop_assert_eq!((row.refunded, row.pending), (book.refunded(), 0));
        prop_assert!(book.refunded() <= book.captured);
        prop_assert_eq!(world.captured, row.captured);
        prop_assert_eq!(world.refunded.values().sum::<i64>(), row.refunded);
        for part in &row.split {
            prop_assert!(world.refunded.get(&part.merchant).copied().unwrap_or(0) <= part.card);
        }
        if row.state == State::Declined {
            prop_assert_eq!(book.authorized, 0, "declined, but the gateway holds money");
        }
    }

    /// 64 refunds in any order and their answers in any order: never more than was captured.
    #[test]
    fn concurrent_refunds_never_exceed_what_was_captured(
        amounts in prop::collection::vec((1..30_i64, any::<bool>()), 64),
        answers in prop::collection::vec((any::<usize>(), any::<bool>()), 64),
    ) {
        let mut world = World::new(false, true);
        world.network(0, Fate::Answered);
        for (no, (amount, of_a)) in (1..).zip(amounts) {
            let parts = if of_a { [amount, 0] } else { [0, amount] };
            world.run(Step::Refund { no, parts });
            prop_assert!(world.row().refunded + world.row().pending <= 100);
        }
        for (pick, refuse) in answers {
            if world.calls.is_empty() {
                break;
            }
            let call = world.calls.swap_remove(pick % world.calls.len());
            let refused = Said::Refused { code: "x".into() };
            let said = if refuse { refused } else { world.book.serve(&call) };
            world.hear(call.ask, said);
        }
        prop_assert_eq!(world.row().pending, 0);
        prop_assert_eq!(world.row().refunded, world.book.refunded());
        prop_assert!(world.row().refunded <= 100);
    }
}
