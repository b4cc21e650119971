//! One world: a queue of what will happen, a clock that jumps from one to the next, and everything
//! that makes more of it happen. No threads, no real time: the seed is the whole input.
//!
//! ```text
//! open ──▶ busy ────────────────▶ close ───────────▶ rest
//! goods     people act, the store   nothing fails any   every saga has ended, or is stuck with a
//! come in   fails, cells die, the   more; operators     reason; gateway, payments, books and
//!           network and the         look after what     stock agree
//!           gateway do their worst  is stuck
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::order::command::Verb;
use jangbu_domain::payment::command::{Command as Payment, Verdict};
use jangbu_engine::cell::Step;
use jangbu_engine::desk;
use jangbu_engine::mailbox::Answer;
use jangbu_kernel::{Envelope, OrderId, Origin, PaymentId, Time, UnitId};

use crate::auditor::{Auditor, Broken, Heard};
use crate::calls::{Call, Calls, Voice};
use crate::dice::Dice;
use crate::gateway::Gateway;
use crate::people::{Asking, Body, People, loose, operation};
use crate::plan::Plan;
use crate::station::{Exit, Hand, Station};
use crate::tally::Tally;
use crate::trace::Trace;

/// When every world begins.
pub(crate) const START: i64 = 1_800_000_000_000_000;
/// More than this is a world that does not come to rest.
const MOST: u32 = 20_000;

/// What will happen.
pub(crate) enum Happening {
    /// Somebody acts.
    Act,
    /// A cell is stepped, unless it was planned otherwise meanwhile.
    Step(usize),
    /// A message of another cell arrives.
    Arrive(Envelope),
    /// A request arrives at the gateway.
    Call(Call),
    /// An answer of the gateway arrives here.
    Voice(Voice),
    /// A call has had no answer in its time.
    TimeUp(u64),
    /// A store that refused a row takes it again.
    Heal(usize),
}

/// Who waits for an answer.
struct Question {
    cell: usize,
    promise: Option<usize>,
    print: [u8; 17],
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) now: i64,
    clock: Arc<Hand>,
    pub(crate) exit: Exit,
    pub(crate) stations: Vec<Station>,
    queue: BTreeMap<(i64, u64), Happening>,
    numbers: u64,
    pub(crate) gateway: Gateway,
    pub(crate) calls: Calls,
    pub(crate) people: People,
    questions: BTreeMap<u64, Question>,
    auditor: Auditor,
    actions: i64,
    pub(crate) events: u32,
    /// Facts for which nobody asks again, by the cell that they are for.
    pub(crate) facts: Vec<Vec<Envelope>>,
}

impl World {
    pub(crate) fn new(seed: u64, keep: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::draw(&mut dice);
        let (clock, exit) = (Arc::new(Hand::at(START)), Exit::default());
        // What is read ahead changes nothing, so it is no part of the plan.
        let far = seed % 2 == 1;
        let stations = plan.cut.iter().map(|units| Station::new(units, &clock, &exit, far));
        let (stations, facts): (Vec<_>, Vec<_>) = stations.map(|s| (s, Vec::new())).unzip();
        let (auditor, actions) = (Auditor::new(plan.cut.clone()), plan.actions);
        let mut trace = Trace::new(keep);
        trace.say(0, format_args!("{plan:?}"));
        Self {
            plan,
            dice,
            trace,
            tally: Tally::default(),
            now: START,
            clock,
            exit,
            stations,
            queue: BTreeMap::new(),
            numbers: 0,
            gateway: Gateway::default(),
            calls: Calls::default(),
            people: People::default(),
            questions: BTreeMap::new(),
            auditor,
            actions,
            events: 0,
            facts,
        }
    }

    /// The whole life of the world; an error is a law that was broken.
    pub(crate) fn live(&mut self) -> Result<(), Broken> {
        let plan = self.plan.clone();
        self.plan.calm();
        let mut bodies = self.people.stock_up(plan.skus, plan.stock);
        bodies.extend(self.people.gifts(&mut self.dice, START));
        for body in bodies {
            self.ask(&loose(body));
            // Not until timers are at rest: what is given out would be too old.
            self.run(|world| world.questions.is_empty())?;
        }
        self.plan = plan;
        self.after(10_000, Happening::Act);
        self.run(|_| false)?;
        self.close()
    }

