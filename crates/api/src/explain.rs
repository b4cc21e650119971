//! From errors to problems that say which field and what to do.

use jangbu_domain::{catalog, inventory, ledger, order, payment};
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
    let message = message.split(" at line ").next().unwrap_or_default();
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
    let name = message.split('`').nth(1).unwrap_or_default();
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let field = within(path, name);
        let known = rest.split_once("`, ").map_or("there are no fields here", |(_, known)| known);
        let message = format!("is not known here; {}", known.replace('`', ""));
        return Problem::of(Own::UnknownField, format!("{field} {message}")).at(field, message);
    }
    if message.starts_with("missing field `") {
        let field = within(path, name);
        return Problem::of(Own::MissingField, format!("{field} is missing"))
            .at(field, "is missing");
    }
    let field = if path.is_empty() { "body" } else { path };
    Problem::field(field, message)
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

/// What a domain's refusal says, with the numbers that the client needs.
pub(crate) fn refusal(refusal: &Refusal) -> Problem {
    let reject = &*refusal.reject;
    let told = reject
        .downcast_ref()
        .and_then(order)
        .or_else(|| reject.downcast_ref().and_then(inventory))
        .or_else(|| reject.downcast_ref().and_then(catalog))
        .or_else(|| reject.downcast_ref().and_then(payment))
        .or_else(|| reject.downcast_ref().and_then(ledger));
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
        R::AmountDiffers { total } => told("amount", format!("must be the total, {total}")),
        R::NotAwaitingPayment { state }
        | R::OrderNotCancellable { state }
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
        R::OrderDiffers | R::OrderUnknown | R::NothingToRefund | R::TooManyRefunds => return None,
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
        R::NameInvalid => told("name", "names and merchantId have 1 to 200 characters"),
        R::PriceInvalid => told("price.amount", "is out of range"),
        R::SkuCountInvalid => told("skus", "must be 1 to 100"),
        R::CurrencyMixed => told("price.currency", "must be that of the product's other prices"),
        R::ProductUnknown | R::SkuUnknown | R::ProductDiffers => return None,
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
        | R::NotUnknown => return None,
    })
}

fn ledger(reject: &ledger::Reject) -> Option<Told> {
    use ledger::Reject as R;
    Some(match reject {
        R::AccountUnknown { code } | R::AccountIdTaken { code } => told("code", &**code),
        R::Unbalanced | R::PostingDiffers | R::BalanceOverflow => return None,
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
}
