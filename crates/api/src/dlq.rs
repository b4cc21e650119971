//! Dead letters: keys that a consumer has parked, because it cannot take in one of their events.
//! Listed, shown, tried out, replayed, left out; of all consumers alike.
//!
//! What an operator does is written into the audit log of the truth before it is done: the store of
//! the consumers has no log that lasts, and what is not noted is not done. A dry run does nothing.

use std::sync::Arc;

use jangbu_engine::role;
use jangbu_kernel::id;
use jangbu_kernel::{OrderId, PaymentId, ProductId, SkuId};
use jangbu_services::consumer::{self, Letter, Parked, ParkedKey, Settled, Unsettled, Verb};
use jangbu_services::events::Fact;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::order::reason;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{list, nullable, object, of, optional, page, text, time, whole};
use crate::text::{At, hex};

/// Events of a key that are shown.
const SHOWN: u32 = 100;

const REPLAY: &str = r#"{"reason":"the payload was repaired"}"#;
const DISCARD: &str = r#"{"reason":"case 4711: the order does not exist"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/dlq",
        name: "dlq.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { list_all(&api, &call).await }),
        doc: Doc {
            summary: "Keys whose events a consumer cannot take in",
            query: &["consumer", "limit", "cursor"],
            body: None,
            answers: &[(200, "ParkedPage", "Each with the first event that failed, and why")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/dlq/{consumer}/{key}",
        name: "dlq.get",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "One parked key, with the events that wait under it",
            query: &[],
            body: None,
            answers: &[(200, "ParkedKey", "The key and its first 100 events")],
            codes: &["PARKED_UNKNOWN"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/dlq/{consumer}/{key}/dry-run",
        name: "dlq.dry-run",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { dry_run(&api, &call).await }),
        doc: Doc {
            summary: "What a replay of a parked key would come to; nothing is changed",
            query: &[],
            body: None,
            answers: &[(200, "ParkedSettled", "What would be taken in, and what would be left")],
            codes: &[
                "PARKED_UNKNOWN",
                "NOT_OWNER",
                "CONSUMER_STOPPED",
                "READ_FAILED",
                "UNANSWERED",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/dlq/{consumer}/{key}/replay",
        name: "dlq.replay",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { settle(&api, &call, Verb::Replay).await }),
        doc: Doc {
            summary: "Take the events of a parked key in, in their order",
            query: &[],
            body: Some(("SettleParked", REPLAY)),
            answers: &[(200, "ParkedSettled", "What was taken in, and what is left")],
            codes: SETTLING,
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/dlq/{consumer}/{key}/discard",
        name: "dlq.discard",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { settle(&api, &call, Verb::Discard).await }),
        doc: Doc {
            summary: "Leave out the event that cannot be taken in, and take in those behind it",
            query: &[],
            body: Some(("SettleParked", DISCARD)),
            answers: &[(200, "ParkedSettled", "What was left out and taken in, and what is left")],
            codes: SETTLING,
        },
    },
];

/// What a replay or a discard can be refused with.
const SETTLING: &[&str] = &[
    "PARKED_UNKNOWN",
    "NOT_OWNER",
    "CONSUMER_STOPPED",
    "READ_FAILED",
    "READ_ONLY",
    "SHED",
    "DEADLINE_EXCEEDED",
    "STORE_FAILED",
    "STOPPING",
    "UNANSWERED",
    "POISONED",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleIn<'a> {
    #[serde(borrow)]
    reason: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct ParkedOut<'a> {
    consumer: &'static str,
    key: String,
    topic: &'a str,
    seq: i64,
    at: At,
    since: At,
    error: &'a str,
    tries: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<ParkedOut<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct KeyOut<'a> {
    parked: ParkedOut<'a>,
    events: Vec<EventOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventOut<'a> {
    seq: i64,
    at: At,
    topic: &'a str,
    version: i64,
    correlation_id: Option<&'a str>,
    /// What it says; none: it cannot be read.
    says: Option<String>,
    payload: String,
}

impl<'a> EventOut<'a> {
    fn of(letter: &'a Letter) -> Self {
        let Letter { seq, at, topic, version, correlation, payload } = letter;
        Self {
            seq: *seq,
            at: At(*at),
            topic,
            version: *version,
            correlation_id: correlation.as_deref(),
            says: Fact::decode(payload).ok().map(|fact| format!("{fact:?}")),
            payload: hex(payload),
        }
    }
}

#[derive(Serialize)]
struct SettledOut<'a> {
    taken: u64,
    skipped: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<ParkedOut<'a>>,
}

impl<'a> ParkedOut<'a> {
    fn of(parked: &'a Parked) -> Self {
        Self {
            consumer: consumer::name(parked.consumer),
            key: shown(&parked.topic, parked.key),
            topic: &parked.topic,
            seq: parked.seq,
            at: At(parked.at),
            since: At(parked.since),
            error: &parked.error,
            tries: parked.tries,
        }
    }
}

/// The aggregate of an event, as its own endpoint shows it.
pub(crate) fn shown(topic: &str, key: i64) -> String {
    match topic.split('.').next().unwrap_or_default() {
        "order" => OrderId(key).to_string(),
        "payment" => PaymentId(key).to_string(),
        "product" => SkuId(key).to_string(),
        _ => key.to_string(),
    }
}

