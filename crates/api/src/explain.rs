//! From errors to problems that say which field and what to do.

use jangbu_domain::{catalog, coupon, inventory, ledger, merchant, order, payment, point};
use jangbu_engine::unit::Refusal;
use serde::Deserialize;

use crate::codes::Own;
use crate::problem::Problem;

/// Why a body is not a `T`. The body is read once more, this time with the path on record.
pub(crate) fn body<'a, T: Deserialize<'a>>(body: &'a [u8], first: &serde_json::Error) -> Problem {
    // A null where a word is wanted counts as bad syntax to the reader, though the text is JSON.
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    if !first.is_data() && !is_json() {
        return malformed(first);
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) else {
        return Problem::of(Own::MalformedJson, "something follows the JSON value");
    };
    let path = error.path().to_string();
    let path = if path == "." { "" } else { &*path };
    let message = error.inner().to_string();
    let message = message.rsplit_once(" at line ").map_or(&*message, |(said, _)| said);
    named(path, message)
}

/// Why an array is not a body.
pub(crate) fn array(body: &[u8]) -> Problem {
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => Problem::field("body", "must be an object with named fields"),
        Err(error) => malformed(&error),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    Problem::of(Own::MalformedJson, format!("not JSON at line {line}, column {column}"))
}

fn named(path: &str, message: &str) -> Problem {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let none = || (rest, "there are no fields here".to_owned());
        let (name, known) = rest.rsplit_once("`, expected ").map_or_else(none, |(name, known)| {
            (name, format!("expected {}", known.replace('`', "")))
        });
        let name = name.strip_suffix("`, there are no fields").unwrap_or(name);
        // The path may end with it already.
        let path = path.strip_suffix(name).map_or(path, |path| path.trim_end_matches('.'));
        let field = within(path, shown(name));
        let message = format!("is not known here; {known}");
        return Problem::of(Own::UnknownField, format!("{field} {message}")).at(field, message);
    }
    if message.starts_with("missing field `") {
        let field = within(path, message.split('`').nth(1).unwrap_or_default());
        return Problem::of(Own::MissingField, format!("{field} is missing"))
            .at(field, "is missing");
    }
    let field = if path.is_empty() { "body" } else { path };
    Problem::field(field, without_value(message))
}

/// The path of field `name`; the path may end with it already.
fn within(path: &str, name: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    match (path, last == name) {
        ("", _) => name.to_owned(),
        (path, true) => path.to_owned(),
        (path, false) => format!("{path}.{name}"),
    }
}

/// The longest name of a field that comes back.
const WORD: usize = 32;

/// The name of a field that is not known, if it is a word: a card token in the wrong place must not
/// come back, nor stand in a log.
pub(crate) fn shown(name: &str) -> &str {
    let word = name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if word && (1..=WORD).contains(&name.len()) { name } else { "(a name)" }
}

/// What a reader says of a value, without the value, which may be a secret: `invalid type: string
/// "tok_…", expected i64` becomes `invalid type: string, expected i64`.
fn without_value(message: &str) -> String {
    if message.starts_with("duplicate field `") {
        return message.to_owned(); // one that is known
    }
    let (said, wanted) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let said = said.split(['`', '"']).next().unwrap_or_default().trim_end();
    let expected = if wanted.is_empty() { "" } else { ", expected " };
    format!("{said}{expected}{wanted}")
}

/// What a domain's refusal says, with the numbers that the client needs.
pub(crate) fn refusal(refusal: &Refusal) -> Problem {
    let reject = &*refusal.reject;
    let told = reject
        .downcast_ref()
        .and_then(order)
        .or_else(|| reject.downcast_ref().and_then(inventory))
        .or_else(|| reject.downcast_ref().and_then(catalog))
        .or_else(|| reject.downcast_ref().and_then(payment))
        .or_else(|| reject.downcast_ref().and_then(merchant))
        .or_else(|| reject.downcast_ref().and_then(ledger))
        .or_else(|| reject.downcast_ref().and_then(coupon))
        .or_else(|| reject.downcast_ref().and_then(point));
    let title = crate::codes::row_of(refusal.code).title;
    let Some((field, message)) = told else { return Problem::coded(refusal.code, title) };
    let detail = format!("{field}: {message}");
    Problem::coded(refusal.code, detail).at(field, message)
}

