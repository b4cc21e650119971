//! Notifications, for operators: what was sent to buyers and hooks, what was not and why, and the texts
//! of the mails. No answer has an address, a name or a text that was sent: none of them is kept.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_engine::port::WritePlan;
use jangbu_services::notification::{self, Delivery, Kind, Language, State, Template, VARIABLES};
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
use crate::schemas::{flag, id, list, nullable, object, page, text, time, whole, words};
use crate::text::At;

const RETRY: &str = r#"{"reason":"the mailbox is there again"}"#;
const TEXT: &str = r#"{"subject":"[{{shop}}] Thank you","body":"{{name}}, we have your order {{order}}.\n\n{{items}}\n","reason":"a friendlier tone"}"#;

/// What a write of the store of the consumers can be refused with, and what else there is.
macro_rules! codes {
    ($($code:literal),*) => {
        &[
            $($code,)* "UNANSWERED", "NOT_OWNER", "CONSUMER_STOPPED", "READ_FAILED", "READ_ONLY",
            "SHED", "DEADLINE_EXCEEDED", "STORE_FAILED", "STOPPING", "POISONED",
        ]
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/notifications",
        name: "notification.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { list_all(&api, &call).await }),
        doc: Doc {
            summary: "Deliveries to buyers and hooks, the newest first; with a state by number",
            query: &["state", "limit", "cursor"],
            body: None,
            answers: &[(200, "DeliveryPage", "A page")],
            codes: &[],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/notifications/{id}/retry",
        name: "notification.retry",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { retry(&api, &call).await }),
        doc: Doc {
            summary: "Send a delivery that was refused or given up, now",
            query: &[],
            body: Some(("RetryDelivery", RETRY)),
            answers: &[(200, "Delivery", "It waits to be sent")],
            codes: codes!["DELIVERY_UNKNOWN", "DELIVERY_NOT_RETRYABLE"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/notifications/templates",
        name: "notification.templates",
        role: Role::Operator,
        keyed: false,
        run: |api, _| Box::pin(async move { templates(&api).await }),
        doc: Doc {
            summary: "The texts of the mails, and what they may name",
            query: &[],
            body: None,
            answers: &[(200, "Templates", "All of them")],
            codes: &[],
        },
    },
    Route {
        method: "PUT",
        path: "/api/v1/notifications/templates/{kind}/{language}",
        name: "notification.template",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { change(&api, &call).await }),
        doc: Doc {
            summary: "Change a text",
            query: &[],
            body: Some(("ChangeTemplate", TEXT)),
            answers: &[(200, "Template", "As it is now")],
            codes: codes!["TEMPLATE_UNKNOWN"],
        },
    },
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryOut {
    id: String,
    state: &'static str,
    channel: String,
    order_id: String,
    kind: &'static str,
    part: Option<i64>,
    at: At,
    tries: i64,
    next_at: Option<At>,
    sent_at: Option<At>,
    error: Option<String>,
}

impl DeliveryOut {
    fn of(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            state: delivery.state.name(),
            channel: match delivery.channel() {
                0 => "mail".to_owned(),
                n => format!("hook-{n}"),
            },
            order_id: delivery.order.to_string(),
            kind: delivery.kind.name(),
            part: (delivery.part != 0).then_some(delivery.part),
            at: At(delivery.at),
            tries: delivery.tries,
            next_at: delivery.next_at.map(At),
            sent_at: delivery.sent_at.map(At),
            error: delivery.error,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<DeliveryOut>,
    next_cursor: Option<String>,
}

async fn list_all(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(|text| text.parse::<i64>().ok())?);
    let state = query.get("state").map(|name| {
        let must = || query.bad("state", "must be FAILED or DEAD".to_owned());
        let known = State::from_name(name);
        known.filter(|state| matches!(state, State::Failed | State::Dead)).ok_or_else(must)
    });
    let state = state.transpose()?;
    let mut found = api.read(move |queries| queries.deliveries(state, after, limit + 1)).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| more).map(|last| last.id.to_string());
    let items = found.into_iter().map(DeliveryOut::of).collect();
    Ok(Reply::ok(&Page { items, next_cursor }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

async fn retry(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let RetryIn { reason: why } = call.json()?;
    let why = why_of(&why)?;
    api.has_consumers()?;
    let unknown = || Problem::of(Own::DeliveryUnknown, "there is no such delivery");
    let id: i64 = call.param().parse().map_err(|_| unknown())?;
    let found = api.read(move |queries| queries.delivery(id)).await?.ok_or_else(unknown)?;
    if !matches!(found.state, State::Failed | State::Dead) {
        let detail = format!("it is {}", found.state.name());
        return Err(Problem::of(Own::DeliveryNotRetryable, detail));
    }
    let now = api.shop.now();
    // Its age counts from now, too: whoever asks for it wants it sent.
    let again = Delivery {
        state: State::Waiting,
        at: now,
        tries: 0,
        next_at: Some(now),
        error: None,
        ..found.clone()
    };
    let before = json!({ "state": found.state.name(), "error": found.error });
    let after = json!({ "state": again.state.name() });
    note(api, call, (&before, &after), &why).await?;
    let mut plan = WritePlan::default();
    again.write(&mut plan);
    write(api, plan).await?;
    Ok(Reply::ok(&DeliveryOut::of(again)))
}

#[derive(Serialize)]
struct TemplatesOut<'a> {
    variables: &'a [&'a str],
    items: Vec<TemplateOut>,
}

#[derive(Serialize)]
struct TemplateOut {
    kind: &'static str,
    language: &'static str,
    subject: String,
    body: String,
    /// Whether an operator has changed it.
    changed: bool,
}

async fn templates(api: &Arc<Api>) -> Result<Reply, Problem> {
    let mut known = api.read(notification::known).await?;
    let places = Kind::ALL.iter().flat_map(|kind| Language::ALL.iter().map(move |l| (*kind, *l)));
    let items = places.map(|(kind, language)| {
        let changed = known.remove(&(kind, language));
        let is_changed = changed.is_some();
        let text = changed.unwrap_or_else(|| Template::first(kind, language));
        TemplateOut::of((kind, language), text, is_changed)
    });
    Ok(Reply::ok(&TemplatesOut { variables: VARIABLES, items: items.collect() }))
}

impl TemplateOut {
    fn of((kind, language): (Kind, Language), text: Template, changed: bool) -> Self {
        let Template { subject, body } = text;
        Self { kind: kind.name(), language: language.name(), subject, body, changed }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeIn<'a> {
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    body: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

async fn change(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let ChangeIn { subject, body, reason: why } = call.json()?;
    let why = why_of(&why)?;
    api.has_consumers()?;
    let unknown = || Problem::of(Own::TemplateUnknown, "there is no such text");
    let kind = Kind::from_name(call.param()).ok_or_else(unknown)?;
    let language = Language::from_name(call.param_at(1)).ok_or_else(unknown)?;
    let text = Template { subject: subject.into_owned(), body: body.into_owned() };
    notification::check(&text).map_err(|(field, why)| Problem::field(field, why))?;
    let before = api.read(move |queries| queries.template(kind, language)).await?;
    let states = (before.line(kind, language), text.line(kind, language));
    note(api, call, (&states.0, &states.1), &why).await?;
    // The table follows from the audit log: two changes at once end as their lines say.
    let plan = api.read(notification::changes).await?;
    write(api, plan).await?;
    let now = api.read(move |queries| queries.template(kind, language)).await?;
    Ok(Reply::ok(&TemplateOut::of((kind, language), now, true)))
}

fn why_of(text: &str) -> Result<String, Problem> {
    let why = reason(text)?;
    if why.is_empty() { Err(Problem::field("reason", "must say why")) } else { Ok(why.into()) }
}

async fn note(
    api: &Api,
    call: &Call,
    (before, after): (&Value, &Value),
    why: &str,
) -> Result<(), Problem> {
    let (before, after) = (Some(before.to_string()), Some(after.to_string()));
    let note = jangbu_engine::desk::Command::Note { before, after };
    api.at_the_desk(call, note, why).await.map(|_| ())
}

/// Has rows written by the one writer of their store.
async fn write(api: &Api, plan: WritePlan) -> Result<(), Problem> {
    let (tell, told) = oneshot::channel();
    api.consumer.write(plan, Box::new(move |done| drop(tell.send(done))));
    match tokio::time::timeout(api.settings.request, told).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(fault))) => {
            tracing::warn!(%fault, "rows of the notifications were not written");
            Err(Problem::of(Own::ReadFailed, "the store of the consumers did not take it"))
        }
        Ok(Err(_)) => {
            Err(Problem::of(Own::ConsumerStopped, "the consumers stand still; the log says why"))
        }
        Err(_) => Err(Problem::of(Own::Unanswered, "it goes on; look again")),
    }
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let states: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    let languages: Vec<_> = Language::ALL.iter().map(|language| language.name()).collect();
    let or_null = crate::schemas::or_null;
    let why = json!({ "type": "string", "minLength": 1, "maxLength": 500 });
    json!({
        "Delivery": object(&json!({
            "id": text(), "state": words(&states), "channel": text(), "orderId": id("ord"),
            "kind": words(&kinds), "part": nullable("integer"), "at": time(), "tries": whole(),
            "nextAt": or_null(time()), "sentAt": or_null(time()), "error": nullable("string"),
        })),
        "DeliveryPage": page("Delivery"),
        "RetryDelivery": object(&json!({ "reason": why })),
        "Template": object(&json!({
            "kind": words(&kinds), "language": words(&languages), "subject": text(),
            "body": text(), "changed": flag(),
        })),
        "Templates": object(&json!({
            "variables": { "type": "array", "items": text() }, "items": list("Template"),
        })),
        "ChangeTemplate": object(&json!({
            "subject": { "type": "string", "minLength": 1, "maxLength": 200 },
            "body": { "type": "string", "minLength": 1, "maxLength": 10_000 },
            "reason": why,
        })),
    })
}
