//! A running shop: its cells on their stores, the executor of gateway calls, the projections.
//!
//! ```text
//! ask ──▶ mailbox ──▶ owner thread (cell) ──▶ deliver: answers, signals
//!            ▲              │ calls                      └▶ hub ─▶ whoever waits for an order
//!            └── executor ◀─┘
//! ```
//!
//! Which domains share a cell is data ([`Layout`]): one cell with everything, or several with a
//! store each, which then talk through their mailboxes after the commit.
//!
//! Where several processes share the stores ([`Layout::sharing`]), the thread of a cell owns it or
//! follows its owner, and changes roles while the shop runs ([`jangbu_engine::owner`]). What runs
//! only where the cell is owned asks [`Shop::standing`].

mod exit;
mod open;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jangbu_engine::chore::{Chore, Chores};
use jangbu_engine::clock::Clock;
use jangbu_engine::copy::{Copy, Moment, Whole};
use jangbu_engine::counters::{Counters, Snapshot};
use jangbu_engine::executor::{Executor, ExecutorLimits, ExecutorStats, Ticker};
use jangbu_engine::keep::{Floor, Keep, Keeper, Kept};
use jangbu_engine::mailbox::{Limits, Mailbox, Waiter, Why};
use jangbu_engine::owner::Owner;
use jangbu_engine::port::{Backend, Fault};
use jangbu_engine::position::Position;
use jangbu_engine::role::{Role, Standing};
use jangbu_engine::trace::Tracing;
use jangbu_kernel::{Envelope, Mint, UnitId};
use jangbu_psp::Gateway;
use parking_lot::Mutex;

use crate::gateway::PaymentCaller;
use crate::hub::Hub;
use crate::link::{Bound, Link, LinkStats, Sharing};
use crate::registry::{self, Rules};

use open::{Opened, Opening};

pub use exit::{Deliver, Delivery, Directory, Exit};

/// Which units share a cell, and where its rows are.
#[derive(Debug, Clone)]
pub struct CellPlan {
    /// The units.
    pub units: Vec<UnitId>,
    /// Their store.
    pub backend: Arc<dyn Backend>,
}

/// What a shop is made of.
pub struct Layout {
    /// The cells; each unit in one of them.
    pub cells: Vec<CellPlan>,
    /// The payment gateway.
    pub gateway: Arc<dyn Gateway>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Deadlines and patience.
    pub rules: Rules,
    /// Bounds of mailboxes and batches.
    pub limits: Limits,
    /// Bounds of the gateway calls.
    pub calls: ExecutorLimits,
    /// Where answers run.
    pub deliver: Deliver,
    /// How the stores are shared with other processes; none: they are this one's alone.
    pub sharing: Option<Sharing>,
    /// Where the spans of traced commands go.
    pub tracer: Tracing,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layout").field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl Layout {
    /// Everything in one cell, with defaults.
    pub fn one_cell(
        backend: Arc<dyn Backend>,
        gateway: Arc<dyn Gateway>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            cells: vec![CellPlan { units: registry::UNITS.to_vec(), backend }],
            rules: Rules::new(gateway.name()),
            gateway,
            clock,
            limits: Limits::default(),
            calls: ExecutorLimits::default(),
            deliver: Arc::new(Delivery::run),
            sharing: None,
            tracer: None,
        }
    }
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    directory: Directory,
    owners: Mutex<Vec<Owner>>,
    counters: Vec<Arc<Counters>>,
    chores: Vec<Arc<Chores>>,
    standings: Vec<Arc<Standing>>,
    kept: Arc<Kept>,
    executor: Executor,
    ticker: Mutex<Option<Ticker>>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    mint: Arc<Mint>,
    link: Option<Link>,
    tracer: Tracing,
}

/// How long an owner waits for another process to take what it hands over.
const TAKEN_OVER: Duration = Duration::from_secs(2);

