//! The sweep: every reached state × everything that can happen × every fault of its delivery.
//!
//! An event is first shown to the order's row alone: what is not foreseen changes nothing, and
//! what comes twice changes nothing the second time. Then it is made true in the whole world (the
//! gateway acts, the hold runs out) where it can be, delivered with its fault, and the life goes on
//! to its end, where all books must be right. An event that cannot be true there is only shown to
//! the row: no domain would state it.

use std::collections::BTreeSet;

use jangbu_kernel::{Ctx, Time};

use super::engine::{OrderOut, decide, order_rows};
use super::gateway::{Back, Book, Pay};
use super::reached::{REACHED, Reach, refund_of};
use super::world::{Body, DISCOUNT, EARNED_POINTS, FOREVER, ID, Msg, POINTS, START, World};
use crate::coupon::command::Command as Coupon;
use crate::inventory::command as stock;
use crate::inventory::model::State as Held;
use crate::order::command::{Command, SagaEvent, Verb};
use crate::order::model::{Order, State};
use crate::order::{Orders, Rows, saga};
use crate::payment::command::{Ask, Said};
use crate::payment::model::{RefundState, State as Paid};
use crate::point::command::{Command as Points, Kind};
use crate::point::model::State as Spent;

/// How it is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Once,
    Twice,
    /// Never; the timers must do.
    Lost,
    /// The commit does not happen, and it comes again.
    CrashBefore,
    /// It comes again after what it led to.
    CrashAfter,
    /// The buyer cancels in between.
    Cancelled,
}

const FAULTS: [Fault; 6] = [
    Fault::Once,
    Fault::Twice,
    Fault::Lost,
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::Cancelled,
];

/// What can happen: every event, with every number and code that the table looks at.
fn events() -> Vec<SagaEvent> {
    use SagaEvent as E;
    let text = |text: &str| Box::<str>::from(text);
    let mut all = vec![
        E::StockReserved,
        E::StockRefused { code: "INSUFFICIENT_STOCK".into() },
        E::StockRefused { code: "QUANTITY_OVERFLOW".into() },
        E::StockPinned,
        E::StockNotPinned { code: "RESERVATION_EXPIRED".into() },
        E::StockCommitted,
        E::StockNotCommitted { code: "RESERVATION_NOT_PINNED".into() },
        E::StockNotCommitted { code: "RESERVATION_RELEASED".into() },
        E::StockReleased,
        E::StockNotReleased { code: "RESERVATION_COMMITTED".into() },
        E::StockReturned { no: 1 },
        E::StockReturned { no: 2 },
        E::PayAuthorized,
        E::PayCaptured { amount: 2_500 },
        E::PayCaptured { amount: 0 },
        E::PayDeclined { code: text("no_funds") },
        E::PayDeclined { code: text("not_found") },
        E::PayNotSent { why: text("breaker") },
        E::PayNotSent { why: text(saga::NEVER_ASKED) },
        E::PayUnknown { why: text("time-out") },
        E::PayNotFound,
        E::PayVoided,
        E::PaidHint,
        E::Timer,
        E::CouponRedeemed { discount: DISCOUNT, scope: None, merchant_funded: false },
        E::CouponRefused { code: "COUPON_USED".into() },
        E::CouponRestored,
        E::CouponNotRestored { code: "COUPON_REVOKED".into() },
        E::PointsSpent { paid: POINTS - EARNED_POINTS, earned: EARNED_POINTS },
        E::PointsRefused { code: "POINTS_INSUFFICIENT".into() },
        E::PointsEarned,
    ];
    for no in [0, 1, 2] {
        all.extend([E::PointsRestored { no }, E::UnClawed { no }]);
        all.push(E::PointsNotRestored { no, code: "POINT_USE_UNKNOWN".into() });
        all.extend([0, 7, 10].map(|taken| E::Clawed { no, taken }));
    }
    for no in [0, 1, 2, 1_001, 1_002] {
        let code = text("too_old");
        all.extend([E::Refunded { no }, E::RefundUnknown { no }, E::RefundRefused { no, code }]);
        all.push(E::SetAside { no });
    }
    all
}

fn commands(world: &World) -> Vec<Command> {
    let operate = |verb: &Verb| Command::Operate { order: ID, verb: *verb, reason: "why".into() };
    let mut all: Vec<_> = Verb::ALL.iter().map(operate).collect();
    all.extend([
        world.confirming(),
        Command::Cancel { order: ID, reason: "changed my mind".into() },
        Command::Refund {
            order: ID,
            units: None,
            restock: true,
            reason: "broken".into(),
            returned: false,
        },
        refund_of(1),
    ]);
    all
}

