//! What is sent about orders, and what it means.

use std::borrow::Cow;

use jangbu_domain::order::command::{Command, Units};
use jangbu_domain::order::model::PayMode;
use jangbu_kernel::words::{is_line, is_prose};
use jangbu_kernel::{CouponId, Money, OrderId, Secret, SkuId, UserId};
use serde::Deserialize;

use crate::auth::user_or_own;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::money::MoneyIn;
use crate::problem::Problem;
use crate::text::id;

/// How long a card token may be.
const TOKEN: usize = 255;
/// How long a carrier's words may be.
const WORDS: usize = 100;
/// How long a reason may be.
pub(crate) const REASON: usize = 500;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PlaceIn<'a> {
    /// Whoever has a session need not say it.
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    lines: Vec<UnitsIn<'a>>,
    #[serde(borrow)]
    expected_total: MoneyIn<'a>,
    #[serde(borrow)]
    payment: PaymentIn<'a>,
    #[serde(borrow, default)]
    coupon_id: Option<Cow<'a, str>>,
    #[serde(default)]
    points: Option<i64>,
    #[serde(borrow, default)]
    expected_pay: Option<MoneyIn<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UnitsIn<'a> {
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
pub(super) struct ConfirmIn<'a> {
    #[serde(borrow)]
    pub(super) amount: MoneyIn<'a>,
    #[serde(borrow)]
    pub(super) token: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelIn<'a> {
    #[serde(borrow, default)]
    pub(super) reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundIn<'a> {
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) lines: Option<Vec<UnitsIn<'a>>>,
    #[serde(default)]
    pub(super) restock: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnIn<'a> {
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) lines: Option<Vec<UnitsIn<'a>>>,
    pub(super) restock: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShipIn<'a> {
    #[serde(borrow, default)]
    pub(super) lines: Option<Vec<UnitsIn<'a>>>,
    #[serde(borrow)]
    pub(super) carrier: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) tracking: Cow<'a, str>,
}

/// An order to be placed, checked for form.
pub(super) struct Wish {
    pub(super) user: UserId,
    pub(super) lines: Vec<Units>,
    pub(super) expected: Money,
    pub(super) mode: PayMode,
    pub(super) token: Option<Secret>,
    pub(super) coupon: Option<CouponId>,
    pub(super) points: i64,
    pub(super) pay: Option<i64>,
}

impl Wish {
    pub(super) fn read(call: &Call, body: &PlaceIn<'_>) -> Result<Self, Problem> {
        let user = user_in(call, body.user_id.as_deref())?;
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
        let coupon = |text: &str| id(CouponId::parse, CouponId::PREFIX, text, || "couponId".into());
        let coupon = body.coupon_id.as_deref().map(coupon).transpose()?;
        let points = body.points.unwrap_or(0);
        if !(0..=Money::MAX).contains(&points) {
            return Err(Problem::field("points", "must be 0 or more"));
        }
        let pay = pay(body, expected)?;
        Ok(Self { user, lines, expected, mode, token, coupon, points, pay })
    }

    pub(super) fn canon(&self, operation: &str) -> Canon {
        let canon = lines_canon(Canon::new(operation).int(self.user.0), &self.lines);
        let canon = canon
            .int(self.expected.amount)
            .text(self.expected.currency.as_str())
            .int(self.mode.code())
            .option(self.token.as_ref().map(Secret::reveal));
        // What is not wished for leaves no trace: requests of earlier versions stay the same.
        let canon = match self.coupon {
            None => canon,
            Some(coupon) => canon.text("coupon").int(coupon.0),
        };
        let canon = if self.points == 0 { canon } else { canon.text("points").int(self.points) };
        match self.pay {
            None => canon,
            Some(pay) => canon.text("pay").int(pay),
        }
    }

    pub(super) fn command(self, order: OrderId) -> Command {
        let Self { user, lines, expected, mode, token, coupon, points, pay } = self;
        Command::Place { order, user, lines, expected, mode, token, coupon, points, pay }
    }
}

/// What the buyer expects to pay by card.
fn pay(body: &PlaceIn<'_>, expected: Money) -> Result<Option<i64>, Problem> {
    let Some(pay) = &body.expected_pay else { return Ok(None) };
    let pay = pay.read("expectedPay")?;
    if pay.currency != expected.currency {
        let message = "must be in the currency of expectedTotal";
        return Err(Problem::field("expectedPay.currency", message));
    }
    Ok(Some(pay.amount))
}

pub(super) fn lines_canon(canon: Canon, lines: &[Units]) -> Canon {
    let canon = canon.int(i64::try_from(lines.len()).unwrap_or(i64::MAX));
    lines.iter().fold(canon, |canon, line| canon.int(line.sku.0).int(line.quantity))
}

pub(super) fn units(lines: &[UnitsIn<'_>]) -> Result<Vec<Units>, Problem> {
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

/// The user that a body names in `userId`, or whose session it is.
pub(crate) fn user_in(call: &Call, named: Option<&str>) -> Result<UserId, Problem> {
    let parse = |text: &str| id(UserId::parse, UserId::PREFIX, text, || "userId".into());
    let missing = || Problem::of(Own::MissingField, "userId is missing").at("userId", "is missing");
    user_or_own(call, named.map(parse).transpose()?, missing)
}

pub(crate) fn secret(field: &str, text: &str) -> Result<Secret, Problem> {
    let fits =
        (1..=TOKEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(Secret::new(text));
    }
    Err(Problem::field(field, "must be 1 to 255 visible ASCII characters"))
}

/// The name of a carrier, or its number of a parcel.
pub(super) fn words(field: &str, text: &str) -> Result<Box<str>, Problem> {
    if is_line(text, WORDS) {
        return Ok(text.into());
    }
    Err(Problem::field(field, format!("must be 1 to {WORDS} characters, without control ones")))
}

/// A reason in an operator's or a buyer's words.
pub(crate) fn reason(text: &str) -> Result<Box<str>, Problem> {
    if is_prose(text, REASON) {
        return Ok(text.into());
    }
    Err(Problem::field("reason", format!("must have at most {REASON} characters, no control ones")))
}
