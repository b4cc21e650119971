//! Sagas, for operators: which are open or stuck, why, and what may be done about it.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::inventory::model::Reservation;
use jangbu_domain::order::command::{Command, Reply as Answer, UNIT, Verb};
use jangbu_domain::order::model::{Order, Outcome, State, Step};
use jangbu_domain::order::operate::verbs;
use jangbu_domain::payment::model::Payment;
use jangbu_kernel::{OrderId, PaymentId, Time};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::ask::{envelope, operated};
use crate::auth::Role;
use crate::call::{Call, Params};
use crate::idempotency::Canon;
use crate::money::MoneyOut;
use crate::order::{REASON, order_id};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{
    STATES, flag, id, list, nullable, object, of, or_null, text, time, whole, words,
};
use crate::sentence::{self, Ago};
use crate::text::{At, shown};

const WHY: &str = r#"{"reason":"the gateway's desk says that refunds work again"}"#;

const fn verb(path: &'static str, name: &'static str, summary: &'static str) -> Route {
    Route {
        method: "POST",
        path,
        name,
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { operate(&api, &call).await }),
        doc: Doc {
            summary,
            query: &[],
            body: Some(("OperateSaga", WHY)),
            answers: &[(200, "SagaDetail", "The saga after the step")],
            codes: &["ORDER_UNKNOWN", "VERB_NOT_ALLOWED"],
        },
    }
}

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/sagas",
        name: "saga.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { page(&api, &call).await }),
        doc: Doc {
            summary: "Sagas in a state: STUCK, OPEN (every one that waits), or that of an order",
            query: &["state", "cursor", "limit"],
            body: None,
            answers: &[(200, "SagaPage", "STUCK by age, the others by what is due first")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/sagas/{id}",
        name: "saga.get",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A saga: why it is not done, and what an operator may do",
            query: &[],
            body: None,
            answers: &[(200, "SagaDetail", "The saga of an order")],
            codes: &["ORDER_UNKNOWN"],
        },
    },
    verb("/api/v1/sagas/{id}/retry", "saga.retry", "Ask again now, with fresh patience"),
    verb(
        "/api/v1/sagas/{id}/compensate",
        "saga.compensate",
        "Turn a saga back, as the buyer's cancellation would",
    ),
    verb(
        "/api/v1/sagas/{id}/abandon",
        "saga.abandon",
        "End a stuck saga: undo what can be undone, and say what could not",
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperateIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

/// A reason that an operator gives: it must be there.
pub(crate) fn why(reason: &str) -> Result<&str, Problem> {
    if !reason.is_empty() && jangbu_kernel::words::is_prose(reason, REASON) {
        return Ok(reason);
    }
    Err(Problem::field("reason", format!("must have 1 to {REASON} characters")))
}

async fn operate(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: OperateIn<'_> = call.json()?;
    let order = order_id(call)?;
    let reason = why(&body.reason)?;
    let verb = match call.name {
        "saga.retry" => Verb::Retry,
        "saga.compensate" => Verb::Compensate,
        _ => Verb::Abandon,
    };
    let canon = Canon::new(call.name).int(order.0).text(reason);
    let command = Command::Operate { order, verb, reason: reason.into() };
    let envelope = operated(envelope(call, UNIT, command, canon), call, reason);
    let asked = api.ask_soon::<Answer>(envelope).await?;
    let detail = Detail::read(api, order).await?;
    Ok(Reply::ok(&detail.out(api.shop.now())).replayed(asked.replayed))
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let detail = Detail::read(api, order_id(call)?).await?;
    Ok(Reply::ok(&detail.out(api.shop.now())))
}

/// Which sagas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Stuck,
    Open,
    In(State),
}

impl Wanted {
    fn read(query: &Params) -> Result<Self, Problem> {
        match query.get("state") {
            None | Some("STUCK") => Ok(Self::Stuck),
            Some("OPEN") => Ok(Self::Open),
            Some(name) => {
                let state = State::ALL.iter().find(|state| state.name() == name);
                state.copied().map(Self::In).ok_or_else(|| {
                    query.bad("state", format!("must be OPEN or one of {}", STATES.join(", ")))
                })
            }
        }
    }

    fn has(self, order: &Order) -> bool {
        match self {
            Self::Stuck => order.state == State::Stuck,
            Self::Open => true,
            Self::In(state) => order.state == state,
        }
    }
}

/// Where a page ended: an order, with its timer unless it is stuck.
type Place = (Option<Time>, OrderId);

fn place(text: &str) -> Option<Place> {
    match text.split_once('-') {
        Some((at, order)) => Some((Some(Time(at.parse().ok()?)), OrderId::parse(order)?)),
        None => Some((None, OrderId::parse(text)?)),
    }
}

/// Open sagas that are read at once, and at most for one page.
const BATCH: u32 = 200;
const BATCHES: usize = 25;

type Found = Vec<(OrderId, Order)>;

