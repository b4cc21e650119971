//! The points of the customer 9, and every kind of breach of them.

use rusqlite::params;

use crate::shop::{Shop, time};

/// The ends of two lots.
const ENDS: [i64; 2] = [1_900_000_000_000_000, 1_900_086_400_000_000];

impl Shop {
    /// Gives the customer points, and some to do to the orders with these names; the grant's id.
    ///
    /// One order has earned and lost some, one spends, one has got everything back, one was undone
    /// before it began; some have ended.
    pub(crate) fn points(&mut self, names: &[(&'static str, i64)]) -> i64 {
        let (grant, commit) = self.begin();
        self.ask("operator:point.grant", grant);
        let of = |name| names.iter().find(|(known, _)| *known == name).unwrap().1;
        let [first, second] = ENDS;
        let sql = "INSERT INTO point_credit VALUES (?1, 9, ?2, ?3, NULL, ?3, ?4, '', '[]', 1)";
        self.run(sql, params![of("bought"), 2, 500, time(commit)]);
        self.run(sql, params![grant, 1, 200, time(commit)]);
        let given = ["promo:points", "points:earned"];
        let taken = ["points:earned", "promo:points"];
        let earner = of("other");
        for (source, seq, [debit, credit], amount) in [
            (9, 1, taken, 10),
            (earner, 1_000_000, given, 61),
            (earner, 2_000_001, taken, 20),
            (earner, 2_000_003, taken, 5),
            (earner, 3_000_003, given, 5),
            (grant, 1, given, 200),
        ] {
            self.leg(source, [seq, 0, commit], debit, amount);
            self.leg(source, [seq, 1, commit], credit, -amount);
        }
        // A hundredth of a percent of 25,500, 24 times.
        let sql = "UPDATE orders SET earned = 61, earn_bp = 24, earn_step = 2 WHERE id = ?1";
        self.run(sql, params![earner]);
        let claws = "[[1,30,20,0,0],[2,10,0,10,0],[3,5,5,0,1]]";
        let back = format!("[[1,{first},50],[2,0,100]]");
        let out = format!("[[1,{first},30]]");
        let none = "[]".to_owned();
        let uses = [
            ("other", 1, &none, "[]", 61, claws),
            ("declined", 3, &back, "[[1,20,0],[0,80,50]]", 0, "[]"),
            ("paying", 2, &out, "[]", 0, "[]"),
            ("sold_out", 3, &none, "[]", 0, "[]"),
        ];
        for (name, state, parts, restores, earned, claws) in uses {
            let sql = "INSERT INTO point_use VALUES (?1, 9, ?2, ?3, ?4, ?5, NULL, ?6, 3)";
            self.run(sql, params![of(name), state, parts, restores, earned, claws]);
        }
        let lots = format!("[[1,{first},150],[1,{second},51],[2,0,500]]");
        let sql = "INSERT INTO point_account VALUES (9, 'KRW', ?1, 500, 201, 500, 200, 61, 100, \
                   80, 100, 50, 0, 10, 20, 1, ?2, 12)";
        self.run(sql, params![lots, first]);
        self.run("INSERT INTO point_timer VALUES (9, ?1, 1)", params![first]);
        grant
    }
}

impl Shop {
    /// A charge of the customer 10 that was regretted: 100 went back, 50 were refused, 30 went back
    /// after they had been refused, when 20 of them were spent; its payment.
    pub(crate) fn regretted(&mut self) -> i64 {
        let (id, commit) = (self.bought(10, 300), self.begin().1);
        for (no, refund, amount) in [(1, 811, 100), (3, 813, 30)] {
            let seq = if no == 1 { 2 } else { 3 };
            self.leg(id, [seq, 0, commit + no], "points:paid", amount);
            self.leg(id, [seq, 1, commit + no], "psp:sim:receivable", -amount);
            self.ask("operator:point.refund", refund);
            self.tell(commit + no, "payment.refund-requested", id, 1);
            self.tell(commit + no, "payment.refunded", id, 1);
            self.record(id, 5, u32::try_from(no).unwrap(), amount);
        }
        self.ask("operator:point.refund", 812);
        self.tell(commit + 2, "payment.refund-requested", id, 1);
        self.leg(id, [4_000_003, 0, commit + 3], "promo:points", 20);
        self.leg(id, [4_000_003, 1, commit + 3], "points:paid", -20);
        let money = r#"[[1,3,100,[],null,811,"w",2],[2,4,50,[],null,812,"w",0],[3,3,30,[],null,813,"w",3]]"#;
        let sql = "UPDATE payment SET refunded = 130, refunds = ?2, postings = 3 WHERE id = ?1";
        self.run(sql, params![id, money]);
        let points = "[[811,100,3,0],[812,50,2,0],[813,30,3,20]]";
        let sql = "INSERT INTO point_credit VALUES (?1, 10, 2, 300, NULL, 300, ?2, '', ?3, 4)";
        self.run(sql, params![id, time(commit), points]);
        let sql = "INSERT INTO point_account VALUES (10, 'KRW', '[[2,0,190]]', 190, 0, 190, 0, 0, \
                   0, 0, 0, 0, 0, 0, 0, 0, NULL, 6)";
        self.run(sql, params![]);
        id
    }
}

/// (rule, SQL, subject), as in `breaches`.
pub(crate) const SQL: &[(&str, &str, &str)] = &[
    ("store.row", "UPDATE point_account SET lots = '[[1,2]]'", "point_account 9"),
    ("store.row", "UPDATE point_credit SET kind = 3 WHERE id = $granted", "point_credit $granted"),
    ("store.row", "UPDATE point_use SET claws = '7' WHERE order_id = $other", "point_use $other"),
    ("audit.line", "UPDATE audit_log SET operation = 'point.steal' WHERE id = 1", "audit 1"),
    ("point.law", "UPDATE point_account SET charged = charged + 1", "usr 9"),
    ("point.law", "UPDATE point_account SET clawed = clawed - 1", "usr 9"),
    ("point.law", "UPDATE point_account SET expired_paid = -1, paid = paid + 1", "usr 9"),
    ("point.law", "UPDATE point_account SET restored_paid = 101, paid = paid + 1", "usr 9"),
    ("point.lots", "UPDATE point_account SET paid = 499, charged = 499", "usr 9"),
    (
        "point.lots",
        "UPDATE point_account SET lots = '[[2,0,500],[1,1900000000000000,200]]'",
        "usr 9",
    ),
    (
        "point.lots",
        "UPDATE point_account SET lots = '[[1,1900000000000000,200],[2,0,501],[2,0,-1]]'",
        "usr 9",
    ),
    ("point.timer", "UPDATE point_timer SET next_at = next_at - 1", "usr 9"),
    ("point.timer", "DELETE FROM point_timer", "usr 9"),
    // Nothing is told, a balance that does not follow, movements that are not the counters'.
    ("point.told", "UPDATE outbox SET payload = x'0F00' WHERE topic = 'point.changed'", "usr 9"),
    (
        "point.told",
        "UPDATE outbox SET payload = x'0F01120200D20F0000F00F' \
         WHERE topic = 'point.changed' AND key = 0",
        "usr 9",
    ),
    (
        "point.told",
        "UPDATE point_account SET spent_paid = spent_paid + 1, restored_paid = restored_paid + 1",
        "usr 9",
    ),
    ("point.told", "DELETE FROM point_account", "usr 10"),
    (
        "point.timer",
        "UPDATE point_account SET lots = '[[1,1800000000000000,200],[2,0,500]]'",
        "usr 9",
    ),
    ("point.credited", "UPDATE point_credit SET amount = 201 WHERE id = $granted", "usr 9"),
    ("point.credited", "UPDATE point_credit SET amount = 501 WHERE id = $bought", "usr 9"),
    ("point.used", "UPDATE point_use SET earned = 62 WHERE order_id = $other", "usr 9"),
    (
        "point.used",
        "UPDATE point_use SET parts = '[[1,1900000000000000,29]]' WHERE order_id = $paying",
        "usr 9",
    ),
    ("point.used", "UPDATE point_use SET claws = '[]' WHERE order_id = $other", "usr 9"),
    ("point.account", "DELETE FROM point_account", "grt $granted"),
    ("point.account", "DELETE FROM point_account", "pay $bought"),
    ("point.account", "UPDATE point_use SET user_id = 8 WHERE order_id = $other", "ord $other"),
    (
        "point.use",
        "UPDATE point_use SET restores = '[[0,101,50]]' WHERE order_id = $declined",
        "ord $declined",
    ),
    ("point.use", "UPDATE point_use SET state = 2 WHERE order_id = $other", "ord $other"),
    (
        "point.use",
        "UPDATE point_use SET claws = '[[1,60,20,0,0],[2,10,0,10,0],[3,5,5,0,1]]' \
         WHERE order_id = $other",
        "ord $other",
    ),
    (
        "point.use",
        "UPDATE point_use SET claws = '[[1,19,20,0,0],[2,10,0,10,0],[3,5,5,0,1]]' \
         WHERE order_id = $other",
        "ord $other",
    ),
    (
        "point.number",
        "UPDATE point_use SET restores = '[[1,10,0],[1,10,0],[0,80,50]]' \
         WHERE order_id = $declined",
        "ord $declined",
    ),
    (
        "point.number",
        "UPDATE point_use SET claws = '[[1,30,20,0,0],[1,10,0,10,0],[3,5,5,0,1]]' \
         WHERE order_id = $other",
        "ord $other",
    ),
    ("point.order", "UPDATE orders SET user_id = 8 WHERE id = $paying", "ord $paying"),
    ("point.order", "DELETE FROM orders WHERE id = $declined", "ord $declined"),
    ("point.agrees", "UPDATE point_use SET earned = 62 WHERE order_id = $other", "ord $other"),
    ("point.agrees", "UPDATE orders SET earn_step = 0 WHERE id = $other", "ord $other"),
    (
        "point.agrees",
        "UPDATE orders SET point_step = 2, points_paid = 5 WHERE id = $sold",
        "ord $sold",
    ),
    ("point.charged", "DELETE FROM point_credit WHERE id = $bought", "pay $bought"),
    ("point.charge", "UPDATE point_credit SET amount = 499 WHERE id = $bought", "pay $bought"),
    ("point.charge", "UPDATE payment SET points_of = 8 WHERE id = $bought", "pay $bought"),
    ("point.charge", "UPDATE point_credit SET kind = 2 WHERE id = $granted", "pay $granted"),
    ("point.posted", "DELETE FROM entry WHERE source = $other AND seq = 1000000", "ord $other"),
    ("point.posted", "DELETE FROM entry WHERE source = $granted", "grt $granted"),
    ("point.posted", "DELETE FROM entry WHERE source = 9", "usr 9"),
    (
        "point.posted",
        "DELETE FROM entry WHERE source = $regretted AND seq = 4000003",
        "pay $regretted",
    ),
    (
        "point.posting",
        "UPDATE entry SET seq = 4000001 WHERE source = $regretted AND seq = 4000003",
        "pay $regretted",
    ),
    (
        "point.credited",
        "UPDATE point_credit SET refunds = '[[811,100,3,0],[812,50,3,0],[813,30,3,20]]' \
         WHERE id = $regretted",
        "usr 10",
    ),
    // Money went back, and no points went.
    (
        "point.refund",
        "UPDATE point_credit SET refunds = '[[812,50,2,0],[813,30,3,20]]' WHERE id = $regretted",
        "pay $regretted",
    ),
    // Points went, and the money did not.
    (
        "point.refund",
        "UPDATE payment SET refunds = replace(refunds, '[1,3,', '[1,4,') WHERE id = $regretted",
        "pay $regretted",
    ),
    // Fewer points than money.
    (
        "point.refund",
        "UPDATE point_credit SET refunds = '[[811,99,3,0],[812,50,2,0],[813,30,3,20]]' \
         WHERE id = $regretted",
        "pay $regretted",
    ),
    // The points of one refund went twice.
    (
        "point.refund",
        "UPDATE point_credit SET refunds = '[[811,100,3,0],[811,100,3,0],[812,50,2,0],[813,30,3,20]]' \
         WHERE id = $regretted",
        "pay $regretted",
    ),
    // Refused, and the points never came back.
    (
        "point.refund",
        "UPDATE point_credit SET refunds = '[[811,100,3,0],[812,50,1,0],[813,30,3,20]]' \
         WHERE id = $regretted",
        "pay $regretted",
    ),
    // More than was ever charged.
    (
        "point.refund",
        "UPDATE point_credit SET refunds = '[[811,100,3,0],[812,50,2,0],[813,30,3,20],[814,171,1,0]]' \
         WHERE id = $regretted",
        "pay $regretted",
    ),
    (
        "payment.refund-split",
        "UPDATE payment SET refunds = replace(refunds, '[1,3,100,[]', '[1,3,100,[[\"m\",100]]') \
         WHERE id = $regretted",
        "pay $regretted",
    ),
    (
        "point.posting",
        "UPDATE entry SET seq = 1000009 WHERE source = $other AND seq = 1000000",
        "ord $other",
    ),
    (
        "point.posting",
        "UPDATE entry SET amount = -amount WHERE source = $other AND seq = 2000001",
        "ord $other",
    ),
    (
        "point.posting",
        "UPDATE entry SET account = (SELECT id FROM account WHERE code = 'points:paid') \
         WHERE source = $granted AND leg = 1",
        "grt $granted",
    ),
    ("point.posting", "UPDATE entry SET seq = 2 WHERE source = 9", "usr 9"),
    (
        "point.settled",
        "UPDATE point_use SET restores = '[[0,80,50]]' WHERE order_id = $declined",
        "ord $declined",
    ),
    (
        "point.liability",
        "UPDATE point_account SET lots = '[[1,1900000000000000,201],[2,0,501]]', paid = 501, \
         charged = 501",
        "points:paid",
    ),
    (
        "point.liability",
        "UPDATE entry SET amount = 2 * amount WHERE source = $granted",
        "points:earned",
    ),
];
