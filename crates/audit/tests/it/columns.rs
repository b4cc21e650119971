//! A change of any column is found, but for a list of columns.

use jangbu_audit::{Options, prove};
use rusqlite::Connection;

use crate::corrupt::{copy, corrupt};

/// Columns that no rule is about, or not as long as a change keeps within bounds: times before the
/// clock, versions up to that of the row, a commit number above the last, an offer that lags, what was
/// set aside.
const FREE: &[&str] = &[
    "account.version",
    "audit_log.at",
    "audit_log.before",
    "audit_log.correlation",
    "audit_log.resource",
    "audit_log.who",
    "audit_log.why",
    "campaign.at",
    "campaign.cap",
    "campaign.ended_at",
    "campaign.kind",
    "campaign.minimum",
    "campaign.name",
    "campaign.next_at",
    "campaign.scope",
    "campaign.starts",
    "campaign.total",
    "campaign.valid_for",
    "campaign.value",
    "category.name",
    "category.version",
    "coupon_holder.version",
    "hot_log.no",
    "journal.reason",
    "journal.who",
    "merchant.at",
    "merchant.name",
    "merchant.version",
    "movement.at",
    "movement.available",
    "movement.reason",
    "offer.version",
    "orders.cancel_wanted",
    "orders.correlation",
    "orders.coupon_scope",
    "orders.def_version",
    "orders.next_at",
    "orders.pay_mode",
    "orders.placed_at",
    "orders.reason",
    "orders.settled_at",
    "orders.token",
    "orders.tries",
    "orders.user_id",
    "orders.version",
    "outbox.correlation",
    "outbox.payload",
    "outbox.version",
    "payment.at",
    "payment.deadline",
    "payment.next_at",
    "payment.not_found",
    "payment.psp_ref",
    "payment.reason",
    "payment.sent_at",
    "payment.version",
    "point_account.version",
    "point_credit.at",
    "point_credit.balance",
    "point_credit.reason",
    "point_credit.until",
    "point_credit.version",
    "point_timer.version",
    "point_use.until",
    "point_use.version",
    "poison.at",
    "poison.body",
    "poison.command",
    "poison.correlation",
    "poison.error",
    "poison.idem_key",
    "poison.origin",
    "poison.owner",
    "poison.payload",
    "poison.scope",
    "poison.unit",
    "poison.version",
    "poison.why",
    "price.amount",
    "product.at",
    "product.description",
    "product.name",
    "product.version",
    "request.at",
    "reservation.next_at",
    "reservation.version",
    "shard.clock",
    "shard.commits",
    "shard.version",
    "sku.name",
    "sku.version",
    "sku_code.version",
    "stock.version",
    "user_coupon.reason",
    "user_coupon.version",
    "user_email.version",
    "users.address",
    "users.changed_at",
    "users.email",
    "users.failures",
    "users.locked_until",
    "users.name",
    "users.phone",
    "users.version",
];

#[test]
fn a_change_of_any_column_is_found_unless_it_is_listed_as_free() {
    let (dir, _) = copy();
    let columns: Vec<(String, String, i64)> = {
        let db = Connection::open(dir.path().join("jangbu.db")).unwrap();
        let sql = "SELECT t.name, c.name, iif(c.pk, 1000003, 1) FROM sqlite_schema t, \
                   pragma_table_info(t.name) c WHERE t.type = 'table'";
        let mut found = db.prepare(sql).unwrap();
        let rows = found.query_map([], |row| row.try_into()).unwrap();
        rows.map(Result::<_, rusqlite::Error>::unwrap).collect()
    };
    assert!(columns.len() > 90, "{columns:?}");
    let unseen = columns.iter().filter(|(table, column, more)| {
        let (dir, _) = copy();
        // In the first row that has one (the last ones are about orders): numbers grow, texts and
        // blobs get longer.
        let sql = format!(
            "UPDATE {table} SET {column} = CASE typeof({column}) WHEN 'integer' THEN {column} + {more} \
             WHEN 'null' THEN NULL WHEN 'text' THEN {column} || 'x' \
             ELSE CAST({column} || x'00' AS BLOB) END"
        );
        let row = match table.as_str() {
            "entry" => "WHERE (source, seq, leg) = (SELECT source, seq, leg FROM entry LIMIT 1)",
            "user_email" => "WHERE user = 9",
            "coupon_holder" => "WHERE user_id = 9",
            "coupon_issue" => "WHERE position = 1",
            "price" => "WHERE (sku, no) = (SELECT sku, no FROM price LIMIT 1)",
            "outbox" | "request" | "category" => "WHERE rowid = (SELECT max(rowid) FROM {})",
            _ => "WHERE rowid = (SELECT ifnull(min(iif({c} IS NULL, NULL, rowid)), min(rowid)) FROM {})",
        };
        let row = row.replace("{}", table).replace("{c}", column);
        corrupt(dir.path(), &format!("{sql} {row}"));
        prove(&Options::new(dir.path())).unwrap().clean()
    });
    let unseen: Vec<String> =
        unseen.map(|(table, column, _)| format!("{table}.{column}")).collect();
    let mut unseen: Vec<&str> = unseen.iter().map(String::as_str).collect();
    unseen.sort_unstable();
    assert_eq!(unseen, FREE);
}
