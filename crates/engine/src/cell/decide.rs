//! Decide: each root of a batch with everything that follows from it in this cell.

use jangbu_kernel::{Ctx, Envelope, Origin, Payload, Time};

use super::load::Earlier;
use super::spans::Phase;
use super::{Broken, Cell, Done};
use crate::books::{Audited, Books};
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::desk::{self, Kept};
use crate::mailbox::{Answer, Item};
use crate::port::Tx;
use crate::unit::{Refusal, Verdict, When};

/// More commands than this from one root are a bug in the domains: the root is set aside. (They
/// must not be dropped: a posting to the ledger could be among them.)
const CASCADE: usize = 64;

impl Cell {
    /// Load and decide: everything between `begin` and the first write.
    pub(super) fn decide_all(
        &mut self,
        tx: &mut dyn Tx,
        batch: &mut [Item],
        now: Time,
    ) -> Result<Done, Broken> {
        let mut watch = Stopwatch::start();
        let watched = self.watch(batch);
        self.at = None;
        self.sink.clear();
        self.plan.clear();
        self.open(tx)?;
        self.load(tx, batch, now)?;
        let read = watch.lap();
        let mut done = Done { watched, ..Done::default() };
        self.phase(Phase::Load, &mut done);
        let mut on_demand = 0;
        for (at, item) in batch.iter_mut().enumerate() {
            self.at = Some(at);
            self.enter(at, item, done.watched.as_deref_mut());
            let answer = self.root(tx, item, &mut done, &mut on_demand)?;
            self.decided(done.watched.as_deref_mut());
            done.answers.push(item.told(answer));
        }
        self.at = None;
        self.finish(now, &mut done);
        self.phase(Phase::Decide, &mut done);
        Counters::add(&self.counters.read_ns, read + on_demand);
        Counters::add(&self.counters.decide_ns, watch.lap().saturating_sub(on_demand));
        Ok(done)
    }

    /// Decides one root command and everything that follows from it in this cell.
    fn root(
        &mut self,
        tx: &mut dyn Tx,
        item: &mut Item,
        done: &mut Done,
        on_demand: &mut u64,
    ) -> Result<Option<Answer>, Broken> {
        let waited = item.is_client();
        let envelope = &mut item.envelope;
        let Some(unit) = self.unit(envelope.to) else {
            panic!("{:?} is not in this cell", envelope.to)
        };
        if let Some(earlier) = self.adopt(envelope) {
            Counters::add(&self.counters.replays, 1);
            let answer = || match earlier {
                Earlier::Same => self.reply(unit, envelope, true),
                Earlier::Other(resource) => Answer::KeyReused { resource },
                Earlier::Expired(resource) => Answer::KeyExpired { resource },
            };
            return Ok(waited.then(answer));
        }
        let ctx = self.ctx(envelope);
        let before = self.describe(unit, envelope, When::Before);
        Counters::add(&self.counters.commands, 1);
        if let Verdict::Refused(refusal) = self.units[unit].decide(envelope, &ctx, &mut self.sink) {
            Counters::add(&self.counters.rejects, 1);
            // A saga that asked from another cell hears that its step was refused.
            self.cascade(tx, &ctx, done, on_demand)?;
            return Ok(waited.then_some(Answer::Refused(refusal)));
        }
        if envelope.to == desk::UNIT {
            self.again(tx, &ctx, done, on_demand)?;
        }
        self.cascade(tx, &ctx, done, on_demand)?;
        self.audit(unit, envelope, before);
        self.remember(unit, envelope);
        Ok(waited.then(|| self.reply(unit, envelope, false)))
    }

    /// Runs what the desk took from the poison table, as the root that it was. If a client has had
    /// it done meanwhile, under the same key, it is done.
    fn again(
        &mut self,
        tx: &mut dyn Tx,
        ctx: &Ctx,
        done: &mut Done,
        on_demand: &mut u64,
    ) -> Result<(), Broken> {
        let Some(mut envelope) = self.sink.effects.pop_front() else { return Ok(()) };
        let (unit, body) = self.kept(envelope.body.expect_ref());
        envelope.body = body;
        if let Some(key) = envelope.key.as_deref() {
            self.look_up(tx, &envelope)?;
            if self.books().recall(key).is_some() {
                return Ok(());
            }
        }
        self.bring(tx, (unit, &*envelope.body), on_demand)?;
        let ctx = Ctx { correlation: envelope.correlation.clone(), ..ctx.clone() };
        Counters::add(&self.counters.commands, 1);
        let verdict = self.units[unit].decide(&envelope, &ctx, &mut self.sink);
        if let Verdict::Refused(Refusal { code, .. }) = verdict {
            // A saga hears that its step was refused; nobody else can be told.
            let heard = matches!(envelope.origin, Origin::Saga { .. });
            assert!(heard, "refused: {code}");
        }
        self.cascade(tx, &ctx, done, on_demand)?;
        self.remember(unit, &envelope);
        Ok(())
    }

