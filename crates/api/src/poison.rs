//! Commands that could not be processed, for operators: look, have them run again, give them up.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_engine::desk::{Command, Reply as Answer};
use jangbu_engine::poison::{Item, State};
use jangbu_kernel::Origin;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::order::REASON;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route, Work};
use crate::schemas;
use crate::text::At;

const RETRY: &str = r#"{"reason":"the disk is replaced"}"#;
const DISCARD: &str = r#"{"reason":"the buyer was paid back by hand"}"#;

const fn get(path: &'static str, name: &'static str, run: Run, doc: Doc) -> Route {
    Route { method: "GET", path, name, role: Role::Operator, keyed: false, run, doc }
}

const fn post(path: &'static str, name: &'static str, run: Run, doc: Doc) -> Route {
    Route { method: "POST", path, name, role: Role::Operator, keyed: false, run, doc }
}

type Run = fn(Arc<Api>, Call) -> Work;

pub(crate) const ROUTES: &[Route] = &[
    get(
        "/api/v1/poison",
        "poison.list",
        |api, call| Box::pin(async move { list(&api, &call).await }),
        Doc {
            summary: "Commands that could not be processed, oldest first",
            query: &["state", "cursor", "limit"],
            body: None,
            answers: &[(200, "PoisonPage", "A page")],
            codes: &[],
        },
    ),
    get(
        "/api/v1/poison/{id}",
        "poison.get",
        |api, call| Box::pin(async move { one(&api, &call).await }),
        Doc {
            summary: "A command that could not be processed",
            query: &[],
            body: None,
            answers: &[(200, "Poison", "The item")],
            codes: &["POISON_UNKNOWN"],
        },
    ),
    post(
        "/api/v1/poison/{id}/retry",
        "poison.retry",
        |api, call| Box::pin(async move { close(&api, &call, |id| Command::Retry { id }).await }),
        Doc {
            summary: "Run it again; if it fails again it stays open, with the new error (POISONED)",
            query: &[],
            body: Some(("ClosePoison", RETRY)),
            answers: &[(200, "Poison", "The item, carried out")],
            codes: &[
                "POISON_UNKNOWN",
                "POISON_CLOSED",
                "POISON_NOT_RETRYABLE",
                "POISONED",
                "READ_FAILED",
                "SHED",
                "STOPPING",
                "STORE_FAILED",
                "UNANSWERED",
            ],
        },
    ),
    post(
        "/api/v1/poison/{id}/discard",
        "poison.discard",
        |api, call| Box::pin(async move { close(&api, &call, |id| Command::Discard { id }).await }),
        Doc {
            summary: "Give it up",
            query: &[],
            body: Some(("ClosePoison", DISCARD)),
            answers: &[(200, "Poison", "The item, given up")],
            codes: &[
                "POISON_UNKNOWN",
                "POISON_CLOSED",
                "READ_FAILED",
                "SHED",
                "STOPPING",
                "STORE_FAILED",
                "UNANSWERED",
            ],
        },
    ),
];

pub(crate) fn schemas() -> Value {
    let (text, state) = (schemas::text(), schemas::words(&["OPEN", "RETRIED", "DISCARDED"]));
    json!({
        "Poison": schemas::object(&json!({
            "id": text, "at": schemas::time(), "state": state, "unit": text, "command": text,
            "error": text, "origin": schemas::nullable("string"), "retryable": schemas::flag(),
            "reason": schemas::nullable("string"), "correlationId": schemas::nullable("string"),
        })),
        "PoisonPage": schemas::page("Poison"),
        "ClosePoison": schemas::object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": REASON },
        })),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemOut {
    id: String,
    at: At,
    state: &'static str,
    unit: String,
    command: String,
    error: String,
    origin: Option<String>,
    retryable: bool,
    reason: Option<String>,
    correlation_id: Option<Arc<str>>,
}

impl ItemOut {
    fn of(id: i64, item: Item) -> Self {
        let open = item.state == State::Open;
        Self {
            id: id.to_string(),
            at: At(item.at),
            state: item.state.name(),
            retryable: open && item.is_retryable(),
            unit: item.unit,
            command: item.command,
            error: item.error,
            origin: item.origin.map(Origin::text),
            reason: (!open).then_some(item.why),
            correlation_id: item.correlation,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<ItemOut>,
    next_cursor: Option<String>,
}

async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(|text| text.parse::<i64>().ok())?);
    let state = query.get("state").map(|name| {
        let known = State::ALL.iter().copied().find(|state| state.name() == name);
        let must = || query.bad("state", "must be OPEN, RETRIED or DISCARDED".to_owned());
        known.ok_or_else(must)
    });
    let state = state.transpose()?;
    let (items, next) = api.read(move |queries| queries.poisons(state, after, limit)).await?;
    Ok(Reply::ok(&Page {
        items: items.into_iter().map(|(id, item)| ItemOut::of(id, item)).collect(),
        next_cursor: next.map(|id| id.to_string()),
    }))
}

fn number(call: &Call) -> Result<i64, Problem> {
    let digits = Some(call.param()).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let detail = "id: must be a decimal number, as the list has it";
        Problem::of(Own::InvalidId, detail).at("id", "must be a decimal number")
    })
}

async fn one(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    find(api, number(call)?).await
}

async fn find(api: &Arc<Api>, id: i64) -> Result<Reply, Problem> {
    let found = api.read(move |queries| queries.poison(id)).await?;
    let unknown = || Problem::coded("POISON_UNKNOWN", format!("nothing was set aside as {id}"));
    Ok(Reply::ok(&ItemOut::of(id, found.ok_or_else(unknown)?)))
}

async fn close(
    api: &Arc<Api>,
    call: &Call,
    command: impl FnOnce(i64) -> Command,
) -> Result<Reply, Problem> {
    let CloseIn { reason } = call.json()?;
    let id = number(call)?;
    if reason.is_empty() || !jangbu_kernel::words::is_prose(&reason, REASON) {
        return Err(Problem::field("reason", format!("must have 1 to {REASON} characters")));
    }
    match api.at_the_desk(call, command(id), &reason).await? {
        Answer::Closed(_) => find(api, id).await,
        Answer::Noted => Err(Problem::of(Own::Internal, "the reply is about no item")),
    }
}
