//! What happens to stores, processes and messages between cells.
//!
//! A message of a saga may be lost, doubled or late: the saga asks again. Facts for which nobody
//! asks again (the catalogue's offers, postings) travel at least once, as a reader of the outbox
//! carries them: they may be late, out of order and doubled, and they outlive both processes.

use jangbu_domain::order::command::Command as Order;
use jangbu_domain::{order, payment};
use jangbu_engine::port::Fault;
use jangbu_kernel::{Envelope, Origin};
use jangbu_services::registry::TABLES;
use jangbu_store::On;

use crate::plan::{GatewayRisks, MailRisks, Plan, StoreRisks};
use crate::world::{Happening, World};

/// Tables of which a store may refuse a row: what it is keyed by.
const REFUSED: [&str; 4] = ["orders", "payment", "reservation", "orders"];

impl Plan {
    /// Nothing goes wrong any more; the gateway still has its opinions.
    pub(crate) fn calm(&mut self) {
        self.store = StoreRisks::default();
        self.mail = MailRisks::default();
        let refuse_refund = self.gateway.refuse_refund;
        self.gateway = GatewayRisks { refuse_refund, ..GatewayRisks::default() };
    }
}

impl World {
    /// Decides what the store does to the next step; true: the process dies after it.
    ///
    /// Where there are several cells, a store has one fault at a time: if the answer of a commit is
    /// lost and the cell dies before it can ask, the facts of that commit for other cells stand in the
    /// outbox alone, from which no cell is served yet.
    pub(crate) fn draw_store_fate(&mut self, cell: usize) -> bool {
        let risks = self.plan.store.clone();
        if self.dice.chance(risks.crash) {
            self.tally.add("died between steps");
            self.say(format_args!("cell {cell} dies"));
            self.restart(cell);
        }
        let (skip, on) = (self.skip(), self.call_of_store());
        let times = u32::try_from(self.dice.between(1, 3)).unwrap_or(1);
        let planned = |what: &str| format!("{what}, as planned");
        let faults = self.stations[cell].faults().clone();
        let alone = self.stations.len() == 1;
        let free = || alone || faults.is_spent();
        if self.dice.chance(risks.transient) && free() {
            self.tally.add("store: busy");
            faults.fail_after(skip, on, times, Fault::Transient(planned("busy")));
        }
        if self.dice.chance(risks.full) && free() {
            self.tally.add("store: full");
            faults.fail_after(skip, On::Write, times, Fault::Full(planned("full")));
        }
        if self.dice.chance(risks.fatal) && free() {
            self.tally.add("store: failed");
            faults.fail_after(skip, on, 1, Fault::Fatal(planned("failed")));
        }
        if self.dice.chance(risks.lost) && free() {
            if self.dice.chance(500) {
                self.tally.add("store: commit done, answer lost");
                faults.lose_answers(skip, 1);
            } else {
                self.tally.add("store: commit not done, answer lost");
                faults.lose_commits(skip, 1);
            }
        }
        if self.dice.chance(risks.item) {
            self.refuse_a_row(cell);
        }
        self.dice.chance(risks.mute)
    }

    fn skip(&mut self) -> u32 {
        u32::try_from(self.dice.below(3)).unwrap_or(0)
    }

    fn call_of_store(&mut self) -> On {
        [On::Begin, On::Read, On::Write, On::Commit][self.dice.below(4)]
    }

    /// The store refuses one row for a while.
    fn refuse_a_row(&mut self, cell: usize) {
        let name = REFUSED[self.dice.below(REFUSED.len())];
        let table = TABLES.iter().find(|table| table.name == name);
        let order = self.dice.pick(&self.people.orders).map(|id| id.0);
        let (Some(table), Some(id)) = (table, order) else { return };
        self.tally.add("store: refuses a row");
        self.say(format_args!("cell {cell} refuses {name} {id}"));
        self.stations[cell].faults().poison(table, [id, 0, 0]);
        let pause = self.dice.between(0, 90_000_000);
        self.after(pause, Happening::Heal(cell));
    }

    /// The process of a cell begins anew on what it had committed.
    pub(crate) fn restart(&mut self, cell: usize) {
        self.stations[cell].restart();
        self.forget_questions(cell);
        if self.stations[cell].has(payment::UNIT) {
            self.calls.die();
        }
        let facts: Vec<_> =
            self.facts[cell].iter().filter_map(|fact| self.stations[cell].copy(fact)).collect();
        for fact in facts {
            self.stations[cell].tell(fact);
        }
        let pause = self.dice.between(1_000, 3_000_000);
        self.wake(cell, pause);
    }

    /// The process died before anybody heard of its last commit; facts are in the outbox.
    pub(crate) fn fall_silent(&mut self, mute: bool) {
        if !mute {
            return;
        }
        let mut left = self.exit.lock();
        left.answers.clear();
        left.jobs.clear();
        left.forward.retain(is_fact);
    }

    /// A message leaves for another cell.
    pub(crate) fn post(&mut self, envelope: Envelope) {
        let (risks, cell) = (self.plan.mail.clone(), self.cell_of(envelope.to));
        let fact = is_fact(&envelope);
        if !fact && self.dice.chance(risks.lose) {
            self.say(format_args!("lost: {:?}", envelope.body));
            return self.tally.add("mail: lost");
        }
        // Only a saga asks twice: what it asks once arrives once at most.
        let asked = matches!(envelope.origin, Origin::Saga { .. });
        let copy = self.stations[cell].copy(&envelope).filter(|_| !asked);
        if fact && let Some(copy) = self.stations[cell].copy(&envelope) {
            self.facts[cell].push(copy);
        }
        if let Some(copy) = copy.filter(|_| self.dice.chance(risks.twice)) {
            self.tally.add("mail: doubled");
            let pause = self.dice.between(200, 30_000_000);
            self.after(pause, Happening::Arrive(copy));
        }
        let late = self.dice.chance(risks.delay);
        if late {
            self.tally.add("mail: delayed");
        }
        let pause = self.dice.between(100, if late { 20_000_000 } else { 2_000 });
        self.after(pause, Happening::Arrive(envelope));
    }
}

/// Whether nobody would ask for it again.
fn is_fact(envelope: &Envelope) -> bool {
    if envelope.origin != Origin::Event {
        return false;
    }
    let hears = || matches!(envelope.body.expect_ref(), Order::Hear { .. });
    envelope.to != order::command::UNIT || !hears()
}