/// Makes `event` true if the world lets it. Whether it is.
fn cause(world: &mut World, event: &SagaEvent) -> bool {
    use SagaEvent as E;
    let book = world.gateway.book;
    let open = !matches!(book, Book::Fenced | Book::Voided);
    let said = match event {
        E::PayCaptured { .. } if open && world.payment().is_some() => {
            let card = world.card();
            world.gateway.paid_directly(card);
            Some((Ask::Inquire, captured(card)))
        }
        E::PayAuthorized if matches!(book, Book::Nothing | Book::Declined) => {
            let amount = world.card();
            (world.gateway.book, world.gateway.amount) = (Book::Held, amount);
            Some((Ask::Charge, Said::Authorized { psp_ref: "psp-1".into(), amount }))
        }
        E::PayDeclined { code } if book == Book::Nothing => {
            world.gateway.book = Book::Declined;
            Some((Ask::Charge, Said::Declined { code: code.clone() }))
        }
        E::PayVoided if book == Book::Held => {
            world.gateway.book = Book::Voided;
            Some((Ask::Inquire, Said::Voided))
        }
        E::Refunded { no } => refunded(world, *no).map(|said| (Ask::InquireRefund(*no), said)),
        E::StockNotPinned { .. } => {
            run_out(world);
            None
        }
        E::StockRefused { .. } => {
            // It has answered just so.
            world
                .queue
                .retain(|msg| !matches!(msg.body, Body::Stock(stock::Command::Reserve { .. })));
            None
        }
        E::CouponRefused { .. } => {
            let asks = |msg: &Msg| matches!(msg.body, Body::Coupon(Coupon::Redeem { .. }));
            world.queue.retain(|msg| !asks(msg));
            None
        }
        E::PointsRefused { .. } => {
            let asks = |msg: &Msg| matches!(msg.body, Body::Points(Points::Spend { .. }));
            world.queue.retain(|msg| !asks(msg));
            None
        }
        _ => None,
    };
    if let Some((ask, said)) = said.filter(|_| world.payment().is_some()) {
        world.deliver(Msg::said(ask, said));
    }
    is_true(world, event)
}

fn captured(amount: i64) -> Said {
    Said::Captured { psp_ref: "psp-1".into(), amount }
}

fn refunded(world: &mut World, no: u32) -> Option<Said> {
    let amount = world.payment()?.refund(no)?.amount;
    world.gateway.refunds.insert(no, amount);
    Some(Said::Refunded { amount })
}

/// The hold runs out, if there is one.
fn run_out(world: &mut World) {
    if let Some(at) = world.reservation().and_then(|reservation| reservation.next_at) {
        world.now = world.now.max(at);
        let body = Body::Stock(stock::Command::Expire { order: ID });
        world.deliver(Msg { reply: None, body });
    }
}

/// Whether some domain could state it now, or could have stated it before. What only reports that
/// nothing is known is always true enough.
fn is_true(world: &World, event: &SagaEvent) -> bool {
    use SagaEvent as E;
    let held = world.reservation().filter(|r| !r.lines.is_empty()).map(|r| r.state);
    let paid = world.payment().map(|payment| payment.state);
    let refund = |no: u32| world.payment().and_then(|p| p.refund(no)).map(|refund| refund.state);
    let asked_twice = world.order().is_some_and(|order| order.tries > 1);
    match event {
        E::StockReserved => held.is_some(),
        E::StockRefused { .. } => !is_in(world, State::Holding) || held.is_none() || asked_twice,
        E::StockPinned => matches!(held, Some(Held::Pinned | Held::Committed)),
        E::StockNotPinned { .. } => matches!(held, Some(Held::Expired)),
        E::StockCommitted => held == Some(Held::Committed),
        E::StockReleased => matches!(
            world.reservation().map(|reservation| reservation.state),
            Some(Held::Released | Held::Expired)
        ),
        E::StockNotCommitted { code } if *code == "RESERVATION_RELEASED" => {
            held == Some(Held::Released)
        }
        E::SetAside { no } => refund(*no) == Some(RefundState::SetAside),
        E::StockReturned { no } => {
            world.reservation().is_some_and(|r| r.returns.iter().any(|back| back.no == *no))
        }
        E::PayAuthorized => paid == Some(Paid::Authorized),
        E::PayCaptured { .. } => paid == Some(Paid::Captured),
        E::PayNotSent { why } if &**why == saga::NEVER_ASKED => paid.is_none(),
        E::PayDeclined { .. } | E::PayNotSent { .. } => paid == Some(Paid::Declined),
        E::PayVoided => paid == Some(Paid::Voided),
        E::Refunded { no } => refund(*no) == Some(RefundState::Done),
        E::RefundRefused { no, .. } => refund(*no) == Some(RefundState::Refused),
        E::StockNotCommitted { .. }
        | E::StockNotReleased { .. }
        | E::PayUnknown { .. }
        | E::PayNotFound
        | E::PaidHint
        | E::RefundUnknown { .. }
        | E::Timer => true,
        _ => is_true_of_perks(world, event),
    }
}

