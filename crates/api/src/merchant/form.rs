//! What is sent about merchants, and the schemas of what is sent and answered.

use std::borrow::Cow;

use jangbu_domain::merchant::fees::{Fee, MOST, WHOLE};
use jangbu_kernel::Money;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::schemas::{id, list, nullable, object, optional, or_null, page, text, time, words};
use crate::text;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateIn<'a> {
    #[serde(borrow)]
    pub(super) merchant_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyIn {
    #[serde(default)]
    pub(super) legacy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonIn<'a> {
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeesIn<'a> {
    #[serde(borrow)]
    fees: Vec<FeeIn<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FeeIn<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow, default)]
    to: Option<Cow<'a, str>>,
    rate_bp: i64,
    #[serde(default)]
    fixed: i64,
    vat_bp: i64,
}

impl FeesIn<'_> {
    /// The periods; what they say together is the domain's business.
    pub(super) fn read(&self) -> Result<Vec<Fee>, Problem> {
        self.fees.iter().enumerate().map(|(at, fee)| fee.read(at)).collect()
    }
}

impl FeeIn<'_> {
    fn read(&self, at: usize) -> Result<Fee, Problem> {
        let time = |name: &str, said: &str| {
            let message = "must be a time of RFC 3339, such as 2027-01-01T00:00:00+09:00";
            text::time(said).ok_or_else(|| Problem::field(&format!("fees[{at}].{name}"), message))
        };
        let to = self.to.as_deref().map(|to| time("to", to)).transpose()?;
        let Self { rate_bp, fixed, vat_bp, .. } = *self;
        Ok(Fee { from: time("from", &self.from)?, to, rate_bp, fixed, vat_bp })
    }
}

/// A merchant's id, as a cursor.
pub(super) fn code(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    ((1..=32).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let code = json!({ "type": "string", "minLength": 1, "maxLength": 32 });
    let rate = json!({ "type": "integer", "minimum": 0, "maximum": WHOLE });
    let fixed = json!({ "type": "integer", "minimum": 0, "maximum": Money::MAX });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": crate::order::REASON });
    let fee = json!({
        "from": time(), "to": or_null(time()), "rateBp": rate, "fixed": fixed, "vatBp": rate,
    });
    let key = json!({
        "keyId": id("key"), "legacy": { "type": "boolean" }, "live": { "type": "boolean" },
        "madeAt": time(), "revokedAt": or_null(time()),
    });
    let mut shown = key.clone();
    shown["merchantId"] = code.clone();
    shown["secret"] = nullable("string");
    json!({
        "CreateMerchant": object(&json!({
            "merchantId": code,
            "name": { "type": "string", "minLength": 1, "maxLength": 100 },
        })),
        "AddMerchantKey": optional(&json!({ "legacy": { "type": "boolean" } }), &["legacy"]),
        "ChangeMerchant": object(&json!({ "reason": reason })),
        "SetFees": object(&json!({
            "fees": {
                "type": "array", "minItems": 1, "maxItems": MOST,
                "items": optional(&fee, &["to", "fixed"]),
            },
        })),
        "MerchantFee": object(&fee),
        "MerchantKeyState": object(&key),
        "MerchantKey": object(&shown),
        "Merchant": object(&json!({
            "merchantId": code, "name": text(), "state": words(&["ACTIVE", "SUSPENDED"]),
            "keys": list("MerchantKeyState"), "fees": list("MerchantFee"), "createdAt": time(),
        })),
        "MerchantPage": page("Merchant"),
    })
}
