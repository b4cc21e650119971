//! Sending a command and waiting for its commit.

use std::any::Any;
use std::time::Instant;

use jangbu_engine::mailbox::Answer;
use jangbu_kernel::{Envelope, IdemKey, Lane, Origin, Payload, UnitId};
use tokio::sync::oneshot;

use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::problem::Problem;
use crate::{Api, auth, explain, idempotency};

/// A command that was carried out.
#[derive(Debug)]
pub(crate) struct Asked<R> {
    pub(crate) reply: R,
    pub(crate) replayed: bool,
    /// When its commit was known.
    pub(crate) accepted: Instant,
}

/// A command with its key and its fingerprint. One that only operators may give is audited with the
/// header `X-Reason`, unless [`operated`] says why.
pub(crate) fn envelope(call: &Call, to: UnitId, body: impl Payload, canon: Canon) -> Envelope {
    let mut envelope = Envelope::new(to, Origin::Client, body);
    envelope.key = Some(Box::new(idempotency::key(&call.caller, call.name, call.key(), canon)));
    call.mark(&mut envelope);
    envelope.bytes = 256 + call.length();
    if call.operates {
        return operated(envelope, call, "");
    }
    envelope
}

/// A command of an operator: it is audited in the commit that carries it out. `why` is the reason
/// in the body; when it is empty, the header `X-Reason` counts.
pub(crate) fn operated(mut envelope: Envelope, call: &Call, why: &str) -> Envelope {
    envelope.operator = Some(Box::new(auth::operator(call, why)));
    envelope
}

/// Stock-keeping and the catalogue give way to orders.
pub(crate) fn normal(mut envelope: Envelope) -> Envelope {
    envelope.lane = Lane::Normal;
    envelope
}

impl Api {
    /// Asks, and waits for the commit as long as it takes. `held` is dropped when the answer is
    /// there, also when nobody waits for it any more.
    pub(crate) async fn ask<R: Any>(
        &self,
        envelope: Envelope,
        held: impl Send + 'static,
    ) -> Result<Asked<R>, Problem> {
        let (key, correlation) = (envelope.key.as_deref().cloned(), envelope.correlation.clone());
        let (tell, told) = oneshot::channel();
        let waiter = move |answer: Answer| {
            drop(held);
            drop(tell.send((answer, Instant::now())));
        };
        self.shop.ask(envelope, Box::new(waiter));
        match told.await {
            Ok((answer, at)) => {
                if let Answer::KeyExpired { resource } = answer {
                    return Err(expired(key.as_ref(), resource));
                }
                let reused = self.repeats.note(&answer, key, (self.shop.now(), correlation));
                read(answer, at).map_err(|mut problem| {
                    problem.reused = reused.map(Box::new);
                    problem
                })
            }
            Err(_) => Err(unanswered()),
        }
    }

    /// As [`Api::ask`], within the limit of a request.
    pub(crate) async fn ask_soon<R: Any>(&self, envelope: Envelope) -> Result<Asked<R>, Problem> {
        self.ask_holding(envelope, ()).await
    }

    /// As [`Api::ask_soon`], and `held` is dropped when the answer is there: the permit of a request
    /// that may come in a flood.
    pub(crate) async fn ask_holding<R: Any>(
        &self,
        envelope: Envelope,
        held: impl Send + 'static,
    ) -> Result<Asked<R>, Problem> {
        let asked = tokio::time::timeout(self.settings.request, self.ask(envelope, held));
        asked.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

/// Nobody knows yet whether the command will be carried out.
pub(crate) fn unanswered() -> Problem {
    let detail = "the command may or may not be carried out; send it again with the same key, \
                  which does it once";
    Problem::of(Own::Unanswered, detail)
}

fn read<R: Any>(answer: Answer, accepted: Instant) -> Result<Asked<R>, Problem> {
    match answer {
        Answer::Done { reply, replayed } => match reply.downcast() {
            Ok(reply) => Ok(Asked { reply: *reply, replayed, accepted }),
            Err(_) => Err(Problem::of(Own::Internal, "the reply has another type")),
        },
        Answer::Refused(refusal) => Err(explain::refusal(&refusal)),
        Answer::KeyReused { .. } => Err(Problem::of(
            Own::KeyReused,
            "this Idempotency-Key came before with another body; use a new one",
        )),
        Answer::KeyExpired { resource } => Err(expired(None, resource)),
        Answer::NotRun(why) => Err(Problem::not_run(why)),
    }
}

/// The key is too old; what its request made is still there.
fn expired(key: Option<&IdemKey>, resource: i64) -> Problem {
    let operation = key.and_then(|key| key.scope.rsplit(':').next()).unwrap_or_default();
    let made = crate::explain_key::resource(operation, resource);
    let detail = "this Idempotency-Key came first more than 15 days ago: look at what it made, and \
                  use a new key for a new request";
    Problem::of(Own::KeyExpired, detail).at("resource", made)
}