    /// Nothing fails any more, and operators see to the rest.
    fn close(&mut self) -> Result<(), Broken> {
        self.say(format_args!("closed"));
        self.plan.calm();
        for cell in 0..self.stations.len() {
            self.stations[cell].faults().clear();
            self.after(1_000, Happening::Step(cell));
            self.stations[cell].wake = Some(self.now + 1_000);
        }
        self.run(|_| false)?;
        for round in 0..12 {
            let chores = self.auditor.chores();
            let tended = chores.is_empty();
            if tended || !self.plan.operators && chores.poison.is_empty() {
                break;
            }
            self.tend(round);
            self.run(|_| false)?;
        }
        law_of_silence(&self.questions)?;
        self.auditor.rest(&self.gateway, self.plan.operators)
    }

    /// One round of operators' work: patient first, then not.
    fn tend(&mut self, round: u32) {
        let chores = self.auditor.chores();
        for (cell, id) in chores.poison {
            let command =
                if round < 2 { desk::Command::Retry { id } } else { desk::Command::Discard { id } };
            self.ask_cell(cell, &loose(Body::Desk(command)));
        }
        if !self.plan.operators {
            return;
        }
        let verb = [Verb::Retry, Verb::Compensate, Verb::Abandon][(round as usize % 3).min(2)];
        for order in chores.stuck {
            self.ask(&loose(operation(OrderId(order), verb)));
        }
        if round < 2 {
            return;
        }
        for id in chores.unknown {
            let body = self.verdict(id);
            self.ask(&loose(Body::Payment(body)));
        }
        for (id, no) in chores.refunds {
            let given =
                self.gateway.account(id).and_then(|a| a.refunds.get(&no).copied().flatten());
            let (payment, given, evidence) = (PaymentId(id), given.is_some(), "statement".into());
            let body = Payment::ResolveRefund { payment, no, given, evidence };
            self.ask(&loose(Body::Payment(body)));
        }
    }

    /// What the gateway's books say, after it has promised that nothing more will come.
    fn verdict(&mut self, id: i64) -> Payment {
        self.gateway.fence(id);
        let captured = self.gateway.account(id).is_some_and(|account| account.captured > 0);
        let verdict = if captured { Verdict::Captured } else { Verdict::NotCharged };
        Payment::Resolve { payment: PaymentId(id), verdict, evidence: "statement".into() }
    }

