//! Orders: place, confirm, cancel, refund, get, list, timeline.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::order::command::{Command, UNIT, Units};
use jangbu_domain::order::model::{Order, Outcome, PayMode, State, Step};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Money, OrderId, PaymentId, Secret, SkuId, UserId};
use serde::{Deserialize, Serialize};

use crate::Api;
use crate::ask::envelope;
use crate::auth::Role;
use crate::call::Call;
use crate::idempotency::{self, Canon};
use crate::money::{MoneyIn, MoneyOut};
use crate::problem::{Own, Problem};
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::text::{At, id, shown};
use crate::wait::{Followed, count, follow};

const PATH: &str = "/api/v1/orders";
/// How long a card token may be.
const TOKEN: usize = 255;
/// How long a reason may be.
pub(crate) const REASON: usize = 500;

/// What ends a place or a confirm without a sale.
const OUTCOMES: [&str; 6] =
    ["SOLD_OUT", "PAYMENT_DECLINED", "ORDER_EXPIRED", "ORDER_CANCELLED", "ORDER_FAILED", "SHED"];

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/orders",
        name: "order.place",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { place(&api, &call).await }),
        doc: Doc {
            summary: "Place an order, and wait for its outcome",
            query: &[],
            body: Some(("PlaceOrder", PLACE)),
            answers: &[
                (201, "Order", "Sold; or, in mode CLIENT, held until it is confirmed"),
                (202, "Order", "Taken, and not settled within the wait limit: follow Location"),
            ],
            codes: &[
                OUTCOMES[0],
                OUTCOMES[1],
                OUTCOMES[2],
                OUTCOMES[3],
                OUTCOMES[4],
                "PRICE_CHANGED",
                "SKU_NOT_ON_SALE",
                "CURRENCY_MISMATCH",
                "LINES_INVALID",
                "QUANTITY_INVALID",
                "TOKEN_REQUIRED",
                "TOTAL_TOO_LARGE",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders",
        name: "order.list",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { list(&api, &call).await }),
        doc: Doc {
            summary: "The orders of a user, newest first",
            query: &["userId!", "cursor", "limit"],
            body: None,
            answers: &[(200, "OrderPage", "A page; a new order appears within milliseconds")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders/{id}",
        name: "order.get",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "An order as it is now",
            query: &[],
            body: None,
            answers: &[(200, "Order", "The order")],
            codes: &["ORDER_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/confirm",
        name: "order.confirm",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { confirm(&api, &call).await }),
        doc: Doc {
            summary: "Pay an order that was placed in mode CLIENT",
            query: &[],
            body: Some(("ConfirmOrder", CONFIRM)),
            answers: &[
                (201, "Order", "Sold"),
                (202, "Order", "Not settled within the wait limit: follow Location"),
            ],
            codes: &[
                OUTCOMES[1],
                OUTCOMES[2],
                OUTCOMES[3],
                OUTCOMES[4],
                "ORDER_UNKNOWN",
                "NOT_AWAITING_PAYMENT",
                "AMOUNT_DIFFERS",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/cancel",
        name: "order.cancel",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { cancel(&api, &call).await }),
        doc: Doc {
            summary: "Cancel an order; one that is sold is refunded in full",
            query: &[],
            body: Some(("CancelOrder", CANCEL)),
            answers: &[
                (200, "Order", "Cancelled, or refunded in full"),
                (202, "Order", "Under way: follow Location"),
            ],
            codes: &["ORDER_UNKNOWN", "ORDER_NOT_CANCELLABLE"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/orders/{id}/refund",
        name: "order.refund",
        role: Role::Client,
        keyed: true,
        run: |api, call| Box::pin(async move { refund(&api, &call).await }),
        doc: Doc {
            summary: "Give money back for some units, or for everything that is left",
            query: &[],
            body: Some(("RefundOrder", REFUND)),
            answers: &[
                (200, "Order", "Every refund of the order has ended"),
                (202, "Order", "The gateway is asked: follow Location"),
            ],
            codes: &[
                "ORDER_UNKNOWN",
                "ORDER_NOT_REFUNDABLE",
                "REFUND_EXCEEDS_ORDER",
                "NOTHING_TO_REFUND",
                "QUANTITY_INVALID",
                "TOO_MANY_REFUNDS",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/orders/{id}/timeline",
        name: "order.timeline",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { timeline(&api, &call).await }),
        doc: Doc {
            summary: "What happened to an order, oldest first",
            query: &[],
            body: None,
            answers: &[(200, "Timeline", "Its moments, and how it stands in one sentence")],
            codes: &["ORDER_UNKNOWN"],
        },
    },
];

const PLACE: &str = r#"{"userId":"usr_01H9Z8D0G4000","lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"expectedTotal":{"amount":12000,"currency":"KRW"},"payment":{"mode":"SERVER","token":"tok_visa"}}"#;
const CONFIRM: &str = r#"{"amount":{"amount":12000,"currency":"KRW"},"token":"tok_visa"}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;
const REFUND: &str =
    r#"{"reason":"broken","lines":[{"skuId":"sku_01H9Z8D0G8000","quantity":1}],"restock":false}"#;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlaceIn<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    lines: Vec<UnitsIn<'a>>,
    #[serde(borrow)]
    expected_total: MoneyIn<'a>,
    #[serde(borrow)]
    payment: PaymentIn<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnitsIn<'a> {
    #[serde(borrow)]
    sku_id: Cow<'a, str>,
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentIn<'a> {
    mode: ModeIn,
    #[serde(borrow, default)]
    token: Option<Cow<'a, str>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ModeIn {
    Server,
    Client,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmIn<'a> {
    #[serde(borrow)]
    amount: MoneyIn<'a>,
    #[serde(borrow)]
    token: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelIn<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    lines: Option<Vec<UnitsIn<'a>>>,
    #[serde(default)]
    restock: Option<bool>,
}

/// An order to be placed, checked for form.
struct Wish {
    user: UserId,
    lines: Vec<Units>,
    expected: Money,
    mode: PayMode,
    token: Option<Secret>,
}

impl Wish {
    fn read(body: &PlaceIn<'_>) -> Result<Self, Problem> {
        let user = id(UserId::parse, UserId::PREFIX, &body.user_id, || "userId".into())?;
        let lines = units(&body.lines)?;
        let expected = body.expected_total.read("expectedTotal")?;
        let (mode, token) = match (body.payment.mode, body.payment.token.as_deref()) {
            (ModeIn::Server, token) => {
                (PayMode::Server, token.map(|text| secret("payment.token", text)).transpose()?)
            }
            (ModeIn::Client, None) => (PayMode::Client, None),
            (ModeIn::Client, Some(_)) => {
                let message = "belongs to the confirm call when the client pays";
                return Err(Problem::field("payment.token", message));
            }
        };
        Ok(Self { user, lines, expected, mode, token })
    }

    fn canon(&self, operation: &str) -> Canon {
        let canon = lines_canon(Canon::new(operation).int(self.user.0), &self.lines);
        canon
            .int(self.expected.amount)
            .text(self.expected.currency.as_str())
            .int(self.mode.code())
            .option(self.token.as_ref().map(Secret::reveal))
    }

    fn command(self, order: OrderId) -> Command {
        let Self { user, lines, expected, mode, token } = self;
        Command::Place { order, user, lines, expected, mode, token }
    }
}

fn lines_canon(canon: Canon, lines: &[Units]) -> Canon {
    let canon = canon.int(i64::try_from(lines.len()).unwrap_or(i64::MAX));
    lines.iter().fold(canon, |canon, line| canon.int(line.sku.0).int(line.quantity))
}

fn units(lines: &[UnitsIn<'_>]) -> Result<Vec<Units>, Problem> {
    let read = |(at, line): (usize, &UnitsIn<'_>)| {
        let sku = sku_id(&line.sku_id, || format!("lines[{at}].skuId"))?;
        Ok(Units { sku, quantity: line.quantity })
    };
    lines.iter().enumerate().map(read).collect()
}

/// A SKU's id in field `field`.
pub(crate) fn sku_id(text: &str, field: impl FnOnce() -> String) -> Result<SkuId, Problem> {
    id(SkuId::parse, SkuId::PREFIX, text, field)
}

fn secret(field: &str, text: &str) -> Result<Secret, Problem> {
    let fits =
        (1..=TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match fits {
        true => Ok(Secret::new(text)),
        false => Err(Problem::field(field, "must be 1 to 255 visible ASCII characters")),
    }
}

/// A reason in an operator's or a buyer's words.
pub(crate) fn reason(text: &str) -> Result<Box<str>, Problem> {
    match text.chars().count() <= REASON {
        true => Ok(text.into()),
        false => Err(Problem::field("reason", format!("must have at most {REASON} characters"))),
    }
}

fn order_id(call: &Call) -> Result<OrderId, Problem> {
    id(OrderId::parse, OrderId::PREFIX, call.param(), || "id".into())
}

async fn place(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PlaceIn<'_> = call.json()?;
    let wish = Wish::read(&body)?;
    let canon = wish.canon(call.name);
    let skus = wish.lines.iter().map(|line| line.sku);
    if let Some(sku) = api.gate.refused(skus) {
        let key = idempotency::key(call.role, call.name, call.key(), canon.clone());
        if !api.gate.knows(&key) {
            return Err(gated(api, sku));
        }
    }
    let order = OrderId(api.shop.mint());
    let mut envelope = envelope(call, UNIT, wish.command(order), canon);
    let patience = i64::try_from(api.settings.start.as_micros()).unwrap_or(i64::MAX);
    envelope.deadline = Some(api.shop.now() + Span(patience));
    let under_way = envelope.key.as_deref().map(|key| api.gate.begin(key));
    let enough = |order: &Order| order.mode == PayMode::Client || order.state == State::Stuck;
    let followed = follow(api, call, (order, envelope), under_way, enough).await?;
    count(api, &followed);
    learn(api, &followed);
    outcome(call, followed)
}

fn gated(api: &Api, sku: SkuId) -> Problem {
    api.counts.gated.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut problem = Problem::of(Own::SoldOut, format!("{sku} was sold out a moment ago"));
    problem.outcome = Some("SOLD_OUT");
    problem
}

/// Tells the gate what a refused order says about its SKUs.
fn learn(api: &Arc<Api>, followed: &Followed) {
    let order = &followed.order;
    if followed.replayed || order.outcome != Some(Outcome::SoldOut) {
        return;
    }
    if let [line] = &*order.lines
        && line.quantity == 1
    {
        return api.gate.close(line.sku);
    }
    // Which of them is missing, and whether nothing or just not enough is left, only the stock
    // rows know. Nobody waits for this.
    let (api, lines) = (Arc::clone(api), Arc::clone(&order.lines));
    drop(tokio::task::spawn_blocking(move || {
        for line in lines.iter() {
            if let Ok(Some(stock)) = api.queries.stock(line.sku)
                && stock.available == 0
            {
                api.gate.close(line.sku);
            }
        }
    }));
}

async fn confirm(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ConfirmIn<'_> = call.json()?;
    let order = order_id(call)?;
    let amount = body.amount.read("amount")?;
    let token = secret("token", &body.token)?;
    let canon = Canon::new(call.name)
        .int(order.0)
        .int(amount.amount)
        .text(amount.currency.as_str())
        .text(token.reveal());
    let envelope = envelope(call, UNIT, Command::Confirm { order, amount, token }, canon);
    let enough = |order: &Order| order.state == State::Stuck;
    let followed = follow(api, call, (order, envelope), (), enough).await?;
    count(api, &followed);
    outcome(call, followed)
}

/// The answer to a place or a confirm.
fn outcome(call: &Call, followed: Followed) -> Result<Reply, Problem> {
    let Followed { id, order, replayed, timing } = followed;
    let Some((own, detail)) = refused(&order) else {
        let done = order.is_settled() || order.state == State::AwaitPay;
        let status = if done { 201 } else { 202 };
        let reply = Reply::json(status, &OrderOut::of(id, &order));
        let reply = reply.timed(timing).replayed(replayed).at(location(id));
        return Ok(reply.applied(call.respond_async && !done));
    };
    let reason = order.reason.as_deref().unwrap_or_default();
    let mut problem = Problem::of(own, format!("{detail} ({reason})"));
    problem.order = Some(id);
    problem.outcome = order.outcome.map(Outcome::name);
    problem.timing = Some(timing);
    problem.replayed = replayed;
    Err(problem)
}

/// How an order that ended without a sale is told.
fn refused(order: &Order) -> Option<(Own, &'static str)> {
    if !order.is_settled() {
        return None;
    }
    Some(match order.outcome? {
        Outcome::Sold => return None,
        Outcome::SoldOut => (Own::SoldOut, "not enough units are left; nothing was charged"),
        Outcome::Declined => (Own::Declined, "the payment was declined; nothing was charged"),
        Outcome::Expired => (Own::Expired, "it was not paid in time; order again with a new key"),
        Outcome::Cancelled => (Own::Cancelled, "it was cancelled; nothing is charged"),
        Outcome::Shed => (Own::Shed, "the gateway was not asked; try again with a new key"),
        Outcome::Error => (Own::Failed, "nothing was charged; try again with a new key"),
    })
}

fn location(id: OrderId) -> String {
    format!("{PATH}/{id}")
}

async fn cancel(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CancelIn<'_> = call.json()?;
    let order = order_id(call)?;
    let reason = reason(body.reason.as_deref().unwrap_or_default())?;
    let canon = Canon::new(call.name).int(order.0).text(&reason);
    let envelope = envelope(call, UNIT, Command::Cancel { order, reason }, canon);
    let enough = |order: &Order| order.state == State::Stuck;
    let followed = follow(api, call, (order, envelope), (), enough).await?;
    Ok(changed(call, &followed))
}

async fn refund(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RefundIn<'_> = call.json()?;
    let order = order_id(call)?;
    let reason = reason(&body.reason)?;
    let units = body.lines.as_deref().map(units).transpose()?;
    let restock = body.restock.unwrap_or(true);
    let canon = Canon::new(call.name).int(order.0).text(&reason).int(i64::from(restock));
    let canon = match &units {
        None => canon.int(-1),
        Some(units) => lines_canon(canon, units),
    };
    let command = Command::Refund { order, units, restock, reason };
    let envelope = envelope(call, UNIT, command, canon);
    let followed = follow(api, call, (order, envelope), (), |_| true).await?;
    for line in followed.order.lines.iter() {
        api.gate.open(line.sku);
    }
    Ok(changed(call, &followed))
}

/// The answer to a cancel or a refund: 202 while something of it is under way.
fn changed(call: &Call, followed: &Followed) -> Reply {
    let Followed { id, order, replayed, timing } = followed;
    let open = !order.is_settled() || order.refunds.iter().any(|refund| refund.is_open());
    let status = if open { 202 } else { 200 };
    let reply = Reply::json(status, &OrderOut::of(*id, order)).timed(*timing).replayed(*replayed);
    let reply = reply.applied(call.respond_async && open);
    if open { reply.at(location(*id)) } else { reply }
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = order_id(call)?;
    let order = find(api, id).await?;
    Ok(Reply::ok(&OrderOut::of(id, &order)))
}

async fn find(api: &Arc<Api>, id: OrderId) -> Result<Order, Problem> {
    let found = api.read(move |queries| queries.order(id)).await?;
    found.ok_or_else(|| Problem::coded("ORDER_UNKNOWN", format!("there is no order {id}")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<OrderOut<'a>>,
    next_cursor: Option<String>,
}

async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let user = id(UserId::parse, UserId::PREFIX, query.required("userId")?, || "userId".into())?;
    let (limit, before) = (query.limit()?, query.cursor(OrderId::parse)?);
    let found = api.read(move |queries| queries.orders_of(user, before, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|(id, order)| OrderOut::of(*id, order)).collect(),
        next_cursor: last.map(|(id, _)| id.to_string()),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimelineOut {
    #[serde(serialize_with = "shown::one")]
    order_id: OrderId,
    state: &'static str,
    sentence: String,
    items: Vec<MomentOut>,
}

#[derive(Serialize)]
struct MomentOut {
    at: At,
    event: String,
    detail: String,
}

async fn timeline(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let order_id = order_id(call)?;
    let order = find(api, order_id).await?;
    let moments = api.read(move |queries| queries.timeline(order_id)).await?;
    let moment = |m: jangbu_services::queries::Moment| MomentOut {
        at: At(m.at),
        event: m.event,
        detail: m.detail,
    };
    let items = moments.into_iter().map(moment).collect();
    Ok(Reply::ok(&TimelineOut {
        order_id,
        state: order.state.name(),
        sentence: sentence(&order),
        items,
    }))
}

/// How an order stands, for somebody who does not know its states.
fn sentence(order: &Order) -> String {
    let reason = order.reason.as_deref().unwrap_or("no reason given");
    let what = match order.state {
        State::Holding => "The units are being set aside.".to_owned(),
        State::AwaitPay => "The units are set aside; the buyer has to pay.".to_owned(),
        State::Paying => "The payment gateway is being asked.".to_owned(),
        State::PayUnknown => {
            format!("Whether the money was taken is not known yet ({reason}); we keep asking.")
        }
        State::Committing => "It is paid; the units are being booked as sold.".to_owned(),
        State::Reversing => "It was paid and cancelled; the money is going back.".to_owned(),
        State::Unwinding => format!("It is being undone ({reason})."),
        State::Completed if order.refunded >= order.total && order.refunded > 0 => {
            "It was sold, and everything was refunded.".to_owned()
        }
        State::Completed if order.refunded > 0 => {
            format!("It was sold; {} {} were refunded.", order.refunded, order.currency)
        }
        State::Completed => "It is paid and sold.".to_owned(),
        State::Cancelled => {
            let outcome = order.outcome.map_or("CANCELLED", Outcome::name);
            format!("It ended without a sale: {outcome} ({reason}).")
        }
        State::Stuck => format!("It cannot go on by itself; an operator has to look ({reason})."),
    };
    match order.settled_at {
        Some(at) => format!("{what} Settled at {}.", At(at)),
        None => what,
    }
}

/// An order as answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: OrderId,
    state: &'static str,
    outcome: Option<&'static str>,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    lines: Vec<LineOut<'a>>,
    total: MoneyOut,
    refunded: MoneyOut,
    #[serde(serialize_with = "shown::option")]
    payment_id: Option<PaymentId>,
    refunds: Vec<RefundOut<'a>>,
    reason: Option<&'a str>,
    placed_at: At,
    settled_at: Option<At>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineOut<'a> {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    merchant_id: &'a str,
    quantity: i64,
    unit_price: MoneyOut,
    amount: MoneyOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefundOut<'a> {
    no: u32,
    state: &'static str,
    amount: MoneyOut,
    lines: Vec<UnitsOut>,
    restock: bool,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnitsOut {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    quantity: i64,
}

impl<'a> OrderOut<'a> {
    fn of(id: OrderId, order: &'a Order) -> Self {
        let currency = order.currency;
        let line = |line: &'a jangbu_domain::order::model::Line| LineOut {
            sku_id: line.sku,
            merchant_id: &line.merchant,
            quantity: line.quantity,
            unit_price: MoneyOut::new(line.unit_price, currency),
            amount: MoneyOut::new(line.unit_price.saturating_mul(line.quantity), currency),
        };
        let units = |(at, quantity): &(usize, i64)| {
            Some(UnitsOut { sku_id: order.lines.get(*at)?.sku, quantity: *quantity })
        };
        let refund = |refund: &'a jangbu_domain::order::model::Refund| RefundOut {
            no: refund.no,
            state: refund.state.name(),
            amount: MoneyOut::new(refund.amount, currency),
            lines: refund.units.iter().filter_map(units).collect(),
            restock: refund.restock,
            reason: &refund.reason,
        };
        Self {
            id,
            state: order.state.name(),
            outcome: order.outcome.filter(|_| order.is_settled()).map(Outcome::name),
            user_id: order.user,
            lines: order.lines.iter().map(line).collect(),
            total: MoneyOut::new(order.total, currency),
            refunded: MoneyOut::new(order.refunded, currency),
            payment_id: (order.pay != Step::None).then(|| id.into()),
            refunds: order.refunds.iter().map(refund).collect(),
            reason: order.reason.as_deref(),
            placed_at: At(order.placed_at),
            settled_at: order.settled_at.map(At),
        }
    }
}
