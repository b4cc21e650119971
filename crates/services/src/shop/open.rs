//! How the threads of cells are made, for every role that they may have.

use std::sync::Arc;

use jangbu_engine::cell::Cell;
use jangbu_engine::chore::Chores;
use jangbu_engine::clock::Clock;
use jangbu_engine::counters::Counters;
use jangbu_engine::executor::Executor;
use jangbu_engine::mailbox::Mailbox;
use jangbu_engine::owner::{Seat, Shared};
use jangbu_engine::port::Fault;
use jangbu_engine::role::Standing;
use jangbu_engine::trace::Tracing;
use jangbu_kernel::Mint;

use super::{CellPlan, Deliver, Delivery, Directory, Exit};
use crate::hub::Hub;
use crate::link::{Bound, Door, Envoy, Link, Post, Sharing};
use crate::registry::{self, Rules};

/// What the threads of cells are made from.
pub(super) struct Opening {
    pub(super) directory: Directory,
    pub(super) executor: Executor,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deliver: Deliver,
    pub(super) rules: Rules,
    pub(super) mint: Arc<Mint>,
    pub(super) sharing: Option<(Bound, Sharing)>,
    pub(super) doors: Vec<Arc<Door>>,
    pub(super) tracer: Tracing,
}

/// A cell that is about to be driven.
pub(super) struct Opened {
    pub(super) seat: Seat,
    pub(super) shared: Option<Shared>,
    pub(super) make: Box<dyn Fn() -> Cell + Send>,
    pub(super) chores: Arc<Chores>,
}

impl Opening {
    /// The thread of cell number `at`, not begun.
    pub(super) fn cell(&mut self, at: usize, plan: CellPlan, mailbox: Arc<Mailbox>) -> Opened {
        let CellPlan { units, backend } = plan;
        let (counters, standing): (Arc<Counters>, Arc<Standing>) = Default::default();
        let shared = self.shared(at, &mailbox, (&standing, &counters));
        let door = shared.as_ref().and_then(|_| self.doors.last().cloned());
        let chores: Arc<Chores> = Arc::default();
        let make = {
            let (directory, executor) = (self.directory.clone(), self.executor.clone());
            let (hub, deliver) = (Arc::clone(&self.hub), Arc::clone(&self.deliver));
            let (rules, mailbox) = (self.rules.clone(), Arc::clone(&mailbox));
            let (counters, chores) = (Arc::clone(&counters), Arc::clone(&chores));
            let tracer = self.tracer.clone();
            Box::new(move || {
                let exit = Exit {
                    directory: directory.clone(),
                    executor: executor.clone(),
                    hub: Arc::clone(&hub),
                    deliver: Arc::clone(&deliver),
                    door: door.clone(),
                };
                let units = registry::units(&units, &rules);
                Cell::new(units, Arc::clone(&mailbox), Box::new(exit), Arc::clone(&counters))
                    .with_chores(Arc::clone(&chores))
                    .with_tracer(tracer.clone())
            })
        };
        let clock = Arc::clone(&self.clock);
        let seat = Seat { backend, mailbox, clock, counters, standing };
        Opened { seat, shared, make, chores }
    }

    fn shared(
        &mut self,
        at: usize,
        mailbox: &Arc<Mailbox>,
        (standing, counters): (&Arc<Standing>, &Arc<Counters>),
    ) -> Option<Shared> {
        let (bound, sharing) = self.sharing.as_ref()?;
        let (hub, deliver) = (Arc::clone(&self.hub), Arc::clone(&self.deliver));
        let post = Post {
            cell: u16::try_from(at).unwrap_or(u16::MAX),
            mailbox: Arc::clone(mailbox),
            standing: Arc::clone(standing),
            counters: Arc::clone(counters),
            hub: Arc::clone(&self.hub),
            tell: Arc::new(move |answers, signals| {
                deliver(Delivery::from_owner(answers, signals, Arc::clone(&hub)));
            }),
            mint: Arc::clone(&self.mint),
        };
        let (envoy, door) = Envoy::new(post, bound, sharing, Arc::clone(&self.clock));
        self.doors.push(door);
        let address = bound.address.clone();
        Some(Shared { address, lease: sharing.lease, deputy: Box::new(envoy) })
    }

    /// Lets followers in, if the stores are shared.
    pub(super) fn link(&mut self) -> Result<Option<Link>, Fault> {
        let Some((bound, sharing)) = self.sharing.take() else { return Ok(None) };
        Link::start(bound, &sharing, std::mem::take(&mut self.doors)).map(Some)
    }
}