/// A field and what is wrong with it.
type Told = (String, String);

fn told(field: &str, message: impl Into<String>) -> Told {
    (field.to_owned(), message.into())
}

fn order(reject: &order::command::Reject) -> Option<Told> {
    use order::command::Reject as R;
    Some(match reject {
        R::LinesInvalid => told("lines", "must be 1 to 100"),
        R::QuantityInvalid { sku } => told("lines.quantity", format!("{sku}: must be 1 to 10000")),
        R::SkuNotOnSale { sku } => told("lines.skuId", format!("{sku} is not on sale")),
        R::CurrencyMismatch { sku } => {
            told("expectedTotal.currency", format!("{sku} has another currency"))
        }
        R::PriceChanged { total } => told(
            "expectedTotal.amount",
            format!("the lines cost {total} now; show that to the buyer and order with a new key"),
        ),
        R::TotalTooLarge => told("lines", "cost more than an order may"),
        R::TokenRequired => told("payment.token", "is required in mode SERVER"),
        R::AmountDiffers { total } => {
            told("amount", format!("must be what the card pays, {total}"))
        }
        R::PointsInvalid => told("points", "must be 0 or more"),
        R::ReturnExceedsShipped { sku } => {
            told("lines.quantity", format!("{sku}: fewer units were sent and not yet returned"))
        }
        R::ShipmentExceedsOrder { sku } => {
            told("lines.quantity", format!("{sku}: fewer units are still here"))
        }
        R::ShipmentUnknown { no } => told("no", format!("there is no shipment {no}")),
        R::NotAwaitingPayment { state }
        | R::OrderNotCancellable { state }
        | R::OrderNotShippable { state }
        | R::OrderNotRefundable { state } => {
            told("state", format!("the order is {}", state.name()))
        }
        R::VerbNotAllowed { state, allowed } => {
            let allowed: Vec<_> = allowed.iter().map(|verb| verb.name()).collect();
            let allowed = if allowed.is_empty() { "nothing".into() } else { allowed.join(", ") };
            told("verb", format!("the order is {}; allowed is {allowed}", state.name()))
        }
        R::RefundExceedsOrder { sku } => {
            told("lines.quantity", format!("{sku}: fewer units are left"))
        }
        R::OrderDiffers
        | R::OrderUnknown
        | R::NothingToRefund
        | R::TooManyRefunds
        | R::NothingToShip
        | R::TooManyShipments => return None,
    })
}

fn inventory(reject: &inventory::command::Reject) -> Option<Told> {
    use inventory::command::Reject as R;
    Some(match reject {
        R::QuantityInvalid => told("quantity", "must be at least 1, and a correction not 0"),
        R::InsufficientStock { sku, available } => {
            told("delta", format!("{sku} has {available} units available"))
        }
        R::StockUnknown { sku } => told("skuId", format!("{sku} never received stock")),
        R::ReturnExceedsSold { sku } => told("skuId", format!("{sku}: more than was sold")),
        R::QuantityOverflow => told("quantity", "leaves the range of a counter"),
        R::ReservationDiffers
        | R::ReservationExpired
        | R::ReservationReleased
        | R::ReservationUnknown
        | R::ReservationCommitted
        | R::ReservationNotPinned
        | R::ReturnDiffers
        | R::MovementDiffers => return None,
    })
}

