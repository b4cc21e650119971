//! Merchants, for operators: make one, give it keys, agree on fees, suspend it.
//!
//! The secret of a key is made here, sealed before it leaves this module, and shown in the answer
//! that makes it and never again: a repeat of the request has none.

mod form;

use std::sync::Arc;

use jangbu_domain::merchant::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::merchant::fees::Fee;
use jangbu_domain::merchant::model::{Key, Merchant};
use jangbu_kernel::{KeyId, Secret};
use jangbu_services::merchant::SEALED;
use serde::Serialize;

pub(crate) use form::schemas;

use crate::Api;
use crate::ask::{Asked, envelope, normal, operated};
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::saga::why;
use crate::text::{At, id, shown};
use form::{CreateIn, FeesIn, KeyIn, ReasonIn};

const CREATE: &str = r#"{"merchantId":"m-1","name":"Kim's Tees"}"#;
const KEY: &str = r#"{"legacy":false}"#;
const FEES: &str =
    r#"{"fees":[{"from":"2027-01-01T00:00:00+09:00","rateBp":350,"fixed":100,"vatBp":1000}]}"#;
const REASON: &str = r#"{"reason":"the contract has ended"}"#;

/// A route of operators that changes a merchant.
macro_rules! change {
    ($method:literal, $path:literal, $name:literal, $run:ident, $summary:literal, $body:expr,
     ($status:literal, $schema:literal, $meaning:literal), $codes:expr) => {
        Route {
            method: $method,
            path: concat!("/api/v1/merchants", $path),
            name: $name,
            role: Role::Operator,
            keyed: true,
            run: |api, call| Box::pin(async move { $run(&api, &call).await }),
            doc: Doc {
                summary: $summary,
                query: &[],
                body: Some($body),
                answers: &[($status, $schema, $meaning)],
                codes: $codes,
            },
        }
    };
}

pub(crate) const ROUTES: &[Route] = &[
    change!(
        "POST",
        "",
        "merchant.create",
        create,
        "Make a merchant",
        ("CreateMerchant", CREATE),
        (201, "Merchant", "The merchant"),
        &["MERCHANT_CODE_INVALID", "MERCHANT_NAME_INVALID", "MERCHANT_EXISTS"]
    ),
    Route {
        method: "GET",
        path: "/api/v1/merchants",
        name: "merchant.list",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { list(&api, &call) }),
        doc: Doc {
            summary: "All merchants, by their id",
            query: &["cursor", "limit"],
            body: None,
            answers: &[(200, "MerchantPage", "A page")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/merchants/{code}",
        name: "merchant.get",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A merchant with its keys and its fee schedule",
            query: &[],
            body: None,
            answers: &[(200, "Merchant", "The merchant")],
            codes: &["MERCHANT_UNKNOWN"],
        },
    },
    change!(
        "POST",
        "/{code}/keys",
        "merchant.key",
        add_key,
        "Make a key with which the merchant signs; two are live while one replaces the other",
        ("AddMerchantKey", KEY),
        (201, "MerchantKey", "The key, with its secret once: a repeat of the request has null"),
        &["MERCHANT_UNKNOWN", "MERCHANT_KEYS_FULL"]
    ),
    change!(
        "POST",
        "/{code}/keys/{keyId}/revoke",
        "merchant.revoke",
        revoke,
        "Revoke a key at once; its secret is forgotten",
        ("ChangeMerchant", REASON),
        (200, "Merchant", "The merchant"),
        &["MERCHANT_UNKNOWN", "MERCHANT_KEY_UNKNOWN"]
    ),
    change!(
        "PUT",
        "/{code}/fees",
        "merchant.fees",
        set_fees,
        "Replace the fee schedule from the first of these periods on; the past stays",
        ("SetFees", FEES),
        (200, "Merchant", "The merchant, with the whole schedule"),
        &["MERCHANT_UNKNOWN", "FEES_INVALID", "FEES_PAST"]
    ),
    change!(
        "POST",
        "/{code}/suspend",
        "merchant.suspend",
        suspend,
        "Refuse the merchant, and whoever acts for it, from now on",
        ("ChangeMerchant", REASON),
        (200, "Merchant", "The merchant"),
        &["MERCHANT_UNKNOWN"]
    ),
    change!(
        "POST",
        "/{code}/resume",
        "merchant.resume",
        resume,
        "Serve the merchant again",
        ("ChangeMerchant", REASON),
        (200, "Merchant", "The merchant"),
        &["MERCHANT_UNKNOWN"]
    ),
];

/// Bytes of a secret.
const BYTES: usize = 24;

fn code(call: &Call) -> Arc<str> {
    call.param().into()
}

async fn ask(
    api: &Api,
    call: &Call,
    (command, canon): (Command, Canon),
    why: &str,
) -> Result<Asked<Answer>, Problem> {
    let envelope = operated(envelope(call, UNIT, command, canon), call, why);
    api.ask_soon(normal(envelope)).await
}

async fn create(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CreateIn<'_> = call.json()?;
    let canon = Canon::new(call.name).text(&body.merchant_id).text(&body.name);
    let command = Command::Create { code: (&*body.merchant_id).into(), name: (&*body.name).into() };
    let asked = ask(api, call, (command, canon), "").await?;
    Ok(Reply::json(201, &MerchantOut::of(&asked.reply.merchant)).replayed(asked.replayed))
}

