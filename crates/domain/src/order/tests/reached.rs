//! Worlds that have reached a state of the saga, for the sweep: by real lives, stopped on the way.

use jangbu_kernel::SkuId;

use super::gateway::{Back, Pay};
use super::scenarios::Way;
use super::world::{Body, ID, Msg, World};
use crate::order::command::{Command, Units, Verb};
use crate::order::model::{PayMode, RefundState, State, Step};
/// How a state is reached.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) name: &'static str,
    way: Way,
    pub(super) pay: Pay,
    pub(super) back: Back,
    /// The buyer cancels as soon as this holds.
    cancel: Option<fn(&World) -> bool>,
    /// Messages that never arrive on the way there.
    lost: fn(&Msg) -> bool,
    /// Here the life is stopped.
    until: fn(&World) -> bool,
    /// Units that are refunded at the end, each its own refund.
    refunds: &'static [i64],
    /// Somebody frees the units of the order as soon as it is paid.
    robbed: bool,
    /// An operator steps in at the end, when the gateway answers refunds like this.
    pub(super) operated: Option<(Verb, Back)>,
}

fn is(world: &World, state: State) -> bool {
    world.state() == Some(state)
}

fn steps(world: &World) -> (Step, Step) {
    world.order().map_or((Step::None, Step::None), |order| (order.stock, order.pay))
}

fn stuck_in(world: &World, state: State) -> bool {
    world.order().is_some_and(|order| order.stuck_in == Some(state))
}

fn tries(world: &World, state: State, tries: i64) -> bool {
    is(world, state) && world.order().is_some_and(|order| order.tries >= tries)
}

fn refund_is(world: &World, no: u32, state: RefundState) -> bool {
    let refund = world.order().and_then(|order| order.refund(no));
    refund.is_some_and(|refund| refund.state == state)
}

fn to_stock(msg: &Msg) -> bool {
    matches!(msg.body, Body::Stock(_))
}

/// Nothing gets lost, nobody cancels, all is well.
const fn reach(name: &'static str, way: Way, pay: Pay, until: fn(&World) -> bool) -> Reach {
    let lost: fn(&Msg) -> bool = |_| false;
    Reach {
        name,
        way,
        pay,
        back: Back::Done,
        cancel: None,
        lost,
        until,
        refunds: &[],
        robbed: false,
        operated: None,
    }
}

impl Reach {
    const fn cancelled(mut self, when: fn(&World) -> bool) -> Self {
        self.cancel = Some(when);
        self
    }

    const fn losing(mut self, lost: fn(&Msg) -> bool) -> Self {
        self.lost = lost;
        self
    }

    const fn back(mut self, back: Back) -> Self {
        self.back = back;
        self
    }

    const fn refunding(mut self, skus: &'static [i64]) -> Self {
        self.refunds = skus;
        self
    }

    const fn robbed(mut self) -> Self {
        self.robbed = true;
        self
    }

    /// The same, and then an operator does this.
    const fn then(mut self, name: &'static str, verb: Verb, back: Back) -> Self {
        (self.name, self.operated) = (name, Some((verb, back)));
        self
    }

    /// Lives until there.
    pub(super) fn world(&self, perks: bool) -> World {
        let mut world = self.reached(perks);
        if let Some((verb, back)) = self.operated {
            world.gateway.back = back;
            let operate = Command::Operate { order: ID, verb, reason: "why".into() };
            world.client(&operate).unwrap();
        }
        world
    }

    fn reached(&self, perks: bool) -> World {
        let free = matches!(self.way, Way::Free | Way::FreeClient);
        let mut world = World::new(self.pay, self.back, true, free);
        if perks {
            world = world.with_perks();
        }
        let server = matches!(self.way, Way::Server | Way::Free);
        let mode = if server { PayMode::Server } else { PayMode::Client };
        world.client(&world.placing(mode)).unwrap();
        let (mut cancel, mut waits, mut refunds) = (self.cancel, true, self.refunds);
        for _ in 0..600 {
            if cancel.is_some_and(|when| when(&world)) {
                cancel = None;
                world.client(&Command::Cancel { order: ID, reason: "no".into() }).unwrap();
            }
            let wanted =
                if is(&world, State::Completed) { std::mem::take(&mut refunds) } else { &[] };
            for sku in wanted {
                world.client(&refund_of(*sku)).unwrap();
            }
            if (self.until)(&world) {
                return world;
            }
            if self.robbed && is(&world, State::Committing) {
                let release = crate::inventory::command::Command::Release { order: ID };
                world.deliver(Msg { reply: None, body: Body::Stock(release) });
            }
            if waits && is(&world, State::AwaitPay) && world.queue.is_empty() {
                waits = false;
                super::scenarios::buyer(self.way, &mut world);
                continue;
            }
            let msg = world.next().unwrap_or_else(|| panic!("{} is not reached", self.name));
            if !(self.lost)(&msg) {
                world.deliver(msg);
            }
        }
        panic!("{} is never reached", self.name);
    }
}

