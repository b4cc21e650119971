//! What operators did: the audit log; and what waits for them: commands that were set aside.

use std::collections::BTreeSet;

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
    CLOSED = "poison.closed", Mismatched, "What was set aside is closed with a reason, and by a line of the audit log.";
}

/// Every operation that an operator can carry out.
pub const OPERATIONS: &[&str] = &[
    "admin.prove",
    "admin.read-only",
    "backup.begin",
    "campaign.create",
    "campaign.end",
    "campaign.grant",
    "catalog.import",
    "category.create",
    "category.rename",
    "coupon.revoke",
    "dlq.discard",
    "dlq.replay",
    "ledger.journal",
    "ledger.journals",
    "merchant.create",
    "merchant.fees",
    "merchant.key",
    "merchant.resume",
    "merchant.revoke",
    "merchant.suspend",
    "notification.retry",
    "notification.template",
    "payment.inquire",
    "payment.resolve",
    "point.grant",
    "point.refund",
    "poison.discard",
    "poison.retry",
    "product.create",
    "product.extend",
    "product.publish",
    "product.unpublish",
    "product.update",
    "saga.abandon",
    "saga.compensate",
    "saga.retry",
    "sku.price",
    "sku.price-plan",
    "sku.price-unplan",
    "stock.adjust",
    "stock.receive",
    "user.deactivate",
    "user.password",
    "user.update",
];

/// Every unit that carries one out.
const UNITS: &[&str] = &[
    "user",
    "merchant",
    "catalog",
    "inventory",
    "coupon",
    "point",
    "order",
    "payment",
    "ledger",
    "desk",
];

/// Checks every line, and what was set aside; gives the number of items that are open.
pub(crate) fn check(from: Source<'_>, clock: i64, book: &mut Book) -> Result<u64, Error> {
    from.watch.phase("audit log");
    let closed = lines(from, clock, book)?;
    set_aside(from, &closed, book)
}

/// Checks what was set aside against those that a line says were closed.
fn set_aside(from: Source<'_>, closed: &BTreeSet<i64>, book: &mut Book) -> Result<u64, Error> {
    let mut open = 0;
    let sql = "SELECT id, state, unit, why FROM poison ORDER BY id";
    scan(from, book, sql, |cells, book| {
        let (id, state) = (cells.int()?, cells.int_in(1..=3)?);
        let (_unit, why) = (cells.text()?, cells.text()?);
        if state == 1 {
            open += 1;
        } else if why.is_empty() || !closed.contains(&id) {
            let detail = format!("state {state}, because of `{why}`, without a line that says so");
            book.find(CLOSED, format!("poison {id}"), detail);
        }
        Ok(())
    })?;
    Ok(open)
}

/// Checks every line; gives the items that were closed, or tried to.
fn lines(from: Source<'_>, clock: i64, book: &mut Book) -> Result<BTreeSet<i64>, Error> {
    let (mut last, mut closed) = (0, BTreeSet::new());
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
        let (unit, resource, _why) = (cells.text()?, cells.text()?, cells.text()?);
        if who.is_empty() || !OPERATIONS.contains(&operation) || !UNITS.contains(&unit) {
            book.find(LINE, line(), format!("`{who}` did `{operation}` at `{unit}`"));
        }
        if operation.starts_with("poison.") {
            closed.extend(resource.parse::<i64>());
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
    })?;
    Ok(closed)
}