fn catalog(reject: &catalog::command::Reject) -> Option<Told> {
    use catalog::command::Reject as R;
    Some(match reject {
        R::NameInvalid => {
            told("name", "names and merchantId have 1 to 200 characters, no control ones")
        }
        R::DescriptionInvalid => {
            told("description", "has at most 4000 characters, no control ones but line breaks")
        }
        R::PriceInvalid => told("price.amount", "is out of range"),
        R::SkuCountInvalid => told("skus", "must be 1 to 100"),
        R::CurrencyMixed => told("price.currency", "must be that of the product's other prices"),
        R::OptionsInvalid => told(
            "options",
            "up to 3 different names; every SKU has a value of 1 to 50 characters for each",
        ),
        R::VariantTaken => told("skus", "two SKUs would have the same values"),
        R::SkuCodeInvalid => told("skus", "a code is 1 to 64 visible ASCII characters, not an id"),
        R::SkuCodeTaken => told("skus", "the merchant has another SKU of that code"),
        R::CategoryInvalid => {
            told("code", "1 to 60 characters without `/`, unique below its parent")
        }
        R::CategoryNamed { category, name } => told(
            "name",
            format!("{category} is called `{name}`: leave the name out, or rename it by PUT"),
        ),
        R::CategoryTooDeep => told("parentId", "the tree has five levels"),
        R::PricePlansFull => told("from", "20 prices wait already"),
        R::CategoryUnknown
        | R::ProductUnknown
        | R::SkuUnknown
        | R::ProductDiffers
        | R::SkusMissing
        | R::Import(_) => return None,
    })
}

fn coupon(reject: &coupon::command::Reject) -> Option<Told> {
    use coupon::command::Reject as R;
    Some(match reject {
        R::TermsInvalid { field, must } => {
            let field = match &**field {
                "ends" => "endsAt",
                "valid" => "validUntil",
                "scope" => "merchantId",
                field => field,
            };
            told(field, &**must)
        }
        R::CouponExhausted { remaining } => told("remaining", format!("{remaining} are left")),
        R::CouponLimitReached { user } => told("userId", format!("{user} has the most allowed")),
        R::CouponMinimum { minimum } => told("couponId", format!("asks for goods worth {minimum}")),
        R::GrantInvalid => told("userIds", "must be 1 to 500"),
        R::CampaignDiffers
        | R::CampaignUnknown
        | R::CampaignNotOpen
        | R::CouponDiffers
        | R::CouponUnknown
        | R::CouponUsed
        | R::CouponExpired
        | R::CouponRevoked
        | R::CouponNotApplicable
        | R::StepCancelled => return None,
    })
}

fn payment(reject: &payment::command::Reject) -> Option<Told> {
    use payment::command::Reject as R;
    Some(match reject {
        R::RefundExceedsCaptured { left } => told("amount", format!("{left} are left")),
        R::AmountInvalid => told("amount", "is out of range"),
        R::PaymentDiffers
        | R::PaymentUnknown
        | R::NotAuthorized
        | R::NotCaptured
        | R::NotVoidable
        | R::OperationInFlight
        | R::RefundDiffers
        | R::RefundUnknown
        | R::NotUnknown
        | R::NothingToRefund
        | R::TooManyRefunds => return None,
    })
}

fn point(reject: &point::command::Reject) -> Option<Told> {
    use point::command::Reject as R;
    Some(match reject {
        R::AmountInvalid => told("amount", format!("must be 1 to {}", point::model::LIMIT)),
        R::Insufficient { available } => {
            told("points", format!("{available} can be spent at the moment"))
        }
        R::Currency { currency } => told("currency", format!("points are of {currency}")),
        R::ExpiryInvalid => {
            told("expiresAt", "must be in the future, and at most five years ahead")
        }
        R::LotsFull => told("expiresAt", "leave it out: the account has too many dates of its own"),
        R::Overflow => told("amount", "the account cannot count that many points"),
        R::RefundExceedsLeft { left } => told(
            "amount",
            format!("{left} of this charge are left; the others are spent, ended or given back"),
        ),
        R::StepCancelled
        | R::UseDiffers
        | R::UseUnknown
        | R::RestoreExceedsSpent
        | R::ClawExceedsEarned
        | R::ChargeUnknown
        | R::TooManyRefunds => return None,
    })
}

fn merchant(reject: &merchant::command::Reject) -> Option<Told> {
    use merchant::command::Reject as R;
    Some(match reject {
        R::CodeInvalid => told("merchantId", "must be 1 to 32 of A-Z a-z 0-9 _ -"),
        R::NameInvalid => told("name", "must have 1 to 100 characters, no control ones"),
        R::FeesInvalid { at, why } => told(&format!("fees[{at}]"), &**why),
        R::FeesPast => told("fees[0].from", "what the schedule says of the past stays"),
        R::Exists | R::Unknown | R::KeysFull | R::KeyUnknown => return None,
    })
}

