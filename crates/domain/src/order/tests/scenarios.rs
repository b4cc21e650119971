//! Whole lives of an order, enumerated: what the gateway does × what the buyer does × when the
//! order is cancelled × which message gets lost, doubled or comes again at the end.

use std::collections::BTreeSet;
use std::mem::take;

use super::gateway::{Back, Pay};
use super::reached::refund_of;
use super::world::{Body, FOREVER, ID, Msg, PAYMENT, START, World};
use crate::inventory;
use crate::order::command::{Command, SagaEvent};
use crate::order::model::{Outcome, PayMode, RefundState, State};
use crate::payment::command::{self as payment, Verdict};

/// What the buyer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The server pays.
    Server,
    /// Nothing to pay.
    Free,
    /// Nothing to pay, and the client would have paid.
    FreeClient,
    /// The client confirms at once.
    Confirms,
    /// It never does.
    Never,
    /// It confirms when the hold runs out, and the pin comes before the expiry.
    PinBeforeExpiry,
    /// As before, but the expiry comes before the pin.
    ExpiryBeforePin,
    /// The order's own timer comes before the confirmation.
    TimerBeforeConfirm,
    /// It pays at the gateway itself; the gateway hints it.
    Hint,
    /// The gateway hints what has not happened.
    FalseHint,
    /// A true hint; the hold has just run out.
    HintAfterExpiry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Message `.0` of those that can be lost is lost.
    Lost(usize),
    /// It comes twice.
    Twice(usize),
    /// It comes again when everything is over.
    Again(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) way: Way,
    pub(super) pay: Pay,
    pub(super) back: Back,
    pub(super) enough: bool,
    /// Before which delivery the buyer cancels.
    pub(super) cancel: Option<usize>,
    pub(super) fault: Fault,
    /// SKUs of which the buyer gives one unit back once the order is sold.
    pub(super) refunds: &'static [i64],
}

impl Plan {
    pub(super) fn new(way: Way, pay: Pay) -> Self {
        Self {
            way,
            pay,
            back: Back::Done,
            enough: true,
            cancel: None,
            fault: Fault::None,
            refunds: &[],
        }
    }
}

pub(super) struct Played {
    pub(super) world: World,
    pub(super) deliveries: usize,
    pub(super) losable: usize,
    /// Whether the moment of the cancellation came: a lost message can make a life shorter.
    pub(super) cancelled: bool,
}

/// Lives the plan to its end, and looks at the books.
pub(super) fn play(plan: Plan) -> Played {
    let free = matches!(plan.way, Way::Free | Way::FreeClient);
    let mut world = World::new(plan.pay, plan.back, plan.enough, free);
    let server = matches!(plan.way, Way::Server | Way::Free);
    let placing = world.placing(if server { PayMode::Server } else { PayMode::Client });
    world.client(&placing).unwrap();
    let mut played = Played { world, deliveries: 0, losable: 0, cancelled: false };
    let cancel = Command::Cancel { order: ID, reason: "changed my mind".into() };
    let (mut buyer_waits, mut again, mut refunds) = (true, None, plan.refunds);
    loop {
        let Played { world, deliveries, losable, cancelled } = &mut played;
        if plan.cancel == Some(*deliveries) && !*cancelled {
            *cancelled = true;
            world.client(&cancel).unwrap();
        }
        if buyer_waits && world.state() == Some(State::AwaitPay) && world.queue.is_empty() {
            buyer_waits = false;
            buyer(plan.way, world);
        }
        let wanted = if world.state() == Some(State::Completed) { take(&mut refunds) } else { &[] };
        for sku in wanted {
            // All of it may be on its way back already.
            assert_eq!(world.client(&refund_of(*sku)).is_ok(), !*cancelled);
        }
        let Some(msg) = world.next().or_else(|| again.take()) else { break };
        *deliveries += 1;
        assert!(*deliveries < 700 && world.now < START + FOREVER, "it never ends");
        let no = *losable;
        *losable += usize::from(msg.can_be_lost());
        if !msg.can_be_lost() {
            world.deliver(msg);
            continue;
        }
        match plan.fault {
            Fault::Lost(lost) if lost == no && !world.is_told_until_heard(&msg) => {}
            Fault::Twice(twice) if twice == no => {
                world.deliver(msg.clone());
                world.deliver(msg);
            }
            Fault::Again(late) if late == no => {
                again = Some(msg.clone());
                world.deliver(msg);
            }
            _ => world.deliver(msg),
        }
    }
    assert_ends_well(plan, &played);
    played
}

