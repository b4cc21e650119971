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

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use jangbu_engine::cell::{Cell, Outlet};
use jangbu_engine::chore::{Chore, Chores};
use jangbu_engine::clock::Clock;
use jangbu_engine::copy::{Copy, Moment, Whole};
use jangbu_engine::counters::{Counters, Snapshot};
use jangbu_engine::executor::{Executor, ExecutorLimits, ExecutorStats, Ticker};
use jangbu_engine::keep::{Floor, Keep, Keeper, Kept};
use jangbu_engine::mailbox::{Answer, Limits, Mailbox, Waiter, Why};
use jangbu_engine::owner::Owner;
use jangbu_engine::port::{Backend, Fault};
use jangbu_engine::unit::Signal;
use jangbu_kernel::{Envelope, Job, Mint, UnitId};
use jangbu_psp::Gateway;
use parking_lot::Mutex;

use crate::gateway::PaymentCaller;
use crate::hub::Hub;
use crate::registry::{self, Rules};

/// Runs answers and signals somewhere; must not block. The default runs them where they are.
pub type Deliver = Arc<dyn Fn(Delivery) + Send + Sync>;

/// What a commit has to say, to be run by whoever knows the threads of those who wait.
pub struct Delivery {
    answers: Vec<(Waiter, Answer)>,
    signals: Vec<Signal>,
    hub: Arc<Hub>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({} answers, {} signals)", self.answers.len(), self.signals.len())
    }
}

impl Delivery {
    /// Tells everybody.
    pub fn run(self) {
        // Who hears an answer finds that what is kept in memory knows of its commit.
        self.hub.keep(&self.signals);
        for (waiter, answer) in self.answers {
            waiter(answer);
        }
        if !self.signals.is_empty() {
            self.hub.tell(self.signals);
        }
    }
}

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
        }
    }
}

/// Which mailbox a unit reads.
#[derive(Debug, Clone)]
pub struct Directory(Arc<[(UnitId, Arc<Mailbox>)]>);

impl Directory {
    /// A directory of `entries`.
    pub fn new(entries: Vec<(UnitId, Arc<Mailbox>)>) -> Self {
        Self(entries.into())
    }

    /// The mailbox of a unit.
    pub fn mailbox(&self, unit: UnitId) -> &Arc<Mailbox> {
        let found = self.0.iter().find(|(id, _)| *id == unit);
        found.map_or_else(|| panic!("no cell has {unit:?}"), |(_, mailbox)| mailbox)
    }

    /// Posts each envelope to its unit, in order.
    pub fn tell(&self, envelopes: Vec<Envelope>) {
        let mut envelopes = envelopes.into_iter().peekable();
        while let Some(first) = envelopes.next() {
            let mailbox = self.mailbox(first.to);
            let mut same = vec![first];
            while let Some(next) =
                envelopes.next_if(|next| Arc::ptr_eq(self.mailbox(next.to), mailbox))
            {
                same.push(next);
            }
            mailbox.tell(same);
        }
    }
}

/// What a cell says to the outside.
pub struct Exit {
    /// Where other cells are.
    pub directory: Directory,
    /// Who starts calls.
    pub executor: Executor,
    /// Who waits for orders.
    pub hub: Arc<Hub>,
    /// Where answers run.
    pub deliver: Deliver,
}

impl std::fmt::Debug for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exit").finish_non_exhaustive()
    }
}

impl Outlet for Exit {
    fn deliver(&mut self, answers: Vec<(Waiter, Answer)>, signals: Vec<Signal>) {
        (self.deliver)(Delivery { answers, signals, hub: Arc::clone(&self.hub) });
    }

    fn call(&mut self, jobs: Vec<Job>) {
        self.executor.start(jobs);
    }

    fn forward(&mut self, envelopes: Vec<Envelope>) {
        self.directory.tell(envelopes);
    }
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    directory: Directory,
    owners: Mutex<Vec<Owner>>,
    counters: Vec<Arc<Counters>>,
    chores: Vec<Arc<Chores>>,
    kept: Arc<Kept>,
    executor: Executor,
    ticker: Mutex<Option<Ticker>>,
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    mint: Mint,
}

impl Shop {
    /// Opens the stores, takes up what was under way, and begins to work.
    pub fn open(layout: Layout) -> Result<Self, Fault> {
        let Layout { cells, gateway, clock, rules, limits, calls, deliver } = layout;
        let hub = Arc::new(Hub::default());
        let mut entries = Vec::new();
        let mut mailboxes = Vec::new();
        for cell in &cells {
            let mailbox = Arc::new(Mailbox::new(limits, Arc::clone(&clock)));
            entries.extend(cell.units.iter().map(|unit| (*unit, Arc::clone(&mailbox))));
            mailboxes.push(mailbox);
        }
        let directory = Directory::new(entries);
        let answers = directory.clone();
        let executor = Executor::new(
            Arc::new(PaymentCaller::new(gateway)),
            Arc::new(move |envelopes| answers.tell(envelopes)),
            Arc::clone(&clock),
            calls,
        );
        let ticker = executor.keep_time();
        let ticker = ticker.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        let mut shop = Self {
            directory: directory.clone(),
            owners: Mutex::default(),
            counters: Vec::new(),
            chores: Vec::new(),
            kept: Arc::default(),
            executor: executor.clone(),
            ticker: Mutex::new(Some(ticker)),
            hub: Arc::clone(&hub),
            clock: Arc::clone(&clock),
            mint: Mint::new(0),
        };
        for (cell, mailbox) in cells.into_iter().zip(mailboxes) {
            let counters = Arc::new(Counters::default());
            let exit = Exit {
                directory: directory.clone(),
                executor: executor.clone(),
                hub: Arc::clone(&hub),
                deliver: Arc::clone(&deliver),
            };
            let (units, rules) = (cell.units, rules.clone());
            let (of_cell, box_of_cell) = (Arc::clone(&counters), Arc::clone(&mailbox));
            let chores: Arc<Chores> = Arc::default();
            shop.chores.push(Arc::clone(&chores));
            let make = move || {
                let units = registry::units(&units, &rules);
                Cell::new(units, box_of_cell, Box::new(exit), of_cell).with_chores(chores)
            };
            let of_owner = Arc::clone(&counters);
            let owner = Owner::start(cell.backend, mailbox, Arc::clone(&clock), of_owner, make)?;
            shop.owners.get_mut().push(owner);
            shop.counters.push(counters);
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

    /// Whether every owner is at work.
    fn is_writing(&self) -> bool {
        let owners = self.owners.lock();
        !owners.is_empty() && owners.iter().all(Owner::is_running)
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

    /// Takes nothing new, waits up to `patience` for the answers of calls that are under way,
    /// finishes what waits and closes the stores. Payments whose answer did not come are asked
    /// about after the next start. Whoever asks later is refused.
    pub fn close(&self, patience: Duration) -> Result<(), Fault> {
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
        ended
    }
}
