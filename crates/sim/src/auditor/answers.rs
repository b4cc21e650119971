//! What people were told. No answer may contradict an earlier one, and the store must agree with
//! all of them.

use std::collections::BTreeMap;

use jangbu_domain::order::command::Reply as OrderReply;
use jangbu_domain::order::model::{Order, Outcome, State};
use jangbu_domain::payment;
use jangbu_engine::mailbox::{Answer, Why};

use super::rows::Row;
use super::{Broken, law};
use crate::people::Promise;

/// What was last said about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    user: i64,
    total: i64,
    /// Its outcome, once it had ended.
    outcome: Option<&'static str>,
    refunded: i64,
    card: i64,
}

impl View {
    fn of(order: &Order) -> Self {
        let ended = matches!(order.state, State::Completed | State::Cancelled);
        let outcome = order.outcome.filter(|_| ended).map(Outcome::name);
        let (user, total, refunded) = (order.user.0, order.total, order.refunded);
        Self { user, total, outcome, refunded, card: order.card() }
    }

    /// Whether it may be said after `earlier`.
    fn follows(&self, earlier: &Self) -> bool {
        self.user == earlier.user
            && self.total == earlier.total
            && self.refunded >= earlier.refunded
            && (earlier.outcome.is_none() || self.outcome == earlier.outcome)
    }
}

/// An answer in short.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Done { replayed: bool },
    Refused(&'static str),
    KeyReused,
    KeyExpired,
    NotRun(Why),
}

/// Everything that was said about orders.
#[derive(Debug, Default)]
pub(crate) struct Views(BTreeMap<i64, View>);

impl Views {
    /// What the buyer was last told to pay by card.
    pub(crate) fn due(&self, order: i64) -> Option<i64> {
        self.0.get(&order).map(|view| view.card)
    }
}

impl Views {
    /// Takes an answer, to a request with or without a promise.
    pub(crate) fn hear(
        &mut self,
        answer: Answer,
        promise: Option<&mut Promise>,
        print: [u8; 17],
    ) -> Result<Heard, Broken> {
        match answer {
            Answer::Done { reply, replayed } => {
                let about = match (reply.downcast_ref(), reply.downcast_ref()) {
                    (Some(OrderReply::Order(id, order)), _) => {
                        self.told(id.0, order)?;
                        Some(id.0)
                    }
                    (_, Some(payment::Reply { payment, .. })) => Some(payment.0),
                    _ => None,
                };
                if let Some(promise) = promise {
                    done(promise, print, (about, replayed))?;
                }
                Ok(Heard::Done { replayed })
            }
            Answer::Refused(refusal) => {
                let before = promise.and_then(|promise| promise.accepted);
                law(before.is_none(), || format!("refused ({}), but done before", refusal.code))?;
                Ok(Heard::Refused(refusal.code))
            }
            Answer::KeyReused { .. } => {
                let before = promise.and_then(|promise| promise.accepted);
                let same = before.is_some_and(|(first, _)| first == print);
                law(!same, || "the same request is told to be another".to_owned())?;
                Ok(Heard::KeyReused)
            }
            // A key of long ago: nothing is done, and nothing is compared any more.
            Answer::KeyExpired { .. } => Ok(Heard::KeyExpired),
            Answer::NotRun(why) => Ok(Heard::NotRun(why)),
        }
    }

    fn told(&mut self, id: i64, order: &Order) -> Result<(), Broken> {
        let view = View::of(order);
        let earlier = self.0.insert(id, view.clone());
        let follows = earlier.as_ref().is_none_or(|earlier| view.follows(earlier));
        law(follows, || format!("{id} was told as {earlier:?}, now as {view:?}"))
    }

    /// What was acknowledged is there and says the same.
    pub(super) fn check<'a>(&self, order: impl Fn(i64) -> Option<&'a Row>) -> Result<(), Broken> {
        for (id, view) in &self.0 {
            let Some(row) = order(*id) else {
                return Err(format!("{id} was acknowledged and is lost: {view:?}"));
            };
            let same = row.int("user_id") == view.user
                && row.int("total") == view.total
                && row.int("refunded") >= view.refunded
                && view.outcome.is_none_or(|outcome| row.text("outcome") == outcome);
            law(same, || format!("{id} was told as {view:?}, but the row says {row:?}"))?;
        }
        Ok(())
    }
}

/// P2: one key, one effect.
fn done(
    promise: &mut Promise,
    print: [u8; 17],
    (about, replayed): (Option<i64>, bool),
) -> Result<(), Broken> {
    let resource = about.unwrap_or(0);
    let Some((first, before)) = promise.accepted.replace((print, resource)) else { return Ok(()) };
    law(replayed, || format!("{} was carried out twice", promise.name))?;
    law(first == print, || format!("{} answers another request", promise.name))?;
    law(before == resource, || format!("{}: {before} before, now {resource}", promise.name))
}
