//! Every error code. [`TABLE`] is the one place that knows status, title and retryability, the
//! codes of the domains included; [`own`] has those that no domain gives.

mod own;

pub(crate) use self::own::Own;

/// A row of [`TABLE`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// Whether the same request, unchanged and with the same key, may succeed later.
    pub(crate) retryable: bool,
}

const fn row(code: &'static str, status: u16, title: &'static str) -> Row {
    Row { code, status, title, retryable: false }
}

const fn again(code: &'static str, status: u16, title: &'static str) -> Row {
    Row { code, status, title, retryable: true }
}

/// Every code that an answer can carry. The most frequent ones come first.
pub(crate) const TABLE: &[Row] = &[
    row("SOLD_OUT", 409, "Not enough units are left"),
    row("PAYMENT_DECLINED", 402, "The payment was declined"),
    again("SHED", 503, "Too much load"),
    row("PRICE_CHANGED", 409, "The price has changed"),
    row("SKU_NOT_ON_SALE", 409, "A SKU is not on sale"),
    row("ORDER_EXPIRED", 409, "The order was not paid in time"),
    row("ORDER_CANCELLED", 409, "The order was cancelled"),
    row("ORDER_FAILED", 503, "A part of the shop did not answer"),
    row("ORDER_PAY_CHANGED", 409, "The card would have to pay something else"),
    row("ORDER_LIMIT", 409, "The coupon or the points could not be used"),
    // requests
    row("MALFORMED_JSON", 400, "The body is not JSON"),
    row("UNKNOWN_FIELD", 422, "The body has a field that this call does not know"),
    row("MISSING_FIELD", 422, "A field is missing"),
    row("INVALID_FIELD", 422, "A field has a value that it cannot have"),
    row("INVALID_ID", 422, "An id is not one"),
    row("INVALID_PARAMETER", 400, "A query parameter is not understood"),
    row("IDEMPOTENCY_KEY_REQUIRED", 400, "The Idempotency-Key header is missing"),
    row("IDEMPOTENCY_KEY_INVALID", 400, "The Idempotency-Key header is not a key"),
    row("IDEMPOTENCY_KEY_REUSED", 422, "The key belongs to another request"),
    row("IDEMPOTENCY_KEY_EXPIRED", 409, "The key is too old"),
    row("IDEMPOTENCY_KEY_UNKNOWN", 404, "Nothing was done under this key"),
    row("POSITION_INVALID", 400, "The Jangbu-Read-After header is not a position"),
    row("POSITION_AHEAD", 409, "The shop has not come to this position"),
    row("CORRELATION_ID_INVALID", 400, "The X-Correlation-ID header is not an id"),
    row("BODY_TOO_LARGE", 413, "The body is too large"),
    again("BODY_TIMEOUT", 408, "The body did not arrive in time"),
    again("BODY_BROKEN", 400, "The body did not arrive whole"),
    row("MEDIA_TYPE_UNSUPPORTED", 415, "The body must be JSON"),
    row("NOT_FOUND", 404, "There is no such thing"),
    row("METHOD_NOT_ALLOWED", 405, "The path does not know this method"),
    row("UNAUTHORIZED", 401, "A key is needed"),
    row("FORBIDDEN", 403, "The caller may not do this"),
    row("SIGNATURE_INVALID", 401, "The signature is not good"),
    row("SIGNATURE_STALE", 401, "The signature is of another time"),
    row("NONCE_REUSED", 401, "The signature came before"),
    again("NONCE_STORE_FULL", 429, "Too many signed requests"),
    row("LEGACY_SIGNATURE_FORBIDDEN", 403, "The legacy signature is not taken here"),
    row("MERCHANT_SUSPENDED", 403, "The merchant is suspended"),
    // the server
    again("DEADLINE_EXCEEDED", 503, "The command waited too long and was not begun"),
    again("READ_ONLY", 503, "No new business is taken"),
    row("STORE_FAILED", 503, "The store has failed"),
    row("POISONED", 500, "The command cannot be processed"),
    again("STOPPING", 503, "The server is going down"),
    again("UNANSWERED", 503, "The outcome is not known yet"),
    again("READ_BEHIND", 503, "The lists have not come so far yet"),
    again("READ_FAILED", 503, "The store could not be read"),
    row("PARKED_UNKNOWN", 404, "No such key is parked"),
    row("CONSUMER_STOPPED", 503, "The consumer stands still"),
    again("NOT_OWNER", 503, "The consumers are at work in another process"),
    row("DELIVERY_UNKNOWN", 404, "There is no such delivery"),
    row("DELIVERY_NOT_RETRYABLE", 409, "The delivery was sent, or waits anyway"),
    row("TEMPLATE_UNKNOWN", 404, "There is no such text"),
    again("BACKUP_RUNNING", 409, "A backup is being made"),
    again("BACKUP_FAILED", 503, "The backup could not be begun"),
    again("PROVE_FAILED", 503, "The proof could not be carried out"),
    again("TOO_MANY_CONNECTIONS", 503, "Too many connections are open"),
    again("HEADER_TIMEOUT", 408, "The header did not arrive in time"),
    again("RATE_LIMITED", 429, "Too many requests of one kind"),
    row("INTERNAL", 500, "The server has a defect"),
    // order
    row("LINES_INVALID", 422, "An order has 1 to 100 lines"),
    row("QUANTITY_INVALID", 422, "A quantity is out of range"),
    row("CURRENCY_MISMATCH", 422, "An order has one currency"),
    row("TOTAL_TOO_LARGE", 422, "The total is too large"),
    row("TOKEN_REQUIRED", 422, "A card token is needed"),
    row("ORDER_DIFFERS", 409, "The id belongs to another order"),
    row("POISON_UNKNOWN", 404, "Nothing was set aside under this number"),
    row("POISON_CLOSED", 409, "The item is closed"),
    row("POISON_NOT_RETRYABLE", 409, "The item cannot run again"),
    row("ORDER_UNKNOWN", 404, "There is no such order"),
    row("NOT_AWAITING_PAYMENT", 409, "The order does not wait for a payment"),
    row("AMOUNT_DIFFERS", 422, "The amount is not the order's total"),
    row("ORDER_NOT_CANCELLABLE", 409, "The order cannot be cancelled any more"),
    row("ORDER_NOT_REFUNDABLE", 409, "Only a completed order can be refunded"),
    row("REFUND_EXCEEDS_ORDER", 422, "More units than are left"),
    row("NOTHING_TO_REFUND", 409, "Nothing is left to be refunded"),
    row("TOO_MANY_REFUNDS", 409, "There are at most 999 refunds"),
    row("RETURN_EXCEEDS_SHIPPED", 422, "More units than were sent and are not returned yet"),
    row("ORDER_NOT_SHIPPABLE", 409, "Only a completed order can be sent"),
    row("SHIPMENT_EXCEEDS_ORDER", 422, "More units than are still here"),
    row("NOTHING_TO_SHIP", 409, "Nothing is left to be sent"),
    row("TOO_MANY_SHIPMENTS", 409, "There are at most 999 shipments"),
    row("SHIPMENT_UNKNOWN", 404, "There is no such shipment"),
    row("VERB_NOT_ALLOWED", 409, "An operator may not do that to the order as it stands"),
    // user
    row("USER_UNKNOWN", 404, "There is no such user"),
    row("USER_EXISTS", 409, "The id belongs to another user"),
    row("USER_DEACTIVATED", 409, "The user is deactivated"),
    row("EMAIL_TAKEN", 409, "Another user has this e-mail address"),
    row("PASSWORD_CHANGED", 409, "The password has been changed meanwhile"),
    row("LOGIN_FAILED", 401, "The e-mail address or the password is wrong"),
    again("LOGIN_LOCKED", 429, "Too many wrong passwords"),
    // merchant
    row("MERCHANT_CODE_INVALID", 422, "A merchant's id is 1 to 32 of A-Z a-z 0-9 _ -"),
    row("MERCHANT_NAME_INVALID", 422, "A merchant's name has 1 to 100 characters"),
    row("MERCHANT_EXISTS", 409, "There is a merchant with this id"),
    row("MERCHANT_UNKNOWN", 404, "There is no such merchant"),
    row("MERCHANT_KEYS_FULL", 409, "Two keys of the merchant are live"),
    row("MERCHANT_KEY_UNKNOWN", 404, "The merchant has no such key"),
    row("FEES_INVALID", 422, "A fee schedule is not in order"),
    row("FEES_PAST", 409, "A fee schedule cannot change the past"),
    // catalog
    row("NAME_INVALID", 422, "A name is empty or too long"),
    row("MALFORMED_CSV", 422, "The file is not such a table"),
    row("DESCRIPTION_INVALID", 422, "A description is too long"),
    row("PRICE_INVALID", 422, "A price is out of range"),
    row("SKU_COUNT_INVALID", 422, "A product has 1 to 100 SKUs"),
    row("CURRENCY_MIXED", 422, "A product has one currency, and a SKU keeps its own"),
    row("OPTIONS_INVALID", 422, "Options and the values of a SKU do not fit"),
    row("VARIANT_TAKEN", 409, "Two SKUs of a product would have the same values"),
    row("SKU_CODE_INVALID", 422, "A SKU code is 1 to 64 visible ASCII characters"),
    row("SKU_CODE_TAKEN", 409, "The merchant has another SKU of that code"),
    row("CATEGORY_INVALID", 422, "A category cannot have that code there"),
    row("CATEGORY_EXISTS", 409, "The category has another name"),
    row("CATEGORY_TOO_DEEP", 422, "The tree of categories has five levels"),
    row("CATEGORY_UNKNOWN", 404, "There is no such category"),
    row("PRICE_PLANS_FULL", 409, "Twenty prices of the SKU wait already"),
    row("SKUS_MISSING", 422, "A file publishes or hides a product, and lacks some of its SKUs"),
    row("IMPORT_REFUSED", 422, "Something of an import cannot be carried out"),
    row("PRODUCT_UNKNOWN", 404, "There is no such product"),
    row("SKU_UNKNOWN", 404, "There is no such SKU"),
    row("PRODUCT_DIFFERS", 409, "The id belongs to another product"),
    // inventory
    row("INSUFFICIENT_STOCK", 409, "There are not enough units"),
    row("STOCK_UNKNOWN", 404, "No stock was ever received for this SKU"),
    row("RESERVATION_DIFFERS", 409, "The order holds other units"),
    row("RESERVATION_EXPIRED", 409, "The hold has run out"),
    row("RESERVATION_RELEASED", 409, "The units were given back"),
    row("RESERVATION_UNKNOWN", 404, "The order holds nothing"),
    row("RESERVATION_COMMITTED", 409, "The units are sold"),
    row("RESERVATION_NOT_PINNED", 409, "The hold was not pinned"),
    row("RETURN_EXCEEDS_SOLD", 422, "More units than were sold"),
    row("RETURN_DIFFERS", 409, "The refund returned other units"),
    row("QUANTITY_OVERFLOW", 422, "A counter would leave its range"),
    row("MOVEMENT_DIFFERS", 409, "The id belongs to another movement"),
    // payment
    row("AMOUNT_INVALID", 422, "An amount is out of range"),
    row("PAYMENT_DIFFERS", 409, "The id belongs to another payment"),
    row("PAYMENT_UNKNOWN", 404, "There is no such payment"),
    row("NOT_AUTHORIZED", 409, "The payment is not authorised"),
    row("NOT_CAPTURED", 409, "The payment is not captured"),
    row("NOT_VOIDABLE", 409, "The payment cannot be voided any more"),
    again("OPERATION_IN_FLIGHT", 409, "Another operation of the payment is under way"),
    row("REFUND_EXCEEDS_CAPTURED", 422, "More than was captured and is left"),
    row("REFUND_DIFFERS", 409, "The refund has another amount"),
    row("REFUND_UNKNOWN", 404, "There is no such refund"),
    row("NOT_UNKNOWN", 409, "The outcome is known"),
    // payments without an order
    again("GATEWAY_UNAVAILABLE", 503, "The gateway cannot be reached"),
    row("CAPTURE_CONFLICT", 409, "The payment cannot be captured"),
    row("VOID_CONFLICT", 409, "The payment cannot be voided"),
    row("REFUND_CONFLICT", 409, "Nothing can be refunded"),
    row("REFUND_REFUSED", 402, "The gateway has refused the refund"),
    // coupon
    row("COUPON_EXHAUSTED", 409, "All coupons of the campaign are issued"),
    row("COUPON_LIMIT_REACHED", 409, "The user has as many coupons as one may have"),
    row("CAMPAIGN_NOT_OPEN", 409, "The campaign issues nothing now"),
    row("CAMPAIGN_UNKNOWN", 404, "There is no such campaign"),
    row("CAMPAIGN_INVALID", 422, "The terms of the campaign make no sense"),
    row("CAMPAIGN_DIFFERS", 409, "The id belongs to another campaign"),
    row("GRANT_INVALID", 422, "A grant gives 1 to 500 coupons"),
    row("COUPON_UNKNOWN", 404, "There is no such coupon"),
    row("COUPON_DIFFERS", 409, "The id belongs to another coupon"),
    row("COUPON_USED", 409, "An order uses the coupon"),
    row("COUPON_EXPIRED", 409, "The coupon's time is over"),
    row("COUPON_REVOKED", 409, "The coupon was taken back"),
    row("COUPON_MINIMUM", 409, "The goods are worth less than the coupon asks for"),
    row("COUPON_NOT_APPLICABLE", 409, "The coupon saves nothing on this order"),
    row("STEP_CANCELLED", 409, "The order took the step back before it came"),
    // point
    row("POINTS_AMOUNT_INVALID", 422, "A number of points is out of range"),
    row("POINTS_INSUFFICIENT", 409, "There are not enough points"),
    row("POINT_CURRENCY", 422, "Points are of another currency"),
    row("POINTS_OVERFLOW", 422, "The account cannot count that many points"),
    row("POINT_EXPIRY_INVALID", 422, "Points cannot end then"),
    row("POINT_LOTS_FULL", 409, "The account has too many expiries of its own"),
    row("POINT_USE_DIFFERS", 409, "The id belongs to another movement of points"),
    row("POINT_USE_UNKNOWN", 404, "The order has nothing to do with points"),
    row("POINT_RESTORE_EXCEEDS_SPENT", 409, "More points than the order has spent"),
    row("POINT_CLAW_EXCEEDS_EARNED", 409, "More points than the order has earned"),
    row("POINT_CHARGE_UNKNOWN", 404, "There is no such charge of points"),
    row("POINT_REFUND_EXCEEDS_LEFT", 409, "More points than are left of the charge"),
    // ledger
    row("UNBALANCED", 422, "The legs do not balance"),
    row("POSTING_DIFFERS", 409, "The posting has other legs"),
    row("ACCOUNT_UNKNOWN", 404, "There is no such account"),
    row("ACCOUNT_ID_TAKEN", 409, "Another account has this id"),
    row("BALANCE_OVERFLOW", 422, "A balance would leave its range"),
    row("POSTINGS_INVALID", 422, "A journal has 1 to 500 postings of 2 to 20 legs"),
    row("ACCOUNT_CODE_UNKNOWN", 422, "The chart of accounts has no such code"),
    row("JOURNAL_UNKNOWN", 404, "There is no such journal"),
];