    /// A key that was carried out is known from now on.
    fn remember(&mut self, unit: usize, envelope: &Envelope) {
        if let Some(key) = envelope.key.as_deref() {
            let resource = self.units[unit].resource(&*envelope.body);
            self.books().remember(key, resource);
        }
    }

    /// The unit and the command of an item of the poison table.
    fn kept(&self, kept: &Kept) -> (usize, Box<dyn Payload>) {
        let unit = self.units.iter().position(|unit| unit.id().0 == kept.unit);
        let Some(unit) = unit else { panic!("{} is not in this cell", kept.unit) };
        let body = self.units[unit].decode(&kept.payload);
        (unit, body.unwrap_or_else(|| panic!("the command was kept by another version")))
    }

    /// How the resource of an operator's command is; nobody asks about other commands.
    fn describe(&self, unit: usize, envelope: &Envelope, when: When) -> Option<String> {
        envelope.operator.as_ref()?;
        self.units[unit].describe(&*envelope.body, when)
    }

    /// Writes down what an operator did, in the commit that does it.
    fn audit(&mut self, unit: usize, envelope: &Envelope, before: Option<String>) {
        let Some(operator) = envelope.operator.as_deref() else { return };
        let after = self.describe(unit, envelope, When::After);
        let audited = Audited {
            at: envelope.now,
            operator: operator.clone(),
            unit: envelope.to,
            resource: self.units[unit].subject(&*envelope.body),
            states: [before, after],
            correlation: envelope.correlation.clone(),
        };
        self.books().audit(audited);
    }

    /// The reply of a client command, from its resource as it is after the whole cascade.
    fn reply(&self, unit: usize, envelope: &Envelope, replayed: bool) -> Answer {
        match self.units[unit].recall(&*envelope.body) {
            Some(reply) => Answer::Done { reply, replayed },
            None => panic!("what {:?} made is gone", envelope.body),
        }
    }

    fn ctx(&mut self, envelope: &Envelope) -> Ctx {
        let commit = self.books().shard.commits;
        let (correlation, trace) = (envelope.correlation.clone(), self.trace);
        Ctx { now: envelope.now, commit, correlation, trace }
    }

    /// Runs the effects of a root, first come first served, until none is left.
    fn cascade(
        &mut self,
        tx: &mut dyn Tx,
        ctx: &Ctx,
        done: &mut Done,
        on_demand: &mut u64,
    ) -> Result<(), Broken> {
        let mut steps = 0;
        while let Some(mut effect) = self.sink.effects.pop_front() {
            effect.now = ctx.now;
            effect.correlation.clone_from(&ctx.correlation);
            effect.trace = ctx.trace;
            let Some(unit) = self.unit(effect.to) else {
                done.forward.push(effect);
                continue;
            };
            steps += 1;
            assert!(steps <= CASCADE, "a cascade of more than {CASCADE} commands");
            self.bring(tx, (unit, &*effect.body), on_demand)?;
            Counters::add(&self.counters.commands, 1);
            if let Verdict::Refused(Refusal { code, .. }) =
                self.units[unit].decide(&effect, ctx, &mut self.sink)
            {
                Counters::add(&self.counters.rejects, 1);
                // A refused step of a saga is that saga's business: its unit has heard of it. A
                // fact cannot be refused: the books would lack it.
                let fact = effect.origin == Origin::Event;
                assert!(!fact, "{:?} refused a fact: {code}: {:?}", effect.to, effect.body);
            }
        }
        Ok(())
    }

    /// Rows of the commit, then everything that changed into the plan.
    fn finish(&mut self, now: Time, done: &mut Done) {
        done.jobs.append(&mut self.sink.jobs);
        done.signals.append(&mut self.sink.signals);
        let keyed = self.books.as_ref().is_some_and(Books::has_new);
        let dirty = keyed || !self.sink.events.is_empty();
        if !dirty && !self.units.iter_mut().any(|unit| unit.is_dirty()) {
            return;
        }
        let shard = &self.books().shard;
        let (now, commit) = (shard.clock.max(now), shard.commits);
        let ctx = Ctx { now, commit, correlation: None, trace: None };
        for unit in &mut self.units {
            unit.seal(&ctx, &mut self.sink);
        }
        for unit in &mut self.units {
            unit.save(&mut self.plan);
        }
        if let Some(books) = &mut self.books {
            books.save(&self.sink, &mut self.plan);
        }
        self.plan.sort();
    }
}