impl Shop {
    /// Opens the stores, takes up what was under way, and begins to work.
    pub fn open(layout: Layout) -> Result<Self, Fault> {
        let Layout { cells, gateway, clock, rules, limits, calls, deliver, sharing, tracer } =
            layout;
        let mailbox = |_: &CellPlan| Arc::new(Mailbox::new(limits, Arc::clone(&clock)));
        let mailboxes: Vec<_> = cells.iter().map(mailbox).collect();
        let of_cell = |(cell, mailbox): (&CellPlan, &Arc<Mailbox>)| {
            cell.units.iter().map(|unit| (*unit, Arc::clone(mailbox))).collect::<Vec<_>>()
        };
        let directory = Directory::new(cells.iter().zip(&mailboxes).flat_map(of_cell).collect());
        let answers = directory.clone();
        let executor = Executor::traced(
            Arc::new(PaymentCaller::new(gateway)),
            Arc::new(move |envelopes| answers.tell(envelopes)),
            Arc::clone(&clock),
            calls,
            tracer.clone(),
        );
        let ticker = executor.keep_time();
        let ticker = ticker.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        let bound = |sharing: Sharing| Ok((Bound::bind(&sharing)?, sharing));
        let mut opening = Opening {
            directory: directory.clone(),
            executor: executor.clone(),
            hub: Arc::default(),
            clock: Arc::clone(&clock),
            deliver,
            rules,
            mint: Arc::new(Mint::new(0)),
            sharing: sharing.map(bound).transpose()?,
            doors: Vec::new(),
            tracer: tracer.clone(),
        };
        let plans = cells.into_iter().zip(mailboxes).enumerate();
        let opened: Vec<Opened> =
            plans.map(|(at, (plan, mailbox))| opening.cell(at, plan, mailbox)).collect();
        let mut shop = Self {
            directory,
            owners: Mutex::default(),
            counters: Vec::new(),
            chores: Vec::new(),
            standings: Vec::new(),
            kept: Arc::default(),
            executor,
            ticker: Mutex::new(Some(ticker)),
            hub: Arc::clone(&opening.hub),
            clock,
            mint: Arc::clone(&opening.mint),
            link: opening.link()?,
            tracer,
        };
        for Opened { seat, shared, make, chores } in opened {
            shop.counters.push(Arc::clone(&seat.counters));
            shop.standings.push(Arc::clone(&seat.standing));
            shop.chores.push(chores);
            shop.owners.get_mut().push(Owner::start(seat, shared, make)?);
        }
        Ok(shop)
    }

    /// Asks a unit; `waiter` hears the answer after the commit, or at once if it is not taken.
    pub fn ask(&self, envelope: Envelope, waiter: Waiter) {
        self.directory.mailbox(envelope.to).ask(envelope, waiter);
    }

    /// Tells a unit something that must not be refused, such as a webhook.
    pub fn tell(&self, envelope: Envelope) {
        self.directory.tell(vec![envelope]);
    }

    /// A new id.
    pub fn mint(&self) -> i64 {
        self.mint.next(self.clock.now())
    }

    /// The first of `count` new ids; the others follow by [`Mint::block`].
    pub fn mint_block(&self, count: u32) -> i64 {
        self.mint.take(self.clock.now(), count)
    }

    /// The time.
    pub fn now(&self) -> jangbu_kernel::Time {
        self.clock.now()
    }

    /// Where the spans of traced commands go.
    pub fn tracer(&self) -> &Tracing {
        &self.tracer
    }

    /// Who waits for orders and payments.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Gives the owner of the first cell long work to do, in slices between its commits. Embedded,
    /// it is the only one.
    pub fn post(&self, chore: Box<dyn Chore>) {
        if let Some(chores) = self.chores.first() {
            chores.post(chore);
        }
    }

