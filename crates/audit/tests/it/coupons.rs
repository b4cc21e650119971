//! Two campaigns and their coupons, and every kind of breach of them.

use rusqlite::params;

use crate::shop::{Shop, time};

/// The ids of the campaigns and of the first coupon.
const SPRING: i64 = 610;
const AUTUMN: i64 = 611;
const FIRST: i64 = 620;

impl Shop {
    /// Four coupons of one campaign, in each state one, of which the order `left` uses one; and a
    /// campaign of a merchant that has issued nothing.
    pub(crate) fn coupons(&mut self, names: &[(&'static str, i64)]) {
        let of = |name| names.iter().find(|(known, _)| *known == name).unwrap().1;
        let (at, never) = (time(1), 4_000_000_000_000_000_i64);
        let sql = "INSERT INTO campaign VALUES (?1, 'Sale', ?2, ?3, ?4, 'KRW', 1000, 5, ?5, ?6, ?7, \
                   2, 9, ?8, ?9, ?10, ?11, ?12, ?13, ?14, NULL, ?15, 6, ?16, ?17)";
        self.run(
            sql,
            params![
                SPRING,
                1,
                300,
                None::<i64>,
                never,
                never,
                None::<i64>,
                1,
                None::<String>,
                4,
                1,
                1,
                1,
                1,
                0,
                never,
                5
            ],
        );
        let none = None::<i64>;
        self.run(
            sql,
            params![AUTUMN, 2, 1_000, 50, never, none, 9_000, 2, "m-8", 0, 0, 0, 0, 0, 0, none, 1],
        );
        self.ask("operator:campaign.create", SPRING);
        self.ask("client:coupon.issue", FIRST);
        let back = format!("[{}]", of("declined"));
        for (n, user, state, order, undone, reason) in [
            (1, 9, 1, None, &*back, None),
            (2, 9, 2, Some(of("left")), "[]", None),
            (3, 10, 3, None, "[]", None),
            (4, 11, 4, None, "[]", Some("abuse")),
        ] {
            let id = FIRST + n - 1;
            let off = if order.is_some() { 300 } else { 0 };
            let sql =
                "INSERT INTO user_coupon VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 3)";
            self.run(
                sql,
                params![id, SPRING, user, n, state, order, off, undone, at, never, reason],
            );
            let sql = "INSERT INTO coupon_issue VALUES (?1, ?2, ?3, ?4, ?5)";
            self.run(sql, params![SPRING, n, id, user, at]);
        }
        for (user, held) in [(9, 2), (10, 1), (11, 1)] {
            let sql = "INSERT INTO coupon_holder VALUES (?1, ?2, ?3, 2, ?3)";
            self.run(sql, params![SPRING, user, held]);
        }
        let sql = "UPDATE orders SET coupon_id = ?2, coupon_step = 3, discount = 300 WHERE id = ?1";
        self.run(sql, params![of("left"), FIRST + 1]);
        self.tell(1, "coupon.changed", SPRING, 5);
        self.tell(1, "coupon.changed", AUTUMN, 1);
    }
}

/// (rule, SQL, subject), as in `breaches`.
pub(crate) const SQL: &[(&str, &str, &str)] = &[
    ("store.row", "UPDATE user_coupon SET undone = '7' WHERE id = 620", "user_coupon 620"),
    ("store.row", "UPDATE campaign SET funding = 3 WHERE id = 611", "campaign 611"),
    ("coupon.law", "UPDATE campaign SET issued = 10 WHERE id = 610", "cmp 610"),
    ("coupon.law", "UPDATE campaign SET total = 3 WHERE id = 610", "cmp 610"),
    ("coupon.law", "UPDATE campaign SET used = -1, free = 3 WHERE id = 610", "cmp 610"),
    ("coupon.terms", "UPDATE campaign SET value = 10001 WHERE id = 611", "cmp 611"),
    ("coupon.terms", "UPDATE campaign SET scope = NULL WHERE id = 611", "cmp 611"),
    ("coupon.terms", "UPDATE campaign SET ends = 5 WHERE id = 610", "cmp 610"),
    ("coupon.terms", "UPDATE campaign SET valid_for = 5 WHERE id = 610", "cmp 610"),
    ("coupon.terms", "UPDATE campaign SET at = 9000000000000000 WHERE id = 611", "cmp 611"),
    ("coupon.tally", "UPDATE campaign SET used = 2, free = 0 WHERE id = 610", "cmp 610"),
    ("coupon.tally", "UPDATE user_coupon SET state = 3 WHERE id = 620", "cmp 610"),
    ("coupon.position", "DELETE FROM coupon_issue WHERE position = 2", "cmp 610"),
    ("coupon.position", "DELETE FROM coupon_issue WHERE position = 4", "cmp 610"),
    ("coupon.position", "UPDATE coupon_issue SET at = 1 WHERE position = 3", "cmp 610"),
    ("coupon.position", "UPDATE coupon_issue SET campaign = 99 WHERE campaign = 610", "cmp 99"),
    ("coupon.place", "DELETE FROM user_coupon WHERE id = 622", "cpn 622"),
    ("coupon.place", "UPDATE user_coupon SET user_id = 12 WHERE id = 622", "cpn 622"),
    ("coupon.place", "UPDATE user_coupon SET position = 1 WHERE id = 622", "cpn 622"),
    ("coupon.place", "UPDATE user_coupon SET campaign = 99 WHERE id = 622", "cpn 622"),
    ("coupon.limit", "UPDATE coupon_holder SET held = 1 WHERE user_id = 9", LIMIT_OF_9),
    ("coupon.limit", "UPDATE campaign SET per_user = 1 WHERE id = 610", LIMIT_OF_9),
    ("coupon.limit", "DELETE FROM coupon_holder WHERE user_id = 9", LIMIT_OF_9),
    (
        "coupon.limit",
        "INSERT INTO coupon_holder VALUES (610, 77, 1, 2, 1)",
        "usr_000000000002D of cmp_00000000000K2",
    ),
    ("coupon.state", "UPDATE user_coupon SET discount = 5 WHERE id = 620", "cpn 620"),
    ("coupon.state", "UPDATE user_coupon SET reason = 'x' WHERE id = 620", "cpn 620"),
    ("coupon.state", "UPDATE user_coupon SET undone = '[$left]' WHERE id = 621", "cpn 621"),
    ("coupon.expiry", "UPDATE user_coupon SET expires_at = 7 WHERE id = 620", "cpn 620"),
    ("coupon.expiry", "UPDATE campaign SET swept = 1 WHERE id = 610", "cpn 620"),
    ("coupon.timer", "UPDATE campaign SET next_at = NULL WHERE id = 610", "cmp 610"),
    ("coupon.timer", "UPDATE campaign SET next_at = 7 WHERE id = 610", "cmp 610"),
    ("coupon.timer", "UPDATE campaign SET swept = 5 WHERE id = 610", "cmp 610"),
    ("coupon.used", "UPDATE user_coupon SET order_id = 7 WHERE id = 621", "cpn 621"),
    ("coupon.used", "UPDATE orders SET coupon_id = 620 WHERE id = $left", "cpn 621"),
    ("coupon.used", "UPDATE orders SET reason = 'tired' WHERE id = $left", "cpn 621"),
    ("coupon.used", "UPDATE orders SET user_id = 10 WHERE id = $left", "cpn 621"),
    ("coupon.used", "UPDATE orders SET coupon_step = 5 WHERE id = $left", "cpn 621"),
    (
        "coupon.used",
        "UPDATE orders SET coupon_step = 2, discount = 299 WHERE id = $left",
        "cpn 621",
    ),
    (
        "coupon.unused",
        "UPDATE orders SET coupon_id = 620, coupon_step = 2, discount = 300 WHERE id = $sold",
        "ord $sold",
    ),
    (
        "coupon.unused",
        "UPDATE orders SET coupon_id = 99, coupon_step = 2, discount = 300 WHERE id = $sold",
        "ord $sold",
    ),
    (
        "coupon.discount",
        "UPDATE orders SET coupon_step = 2 WHERE id = $left; \
         UPDATE campaign SET value = 301 WHERE id = 610",
        "ord $left",
    ),
    (
        "coupon.discount",
        "UPDATE orders SET coupon_step = 2, coupon_funding = 1 WHERE id = $left",
        "ord $left",
    ),
    (
        "coupon.discount",
        "UPDATE orders SET coupon_step = 2 WHERE id = $left; \
         UPDATE campaign SET minimum = 100000000 WHERE id = 610",
        "ord $left",
    ),
    ("coupon.event", "UPDATE campaign SET version = 6 WHERE id = 610", "cmp 610"),
    ("coupon.event", "UPDATE outbox SET key = 77 WHERE key = 610", "cmp 77"),
    ("coupon.event", "UPDATE outbox SET key = 77 WHERE key = 611", "cmp 611"),
    ("event.version", "UPDATE outbox SET key = 610 WHERE key = 611", "cmp 610"),
];

const LIMIT_OF_9: &str = "usr_0000000000009 of cmp_00000000000K2";