/// One unit of a SKU.
pub(super) fn refund_of(sku: i64) -> Command {
    let units = Some(vec![Units { sku: SkuId(sku), quantity: 1 }]);
    Command::Refund {
        order: ID,
        units,
        restock: sku == 1,
        reason: "broken".into(),
        returned: false,
    }
}

fn paying(world: &World) -> bool {
    is(world, State::Paying)
}

fn pinning(world: &World) -> bool {
    paying(world) && steps(world).0 == Step::Asked
}

/// One for each state, and for each flag that the table looks at.
pub(super) const REACHED: [Reach; 58] = [
    reach("holding", Way::Server, Pay::Captures, |w| is(w, State::Holding)),
    reach("holding for a client", Way::Confirms, Pay::Captures, |w| is(w, State::Holding)),
    reach("holding free", Way::FreeClient, Pay::Captures, |w| is(w, State::Holding)),
    reach("holding at the limit", Way::Server, Pay::Captures, |w| tries(w, State::Holding, 3))
        .losing(to_stock),
    reach("awaiting payment", Way::Never, Pay::Captures, |w| is(w, State::AwaitPay)),
    reach("paying", Way::Server, Pay::Hidden, paying),
    reach("paying, unwanted", Way::Server, Pay::Hidden, |w| paying(w) && wanted_out(w))
        .cancelled(paying),
    reach("pinning", Way::Confirms, Pay::Captures, pinning),
    reach("pinning, unwanted", Way::Confirms, Pay::Captures, |w| pinning(w) && wanted_out(w))
        .cancelled(pinning),
    reach("pinning for a hint", Way::Hint, Pay::Captures, pinning),
    reach("pinning for a false hint", Way::FalseHint, Pay::Captures, pinning),
    reach("finding out", Way::Hint, Pay::Captures, |w| paying(w) && !pinning(w)),
    reach("finding out without a hold", Way::HintAfterExpiry, Pay::Captures, |w| {
        paying(w) && steps(w).0 == Step::Refused
    }),
    reach("paying nothing", Way::Free, Pay::Captures, paying),
    reach("paying nothing, unwanted", Way::Free, Pay::Captures, |w| paying(w) && wanted_out(w))
        .cancelled(paying),
    reach("charging a client", Way::Confirms, Pay::Lost, |w| paying(w) && !pinning(w)),
    reach("capturing", Way::Server, Pay::HoldsCaptureHidden, |w| {
        paying(w) && w.gateway.book == super::gateway::Book::Captured
    }),
    reach("unknown", Way::Server, Pay::Lost, |w| is(w, State::PayUnknown)),
    reach("unknown, unwanted", Way::Server, Pay::Late, |w| {
        is(w, State::PayUnknown) && wanted_out(w)
    })
    .cancelled(paying),
    reach("unknown at the limit", Way::Server, Pay::Mute, |w| tries(w, State::PayUnknown, 27)),
    reach("capture unknown", Way::Server, Pay::HoldsCaptureHidden, |w| is(w, State::PayUnknown)),
    reach("committing", Way::Server, Pay::Captures, |w| is(w, State::Committing)),
    reach("committing, unwanted", Way::Server, Pay::Captures, |w| {
        is(w, State::Committing) && wanted_out(w)
    })
    .cancelled(|w| is(w, State::Committing)),
    reach("committing for long", Way::Server, Pay::Captures, |w| tries(w, State::Committing, 6))
        .losing(|msg| {
            let commit = crate::inventory::command::Command::Commit { order: ID };
            msg.body == Body::Stock(commit)
        }),
    reach("reversing", Way::Server, Pay::Captures, |w| is(w, State::Reversing)).cancelled(paying),
    reach("unwinding stock", Way::Server, Pay::Declines, |w| is(w, State::Unwinding)),
    reach("unwinding both", Way::Never, Pay::Captures, |w| is(w, State::Unwinding)),
    reach("unwinding a hold", Way::Server, Pay::HoldsVoidHidden, |w| is(w, State::Unwinding))
        .cancelled(paying),
    reach("unwinding at the limit", Way::Server, Pay::Declines, |w| tries(w, State::Unwinding, 14))
        .losing(|msg| to_stock(msg) && is_release(msg)),
    reach("sold", Way::Server, Pay::Captures, |w| is(w, State::Completed)),
    reach("sold, refunding", Way::Server, Pay::Captures, |w| refund_is(w, 1, RefundState::AtPsp))
        .refunding(&[1])
        .back(Back::Hidden),
    reach("sold, restoring", Way::Server, Pay::Captures, |w| {
        refund_is(w, 1, RefundState::Restoring)
    })
    .refunding(&[2]),
    reach("sold, refund refused", Way::Server, Pay::Captures, |w| {
        refund_is(w, 1, RefundState::Refused)
    })
    .refunding(&[1])
    .back(Back::Refused),
    reach("sold, two refunds", Way::Server, Pay::Captures, |w| refund_is(w, 2, RefundState::AtPsp))
        .refunding(&[1, 2])
        .back(Back::LostOnce),
    reach("sold, all refunded", Way::Server, Pay::Captures, |w| {
        refund_is(w, 1, RefundState::Done) && wanted_out(w)
    })
    .cancelled(|w| is(w, State::Completed)),
    reach("earning", Way::Server, Pay::Captures, |w| {
        w.order().is_some_and(|order| order.earning.step == Step::Asked)
    }),
    reach("sold, clawing", Way::Server, Pay::Captures, |w| refund_is(w, 1, RefundState::Clawing))
        .refunding(&[1]),
    reach("sold, unclawing", Way::Server, Pay::Captures, |w| {
        refund_is(w, 1, RefundState::Unclawing)
    })
    .refunding(&[1])
    .back(Back::Refused),
    reach("cancelled", Way::Server, Pay::Declines, |w| is(w, State::Cancelled)),
    reach("cancelled, orphan open", Way::Server, Pay::VeryLate, |w| {
        is(w, State::Cancelled) && refund_is(w, 0, RefundState::AtPsp)
    }),
    reach("cancelled, hold open", Way::Server, Pay::LateHold, |w| {
        is(w, State::Cancelled) && w.order().is_some_and(|order| order.next_at.is_some())
    }),
    STUCK_UNKNOWN,
    STUCK_UNKNOWN.then("stuck unknown, retried", Verb::Retry, Back::Done),
    STUCK_UNKNOWN.then("stuck unknown, compensated", Verb::Compensate, Back::Done),
    STUCK_COMMITTING,
    STUCK_COMMITTING.then("stuck committing, retried", Verb::Retry, Back::Done),
    STUCK_COMMITTING.then("stuck committing, compensated", Verb::Compensate, Back::Hidden),
    STUCK_REVERSING,
    STUCK_REVERSING.then("stuck reversing, retried", Verb::Retry, Back::Refused),
    STUCK_REVERSING.then("stuck reversing, retried and taken", Verb::Retry, Back::Hidden),
    STUCK_REVERSING.then("stuck reversing, abandoned", Verb::Abandon, Back::Refused),
    STUCK_DENIED.then("stuck over a lie, retried", Verb::Retry, Back::Done),
    STUCK_DENIED.then("stuck over a lie, abandoned", Verb::Abandon, Back::Done),
    STUCK_UNWINDING,
    STUCK_UNWINDING.then("stuck unwinding, abandoned", Verb::Abandon, Back::Done),
    STUCK_LATE,
    STUCK_LATE.then("stuck after the end, retried and taken", Verb::Retry, Back::LostOnce),
    STUCK_LATE.then("stuck after the end, abandoned", Verb::Abandon, Back::Refused),
];