fn ledger(reject: &ledger::Reject) -> Option<Told> {
    use ledger::Reject as R;
    Some(match reject {
        R::AccountUnknown { code } | R::AccountIdTaken { code } => told("account", &**code),
        R::CodeUnknown { .. } => told("account", "is not a code of the chart of accounts"),
        R::PostingsInvalid => told("postings", "must be 1 to 500"),
        R::Unbalanced => told("legs", "the amounts must add up to 0"),
        R::BalanceOverflow => told("account", "a balance would leave its range"),
        R::At { posting, leg, why } => return in_journal(*posting, *leg, why),
        R::PostingDiffers => return None,
    })
}

/// As [`ledger`], with the place in the journal.
fn in_journal(posting: usize, leg: Option<usize>, why: &ledger::Reject) -> Option<Told> {
    use ledger::Reject as R;
    let at = format!("postings[{posting}].legs");
    let (name, message) = ledger(why)?;
    Some(match (leg, why) {
        (None, R::PostingsInvalid) => (at, "must be 2 to 20".to_owned()),
        (None, _) => (at, message),
        (Some(leg), R::Unbalanced) => (format!("{at}[{leg}].amount"), "must not be 0".to_owned()),
        (Some(leg), _) => (format!("{at}[{leg}].{name}"), message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "inner")]
        _inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "n")]
        _n: i64,
    }

    #[test]
    fn the_field_is_named() {
        for (text, code, field) in [
            ("{", "MALFORMED_JSON", ""),
            (r#"{"inner":[]} x"#, "MALFORMED_JSON", ""),
            (r#"{"inner":[{"n":1},{"n":"x"}]}"#, "INVALID_FIELD", "inner[1].n"),
            (r#"{"inner":[{"n":1},{}]}"#, "MISSING_FIELD", "inner[1].n"),
            (r#"{"inner":[{"n":1,"m":2}]}"#, "UNKNOWN_FIELD", "inner[0].m"),
            (r#"{"innner":[]}"#, "UNKNOWN_FIELD", "innner"),
            ("{}", "MISSING_FIELD", "inner"),
            ("[]", "INVALID_FIELD", "body"),
            ("7", "INVALID_FIELD", "body"),
        ] {
            let error = serde_json::from_str::<Outer>(text).unwrap_err();
            let problem = body::<Outer>(text.as_bytes(), &error);
            let named = problem.details.first().map_or("", |detail| &*detail.field);
            assert_eq!((problem.code, named), (code, field), "{text}: {problem:?}");
        }
    }

    /// Whatever is sent in the wrong place: it may be a card token.
    #[test]
    fn no_value_comes_back_and_no_name_that_is_not_a_word() {
        for (text, wanted) in [
            (r#"{"inner":[{"n":"7f3a"}]}"#, "inner[0].n: invalid type: string, expected i64"),
            (r#"{"inner":"7f3a, expected x"}"#, "inner: invalid type: string, expected a sequence"),
            (r#"{"inner":"7f3a at line 9"}"#, "inner: invalid type: string, expected a sequence"),
            (r#"{"inner":"`7f3a` \"7f3a"}"#, "inner: invalid type: string, expected a sequence"),
            (r#"{"inner":[{"n":7.5}]}"#, "inner[0].n: invalid type: floating point, expected i64"),
            (r#"{"inner":[],"tok_7f3a":1}"#, "(a name) is not known here; expected inner"),
            (r#"{"inner":[{"7f3a.b`, c":1}]}"#, "inner[0].(a name) is not known here; expected n"),
            (r#"{"inner":[],"inner":[]}"#, "body: duplicate field `inner`"),
            (r#""7f3a""#, "body: invalid type: string, expected struct Outer"),
        ] {
            let error = serde_json::from_str::<Outer>(text).unwrap_err();
            let problem = body::<Outer>(text.as_bytes(), &error);
            assert_eq!(problem.detail, wanted, "{text}");
            assert!(!format!("{problem:?}").contains("7f3a"), "{problem:?}");
        }
    }
}