/// The client's part, once the order waits for it.
pub(super) fn buyer(way: Way, world: &mut World) {
    let confirm = world.confirming();
    let expire = Body::Stock(inventory::command::Command::Expire { order: ID });
    let expire = Msg { reply: None, body: expire };
    let hint = Msg::hear(SagaEvent::PaidHint);
    let runs_out = world.order().and_then(|order| order.next_at).unwrap();
    match way {
        Way::Server | Way::Free | Way::FreeClient | Way::Never => {}
        Way::Confirms => world.client(&confirm).unwrap(),
        Way::PinBeforeExpiry => {
            world.now = runs_out;
            world.client(&confirm).unwrap();
            world.queue.push_back(expire);
        }
        Way::ExpiryBeforePin => {
            world.now = runs_out;
            world.client(&confirm).unwrap();
            world.queue.push_front(expire);
        }
        Way::TimerBeforeConfirm => {
            world.now = runs_out;
            world.deliver(Msg::hear(SagaEvent::Timer));
            assert!(world.client(&confirm).is_err());
        }
        Way::Hint => {
            let card = world.card();
            world.gateway.paid_directly(card);
            world.queue.push_back(hint);
        }
        Way::FalseHint => world.queue.push_back(hint),
        Way::HintAfterExpiry => {
            world.now = runs_out;
            let card = world.card();
            world.gateway.paid_directly(card);
            world.deliver(expire);
            world.queue.push_back(hint);
        }
    }
}

fn assert_ends_well(plan: Plan, Played { world, cancelled, .. }: &Played) {
    world.assert_right();
    let order = world.order().unwrap();
    let refused = order.refunds.iter().any(|refund| refund.state == RefundState::Refused);
    let stuck = order.state == State::Stuck;
    let may_stick = plan.pay == Pay::Mute || plan.back == Back::Refused;
    assert!(!stuck || may_stick, "stuck without a reason: {order:?}");
    let sold = order.state == State::Completed;
    assert_eq!(order.outcome == Some(Outcome::Sold), sold && !stuck);
    if *cancelled && sold {
        let units = order.refunds.iter().flat_map(|refund| &refund.units);
        let back: i64 = units.map(|range| range.quantity).sum();
        assert!(refused || (order.refunded == order.total && back == 3), "{order:?}");
    }
    if !plan.enough {
        assert_eq!(order.state, State::Cancelled);
    }
}