/// The number behind an id with any prefix: an order and its payment share one.
fn number(text: &str) -> Option<i64> {
    let prefixes = [OrderId::PREFIX, PaymentId::PREFIX, SkuId::PREFIX, ProductId::PREFIX];
    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    digits.map_or_else(|| text.parse().ok(), id::decode)
}

fn unknown() -> Problem {
    Problem::of(Own::ParkedUnknown, "no such key is parked by this consumer")
}

/// The consumer and the key that the path names.
fn place(call: &Call) -> Result<(i64, i64), Problem> {
    let consumer = consumer::number(call.param()).ok_or_else(unknown)?;
    Ok((consumer, number(call.param_at(1)).ok_or_else(unknown)?))
}

/// A cursor: consumer and key.
fn cursor(text: &str) -> Option<(i64, i64)> {
    let (consumer, key) = text.split_once('.')?;
    Some((consumer.parse().ok()?, key.parse().ok()?))
}

async fn list_all(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(cursor)?);
    let of = |name: &str| {
        let unknown = || query.bad("consumer", "must be the name of a consumer".to_owned());
        consumer::number(name).ok_or_else(unknown)
    };
    let only = query.get("consumer").map(of).transpose()?;
    let found = api.read(move |queries| queries.parked(only, after, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(ParkedOut::of).collect(),
        next_cursor: last.map(|parked| format!("{}.{}", parked.consumer, parked.key)),
    }))
}

async fn find(api: &Arc<Api>, call: &Call, events: u32) -> Result<ParkedKey, Problem> {
    let (consumer, key) = place(call)?;
    let found = api.read(move |queries| queries.parked_key(consumer, key, events)).await?;
    found.ok_or_else(unknown)
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let ParkedKey { parked, events } = find(api, call, SHOWN).await?;
    let events = events.iter().map(EventOut::of).collect();
    Ok(Reply::ok(&KeyOut { parked: ParkedOut::of(&parked), events }))
}

async fn dry_run(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    api.has_consumers()?;
    Ok(told(&ask(api, place(call)?, Verb::DryRun).await?))
}

async fn settle(api: &Arc<Api>, call: &Call, verb: Verb) -> Result<Reply, Problem> {
    let SettleIn { reason: why } = call.json()?;
    let why = reason(&why)?;
    if why.is_empty() {
        return Err(Problem::field("reason", "must say why"));
    }
    // What cannot be done here is not noted either.
    api.has_consumers()?;
    let ParkedKey { parked, .. } = find(api, call, 1).await?;
    let before = serde_json::to_value(ParkedOut::of(&parked)).unwrap_or_default();
    let verdict = if verb == Verb::Discard { "DISCARD" } else { "REPLAY" };
    let after = json!({ "verdict": verdict, "seq": parked.seq });
    let (before, after) = (Some(before.to_string()), Some(after.to_string()));
    let note = jangbu_engine::desk::Command::Note { before, after };
    api.at_the_desk(call, note, &why).await?;
    Ok(told(&ask(api, (parked.consumer, parked.key), verb).await?))
}

fn told(settled: &Settled) -> Reply {
    let Settled { taken, skipped, left } = settled;
    let left = left.as_ref().map(ParkedOut::of);
    Reply::ok(&SettledOut { taken: *taken, skipped: *skipped, left })
}

impl Api {
    /// Refuses what only the process can do in which the consumers are at work, before anything is noted.
    pub(crate) fn has_consumers(&self) -> Result<(), Problem> {
        let role::Role::Follower { owner, .. } = self.shop.standing().role() else { return Ok(()) };
        let detail = format!("this process follows another one, which others reach at {owner}");
        Err(Problem::of(Own::NotOwner, detail))
    }
}

async fn ask(api: &Api, (consumer, key): (i64, i64), verb: Verb) -> Result<Settled, Problem> {
    let (tell, told) = oneshot::channel();
    api.consumer.settle(consumer, key, verb, Box::new(move |settled| drop(tell.send(settled))));
    let told = tokio::time::timeout(api.settings.request, told).await;
    match told {
        Ok(Ok(Ok(settled))) => Ok(settled),
        Ok(Ok(Err(Unsettled::Unknown))) => Err(unknown()),
        Ok(Ok(Err(Unsettled::Failed(fault)))) => {
            let detail = "the store of the consumers did not take it";
            Err(Problem::of(Own::ReadFailed, detail).because(fault))
        }
        Ok(Ok(Err(Unsettled::Stopped)) | Err(_)) => {
            Err(Problem::of(Own::ConsumerStopped, "the consumer stands still; the log says why"))
        }
        Err(_) => Err(Problem::of(Own::Unanswered, "it goes on; look at the key again")),
    }
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let parked = json!({
        "consumer": text(), "key": text(), "topic": text(), "seq": whole(), "at": time(),
        "since": time(), "error": text(), "tries": whole(),
    });
    let key = json!({
        "parked": of("Parked"),
        "events": list("ParkedEvent"),
    });
    let says = json!({ "type": ["string", "null"], "description": "Null: it cannot be read." });
    let event = json!({
        "seq": whole(), "at": time(), "topic": text(), "version": whole(),
        "correlationId": nullable("string"), "says": says, "payload": text(),
    });
    let settled = json!({ "taken": whole(), "skipped": nullable("integer"), "left": of("Parked") });
    json!({
        "Parked": object(&parked), "ParkedEvent": object(&event), "ParkedPage": page("Parked"), "ParkedKey": object(&key),
        "SettleParked": object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "ParkedSettled": optional(&settled, &["left"]),
    })
}