    /// Until that is enough, or nothing is left to happen.
    fn run(&mut self, enough: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        while !enough(self) {
            let Some(((at, _), happening)) = self.queue.pop_first() else { break };
            self.now = self.now.max(at);
            self.clock.set(self.now);
            self.events += 1;
            if self.events > MOST {
                return Err("the world does not come to rest".to_owned());
            }
            self.happen(happening)?;
            self.sort_out()?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        match happening {
            Happening::Act => self.act(),
            Happening::Step(cell) => return self.step(cell),
            Happening::Arrive(envelope) => {
                self.say(format_args!("arrives at {:?}: {:?}", envelope.to, envelope.body));
                self.tell(envelope);
            }
            Happening::Call(call) => self.arrive_at_gateway(&call),
            Happening::Voice(voice) => self.hear_voice(voice),
            Happening::TimeUp(call) => self.time_up(call),
            Happening::Heal(cell) => self.stations[cell].faults().clear(),
        }
        Ok(())
    }

    fn act(&mut self) {
        self.actions -= 1;
        if let Some(asking) = self.people.want(&mut self.dice, &self.auditor.views) {
            self.ask(&asking);
        }
        if self.actions > 0 {
            let pause = self.dice.between(0, self.plan.pace);
            self.after(pause, Happening::Act);
        }
    }

    fn step(&mut self, cell: usize) -> Result<(), Broken> {
        if self.stations[cell].wake != Some(self.now) {
            return Ok(()); // It was planned anew.
        }
        self.stations[cell].wake = None;
        let mute = self.draw_store_fate(cell);
        let done = self.stations[cell].step(Time(self.now));
        self.say(format_args!("cell {cell}: {done:?}"));
        if mute || done.is_err() {
            self.tally.add(if mute { "died after a commit" } else { "died of its store" });
            self.fall_silent(mute);
            self.sort_out()?;
            self.restart(cell);
        }
        self.sort_out()?;
        self.look(cell)?;
        self.plan_step(cell, done.unwrap_or(Step::Idle));
        Ok(())
    }

    fn look(&mut self, cell: usize) -> Result<(), Broken> {
        let touched = self.stations[cell].touched.take();
        let mut reader = self.stations[cell].reader();
        let (gateway, tally) = (&self.gateway, &mut self.tally);
        self.auditor.look(cell, (&touched, &mut reader), gateway, tally)
    }

    /// When the cell is stepped next.
    fn plan_step(&mut self, cell: usize, done: Step) {
        let station = &mut self.stations[cell];
        if done == Step::BackOff || station.is_full() {
            let pause = self.dice.between(5_000, 500_000);
            return self.wake(cell, pause);
        }
        if station.has_mail() {
            let pause = self.dice.between(20, 2_000);
            return self.wake(cell, pause);
        }
        if let Some(due) = station.next_due() {
            // What is due and was left alone is looked at again later.
            let again = if done == Step::Idle && due <= self.now { 1_000_000 } else { 1 };
            self.wake(cell, (due - self.now).max(again));
        }
    }

    pub(crate) fn wake(&mut self, cell: usize, pause: i64) {
        let at = self.now + pause;
        let wake = &mut self.stations[cell].wake;
        if wake.is_none_or(|earlier| at < earlier || earlier < self.now) {
            *wake = Some(at);
            self.after(pause, Happening::Step(cell));
        }
    }

    /// Takes what has left the cells: answers to people, calls to the gateway, messages.
    fn sort_out(&mut self) -> Result<(), Broken> {
        let left = std::mem::take(&mut *self.exit.lock());
        for (number, answer) in left.answers {
            self.answered(number, answer)?;
        }
        for job in left.jobs {
            self.start_call(&job);
        }
        for envelope in left.forward {
            self.post(envelope);
        }
        Ok(())
    }

    fn answered(&mut self, number: u64, answer: Answer) -> Result<(), Broken> {
        let Some(question) = self.questions.remove(&number) else {
            return Err(format!("question {number} was answered twice"));
        };
        let promise = question.promise.map(|at| &mut self.people.promises[at]);
        let heard = self.auditor.views.hear(answer, promise, question.print)?;
        match heard {
            Heard::Done { replayed: true } => self.tally.add("replayed"),
            Heard::Done { .. } => self.tally.add("done"),
            Heard::Refused(code) => self.tally.add(&format!("refused {code}")),
            Heard::KeyReused => self.tally.add("key reused"),
            Heard::KeyExpired => self.tally.add("key expired"),
            Heard::NotRun(why) => self.tally.add(&format!("not run {why:?}")),
        }
        self.say(format_args!("answer {number}: {heard:?}"));
        Ok(())
    }

    fn ask(&mut self, asking: &Asking) {
        let to = asking.body.envelope(Origin::Client).to;
        let cell = self.cell_of(to);
        self.ask_cell(cell, asking);
    }

    fn ask_cell(&mut self, cell: usize, asking: &Asking) {
        let mut envelope = asking.body.envelope(Origin::Client);
        envelope.key = self.people.key(asking);
        self.numbers += 1;
        let number = self.numbers;
        let name = asking.promise.map(|at| self.people.promises[at].name.clone());
        self.say(format_args!("ask {number} ({name:?}): {:?}", asking.body));
        let question = Question { cell, promise: asking.promise, print: asking.print };
        self.questions.insert(number, question);
        self.stations[cell].ask(envelope, number);
        let pause = self.dice.between(0, 3_000);
        self.wake(cell, pause);
    }

    /// Whoever waited for an answer of this cell never gets it.
    pub(crate) fn forget_questions(&mut self, cell: usize) {
        self.questions.retain(|_, question| question.cell != cell);
    }

    pub(crate) fn tell(&mut self, envelope: Envelope) {
        let cell = self.cell_of(envelope.to);
        self.stations[cell].tell(envelope);
        let pause = self.dice.between(0, 2_000);
        self.wake(cell, pause);
    }

    pub(crate) fn cell_of(&self, unit: UnitId) -> usize {
        let found = self.stations.iter().position(|station| station.has(unit));
        found.unwrap_or_else(|| panic!("no cell has {unit:?}"))
    }

    pub(crate) fn after(&mut self, pause: i64, happening: Happening) {
        self.numbers += 1;
        self.queue.insert((self.now + pause, self.numbers), happening);
    }

    pub(crate) fn say(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.say(self.now - START, what);
    }
}

/// In the end everybody who waits for an answer has it.
fn law_of_silence(questions: &BTreeMap<u64, Question>) -> Result<(), Broken> {
    let open: Vec<_> = questions.keys().collect();
    if open.is_empty() { Ok(()) } else { Err(format!("never answered: {open:?}")) }
}