/// The same of coupon and points.
fn is_true_of_perks(world: &World, event: &SagaEvent) -> bool {
    use SagaEvent as E;
    let used = world.coupon().filter(|coupon| coupon.order == Some(ID));
    let usage = world.usage();
    let spent = usage.filter(|usage| usage.state == Spent::Spent).map(|usage| {
        let of = |kind: Kind| -> i64 {
            usage.parts.iter().filter(|lot| lot.kind == kind).map(|lot| lot.amount).sum()
        };
        (of(Kind::Paid), of(Kind::Earned))
    });
    let asked_twice = world.order().is_some_and(|order| order.tries > 1);
    match event {
        E::CouponRedeemed { discount, .. } => {
            used.is_some_and(|coupon| coupon.discount == *discount)
        }
        E::CouponRefused { .. } => {
            !is_in(world, State::Holding) || (world.perks && used.is_none()) || asked_twice
        }
        E::CouponRestored => world.coupon().is_some_and(|coupon| coupon.undone.contains(&ID)),
        E::PointsSpent { paid, earned } => spent.is_some_and(|spent| spent == (*paid, *earned)),
        // An earning is never refused here.
        E::PointsRefused { .. } => match world.state() {
            Some(State::Holding) => (world.perks && spent.is_none()) || asked_twice,
            Some(State::Unwinding | State::Cancelled) => true,
            _ => false,
        },
        E::PointsRestored { no } => usage.is_some_and(|usage| {
            let undone = *no == 0 && usage.state == Spent::Restored;
            undone || (*no > 0 && usage.restores.iter().any(|back| back.no == *no))
        }),
        E::PointsEarned => usage.is_some_and(|usage| usage.earned > 0),
        E::Clawed { no, taken } => usage.is_some_and(|usage| {
            let claw = usage.claws.iter().find(|claw| claw.no == *no);
            claw.is_some_and(|claw| !claw.undone && claw.taken + claw.gone == *taken)
        }),
        E::UnClawed { no } => {
            usage.is_some_and(|usage| usage.claws.iter().any(|claw| claw.no == *no && claw.undone))
        }
        E::PointsNotRestored { .. } => true,
        // Coupon never says that it is not restored.
        _ => false,
    }
}

fn is_in(world: &World, state: State) -> bool {
    world.state() == Some(state)
}

/// Shows the event to the order's row alone.
fn show_to_the_row(order: &Order, now: Time, event: &SagaEvent) {
    let mut rows = Rows::default();
    rows.order.load(ID, Some((order.clone(), 1)));
    let ctx = Ctx { now, commit: 1, correlation: None, trace: None };
    let command = Command::Hear { order: ID, event: event.clone() };
    let hear = |rows: &mut Rows| decide::<Orders>(&command, &ctx, rows, order_rows).unwrap().1;
    let foreseen = saga::concerns(order, event, &rows.rules, now);
    let first = hear(&mut rows);
    let after = rows.order.get(ID).unwrap().clone();
    if !foreseen {
        assert_eq!((&after, rows.order.version(ID)), (order, 1), "{event:?} changed something");
        assert!(first.events.is_empty() && first.sends.is_empty());
        return;
    }
    let second = hear(&mut rows);
    let again = rows.order.get(ID).unwrap();
    let timers = |order: &Order| Order { tries: 0, next_at: None, ..order.clone() };
    assert_eq!(timers(again), timers(&after), "{event:?} twice");
    assert!(second.calls.is_empty() && first.calls.is_empty());
    let news = second.events.len();
    assert!(news == 0 || *event == SagaEvent::Timer, "{event:?} was stated twice");
    let asked = |out: &OrderOut| -> BTreeSet<String> {
        out.sends.iter().map(|send| format!("{send:?}")).collect()
    };
    assert!(asked(&second).is_subset(&asked(&first)), "{event:?} led to something else");
}

