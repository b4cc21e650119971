//! Bodies of the compatible payment API, and the rules of their fields.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_kernel::{Currency, Money, PaymentId, Secret};
use serde::Deserialize;

use crate::call::Call;
use crate::codes::Own;
use crate::money::currency;
use crate::problem::Problem;
use crate::text::id;

/// The longest merchant id, key and reason; the seed's.
const MERCHANT: usize = 32;
const KEY: usize = 64;
const REASON: usize = 128;
/// The longest token, as in orders.
const TOKEN: usize = 255;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AuthorizeIn<'a> {
    #[serde(borrow)]
    merchant_id: Cow<'a, str>,
    amount: i64,
    #[serde(borrow, default)]
    currency: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    idempotency_key: Option<Cow<'a, str>>,
    #[serde(default)]
    token: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChangeIn<'a> {
    #[serde(borrow)]
    pub(super) merchant_id: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RefundIn<'a> {
    #[serde(borrow)]
    merchant_id: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(default)]
    amount: Option<i64>,
    #[serde(borrow, default)]
    idempotency_key: Option<Cow<'a, str>>,
}

/// An authorisation whose fields are sound.
pub(super) struct Authorize {
    pub(super) merchant: Arc<str>,
    pub(super) amount: i64,
    pub(super) currency: Currency,
    pub(super) key: Box<str>,
    /// Empty: a gateway without tokens decides by itself.
    pub(super) token: Secret,
}

/// A refund whose fields are sound.
pub(super) struct Refund {
    pub(super) merchant: Arc<str>,
    pub(super) reason: Box<str>,
    /// None: whatever is left.
    pub(super) amount: Option<i64>,
    pub(super) key: Option<Box<str>>,
}

impl Authorize {
    pub(super) fn read(call: &Call) -> Result<Self, Problem> {
        let body: AuthorizeIn<'_> = call.json()?;
        let merchant = merchant(&body.merchant_id)?;
        let currency = match &body.currency {
            None => Currency::KRW,
            Some(code) => currency(code, &"currency")?,
        };
        let key = key(call, body.idempotency_key.as_deref())?.ok_or_else(key_required)?;
        let token = body.token.unwrap_or_default();
        if token.reveal().len() > TOKEN {
            return Err(Problem::field("token", format!("has at most {TOKEN} bytes")));
        }
        Ok(Self { merchant, amount: amount(body.amount)?, currency, key, token })
    }
}

impl Refund {
    pub(super) fn read(call: &Call) -> Result<Self, Problem> {
        let body: RefundIn<'_> = call.json()?;
        let merchant = merchant(&body.merchant_id)?;
        if body.reason.is_empty() || !jangbu_kernel::words::is_prose(&body.reason, REASON) {
            return Err(Problem::field("reason", format!("must have 1 to {REASON} characters")));
        }
        let key = key(call, body.idempotency_key.as_deref())?;
        let amount = body.amount.map(amount).transpose()?;
        if amount.is_some() && key.is_none() {
            return Err(key_required());
        }
        Ok(Self { merchant, reason: (&*body.reason).into(), amount, key })
    }
}

/// The payment that the path names.
pub(super) fn payment_id(call: &Call) -> Result<PaymentId, Problem> {
    id(PaymentId::parse, PaymentId::PREFIX, call.param(), || "id".into())
}

/// A merchant's id.
pub(super) fn merchant(text: &str) -> Result<Arc<str>, Problem> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MERCHANT).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.into());
    }
    let message = format!("must be 1 to {MERCHANT} letters, digits, _ or -");
    Err(Problem::field("merchantId", message))
}

fn amount(amount: i64) -> Result<i64, Problem> {
    if (1..=Money::MAX).contains(&amount) {
        return Ok(amount);
    }
    Err(Problem::field("amount", format!("must be 1 to {}", Money::MAX)))
}

fn key_required() -> Problem {
    let detail = "send an idempotencyKey, or an Idempotency-Key header, of your own choice: the \
                  same key and body again is the same request";
    Problem::of(Own::KeyRequired, detail)
}

/// The key of the body or of the header; when both come, they are the same.
fn key(call: &Call, body: Option<&str>) -> Result<Option<Box<str>>, Problem> {
    let header = Some(call.key()).filter(|key| !key.is_empty());
    if let (Some(body), Some(header)) = (body, header)
        && body != header
    {
        let message = "is not the Idempotency-Key header that came with it";
        return Err(Problem::field("idempotencyKey", message));
    }
    let Some(key) = body.or(header) else { return Ok(None) };
    if (1..=KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Some(key.into()));
    }
    let message = format!("must be 1 to {KEY} visible ASCII characters without blanks");
    Err(Problem::field("idempotencyKey", message))
}