/// A page, and where the next one begins. Sagas in one state are looked for among the open ones,
/// so far as that does not take too long: a page may be short and still have a next one.
fn find(
    queries: &Queries,
    wanted: Wanted,
    mut after: Option<Place>,
    limit: usize,
) -> Result<(Found, Option<Place>), jangbu_engine::port::Fault> {
    let mut found = Vec::new();
    for _ in 0..BATCHES {
        let batch = match wanted {
            Wanted::Stuck => queries.orders_stuck(after.map(|(_, id)| id), BATCH)?,
            _ => queries.orders_open(after.and_then(|(at, id)| Some((at?, id))), BATCH)?,
        };
        let last = batch.len() < BATCH as usize;
        for (id, order) in batch {
            let fits = wanted.has(&order);
            if fits && found.len() == limit {
                return Ok((found, after));
            }
            after = Some((order.next_at.filter(|_| wanted != Wanted::Stuck), id));
            found.extend(fits.then_some((id, order)));
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}

async fn page(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (wanted, limit) = (Wanted::read(&query)?, query.limit()? as usize);
    let after = query.cursor(place)?;
    if after.is_some_and(|(at, _)| at.is_none() != (wanted == Wanted::Stuck)) {
        return Err(query.bad("cursor", "must be a nextCursor of this list".to_owned()));
    }
    let (found, next) = api.read(move |queries| find(queries, wanted, after, limit)).await?;
    let now = api.shop.now();
    let items: Vec<_> = found.iter().map(|(id, order)| SagaOut::of(*id, order, now)).collect();
    let next = next.map(|(at, id)| match at {
        Some(at) => format!("{}-{id}", at.0),
        None => id.to_string(),
    });
    Ok(Reply::ok(&json!({ "items": items, "nextCursor": next })))
}

/// A saga with what its order has at the other domains.
struct Detail {
    id: OrderId,
    order: Order,
    payment: Option<Payment>,
    reservation: Option<Reservation>,
}

impl Detail {
    async fn read(api: &Arc<Api>, id: OrderId) -> Result<Self, Problem> {
        let read = move |queries: &Queries| {
            let Some(order) = queries.order(id)? else { return Ok(None) };
            let (payment, reservation) = (queries.payment(id.into())?, queries.reservation(id)?);
            Ok(Some(Self { id, order, payment, reservation }))
        };
        let found = api.read(read).await?;
        found.ok_or_else(|| Problem::coded("ORDER_UNKNOWN", format!("there is no order {id}")))
    }

    fn out(&self, now: Time) -> DetailOut<'_> {
        let payment = self.payment.as_ref().map(|payment| PaymentOut {
            id: self.id.into(),
            state: payment.state.name(),
            captured: MoneyOut::new(payment.captured, payment.currency),
            refunded: MoneyOut::new(payment.refunded, payment.currency),
            reason: payment.reason.as_deref(),
        });
        let reservation = self.reservation.as_ref().map(|held| held.state.name());
        DetailOut { saga: SagaOut::of(self.id, &self.order, now), payment, reservation }
    }
}

#[derive(Serialize)]
struct DetailOut<'a> {
    #[serde(flatten)]
    saga: SagaOut<'a>,
    payment: Option<PaymentOut<'a>>,
    reservation: Option<&'static str>,
}

#[derive(Serialize)]
struct PaymentOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: PaymentId,
    state: &'static str,
    captured: MoneyOut,
    refunded: MoneyOut,
    reason: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SagaOut<'a> {
    #[serde(serialize_with = "shown::one")]
    order_id: OrderId,
    state: &'static str,
    stuck_in: Option<&'static str>,
    sentence: String,
    allowed: Vec<&'static str>,
    outcome: Option<&'static str>,
    reason: Option<&'a str>,
    steps: StepsOut,
    tries: i64,
    next_at: Option<At>,
    age_seconds: i64,
    cancel_wanted: bool,
    total: MoneyOut,
    refunded: MoneyOut,
    placed_at: At,
    settled_at: Option<At>,
}

#[derive(Serialize)]
struct StepsOut {
    stock: &'static str,
    payment: &'static str,
}

impl<'a> SagaOut<'a> {
    fn of(id: OrderId, order: &'a Order, now: Time) -> Self {
        Self {
            order_id: id,
            state: order.state.name(),
            stuck_in: order.stuck_in.map(State::name),
            sentence: sentence::of_order(order, now),
            allowed: verbs(order).into_iter().map(Verb::name).collect(),
            outcome: order.outcome.map(Outcome::name),
            reason: order.reason.as_deref(),
            steps: StepsOut { stock: Step::name(order.stock), payment: Step::name(order.pay) },
            tries: order.tries,
            next_at: order.next_at.map(At),
            age_seconds: Ago::between(order.placed_at, now).0,
            cancel_wanted: order.cancel_wanted,
            total: MoneyOut::new(order.total, order.currency),
            refunded: MoneyOut::new(order.refunded, order.currency),
            placed_at: At(order.placed_at),
            settled_at: order.settled_at.map(At),
        }
    }
}

/// The schemas of what is sent and answered here.
pub(crate) fn schemas() -> Value {
    let steps = words(&["none", "asked", "done", "refused", "undo_asked", "undone"]);
    let verbs = json!({ "type": "array", "items": words(&["retry", "compensate", "abandon"]) });
    let saga = json!({
        "orderId": id("ord"), "state": words(&STATES), "stuckIn": nullable("string"),
        "sentence": text(), "allowed": verbs, "outcome": nullable("string"),
        "reason": nullable("string"), "steps": object(&json!({ "stock": steps, "payment": steps })),
        "tries": whole(), "nextAt": or_null(time()), "ageSeconds": whole(),
        "cancelWanted": flag(), "total": of("Money"), "refunded": of("Money"),
        "placedAt": time(), "settledAt": or_null(time()),
    });
    let mut detail = saga.clone();
    detail["payment"] = or_null(object(&json!({
        "id": id("pay"), "state": text(), "captured": of("Money"), "refunded": of("Money"),
        "reason": nullable("string"),
    })));
    detail["reservation"] = nullable("string");
    json!({
        "OperateSaga": object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "Saga": object(&saga),
        "SagaDetail": object(&detail),
        "SagaPage": object(&json!({ "items": list("Saga"), "nextCursor": nullable("string") })),
    })
}