const STUCK_UNKNOWN: Reach =
    reach("stuck unknown", Way::Server, Pay::Mute, |w| stuck_in(w, State::PayUnknown));
const STUCK_COMMITTING: Reach =
    reach("stuck committing", Way::Server, Pay::Captures, |w| stuck_in(w, State::Committing))
        .robbed();
const STUCK_REVERSING: Reach =
    reach("stuck reversing", Way::Server, Pay::Captures, |w| stuck_in(w, State::Reversing))
        .cancelled(paying)
        .back(Back::Refused);
/// The gateway has refused what it has done, and will say so later.
const STUCK_DENIED: Reach = STUCK_REVERSING.back(Back::RefusedLate);
const STUCK_UNWINDING: Reach =
    reach("stuck unwinding", Way::Server, Pay::Declines, |w| stuck_in(w, State::Unwinding))
        .losing(|msg| to_stock(msg) && is_release(msg));
const STUCK_LATE: Reach =
    reach("stuck after the end", Way::Server, Pay::VeryLate, |w| stuck_in(w, State::Cancelled))
        .back(Back::Refused);

fn is_release(msg: &Msg) -> bool {
    msg.body == Body::Stock(crate::inventory::command::Command::Release { order: ID })
}

fn wanted_out(world: &World) -> bool {
    world.order().is_some_and(|order| order.cancel_wanted)
}
