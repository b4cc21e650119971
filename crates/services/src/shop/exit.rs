//! What a cell says to the outside, and which mailbox a unit reads.

use std::sync::Arc;

use jangbu_engine::cell::Outlet;
use jangbu_engine::executor::Executor;
use jangbu_engine::mailbox::{Answer, Mailbox, Waiter};
use jangbu_engine::unit::Signal;
use jangbu_kernel::{Envelope, Job, UnitId};

use crate::hub::Hub;
use crate::link::Door;

/// Runs answers and signals somewhere; must not block. The default runs them where they are.
pub type Deliver = Arc<dyn Fn(Delivery) + Send + Sync>;

/// What a commit has to say, to be run by whoever knows the threads of those who wait.
pub struct Delivery {
    answers: Vec<(Waiter, Answer)>,
    signals: Vec<Signal>,
    hub: Arc<Hub>,
    /// The followers of the cell, who hear its signals, too.
    door: Option<Arc<Door>>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({} answers, {} signals)", self.answers.len(), self.signals.len())
    }
}

impl Delivery {
    /// What another process' commit has to say here.
    pub(crate) fn from_owner(
        answers: Vec<(Waiter, Answer)>,
        signals: Vec<Signal>,
        hub: Arc<Hub>,
    ) -> Self {
        Self { answers, signals, hub, door: None }
    }

    /// Tells everybody.
    pub fn run(self) {
        if let Some(door) = self.door.filter(|_| !self.signals.is_empty()) {
            door.signal(&self.signals);
        }
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

/// Which mailbox a unit reads.
#[derive(Debug, Clone)]
pub struct Directory(pub(super) Arc<[(UnitId, Arc<Mailbox>)]>);

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
    /// Where the followers of the cell come in; none: it is not shared.
    pub(crate) door: Option<Arc<Door>>,
}

impl std::fmt::Debug for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exit").finish_non_exhaustive()
    }
}

impl Outlet for Exit {
    fn deliver(&mut self, answers: Vec<(Waiter, Answer)>, signals: Vec<Signal>) {
        let (hub, door) = (Arc::clone(&self.hub), self.door.clone());
        (self.deliver)(Delivery { answers, signals, hub, door });
    }

    fn call(&mut self, jobs: Vec<Job>) {
        self.executor.start(jobs);
    }

    fn forward(&mut self, envelopes: Vec<Envelope>) {
        self.directory.tell(envelopes);
    }
}
