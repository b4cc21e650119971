//! Parked keys: events that a consumer cannot take in, listed, shown, tried again, left out.
//!
//! What an operator does is written into the audit log of the truth before it is done: the
//! projections have no log that lasts, and what is not noted is not done.

use std::sync::Arc;

use jangbu_kernel::id;
use jangbu_kernel::{OrderId, PaymentId, ProductId, SkuId};
use jangbu_services::projections::{Parked, ParkedKey, Settled, Unsettled, Verb};
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
use crate::schemas::{nullable, object, of, optional, page, text, time, whole};
use crate::text::At;

/// The consumer that there is.
const CONSUMER: &str = "projections";

/// Events of a key that are shown.
const SHOWN: u32 = 100;

const RETRY: &str = r#"{"reason":"the payload was repaired"}"#;
const DISCARD: &str = r#"{"reason":"case 4711: the order does not exist"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/parked",
        name: "parked.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { list_all(&api, &call).await }),
        doc: Doc {
            summary: "Keys whose events a consumer cannot take in",
            query: &["limit", "cursor"],
            body: None,
            answers: &[(200, "ParkedPage", "Each with the first event that failed, and why")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/parked/{consumer}/{key}",
        name: "parked.get",
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
        method: "POST",
        path: "/api/v1/parked/{consumer}/{key}/retry",
        name: "parked.retry",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { settle(&api, &call, Verb::Retry).await }),
        doc: Doc {
            summary: "Take the events of a parked key in, in their order",
            query: &[],
            body: Some(("SettleParked", RETRY)),
            answers: &[(200, "ParkedSettled", "What was taken in, and what is left")],
            codes: SETTLING,
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/parked/{consumer}/{key}/discard",
        name: "parked.discard",
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

/// What a retry or a discard can be refused with.
const SETTLING: &[&str] = &[
    "PARKED_UNKNOWN",
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
    events: Vec<EventOut>,
}

#[derive(Serialize)]
struct EventOut {
    seq: i64,
    at: At,
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
            consumer: CONSUMER,
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

/// The key that the path names.
fn key(call: &Call) -> Result<i64, Problem> {
    let of_consumer = (call.param() == CONSUMER).then(|| call.param_at(1));
    of_consumer.and_then(number).ok_or_else(unknown)
}

async fn list_all(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(|text| text.parse::<i64>().ok())?);
    let found = api.read(move |queries| queries.parked(after, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(ParkedOut::of).collect(),
        next_cursor: last.map(|parked| parked.key.to_string()),
    }))
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let key = key(call)?;
    let found = api.read(move |queries| queries.parked_key(key, SHOWN)).await?;
    let ParkedKey { parked, events } = found.ok_or_else(unknown)?;
    let event = |(seq, at)| EventOut { seq, at: At(at) };
    let events = events.into_iter().map(event).collect();
    Ok(Reply::ok(&KeyOut { parked: ParkedOut::of(&parked), events }))
}

async fn settle(api: &Arc<Api>, call: &Call, verb: Verb) -> Result<Reply, Problem> {
    let SettleIn { reason: why } = call.json()?;
    let why = reason(&why)?;
    if why.is_empty() {
        return Err(Problem::field("reason", "must say why"));
    }
    let key = key(call)?;
    let found = api.read(move |queries| queries.parked_key(key, 1)).await?;
    let ParkedKey { parked, .. } = found.ok_or_else(unknown)?;
    let before = serde_json::to_value(ParkedOut::of(&parked)).unwrap_or_default();
    let verdict = match verb {
        Verb::Retry => "RETRY",
        Verb::Discard => "DISCARD",
    };
    let after = json!({ "verdict": verdict, "seq": parked.seq });
    let (before, after) = (Some(before.to_string()), Some(after.to_string()));
    let note = jangbu_engine::desk::Command::Note { before, after };
    api.at_the_desk(call, note, &why).await?;
    let Settled { taken, skipped, left } = ask(api, key, verb).await?;
    let left = left.as_ref().map(ParkedOut::of);
    Ok(Reply::ok(&SettledOut { taken, skipped, left }))
}

async fn ask(api: &Api, key: i64, verb: Verb) -> Result<Settled, Problem> {
    let (tell, told) = oneshot::channel();
    api.consumer.settle(key, verb, Box::new(move |settled| drop(tell.send(settled))));
    let told = tokio::time::timeout(api.settings.request, told).await;
    match told {
        Ok(Ok(Ok(settled))) => Ok(settled),
        Ok(Ok(Err(Unsettled::Unknown))) => Err(unknown()),
        Ok(Ok(Err(Unsettled::Failed(fault)))) => {
            tracing::warn!(%fault, "a parked key could not be settled");
            Err(Problem::of(Own::ReadFailed, "the store of the projections did not take it"))
        }
        Ok(Ok(Err(Unsettled::Stopped)) | Err(_)) => {
            Err(Problem::of(Own::ConsumerStopped, "the projections stand still; the log says why"))
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
        "events": { "type": "array", "items": object(&json!({ "seq": whole(), "at": time() })) },
    });
    let settled = json!({ "taken": whole(), "skipped": nullable("integer"), "left": of("Parked") });
    json!({
        "Parked": object(&parked), "ParkedPage": page("Parked"), "ParkedKey": object(&key),
        "SettleParked": object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "ParkedSettled": optional(&settled, &["left"]),
    })
}