/// What is delivered: an event, or what a client asks.
#[derive(Clone, Debug)]
enum Happens {
    Event(SagaEvent),
    Command(Command),
}

impl Happens {
    fn msg(&self) -> Msg {
        match self {
            Self::Event(event) => Msg::hear(event.clone()),
            Self::Command(command) => Msg { reply: None, body: Body::Order(command.clone()) },
        }
    }
}

/// One cell of the sweep. Whether it was lived, and not only shown to the row.
fn cell(
    (reach, perks): (&Reach, bool),
    what: &Happens,
    fault: Fault,
    seen: &mut BTreeSet<u8>,
) -> bool {
    let mut world = reach.world(perks);
    let msg = what.msg();
    if let Happens::Event(event) = what {
        let order = world.order().unwrap();
        show_to_the_row(order, world.now, event);
        if *event == SagaEvent::Timer {
            world.now = world.order().and_then(|order| order.next_at).unwrap_or(world.now);
            show_to_the_row(world.order().unwrap(), world.now, &SagaEvent::Timer);
        }
        if !cause(&mut world, event) {
            return false;
        }
        world.queue.retain(|queued| *queued != msg);
    }
    deliver(&mut world, msg, fault);
    let mut deliveries = 0;
    while let Some(msg) = world.next() {
        deliveries += 1;
        assert!(deliveries < 700 && world.now < START + FOREVER, "it never ends");
        world.deliver(msg);
    }
    world.assert_right();
    let may_stick = reach.pay == Pay::Mute
        || reach.back == Back::Refused
        || reach.name.starts_with("stuck")
        || reach.name.ends_with("at the limit");
    assert!(may_stick || !is_in(&world, State::Stuck), "{:?}", world.order());
    if matches!(reach.operated, Some((Verb::Abandon, _))) {
        assert!(is_in(&world, State::Cancelled), "abandoned: {:?}", world.order());
    }
    seen.append(&mut world.seen);
    true
}

fn deliver(world: &mut World, msg: Msg, fault: Fault) {
    let cancel = Command::Cancel { order: ID, reason: "changed my mind".into() };
    match fault {
        Fault::Once => world.deliver(msg),
        Fault::Twice => {
            world.deliver(msg.clone());
            world.deliver(msg);
        }
        // What nobody would tell again is not lost.
        Fault::Lost if world.is_told_until_heard(&msg) => world.deliver(msg),
        Fault::Lost => {}
        Fault::CrashBefore => {
            world.crash(&msg);
            world.deliver(msg);
        }
        Fault::CrashAfter => {
            world.deliver(msg.clone());
            for _ in 0..3 {
                if let Some(next) = world.queue.pop_front() {
                    world.deliver(next);
                }
            }
            world.deliver(msg);
        }
        Fault::Cancelled => {
            world.deliver(msg.clone());
            world.deliver(Msg { reply: None, body: Body::Order(cancel) });
            world.deliver(msg);
        }
    }
}

/// States × (events + commands) × faults.
const CELLS: usize = 58 * (69 + 7) * 6;

/// One event in one state with every fault: how many of them were lived. All worlds are alike until
/// the fault, so what cannot be true there with the first cannot be with any other.
fn with_each_fault(at: (&Reach, bool), what: &Happens, seen: &mut BTreeSet<u8>) -> usize {
    let mut lives = |fault: &Fault| {
        let run = || cell(at, what, *fault, seen);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        ended.unwrap_or_else(|_| panic!("{}: {what:?} {fault:?}", at.0.name))
    };
    FAULTS.iter().take_while(|fault| lives(fault)).count()
}

/// Every cell, and how many of them can be true and were lived to their end.
fn sweep(perks: bool) -> usize {
    let (mut cells, mut lived, mut seen) = (0, 0, BTreeSet::new());
    for reach in &REACHED {
        let events = events().into_iter().map(Happens::Event);
        let asked = commands(&reach.world(perks)).into_iter().map(Happens::Command);
        for what in events.chain(asked) {
            cells += FAULTS.len();
            lived += with_each_fault((reach, perks), &what, &mut seen);
        }
    }
    assert_eq!(cells, CELLS);
    assert_eq!(seen, (1..=27).collect());
    lived
}

#[test]
fn every_state_with_every_event_and_every_fault_ends_well() {
    assert_eq!(sweep(false), 10_266);
}

/// The same with a coupon and points.
#[test]
fn every_state_with_coupon_and_points_ends_well() {
    assert_eq!(sweep(true), 10_932);
}