const UNLISTED: Row = row("INTERNAL", 500, "The server has a defect");

/// The row of a code. One that is not listed is our defect, which a test excludes.
pub(crate) fn row_of(code: &str) -> Row {
    TABLE.iter().find(|row| row.code == code).copied().unwrap_or(UNLISTED)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes that the domains and the desk can give, read from where they are written.
    const DOMAINS: &[&str] = &[
        include_str!("../../engine/src/desk.rs"),
        include_str!("../../domain/src/order/command.rs"),
        include_str!("../../domain/src/user/command.rs"),
        include_str!("../../domain/src/catalog/command.rs"),
        include_str!("../../domain/src/inventory/command.rs"),
        include_str!("../../domain/src/coupon/command.rs"),
        include_str!("../../domain/src/merchant/command.rs"),
        include_str!("../../domain/src/payment/command.rs"),
        include_str!("../../domain/src/ledger/command.rs"),
        include_str!("../../domain/src/point/command.rs"),
    ];

    fn codes_of(source: &str) -> impl Iterator<Item = &str> {
        let arms = source.lines().filter(|line| line.contains("Self::") && line.contains("=> \""));
        arms.filter_map(|line| line.split('"').nth(1))
    }

    #[test]
    fn every_code_has_one_row_and_every_row_a_code() {
        let own = Own::ALL.iter().map(|own| own.code());
        let wanted: BTreeSet<&str> =
            own.chain(DOMAINS.iter().copied().flat_map(codes_of)).collect();
        let listed: BTreeSet<&str> = TABLE.iter().map(|row| row.code).collect();
        assert_eq!(listed.len(), TABLE.len(), "a code is listed twice");
        assert_eq!(listed, wanted);
        assert!(wanted.len() > 80, "the sources were read: {}", wanted.len());
    }

    #[test]
    fn statuses_in_the_document_are_those_of_the_table() {
        let lines = include_str!("../../../API.md").lines();
        let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
        // Rows of other tables have no status in their second cell.
        let is_code = |c: &Vec<&str>| c.len() > 3 && c[2].len() == 3 && c[2].parse::<u16>().is_ok();
        let rows = lines.filter(|line| line.starts_with("| `")).map(cells).filter(is_code);
        let written: BTreeSet<_> =
            rows.map(|c| (c[1].trim_matches('`'), c[2].to_owned(), c[3])).collect();
        let again = |row: &Row| if row.retryable { "yes" } else { "no" };
        let listed =
            TABLE.iter().map(|row| (row.code, row.status.to_string(), again(row))).collect();
        assert_eq!(written, listed);
    }
}
