//! What operators did: the audit log.

use serde_json::{Map, Value};

use crate::{
    Error,
    book::{Book, rules},
    rows::{Source, scan},
};

rules! {
    GAP = "audit.gap", Lost, "Lines of the audit log count 1, 2, 3, … without a gap.";
    LINE = "audit.line", Mismatched, "Every line names an operator, an operation and a unit that are known.";
    STATE = "audit.state", Mismatched, "What was before and after is a JSON object, or was not there.";
    TIME = "audit.time", Mismatched, "No line is younger than the shard's clock.";
}

/// Every operation that an operator can carry out.
pub const OPERATIONS: &[&str] = &[
    "admin.prove",
    "admin.read-only",
    "ledger.journal",
    "ledger.journals",
    "parked.discard",
    "parked.retry",
    "payment.inquire",
    "payment.resolve",
    "poison.discard",
    "poison.retry",
    "product.create",
    "product.publish",
    "saga.abandon",
    "saga.compensate",
    "saga.retry",
    "sku.price",
    "stock.adjust",
    "stock.receive",
];

/// Every unit that carries one out.
const UNITS: [&str; 6] = ["catalog", "inventory", "order", "payment", "ledger", "desk"];

/// Checks every line; gives their number.
pub(crate) fn check(from: Source<'_>, clock: i64, book: &mut Book) -> Result<u64, Error> {
    from.watch.phase("audit log");
    let mut last = 0;
    let sql = "SELECT id, at, who, operation, unit, resource, why, before, after, correlation \
               FROM audit_log ORDER BY id";
    scan(from, book, sql, |cells, book| {
        let (id, at) = (cells.int()?, cells.int()?);
        let line = || format!("audit {id}");
        if id != last + 1 {
            book.find(GAP, line(), format!("follows {last}"));
        }
        last = id;
        let (who, operation) = (cells.text()?, cells.text()?);
        let (unit, _resource, _why) = (cells.text()?, cells.text()?, cells.text()?);
        if who.is_empty() || !OPERATIONS.contains(&operation) || !UNITS.contains(&unit) {
            book.find(LINE, line(), format!("`{who}` did `{operation}` at `{unit}`"));
        }
        for state in [cells.text_or_null()?, cells.text_or_null()?] {
            let is_object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).is_ok();
            if let Some(text) = state.filter(|text| !is_object(text)) {
                book.find(STATE, line(), format!("`{text}`"));
            }
        }
        if at > clock {
            book.find(TIME, line(), format!("of {at}, the clock is {clock}"));
        }
        cells.text_or_null().map(|_| ())
    })
}