/// All faults of one history, for each moment at which it may be cancelled.
fn every_fault(plan: Plan, cancels: bool, faults: bool, all: &mut Tally) {
    let base = all.play(plan);
    let moments = if cancels { base.deliveries + 1 } else { 0 };
    let cancel = std::iter::once(None).chain((0..moments).map(Some));
    for cancel in cancel {
        let plan = Plan { cancel, ..plan };
        let played = if cancel.is_some() { all.play(plan) } else { Counts { ..base } };
        if !faults {
            continue;
        }
        for no in 0..played.losable {
            for fault in [Fault::Lost(no), Fault::Twice(no), Fault::Again(no)] {
                all.play(Plan { fault, ..plan });
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Counts {
    deliveries: usize,
    losable: usize,
}

/// How many lives were played, and how they ended; the others ended cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ended {
    played: usize,
    stuck: usize,
    sold: usize,
}

#[derive(Default)]
struct Tally {
    ended: Ended,
    rows: BTreeSet<u8>,
}

impl Tally {
    fn play(&mut self, plan: Plan) -> Counts {
        let ended = std::panic::catch_unwind(|| play(plan));
        let Played { mut world, deliveries, losable, .. } =
            ended.unwrap_or_else(|_| panic!("{plan:?}"));
        self.ended.played += 1;
        let order = world.order().unwrap();
        self.ended.stuck += usize::from(order.state == State::Stuck);
        self.ended.sold += usize::from(order.state == State::Completed);
        self.rows.append(&mut world.seen);
        Counts { deliveries, losable }
    }

    /// The enumeration is as large as it was, and visits these rows of the table.
    fn assert(&self, ended: Ended, rows: &[u8]) {
        assert_eq!(self.ended, ended);
        assert_eq!(self.rows.iter().copied().collect::<Vec<_>>(), rows);
    }
}

/// All rows of the table but some.
fn all_but(missing: &[u8]) -> Vec<u8> {
    (1..=27).filter(|row| !missing.contains(row)).collect()
}

const PAYING: [Way; 3] = [Way::Server, Way::Confirms, Way::PinBeforeExpiry];
const NOT_PAYING: [Way; 8] = [
    Way::Free,
    Way::FreeClient,
    Way::Never,
    Way::ExpiryBeforePin,
    Way::TimerBeforeConfirm,
    Way::Hint,
    Way::FalseHint,
    Way::HintAfterExpiry,
];

#[test]
fn every_gateway_with_every_fault_ends_well() {
    let mut all = Tally::default();
    for pay in Pay::ALL {
        for way in PAYING {
            // A gateway that never answers makes long lives that differ in nothing but length.
            let mute = pay == Pay::Mute;
            every_fault(Plan::new(way, pay), true, !mute, &mut all);
        }
    }
    all.assert(Ended { played: 34_808, stuck: 267, sold: 7_988 }, &all_but(&[8]));
}

#[test]
fn every_buyer_with_every_fault_ends_well() {
    let mut all = Tally::default();
    for way in NOT_PAYING {
        every_fault(Plan::new(way, Pay::Captures), true, true, &mut all);
    }
    all.assert(Ended { played: 4_829, stuck: 0, sold: 587 }, &all_but(&[11, 15, 18, 25]));
}

#[test]
fn every_refusal_of_stock_ends_well() {
    let mut all = Tally::default();
    for way in [Way::Server, Way::Free, Way::Confirms] {
        every_fault(Plan { enough: false, ..Plan::new(way, Pay::Captures) }, true, true, &mut all);
    }
    all.assert(Ended { played: 120, stuck: 0, sold: 0 }, &[1, 4, 5, 22, 23, 24]);
}

#[test]
fn every_way_back_of_money_with_every_fault_ends_well() {
    // Who pays at the gateway itself is not charged by us.
    let lives = [
        (Way::Server, Pay::Captures),
        (Way::Server, Pay::Hidden),
        (Way::Server, Pay::VeryLate),
        (Way::Hint, Pay::Captures),
        (Way::HintAfterExpiry, Pay::Captures),
    ];
    let mut all = Tally::default();
    for back in Back::ALL {
        for (way, pay) in lives {
            every_fault(Plan { back, ..Plan::new(way, pay) }, true, true, &mut all);
        }
    }
    all.assert(Ended { played: 45_625, stuck: 3_584, sold: 8_443 }, &all_but(&[6, 11, 15, 18]));
}

#[test]
fn every_refund_of_units_with_every_fault_ends_well() {
    let mut all = Tally::default();
    for back in Back::ALL {
        let plan = Plan { back, refunds: &[1, 2], ..Plan::new(Way::Server, Pay::Captures) };
        // A gateway that gives back what it has refused could give the same units back twice.
        every_fault(plan, back != Back::RefusedLate, true, &mut all);
    }
    let none = [2, 6, 7, 8, 11, 15, 16, 17, 18, 25];
    all.assert(Ended { played: 24_139, stuck: 104, sold: 22_761 }, &all_but(&none));
}

#[test]
fn an_operator_ends_what_is_stuck_by_evidence() {
    for (verdict, ends) in
        [(Verdict::Captured, State::Completed), (Verdict::NotCharged, State::Cancelled)]
    {
        let mut world = play(Plan::new(Way::Server, Pay::Mute)).world;
        assert_eq!(world.state(), Some(State::Stuck));
        if verdict == Verdict::Captured {
            let card = world.card();
            world.gateway.paid_directly(card);
        }
        let evidence = "statement of account".into();
        let resolve = payment::Command::Resolve { payment: PAYMENT, verdict, evidence };
        world.deliver(Msg { reply: None, body: Body::Pay(resolve) });
        while let Some(msg) = world.next() {
            world.deliver(msg);
        }
        assert_eq!(world.state(), Some(ends));
        world.assert_right();
    }
}