    /// Copies the database of the first cell to the new file `to` while it works, and waits for it.
    /// `moment` is run when the copy is what the database is.
    pub fn copy<T: Send + 'static>(&self, to: &Path, moment: Moment<T>) -> Result<Whole<T>, Fault> {
        if !self.is_writing() {
            let why = "nothing is written here: the owner of the database makes its copies";
            return Err(Fault::Transient(why.to_owned()));
        }
        let (tell, told) = channel();
        self.post(Box::new(Copy::new(to, moment, tell)));
        loop {
            match told.recv_timeout(Duration::from_millis(200)) {
                Ok(ended) => return ended,
                Err(RecvTimeoutError::Timeout) if self.is_writing() => {}
                Err(_) => {
                    let why = "nothing is written any more: the copy was given up";
                    return Err(Fault::Transient(why.to_owned()));
                }
            }
        }
    }

    /// Whether every cell is written by this process.
    fn is_writing(&self) -> bool {
        let owners = self.owners.lock();
        let running = !owners.is_empty() && owners.iter().all(Owner::is_running);
        running && self.standings.iter().all(|standing| standing.is_owner())
    }

    /// What this process is to its first cell; embedded, its owner.
    pub fn role(&self) -> Role {
        self.standings.first().map_or(Role::Ended, |standing| standing.role())
    }

    /// The same, for whoever runs only where the cell is owned.
    pub fn standing(&self) -> Arc<Standing> {
        self.standings.first().map(Arc::clone).unwrap_or_default()
    }

    /// Where other processes reach this one; none: it shares nothing.
    pub fn address(&self) -> Option<&str> {
        self.link.as_ref().map(|link| &*link.address)
    }

    /// What the link to other processes has done; none: nothing is shared.
    pub fn link(&self) -> Option<LinkStats> {
        self.link.as_ref().map(Link::stats)
    }

    /// Ends every connection of followers, as a broken network would: they come again.
    pub fn cut_link(&self) {
        self.link.iter().for_each(Link::cut);
    }

    /// Gives the cells that this process owns to others that follow it, as before a stop: they go on
    /// at once, and what still comes here is sent to them. Waits until they have it. Without
    /// followers it changes nothing.
    pub fn hand_over(&self) {
        let Some(link) = &self.link else { return };
        let follows = |role: &Role| matches!(role, Role::Follower { linked: true, .. });
        let owners = self.owners.lock();
        for (at, (owner, standing)) in owners.iter().zip(&self.standings).enumerate() {
            if !standing.is_owner() || link.followers(at) == 0 {
                continue;
            }
            owner.hand_over();
            if !standing.wait(TAKEN_OVER, follows) {
                tracing::warn!(cell = at, "nobody has taken the cell over in time");
            }
        }
    }

    /// Trims and purges old rows from now on, but no event beyond `floor`.
    pub fn keep(&self, keep: Keep, floor: Floor) {
        self.post(Box::new(Keeper::new(keep, floor, Arc::clone(&self.kept))));
    }

    /// What has been trimmed, and what waits for it.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The counters of each cell.
    pub fn counters(&self) -> Vec<Snapshot> {
        self.counters.iter().map(|counters| counters.snapshot()).collect()
    }

    /// How far the first cell has come: its commits that are answered from here on are of this position or
    /// an earlier one.
    pub fn position(&self) -> Position {
        self.counters.first().map(|counters| counters.reached.get()).unwrap_or_default()
    }

    /// Somebody has read that the store is at `at`.
    pub fn seen_at(&self, at: Position) {
        self.counters.iter().take(1).for_each(|counters| counters.reached.raise(at));
    }

    /// What the executor of gateway calls has done.
    pub fn calls(&self) -> ExecutorStats {
        self.executor.stats()
    }

    /// For how long no payment would reach the gateway, because its breaker is open; none: it
    /// would be sent. Business that can wait is refused then before anything is written down.
    pub fn gateway_open(&self) -> Option<Duration> {
        let left = self.executor.refuses()?;
        Some(Duration::from_micros(u64::try_from(left.0).unwrap_or(0)))
    }

    /// Number of commands that wait in all mailboxes.
    pub fn waiting(&self) -> usize {
        self.mailboxes().iter().map(|mailbox| mailbox.len()).sum()
    }

    /// Takes no new business (or takes it again).
    pub fn set_read_only(&self, on: bool) {
        for mailbox in self.mailboxes() {
            mailbox.set_read_only(on.then_some(Why::ReadOnly));
        }
    }

    /// Why new business is refused, if it is.
    pub fn read_only(&self) -> Option<Why> {
        self.mailboxes().iter().find_map(|mailbox| mailbox.read_only())
    }

    fn mailboxes(&self) -> Vec<&Arc<Mailbox>> {
        let mut seen: Vec<&Arc<Mailbox>> = Vec::new();
        for (_, mailbox) in self.directory.0.iter() {
            if !seen.iter().any(|known| Arc::ptr_eq(known, mailbox)) {
                seen.push(mailbox);
            }
        }
        seen
    }

    /// Hands over to whoever follows, takes nothing new, waits up to `patience` for the answers of calls that are under way,
    /// finishes what waits and closes the stores. Payments whose answer did not come are asked
    /// about after the next start. Whoever asks later is refused.
    pub fn close(&self, patience: Duration) -> Result<(), Fault> {
        self.hand_over();
        for mailbox in self.mailboxes() {
            mailbox.set_read_only(Some(Why::Stopping));
        }
        self.executor.drain(patience);
        drop(self.ticker.lock().take());
        let mut ended = Ok(());
        for owner in std::mem::take(&mut *self.owners.lock()) {
            // Each of them is stopped, whatever became of the others.
            let stopped = owner.stop();
            ended = ended.and(stopped);
        }
        self.link.iter().for_each(Link::stop);
        ended
    }
}