async fn add_key(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let KeyIn { legacy } = call.json()?;
    let (code, key, secret) = (code(call), KeyId(api.shop.mint()), secret(api));
    let canon = Canon::new(call.name).text(&code).int(i64::from(legacy));
    let sealed = api.sealing.seal(SEALED, key.0, secret.reveal()).into();
    let command = Command::AddKey { code, key, sealed, legacy };
    let Asked { reply: Answer { merchant, key: made }, replayed, .. } =
        ask(api, call, (command, canon), "").await?;
    let row = merchant.keys.iter().find(|key| Some(key.id) == made);
    let row = row.ok_or_else(|| Problem::of(Own::Internal, "the reply is not a key"))?;
    let fresh = !replayed && row.id == key;
    let secret = fresh.then(|| secret.reveal());
    let out = SecretOut { merchant_id: &merchant.code, key: KeyOut::of(row), secret };
    Ok(Reply::json(201, &out).replayed(replayed))
}

/// What nobody can guess, with a prefix that says what it is.
fn secret(api: &Api) -> Secret {
    let mut bytes = [0; BYTES];
    api.sealing.random(&mut bytes);
    Secret::new(bytes.iter().fold("jbm_".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

async fn revoke(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ReasonIn<'_> = call.json()?;
    let key = id(KeyId::parse, KeyId::PREFIX, call.param_at(1), || "keyId".into())?;
    let (code, why) = (code(call), why(&body.reason)?);
    let canon = Canon::new(call.name).text(&code).int(key.0).text(why);
    shown_after(api, call, (Command::RevokeKey { code, key }, canon), why).await
}

async fn set_fees(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: FeesIn<'_> = call.json()?;
    let (code, fees) = (code(call), body.read()?);
    let canon = fees.iter().fold(Canon::new(call.name).text(&code), |canon, fee| {
        let Fee { from, to, rate_bp, fixed, vat_bp } = *fee;
        let canon = canon.int(from.0).int(to.map_or(i64::MAX, |to| to.0));
        canon.int(rate_bp).int(fixed).int(vat_bp)
    });
    shown_after(api, call, (Command::SetFees { code, fees }, canon), "").await
}

async fn suspend(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ReasonIn<'_> = call.json()?;
    let (code, why) = (code(call), why(&body.reason)?);
    let canon = Canon::new(call.name).text(&code).text(why);
    shown_after(api, call, (Command::Suspend { code }, canon), why).await
}

async fn resume(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ReasonIn<'_> = call.json()?;
    let (code, why) = (code(call), why(&body.reason)?);
    let canon = Canon::new(call.name).text(&code).text(why);
    shown_after(api, call, (Command::Resume { code }, canon), why).await
}

async fn shown_after(
    api: &Arc<Api>,
    call: &Call,
    command: (Command, Canon),
    why: &str,
) -> Result<Reply, Problem> {
    let asked = ask(api, call, command, why).await?;
    Ok(Reply::ok(&MerchantOut::of(&asked.reply.merchant)).replayed(asked.replayed))
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let code = code(call);
    let found = api.read(move |queries| queries.merchant(&code)).await?;
    let unknown = || Problem::coded("MERCHANT_UNKNOWN", "there is no merchant with this id");
    Ok(Reply::ok(&MerchantOut::of(&found.ok_or_else(unknown)?)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<MerchantOut<'a>>,
    next_cursor: Option<&'a str>,
}

/// From memory, where every merchant is.
fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()? as usize, query.cursor(form::code)?);
    let found = api.directory.page(after.as_deref(), limit + 1);
    let page = &found[..found.len().min(limit)];
    let last = page.last().filter(|_| found.len() > page.len());
    Ok(Reply::ok(&Page {
        items: page.iter().map(|row| MerchantOut::of(row)).collect(),
        next_cursor: last.map(|row| &*row.code),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MerchantOut<'a> {
    merchant_id: &'a str,
    name: &'a str,
    state: &'static str,
    keys: Vec<KeyOut>,
    fees: Vec<FeeOut>,
    created_at: At,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyOut {
    #[serde(serialize_with = "shown::one")]
    key_id: KeyId,
    legacy: bool,
    live: bool,
    made_at: At,
    revoked_at: Option<At>,
}

/// A key with its secret, or without when it was shown before.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretOut<'a> {
    merchant_id: &'a str,
    #[serde(flatten)]
    key: KeyOut,
    secret: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeOut {
    from: At,
    to: Option<At>,
    rate_bp: i64,
    fixed: i64,
    vat_bp: i64,
}

impl<'a> MerchantOut<'a> {
    fn of(row: &'a Merchant) -> Self {
        let fee = |fee: &Fee| {
            let Fee { from, to, rate_bp, fixed, vat_bp } = *fee;
            FeeOut { from: At(from), to: to.map(At), rate_bp, fixed, vat_bp }
        };
        Self {
            merchant_id: &row.code,
            name: &row.name,
            state: row.state.name(),
            keys: row.keys.iter().map(KeyOut::of).collect(),
            fees: row.fees.iter().map(fee).collect(),
            created_at: At(row.at),
        }
    }
}

impl KeyOut {
    fn of(key: &Key) -> Self {
        let Key { id, legacy, made_at, revoked_at, .. } = key;
        let (live, revoked_at) = (key.is_live(), revoked_at.map(At));
        Self { key_id: *id, legacy: *legacy, live, made_at: At(*made_at), revoked_at }
    }
}
